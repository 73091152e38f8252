//! What a plugin returned, held against what its case expects. Only what the case names is looked at.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::Serialize;
use toml::Spanned;

use super::cases::{Alert, Expect, Finding, Member};
use super::exposition;
use super::returned::{AlertShown, FindingShown, MemberShown, Returned, RuleShown, series_of};

/// One thing that is not as expected.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    /// Where in the file of cases the expectation stands, in bytes.
    #[serde(skip)]
    pub(super) offset: usize,
    /// The same as file and line, once the file is known.
    pub(super) place: String,
    /// What differs, such as `findings[0].rule`.
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) got: String,
}

/// Everything that is not as expected; `start` is where the case begins.
pub(super) fn compare(expect: &Expect, start: usize, outcome: &Result<Returned, String>) -> Vec<Difference> {
    let mut differences = Differences(Vec::new());
    let returned = match (outcome, &expect.error) {
        (Err(error), Some(expected)) => {
            if !error.contains(expected.get_ref().as_str()) {
                let part = format!("an error with `{}`", expected.get_ref());
                differences.add(expected.span().start, "error", part, error);
            }
            return differences.0;
        }
        (Err(error), None) => {
            differences.add(start, "error", "none", error);
            return differences.0;
        }
        (Ok(returned), _) => returned,
    };
    differences.rules(expect.error.as_ref(), start, &returned.rules);
    differences.list("findings", expect.findings.as_ref(), &returned.findings, Differences::finding);
    differences.list("members", expect.members.as_ref(), &returned.members, Differences::member);
    let alerts: Vec<(&RuleShown, &AlertShown)> =
        returned.rules.iter().flat_map(|rule| rule.alerts.iter().map(move |alert| (rule, alert))).collect();
    differences.list("alerts", expect.alerts.as_ref(), &alerts, Differences::alert);
    differences.values("counters", &expect.counters, |name| returned.counters.get(name).copied());
    differences.values("samples", &expect.samples, |name| {
        returned.samples.iter().rev().find(|sample| sample.0 == name).map(|sample| sample.1)
    });
    let verdict = returned.verdicts.last();
    let shown = |text: Option<&str>| text.unwrap_or("none").to_owned();
    differences.equal("verdict", &expect.verdict, || shown(verdict.map(|verdict| verdict.verdict)));
    differences.equal("reason", &expect.reason, || shown(verdict.map(|it| it.reason.as_str())));
    differences.equal("container", &expect.container, || match returned.container {
        Some(opened) => opened.to_string(),
        None => "no unpacker was asked".to_owned(),
    });
    differences.0
}

struct Differences(Vec<Difference>);

impl Differences {
    fn add(&mut self, offset: usize, what: &str, expected: impl Display, got: impl Display) {
        let (expected, got) = (expected.to_string(), got.to_string());
        self.0.push(Difference { offset, place: String::new(), what: what.to_owned(), expected, got });
    }

    fn equal<T: Display>(&mut self, what: &str, expected: &Option<Spanned<T>>, got: impl Fn() -> String) {
        if let Some(expected) = expected {
            self.same(expected.span().start, what, Some(expected.get_ref()), got());
        }
    }

    /// As texts, so that both are shown as they were compared.
    fn same<T: Display>(&mut self, offset: usize, what: &str, expected: Option<&T>, got: impl Display) {
        let got = got.to_string();
        match expected.map(ToString::to_string) {
            Some(expected) if expected != got => self.add(offset, what, expected, got),
            _ => {}
        }
    }

    /// Rules have errors of their own, which are no error of the call.
    fn rules(&mut self, expected: Option<&Spanned<String>>, start: usize, rules: &[RuleShown]) {
        let errors: Vec<String> = rules
            .iter()
            .filter_map(|rule| Some(format!("rule {}/{}: {}", rule.group, rule.rule, rule.error.as_ref()?)))
            .collect();
        match expected {
            Some(expected) if !errors.iter().any(|error| error.contains(expected.get_ref().as_str())) => {
                let got = if errors.is_empty() { "none".to_owned() } else { errors.join("; ") };
                let part = format!("an error with `{}`", expected.get_ref());
                self.add(expected.span().start, "error", part, got);
            }
            None if !errors.is_empty() => self.add(start, "error", "none", errors.join("; ")),
            _ => {}
        }
    }

