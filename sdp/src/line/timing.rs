//! `t=`, `r=` and `z=`.

/// When a session is active (RFC 8866 §5.9): seconds since 1900, 0 for no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Its start.
    pub start: u64,
    /// Its end.
    pub stop: u64,
}

impl Timing {
    /// Reads the value of a `t=` line; None if it is malformed.
    pub fn parse(value: &str) -> Option<Timing> {
        let mut fields = value.split_ascii_whitespace();
        let (start, stop) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        fields.next().is_none().then_some(Timing { start, stop })
    }
}

/// Repetition of a time (RFC 8866 §5.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatTimes<'a> {
    /// Seconds from one start to the next.
    pub interval: i64,
    /// Seconds that it is active.
    pub duration: i64,
    offsets: &'a str,
}

impl<'a> RepeatTimes<'a> {
    /// Reads the value of an `r=` line; None if a number of it is malformed or none is there as offset.
    pub fn parse(value: &'a str) -> Option<RepeatTimes<'a>> {
        let (interval, rest) = value.trim().split_once(' ')?;
        let (duration, offsets) = rest.trim_start().split_once(' ')?;
        if offsets.split_ascii_whitespace().any(|offset| seconds(offset).is_none()) {
            return None;
        }
        Some(RepeatTimes { interval: seconds(interval)?, duration: seconds(duration)?, offsets })
    }

    /// Offsets from the start time, in seconds.
    pub fn offsets(&self) -> impl Iterator<Item = i64> + use<'a> {
        self.offsets.split_ascii_whitespace().filter_map(seconds)
    }
}

/// A change of the time zone (RFC 8866 §5.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZoneAdjustment<'a> {
    /// When, as written: seconds since 1900.
    pub at: &'a str,
    /// By how many seconds times are to be moved.
    pub offset: i64,
}

impl<'a> ZoneAdjustment<'a> {
    /// Reads the value of a `z=` line. Malformed pairs are left out.
    pub fn parse_all(value: &'a str) -> impl Iterator<Item = ZoneAdjustment<'a>> {
        let mut fields = value.split_ascii_whitespace();
        std::iter::from_fn(move || Some((fields.next()?, fields.next()?)))
            .filter_map(|(at, offset)| Some(ZoneAdjustment { at, offset: seconds(offset)? }))
    }
}

/// A typed time: a number with or without a unit of `d`, `h`, `m`, `s` (RFC 8866 §5.10), in seconds.
fn seconds(text: &str) -> Option<i64> {
    let (number, unit) = match text.as_bytes().last()? {
        b'd' => (text.strip_suffix('d')?, 86_400),
        b'h' => (text.strip_suffix('h')?, 3600),
        b'm' => (text.strip_suffix('m')?, 60),
        b's' => (text.strip_suffix('s')?, 1),
        _ => (text, 1),
    };
    number.parse::<i64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc8866_5_10_repeat_times_have_units() {
        let plain = RepeatTimes::parse("604800 3600 0 90000").unwrap();
        let compact = RepeatTimes::parse("7d 1h 0 25h").unwrap();
        assert_eq!((plain.interval, plain.duration), (compact.interval, compact.duration));
        assert!(plain.offsets().eq(compact.offsets()));
        assert!(RepeatTimes::parse("7d 1h 0 9223372036854775807d").is_none());
    }

    #[test]
    fn rfc8866_5_11_zone_adjustments() {
        let all: Vec<_> = ZoneAdjustment::parse_all("3730928400 -1h 3749680800 0").map(|z| z.offset).collect();
        assert_eq!(all, [-3600, 0]);
    }
}
