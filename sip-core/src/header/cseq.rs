//! CSeq (RFC 3261 §20.16).

use super::grammar::{Step, number, sws, text, token};
use super::{Header, HeaderError, TypedHeader};
use crate::Method;

/// Sequence number and method of a request, repeated in its responses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// The number; RFC 3261 §8.1.1.5 keeps it below 2^31, and up to 2^32-1 is read.
    pub seq: u32,
    /// The method.
    pub method: Method,
}

/// Number and method octets, without building a [`Method`].
pub(crate) fn parts(value: &[u8]) -> Option<(u32, &[u8])> {
    fn inner(input: &[u8]) -> Step<'_, (u32, &[u8])> {
        let (rest, _) = sws(input)?;
        let (rest, seq) = number(rest, u64::from(u32::MAX))?;
        let (rest, blank) = sws(rest)?;
        if blank.is_empty() {
            return Err(nom::Err::Error(()));
        }
        let (rest, method) = token(rest)?;
        let (rest, _) = sws(rest)?;
        Ok((rest, (seq as u32, method)))
    }
    match inner(value) {
        Ok(([], parts)) => Some(parts),
        _ => None,
    }
}

impl<'a> TypedHeader<'a> for CSeq {
    const NAME: Header = Header::CSeq;

    fn parse(value: &'a [u8]) -> Result<CSeq, HeaderError> {
        let bad = HeaderError { header: Header::CSeq };
        let (seq, method) = parts(value).ok_or(bad)?;
        Ok(CSeq { seq, method: Method::from(text(method).ok_or(bad)?) })
    }

    fn write(&self, out: &mut Vec<u8>) {
        super::write_number(out, b"", u64::from(self.seq));
        out.push(b' ');
        out.extend_from_slice(self.method.as_str().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_20_16_number_blank_method() {
        let cseq = CSeq::parse(b" 0009\r\n  INVITE ").expect("valid");
        assert_eq!(cseq, CSeq { seq: 9, method: Method::Invite });
        let mut out = Vec::new();
        cseq.write(&mut out);
        assert_eq!(out, b"9 INVITE");
    }

    #[test]
    fn rfc4475_3_1_2_4_beyond_32_bits_is_refused() {
        for bad in
            ["36893488147419103232 REGISTER", "4294967296 ACK", "1INVITE", "INVITE", "1", "-1 BYE", "1 BYE x", ""]
        {
            assert!(CSeq::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
