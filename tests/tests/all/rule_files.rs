//! Rule files of others on a running agent: they load unchanged, a bad one costs nothing that is in force, a rule that is
//! too much costs itself only, and a killed agent goes on with what was pending.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use picket_tests::servers::{Page, Server, Target, need, quoted};
use picket_tests::{Node, NodeBuilder, of_kind, plugin, rules, until};
use serde_json::Value;

/// A file of those that are written as others write theirs.
fn mixin(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/promql-rules/tests/mixins").join(name)
}

/// A node with rule files in its folder `files`, and more of its configuration.
fn node(files: &[(&str, String)], more: &str) -> NodeBuilder {
    let config = format!("[plugins.promql-rules]\nassets = \"{{dir}}/files\"\ngrants.series = true\n{more}");
    let builder = Node::builder().install(&plugin("promql-rules"), "promql-rules").config(&config);
    files.iter().fold(builder, |builder, (name, text)| builder.file(&format!("files/{name}"), text))
}

/// A source that scrapes a target each second.
fn scraping(target: &Target) -> String {
    format!("[sources.app]\nkind = \"prometheus\"\ninterval = \"1s\"\ntargets = [\"{}\"]\n", target.address())
}

/// A rule that is loaded, as the API shows it.
#[derive(Debug)]
struct Loaded {
    name: String,
    health: String,
    error: String,
}

fn loaded(node: &Node) -> Vec<Loaded> {
    let data = node.prometheus("rules").expect("the agent answers");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = Vec::new();
    for group in data["groups"].as_array().unwrap() {
        all.extend(group["rules"].as_array().unwrap().iter().map(|rule| Loaded {
            name: text(&rule["name"]),
            health: text(&rule["health"]),
            error: text(&rule["lastError"]),
        }));
    }
    all
}

fn names(node: &Node) -> Vec<String> {
    loaded(node).into_iter().map(|rule| rule.name).collect()
}

/// The names that stand behind `alert:` and `record:` in a file.
fn named(text: &str) -> Vec<String> {
    let plain = |line: &str| line.trim_start().trim_start_matches("- ").replace('"', "");
    let name = |line: &str| {
        let line = plain(line);
        let name = line.strip_prefix("alert: ").or(line.strip_prefix("record: "))?;
        Some(name.trim().to_owned())
    };
    text.lines().filter_map(name).collect()
}

#[test]
fn every_alert_of_the_manuals_fires_on_its_series() {
    let tests = [mixin("duties_test.yml")];
    rules(&["test"], &tests).expect(0, &["SUCCESS"]);
    let tested = fs::read_to_string(&tests[0]).unwrap();
    let firing = |name: &str| {
        let cases = tested.split("alertname: ").filter(|case| case.starts_with(&format!("{name}\n")));
        cases.filter(|case| case.contains("exp_labels")).count()
    };
    for name in named(&fs::read_to_string(mixin("duties.yml")).unwrap()) {
        assert_eq!(firing(&name), 1, "{name} is tested as firing");
    }
    if need(&[Server::Prometheus]) {
        let ran = Command::new("promtool").args(["test", "rules"]).args(&tests).output().unwrap();
        assert!(ran.status.success(), "promtool says the same: {ran:?}");
    }
}

#[test]
fn rule_files_in_the_style_of_mixins_load_unchanged_and_every_rule_is_well() {
    let files = ["duties.yml", "kubernetes.yml", "node_exporter.yml"]
        .map(|name| (name, fs::read_to_string(mixin(name)).unwrap()));
    let mut expected: Vec<String> = files.iter().flat_map(|(_, text)| named(text)).collect();
    expected.sort();
    assert!(expected.len() > 35, "{expected:?}");
    let mut node = node(&files, "").start();
    let found = until("every rule was evaluated", || {
        let rules = loaded(&node);
        rules.iter().all(|rule| rule.health != "unknown").then_some(rules)
    });
    for rule in &found {
        assert_eq!(rule.health, "ok", "{rule:?}");
    }
    let mut found: Vec<String> = found.into_iter().map(|rule| rule.name).collect();
    found.sort();
    assert_eq!(found, expected);
    assert!(node.stop().success());
}

/// A group of the name `GROUP` with one rule a line, from line 5 on.
fn group(name: &str, rules: &[&str]) -> String {
    let rules: String = rules.iter().map(|rule| format!("      - {rule}\n")).collect();
    format!("groups:\n  - name: {name}\n    interval: 1s\n    rules:\n{rules}")
}

/// The metric of a group of a rule file.
fn of_group(node: &Node, metric: &str, group: &str) -> f64 {
    node.metric(&format!("picket_rule_group_{metric}{{group=\"{group}\",plugin=\"promql-rules\"}}"))
}

