//! From the host's JSON to a plugin's own configuration type, with the key of what is wrong.
//!
//! Does not check values: that is what the plugin's `new` is for.

mod value;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ConfigError;
use value::{At, Path, Tracker};

/// Reads a typed value out of JSON: what the SDK does with the configuration, for plugins that have
/// rules in assets. Keys that the type does not know are errors, even where it says no
/// `deny_unknown_fields`; the error names the key.
pub fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, ConfigError> {
    let tracker = Tracker::default();
    let parsed = T::deserialize(At::new(value, &Path::Root, &tracker));
    let typed = parsed.map_err(|error| ConfigError::key(tracker.failed(), error.to_string()))?;
    match tracker.unknown() {
        Some(key) => Err(ConfigError::key(key, "there is no such key")),
        None => Ok(typed),
    }
}

/// Reads the configuration that `configure` was given.
pub(crate) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, ConfigError> {
    typed(&json.parse()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::{NoConfig, Span};

    #[derive(Debug, Deserialize, PartialEq, Default)]
    #[serde(default, deny_unknown_fields)]
    struct Strict {
        burst: Burst,
        rules: Vec<Burst>,
        named: BTreeMap<String, Burst>,
        mode: Option<Mode>,
    }

    #[derive(Debug, Deserialize, PartialEq, Default)]
    #[serde(default)]
    struct Burst {
        limit: u32,
        share: f64,
        window: Span,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        Off,
        Every(Span),
        Within { from: i8, to: (u8, bool) },
    }

    fn check(json: &str, key: &str, message: &str) {
        let error = parse::<Strict>(json).unwrap_err();
        assert_eq!((error.key.as_str(), error.message.as_str()), (key, message), "{json}");
    }

    #[test]
    fn a_wrong_value_is_named_by_its_key() {
        check(r#"{"burst": {"limit": "x"}}"#, "burst.limit", "invalid type: string \"x\", expected u32");
        check(
            r#"{"rules": [{}, {"limit": -1}]}"#,
            "rules.1.limit",
            "invalid value: integer `-1`, expected u32",
        );
        check(r#"{"rules": {}}"#, "rules", "invalid type: map, expected a sequence");
        check(
            r#"{"named": {"a b": {"limit": []}}}"#,
            "named.a b.limit",
            "invalid type: sequence, expected u32",
        );
        check(
            r#"{"burst": {"limit": 4294967296}}"#,
            "burst.limit",
            "invalid value: integer `4294967296`, expected u32",
        );
        check(
            r#"{"burst": {"window": "x"}}"#,
            "burst.window",
            "`x` is no length of time: write a whole number and a unit, such as `250ms`, `90s` or `2h`",
        );
        check(r#"{"mode": "on"}"#, "mode", "unknown variant `on`, expected one of `off`, `every`, `within`");
        check(r#"{"mode": {"every": 3}}"#, "mode.every", "invalid type: integer `3`, expected a string");
        check(
            r#"{"mode": {"within": {"from": 1, "to": [1, 2]}}}"#,
            "mode.within.to.1",
            "invalid type: integer `2`, expected a boolean",
        );
        check(
            r#"{"mode": {"within": {"from": 1, "to": [1]}}}"#,
            "mode.within.to",
            "invalid length 1, expected a tuple of size 2",
        );
        check(
            r#"{"mode": {"off": null, "every": "1s"}}"#,
            "mode",
            "invalid length 2, expected a table with one key",
        );
        check("3", "", "invalid type: integer `3`, expected struct Strict");
    }

    #[test]
    fn an_unknown_key_is_an_error_with_and_without_the_attribute() {
        check(
            r#"{"brust": {}}"#,
            "brust",
            "unknown field `brust`, expected one of `burst`, `rules`, `named`, `mode`",
        );
        check(r#"{"burst": {"limt": 1}}"#, "burst.limt", "there is no such key");
        check(r#"{"rules": [{}, {"limt": 1}]}"#, "rules.1.limt", "there is no such key");
    }

    #[test]
    fn what_is_right_is_read() {
        let config: Strict = parse(
            r#"{"burst": {"limit": 3, "share": 1, "window": "2m"}, "rules": [{"share": 0.5}], "mode": null}"#,
        )
        .unwrap();
        assert_eq!(config.burst, Burst { limit: 3, share: 1.0, window: Span::seconds(120) });
        assert_eq!((config.rules[0].share, config.mode), (0.5, None));
        let mode = |json: &str| parse::<Strict>(&format!(r#"{{"mode": {json}}}"#)).unwrap().mode.unwrap();
        assert_eq!(mode(r#""off""#), Mode::Off);
        assert_eq!(mode(r#"{"every": "1h 30m"}"#), Mode::Every(Span::seconds(5400)));
        assert_eq!(
            mode(r#"{"within": {"from": -1, "to": [2, true]}}"#),
            Mode::Within { from: -1, to: (2, true) }
        );
        parse::<NoConfig>("{}").unwrap();
        assert_eq!(parse::<NoConfig>(r#"{"a": 1}"#).unwrap_err().key, "a");
        assert!(parse::<NoConfig>("{").is_err());
    }
}
