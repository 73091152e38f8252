//! `rules` and `alerts`: which rules there are, whether they work, and what they found.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::super::dto::{Pairs, Time};
use super::failure::Failure;
use super::form::Form;
use super::number::with_exponent;
use super::parameters::switch;
use super::times::shown;
use crate::alerts::{ActiveAlert, Health, Rule, RuleGroup, RuleKind};
use crate::model::AlertState;

/// Which rules are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// Alerting or recording ones; none when both are.
    kind: Option<RuleKind>,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    without_alerts: bool,
}

impl Filter {
    pub(super) fn of(form: &Form) -> Result<Self, Failure> {
        let all = |name: &str| form.all(name).map(str::to_owned).collect();
        let kind = match form.first("type").map(str::to_ascii_lowercase).as_deref() {
            None => None,
            Some("alert") => Some(RuleKind::Alert),
            Some("record") => Some(RuleKind::Recording),
            Some(other) => {
                let why = format!("not supported value \"{}\"; write `alert` or `record`", shown(other));
                return Err(Failure::parameter("type", why));
            }
        };
        Ok(Self {
            kind,
            names: all("rule_name[]"),
            groups: all("rule_group[]"),
            files: all("file[]"),
            without_alerts: switch(form, "exclude_alerts")?,
        })
    }

    fn takes_group(&self, group: &RuleGroup) -> bool {
        is_among(&self.groups, name_in_file(group)) && is_among(&self.files, &group.file)
    }

    fn takes(&self, rule: &Rule) -> bool {
        self.kind.is_none_or(|wanted| wanted == rule.kind) && is_among(&self.names, &rule.name)
    }

    /// Whether groups without rules are shown.
    fn shows_empty_groups(&self) -> bool {
        self.kind.is_none() && self.names.is_empty()
    }
}

/// An empty list lets everything pass.
fn is_among(wanted: &[String], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)
}

/// The agent tells groups of one name in two files apart by `FILE;GROUP`.
fn name_in_file(group: &RuleGroup) -> &str {
    let name = group.name.strip_prefix(&group.file).and_then(|rest| rest.strip_prefix(';'));
    name.unwrap_or(&group.name)
}

/// The data of `rules`.
#[derive(Debug, Serialize)]
pub(super) struct Rules {
    groups: Vec<GroupView>,
}

/// The data of `alerts`.
#[derive(Debug, Serialize)]
pub(super) struct Alerts {
    alerts: Vec<AlertView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupView {
    name: String,
    file: String,
    rules: Vec<RuleView>,
    interval: f64,
    limit: u32,
    evaluation_time: f64,
    last_evaluation: String,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum RuleView {
    Alerting(AlertingView),
    Recording(RecordingView),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertingView {
    state: &'static str,
    duration: f64,
    keep_firing_for: f64,
    annotations: Pairs,
    alerts: Vec<AlertView>,
    labels: Pairs,
    #[serde(flatten)]
    rule: Common,
}

#[derive(Debug, Serialize)]
struct RecordingView {
    #[serde(skip_serializing_if = "is_empty")]
    labels: Pairs,
    #[serde(flatten)]
    rule: Common,
}

fn is_empty(labels: &Pairs) -> bool {
    labels.0.is_empty()
}

/// What both sorts of rules have.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Common {
    name: String,
    query: String,
    health: Health,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// Only that of the whole group is measured.
    evaluation_time: f64,
    last_evaluation: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AlertView {
    labels: Pairs,
    annotations: Pairs,
    state: AlertState,
    active_at: Time,
    value: String,
}

/// All alerts that are pending or firing.
pub(super) fn alerts(alerts: Vec<ActiveAlert>) -> Alerts {
    Alerts { alerts: alerts.into_iter().map(alert).collect() }
}

/// The rules that are wanted, with their alerts.
pub(super) fn rules(groups: Vec<RuleGroup>, alerts: Vec<ActiveAlert>, filter: &Filter) -> Rules {
    let mut of_rules: BTreeMap<[String; 3], Vec<ActiveAlert>> = BTreeMap::new();
    for alert in alerts {
        let key = [alert.plugin.clone(), alert.group.clone(), alert.rule.clone()];
        of_rules.entry(key).or_default().push(alert);
    }
    let mut shown = Vec::new();
    for mut group in groups.into_iter().filter(|group| filter.takes_group(group)) {
        let wanted = std::mem::take(&mut group.rules).into_iter().filter(|rule| filter.takes(rule));
        let rules: Vec<RuleView> = wanted
            .map(|rule| {
                let key = [group.plugin.clone(), group.name.clone(), rule.id.clone()];
                let alerts = of_rules.remove(&key).unwrap_or_default();
                view(rule, alerts, filter.without_alerts)
            })
            .collect();
        if filter.shows_empty_groups() || !rules.is_empty() {
            shown.push(group_view(&group, rules));
        }
    }
    Rules { groups: shown }
}

fn group_view(group: &RuleGroup, rules: Vec<RuleView>) -> GroupView {
    GroupView {
        name: name_in_file(group).to_owned(),
        file: group.file.clone(),
        rules,
        interval: seconds(group.interval),
        limit: group.limit,
        evaluation_time: group.evaluation_seconds,
        last_evaluation: last(group.last_evaluation),
    }
}

fn view(rule: Rule, alerts: Vec<ActiveAlert>, without_alerts: bool) -> RuleView {
    let common = Common {
        name: rule.name,
        query: rule.expression,
        health: rule.health,
        last_error: rule.last_error,
        evaluation_time: 0.0,
        last_evaluation: last(rule.last_evaluation),
    };
    let labels = Pairs(rule.labels);
    match rule.kind {
        RuleKind::Recording => RuleView::Recording(RecordingView { labels, rule: common }),
        RuleKind::Alert => RuleView::Alerting(AlertingView {
            state: state(&alerts),
            duration: seconds(rule.hold_for),
            keep_firing_for: seconds(rule.keep_firing_for),
            annotations: Pairs(rule.annotations),
            alerts: if without_alerts { Vec::new() } else { alerts.into_iter().map(alert).collect() },
            labels,
            rule: common,
        }),
    }
}

fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

/// That of its worst alert.
fn state(alerts: &[ActiveAlert]) -> &'static str {
    let is = |state| alerts.iter().any(|alert| alert.state == state);
    if is(AlertState::Firing) {
        "firing"
    } else if is(AlertState::Pending) {
        "pending"
    } else {
        "inactive"
    }
}

fn alert(alert: ActiveAlert) -> AlertView {
    AlertView {
        labels: Pairs(alert.labels),
        annotations: Pairs(alert.annotations),
        state: alert.state,
        active_at: Time(alert.active_since),
        value: with_exponent(alert.value),
    }
}

/// When it was. Before the first evaluation it is Go's zero time, which clients take for "never".
fn last(evaluation: Option<u64>) -> String {
    evaluation.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |time| Time(time).to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{Digest, Label};

    const AT: u64 = 1_700_000_000_000_000_000;

    fn labels(labels: &[(&str, &str)]) -> Vec<Label> {
        labels.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() }).collect()
    }

