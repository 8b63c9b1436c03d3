//! Contact fixing and aliases.