    /// Lists are of the same length and the same order.
    fn list<E, G: Shown>(
        &mut self,
        what: &str,
        expected: Option<&Spanned<Vec<Spanned<E>>>>,
        got: &[G],
        compare: fn(&mut Self, &str, usize, &E, &G),
    ) {
        let Some(expected) = expected else { return };
        let items = expected.get_ref();
        if items.len() != got.len() {
            let listed: Vec<String> = got.iter().take(SHOWN_ITEMS).map(Shown::line).collect();
            let more = got.len().saturating_sub(SHOWN_ITEMS);
            let more = if more == 0 { String::new() } else { format!("; and {more} more") };
            let listed = if listed.is_empty() { String::new() } else { format!(": {}", listed.join("; ")) };
            self.add(expected.span().start, what, items.len(), format!("{}{listed}{more}", got.len()));
        }
        for (index, (expected, got)) in items.iter().zip(got).enumerate() {
            compare(self, &format!("{what}[{index}]"), expected.span().start, expected.get_ref(), got);
        }
    }

    fn finding(&mut self, what: &str, offset: usize, expected: &Finding, got: &FindingShown) {
        self.same(offset, &format!("{what}.rule"), expected.rule.as_ref(), &got.rule);
        self.same(offset, &format!("{what}.severity"), expected.severity.as_ref(), got.severity);
        self.same(offset, &format!("{what}.message"), expected.message.as_ref(), &got.message);
        let record = got.record.as_deref().unwrap_or("none");
        self.same(offset, &format!("{what}.record"), expected.record.as_ref(), record);
        self.named(offset, &format!("{what}.attributes"), &expected.attributes, &got.attributes);
    }

    fn member(&mut self, what: &str, offset: usize, expected: &Member, got: &MemberShown) {
        self.same(offset, &format!("{what}.path"), expected.path.as_ref(), &got.path);
        self.same(offset, &format!("{what}.text"), expected.text.as_ref(), got.text());
        self.same(offset, &format!("{what}.bytes"), expected.bytes.as_ref(), got.bytes);
        self.same(offset, &format!("{what}.sha256"), expected.sha256.as_ref(), &got.sha256);
    }

    fn alert(&mut self, what: &str, offset: usize, expected: &Alert, got: &(&RuleShown, &AlertShown)) {
        let (rule, alert) = got;
        self.same(offset, &format!("{what}.group"), expected.group.as_ref(), &rule.group);
        self.same(offset, &format!("{what}.rule"), expected.rule.as_ref(), &rule.rule);
        self.same(offset, &format!("{what}.value"), expected.value.as_ref(), alert.value);
        self.same(offset, &format!("{what}.for"), expected.hold_for.as_ref(), alert.hold_for);
        self.named(offset, &format!("{what}.labels"), &expected.labels, &alert.labels);
        self.named(offset, &format!("{what}.annotations"), &expected.annotations, &alert.annotations);
    }

    fn named(
        &mut self,
        offset: usize,
        what: &str,
        expected: &BTreeMap<String, String>,
        got: &BTreeMap<String, String>,
    ) {
        for (name, value) in expected {
            let got = got.get(name).map_or("none", String::as_str);
            self.same(offset, &format!("{what}.{name}"), Some(value), got);
        }
    }

    fn values(
        &mut self,
        what: &str,
        expected: &BTreeMap<String, Spanned<f64>>,
        got: impl Fn(&str) -> Option<f64>,
    ) {
        for (name, value) in expected {
            // It was read before the case was run.
            let canonical = exposition::series(name)
                .map_or_else(|_| name.clone(), |(name, labels)| series_of(&name, labels));
            let got = got(&canonical).map_or_else(|| "none".to_owned(), |value| value.to_string());
            self.same(value.span().start, &format!("{what} {name}"), Some(value.get_ref()), got);
        }
    }
}

/// Items of a list that are shown when there are more or fewer than expected.
const SHOWN_ITEMS: usize = 10;

/// How an item is shown in one line.
trait Shown {
    fn line(&self) -> String;
}

impl Shown for FindingShown {
    fn line(&self) -> String {
        format!("{} {}: {}", self.severity, self.rule, self.message)
    }
}

impl Shown for MemberShown {
    fn line(&self) -> String {
        format!("{} ({} bytes)", self.path, self.bytes)
    }
}

