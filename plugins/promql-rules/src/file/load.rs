//! From a file's text to its groups: the structure, with every error that can be found in one go.

use std::collections::HashMap;

use super::check;
use super::fields::{Fields, Report};
use super::problem::Problem;
use super::{Group, MAX_GROUP_NAME, MAX_GROUPS, MAX_RULES, RuleFile};
use crate::yaml::{self, Position};

/// What the host takes as an interval, in milliseconds: one second to one day.
const INTERVALS: std::ops::RangeInclusive<u64> = 1_000..=86_400_000;

/// Reads a rule file. `name` is the one by which the host will know its groups.
pub(crate) fn load(name: &str, text: &str) -> Result<RuleFile, Vec<Problem>> {
    let mut report = Report { file: name.to_owned(), ..Report::default() };
    let document = match yaml::parse(text) {
        Ok(document) => document,
        Err(error) => {
            report.add(error.at, error.message);
            return Err(report.problems);
        }
    };
    let mut groups = Vec::new();
    if let Some(root) = document.root.as_deref().filter(|root| !root.is_null())
        && let Some(fields) = Fields::new(root, "a rule file", &["groups"], &mut report)
    {
        groups = all_groups(name, text, fields, &mut report);
    }
    report.problems.sort_by_key(|problem| problem.at);
    match report.problems.is_empty() {
        true => Ok(RuleFile { groups, has_more: document.has_more }),
        false => Err(report.problems),
    }
}

fn all_groups(file: &str, text: &str, fields: Fields<'_>, report: &mut Report) -> Vec<Group> {
    let nodes = fields.list("groups", report);
    if nodes.len() > MAX_GROUPS {
        report
            .add(fields.at, format!("the file has {} groups, at most {MAX_GROUPS} are allowed", nodes.len()));
        return Vec::new();
    }
    let known = ["name", "interval", "query_offset", "limit", "labels", "rules"];
    let mut names: HashMap<String, Position> = HashMap::new();
    let (mut groups, mut rules) = (Vec::new(), 0);
    // Entries without a value are passed over, as by Prometheus.
    for node in nodes.iter().filter(|node| !node.is_null()) {
        report.group = None;
        let Some(fields) = Fields::new(node, "a group", &known, report) else { continue };
        rules += fields.list("rules", &mut Report::default()).len();
        if rules > MAX_RULES {
            report.add(fields.at, format!("the file has more than {MAX_RULES} rules"));
            break;
        }
        let group = group(text, fields, report);
        if group.name.is_empty() {
            report.add(fields.at, "a group needs a `name`");
        } else if let Some(first) = names.insert(group.name.clone(), fields.at) {
            report
                .add(fields.at, format!("the group stands twice in the file, first in line {}", first.line));
        }
        if file.len() + 1 + group.name.len() > MAX_GROUP_NAME {
            let message =
                format!("the names of file and group have more than {MAX_GROUP_NAME} bytes together");
            report.add(fields.at, message);
        }
        groups.push(group);
    }
    report.group = None;
    groups
}

fn group(text: &str, fields: Fields<'_>, report: &mut Report) -> Group {
    let name = fields.text("name", report);
    report.group = Some(name.clone());
    let interval = fields.duration("interval", report).filter(|&interval| interval > 0);
    if let Some(interval) = interval
        && !INTERVALS.contains(&interval)
    {
        report.add(fields.at, "`interval` has to be from 1s to 1d");
    }
    let query_offset = fields.duration("query_offset", report);
    let limit = fields.bound("limit", report);
    let labels = check::labels(fields.texts("labels", report), report);
    let mut rules = Vec::new();
    let nodes = fields.list("rules", report).iter().filter(|node| !node.is_null());
    for (index, node) in nodes.enumerate() {
        report.rule = Some((index + 1, String::new()));
        rules.extend(check::rule(text, node, &labels, report));
    }
    report.rule = None;
    Group { name, interval, query_offset, limit, rules }
}
