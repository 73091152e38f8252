//! Numbers for people: `humanize` and its kin.

use super::number::g;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];

/// With metric prefixes: `1.5k`.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return short(value);
    }
    let (value, prefix) = if value.abs() >= 1.0 { shrink(value, 1000.0, LARGE) } else { grow(value) };
    short(value) + prefix
}

/// With binary prefixes: `1.5Gi`.
pub(super) fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return short(value);
    }
    let (value, prefix) = shrink(value, 1024.0, BINARY);
    short(value) + prefix
}

/// Seconds as days to seconds: `1h 0m 5s`.
pub(super) fn duration(value: f64) -> String {
    if !value.is_finite() {
        return short(value);
    }
    if value == 0.0 {
        return short(value) + "s";
    }
    if value.abs() < 1.0 {
        let (value, prefix) = grow(value);
        return short(value) + prefix + "s";
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    let whole = value as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", short(value)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

/// A ratio in percent: `12.5%`.
pub(super) fn percentage(value: f64) -> String {
    short(value * 100.0) + "%"
}

/// With four significant digits.
pub(super) fn short(value: f64) -> String {
    g(value, Some(4))
}

fn shrink(mut value: f64, by: f64, prefixes: [&'static str; 8]) -> (f64, &'static str) {
    let mut used = "";
    for prefix in prefixes {
        if value.abs() < by {
            break;
        }
        (value, used) = (value / by, prefix);
    }
    (value, used)
}

fn grow(mut value: f64) -> (f64, &'static str) {
    let mut used = "";
    for prefix in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        (value, used) = (value * 1000.0, prefix);
    }
    (value, used)
}
