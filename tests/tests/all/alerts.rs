//! Alert rules hold over real metrics of the host and of the agent itself, and live through a restart.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use picket::lifecycle::selector::{MatchOp, Selector};
use picket_tests::{Node, NodeBuilder, guest, of_kind, plugin, until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

/// Files that a test opens to move the metric, and how many of them the level lies above what was open
/// before: nothing else on a machine opens or closes so many in the few seconds of a test.
const OPENED: usize = 6_000;
const LEVEL: u64 = 3_000;

const HOST: &str = r#"
[sources.host]
kind = "host"
interval = "1s"

[plugins.thresholds]
assets = "{dir}/levels.toml"
grants.series = true
"#;

/// The machine's open files, which one test at a time may move: they are the base line of the others, which
/// run at once in one process where nextest is not installed.
struct OpenFiles {
    at_first: u64,
    _alone: MutexGuard<'static, ()>,
}

impl OpenFiles {
    /// Waits for its turn.
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        // A test that failed has closed its files.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let text = fs::read_to_string("/proc/sys/fs/file-nr").unwrap();
        let at_first = text.split_whitespace().next().unwrap().parse().unwrap();
        Self { at_first, _alone: alone }
    }

    /// A node with one rule: too many open files on the machine.
    fn node(&self, hold_for: &str) -> NodeBuilder {
        let rules = format!(
            "interval = \"1s\"\n[[rules]]\nname = \"OpenFiles\"\nexpr = 'node_filefd_allocated'\n\
             critical = {}\nfor = \"{hold_for}\"\n[rules.annotations]\n\
             summary = \"{{{{value}}}} files are open.\"\n",
            self.at_first + LEVEL
        );
        Node::builder().install(&plugin("thresholds"), "thresholds").file("levels.toml", rules).config(HOST)
    }

    /// Moves `node_filefd_allocated` until it is dropped.
    fn open(&self) -> Vec<File> {
        let limit = getrlimit(Resource::Nofile);
        let room = limit.maximum.is_none_or(|most| most > OPENED as u64 + 500);
        assert!(room, "this test opens {OPENED} files; raise the hard limit (`ulimit -Hn`)");
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
        (0..OPENED).map(|_| File::open("/dev/null").unwrap()).collect()
    }
}

fn api_alerts(node: &Node) -> Vec<Value> {
    node.get("/api/v1/alerts")
        .map(|answer| answer.json()["alerts"].as_array().unwrap().clone())
        .unwrap_or_default()
}

fn cli_alerts(node: &Node) -> Vec<Value> {
    let shown = node.cli("alerts --output json");
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    shown.json()["alerts"].as_array().unwrap().clone()
}

fn state(row: &Value) -> &str {
    row["state"].as_str().unwrap()
}

#[test]
fn an_alert_on_a_metric_of_the_host_goes_pending_firing_resolved() {
    let all_files = OpenFiles::new();
    let mut node = all_files.node("3s").start();
    until("the host is measured", || (node.metric("picket_source_samples_total") > 0.0).then_some(()));
    let files = all_files.open();
    node.until_rows("the alert fires", 1, |row| row["state"] == "firing");
    let fires = || api_alerts(&node).iter().any(|alert| state(alert) == "firing").then_some(());
    until("the API shows it too", fires);
    for shown in [api_alerts(&node), cli_alerts(&node)] {
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert_eq!((state(&shown[0]), &shown[0]["rule"]), ("firing", &Value::from("OpenFiles")));
    }
    drop(files);
    node.until_rows("the alert is resolved", 1, |row| row["state"] == "resolved");
    until("the API shows none any more", || api_alerts(&node).is_empty().then_some(()));
    assert_eq!(cli_alerts(&node), [Value::Null; 0]);

    let rows = of_kind(&node.rows(), "alert");
    assert_eq!(rows.iter().map(state).collect::<Vec<_>>(), ["pending", "firing", "resolved"]);
    for row in &rows {
        assert_eq!(row["labels"]["alertname"], "OpenFiles");
        assert_eq!(row["labels"]["severity"], "critical");
        assert_eq!(row["active_since"], rows[0]["active_since"], "one life of one alert");
        assert!(row["value"].as_f64().unwrap() > LEVEL as f64);
    }
    let held = rows[1]["time"].as_u64().unwrap() - rows[0]["time"].as_u64().unwrap();
    assert!(held >= 3_000_000_000, "it fired after {held} ns");
    assert!(node.stop().success());
}

