//! Require, Proxy-Require, Supported, Unsupported (RFC 3261 §19.2): lists of option tags.

use super::grammar::{is_token, text, trim};

/// The option tag of one value of Require, Proxy-Require, Supported or Unsupported. None: it is no token.
///
/// ```
/// use c4_sip_core::header::option_tag;
/// assert_eq!(option_tag(b" 100rel "), Some("100rel"));
/// assert_eq!(option_tag(b"two words"), None);
/// ```
pub fn option_tag(value: &[u8]) -> Option<&str> {
    let tag = trim(value);
    if tag.is_empty() || !tag.iter().all(|c| is_token(*c)) {
        return None;
    }
    text(tag)
}
