//! Whether a digest-uri fits the Request-URI (RFC 7616 §3.4.6, RFC 3261 §22.4).

use crate::uri::Uri;

/// How near `uri=` must be to the Request-URI.
///
/// RFC 7616 wants the same resource; RFC 3261 §22.4 says that proxies on the path may have changed the Request-URI, so that a
/// difference is no failure by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UriRule {
    /// Anything goes.
    Ignore,
    /// sip or sips with the same user and host; port, parameters and headers may differ, for phones and proxies drop and add
    /// them. Other schemes: the same text.
    #[default]
    SameUser,
    /// Equal by RFC 3261 §19.1.4.
    Equivalent,
}

impl UriRule {
    /// Whether the pair passes.
    pub fn admits(self, digest_uri: &str, request_uri: &str) -> bool {
        if self == Self::Ignore || digest_uri == request_uri {
            return true;
        }
        let (Some(given), Some(asked)) = (Uri::parse(digest_uri), Uri::parse(request_uri)) else { return false };
        match self {
            Self::Ignore => true,
            Self::Equivalent => given.equivalent(&asked),
            Self::SameUser => given.scheme.is_sip() && asked.scheme.is_sip() && given.aor() == asked.aor(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UriRule::{Equivalent, Ignore, SameUser};

    #[test]
    fn lesson_17_a_lost_port_or_transport_is_no_failure() {
        let request = "sip:bob@Biloxi.example.com:5061;transport=tls";
        assert!(SameUser.admits("sip:bob@biloxi.example.com", request));
        assert!(SameUser.admits("sips:b%6fb@biloxi.example.com", request));
        assert!(!Equivalent.admits("sip:bob@biloxi.example.com", request));
        assert!(Equivalent.admits("sip:bob@biloxi.example.com:5061;transport=TLS", request));
    }

    #[test]
    fn rfc7616_3_4_6_another_resource_is_refused() {
        assert!(!SameUser.admits("sip:carol@biloxi.example.com", "sip:bob@biloxi.example.com"));
        assert!(!SameUser.admits("sip:biloxi.example.com", "sip:bob@biloxi.example.com"));
        assert!(!SameUser.admits("sip:bob@atlanta.example.com", "sip:bob@biloxi.example.com"));
        assert!(!SameUser.admits("", "sip:bob@biloxi.example.com"));
        assert!(Ignore.admits("", "sip:bob@biloxi.example.com"));
        assert!(SameUser.admits("tel:+1", "tel:+1"));
    }
}
