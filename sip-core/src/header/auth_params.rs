//! WWW-Authenticate, Proxy-Authenticate, Authorization, Proxy-Authorization (RFC 3261 §20.7, §20.44; RFC 7616).

use std::borrow::Cow;

use super::grammar::{Step, gen_value, is_lws, separator, sws, text, token, trim, unquote};

/// `name=value` pairs after the scheme, separated by commas, as received and checked once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthParams<'a>(&'a str);

impl<'a> AuthParams<'a> {
    /// Each pair: name, and value as received (quotes kept).
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let mut rest = self.0.as_bytes();
        std::iter::from_fn(move || {
            let (next, (name, value)) = pair(after_commas(rest)).ok()?;
            rest = next;
            Some((text(name)?, text(value)?))
        })
    }

    /// The value of the first pair of this name (any case), as received with its quotes.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first pair of this name (any case), quotes and escapes undone.
    pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
        self.raw(name).map(unquote)
    }
}

/// Without the commas and blanks before an element: a list may have empty ones (RFC 7230 §7), as at its end.
fn after_commas(mut input: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = input
        && (*first == b',' || is_lws(*first))
    {
        input = rest;
    }
    input
}

fn pair(input: &[u8]) -> Step<'_, (&[u8], &[u8])> {
    let (rest, _) = sws(input)?;
    let (rest, name) = token(rest)?;
    let (rest, _) = separator('=')(rest)?;
    // An empty value without quotes is not in the grammar, but phones write `qop=`.
    let (rest, value) = gen_value(rest).unwrap_or((rest, b""));
    Ok((rest, (name, value)))
}

/// Scheme and the text after it.
fn scheme(value: &[u8]) -> Option<(&str, &[u8])> {
    let value = trim(value);
    let (rest, scheme) = token(value).ok()?;
    let (rest, blank) = sws(rest).ok()?;
    if !rest.is_empty() && blank.is_empty() {
        return None;
    }
    Some((text(scheme)?, rest))
}

/// Scheme and parameters. Schemes other than Digest keep their text unparsed.
fn parse(value: &[u8]) -> Option<(&str, AuthParams<'_>)> {
    let (scheme, rest) = scheme(value)?;
    if scheme.eq_ignore_ascii_case("Digest") {
        walk(rest, |_, _| Some(()))?;
    }
    Some((scheme, AuthParams(text(rest)?)))
}

/// Goes through the parameters of a Digest value once, each with its name and its value as received (quotes kept).
/// None: another scheme, malformed, or `see` said so.
pub(crate) fn each_digest_param<'a>(
    value: &'a [u8],
    mut see: impl FnMut(&'a str, &'a str) -> Option<()>,
) -> Option<()> {
    let (scheme, rest) = scheme(value)?;
    if !scheme.eq_ignore_ascii_case("Digest") {
        return None;
    }
    walk(rest, |name, value| see(text(name)?, text(value)?))
}

fn walk<'a>(params: &'a [u8], mut see: impl FnMut(&'a [u8], &'a [u8]) -> Option<()>) -> Option<()> {
    let mut left = after_commas(params);
    loop {
        let (next, (name, value)) = pair(left).ok()?;
        see(name, value)?;
        left = after_commas(next);
        if left.is_empty() {
            return Some(());
        }
        separator(',')(next).ok()?;
    }
}

macro_rules! auth_headers {
    ($($name:ident $doc:literal;)*) => {$(
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<'a> {
            /// The scheme as written.
            pub scheme: &'a str,
            /// The parameters.
            pub params: AuthParams<'a>,
        }

        impl<'a> $name<'a> {
            /// Parses a header value (one line). None: malformed.
            pub fn parse(value: &'a [u8]) -> Option<$name<'a>> {
                parse(value).map(|(scheme, params)| $name { scheme, params })
            }

            /// Whether the scheme is Digest, in any case.
            pub fn is_digest(&self) -> bool {
                self.scheme.eq_ignore_ascii_case("Digest")
            }

            /// The value of a parameter (name in any case), quotes and escapes undone.
            pub fn get(&self, name: &str) -> Option<Cow<'a, str>> {
                self.params.get(name)
            }

            /// The realm.
            pub fn realm(&self) -> Option<Cow<'a, str>> {
                self.get("realm")
            }

            /// The nonce.
            pub fn nonce(&self) -> Option<Cow<'a, str>> {
                self.get("nonce")
            }

            /// The algorithm; absent means MD5 (RFC 7616 §3.3).
            pub fn algorithm(&self) -> Option<Cow<'a, str>> {
                self.get("algorithm")
            }

            /// The opaque value.
            pub fn opaque(&self) -> Option<Cow<'a, str>> {
                self.get("opaque")
            }

            /// qop: a list in a challenge, one value in credentials.
            pub fn qop(&self) -> Option<Cow<'a, str>> {
                self.get("qop")
            }
        }
    )*};
}

