//! Finds times in lines, so that they are masked as one thing and tell when a line was written.
//!
//! A time without a zone is taken for UTC: the plugin counts by intervals and needs differences only.

const SECOND: u64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// A time in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// How many bytes it takes.
    pub length: usize,
    /// Nanoseconds since 1970, if the text tells a date; without a year the date is not used.
    pub time: Option<u64>,
}

/// Days from 1970-01-01 to a date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    year.div_euclid(400) * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
        - 719_468
}

fn month_of(name: &[u8]) -> Option<i64> {
    const NAMES: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let at = NAMES.chunks(3).position(|known| known == name)?;
    Some(at as i64 + 1)
}

fn is_weekday(name: &[u8]) -> bool {
    b"MonTueWedThuFriSatSun".chunks(3).any(|known| known == name)
}

/// The number in `bytes[at..at + len]`, if those are all digits.
#[inline]
fn digits(bytes: &[u8], at: usize, len: usize) -> Option<i64> {
    let part = bytes.get(at..at + len)?;
    part.iter().try_fold(0, |number, b| b.is_ascii_digit().then(|| number * 10 + i64::from(b - b'0')))
}

fn is_at(bytes: &[u8], at: usize, wanted: u8) -> bool {
    bytes.get(at) == Some(&wanted)
}

/// `hh:mm:ss` with a fraction, at an index: seconds of the day and the length.
#[inline]
fn clock(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    if !is_at(bytes, at + 2, b':') || !is_at(bytes, at + 5, b':') {
        return None;
    }
    let (hour, minute, second) =
        (digits(bytes, at, 2)?, digits(bytes, at + 3, 2)?, digits(bytes, at + 6, 2)?);
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut length = 8;
    if matches!(bytes.get(at + 8), Some(b'.' | b',')) {
        let fraction = bytes[at + 9..].iter().take_while(|b| b.is_ascii_digit()).count();
        length += if fraction > 0 { 1 + fraction } else { 0 };
    }
    Some((hour * 3600 + minute * 60 + second, length))
}

