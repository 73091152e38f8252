//! The times that stand before a message: RFC 3164 (`Nov 20 16:26:35`) and ISO 8601 as in RFC 5424.
//!
//! Knows the proleptic Gregorian calendar and nothing of time zones: where a line does not tell its
//! offset from UTC, the configuration does.

const SECOND: u64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Days from 1970-01-01 to a date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The year in which a point in time lies.
fn year_of(seconds: i64) -> i64 {
    let year = 1970 + seconds.div_euclid(31_556_952);
    // The mean year is at most a day off at either end.
    match seconds.div_euclid(DAY) {
        days if days < days_from_civil(year, 1, 1) => year - 1,
        days if days >= days_from_civil(year + 1, 1, 1) => year + 1,
        _ => year,
    }
}

fn month_of(name: &[u8]) -> Option<i64> {
    const NAMES: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    NAMES.iter().position(|known| *known == name).map(|index| index as i64 + 1)
}

/// The number in `bytes[from..to]`, if those are all digits.
fn digits(bytes: &[u8], from: usize, to: usize) -> Option<i64> {
    let part = bytes.get(from..to)?;
    part.iter().try_fold(0, |number, b| b.is_ascii_digit().then(|| number * 10 + i64::from(b - b'0')))
}

/// `hh:mm:ss` at an index, in seconds. A leap second is taken as the second after it.
fn clock(bytes: &[u8], at: usize) -> Option<i64> {
    let separated = bytes.get(at + 2) == Some(&b':') && bytes.get(at + 5) == Some(&b':');
    let (hour, minute, second) =
        (digits(bytes, at, at + 2)?, digits(bytes, at + 3, at + 5)?, digits(bytes, at + 6, at + 8)?);
    (separated && hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

fn nanos(seconds: i64, fraction: u64) -> Option<u64> {
    u64::try_from(seconds).ok()?.checked_mul(SECOND)?.checked_add(fraction)
}

/// `Nov 20 16:26:35` or `Nov  2 16:26:35`: the time and its length in bytes. The year is the one that
/// brings it closest behind `near` (nanoseconds), or at most a day ahead of it; the zone is `offset`
/// seconds east of UTC.
pub(super) fn rfc3164(text: &[u8], near: u64, offset: i64) -> Option<(u64, usize)> {
    let month = month_of(text.get(..3)?)?;
    let day = match text.get(4)? {
        b' ' => digits(text, 5, 6)?,
        _ => digits(text, 4, 6)?,
    };
    if text[3] != b' ' || text.get(6) != Some(&b' ') || !(1..=31).contains(&day) {
        return None;
    }
    let of_day = clock(text, 7)? - offset;
    let near = (near / SECOND) as i64;
    let year = year_of(near);
    let in_year = |year| days_from_civil(year, month, day) * DAY + of_day;
    let seconds = match in_year(year) {
        ahead if ahead > near + DAY => in_year(year - 1),
        // On New Year's Eve a clock ahead of ours writes the next year's first hours.
        behind if in_year(year + 1) <= near + DAY => behind.max(in_year(year + 1)),
        seconds => seconds,
    };
    Some((nanos(seconds, 0)?, 15))
}

/// `2026-11-20T16:26:35[.048654][Z|+00:00|+0000]`, also with a blank for the `T`: the time and its
/// length in bytes. Without a zone it lies `offset` seconds east of UTC.
pub(super) fn iso8601(text: &[u8], offset: i64) -> Option<(u64, usize)> {
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 7)?, digits(text, 8, 10)?);
    let separated = text[4] == b'-' && text[7] == b'-' && matches!(text.get(10), Some(b'T' | b' '));
    if !separated || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let of_day = clock(text, 11)?;
    let mut at = 19;
    let mut fraction = 0;
    if matches!(text.get(at), Some(b'.' | b',')) {
        let count = text[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        let kept = count.min(9);
        fraction = digits(text, at + 1, at + 1 + kept)? as u64 * 10_u64.pow(9 - kept as u32);
        at += 1 + count;
    }
    let (zone, length) = zone(&text[at..]).unwrap_or((offset, 0));
    let seconds = days_from_civil(year, month, day) * DAY + of_day - zone;
    Some((nanos(seconds, fraction)?, at + length))
}

/// Seconds east of UTC and the length of the text.
fn zone(text: &[u8]) -> Option<(i64, usize)> {
    let sign = match text.first()? {
        b'Z' => return Some((0, 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let colon = usize::from(text.get(3) == Some(&b':'));
    let (hours, minutes) = (digits(text, 1, 3)?, digits(text, 3 + colon, 5 + colon)?);
    (hours < 24 && minutes < 60).then_some((sign * (hours * 3600 + minutes * 60), 5 + colon))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-20T16:26:35Z.
    const NOW: u64 = 1_795_191_995 * SECOND;

    #[test]
    fn a_date_without_a_year_gets_the_one_closest_behind() {
        let check = |text: &str, near: u64, expected: i64| {
            assert_eq!(rfc3164(text.as_bytes(), near, 0).unwrap().0, expected as u64 * SECOND, "{text}");
        };
        check("Nov 20 16:26:35", NOW, 1_795_191_995);
        check("Nov  2 16:26:35", NOW, 1_795_191_995 - 18 * DAY);
        check("Dec 31 23:59:59", NOW, days_from_civil(2026, 1, 1) * DAY - 1);
        let new_year = days_from_civil(2026, 1, 1) * DAY;
        check("Dec 31 23:59:58", (new_year as u64 + 5) * SECOND, new_year - 2);
        check("Jan  1 00:00:02", (new_year as u64 - 5) * SECOND, new_year + 2);
        assert_eq!(rfc3164(b"Nov 20 16:26:35", NOW, 3600).unwrap().0, NOW - 3600 * SECOND);
    }

    #[test]
    fn iso_times_have_fractions_and_zones() {
        let check = |text: &str, expected: u64, length: usize| {
            assert_eq!(iso8601(text.as_bytes(), 0), Some((expected, length)), "{text}");
        };
        check("2026-11-20T16:26:35Z web", NOW, 20);
        check("2026-11-20T16:26:35.048654+00:00 web", NOW + 48_654_000, 32);
        check("2026-11-20T18:26:35+0200", NOW, 24);
        check("2026-11-20 16:26:35,5 x", NOW + SECOND / 2, 21);
        check("1970-01-01T00:00:00Z", 0, 20);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "Nov", "Nov 20 16:26", "Foo 20 16:26:35", "Nov 32 16:26:35", "Nov 20 24:00:00"] {
            assert_eq!(rfc3164(text.as_bytes(), NOW, 0), None, "{text}");
        }
        for text in ["2026-13-20T16:26:35Z", "2026-11-20", "2026-11-20T16:26", "1969-12-31T23:59:59Z"] {
            assert_eq!(iso8601(text.as_bytes(), 0), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_time_is_read_back(days in 0_i64..40_000, second in 0_i64..DAY, micros in 0_u64..1_000_000) {
            let year = year_of(days * DAY);
            let of_year = days - days_from_civil(year, 1, 1);
            let month = (1..=12).rev().find(|m| days_from_civil(year, *m, 1) <= days).unwrap();
            let day = days - days_from_civil(year, month, 1) + 1;
            prop_assert!((0..366).contains(&of_year));
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{micros:06}Z",
                second / 3600, second / 60 % 60, second % 60
            );
            let expected = (days * DAY + second) as u64 * SECOND + micros * 1000;
            prop_assert_eq!(iso8601(text.as_bytes(), 0), Some((expected, text.len())));
        }
    }
}
