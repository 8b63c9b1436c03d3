//! The operator's remote procedure calls, as data.
