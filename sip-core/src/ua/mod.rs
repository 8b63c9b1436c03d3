//! User agents: dialogs and the INVITE dialog usage (RFC 3261 §12 to §15).