fn unix_nanos() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

#[test]
fn a_pending_alert_goes_on_pending_after_the_agent_was_killed() {
    const SECOND: u64 = 1_000_000_000;
    let all_files = OpenFiles::new();
    let mut node = all_files.node("20s").start();
    until("the host is measured", || (node.metric("picket_source_samples_total") > 0.0).then_some(()));
    let files = all_files.open();
    until("`picket alerts` shows it pending", || {
        cli_alerts(&node).iter().any(|alert| state(alert) == "pending").then_some(())
    });
    let pending = node.until_rows("it is forwarded as pending", 1, |row| row["state"] == "pending");
    let since = pending[0]["active_since"].as_u64().unwrap();
    until("it has been pending for some time", || (unix_nanos() > since + 15 * SECOND).then_some(()));
    let killed = unix_nanos();
    node.kill();
    node.start();
    let ready = unix_nanos();
    let firing = node.until_rows("it fires", 1, |row| row["state"] == "firing");
    let rows = of_kind(&node.rows(), "alert");
    assert_eq!(rows.iter().map(state).collect::<Vec<_>>(), ["pending", "firing"], "it did not begin anew");
    // Down-time does not count, so since when it has been pending moves by as much, which ends somewhere around here.
    let (moved, down) = (firing[0]["active_since"].as_u64().unwrap(), ready - killed);
    assert!(moved + SECOND > since && moved < since + down + 15 * SECOND, "{since} became {moved}");
    let after = firing[0]["time"].as_u64().unwrap().saturating_sub(ready);
    assert!(after < 20 * SECOND, "`for` began anew: it fired {after} ns after the restart");
    drop(files);
    node.until_rows("it is resolved", 1, |row| row["state"] == "resolved");
    assert!(node.stop().success());
}

#[test]
fn alerts_of_a_plugin_that_is_removed_are_resolved() {
    let all_files = OpenFiles::new();
    let mut node = all_files.node("1s").start();
    until("the host is measured", || (node.metric("picket_source_samples_total") > 0.0).then_some(()));
    let files = all_files.open();
    node.until_rows("the alert fires", 1, |row| row["state"] == "firing");
    node.configure("[sources.host]\nkind = \"host\"\n");
    assert_eq!(node.reload().status, 200);
    node.until_rows("nobody is left waiting for it", 1, |row| row["state"] == "resolved");
    until("the API shows none any more", || api_alerts(&node).is_empty().then_some(()));
    drop(files);
    assert!(node.stop().success());
}

/// Holds as long as the agent runs.
const ALWAYS: &str = r#"
interval = "1s"
[[rules]]
name = "Runs"
expr = 'picket_build_info'
critical = 0
"#;

#[test]
fn alerts_of_a_plugin_that_is_removed_while_the_agent_does_not_run_are_resolved() {
    let thresholds = "[plugins.thresholds]\nassets = \"{dir}/levels.toml\"\ngrants.series = true\n";
    let node = Node::builder().install(&plugin("thresholds"), "thresholds").file("levels.toml", ALWAYS);
    let mut node = node.config(thresholds).start();
    let firing = node.until_rows("the alert fires", 1, |row| row["state"] == "firing");
    node.kill();
    node.configure("");
    node.start();
    let resolved = node.until_rows("nobody is left waiting for it", 1, |row| row["state"] == "resolved");
    for key in ["plugin", "generation", "rule", "labels", "active_since"] {
        assert_eq!(resolved[0][key], firing[0][key], "{key}");
    }
    until("the API shows none any more", || api_alerts(&node).is_empty().then_some(()));
    assert!(node.stop().success());

    // Put back, the plugin finds no alert that it would go on with.
    node.configure(thresholds);
    node.start();
    let firing = node.until_rows("it fires anew", 2, |row| row["state"] == "firing");
    assert_ne!(firing[1]["active_since"], firing[0]["active_since"]);
    assert!(node.stop().success());
}