impl Shown for (&RuleShown, &AlertShown) {
    fn line(&self) -> String {
        format!("{}/{} {:?} value {}", self.0.group, self.0.rule, self.1.labels, self.1.value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::cli::plugin::returned::VerdictShown;

    /// What differs, as `what: expected / got`.
    fn differ(expect: &str, outcome: Result<Returned, &str>) -> Vec<String> {
        let expect: Expect = toml::from_str(expect).unwrap();
        let outcome = outcome.map_err(str::to_owned);
        let differences = compare(&expect, 0, &outcome);
        differences.iter().map(|it| format!("{}: {} / {}", it.what, it.expected, it.got)).collect()
    }

    fn returned() -> Returned {
        let finding = FindingShown {
            severity: "low",
            rule: "word".into(),
            message: "m".into(),
            attributes: [("word".to_owned(), "panic".to_owned())].into(),
            record: Some("a panic".into()),
        };
        let alert = AlertShown {
            labels: [("alertname".to_owned(), "Full".to_owned())].into(),
            annotations: BTreeMap::new(),
            value: 0.25,
            hold_for: crate::model::Span::seconds(60),
        };
        let rule = |error: Option<&str>| RuleShown {
            group: "g".into(),
            rule: "r".into(),
            alerts: vec![alert.clone()],
            error: error.map(str::to_owned),
        };
        Returned {
            findings: vec![finding],
            counters: [("a_total{x=\"1\",y=\"2\"}".to_owned(), 3.0)].into(),
            verdicts: vec![VerdictShown { path: "/a".into(), verdict: "clean", reason: String::new() }],
            members: vec![MemberShown::new("a.txt".into(), b"odd".to_vec())],
            container: Some(true),
            rules: vec![rule(None)],
            ..Returned::default()
        }
    }

    #[test]
    fn what_is_as_expected_or_not_named_is_no_difference() {
        for expect in [
            "",
            "findings = [{}]",
            "findings = [{ rule = 'word', severity = 'low', record = 'a panic', attributes = { word = 'panic' } }]",
            "counters = { 'a_total{y=\"2\",x=\"1\"}' = 3 }",
            "verdict = 'clean'\nreason = ''\ncontainer = true",
            "members = [{ path = 'a.txt', text = 'odd', bytes = 3 }]",
            "alerts = [{ rule = 'r', value = 0.25, for = '1m', labels = { alertname = 'Full' } }]",
        ] {
            assert_eq!(differ(expect, Ok(returned())), [""; 0], "{expect}");
        }
        assert_eq!(differ("error = 'words'", Err("no words are given")), [""; 0]);
    }

    #[test]
    fn each_difference_is_told_with_what_was_expected() {
        for (expect, says) in [
            ("findings = []", "findings: 0 / 1: low word: m"),
            ("findings = [{ rule = 'x' }]", "findings[0].rule: x / word"),
            ("findings = [{ attributes = { a = 'b' } }]", "findings[0].attributes.a: b / none"),
            ("counters = { b_total = 1 }", "counters b_total: 1 / none"),
            ("counters = { 'a_total{x=\"1\",y=\"2\"}' = 4 }", "counters a_total{x=\"1\",y=\"2\"}: 4 / 3"),
            ("verdict = 'malicious'", "verdict: malicious / clean"),
            ("container = false", "container: false / true"),
            ("members = [{ text = 'even' }]", "members[0].text: even / odd"),
            ("alerts = [{ for = '2m' }]", "alerts[0].for: 2m / 1m"),
            ("alerts = []", "alerts: 0 / 1: g/r {\"alertname\": \"Full\"} value 0.25"),
            ("error = 'x'", "error: an error with `x` / none"),
        ] {
            assert_eq!(differ(expect, Ok(returned())), [says], "{expect}");
        }
        assert_eq!(differ("verdict = 'clean'", Err("it trapped")), ["error: none / it trapped"]);
        assert_eq!(differ("error = 'x'", Err("y")), ["error: an error with `x` / y"]);
    }

    #[test]
    fn the_error_of_a_rule_is_an_error() {
        let failing = || {
            let mut returned = returned();
            returned.rules[0].error = Some("no samples".into());
            returned
        };
        assert_eq!(differ("", Ok(failing())), ["error: none / rule g/r: no samples"]);
        assert_eq!(differ("error = 'no samples'", Ok(failing())), [""; 0]);
    }
}
