//! Q.850 causes: why a call ended, in the telephone network's numbers.

/// A Q.850 cause value, 1 to 127.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cause(pub u8);

impl Cause {
    /// Normal call clearing.
    pub const NORMAL: Cause = Cause(16);
    /// Recovery on timer expiry.
    pub const TIMER: Cause = Cause(102);
    /// Interworking, unspecified.
    pub const INTERWORKING: Cause = Cause(127);

    /// The cause in a Reason header (RFC 3326 §2): the first value of protocol `Q.850` with a cause from 1 to 127.
    ///
    /// ```
    /// use c4_ref::cdr::Cause;
    /// assert_eq!(Cause::from_reason("SIP ;cause=200, Q.850 ;cause=17 ;text=\"busy\""), Some(Cause(17)));
    /// assert_eq!(Cause::from_reason("SIP;cause=487"), None);
    /// ```
    pub fn from_reason(value: &str) -> Option<Cause> {
        outside_quotes(value, ',').find_map(|value| {
            let mut parts = outside_quotes(value, ';');
            if !parts.next()?.trim().eq_ignore_ascii_case("q.850") {
                return None;
            }
            let cause = parts.find_map(|part| {
                let (name, number) = part.split_once('=')?;
                name.trim().eq_ignore_ascii_case("cause").then(|| number.trim().parse::<u8>().ok())?
            })?;
            (1..=127).contains(&cause).then_some(Cause(cause))
        })
    }
}

/// The cause that stands for a final SIP status (RFC 3398 §8.2.6.1); 16 for a success and for 487, a caller who gave up.
pub fn cause_of_status(status: u16) -> Cause {
    Cause(match status {
        200..=299 | 487 => 16,
        400 | 481 | 500 | 503 => 41,
        401 | 402 | 403 | 407 | 603 => 21,
        404 | 485 | 604 => 1,
        405 => 63,
        406 | 415 | 501 => 79,
        408 | 504 => 102,
        410 => 22,
        480 => 18,
        482 | 483 => 25,
        484 => 28,
        486 | 600 => 17,
        502 => 38,
        _ => 127,
    })
}

/// The parts of `text` between separators that stand outside quoted strings.
fn outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let plain = !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        plain && c == separator
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3326_2_the_q850_cause_is_found_among_others() {
        assert_eq!(Cause::from_reason("Q.850;cause=16"), Some(Cause(16)));
        assert_eq!(Cause::from_reason("q.850 ; text=\"a, Q.850;cause=1\" ; cause=34"), Some(Cause(34)));
        assert_eq!(Cause::from_reason("SIP;cause=600;text=\"x\\\", Q.850;cause=1\""), None);
        assert_eq!(Cause::from_reason("Q.850;cause=0"), None);
        assert_eq!(Cause::from_reason("Q.850;cause=900"), None);
        assert_eq!(Cause::from_reason(""), None);
    }

    #[test]
    fn rfc3398_8_2_6_1_status_maps_to_cause() {
        for (status, cause) in [
            (200, 16),
            (404, 1),
            (486, 17),
            (480, 18),
            (484, 28),
            (403, 21),
            (408, 102),
            (503, 41),
            (603, 21),
            (488, 127),
        ] {
            assert_eq!(cause_of_status(status), Cause(cause), "{status}");
        }
    }
}
