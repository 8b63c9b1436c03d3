//! SIP methods.
