//! What Prometheus refuses in a rule, in its words. Source: `model/relabel/relabel.go`, `Config.Validate`.

use super::config::{REGEX, REPLACEMENT, SEPARATOR};
use super::{Action, MAX_SOURCE_LABELS, MAX_VALUE_BYTES, Rule};

/// A key, and what is wrong with its value.
pub(super) type Mistake = (&'static str, String);

pub(super) fn check(rule: &Rule) -> Result<(), Mistake> {
    sizes(rule)?;
    if let Some(name) = rule.source_labels.iter().find(|name| !is_label_name(name)) {
        return Err(("source_labels", format!("\"{name}\" is not a valid label name")));
    }
    let action = rule.action.word();
    if rule.action == Action::HashMod && rule.modulus == 0 {
        let what = "relabel configuration for hashmod requires non-zero modulus";
        return Err(("modulus", what.to_owned()));
    }
    if has_target(rule.action) {
        target(rule, action)?;
    }
    if rule.action == Action::LabelMap && !is_template(&rule.replacement) {
        let what = format!("\"{}\" is invalid 'replacement' for {action} action", rule.replacement);
        return Err(("replacement", what));
    }
    nothing_else(rule, action)
}

fn sizes(rule: &Rule) -> Result<(), Mistake> {
    if rule.source_labels.len() > MAX_SOURCE_LABELS {
        return Err(("source_labels", format!("has more than {MAX_SOURCE_LABELS} names")));
    }
    let texts = [
        ("separator", &rule.separator),
        ("target_label", &rule.target_label),
        ("replacement", &rule.replacement),
    ];
    match texts.into_iter().find(|(_, text)| text.len() > MAX_VALUE_BYTES) {
        Some((key, _)) => Err((key, format!("is longer than {MAX_VALUE_BYTES} bytes"))),
        None => Ok(()),
    }
}

fn has_target(action: Action) -> bool {
    use Action::{DropEqual, HashMod, KeepEqual, Lowercase, Replace, Uppercase};
    matches!(action, Replace | HashMod | Lowercase | Uppercase | KeepEqual | DropEqual)
}

fn target(rule: &Rule, action: &str) -> Result<(), Mistake> {
    if rule.target_label.is_empty() {
        let what = format!("relabel configuration for {action} action requires 'target_label' value");
        return Err(("target_label", what));
    }
    let valid = match rule.action {
        Action::Replace => is_template(&rule.target_label),
        _ => is_label_name(&rule.target_label),
    };
    match valid {
        true => Ok(()),
        false => {
            let what = format!("\"{}\" is invalid 'target_label' for {action} action", rule.target_label);
            Err(("target_label", what))
        }
    }
}

/// Some actions want no keys but their own.
fn nothing_else(rule: &Rule, action: &str) -> Result<(), Mistake> {
    use Action::{DropEqual, KeepEqual, LabelDrop, LabelKeep, Lowercase, Uppercase};
    let keys = [
        ("source_labels", !rule.source_labels.is_empty()),
        ("target_label", !rule.target_label.is_empty()),
        ("regex", rule.regex != REGEX),
        ("modulus", rule.modulus != 0),
        ("separator", rule.separator != SEPARATOR),
        ("replacement", rule.replacement != REPLACEMENT),
    ];
    let set = |unwanted: &[&str]| keys.into_iter().find(|(key, set)| *set && unwanted.contains(key));
    match rule.action {
        Lowercase | Uppercase => match set(&["replacement"]) {
            Some((key, _)) => Err((key, format!("'replacement' can not be set for {action} action"))),
            None => Ok(()),
        },
        KeepEqual | DropEqual => match set(&["replacement", "regex", "modulus", "separator"]) {
            Some(("replacement", _)) => {
                Err(("replacement", format!("'replacement' can not be set for {action} action")))
            }
            Some((key, _)) => {
                let what = format!(
                    "{action} action requires only 'source_labels' and `target_label`, and no other fields"
                );
                Err((key, what))
            }
            None => Ok(()),
        },
        LabelDrop | LabelKeep => {
            match set(&["source_labels", "target_label", "modulus", "separator", "replacement"]) {
                Some((key, _)) => {
                    Err((key, format!("{action} action requires only 'regex', and no other fields")))
                }
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_label_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') && is_word(name)
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A label name with `$1`, `$name` or `${name}` in it, which may also begin it; at least one character.
fn is_template(text: &str) -> bool {
    let mut rest = text;
    let starts_well =
        rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '$');
    while let Some((before, behind)) = rest.split_once('$') {
        let inside = behind.strip_prefix('{');
        let name = match inside {
            Some(inside) => inside.split_once('}').map(|(name, _)| name),
            None => Some(
                behind.split(|next: char| !next.is_ascii_alphanumeric() && next != '_').next().unwrap_or(""),
            ),
        };
        let Some(name) = name.filter(|name| !name.is_empty() && is_word(name) && is_word(before)) else {
            return false;
        };
        rest = &behind[name.len() + if inside.is_some() { 2 } else { 0 }..];
    }
    starts_well && is_word(rest)
}
