//! Rule files before they are rolled out: `picket rules` beside Debian's `promtool`, on the same files.
//!
//! Its version 2.42 takes the left edge of a range in, which later ones leave out: no case here lies on one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use picket_tests::servers::{Server, need};
use picket_tests::{Node, plugin, rules, until};

/// Whether promtool has nothing against files.
fn promtool(verb: &str, files: &[PathBuf]) -> bool {
    let output = Command::new("promtool").args([verb, "rules"]).args(files).output().unwrap();
    output.status.success()
}

/// A file of `tests/rules`.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(name)
}

/// Rules around one rule.
fn around(rule: &str) -> String {
    format!("groups:\n  - name: g\n    rules:\n{rule}")
}

fn written(folder: &Path, name: &str, content: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, content).unwrap();
    file
}

#[test]
fn the_same_unit_tests_have_the_same_verdicts() {
    let good = [kept("node.test.yml")];
    rules(&["test"], &good).expect(0, &["SUCCESS"]);
    let wrong = [kept("wrong.test.yml")];
    let ran = rules(&["test"], &wrong);
    ran.expect(1, &["Unit Testing"]);
    for part in [
        "alertname: NodeDown, time: 1m\n        expected 1, got 0",
        "alertname: NodeDown, time: 5m\n        expected 0, got 1",
        "expr: \"up\", time: 1m\n",
        "- exp: up{instance=\"a\", job=\"node\"} 1.0\n",
        "+ got: up{instance=\"a\", job=\"node\"} 0.0\n",
    ] {
        assert!(ran.stderr.contains(part), "`{part}` is missing in\n{}", ran.stderr);
    }
    let json = rules(&["test", "--output", "json"], &wrong).json();
    assert_eq!(json["files"][0]["tests"][0]["failures"].as_array().unwrap().len(), 3);
    if need(&[Server::Prometheus]) {
        assert!(promtool("test", &good) && !promtool("test", &wrong));
    }
}

#[test]
fn an_alert_that_is_kept_firing_is_tested_as_promtool_3_tests_it() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "      - alert: A\n        expr: x > 0\n        keep_firing_for: 3m\n";
    written(folder.path(), "rules.yml", &around(rule));
    let case = |minute: u32, fires: bool| {
        let expected = if fires { "\n        exp_alerts: [{exp_labels: {}}]" } else { "" };
        format!("      - eval_time: {minute}m\n        alertname: A{expected}\n")
    };
    let cases: String =
        [(0, false), (1, true), (2, true), (4, true), (5, false)].map(|(at, fires)| case(at, fires)).concat();
    let tests = format!(
        "rule_files: [rules.yml]\ntests:\n  - input_series: [{{series: x, values: '0 1 0x8'}}]\n    alert_rule_test:\n{cases}"
    );
    rules(&["test"], &[written(folder.path(), "tests.yml", &tests)]).expect(0, &["SUCCESS"]);
}

