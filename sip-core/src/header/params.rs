//! Header parameters: `;name=value`, as they stand in Via, From, To, Contact and others.

use std::borrow::Cow;

use super::grammar::{Step, gen_value, separator, sws, text, token, trim, unquote, within};

/// The parameters of a header value as received, checked once (RFC 3261 §25.1 generic-param).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a>(&'a str);

impl<'a> Params<'a> {
    /// No parameters.
    pub(crate) const EMPTY: Params<'static> = Params("");

    /// Parses to the end of `input`: nothing, or `;name[=value]` any number of times.
    pub fn parse(input: &'a [u8]) -> Option<Params<'a>> {
        Params::parse_str(text(input)?, |_, _| ())
    }

    /// As [`parse`](Params::parse), and shows each parameter on the way, so that one pass finds what is wanted.
    #[inline]
    pub(crate) fn parse_str(whole: &'a str, mut seen: impl FnMut(&'a str, Option<&'a str>)) -> Option<Params<'a>> {
        let mut rest = whole.as_bytes();
        while !rest.is_empty() {
            match one(rest) {
                Ok((next, (name, value))) => {
                    rest = next;
                    seen(within(whole, name), value.map(|value| within(whole, value)));
                }
                Err(_) if trim(rest).is_empty() => break,
                Err(_) => return None,
            }
        }
        Some(Params(whole))
    }

    /// Each parameter: its name, and its value as received (quotes kept).
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        let whole = self.0;
        let mut rest = whole.as_bytes();
        std::iter::from_fn(move || {
            let (next, (name, value)) = one(rest).ok()?;
            rest = next;
            Some((within(whole, name), value.map(|value| within(whole, value))))
        })
    }

    /// The first parameter of this name, in any case: None if absent, Some(None) if without value.
    pub fn get(&self, name: &str) -> Option<Option<&'a str>> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of a parameter as received; None if it is absent or has no value.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.get(name).flatten()
    }

    /// The value of a parameter with quotes and escapes undone.
    pub fn unquoted(&self, name: &str) -> Option<Cow<'a, str>> {
        self.value(name).map(unquote)
    }

    /// Whether a parameter is present, with or without value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of it as received, from the first semicolon.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[inline]
fn one(input: &[u8]) -> Step<'_, (&[u8], Option<&[u8]>)> {
    // Most parameters have no white space: the first octet is the semicolon, and the one after the name says the rest.
    let rest = match input {
        [b';', rest @ ..] => rest,
        _ => separator(';')(input)?.0,
    };
    let (rest, name) = token(rest).or_else(|_| token(sws(rest)?.0))?;
    let rest = match rest {
        [] | [b';', ..] => return Ok((rest, (name, None))),
        [b'=', rest @ ..] => rest,
        _ => match separator('=')(rest) {
            Ok((rest, _)) => rest,
            Err(_) => return Ok((rest, (name, None))),
        },
    };
    let (rest, value) = gen_value(rest).or_else(|_| gen_value(sws(rest)?.0))?;
    Ok((rest, (name, Some(value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_7_3_1_parameters_have_white_space_case_and_quotes() {
        let params = Params::parse(b" ; Tag = abc;lr;x=\"a;b=\\\"c\"\r\n ;y=[2001:db8::1]").expect("valid");
        assert_eq!(params.value("tag"), Some("abc"));
        assert_eq!(params.get("LR"), Some(None));
        assert_eq!(params.unquoted("x").as_deref(), Some("a;b=\"c"));
        assert_eq!(params.value("y"), Some("[2001:db8::1]"));
        assert_eq!(params.get("z"), None);
        assert_eq!(params.iter().count(), 4);
    }

    #[test]
    fn empty_parameters_are_refused() {
        assert_eq!(Params::parse(b";;a"), None);
        assert_eq!(Params::parse(b";"), None);
        assert_eq!(Params::parse(b";a="), None);
        assert_eq!(Params::parse(b";a=b c"), None);
        assert_eq!(Params::parse(b"").map(|p| p.is_empty()), Some(true));
    }
}
