//! Flags in one line of text, as new Kamailio modules send them: rewritten as bencode, and read as that.

use super::bencode::Limits;

/// Text longer than this is cut.
const MOST: usize = 8192;
/// Brackets within each other.
const DEPTH: u8 = 6;
/// What [`to_bencode`] makes stays within these.
pub(super) const LIMITS: Limits = Limits { depth: 16, items: 16_384, octets: 65_536 };

/// A dictionary of the `name=value` pairs of `text`, with the bare names in a list under the empty key.
pub(super) fn to_bencode(text: &[u8]) -> Vec<u8> {
    let mut rest = text.get(..MOST).unwrap_or(text);
    let mut pairs = Vec::with_capacity(rest.len() * 2 + 8);
    let mut bare = Vec::with_capacity(rest.len() * 2);
    pairs.push(b'd');
    while let Some((name, value)) = token(&mut rest) {
        match value {
            None => string(name, &mut bare),
            Some(value) => {
                string(name, &mut pairs);
                write(value, DEPTH, &mut pairs);
            }
        }
    }
    pairs.extend_from_slice(b"0:l");
    pairs.append(&mut bare);
    pairs.extend_from_slice(b"ee");
    pairs
}

/// A value: text, or in brackets a list or a dictionary, whichever its first word looks like.
fn write(value: &[u8], depth: u8, out: &mut Vec<u8>) {
    let Some(inner) = value.strip_prefix(b"[").filter(|_| depth > 0) else { return string(value, out) };
    let mut rest = inner.strip_suffix(b"]").unwrap_or(inner);
    let is_dict = token(&mut &*rest).is_some_and(|(name, value)| value.is_some() && !name.is_empty());
    out.push(if is_dict { b'd' } else { b'l' });
    while let Some((name, value)) = token(&mut rest) {
        match (is_dict, value) {
            (true, value) => {
                string(name, out);
                write(value.unwrap_or_default(), depth - 1, out);
            }
            (false, None) => write(name, depth - 1, out),
            (false, Some(value)) => write(value, depth - 1, out),
        }
    }
    out.push(b'e');
}

/// Takes a word: what stands before its first `=` outside of brackets, and what stands behind it.
fn token<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let word = rest.trim_ascii_start();
    if word.is_empty() {
        return None;
    }
    let (mut open, mut equals, mut end) = (0u32, None, word.len());
    for (at, octet) in word.iter().enumerate() {
        match octet {
            b'[' => open += 1,
            b']' => open = open.saturating_sub(1),
            b'=' if open == 0 && equals.is_none() => equals = Some(at),
            octet if octet.is_ascii_whitespace() && open == 0 => {
                end = at;
                break;
            }
            _ => {}
        }
    }
    let (word, tail) = word.split_at_checked(end)?;
    *rest = tail;
    let pair = equals.and_then(|at| Some((word.get(..at)?, word.get(at + 1..))));
    Some(pair.unwrap_or((word, None)))
}

fn string(octets: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(octets.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(octets);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        String::from_utf8(to_bencode(text.as_bytes())).unwrap()
    }

    #[test]
    fn names_and_values() {
        assert_eq!(shown(""), "d0:lee");
        assert_eq!(shown(" trust-address  label=callee "), "d5:label6:callee0:l13:trust-addressee");
        assert_eq!(shown("a=b=c"), "d1:a3:b=c0:lee");
    }

    #[test]
    fn lists_and_dictionaries_in_brackets() {
        assert_eq!(shown("rtcp-mux=[offer accept]"), "d8:rtcp-muxl5:offer6:accepte0:lee");
        assert_eq!(shown("codec=[strip=[EVS] mask=all]"), "d5:codecd5:stripl3:EVSe4:mask3:alle0:lee");
        assert_eq!(shown("x=[[a b] [c d]]"), "d1:xll1:a1:bel1:c1:dee0:lee");
        assert_eq!(shown("x=[]"), "d1:xle0:lee");
    }

    #[test]
    fn any_text_gives_bencode_within_bounds() {
        use crate::ng::bencode::parse;
        let deep = format!("a={}", "[".repeat(5000));
        let long = "x=[a=b] ".repeat(4000);
        let words = "[ ] = [a =b ]c[ [=] a=[ b]= ".repeat(3);
        for text in [deep.as_str(), &long, &words, "]", "[", "=", "=x", "a=[b=[c", "\u{e4}=\u{fc}"] {
            parse(&to_bencode(text.as_bytes()), &LIMITS).unwrap();
        }
    }
}