#[test]
fn the_same_rule_files_are_good_and_bad() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "      - {alert: A, expr: up == 0";
    let files = [
        ("empty.yml", String::new()),
        (
            "good.yml",
            around(&format!("{rule}, for: 5m, labels: {{a: b}}, annotations: {{s: '{{{{ $value }}}}'}}}}\n")),
        ),
        ("record.yml", around("      - {record: 'a:b', expr: sum(up)}\n")),
        ("syntax.yml", around("      - {alert: A, expr: 'sum(up'}\n")),
        ("yaml.yml", "groups: [".to_owned()),
        ("unknown-key.yml", around(&format!("{rule}, fore: 5m}}\n"))),
        ("both.yml", around("      - {alert: A, record: b, expr: up}\n")),
        ("neither.yml", around("      - {expr: up}\n")),
        ("no-expr.yml", around("      - {alert: A}\n")),
        ("label.yml", around(&format!("{rule}, labels: {{'1a': b}}}}\n"))),
        ("template.yml", around(&format!("{rule}, annotations: {{s: '{{{{ $value'}}}}\n"))),
        ("function.yml", around(&format!("{rule}, annotations: {{s: '{{{{ nonsense $value }}}}'}}}}\n"))),
        ("type.yml", around("      - {record: a, expr: 'rate(up)'}\n")),
        ("duration.yml", around(&format!("{rule}, for: 5 minutes}}\n"))),
        ("record-for.yml", around("      - {record: a, expr: up, for: 5m}\n")),
        ("record-name.yml", around("      - {record: 'a b', expr: up}\n")),
        ("twice.yml", "groups:\n  - {name: g, rules: []}\n  - {name: g, rules: []}\n".to_owned()),
        ("no-name.yml", "groups:\n  - {rules: []}\n".to_owned()),
        ("duplicate.yml", around(&format!("{rule}}}\n{rule}}}\n"))),
    ];
    let compared = need(&[Server::Prometheus]);
    for (name, content) in files {
        let file = [written(folder.path(), name, &content)];
        let ran = rules(&["check"], &file);
        let is_good = ["empty.yml", "good.yml", "record.yml", "duplicate.yml"].contains(&name);
        assert_eq!(ran.code == Some(0), is_good, "{name}: {ran:?}");
        if compared {
            assert_eq!(promtool("check", &file), is_good, "{name}");
        }
        if !is_good {
            assert!(ran.stderr.contains(&format!("{}:", file[0].display())), "{name}: {ran:?}");
        }
    }
    let place = |name: &str| folder.path().join(name);
    let ran = rules(&["check"], &[place("good.yml"), place("syntax.yml")]);
    ran.expect(1, &["SUCCESS: 1 rules found"]);
    assert!(ran.stderr.contains("syntax.yml:4:") && ran.stderr.contains("group `g`"), "{ran:?}");
    let ran = rules(&["check", "--lint-fatal"], &[place("duplicate.yml")]);
    assert!(ran.code == Some(3) && ran.stderr.contains("1 duplicate rule(s) found."), "{ran:?}");
}

const ACTIVE: &str = r#"
[sources.host]
kind = "host"
interval = "1s"

[plugins.promql-rules]
assets = "{dir}/rules"
grants.series = true
"#;

#[test]
fn a_candidate_is_replayed_over_what_the_node_has_kept() {
    let rule = |hold_for: &str| {
        let text = around(&format!("      - {{alert: Loaded, expr: node_load1 >= 0, for: {hold_for}}}\n"));
        text.replace("name: g\n", "name: g\n    interval: 1s\n")
    };
    let builder = Node::builder().install(&plugin("promql-rules"), "promql-rules");
    let mut node = builder.config(ACTIVE).build();
    fs::create_dir(node.path("rules")).unwrap();
    fs::write(node.path("rules/load.yml"), rule("1h")).unwrap();
    fs::create_dir(node.path("new")).unwrap();
    fs::write(node.path("new/load.yml"), rule("2s")).unwrap();
    node.start();
    until("the load was sampled for some seconds", || {
        let found = node.get("/prometheus/api/v1/query?query=count_over_time(node_load1%5B1h%5D)")?.json();
        let count: u32 = found["data"]["result"][0]["value"][1].as_str()?.parse().ok()?;
        (count > 5).then_some(())
    });
    // While the agent has its folder, and when nobody has it.
    let line =
        format!("rules backtest --rules {} --from 5m --output json", node.path("new/load.yml").display());
    assert_eq!(node.cli(&line).code, Some(0));
    assert!(node.stop().success());
    let ran = node.cli(&line);
    ran.expect(0, &[]);
    let alerts = ran.json()["alerts"].clone();
    assert_eq!(alerts.as_array().unwrap().len(), 1, "{ran:?}");
    assert_eq!(alerts[0]["labels"]["alertname"], "Loaded");
    assert!(alerts[0]["candidate"]["firing_seconds"].as_f64().unwrap() > 1.0, "{ran:?}");
    assert!(alerts[0]["active"]["pending_seconds"].as_f64().unwrap() > 3.0, "{ran:?}");
    assert_eq!(alerts[0]["active"]["firing_seconds"], 0.0, "{ran:?}");

    let picture = node.path("picture.svg");
    let text = node.cli(&line.replace("--output json", &format!("--svg {}", picture.display())));
    text.expect(0, &["Loaded", "candidate", "active", "firing"]);
    let svg = fs::read_to_string(picture).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("Loaded") && svg.ends_with("</svg>\n"));
}
