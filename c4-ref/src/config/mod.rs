//! The TOML configuration: types, defaults, overrides and errors.
