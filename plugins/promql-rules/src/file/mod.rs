//! Rule files in Prometheus' format: what one holds once it is read and found right.
//!
//! [`load`] gives the verdict of `promtool check rules`, with every error of the file and its place. It
//! evaluates nothing.

mod check;
mod fields;
mod load;
mod problem;

use std::rc::Rc;

use promql_engine::Query;

pub(crate) use load::load;
pub(crate) use problem::error;

/// Groups of all files: the host's bound.
pub(crate) const MAX_GROUPS: usize = 1_000;
/// Rules of all files: the host's bound.
pub(crate) const MAX_RULES: usize = 20_000;
/// Bytes of a group's name for the host, `FILE;GROUP`.
pub(crate) const MAX_GROUP_NAME: usize = 512;
/// Bytes of a rule's id for the host.
pub(crate) const MAX_RULE_ID: usize = 1024;
/// Bytes of an expression: sixty times the longest of the public collections, and the bound of the query API.
pub(crate) const MAX_EXPRESSION: usize = 64 << 10;
/// Bytes of a label's or annotation's template.
pub(crate) const MAX_TEMPLATE: usize = 64 << 10;
/// Labels or annotations of one rule or group.
pub(crate) const MAX_LABELS: usize = 64;

/// A file that was found right.
#[derive(Debug)]
pub(crate) struct RuleFile {
    pub(crate) groups: Vec<Group>,
    /// Whether the file has more YAML documents, which are not read.
    pub(crate) has_more: bool,
}

/// Rules that are evaluated together, one after the other.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    /// In milliseconds; none when the file leaves it to the configuration.
    pub(crate) interval: Option<u64>,
    /// In milliseconds; none when the file leaves it to the configuration.
    pub(crate) query_offset: Option<u64>,
    /// The most series that one rule may make; 0 for no bound.
    pub(crate) limit: u32,
    pub(crate) rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The alert's name, or that of the series it records.
    pub(crate) name: String,
    pub(crate) query: Query,
    pub(crate) kind: Kind,
    /// The rule's labels over its group's, sorted, as they are written.
    pub(crate) labels: Vec<(Rc<str>, String)>,
}

/// What a rule is for.
#[derive(Debug)]
pub(crate) enum Kind {
    /// It records series under its name.
    Recording,
    /// It raises alerts.
    Alert(Alert),
}

/// What an alerting rule has besides.
#[derive(Debug)]
pub(crate) struct Alert {
    /// In milliseconds.
    pub(crate) hold_for: u64,
    /// In milliseconds.
    pub(crate) keep_firing_for: u64,
    /// Texts for people, sorted by name; templates that were checked, as its labels are.
    pub(crate) annotations: Vec<(Rc<str>, String)>,
}

#[cfg(test)]
mod tests;
