//! The rules for names.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

/// Bytes of a rule's, group's or attribute's name.
pub(crate) const NAME_BYTES: RangeInclusive<usize> = 1..=128;
/// Bytes of a metric's or label's name: Prometheus sets no bound, but a name is no place for data.
const METRIC_NAME_BYTES: RangeInclusive<usize> = 1..=200;

/// `[a-z0-9._-]`, 1 to 128 bytes.
pub(crate) fn is_rule(name: &str) -> bool {
    NAME_BYTES.contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}

/// `[a-z_][a-z0-9_]*`: a metric that the host exposes behind its own prefix.
pub(crate) fn is_own_metric(name: &str) -> bool {
    METRIC_NAME_BYTES.contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// What the agent counts of each plugin itself, without the prefix `picket_plugin_`. The SDK reads the
/// same list, and the agent's tests hold it to what is registered.
static RESERVED: LazyLock<Vec<&str>> =
    LazyLock::new(|| include_str!("../../../../wit/reserved-metrics.txt").lines().collect());

/// Names that a plugin's own counters and histograms cannot have, behind the prefix `picket_plugin_`: the
/// agent has metrics of these names, and both would stand in one family.
pub fn reserved_metrics() -> &'static [&'static str] {
    &RESERVED
}

/// Whether the agent has a metric of this name.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// `[a-zA-Z_:][a-zA-Z0-9_:]*`: any metric of Prometheus.
pub(crate) fn is_metric(name: &str) -> bool {
    METRIC_NAME_BYTES.contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
}

/// The series that the agent itself makes of alerts, as Prometheus does.
pub(crate) fn is_of_alerts(name: &str) -> bool {
    matches!(name, "ALERTS" | "ALERTS_FOR_STATE")
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, not beginning with two underscores, which are the system's own.
pub(crate) fn is_label(name: &str) -> bool {
    !name.starts_with("__") && !name.contains(':') && is_metric(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(is: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for name in good {
            assert!(is(name), "{name}");
        }
        for name in bad.iter().chain(&["", " ", "ä", "a b", "a\n", "a{", &"a".repeat(201)]) {
            assert!(!is(name), "{name}");
        }
    }

    #[test]
    fn names_keep_their_rules() {
        check(is_rule, &["burst-5xx", "a.b_c", "9"], &["Burst", "a/b"]);
        check(is_own_metric, &["requests_total", "_x9"], &["Requests", "9x", "a:b", "a-b"]);
        check(is_metric, &["node:cpu_Total", "_9"], &["9x", "a-b"]);
        check(is_label, &["path", "_x", "A9"], &["__name__", "a:b", "9a", "a-b"]);
    }

    #[test]
    fn series_of_alerts_are_the_agents() {
        assert!(is_of_alerts("ALERTS") && is_of_alerts("ALERTS_FOR_STATE"));
        assert!(!is_of_alerts("alerts") && !is_of_alerts("ALERTS_TOTAL"));
    }
}
