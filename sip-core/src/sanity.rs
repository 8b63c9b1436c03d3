//! Named sanity checks on received messages.
