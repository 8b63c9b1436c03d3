//! URIs: sip, sips, tel and others (RFC 3261 §19).
