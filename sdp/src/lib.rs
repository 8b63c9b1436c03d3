//! SDP (RFC 8866), offer/answer (RFC 3264) and JSEP (RFC 9429) without I/O. Its modules come with the media issue.
#![forbid(unsafe_code)]
