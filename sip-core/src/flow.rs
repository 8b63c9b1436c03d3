//! Transports, flows and targets: the caller's handles of where a message goes.
