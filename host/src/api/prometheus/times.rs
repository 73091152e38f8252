//! Times and lengths of time as Prometheus' API takes them: seconds with a fraction, RFC 3339, `1h30m`.

use jiff::Timestamp;

/// How clients of Prometheus say "since ever" and "for ever".
const FIRST: &str = "-292273086-05-16T16:47:06Z";
const LAST: &str = "292277025-08-18T07:12:54.999999999Z";
/// Milliseconds beyond it have no nanoseconds in 64 bits: the year 2554.
const FARTHEST: i64 = (u64::MAX / 1_000_000) as i64;

/// A point in time in milliseconds since 1970, from the year 1385 to 2554; what lies beyond is cut off.
pub(super) fn parse_time(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>()
        && !seconds.is_nan()
    {
        // A cast keeps to the bounds of its type.
        return Ok(clamp((seconds * 1000.0).round() as i64));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(clamp(time.as_millisecond()));
    }
    match text {
        FIRST => Ok(-FARTHEST),
        LAST => Ok(FARTHEST),
        _ => Err(format!("cannot parse \"{}\" to a valid timestamp", shown(text))),
    }
}

fn clamp(millis: i64) -> i64 {
    millis.clamp(-FARTHEST, FARTHEST)
}

/// Nanoseconds since 1970; none before that.
pub(super) fn nanos(millis: i64) -> Option<u64> {
    u64::try_from(millis).ok().map(|millis| millis.saturating_mul(1_000_000))
}

/// The units of a length of time, the largest first, in milliseconds.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// A length of time in milliseconds: seconds, or numbers with units such as `1h30m`, each unit once and the
/// largest first.
pub(super) fn parse_duration(text: &str) -> Result<i64, String> {
    let error = || format!("cannot parse \"{}\" to a valid duration", shown(text));
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = seconds * 1000.0;
        // Prometheus refuses what its nanoseconds cannot hold.
        let holds = millis.is_finite() && millis.abs() <= 9.2e12;
        return if holds { Ok(millis.round() as i64) } else { Err(error()) };
    }
    let (mut rest, mut total, mut smaller) = (text, 0_i64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let at =
            UNITS.iter().position(|(name, _)| *name == unit).filter(|at| *at >= smaller).ok_or_else(error)?;
        let number: i64 = number.parse().map_err(|_| error())?;
        let part = number.checked_mul(UNITS[at].1).ok_or_else(error)?;
        total = total.checked_add(part).ok_or_else(error)?;
        (rest, smaller) = (tail, at + 1);
    }
    if text.is_empty() { Err(error()) } else { Ok(total) }
}

/// What of a wrong text stands in the error.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        for (text, millis) in [
            ("1435781430.781", 1_435_781_430_781),
            ("1435781430", 1_435_781_430_000),
            ("0.0004", 0),
            ("-1.5", -1500),
            ("2015-07-01T20:10:51.781Z", 1_435_781_451_781),
            ("2015-07-01T22:10:51.781+02:00", 1_435_781_451_781),
            ("1e300", FARTHEST),
            (FIRST, -FARTHEST),
            (LAST, FARTHEST),
        ] {
            assert_eq!(parse_time(text), Ok(millis), "{text}");
        }
        for text in ["", "now", "NaN", "2015-07-01", "1h"] {
            assert!(parse_time(text).unwrap_err().contains("to a valid timestamp"), "{text}");
        }
        assert_eq!((nanos(1), nanos(-1)), (Some(1_000_000), None));
    }

    #[test]
    fn durations_are_seconds_or_have_units() {
        for (text, millis) in [
            ("15", 15_000),
            ("0.5", 500),
            ("15s", 15_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("2w", 1_209_600_000),
            ("0s", 0),
            ("-5", -5000),
        ] {
            assert_eq!(parse_duration(text), Ok(millis), "{text}");
        }
        for text in ["", "5x", "m", "5m1h", "1m1m", "-5m", "1e300", "inf", "NaN", "99999999999999y", "5 m"] {
            assert!(parse_duration(text).unwrap_err().contains("to a valid duration"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_an_error(text in "\\PC{0,20}|[0-9hms.:TZ-]{0,24}") {
            let _ = parse_time(&text);
            let _ = parse_duration(&text);
        }
    }
}
