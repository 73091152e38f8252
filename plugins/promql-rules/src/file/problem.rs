//! What is wrong in a rule file, and how a list of that becomes one error.

use std::fmt;

use picket_sdk::ConfigError;

use crate::yaml::Position;

/// Problems that an error lists, one a line. Who repairs ten has the next ten with the next check.
const LISTED: usize = 10;
/// Bytes of a message: a whole expression may be quoted in one.
const MESSAGE: usize = 600;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) at: Position,
    /// The group's name, where it is in one.
    pub(crate) group: Option<String>,
    /// The rule's place in its group, counted from 1, and its name.
    pub(crate) rule: Option<(usize, String)>,
    pub(crate) message: String,
}

/// All that is wrong in a file, in the order of the places; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(group) = &self.group {
            write!(f, "group `{group}`, ")?;
        }
        match &self.rule {
            Some((number, name)) if name.is_empty() => write!(f, "rule {number}: ")?,
            Some((number, name)) => write!(f, "rule {number}, `{name}`: ")?,
            None => {}
        }
        match self.message.char_indices().nth(MESSAGE) {
            Some((end, _)) => write!(f, "{} …", &self.message[..end]),
            None => f.write_str(&self.message),
        }
    }
}

impl Problems {
    /// The error for a file of this name: the first problem's place, and up to ten in the message.
    pub(crate) fn error(&self, file: &str) -> ConfigError {
        let first = self.0.first();
        let at = first.map(|first| first.at).unwrap_or_default();
        let mut message = first.map(Problem::to_string).unwrap_or_default();
        let others = self.0.len().saturating_sub(1);
        if others > 0 {
            message.push_str(&format!(" (and {others} more)"));
        }
        for problem in self.0.iter().skip(1).take(LISTED - 1) {
            let Position { line, column } = problem.at;
            message.push_str(&format!("\n{file}:{line}:{column}: {problem}"));
        }
        ConfigError::asset(file, at.line, message).at_column(at.column)
    }
}
