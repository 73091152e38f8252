//! Verdicts over rule files, each with its place. Those of `promtool` were compared by hand.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::yaml::Position;

fn loaded(text: &str) -> RuleFile {
    load("f.yml", text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// The file is refused with this first problem.
fn refused(text: &str, line: u32, column: u32, message: &str) {
    let problems = load("f.yml", text).unwrap_err();
    let first = &problems[0];
    assert!(first.to_string().contains(message), "{text}\n{first}");
    assert_eq!(first.at, Position { line, column }, "{text}\n{first}");
}

/// The same for one rule in a group `g`, its lines counted from 5.
fn rule(lines: &str, line: u32, column: u32, message: &str) {
    let lines: Vec<String> = lines.lines().map(|line| format!("    {line}\n")).collect();
    refused(&format!("groups:\n- name: g\n  rules:\n  -\n{}", lines.concat()), line, column, message);
}

#[test]
fn a_file_holds_groups_and_rules() {
    let file = loaded(
        "groups:\n- name: g\n  interval: 30s\n  query_offset: 1m\n  limit: 5\n  labels: {team: a, tier: x}\n  rules:\n  \
         - record: a:b\n    expr: up\n    labels: {tier: 1}\n  - alert: Down\n    expr: up == 0\n    for: 5m\n    \
         keep_firing_for: 1h30m\n    labels: {severity: '{{ $value }}'}\n    annotations: {b: '', a: x}\n",
    );
    let group = &file.groups[0];
    assert_eq!((group.interval, group.query_offset, group.limit), (Some(30_000), Some(60_000), 5));
    let [record, alert] = group.rules.as_slice() else { panic!() };
    assert!(matches!(record.kind, Kind::Recording));
    assert_eq!(record.labels, [("team".into(), "a".to_owned()), ("tier".into(), "1".to_owned())]);
    let Kind::Alert(kind) = &alert.kind else { panic!() };
    assert_eq!((kind.hold_for, kind.keep_firing_for, alert.labels.len()), (300_000, 5_400_000, 3));
    let names: Vec<&str> = kind.annotations.iter().map(|(name, _)| &**name).collect();
    assert_eq!((alert.name.as_str(), alert.query.text(), names), ("Down", "up == 0", vec!["a", "b"]));
}

#[test]
fn nothing_is_fine_as_well() {
    for text in [
        "",
        "groups:\n",
        "groups: []\n",
        "{}",
        "---\n",
        "groups:\n- name: g\n",
        "groups:\n- name: g\n  rules:\n  interval:\n",
    ] {
        assert!(loaded(text).groups.iter().all(|group| group.rules.is_empty()), "{text}");
    }
}

#[test]
fn structure_is_strict() {
    refused("group: []\n", 1, 1, "a rule file has no field `group`");
    refused("- a\n", 1, 1, "a rule file is a list, not a mapping");
    refused("groups: {}\n", 1, 9, "`groups` is a mapping, not a list");
    refused("groups:\n- x\n", 2, 3, "a group is a single value, not a mapping");
    refused(
        "groups:\n- name: a\n  rule: []\n",
        3,
        3,
        "group `a`: a group has no field `rule`".split_at(11).1,
    );
    refused("groups:\n- rules: []\n", 2, 3, "a group needs a `name`");
    refused("groups:\n- name: a\n- name: a\n", 3, 3, "stands twice in the file, first in line 2");
    refused("groups:\n- name: a\n  interval: 5\n", 3, 13, "`interval`: `5` is no length of time");
    refused("groups:\n- name: a\n  interval: 100ms\n", 2, 3, "from 1s to 1d");
    refused("groups:\n- name: a\n  limit: x\n", 3, 10, "no whole number");
    refused("groups:\n- name: a\n  labels: {a-b: c}\n", 3, 12, "`a-b` is no name for a label");
    refused("groups:\n- name: a\n  name: b\n", 3, 3, "`name` is already there, in line 2");
    refused("groups: [\n", 2, 1, "is no YAML");
}

#[test]
fn rules_are_checked_as_by_promtool() {
    rule("expr: up", 5, 5, "neither `record` nor `alert`");
    rule("alert: A\nrecord: b\nexpr: up", 6, 13, "both `record` and `alert`");
    rule("alert: A", 5, 5, "rule 1 `A`: needs an `expr`");
    rule("alert: A\nexpr: ''", 5, 5, "needs an `expr`");
    rule("alert: A\nexpr: []", 6, 11, "`expr` is a list");
    rule("record: 'a b'\nexpr: up", 5, 13, "`a b` is no name for a series");
    rule("record: a{b='c'}\nexpr: up", 5, 13, "selectors belong into `expr`");
    rule("record: a\nexpr: up\nfor: 5m", 7, 10, "a recording rule has no `for`");
    rule("record: a\nexpr: up\nkeep_firing_for: 5m", 7, 22, "no `keep_firing_for`");
    rule("record: a\nexpr: up\nannotations: {a: b}", 7, 18, "no `annotations`");
    rule("alert: A\nexpr: up\nfor: 5 m", 7, 10, "`5 m` is no length of time");
    rule("alert: A\nexpr: up\nlabels: {__name__: b}", 7, 14, "`__name__` is no name for a label");
    rule("alert: A\nexpr: up\nlabels: {a: [b]}", 7, 17, "`a` in `labels` is a list");
    rule("alert: A\nexpr: up\nannotations: {'a b': c}", 7, 19, "no name for a annotation");
    rule("alert: A\nexpr: up\nsummary: x", 7, 5, "a rule has no field `summary`");
    rule("alert: A\nexpr: up\nannotations:\n  a: 'x {{ foo }}'", 8, 16, "there is no function `foo`");
    rule(
        "alert: A\nexpr: up\nlabels:\n  a: '{{ $x }}'",
        8,
        14,
        "the label `a` is no template: there is no variable `$x`",
    );
}

#[test]
fn a_place_in_an_expression_is_one_in_the_file() {
    rule("alert: A\nexpr: up == )", 6, 17, "`expr` is no PromQL");
    rule("alert: A\nexpr: 'up == )'", 6, 18, "`expr` is no PromQL");
    rule("alert: A\nexpr: |\n  up\n    == )", 8, 12, "`expr` is no PromQL");
    rule("alert: A\nexpr: >-\n  sum(up)\n  == foo(up)", 8, 10, "`expr` is no PromQL");
}

#[test]
fn verdicts_are_those_of_promtool() {
    // What `promtool check rules` 2.42 says of the same files.
    let in_group = |lines: &str| format!("groups:\n- name: g\n{lines}");
    let as_rule = |lines: &str| in_group(&format!("  rules:\n  - {lines}"));
    for good in [
        as_rule("record: a\n    expr: up[5m]\n"),
        in_group("  limit: -1\n"),
        in_group("  limit: 5.0\n"),
        in_group("  interval: 0\n"),
        as_rule("alert: A\n    expr: up\n    for:\n"),
        "groups: []\n---\nfoo: [\n".to_owned(),
        as_rule("alert: 'A b é'\n    expr: up\n"),
        as_rule("alert: A\n    expr: up\n    labels: {a: , b: 1, c: true}\n"),
        as_rule("record: a\n    expr: 1\n"),
        as_rule("record: a\n    expr: up\n    annotations: {}\n    for: 0s\n"),
        as_rule("record:\n    alert: A\n    expr: up\n"),
        as_rule("alert: A\n    expr: up\n    annotations: {__name__: '{{ template \"x\" }} {{ 1 2 }}'}\n"),
        in_group("  rules:\n  -\n-\n"),
        in_group("  rules: &r\n  - {alert: A, expr: up}\n- name: h\n  rules: *r\n"),
    ] {
        loaded(&good);
    }
    for bad in [
        in_group("  limit: '5'\n"),
        in_group("  limit: 99999999999999999999\n"),
        in_group("  interval: ''\n"),
        as_rule("alert: A\n    expr: up\n    for: ''\n"),
        as_rule("alert: A\n    expr: up\n    labels: {1: a}\n"),
        "foo\n".to_owned(),
        "groups:\n\t- name: a\n".to_owned(),
        "x: &x {alert: A}\ngroups: []\n".to_owned(),
        as_rule("alert: A\n    expr: up\n    annotations: {a: '{{ break }}'}\n"),
        as_rule("alert: A\n    expr: up\n    annotations: {a: '{{ print (1)(2) }}'}\n"),
        as_rule("alert: A\n    expr: up\n    annotations: {a: '{{ /* x */ }}'}\n"),
        as_rule(
            "alert: A\n    expr: up\n    annotations: {a: '{{ range .Labels }}a{{ else if true }}b{{ end }}'}\n",
        ),
    ] {
        assert!(load("f.yml", &bad).is_err(), "{bad}");
    }
}

#[test]
fn recording_rules_have_no_templates() {
    let file =
        loaded("groups:\n- name: g\n  rules:\n  - record: a\n    expr: up\n    labels: {x: '{{ nope }}'}\n");
    assert_eq!(file.groups[0].rules[0].labels[0].1, "{{ nope }}");
}

#[test]
fn all_problems_are_in_one_error() {
    let rules = "  - alert: A\n    expr: )\n".repeat(13);
    let problems = load("f.yml", &format!("groups:\n- name: g\n  rules:\n{rules}")).unwrap_err();
    assert_eq!(problems.len(), 13);
    let error = error(&problems).unwrap();
    assert_eq!((error.asset.as_deref(), error.line, error.column), (Some("f.yml"), 5, 11));
    assert!(error.message.starts_with("group `g`, rule 1 `A`: `expr` is no PromQL: "), "{}", error.message);
    assert!(error.message.contains("(and 12 more)"));
    assert_eq!(error.message.lines().count(), 10);
    assert!(error.message.lines().nth(1).unwrap().starts_with("f.yml:7:11: group `g`, rule 2 `A`: "));
}

#[test]
fn sizes_are_bounded() {
    let long = format!("groups:\n- name: {}\n", "x".repeat(MAX_GROUP_NAME));
    refused(&long, 2, 3, "more than 512 bytes together");
    let many = "- name: g\n".repeat(MAX_GROUPS + 1);
    refused(&format!("groups:\n{many}"), 1, 1, "at most 1000");
    let labels: String = (0..=MAX_LABELS).map(|n| format!("l{n}: x, ")).collect();
    refused(&format!("groups:\n- name: a\n  labels: {{{labels}}}\n"), 3, 11, "at most 64");
    rule(
        &format!("alert: A\nexpr: up\nannotations: {{a: '{}'}}", "x".repeat(MAX_TEMPLATE + 1)),
        7,
        22,
        "more than 65536 bytes",
    );
    rule(&format!("alert: A\nexpr: 'up{}'", " ".repeat(MAX_EXPRESSION)), 6, 11, "at most 65536");
    let alias = "x: &r [".to_owned() + &"{record: a, expr: up},".repeat(200) + "]\n";
    let groups: String = (0..101).map(|n| format!("- {{name: g{n}, rules: *r}}\n")).collect();
    let problems = load("f.yml", &format!("{alias}groups:\n{groups}")).unwrap_err();
    assert!(problems.iter().any(|problem| problem.message.contains("more than 20000 rules")), "{problems:?}");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = load("f.yml", &String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_rule_panics(expr in "\\PC{0,30}", duration in "[0-9a-z]{0,6}", text in "[{}$.a \"|]{0,20}") {
        let quote = |text: &str| text.replace('\'', "''");
        let rule = format!(
            "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: '{}'\n    for: {duration}\n    labels: {{a: '{}'}}\n",
            quote(&expr), quote(&text),
        );
        let _ = load("f.yml", &rule);
    }
}
