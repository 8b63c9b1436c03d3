//! Retry-After (RFC 3261 §20.33).

use super::grammar::{Step, number, separator, split, sws};
use super::{Header, HeaderError, Params, TypedHeader};

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter<'a> {
    /// Seconds from now.
    pub seconds: u32,
    /// The comment with its parentheses, if any.
    pub comment: Option<&'a [u8]>,
    /// Parameters, such as duration.
    pub params: Params<'a>,
}

impl<'a> TypedHeader<'a> for RetryAfter<'a> {
    const NAME: Header = Header::RetryAfter;

    fn parse(value: &'a [u8]) -> Result<RetryAfter<'a>, HeaderError> {
        let bad = HeaderError { header: Header::RetryAfter };
        let (rest, seconds) = seconds(value).map_err(|_| bad)?;
        let (rest, comment) = match rest.first() {
            Some(b'(') => {
                let end = comment_len(rest).ok_or(bad)?;
                let (rest, comment) = split(rest, end).map_err(|_| bad)?;
                (rest, Some(comment))
            }
            _ => (rest, None),
        };
        Ok(RetryAfter { seconds, comment, params: Params::parse(rest).ok_or(bad)? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        super::write_number(out, b"", u64::from(self.seconds));
        if let Some(comment) = self.comment {
            out.push(b' ');
            out.extend_from_slice(comment);
        }
        out.extend_from_slice(self.params.as_str().as_bytes());
    }
}

fn seconds(value: &[u8]) -> Step<'_, u32> {
    let (rest, _) = sws(value)?;
    let (rest, seconds) = number(rest, u64::from(u32::MAX))?;
    // The blank before a semicolon belongs to the parameter.
    let rest = if separator(';')(rest).is_ok() { rest } else { sws(rest)?.0 };
    Ok((rest, seconds as u32))
}

/// Length of a comment; comments nest (RFC 3261 §25.1).
fn comment_len(value: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    let mut escaped = false;
    for (at, c) in value.iter().enumerate() {
        match c {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_20_33_comment_and_duration() {
        let retry = RetryAfter::parse(b"18000;duration=3600").expect("valid");
        assert_eq!((retry.seconds, retry.params.value("duration")), (18000, Some("3600")));
        let retry = RetryAfter::parse(b"120 (I'm in a (long) meeting) ;x").expect("valid");
        assert_eq!(retry.comment, Some(&b"(I'm in a (long) meeting)"[..]));
        assert!(retry.params.has("x"));
        assert!(RetryAfter::parse(b"120 (open").is_err());
        assert!(RetryAfter::parse(b"949302838503028349304023988").is_err());
    }
}
