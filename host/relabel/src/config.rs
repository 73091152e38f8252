//! A rule as it is configured, and the actions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule that changes labels, or keeps or drops a result by them, as Prometheus' `relabel_config`. Rules are
/// applied one after the other, each to what the one before it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// What is done: `replace`, `keep`, `drop`, `hashmod`, `labelmap`, `labeldrop`, `labelkeep`, `lowercase`,
    /// `uppercase`, `keepequal` or `dropequal`. By default `replace`.
    #[schemars(with = "String")]
    pub action: Action,
    /// The labels whose values are joined and matched. A label that is not there has the empty value.
    pub source_labels: Vec<String>,
    /// What stands between the joined values. By default `;`.
    pub separator: String,
    /// What the joined values (for the actions on names: each label's name) must match, from beginning to end,
    /// in the syntax of Go (RE2). By default `(.*)`.
    pub regex: String,
    /// For `hashmod`: the number of buckets.
    pub modulus: u64,
    /// The label that gets the result. With `replace` it may hold `$1` or `${name}`, what groups of `regex`
    /// matched.
    pub target_label: String,
    /// The value that `replace` gives, or the name that `labelmap` gives; it may hold `$1` and `${name}`. An
    /// empty value removes the label. By default `$1`.
    pub replacement: String,
}

/// `separator` by default.
pub(super) const SEPARATOR: &str = ";";
/// `regex` by default.
pub(super) const REGEX: &str = "(.*)";
/// `replacement` by default.
pub(super) const REPLACEMENT: &str = "$1";

impl Default for Rule {
    /// Those of Prometheus.
    fn default() -> Self {
        Self {
            action: Action::Replace,
            source_labels: Vec::new(),
            separator: SEPARATOR.to_owned(),
            regex: REGEX.to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: REPLACEMENT.to_owned(),
        }
    }
}

/// What a rule does. Its words may be written in small and in capital letters, as in Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Action {
    /// Sets the target to the replacement if the value matches.
    #[default]
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Sets the target to the value's hash, modulo the modulus.
    HashMod,
    /// Copies each label whose name matches to the name that the replacement gives.
    LabelMap,
    /// Removes each label whose name matches.
    LabelDrop,
    /// Removes each label whose name does not match.
    LabelKeep,
    /// Sets the target to the value in small letters.
    Lowercase,
    /// Sets the target to the value in capital letters.
    Uppercase,
    /// Drops what has another value in the target.
    KeepEqual,
    /// Drops what has the same value in the target.
    DropEqual,
}

const WORDS: [(Action, &str); 11] = [
    (Action::Replace, "replace"),
    (Action::Keep, "keep"),
    (Action::Drop, "drop"),
    (Action::HashMod, "hashmod"),
    (Action::LabelMap, "labelmap"),
    (Action::LabelDrop, "labeldrop"),
    (Action::LabelKeep, "labelkeep"),
    (Action::Lowercase, "lowercase"),
    (Action::Uppercase, "uppercase"),
    (Action::KeepEqual, "keepequal"),
    (Action::DropEqual, "dropequal"),
];

/// The word names no action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown relabel action \"{0}\": write one of `replace`, `keep`, `drop`, `hashmod`, `labelmap`, \
     `labeldrop`, `labelkeep`, `lowercase`, `uppercase`, `keepequal`, `dropequal`"
)]
pub struct UnknownAction(String);

impl Action {
    /// Its word.
    pub fn word(self) -> &'static str {
        let (_, word) =
            WORDS.into_iter().find(|(action, _)| *action == self).expect("each action has a word");
        word
    }
}

impl TryFrom<String> for Action {
    type Error = UnknownAction;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let found = WORDS.into_iter().find(|(_, word)| word.eq_ignore_ascii_case(&text));
        found.map(|(action, _)| action).ok_or_else(|| UnknownAction(text.chars().take(40).collect()))
    }
}

impl From<Action> for String {
    fn from(action: Action) -> Self {
        action.word().to_owned()
    }
}
