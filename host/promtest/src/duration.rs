//! Lengths of time as Prometheus writes them: `1h30m`, `15s`, `10s53ms`, `0`. A year has 365 days.

/// The units from the longest on, in milliseconds. Each may stand once, and only in this order.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no length of time: write whole numbers with units from y, w, d, h, m, s, ms, such as `1h30m`"
)]
pub struct DurationError(String);

/// Milliseconds. Never negative, and less than 292 years, so that it also counts in nanoseconds.
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    let error = || DurationError(text.chars().take(40).collect());
    if text == "0" {
        return Ok(0);
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let number: i64 = rest[..digits].parse().map_err(|_| error())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, behind) = rest.split_at(letters);
        let (_, factor) = units.by_ref().find(|(name, _)| *name == unit).ok_or_else(error)?;
        total = number.checked_mul(*factor).and_then(|it| total.checked_add(it)).ok_or_else(error)?;
        rest = behind;
    }
    let fits = !text.is_empty() && total.checked_mul(1_000_000).is_some();
    fits.then_some(total).ok_or_else(error)
}

/// As Prometheus shows it; weeks and years only when they are whole.
pub fn show_duration(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut left = millis.unsigned_abs();
    let mut shown = String::from(if millis < 0 { "-" } else { "" });
    for (unit, factor) in UNITS {
        let factor = factor.unsigned_abs();
        let is_coarse = matches!(unit, "y" | "w");
        if left >= factor && (!is_coarse || left.is_multiple_of(factor)) {
            shown += &format!("{}{unit}", left / factor);
            left %= factor;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_prometheus_reads_them() {
        for (text, expected) in [
            ("0", 0),
            ("0s", 0),
            ("15s", 15_000),
            ("1h30m", 5_400_000),
            ("10s53ms", 10_053),
            ("1y2w3d", 31_536_000_000 + 2 * 604_800_000 + 3 * 86_400_000),
            ("5ms", 5),
        ] {
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
        }
        for text in
            ["", "1", "s", "1x", "1s1h", "1h1h", "-5m", "1.5h", " 5m", "5m ", "99999999y", "1µs", "1²s"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_as_prometheus_shows_them() {
        for (millis, shown) in
            [(0, "0s"), (90_000, "1m30s"), (604_800_000, "1w"), (691_200_000, "8d"), (-1_500, "-1s500ms")]
        {
            assert_eq!(show_duration(millis), shown);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(millis in 0..9_000_000_000_000_i64) {
            prop_assert_eq!(parse_duration(&show_duration(millis)), Ok(millis));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,20}|[0-9ywdhms]{0,40}") {
            let _ = parse_duration(&text);
        }
    }
}
