//! Relabelling in the terms of Prometheus' `relabel_config`: rules that change labels, and keep or drop what has
//! them. Follows Prometheus 3 where it differs from 2: `.` matches a line end, and an empty replacement removes
//! the label that the expanded target names. It differs in three points, all of them bounds: a value is cut
//! after [`MAX_VALUE_BYTES`], a name that is empty or longer than [`MAX_NAME_BYTES`] is not set, and neither is a
//! new label beyond [`MAX_LABELS`].
//!
//! It knows labels only, and not what has them.
#![forbid(unsafe_code)]

mod case;
mod check;
mod config;
mod template;

use md5::{Digest as _, Md5};
use picket_model::Label;
use regex::Regex;

pub use check::is_label_name;
pub use config::{Action, Rule, UnknownAction};
use template::{Template, cut};

#[cfg(test)]
mod tests;

/// The most rules of one forwarder: each is applied to each frame.
pub const MAX_RULES: usize = 64;
/// The most labels that one rule joins.
pub const MAX_SOURCE_LABELS: usize = 32;
/// The longest expression. Prometheus' own documentation has none above 200 bytes.
pub const MAX_REGEX_BYTES: usize = 4 << 10;
/// Bytes that one compiled expression may take, and its cache as many.
const MAX_COMPILED_BYTES: usize = 2 << 20;
/// The most labels that rules make: four times of what a series may have, since attributes of findings and the
/// labels that begin with `__` count as well.
pub const MAX_LABELS: usize = 256;
/// The longest name that rules make; that of a series' label.
pub const MAX_NAME_BYTES: usize = 256;
/// The longest value that rules make; that of a series' label.
pub const MAX_VALUE_BYTES: usize = 4096;

/// A rule that cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("relabel rule {rule}, `{key}`: {what}")]
pub struct RuleError {
    /// Its number, from 1.
    pub rule: usize,
    /// The key whose value is wrong.
    pub key: &'static str,
    /// What is wrong with it, in Prometheus' words where it has any.
    pub what: String,
}

/// Rules that are ready to be applied.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Compiled>);

#[derive(Debug, Clone)]
struct Compiled {
    rule: Rule,
    regex: Regex,
    target: Template,
    replacement: Template,
}

impl Rules {
    /// Checks and compiles.
    pub fn new(rules: &[Rule]) -> Result<Self, RuleError> {
        if rules.len() > MAX_RULES {
            let what = format!("there are {} rules, and {MAX_RULES} are possible", rules.len());
            return Err(RuleError { rule: MAX_RULES + 1, key: "relabel", what });
        }
        let compiled = rules.iter().enumerate().map(|(at, rule)| {
            Compiled::new(rule).map_err(|(key, what)| RuleError { rule: at + 1, key, what })
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies all rules; false when one of them drops what has these labels. Of a name that stands there
    /// several times the first is read and replaced.
    pub fn apply(&self, labels: &mut Vec<Label>) -> bool {
        self.0.iter().all(|rule| rule.apply(labels))
    }
}

impl Compiled {
    fn new(rule: &Rule) -> Result<Self, check::Mistake> {
        check::check(rule)?;
        let regex = compile(&rule.regex)
            .map_err(|what| ("regex", format!("error parsing regexp `{}`: {what}", cut(&rule.regex, 200))))?;
        let (target, replacement) = (Template::parse(&rule.target_label), Template::parse(&rule.replacement));
        Ok(Self { rule: rule.clone(), regex, target, replacement })
    }

    fn apply(&self, labels: &mut Vec<Label>) -> bool {
        let target = &self.rule.target_label;
        match self.rule.action {
            Action::Replace => self.replace(labels),
            Action::Keep => return self.regex.is_match(&self.joined(labels)),
            Action::Drop => return !self.regex.is_match(&self.joined(labels)),
            Action::KeepEqual => return self.joined(labels) == value(labels, target),
            Action::DropEqual => return self.joined(labels) != value(labels, target),
            Action::HashMod => {
                let hash = hash(&self.joined(labels)) % self.rule.modulus.max(1);
                set(labels, target, hash.to_string());
            }
            Action::Lowercase => set(labels, target, case::lower(&self.joined(labels))),
            Action::Uppercase => set(labels, target, case::upper(&self.joined(labels))),
            Action::LabelMap => self.map(labels),
            Action::LabelDrop => labels.retain(|label| !self.regex.is_match(&label.name)),
            Action::LabelKeep => labels.retain(|label| self.regex.is_match(&label.name)),
        }
        true
    }

    /// The values of the source labels with the separator between them.
    fn joined(&self, labels: &[Label]) -> String {
        let values: Vec<&str> = self.rule.source_labels.iter().map(|name| value(labels, name)).collect();
        values.join(&self.rule.separator)
    }

    fn replace(&self, labels: &mut Vec<Label>) {
        let joined = self.joined(labels);
        let Some(captures) = self.regex.captures(&joined) else { return };
        let target = self.target.expand(&captures, MAX_NAME_BYTES + 1);
        if is_label_name(&target) {
            set(labels, &target, self.replacement.expand(&captures, MAX_VALUE_BYTES));
        }
    }

    fn map(&self, labels: &mut Vec<Label>) {
        let mapped: Vec<(String, String)> = labels
            .iter()
            .filter_map(|label| {
                let captures = self.regex.captures(&label.name)?;
                Some((self.replacement.expand(&captures, MAX_NAME_BYTES + 1), label.value.clone()))
            })
            .collect();
        for (name, value) in mapped {
            set(labels, &name, value);
        }
    }
}

fn compile(regex: &str) -> Result<Regex, String> {
    if regex.len() > MAX_REGEX_BYTES {
        return Err(format!("it is longer than {MAX_REGEX_BYTES} bytes"));
    }
    picket_pattern::anchored(regex, MAX_COMPILED_BYTES).map_err(|error| error.to_string())
}

/// A label's value; empty when there is none.
pub fn value<'a>(labels: &'a [Label], name: &str) -> &'a str {
    labels.iter().find(|label| label.name == name).map_or("", |label| &label.value)
}

/// Gives a label a value; an empty one removes it.
fn set(labels: &mut Vec<Label>, name: &str, mut value: String) {
    value.truncate(value.floor_char_boundary(MAX_VALUE_BYTES));
    if value.is_empty() {
        labels.retain(|label| label.name != name);
    } else if let Some(label) = labels.iter_mut().find(|label| label.name == name) {
        label.value = value;
    } else if !name.is_empty() && name.len() <= MAX_NAME_BYTES && labels.len() < MAX_LABELS {
        labels.push(Label { name: name.to_owned(), value });
    }
}

/// The last eight bytes of the MD5 sum, as Prometheus takes them.
fn hash(text: &str) -> u64 {
    let sum: [u8; 16] = Md5::digest(text.as_bytes()).into();
    let mut last = [0; 8];
    last.copy_from_slice(&sum[8..]);
    u64::from_be_bytes(last)
}