auth_headers! {
    Challenge "A WWW-Authenticate or Proxy-Authenticate value; one challenge a line (RFC 3261 §20.27, §20.44).";
    Credentials "An Authorization or Proxy-Authorization value; one a line (RFC 3261 §20.7, §20.28).";
}

impl Challenge<'_> {
    /// Whether the nonce was stale and only that (RFC 7616 §3.3).
    pub fn stale(&self) -> bool {
        self.get("stale").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl<'a> Credentials<'a> {
    /// The user name.
    pub fn username(&self) -> Option<Cow<'a, str>> {
        self.get("username")
    }

    /// The digest-uri.
    pub fn uri(&self) -> Option<Cow<'a, str>> {
        self.get("uri")
    }

    /// The response: hexadecimal digits.
    pub fn response(&self) -> Option<Cow<'a, str>> {
        self.get("response")
    }

    /// The client's nonce.
    pub fn cnonce(&self) -> Option<Cow<'a, str>> {
        self.get("cnonce")
    }

    /// The nonce count: exactly eight hexadecimal digits (RFC 7616 §3.4).
    pub fn nc(&self) -> Option<u32> {
        let digits = self.get("nc")?;
        if digits.len() != 8 || !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
            return None;
        }
        u32::from_str_radix(&digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_20_7_credentials() {
        let value =
            br#"DIGEST username="Alice", realm = "atlanta.example.com", nonce="84a4cc6f3082121f32b42a2187831a9e",
 response="7587245234b3434cc3412213e5f113a5432",nc=0000000a, qop=auth, uri="sip:a;b,c@d""#;
        let credentials = Credentials::parse(value).expect("valid");
        assert!(credentials.is_digest());
        assert_eq!(credentials.username().as_deref(), Some("Alice"));
        assert_eq!(credentials.uri().as_deref(), Some("sip:a;b,c@d"));
        assert_eq!(credentials.nc(), Some(10));
        assert_eq!(credentials.qop().as_deref(), Some("auth"));
        assert_eq!(credentials.params.iter().count(), 7);
    }

    #[test]
    fn rfc4475_3_3_7_unknown_schemes_are_kept() {
        let credentials = Credentials::parse(b"NoOneKnowsThisScheme opaque-data=here").expect("valid");
        assert!(!credentials.is_digest());
        assert_eq!(credentials.get("opaque-data").as_deref(), Some("here"));
    }

    #[test]
    fn rfc7230_7_empty_elements_are_passed_over() {
        let credentials = Credentials::parse(b"Digest ,nonce=n, ,,response=\"0\", ").expect("valid");
        assert_eq!(credentials.nonce().as_deref(), Some("n"));
        assert_eq!(credentials.params.iter().count(), 2);
    }

    #[test]
    fn malformed_digests_are_refused() {
        for bad in [
            "",
            "Digest",
            "Digest realm",
            "Digest realm=\"open",
            "Digest realm=\"a\" nonce=\"b\"",
            "Digest,",
            "Digest ,",
        ] {
            assert!(Challenge::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn rfc7616_3_4_nc_is_eight_digits() {
        for bad in ["1", "000000001", "0000000g"] {
            let value = format!("Digest nc={bad}");
            assert_eq!(Credentials::parse(value.as_bytes()).and_then(|c| c.nc()), None, "{bad}");
        }
    }
}
