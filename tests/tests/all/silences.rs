//! Silences through the command line and the API: an alert under one lives on, and is told when it ends.

use picket_tests::{Node, of_kind, plugin, until};
use serde_json::Value;

/// A rule that holds as long as the agent runs, and a second file for samples.
const CONFIG: &str = r#"
[plugins.thresholds]
assets = "{dir}/levels.toml"
grants.series = true

[forwarders.samples]
kind = "file"
path = "{dir}/samples.ndjson"
include = ["sample"]
"#;

const ALWAYS: &str = r#"
interval = "1s"
[[rules]]
name = "Runs"
expr = 'picket_build_info'
critical = 0
"#;

fn node() -> Node {
    let node = Node::builder().install(&plugin("thresholds"), "thresholds").file("levels.toml", ALWAYS);
    node.config(CONFIG).start()
}

/// What a verb of `picket alerts` says in JSON.
fn alerts(node: &Node, line: &str) -> Value {
    let shown = node.cli(&format!("alerts {line} --output json"));
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    shown.json()
}

fn fires(row: &Value) -> bool {
    row["kind"] == "alert" && row["state"] == "firing"
}

#[test]
fn a_silenced_alert_is_marked_until_its_silence_ends_also_over_a_restart() {
    let mut node = node();
    node.until_rows("the alert fires", 1, fires);
    let would = alerts(&node, "silence add --duration 1h --comment because --dry-run alertname=Runs");
    assert_eq!(would["alerts"][0]["rule"], "Runs");
    assert_eq!(alerts(&node, "silence list")["silences"], Value::Array(vec![]));

    let made = alerts(&node, "silence add --duration 1h --comment because alertname=Runs job!=x");
    let id = made["id"].as_str().unwrap().to_owned();
    node.until_rows("its silence is told", 1, |row| fires(row) && row["silenced_by"] == id.as_str());
    assert_eq!(alerts(&node, "")["alerts"][0]["silenced_by"], id.as_str());
    node.kill();
    node.start();
    let listed = node.get("/api/v1/silences").unwrap().json();
    assert_eq!(
        (&listed["silences"][0]["id"], &listed["silences"][0]["state"]),
        (&made["id"], &"active".into())
    );
    let silenced = || (alerts(&node, "")["alerts"][0]["silenced_by"] == id.as_str()).then_some(());
    until("the alert goes on, silenced", silenced);

    assert_eq!(alerts(&node, &format!("silence expire {id}"))["state"], "expired");
    let free = |row: &Value| fires(row) && row["silenced_by"].is_null();
    node.until_rows("it is told that it still fires", 2, free);
    let rows = of_kind(&node.rows(), "alert");
    assert!(rows.iter().all(|row| row["state"] == "firing"), "it never ended: {rows:?}");
    assert!(node.stop().success());
}

#[test]
fn an_alert_has_series_as_in_prometheus() {
    let mut node = node();
    let fired = node.until_rows("the alert fires", 1, fires);
    let since = fired[0]["active_since"].as_u64().unwrap() / 1_000_000_000;
    let samples = |name: &str| -> Vec<Value> {
        node.rows_of("samples.ndjson").into_iter().filter(|row| row["name"] == name).collect()
    };
    until("both series are forwarded", || {
        (!samples("ALERTS").is_empty() && !samples("ALERTS_FOR_STATE").is_empty()).then_some(())
    });
    let first = &samples("ALERTS")[0];
    assert_eq!(first["value"].as_f64(), Some(1.0));
    assert_eq!(
        (&first["labels"]["alertname"], &first["labels"]["alertstate"]),
        (&"Runs".into(), &"firing".into())
    );
    assert_eq!(samples("ALERTS_FOR_STATE")[0]["value"].as_f64(), Some(since as f64));
    node.configure(
        "[forwarders.samples]\nkind = \"file\"\npath = \"{dir}/samples.ndjson\"\ninclude = [\"sample\"]\n",
    );
    assert_eq!(node.reload().status, 200);
    until("they end with the plugin", || {
        let ended = |name: &str| samples(name).iter().any(|row| row["stale"] == true);
        (ended("ALERTS") && ended("ALERTS_FOR_STATE")).then_some(())
    });
    assert!(node.stop().success());
}
