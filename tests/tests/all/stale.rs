//! Which metrics go to a forwarder that takes samples, and how their series end.

use picket_tests::{Node, guest, until};
use serde_json::Value;

const UPSTREAM: &str = r#"
[forwarders.samples]
kind = "file"
path = "{dir}/samples.ndjson"
include = ["sample"]
"#;

const WATCHED: &str = r#"
[sources.host]
kind = "host"
interval = "1s"

[sources.lines]
kind = "file"
include = ["{dir}/logs/*.log"]
start = "beginning"

[plugins.watcher]
sources = ["lines"]
grants.series = true
"#;

/// Of the host, of a plugin that returns it, and of the agent about that plugin.
const MORTAL: [&str; 3] = ["node_load1", "watched_rows", "picket_plugin_circuit_open"];

/// The samples of a metric that has one series, in their order.
fn samples(node: &Node, name: &str) -> Vec<Value> {
    node.rows_of("samples.ndjson").into_iter().filter(|row| row["name"] == name).collect()
}

fn is_marker(row: &Value) -> bool {
    row["stale"] == true && row["value"] == "NaN"
}

#[test]
fn all_metrics_go_upstream_and_end_with_what_makes_them() {
    let mut node =
        Node::builder().install(&guest("watcher"), "watcher").config(&format!("{UPSTREAM}{WATCHED}")).start();
    node.append("logs/a.log", b"a line\n");
    for name in MORTAL.into_iter().chain(["picket_build_info"]) {
        until(&format!("{name} goes upstream"), || (!samples(&node, name).is_empty()).then_some(()));
        assert!(!samples(&node, name).iter().any(is_marker), "{name}");
    }

    node.configure(UPSTREAM);
    assert_eq!(node.reload().status, 200);
    for name in MORTAL {
        let ended = until(&format!("{name} ends"), || {
            let rows = samples(&node, name);
            rows.last().is_some_and(is_marker).then_some(rows)
        });
        assert_eq!(ended.iter().filter(|row| is_marker(row)).count(), 1, "{name}: {ended:?}");
        let times: Vec<u64> = ended.iter().map(|row| row["time"].as_u64().unwrap()).collect();
        assert!(times.is_sorted_by(|one, next| one < next), "{name}: {times:?}");
    }

    // A restart is no gap.
    assert!(node.stop().success());
    let before = samples(&node, "picket_build_info").len();
    node.start();
    until("the agent's own metrics go on", || {
        (samples(&node, "picket_build_info").len() > before).then_some(())
    });
    assert!(!samples(&node, "picket_build_info").iter().any(is_marker));
    assert!(node.stop().success());
}

#[test]
fn samples_are_kept_for_forwarders_only_while_one_takes_them() {
    let mut node = Node::builder().install(&guest("watcher"), "watcher").config(WATCHED).start();
    node.append("logs/a.log", b"a line\n");
    let taken = || node.metric("picket_source_samples_total{source=\"host\"}");
    let first = until("the host is measured", || Some(taken()).filter(|taken| *taken > 0.0));
    until("it is measured again", || (taken() > first).then_some(()));
    assert_eq!(node.metric("picket_lane_frames_total{lane=\"samples\"}"), 0.0, "nobody takes them");
    assert_eq!(node.metric("picket_source_dropped_samples_total"), 0.0, "and none was lost");

    node.configure(&format!("{UPSTREAM}{WATCHED}"));
    assert_eq!(node.reload().status, 200);
    for name in ["node_load1", "picket_build_info"] {
        until(&format!("{name} goes upstream"), || (!samples(&node, name).is_empty()).then_some(()));
    }
    assert!(node.stop().success());
}