#[test]
fn one_bad_rule_refuses_all_files_together_and_those_of_before_go_on() {
    let files = [
        ("a.yml", group("a", &["{alert: Always, expr: vector(1)}"])),
        ("b.yml", group("b", &["{record: 'b:one', expr: vector(1)}"])),
    ];
    let mut node = node(&files, "").start();
    let fires = || (of_kind(&node.rows(), "alert").len() == 1).then_some(());
    until("the alert fires", fires);

    let write = |name: &str, text: String| {
        fs::write(node.path(&format!("{name}.new")), text).unwrap();
        fs::rename(node.path(&format!("{name}.new")), node.path(&format!("files/{name}"))).unwrap();
    };
    let good = "{record: 'b:one', expr: vector(1)}";
    write("b.yml", group("b", &[good, "{alert: Bad, expr: 'sum(up) by by'}"]));
    write("a.yml", group("a", &["{alert: Another, expr: vector(1)}"]));
    node.reload();
    let reason = until("it is refused", || {
        let status = node.plugin_status("promql-rules");
        status["rejected"]["reason"].as_str().map(str::to_owned)
    });
    // The place is that of the mistake within the expression.
    for part in ["b.yml", "group `b`", "rule 2 `Bad`", "line 6, column "] {
        assert!(reason.contains(part), "`{part}` is missing in {reason}");
    }
    let before = of_group(&node, "evaluations_total", "a.yml;a");
    until("the rules of before are evaluated", || {
        (of_group(&node, "evaluations_total", "a.yml;a") > before + 1.0).then_some(())
    });
    assert_eq!(names(&node), ["Always", "b:one"], "nothing of the new ones is in force, good or bad");
    assert!(loaded(&node).iter().all(|rule| rule.health == "ok"));
    assert_eq!(of_kind(&node.rows(), "alert").len(), 1, "the alert neither ended nor began anew");

    write("b.yml", group("b", &[good, "{alert: Bad, expr: 'sum(up) by (job) > 9'}"]));
    node.reload();
    until("all of it is in force once it is mended", || {
        (names(&node) == ["Another", "b:one", "Bad"]).then_some(())
    });
    until("what is gone is resolved", || {
        node.rows().iter().any(|row| row["rule"] == "Always" && row["state"] == "resolved").then_some(())
    });
    assert!(node.stop().success());
}

/// Series of the page: more than a rule may make alerts of.
const MANY: usize = 1_500;

fn crowd() -> Page {
    Page::Text((0..MANY).map(|number| format!("many{{number=\"{number}\"}} 1\n")).collect())
}

const BOUNDS: &str = "limits.series_samples = 5000\nconfig = { rule_timeout = \"250ms\" }\n";

/// A group beside a bad one: it has what it needs of the same series.
fn bystander() -> String {
    group("fine", &["{record: 'many:count', expr: count(many)}", "{alert: Fine, expr: 'many:count > 1'}"])
}

/// Panics unless the group `fine` is evaluated as often as another one, and without an error.
fn check_bystander(node: &Node, other: &str) {
    const TIMES: f64 = 8.0;
    let evaluations = |group: &str| of_group(node, "evaluations_total", group);
    let failures = || of_group(node, "failures_total", "fine.yml;fine");
    let (before, failed) = (evaluations("fine.yml;fine"), failures());
    let until_times = evaluations(other) + TIMES;
    until("the other group was evaluated some more times", || {
        (evaluations(other) >= until_times).then_some(())
    });
    let times = evaluations("fine.yml;fine") - before;
    assert!(times >= TIMES - 1.0, "{times} evaluations beside {TIMES}");
    assert_eq!(failures(), failed, "no rule of it failed");
    assert_eq!(node.metric("picket_plugin_failures_total"), 0.0, "no call of the plugin failed");
}

/// The error of a rule, when it has one.
fn error_of(node: &Node, name: &str) -> Option<String> {
    let rule = loaded(node).into_iter().find(|rule| rule.name == name)?;
    (rule.health == "err").then_some(rule.error)
}

/// Waits until a rule fails with such words.
fn until_fails(node: &Node, name: &str, words: &str) {
    until(&format!("{name} fails: {words}"), || error_of(node, name)?.contains(words).then_some(()));
    let logged = format!("rule `{name}` of group");
    assert!(node.log().contains(&logged), "the log names the rule: `{logged}`");
}

#[test]
fn a_rule_that_takes_too_long_is_named_and_others_are_on_time() {
    let target = Target::start(crowd());
    // Looks at a day of seconds in each of 1,200 terms: seconds of work.
    let terms = vec!["quantile_over_time(0.5, vector(1)[1d:1s])"; 60].join(" + ");
    let heavy = format!("{{alert: Heavy, expr: '{}'}}", vec![format!("({terms})"); 20].join(" + "));
    let files = [
        ("heavy.yml", group("heavy", &[&heavy, "{alert: Light, expr: vector(1)}"])),
        ("fine.yml", bystander()),
    ];
    let mut node = node(&files, &format!("{BOUNDS}{}", scraping(&target))).start();
    until_fails(&node, "Heavy", "takes longer than 250ms (`rule_timeout`)");
    until("its neighbour in the group fires", || {
        node.rows().iter().any(|row| row["rule"] == "Light" && row["state"] == "firing").then_some(())
    });
    until("the target is scraped", || names_firing(&node).contains(&"Fine".to_owned()).then_some(()));
    check_bystander(&node, "heavy.yml;heavy");
    assert!(node.stop().success());
}

