//! The parameters of `/api/v1/findings`: text from outside, every part of it checked.

use jiff::Timestamp;
use serde::Deserialize;

use super::problem::{Code, Problem};
use super::view::FindingQuery;
use crate::model::Severity;

/// As they stand in the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    since: Option<String>,
    until: Option<String>,
    severity: Option<String>,
    plugin: Option<String>,
    text: Option<String>,
    retracted: Option<String>,
    limit: Option<String>,
}

/// Findings in one answer unless the query asks for another number.
pub const DEFAULT_LIMIT: usize = 100;
/// More do not come in one answer, so that it stays small enough to be made in memory.
pub const MAX_LIMIT: usize = 10_000;

impl Parameters {
    /// What is asked for, or what is wrong with it. `now` is Unix time in nanoseconds.
    pub fn check(self, now: u64) -> Result<FindingQuery, Problem> {
        let moment = |name: &str, text: Option<String>| {
            text.map(|text| parse_moment(&text, now).map_err(|why| bad(name, &why))).transpose()
        };
        let limit = match self.limit.as_deref().map(str::parse::<usize>) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
            Some(_) => return Err(bad("limit", &format!("write a number from 1 to {MAX_LIMIT}"))),
        };
        let retracted = match self.retracted.as_deref() {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => return Err(bad("retracted", "write `true` or `false`")),
        };
        let severity = self.severity.as_deref().map(parse_severity).transpose();
        Ok(FindingQuery {
            since: moment("since", self.since)?,
            until: moment("until", self.until)?,
            min_severity: severity.map_err(|why| bad("severity", &why))?,
            plugin: self.plugin,
            text: self.text.filter(|text| !text.is_empty()),
            retracted,
            limit,
        })
    }
}

fn bad(name: &str, why: &str) -> Problem {
    Problem::new(Code::BadQuery, format!("the parameter `{name}` is wrong: {why}"))
}

/// A moment: `2026-11-20T16:00:00Z`, Unix time in seconds, or a length of time before now such as `2h`.
pub fn parse_moment(text: &str, now: u64) -> Result<u64, String> {
    let text = text.trim();
    let out_of_range = || "the time lies before 1970 or after 2500".to_owned();
    if let Ok(seconds) = text.parse::<f64>() {
        let nanos = seconds * 1e9;
        // Beyond it lies the year 2500.
        let sensible = (0.0..1.7e19).contains(&nanos);
        return if sensible { Ok(nanos as u64) } else { Err(out_of_range()) };
    }
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(now.saturating_sub(u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX)));
    }
    let time: Timestamp = text.parse().map_err(|_| {
        "write a time such as `2026-11-20T16:00:00Z`, a Unix time in seconds, or how long ago, such as `2h`".to_owned()
    })?;
    u64::try_from(time.as_nanosecond()).map_err(|_| out_of_range())
}

/// A severity by its name.
pub fn parse_severity(text: &str) -> Result<Severity, String> {
    use serde::de::IntoDeserializer;
    let name = text.trim().to_ascii_lowercase();
    let deserializer: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        name.as_str().into_deserializer();
    Severity::deserialize(deserializer)
        .map_err(|_| "write `info`, `low`, `medium`, `high` or `critical`".into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000_000_000_000;

    #[test]
    fn moments_are_read_in_three_forms() {
        for (text, expected) in [
            ("2023-11-14T22:13:20Z", NOW),
            ("2023-11-14T23:13:20+01:00", NOW),
            ("1700000000", NOW),
            ("1h", NOW - 3_600_000_000_000),
            ("9999y", 0),
        ] {
            assert_eq!(parse_moment(text, NOW), Ok(expected), "{text}");
        }
        for text in ["", "yesterday", "-5", "1e300", "nan", "1960-01-01T00:00:00Z"] {
            assert!(parse_moment(text, NOW).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let wrong = |parameters: Parameters| parameters.check(NOW).unwrap_err().detail;
        let text = |text: &str| Some(text.to_owned());
        assert!(wrong(Parameters { limit: text("0"), ..Default::default() }).contains("`limit`"));
        assert!(wrong(Parameters { limit: text("many"), ..Default::default() }).contains("1 to 10000"));
        assert!(wrong(Parameters { since: text("x"), ..Default::default() }).contains("`since`"));
        assert!(wrong(Parameters { severity: text("bad"), ..Default::default() }).contains("`critical`"));
        assert!(wrong(Parameters { retracted: text("yes"), ..Default::default() }).contains("`true` or"));
        let taken = Parameters { retracted: text("true"), ..Default::default() }.check(NOW).unwrap();
        assert_eq!(taken.retracted, Some(true));
        let query = Parameters { severity: text("HIGH"), ..Default::default() }.check(NOW).unwrap();
        assert_eq!(query.min_severity, Some(Severity::High));
        assert_eq!(query.limit, DEFAULT_LIMIT);
    }

    proptest! {
        #[test]
        fn any_text_is_a_moment_or_an_error(text in any::<String>()) {
            let _ = parse_moment(&text, NOW);
            let _ = parse_severity(&text);
        }
    }
}