    fn group() -> RuleGroup {
        let alerting = Rule {
            id: "Down{severity=\"high\"}".into(),
            name: "Down".into(),
            kind: RuleKind::Alert,
            expression: "up == 0".into(),
            hold_for: 600_000_000_000,
            keep_firing_for: 0,
            labels: labels(&[("severity", "high")]),
            annotations: labels(&[("summary", "{{ $value }}")]),
            health: Health::Ok,
            last_error: None,
            last_evaluation: Some(AT),
        };
        let recording = Rule {
            id: "down:count".into(),
            name: "down:count".into(),
            kind: RuleKind::Recording,
            labels: vec![],
            annotations: vec![],
            health: Health::Err,
            last_error: Some("many-to-many".into()),
            last_evaluation: None,
            ..alerting.clone()
        };
        RuleGroup {
            plugin: "promql-rules".into(),
            name: "node.yml;node".into(),
            file: "node.yml".into(),
            interval: 60_000_000_000,
            limit: 0,
            last_evaluation: Some(AT),
            evaluation_seconds: 0.25,
            rules: vec![alerting, recording],
        }
    }

    fn firing() -> ActiveAlert {
        ActiveAlert {
            plugin: "promql-rules".into(),
            generation: Digest::of(b"x"),
            group: "node.yml;node".into(),
            rule: "Down{severity=\"high\"}".into(),
            state: AlertState::Firing,
            labels: labels(&[("alertname", "Down"), ("severity", "high")]),
            annotations: labels(&[("summary", "0")]),
            value: 0.0,
            active_since: AT,
        }
    }

    fn shown(query: &str) -> Value {
        json!(rules(vec![group()], vec![firing()], &Filter::of(&Form::of(query)).unwrap()))
    }

    #[test]
    fn rules_have_the_shape_that_prometheus_gives_them() {
        let alert = json!({
            "labels": {"alertname": "Down", "severity": "high"},
            "annotations": {"summary": "0"},
            "state": "firing",
            "activeAt": "2023-11-14T22:13:20Z",
            "value": "0e+00",
        });
        assert_eq!(json!(alerts(vec![firing()])), json!({"alerts": [alert]}));
        let expected = json!({"groups": [{
            "name": "node",
            "file": "node.yml",
            "interval": 60.0,
            "limit": 0,
            "evaluationTime": 0.25,
            "lastEvaluation": "2023-11-14T22:13:20Z",
            "rules": [{
                "type": "alerting",
                "name": "Down",
                "query": "up == 0",
                "state": "firing",
                "duration": 600.0,
                "keepFiringFor": 0.0,
                "labels": {"severity": "high"},
                "annotations": {"summary": "{{ $value }}"},
                "alerts": [alert],
                "health": "ok",
                "evaluationTime": 0.0,
                "lastEvaluation": "2023-11-14T22:13:20Z",
            }, {
                "type": "recording",
                "name": "down:count",
                "query": "up == 0",
                "health": "err",
                "lastError": "many-to-many",
                "evaluationTime": 0.0,
                "lastEvaluation": "0001-01-01T00:00:00Z",
            }],
        }]});
        assert_eq!(shown(""), expected);
    }

    #[test]
    fn filters_leave_what_is_asked_for() {
        let names = |query: &str| -> Vec<String> {
            let shown = shown(query);
            let groups = shown["groups"].as_array().unwrap().iter();
            let rules = groups.flat_map(|group| group["rules"].as_array().unwrap().clone());
            rules.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
        };
        for (query, expected) in [
            ("type=alert", &["Down"][..]),
            ("type=record", &["down:count"][..]),
            ("rule_name[]=Down&rule_name[]=x", &["Down"][..]),
            ("rule_group[]=node&file[]=node.yml", &["Down", "down:count"][..]),
            ("rule_group[]=other", &[][..]),
            ("file[]=other.yml", &[][..]),
        ] {
            assert_eq!(names(query), expected, "{query}");
        }
        assert_eq!(shown("rule_name[]=none"), json!({"groups": []}));
        assert_eq!(shown("exclude_alerts=true")["groups"][0]["rules"][0]["alerts"], json!([]));
        assert_eq!(shown("exclude_alerts=true")["groups"][0]["rules"][0]["state"], "firing");
        assert!(Filter::of(&Form::of("type=x")).unwrap_err().error.contains("not supported value \"x\""));
    }
}
