//! Date (RFC 3261 §20.17), and the calendar behind it.

/// A time in GMT by the Gregorian calendar, to the second.
///
/// ```
/// use c4_sip_core::header::Date;
/// let date = Date::from_unix(784_111_777);
/// assert_eq!((date.year, date.month, date.day, date.hour), (1994, 11, 6, 8));
/// assert_eq!(date.text(), *b"Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date {
    /// The year.
    pub year: u64,
    /// January is 1.
    pub month: u8,
    /// From 1.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59: Unix time knows no leap seconds.
    pub second: u8,
    /// Sunday is 0.
    pub weekday: u8,
}

const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

impl Date {
    /// The date `unix` seconds after the Unix epoch.
    pub fn from_unix(unix: u64) -> Date {
        let (days, seconds) = (unix / 86_400, unix % 86_400);
        // The calendar repeats every 400 years (146 097 days); counted from 1 March of the year 0, the leap day comes last.
        let since = days + 719_468;
        let (era, of_era) = (since / 146_097, since % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        Date {
            year: era * 400 + year_of_era + u64::from(month <= 2),
            month: month as u8,
            day: (of_year - (153 * from_march + 2) / 5 + 1) as u8,
            hour: (seconds / 3600) as u8,
            minute: (seconds / 60 % 60) as u8,
            second: (seconds % 60) as u8,
            // 1 January 1970 was a Thursday.
            weekday: ((days + 4) % 7) as u8,
        }
    }

    /// The value of a Date header, always in GMT; without an allocation, since each 200 to a REGISTER has one.
    pub fn text(&self) -> [u8; 29] {
        let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        put(&mut text, 0, WEEKDAYS.get(usize::from(self.weekday)).copied().unwrap_or(b"   "));
        put(&mut text, 8, MONTHS.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or(b"   "));
        let (century, of_century) = ((self.year / 100 % 100) as u8, (self.year % 100) as u8);
        let (hour, minute, second) = (self.hour, self.minute, self.second);
        for (at, number) in [(5, self.day), (12, century), (14, of_century), (17, hour), (20, minute), (23, second)] {
            put(&mut text, at, &[b'0' + number / 10 % 10, b'0' + number % 10]);
        }
        text
    }
}

fn put(text: &mut [u8], at: usize, part: &[u8]) {
    for (to, from) in text.iter_mut().skip(at).zip(part) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3261_20_17_date() {
        let text = |unix| String::from_utf8(Date::from_unix(unix).text().to_vec()).unwrap();
        assert_eq!(text(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(text(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(text(951_782_399), "Mon, 28 Feb 2000 23:59:59 GMT");
        assert_eq!(text(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(text(1_289_692_799), "Sat, 13 Nov 2010 23:59:59 GMT");
        assert_eq!(text(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
    }
}
