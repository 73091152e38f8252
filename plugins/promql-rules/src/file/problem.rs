//! What is wrong in rule files, and how a list of that becomes one error.

use std::fmt;

use picket_sdk::ConfigError;

use crate::yaml::Position;

/// Problems that an error lists, one a line. Who repairs ten has the next ten with the next check.
const LISTED: usize = 10;
/// Characters of a message: a whole expression may be quoted in one.
const MESSAGE: usize = 600;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) file: String,
    pub(crate) at: Position,
    /// The group's name, where it is in one.
    pub(crate) group: Option<String>,
    /// The rule's place in its group, counted from 1, and its name.
    pub(crate) rule: Option<(usize, String)>,
    pub(crate) message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(group) = &self.group {
            write!(f, "group `{group}`")?;
            f.write_str(if self.rule.is_some() { ", " } else { ": " })?;
        }
        match &self.rule {
            Some((number, name)) if name.is_empty() => write!(f, "rule {number}: ")?,
            Some((number, name)) => write!(f, "rule {number} `{name}`: ")?,
            None => {}
        }
        match self.message.char_indices().nth(MESSAGE) {
            Some((end, _)) => write!(f, "{} …", &self.message[..end]),
            None => f.write_str(&self.message),
        }
    }
}

/// The error for problems in the order of their places: that of the first one, with up to ten in the message.
/// None when there are none.
pub(crate) fn error(problems: &[Problem]) -> Option<ConfigError> {
    let [first, others @ ..] = problems else { return None };
    let mut message = first.to_string();
    if !others.is_empty() {
        message.push_str(&format!(" (and {} more)", others.len()));
    }
    for problem in others.iter().take(LISTED - 1) {
        let Position { line, column } = problem.at;
        message.push_str(&format!("\n{}:{line}:{column}: {problem}", problem.file));
    }
    Some(ConfigError::asset(&first.file, first.at.line, message).at_column(first.at.column))
}
