//! Lengths of time as Prometheus writes them: `5m`, `1h30m`, `2w`, `0`. Each unit at most once, from the
//! largest to the smallest; whole numbers only. Prometheus' configuration manual calls it `<duration>`.

/// Units in milliseconds, in the order in which they have to stand. A year is 365 days.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest length of time, in milliseconds: Prometheus counts it in nanoseconds in 63 bits.
const LONGEST: u64 = i64::MAX as u64 / 1_000_000;

/// Why a text is no length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    #[error("an empty text is no length of time: write a whole number and a unit, such as `5m` or `1h30m`")]
    Empty,
    #[error(
        "is no length of time: write whole numbers with units, the largest first, such as `30s`, `5m` or `1h30m`"
    )]
    Malformed,
    #[error("is too long: at most 292 years can be told")]
    TooLong,
}

/// Milliseconds of a length of time.
pub(crate) fn parse(text: &str) -> Result<u64, DurationError> {
    match text {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(0),
        _ => {}
    }
    let mut units = UNITS.iter();
    let mut rest = text;
    let mut sum = 0_u64;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = rest.split_at(digits);
        let letters = unit.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = unit.split_at(letters);
        // The iterator goes on where it stands, so a unit that is repeated or out of order is not found.
        let (_, factor) = units.find(|(name, _)| *name == unit).ok_or(DurationError::Malformed)?;
        if number.is_empty() {
            return Err(DurationError::Malformed);
        }
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*factor));
        sum = part.and_then(|part| sum.checked_add(part)).ok_or(DurationError::TooLong)?;
        rest = after;
    }
    if sum > LONGEST { Err(DurationError::TooLong) } else { Ok(sum) }
}

/// The text of a length of time in milliseconds, for tests. Weeks and years are used only where nothing
/// remains, so that 8 days are `8d` and no sum.
#[cfg(test)]
pub(crate) fn show(milliseconds: u64) -> String {
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let mut rest = milliseconds;
    let mut shown = String::new();
    for (unit, factor) in UNITS {
        let is_whole = rest.is_multiple_of(factor);
        let is_part = rest >= factor && (is_whole || !matches!(unit, "y" | "w"));
        if is_part {
            shown.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_with_units_are_read() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1y2w3d4h5m6s7ms", 31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_706_007),
            ("90s", 90_000),
            ("250ms", 250),
        ] {
            assert_eq!(parse(text), Ok(milliseconds), "{text}");
        }
    }

    #[test]
    fn what_prometheus_refuses_is_refused() {
        for text in ["5", "m", "1.5h", "-5m", "5m1h", "1m1m", "5 m", "1h 30m", "5M", "5mm", "ms", "1h30"] {
            assert_eq!(parse(text), Err(DurationError::Malformed), "{text}");
        }
        assert_eq!(parse(""), Err(DurationError::Empty));
        for text in ["293y", "99999999999999999999s", "9999999999999999y"] {
            assert_eq!(parse(text), Err(DurationError::TooLong), "{text}");
        }
    }

    #[test]
    fn they_are_shown_as_prometheus_shows_them() {
        for (milliseconds, text) in
            [(0, "0s"), (691_200_000, "8d"), (1_209_600_000, "2w"), (61_001, "1m1s1ms")]
        {
            assert_eq!(show(milliseconds), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(milliseconds in 0..=LONGEST) {
            prop_assert_eq!(parse(&show(milliseconds)), Ok(milliseconds));
        }

        #[test]
        fn no_text_panics(text in "[0-9a-z é]{0,12}") {
            let _ = parse(&text);
        }
    }
}
