//! Call detail records.
