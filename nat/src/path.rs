//! Signed flow tokens for Record-Route and Path.
