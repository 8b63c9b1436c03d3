//! Typed headers, one a file, parsed on demand from their span.
