//! Digest access authentication, server and client (RFC 7616, RFC 8760).
