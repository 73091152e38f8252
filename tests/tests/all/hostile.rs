//! A plugin that misbehaves on one record costs that record; the agent and other plugins go on.

use picket_tests::{Node, findings, guest, of_kind};

const TWO: &str = r#"
[sources.lines]
kind = "file"
include = ["{dir}/logs/*.log"]
start = "beginning"

[plugins.moody]
sources = ["lines"]
grants.state = "1MiB"
limits.call_deadline = "500ms"
limits.memory = "16MiB"

[plugins.good]
sources = ["lines"]
grants.state = "1MiB"
"#;

/// Feeds good records around a bad one; gives the reason that the evidence names.
fn contained(bad: &str) -> String {
    let moody = guest("moody");
    let node =
        Node::builder().install(&moody, "moody").install(&guest("ledger_one"), "good").config(TWO).build();
    let lines: String =
        (1..=20).map(|line| if line == 9 { format!("{bad}\n") } else { format!("line {line}\n") }).collect();
    node.append("logs/a.log", lines.as_bytes());
    let mut node = node;
    node.start();
    let evidence = node.until_rows("the bad record is kept as evidence", 1, |row| row["kind"] == "evidence");
    assert_eq!(evidence[0]["record"], bad);
    node.until_rows("the other records are processed", 19, |row| row["rule"] == "seen");
    node.until_rows("the other plugin goes on", 1, |row| row["plugin"] == "good" && row["kind"] == "finding");
    let rows = node.rows();
    assert_eq!(findings(&rows, "seen").len(), 19, "each good record once");
    assert_eq!(of_kind(&rows, "evidence").len(), 1, "one bad record costs one record");
    assert!(node.metric("picket_plugin_failures_total") >= 2.0);
    evidence[0]["reason"].as_str().unwrap().to_owned()
}

fn check(bad: &str, reason: &str) {
    let found = contained(bad);
    assert!(found.contains(reason), "{bad}: {found}");
}

#[test]
fn a_trap_on_one_record_of_a_batch_costs_one_record() {
    check("!trap", "told to trap");
}

#[test]
fn an_endless_loop_meets_its_deadline() {
    check("!loop", "call_deadline");
}

#[test]
fn a_memory_bomb_meets_its_limit() {
    check("!memory", "`memory`");
}

#[test]
fn a_stack_overflow_is_contained() {
    contained("!stack");
}

#[test]
fn waiting_on_a_clock_is_refused() {
    check("!sleep", "wait");
}

#[test]
fn a_flood_of_findings_meets_its_limit() {
    contained("!findings");
}

#[test]
fn a_huge_return_value_meets_its_limit() {
    check("!output", "more than");
}

#[test]
fn a_flood_of_state_meets_its_limit() {
    contained("!state");
}

#[test]
fn a_flood_of_labels_meets_its_limit() {
    contained("!labels");
}

#[test]
fn a_flood_of_host_calls_meets_the_deadline() {
    check("!calls", "call_deadline");
}
