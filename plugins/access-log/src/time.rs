//! The times of access logs, to the second.
//!
//! Only the formats that web servers write: `10/Oct/2000:13:55:36 -0700`, ISO 8601 as in
//! `2000-10-10T13:55:36.123-07:00`, and Unix seconds. Leap seconds count as the second before.

/// How long the common log format's time is, without its brackets.
pub(crate) const CLF_BYTES: usize = 26;

/// The last time that was parsed. Lines of the same second stand together, so most lines cost one
/// comparison.
#[derive(Debug)]
pub(crate) struct LastTime {
    text: [u8; CLF_BYTES],
    seconds: Option<u64>,
}

impl LastTime {
    pub(crate) fn new() -> Self {
        Self { text: [0; CLF_BYTES], seconds: None }
    }

    /// The Unix seconds of a time in the common log format.
    #[inline]
    pub(crate) fn clf(&mut self, text: &[u8; CLF_BYTES]) -> Option<u64> {
        if *text != self.text {
            self.seconds = clf(text);
            self.text = *text;
        }
        self.seconds
    }
}

/// The time in any of the formats.
pub(crate) fn any(text: &[u8]) -> Option<u64> {
    if let Ok(text) = <&[u8; CLF_BYTES]>::try_from(text)
        && text[2] == b'/'
    {
        return clf(text);
    }
    match text.get(4) {
        Some(b'-') => iso(text),
        _ => unix(text),
    }
}

/// `10/Oct/2000:13:55:36 -0700`.
fn clf(text: &[u8; CLF_BYTES]) -> Option<u64> {
    let [d1, d2, b'/', m1, m2, m3, b'/', year @ .., b' ', sign, h1, h2, n1, n2] = text else { return None };
    let [y1, y2, y3, y4, b':', time @ ..] = year else { return None };
    let month = 1 + MONTHS.iter().position(|name| name == &[*m1, *m2, *m3])? as u64;
    let days = days(digits(&[*y1, *y2, *y3, *y4])?, month, digits(&[*d1, *d2])?)?;
    local(days, time, *sign, digits(&[*h1, *h2])?, digits(&[*n1, *n2])?)
}

/// `2000-10-10T13:55:36-07:00`, with or without a fraction and the colon in the offset, or `Z`.
fn iso(text: &[u8]) -> Option<u64> {
    let (date, rest) = text.split_at_checked(11)?;
    let [year @ .., b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' '] = date else { return None };
    let days = days(digits(year)?, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?)?;
    let (time, rest) = rest.split_at_checked(8)?;
    let rest = match rest {
        [b'.' | b',', rest @ ..] => &rest[rest.iter().take_while(|byte| byte.is_ascii_digit()).count()..],
        rest => rest,
    };
    match rest {
        [b'Z' | b'z'] => local(days, time, b'+', 0, 0),
        [sign, h1, h2, b':', n1, n2] | [sign, h1, h2, n1, n2] => {
            local(days, time, *sign, digits(&[*h1, *h2])?, digits(&[*n1, *n2])?)
        }
        _ => None,
    }
}

/// Seconds since 1970, or milliseconds when the number is too large for seconds.
fn unix(text: &[u8]) -> Option<u64> {
    // The year 5138 in seconds, and March 1973 in milliseconds.
    const SECONDS_END: f64 = 1e11;
    let number = crate::request::decimal(text)?;
    Some(if number < SECONDS_END { number as u64 } else { (number / 1000.0) as u64 })
}

const MONTHS: [[u8; 3]; 12] = [
    *b"Jan", *b"Feb", *b"Mar", *b"Apr", *b"May", *b"Jun", *b"Jul", *b"Aug", *b"Sep", *b"Oct", *b"Nov",
    *b"Dec",
];

/// `13:55:36` on a day, by an offset from Greenwich.
fn local(days: i64, time: &[u8], sign: u8, hours: u64, minutes: u64) -> Option<u64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = time else { return None };
    let (hour, minute, second) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?);
    if hour > 23 || minute > 59 || second > 60 || hours > 23 || minutes > 59 {
        return None;
    }
    let offset = (hours * 3600 + minutes * 60) as i64;
    let offset = match sign {
        b'+' => offset,
        b'-' => -offset,
        _ => return None,
    };
    let seconds = days * 86_400 + (hour * 3600 + minute * 60 + second.min(59)) as i64 - offset;
    u64::try_from(seconds).ok()
}

/// Days since 1970-01-01 in the Gregorian calendar: Howard Hinnant's `days_from_civil`
/// (chrono-compatible low-level date algorithms, 2013).
fn days(year: u64, month: u64, day: u64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || year == 0 {
        return None;
    }
    let year = year as i64 - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month as i64 + 9) % 12) + 2) / 5 + day as i64 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

fn digits(text: &[u8]) -> Option<u64> {
    crate::request::integer(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(any(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn every_format_of_the_servers_is_read() {
        // Compared with `date -d … +%s`.
        check("10/Oct/2000:13:55:36 -0700", Some(971_211_336));
        check("29/Feb/2024:23:59:59 +0000", Some(1_709_251_199));
        check("01/Jan/1970:00:00:00 +0000", Some(0));
        check("2024-12-29T12:42:47+01:00", Some(1_735_472_567));
        check("2024-12-29T11:42:47.503803974Z", Some(1_735_472_567));
        check("2024-12-29T11:42:47.503+0000", Some(1_735_472_567));
        check("1795193262.778", Some(1_795_193_262));
        check("1795193262778", Some(1_795_193_262));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "-",
            "10/Okt/2000:13:55:36 -0700",
            "10/Oct/2000:25:55:36 -0700",
            "40/Oct/2000:13:55:36 -0700",
            "10/Oct/2000:13:55:36 *0700",
            "2024-13-29T12:42:47Z",
            "2024-12-29T12:42:47",
            "31/Dec/1969:00:00:00 +0000",
            "yesterday",
        ] {
            check(text, None);
        }
    }
}
