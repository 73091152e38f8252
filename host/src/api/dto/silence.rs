//! Silences, and what is asked for to make one.

use serde::{Deserialize, Serialize};

use super::Time;
use crate::alerts::silence::{Matcher, Phase};
use crate::alerts::{NewSilence, Silence};

/// The answer of `/api/v1/silences`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silences {
    /// Those that end last first; ended ones are kept for some days.
    pub silences: Vec<SilenceView>,
}

/// One silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceView {
    /// Its name, by which it is ended.
    pub id: String,
    /// `pending`, `active` or `expired`.
    pub state: Phase,
    /// What an alert has to match, all of it.
    pub matchers: Vec<Matcher>,
    /// From when on.
    pub starts_at: Time,
    /// Until when.
    pub ends_at: Time,
    /// Who made it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

impl SilenceView {
    /// As it is at a time, Unix time in nanoseconds.
    pub fn of(silence: Silence, now: u64) -> Self {
        let Silence { id, what } = silence;
        Self {
            id,
            state: what.phase(now),
            matchers: what.matchers,
            starts_at: Time(what.starts_at),
            ends_at: Time(what.ends_at),
            created_by: what.created_by,
            comment: what.comment,
        }
    }
}

/// The body of `POST /api/v1/silences`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedSilence {
    /// What an alert has to match, all of it.
    pub matchers: Vec<Matcher>,
    /// From when on; by default from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Time>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Time>,
    /// Instead of that for how long, such as `2h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Who wants it.
    #[serde(default)]
    pub created_by: String,
    /// Why.
    pub comment: String,
}

impl WantedSilence {
    /// With its times filled in, `now` being Unix time in nanoseconds; or what is wrong with them.
    pub fn resolved(self, now: u64) -> Result<NewSilence, String> {
        let starts_at = self.starts_at.map_or(now, |time| time.0);
        let ends_at = match (self.ends_at, &self.duration) {
            (Some(time), None) => time.0,
            (None, Some(text)) => {
                let length = humantime::parse_duration(text)
                    .map_err(|_| format!("`{text}` is no length of time; write `2h` or `3days`"))?;
                starts_at.saturating_add(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX))
            }
            _ => return Err("give one of `ends_at` and `duration`".to_owned()),
        };
        let (matchers, created_by, comment) = (self.matchers, self.created_by, self.comment);
        Ok(NewSilence { matchers, starts_at, ends_at, created_by, comment })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const NOW: u64 = 1_700_000_000_000_000_000;

    fn check(times: &str, expected: Result<(u64, u64), &str>) {
        let json =
            format!(r#"{{"matchers":[{{"name":"a","op":"=~","value":"b"}}],"comment":"because"{times}}}"#);
        let wanted: WantedSilence = serde_json::from_str(&json).unwrap();
        match (wanted.resolved(NOW), expected) {
            (Ok(found), Ok(times)) => assert_eq!((found.starts_at, found.ends_at), times),
            (Err(found), Err(text)) => assert!(found.contains(text), "{found}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_silence_ends_at_a_time_or_after_a_length_of_time() {
        let hour = 3_600_000_000_000;
        check(r#","duration":"2h""#, Ok((NOW, NOW + 2 * hour)));
        check(r#","ends_at":"2023-11-14T23:13:20Z""#, Ok((NOW, NOW + hour)));
        check(r#","starts_at":"2023-11-14T23:13:20Z","duration":"1h""#, Ok((NOW + hour, NOW + 2 * hour)));
        check("", Err("one of"));
        check(r#","duration":"1h","ends_at":"2023-11-14T23:13:20Z""#, Err("one of"));
        check(r#","duration":"soon""#, Err("no length of time"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let refused = |json: &str| serde_json::from_str::<WantedSilence>(json).is_err();
        assert!(refused(r#"{"matchers":[],"comment":"c","until":"x"}"#));
        assert!(refused(r#"{"matchers":[{"name":"a","op":"==","value":"b"}],"comment":"c"}"#));
        assert!(refused(r#"{"matchers":[]}"#));
    }
}