/// Rules of the default pack over what applications and their exporters show. Neither the host source nor
/// the agent has such metrics; they come with a scrape.
const OF_APPLICATIONS: [&str; 7] = [
    "HttpRequestRate",
    "HttpErrorRatio",
    "HttpSlowRequests",
    "QueueLength",
    "TaskFailures",
    "ServiceDown",
    "CertificateExpires",
];

/// Labels that a scrape adds; without one, all rows have none and stay together.
const OF_SCRAPES: [&str; 2] = ["job", "instance"];

/// A rule's name, its selectors, and the labels that it goes by or shows.
struct Needs {
    rule: String,
    selectors: BTreeSet<String>,
    labels: BTreeSet<String>,
}

fn default_pack() -> Vec<Needs> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/thresholds/packs/default.toml");
    let pack: toml::Table = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let needs = |rule: &toml::Value| {
        let mut needs = Needs {
            rule: rule["name"].as_str().unwrap().to_owned(),
            selectors: BTreeSet::new(),
            labels: BTreeSet::new(),
        };
        gather("expr", &rule["expr"], &mut needs);
        for text in rule.get("annotations").and_then(toml::Value::as_table).unwrap().values() {
            let places =
                text.as_str().unwrap().split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap());
            needs.labels.extend(places.map(str::to_owned));
        }
        for given in ["value", "threshold", "metric"].iter().chain(&OF_SCRAPES) {
            needs.labels.remove(*given);
        }
        needs
    };
    pack["rules"].as_array().unwrap().iter().map(needs).collect()
}

/// Texts of an expression are selectors, but for windows and the labels of `by`.
fn gather(key: &str, value: &toml::Value, needs: &mut Needs) {
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, value)| gather(key, value, needs)),
        toml::Value::Array(by) if key == "by" => {
            needs.labels.extend(by.iter().map(|label| label.as_str().unwrap().to_owned()));
        }
        toml::Value::String(text) if key != "window" => {
            let selector: Selector = text.parse().unwrap();
            let labels = selector.0.iter().map(|matcher| matcher.name.clone());
            needs.labels.extend(labels.filter(|name| name != "__name__"));
            needs.selectors.insert(text.clone());
        }
        _ => {}
    }
}

/// The selector without what it excludes: a machine may have nothing but, say, a loopback device.
fn widened(selector: &str) -> String {
    let parsed: Selector = selector.parse().unwrap();
    let kept = parsed.0.iter().filter(|matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Regex));
    let matcher = |matcher: &picket::lifecycle::selector::Matcher| {
        let op = if matcher.op == MatchOp::Equal { "=" } else { "=~" };
        format!("{}{op}\"{}\"", matcher.name, matcher.value)
    };
    format!("{{{}}}", kept.map(matcher).collect::<Vec<_>>().join(","))
}

const EVERYTHING: &str = r#"
[sources.host]
kind = "host"
interval = "1s"
exclude_mounts = []
exclude_filesystems = []

[sources.requests]
kind = "file"
include = ["{dir}/logs/access.log"]
start = "beginning"

[sources.hostile]
kind = "file"
include = ["{dir}/logs/hostile.log"]
start = "beginning"
max_lag = "1KiB"

[plugins.access-log]
sources = ["requests"]
grants.state = "1MiB"

[plugins.moody]
sources = ["hostile"]
grants.state = "1MiB"
limits.queue = "1MiB"

[plugins.thresholds]
assets = "{dir}/levels.toml"
grants.series = true

[plugins.default-pack]
component = "thresholds.wasm"
assets = "{dir}/default.toml"
grants.series = true
"#;