#[test]
fn a_rule_that_takes_too_long_within_one_function_is_named_and_others_are_on_time() {
    let target = Target::start(crowd());
    // One series, of which a day is looked at for each second of six hours: half a minute of work.
    let heavy =
        "{record: 'heavy:max', expr: 'max_over_time(quantile_over_time(0.5, vector(1)[1d:1s])[6h:1s])'}";
    let files = [("heavy.yml", group("heavy", &[heavy])), ("fine.yml", bystander())];
    let mut node = node(&files, &format!("{BOUNDS}{}", scraping(&target))).start();
    until_fails(&node, "heavy:max", "takes longer than 250ms (`rule_timeout`)");
    until("the target is scraped", || names_firing(&node).contains(&"Fine".to_owned()).then_some(()));
    check_bystander(&node, "heavy.yml;heavy");
    assert!(node.stop().success());
}

#[test]
fn a_rule_that_selects_or_raises_too_much_is_named_and_others_are_on_time() {
    let target = Target::start(crowd());
    let files = [
        ("wide.yml", group("wide", &["{record: 'many:samples', expr: 'sum(count_over_time(many[1m]))'}"])),
        ("loud.yml", group("loud", &["{alert: Loud, expr: many > 0}"])),
        ("fine.yml", bystander()),
    ];
    let mut node = node(&files, &format!("{BOUNDS}{}", scraping(&target))).start();
    until_fails(&node, "many:samples", "more than 5000 samples");
    until_fails(&node, "Loud", &format!("raises {MANY} alerts, at most 1000 are taken (`max_alerts`)"));
    until("the rules beside them work", || names_firing(&node).contains(&"Fine".to_owned()).then_some(()));
    check_bystander(&node, "wide.yml;wide");
    check_bystander(&node, "loud.yml;loud");
    assert_eq!(names_firing(&node), ["Fine"]);
    assert!(node.stop().success());
}

/// The names of the alerts that fire.
fn names_firing(node: &Node) -> Vec<String> {
    let data = node.prometheus("alerts").expect("the agent answers");
    let alerts = data["alerts"].as_array().unwrap().iter();
    let firing = alerts.filter(|alert| alert["state"] == "firing");
    firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
}

const SECOND: u64 = 1_000_000_000;

fn unix_nanos() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

#[test]
fn a_pending_alert_and_its_series_survive_that_the_agent_is_killed() {
    const FOR: u64 = 20 * SECOND;
    let target = Target::start(Page::Text("load 90\n".to_owned()));
    let rule = "{alert: High, expr: load > 80, for: 20s, annotations: {summary: 'It is {{ $value }}.'}}";
    let mut node = node(&[("load.yml", group("load", &[rule]))], &scraping(&target)).start();
    let pending = node.until_rows("it is pending", 1, |row| row["state"] == "pending");
    let since = pending[0]["active_since"].as_u64().unwrap();
    // Samples are written every five seconds: those of the first ones are on the disk then.
    until("it has been pending for some time", || (unix_nanos() > since + 12 * SECOND).then_some(()));
    node.kill();
    node.start();
    let ready = unix_nanos();

    let range = |expression: &str| {
        let (start, end) = (since / SECOND + 1, since / SECOND + 4);
        let path = format!("query_range?query={}&start={start}&end={end}&step=1", quoted(expression));
        let rows = node.prometheus(&path).expect("the agent answers")["result"].clone();
        let points = rows[0]["values"].as_array().cloned().unwrap_or_default();
        points.iter().map(|point| point[1].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(range("load"), ["90"; 4], "the samples of before are there");
    assert_eq!(range("ALERTS{alertname=\"High\", alertstate=\"pending\"}"), ["1"; 4]);

    let firing = node.until_rows("it fires", 1, |row| row["state"] == "firing");
    let after = firing[0]["time"].as_u64().unwrap().saturating_sub(ready);
    assert!(after < FOR, "`for` began anew: it fired {after} ns after the restart");
    assert_eq!(firing[0]["annotations"]["summary"], "It is 90.");
    let rows = of_kind(&node.rows(), "alert");
    let states: Vec<&str> = rows.iter().map(|row| row["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["pending", "firing"], "it neither ended nor began anew");
    target.answer(Page::Text("load 10\n".to_owned()));
    node.until_rows("it is resolved", 1, |row| row["state"] == "resolved");
    assert!(node.stop().success());
}
