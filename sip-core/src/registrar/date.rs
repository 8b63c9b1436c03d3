//! The Date header (RFC 3261 §20.17).

use super::config::WallClock;

/// The date at `now`, always in GMT; without an allocation, since each 200 has one.
pub(super) fn date(wall: &WallClock, now: std::time::Instant) -> [u8; 29] {
    let unix = wall.unix_at(now);
    let (days, seconds) = (unix.as_secs() / 86_400, unix.as_secs() % 86_400);
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    // Days since 1 March of the year 0, in cycles of 400 years; January and February belong to the year before.
    let since = days + 719_468;
    let (era, of_era) = (since / 146_097, since % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + u64::from(month >= 10);
    let weekday = WEEKDAYS.get(days as usize % 7).unwrap_or(&"");
    let name = MONTHS.get(month as usize).unwrap_or(&"");
    let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let clock = [
        (5, day),
        (12, year / 100),
        (14, year % 100),
        (17, seconds / 3600),
        (20, seconds / 60 % 60),
        (23, seconds % 60),
    ];
    for (at, number) in clock {
        put(&mut text, at, &[b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
    }
    put(&mut text, 0, weekday.as_bytes());
    put(&mut text, 8, name.as_bytes());
    text
}

fn put(text: &mut [u8], at: usize, part: &[u8]) {
    for (to, from) in text.iter_mut().skip(at).zip(part) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "an arbitrary instant to count from")]
    fn rfc3261_20_17_date() {
        let now = std::time::Instant::now();
        let text = |unix| {
            let value = date(&WallClock { at: now, unix: Duration::from_secs(unix) }, now);
            String::from_utf8(value.to_vec()).unwrap()
        };
        assert_eq!(text(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(text(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(text(951_782_399), "Mon, 28 Feb 2000 23:59:59 GMT");
        assert_eq!(text(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(text(1_289_692_799), "Sat, 13 Nov 2010 23:59:59 GMT");
        assert_eq!(text(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
    }
}