/// One rule for each selector of the pack, which fires when the selector finds something with the labels.
fn rules_that_tell(needs: &[&Needs]) -> (String, BTreeSet<String>) {
    let (mut rules, mut names) = ("interval = \"1s\"\n".to_owned(), BTreeSet::new());
    for needs in needs {
        for (number, selector) in needs.selectors.iter().enumerate() {
            let name = format!("{} {number}", needs.rule);
            let by: Vec<_> = needs.labels.iter().map(|label| format!("{label:?}")).collect();
            let (by, of) = (by.join(", "), widened(selector));
            rules += &format!(
                "[[rules]]\nname = {name:?}\ncritical = 0\nexpr = {{ count = {{ of = '{of}', by = [{by}] }} }}\n"
            );
            names.insert(name);
        }
    }
    (rules, names)
}

#[test]
fn every_metric_and_label_of_the_default_pack_is_one_that_the_host_source_or_the_agent_has() {
    let pack = default_pack();
    let (other, own): (Vec<_>, Vec<_>) =
        pack.iter().partition(|needs| OF_APPLICATIONS.contains(&&*needs.rule));
    assert_eq!(other.len(), OF_APPLICATIONS.len());
    let (rules, names) = rules_that_tell(&own);
    let pack = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/thresholds/packs/default.toml");
    let node = Node::builder()
        .install(&plugin("thresholds"), "thresholds")
        .install(&plugin("access-log"), "access-log")
        .install(&guest("moody"), "moody")
        .file("levels.toml", rules)
        .file("default.toml", fs::read(pack).unwrap())
        .config(EVERYTHING)
        .start();
    let request = r#"{"time":"2026-01-02T03:04:05Z","remote_addr":"192.0.2.1","method":"GET","uri":"/","status":503,"body_bytes_sent":7,"request_time":0.25}"#;
    node.append("logs/access.log", format!("{request}\n").as_bytes());
    until("a plugin that fails on everything loses records", || {
        node.append("logs/hostile.log", &b"!trap\n".repeat(2_000));
        (node.metric("picket_source_dropped_records_total") > 0.0).then_some(())
    });
    let mut missing = names;
    until("all metrics have been seen", || {
        for alert in api_alerts(&node).iter().filter(|alert| alert["plugin"] == "thresholds") {
            let rule = alert["rule"].as_str().unwrap();
            let needs = own.iter().find(|needs| rule.starts_with(&format!("{} ", needs.rule))).unwrap();
            if needs.labels.iter().all(|label| !alert["labels"][label].is_null()) {
                missing.remove(rule);
            }
        }
        println!("missing: {missing:?}");
        missing.is_empty().then_some(())
    });
    // The pack itself is loaded and none of its rules fails.
    assert_eq!(node.plugin_status("default-pack")["state"], "active");
    assert_eq!(node.metric("picket_alert_rule_errors_total"), 0.0);
}

const FAILURES: &str = r#"
interval = "1s"
[[rules]]
name = "PluginFails"
critical = 0
expr = { sum = { by = ["plugin"], of = { increase = { of = 'picket_plugin_failures_total', window = "10s" } } } }
"#;

#[test]
fn a_plugin_that_fails_once_raises_an_alert_on_the_agents_own_metrics() {
    let config = format!(
        "{HOST}\n[sources.lines]\nkind = \"file\"\ninclude = [\"{{dir}}/logs/*.log\"]\nstart = \"beginning\"\n\
         [plugins.moody]\nsources = [\"lines\"]\ngrants.state = \"1MiB\"\n"
    );
    let node = Node::builder()
        .install(&plugin("thresholds"), "thresholds")
        .install(&guest("moody"), "moody")
        .file("levels.toml", FAILURES)
        .config(&config)
        .start();
    until("the agent's metrics are taken", || {
        (node.metric("picket_series_active") > 0.0 && node.metric("picket_source_samples_total") > 0.0)
            .then_some(())
    });
    node.append("logs/a.log", b"!trap\n");
    let firing = node.until_rows("the alert fires", 1, |row| row["state"] == "firing");
    assert_eq!(firing[0]["labels"]["plugin"], "moody");
    node.until_rows("it ends when the window has passed", 1, |row| row["state"] == "resolved");
}