/// Seconds east of UTC and the length of `Z`, `+00:00`, `+0000`.
fn zone(bytes: &[u8]) -> Option<(i64, usize)> {
    let sign = match bytes.first()? {
        b'Z' => return Some((0, 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let colon = usize::from(is_at(bytes, 3, b':'));
    let (hours, minutes) = (digits(bytes, 1, 2)?, digits(bytes, 3 + colon, 2)?);
    (hours < 24 && minutes < 60).then_some((sign * (hours * 3600 + minutes * 60), 5 + colon))
}

fn nanos(days: i64, seconds: i64) -> Option<u64> {
    u64::try_from(days * DAY + seconds).ok()?.checked_mul(SECOND)
}

/// `2026-11-20T16:26:35.048+00:00`, with a blank for the `T` or slashes in the date (nginx).
#[inline]
pub fn iso(bytes: &[u8]) -> Option<Found> {
    let separator = *bytes.get(4)?;
    if !matches!(separator, b'-' | b'/')
        || !is_at(bytes, 7, separator)
        || !matches!(bytes.get(10), Some(b'T' | b' '))
    {
        return None;
    }
    let (year, month, day) = (digits(bytes, 0, 4)?, digits(bytes, 5, 2)?, digits(bytes, 8, 2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (of_day, length) = clock(bytes, 11)?;
    let (east, zone_length) = zone(&bytes[11 + length..]).unwrap_or_default();
    Some(Found {
        length: 11 + length + zone_length,
        time: nanos(days_from_civil(year, month, day), of_day - east),
    })
}

/// `20/Nov/2026:16:26:23` of the common log format; the zone behind it is a token of its own.
pub fn common_log(bytes: &[u8]) -> Option<Found> {
    let (day, month, year) = (digits(bytes, 0, 2)?, month_of(bytes.get(3..6)?)?, digits(bytes, 7, 4)?);
    if !is_at(bytes, 2, b'/') || !is_at(bytes, 6, b'/') || !is_at(bytes, 11, b':') {
        return None;
    }
    let (of_day, length) = clock(bytes, 12)?;
    let east = match bytes.get(12 + length) {
        Some(b' ') => zone(&bytes[13 + length..]).map_or(0, |(east, _)| east),
        _ => 0,
    };
    Some(Found { length: 12 + length, time: nanos(days_from_civil(year, month, day), of_day - east) })
}

/// A time of day alone.
pub fn of_day(bytes: &[u8]) -> Option<Found> {
    clock(bytes, 0).map(|(_, length)| Found { length, time: None })
}

/// The time that a line begins with: one of the above, `Nov 20 16:26:35` (RFC 3164),
/// `[Fri Nov 20 16:26:09.194915 2026]` (Apache), `[ 2069.949884]` (the kernel).
#[inline]
pub fn leading(line: &[u8]) -> Option<Found> {
    match line.first()? {
        b'0'..=b'9' => iso(line),
        b'A'..=b'Z' => rfc3164(line),
        b'[' => bracketed(line),
        _ => None,
    }
}

/// The year is not told, so the time is not used: the record's own is as good.
fn rfc3164(line: &[u8]) -> Option<Found> {
    month_of(line.get(..3)?)?;
    let day = if is_at(line, 4, b' ') { digits(line, 5, 1) } else { digits(line, 4, 2) };
    if !is_at(line, 3, b' ') || !is_at(line, 6, b' ') {
        return None;
    }
    day?;
    let (_, length) = clock(line, 7)?;
    Some(Found { length: 7 + length, time: None })
}

fn bracketed(line: &[u8]) -> Option<Found> {
    let inner = &line[1..];
    if is_weekday(inner.get(..3)?) {
        let day = digits(inner, 8, 2)?;
        let month = month_of(inner.get(4..7)?)?;
        let (of_day, length) = clock(inner, 11)?;
        let end = 11 + length;
        let year = digits(inner, end + 1, 4)?;
        if !is_at(inner, end + 5, b']') {
            return None;
        }
        return Some(Found { length: end + 7, time: nanos(days_from_civil(year, month, day), of_day) });
    }
    if let Some(found) = iso(inner)
        && is_at(inner, found.length, b']')
    {
        return Some(Found { length: found.length + 2, ..found });
    }
    let blanks = inner.iter().take_while(|b| **b == b' ').count();
    let number = inner[blanks..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    (number > 2 && is_at(inner, blanks + number, b']'))
        .then_some(Found { length: blanks + number + 2, time: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-20T16:26:35Z.
    const TIME: u64 = 1_795_191_995 * SECOND;

    fn check(line: &str, length: usize, time: Option<u64>) {
        assert_eq!(leading(line.as_bytes()), Some(Found { length, time }), "{line}");
    }

    #[test]
    fn times_at_the_start_of_lines_are_found() {
        check("2026-11-20T16:26:35.048654+00:00 web-1", 32, Some(TIME));
        check("2026-11-20 16:26:35 status", 19, Some(TIME));
        check("2026/11/20 16:26:35 [error]", 19, Some(TIME));
        check("2026-11-20T18:26:35+0200", 24, Some(TIME));
        check("Nov 20 16:26:35 web-1", 15, None);
        check("Nov  2 16:26:35 web-1", 15, None);
        check("[Fri Nov 20 16:26:35.194915 2026] [mpm]", 33, Some(TIME));
        check("[ 2069.949884] crashing", 14, None);
        check("[2026-11-20 16:26:35] x", 21, Some(TIME));
    }

    #[test]
    fn the_common_log_format_tells_its_zone_behind_the_time() {
        let found = common_log(b"20/Nov/2026:18:26:35 +0200] \"GET").unwrap();
        assert_eq!(found, Found { length: 20, time: Some(TIME) });
    }

    #[test]
    fn other_beginnings_are_no_times() {
        for line in [
            "",
            "[",
            "[12]",
            "[error] x",
            "2026-11-20",
            "Novel 20",
            "2026-13-20T00:00:00",
            "reading config",
            "Nov 20 16:26",
        ] {
            assert_eq!(leading(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(line in proptest::collection::vec(any::<u8>(), 0..60), cut in 0_usize..40) {
            for bytes in [&line[..], &b"2026-11-20T16:26:35.048654+00:00"[..cut.min(32)], &b"[Fri Nov 20 16:26:35.194915 2026]"[..cut.min(33)]] {
                for found in [leading(bytes), iso(bytes), common_log(bytes), of_day(bytes)].into_iter().flatten() {
                    prop_assert!(found.length <= bytes.len());
                }
            }
        }
    }
}
