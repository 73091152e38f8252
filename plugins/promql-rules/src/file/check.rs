//! One rule: its fields and what `promtool` wants of them.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::fields::{Fields, Report, Text};
use super::{Alert, Kind, MAX_EXPRESSION, MAX_TEMPLATE, Rule};
use crate::name;
use crate::template;
use crate::yaml::{Node, Position, Scalar, Value, place};

const FIELDS: [&str; 7] = ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];

/// Reads a rule. None when something is wrong with it, which is in the report then.
pub(super) fn rule(file: &str, node: &Node, of_group: &[Text<'_>], report: &mut Report) -> Option<Rule> {
    let before = report.problems.len();
    let fields = Fields::new(node, "a rule", &FIELDS, report)?;
    let (record, alert) = (fields.text("record", report), fields.text("alert", report));
    let is_alert = !alert.is_empty();
    let name = if is_alert { alert } else { record.clone() };
    if let Some((_, shown)) = &mut report.rule {
        shown.clone_from(&name);
    }
    let at = |key: &str| fields.get(key).map_or(fields.at, |node| node.at);
    match (is_alert, record.is_empty()) {
        (true, false) => {
            report.add(at("record"), "has both `record` and `alert`: it can be one of them only")
        }
        (false, true) => report.add(fields.at, "has neither `record` nor `alert`: it needs one of them"),
        _ => {}
    }
    let query = expression(file, fields, report);
    let hold_for = fields.duration("for", report).unwrap_or(0);
    let keep_firing_for = fields.duration("keep_firing_for", report).unwrap_or(0);
    let own = labels(fields.texts("labels", report), report);
    let annotations = annotations(fields.texts("annotations", report), report);
    if !record.is_empty() {
        recording(&record, at("record"), report);
        for key in ["for", "keep_firing_for", "annotations"] {
            let is_set = match key {
                "for" => hold_for > 0,
                "keep_firing_for" => keep_firing_for > 0,
                _ => !annotations.is_empty(),
            };
            if is_set {
                report.add(at(key), format!("a recording rule has no `{key}`"));
            }
        }
    }
    // The rule's own labels win over its group's.
    let mut labels: BTreeMap<&str, Text<'_>> = of_group.iter().map(|text| (text.name, *text)).collect();
    labels.extend(own.iter().map(|text| (text.name, *text)));
    if is_alert {
        labels.values().for_each(|text| check_template(file, "label", text, report));
        annotations.iter().for_each(|text| check_template(file, "annotation", text, report));
    }
    let kind = match is_alert {
        false => Kind::Recording,
        true => Kind::Alert(Alert {
            hold_for,
            keep_firing_for,
            annotations: annotations.iter().map(owned).collect(),
        }),
    };
    let labels = labels.values().map(owned).collect();
    let query = query?;
    (report.problems.len() == before).then_some(Rule { name, query, kind, labels })
}

fn expression(file: &str, fields: Fields<'_>, report: &mut Report) -> Option<promql_engine::Query> {
    let found = fields.scalar("expr", report).filter(|(scalar, _)| !scalar.text.is_empty());
    let Some((scalar, at)) = found else {
        // A list or a mapping is in the report already.
        if fields.get("expr").is_none_or(|node| matches!(node.value, Value::Scalar(_))) {
            report.add(fields.at, "needs an `expr`");
        }
        return None;
    };
    if scalar.text.len() > MAX_EXPRESSION {
        let message = format!("`expr` has {} bytes, at most {MAX_EXPRESSION} are allowed", scalar.text.len());
        report.add(at, message);
        return None;
    }
    match promql_engine::parse(&scalar.text) {
        Ok(query) => Some(query),
        Err(error) => {
            let offset = offset(&scalar.text, error.line, error.column);
            let place = place::of(file, scalar, offset).unwrap_or(at);
            report.add(place, format!("`expr` is no PromQL: {}", error.message));
            None
        }
    }
}

/// The character at a line and a column, both counted from 1, the column in bytes.
fn offset(text: &str, line: u32, column: u32) -> usize {
    let before = text.split_inclusive('\n').take(line.saturating_sub(1) as usize);
    let at = before.map(str::len).sum::<usize>() + column.saturating_sub(1) as usize;
    text.char_indices().take_while(|(start, _)| *start < at).count()
}

fn recording(name: &str, at: Position, report: &mut Report) {
    if name.contains(['{', '}']) {
        report.add(at, format!("`{name}` is no name for a series: selectors belong into `expr`"));
    } else if !name::is_metric(name) {
        let allowed = "it may hold letters, digits, `_` and `:`, and begins with no digit";
        report.add(at, format!("`{name}` is no name for a series: {allowed}"));
    }
}

/// Labels with good names only.
pub(super) fn labels<'a>(texts: Vec<Text<'a>>, report: &mut Report) -> Vec<Text<'a>> {
    named(texts, "label", |name| name::is_label(name) && name != "__name__", report)
}

fn annotations<'a>(texts: Vec<Text<'a>>, report: &mut Report) -> Vec<Text<'a>> {
    let mut texts = named(texts, "annotation", name::is_label, report);
    texts.sort_by_key(|text| text.name);
    texts
}

fn named<'a>(
    mut texts: Vec<Text<'a>>,
    what: &str,
    allowed: impl Fn(&str) -> bool,
    report: &mut Report,
) -> Vec<Text<'a>> {
    texts.retain(|text| {
        let is_good = allowed(text.name);
        if !is_good {
            let rule = "letters, digits and `_`, no digit first";
            report.add(text.name_at, format!("`{}` is no name for a {what}: {rule}", text.name));
        }
        is_good
    });
    texts
}

fn owned(text: &Text<'_>) -> (Rc<str>, String) {
    (Rc::from(text.name), text.text().to_owned())
}

fn check_template(file: &str, what: &str, text: &Text<'_>, report: &mut Report) {
    if text.text().len() > MAX_TEMPLATE {
        let message = format!("the {what} `{}` has more than {MAX_TEMPLATE} bytes", text.name);
        report.add(text.at, message);
    } else if let Err(error) = template::check(text.text()) {
        let in_file = |scalar: &Scalar| place::of(file, scalar, error.offset);
        let at = text.scalar().and_then(in_file).unwrap_or(text.at);
        report.add(at, format!("the {what} `{}` is no template: {error}", text.name));
    }
}
