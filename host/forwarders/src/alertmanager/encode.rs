//! Alerts as the Alertmanager's API v2 takes them (`postableAlerts` of its `api/v2/openapi.yaml`).
//!
//! What the Alertmanager would refuse for its form alone is put right here: names of labels, empty values, times
//! that run backwards. It names an alert by its labels and nothing else.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use hyper::Uri;
use picket_model::Label;
use serde::{Serialize, Serializer};

use crate::file::encode::Rfc3339;

/// Longer annotations are cut: the Alertmanager keeps them in memory and puts them into every message.
pub const MAX_ANNOTATION: usize = 8 << 10;

/// Names and values that stand once each; sorted, so that equal ones are written alike.
pub type Pairs = BTreeMap<String, String>;

/// One alert on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// What the Alertmanager knows it by.
    pub labels: Pairs,
    /// Text for people.
    #[serde(skip_serializing_if = "Pairs::is_empty")]
    pub annotations: Pairs,
    /// Unix time in nanoseconds since when it has held.
    #[serde(serialize_with = "rfc3339")]
    pub starts_at: u64,
    /// Unix time in nanoseconds of its end, or until when it fires unless it is repeated.
    #[serde(serialize_with = "rfc3339")]
    pub ends_at: u64,
    /// Where people find more; empty when nowhere.
    #[serde(rename = "generatorURL", skip_serializing_if = "String::is_empty")]
    pub generator_url: String,
}

/// The body of a request.
pub fn body<'a>(alerts: impl IntoIterator<Item = &'a Alert>) -> Bytes {
    let alerts: Vec<&Alert> = alerts.into_iter().collect();
    serde_json::to_vec(&alerts).expect("plain data always encodes into memory").into()
}

/// The labels under which the Alertmanager knows an alert: with valid names, without empty values, with the
/// rule's name as `alertname` and the node's as `instance` where it has none.
pub fn labels(of: &[Label], rule: &str, node: &str) -> Pairs {
    let mut labels = pairs(of, usize::MAX);
    for (name, value) in [("alertname", rule), ("instance", node)] {
        if !value.is_empty() {
            labels.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    labels
}

/// Text for people: with valid names, without empty values, and none longer than [`MAX_ANNOTATION`].
pub fn annotations(of: &[Label]) -> Pairs {
    pairs(of, MAX_ANNOTATION)
}

/// Start and end of a firing alert: it ends by itself unless it is repeated before.
pub fn firing_times(active_since: u64, now: u64, valid_for: Duration) -> (u64, u64) {
    let valid = u64::try_from(valid_for.as_nanos()).unwrap_or(u64::MAX);
    (active_since.min(now), now.saturating_add(valid))
}

/// Start and end of an alert that is over. An end to come would not end it, and one before the start is refused.
pub fn resolved_times(active_since: u64, resolved: u64, now: u64) -> (u64, u64) {
    let end = resolved.min(now);
    (active_since.min(end), end)
}

/// Valid names come first, so that a name that has to be put right never takes another's place.
fn pairs(of: &[Label], longest: usize) -> Pairs {
    let mut pairs = Pairs::new();
    let (valid, others): (Vec<_>, Vec<_>) =
        of.iter().filter(|label| !label.value.is_empty()).partition(|label| is_valid(&label.name));
    for label in valid {
        pairs.entry(label.name.clone()).or_insert_with(|| cut(&label.value, longest));
    }
    for label in others {
        let mut name = put_right(&label.name);
        while pairs.contains_key(&name) {
            name.push('_');
        }
        pairs.insert(name, cut(&label.value, longest));
    }
    pairs
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, the names that every version takes.
fn is_valid(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
}

fn put_right(name: &str) -> String {
    let digit = name.starts_with(|first: char| first.is_ascii_digit());
    let fits = |char: char| if char.is_ascii_alphanumeric() { char } else { '_' };
    let prefix = if digit || name.is_empty() { "_" } else { "" };
    prefix.chars().chain(name.chars().map(fits)).collect()
}

fn cut(text: &str, longest: usize) -> String {
    text[..text.floor_char_boundary(longest)].to_owned()
}

fn rfc3339<S: Serializer>(time: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    Rfc3339(*time).serialize(serializer)
}

/// A URL with places for what an alert is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator(String);

/// The text is no URL with places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GeneratorError {
    /// Something in braces that nothing is known about.
    #[error("`{{{0}}}` is not one of {{plugin}}, {{group}}, {{rule}} and {{node}}")]
    Place(String),
    /// No URL, whatever is put in.
    #[error("`{0}` is no URL; write `https://HOST/PATH`")]
    Url(String),
}

impl Generator {
    /// With an alert's particulars in their places, percent-encoded.
    pub fn url(&self, plugin: &str, group: &str, rule: &str, node: &str) -> String {
        [("{plugin}", plugin), ("{group}", group), ("{rule}", rule), ("{node}", node)]
            .iter()
            .fold(self.0.clone(), |url, (place, value)| url.replace(place, &percent_encoded(value)))
    }
}

impl FromStr for Generator {
    type Err = GeneratorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let generator = Self(text.to_owned());
        let example = generator.url("x", "x", "x", "x");
        if let Some((_, rest)) = example.split_once('{') {
            let place = rest.split('}').next().unwrap_or_default();
            return Err(GeneratorError::Place(place.chars().take(40).collect()));
        }
        let is_url = |uri: &Uri| uri.scheme().is_some() && uri.host().is_some_and(|host| !host.is_empty());
        match example.parse::<Uri>() {
            Ok(uri) if is_url(&uri) => Ok(generator),
            _ => Err(GeneratorError::Url(text.chars().take(100).collect())),
        }
    }
}

/// All but the unreserved characters of RFC 3986 becomes `%XX`, so no value can hold a place of its own.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => write!(encoded, "%{byte:02X}").expect("writing to a string cannot fail"),
        }
        encoded
    })
}
