//! Threads that panic by a bug of the agent: a plugin's is started anew and no record is lost by it or comes
//! twice; without the one that reads log files the agent stops, so that it is started again.

use std::fs;

use crate::ledger::{LEDGER, check_once, done};
use picket_tests::{Node, NodeBuilder, guest, until};

/// The line of the ledger's log at which its thread panics.
const LINE: &str = "number 700 is entered";

/// A ledger in an agent that panics so often where a text is logged.
fn ledger(text: &str, times: &str, config: &str) -> NodeBuilder {
    let bug = [("BUG_TEXT", text), ("BUG_TIMES", times)];
    let config = format!("{LEDGER}\n[plugins.ledger.config]\nlogs = 700\n{config}");
    Node::builder()
        .install(&guest("ledger_one"), "ledger")
        .config(&config)
        .program(env!("CARGO_BIN_EXE_buggy"), &bug)
}

fn write(node: &Node, numbers: std::ops::RangeInclusive<u64>) {
    let lines: String = numbers.map(|number| format!("{number}\n")).collect();
    node.append("logs/numbers.log", lines.as_bytes());
}

fn until_done(node: &Node, last: u64) {
    until("all records are processed", || (done(&node.rows()) == last).then_some(()));
    check_once(&node.rows(), last);
}

#[test]
fn a_plugin_whose_thread_panics_goes_on_where_its_results_were_committed() {
    let mut node = ledger(LINE, "3", "[supervision]\nrest = \"10ms\"\n").start();
    write(&node, 1..=500);
    until_done(&node, 500);
    write(&node, 501..=1000);
    until_done(&node, 1000);
    let told = node.until_rows("each end is told upstream", 3, |row| row["event"] == "thread-ended");
    assert!(told.iter().all(|notice| notice["reason"] == "the test's own bug"), "{told:?}");
    assert_eq!(node.metric("picket_plugin_threads_ended_total{plugin=\"ledger\"}"), 3.0);
    until("it is active again", || (node.plugin_status("ledger")["state"] == "active").then_some(()));
    let log = node.log();
    for part in ["A thread panicked", "plugin ledger", "buggy.rs", "The plugin's thread ended by a bug"] {
        assert!(log.matches(part).count() >= 3, "`{part}` is missing:\n{log}");
    }
    write(&node, 1001..=1500);
    until_done(&node, 1500);
    assert!(node.stop().success());
}

#[test]
fn a_plugin_that_rests_since_its_thread_ended_is_shown_so_and_can_be_replaced() {
    let rest = "[supervision]\nrest = \"1h\"\nlongest_rest = \"1h\"\n";
    let mut node = ledger(LINE, "1", rest).start();
    write(&node, 1..=1000);
    let status = until("its end is shown", || {
        let status = node.plugin_status("ledger");
        (status["state"] == "ended").then_some(status)
    });
    assert_eq!((&status["circuit"]["open"], &status["circuit"]["failures"]), (&true.into(), &1.into()));
    let shown = node.cli("status").stdout;
    assert!(shown.contains("its thread ended by a bug of the agent, another one serves in 3"), "{shown}");
    assert_eq!(node.get("/api/v1/status").unwrap().json()["plugins"]["ended"], 1);
    // What failed is no fault of the node's.
    assert_eq!(node.get("/readyz").unwrap().status, 200);
    node.install(&guest("ledger_two"), "ledger");
    until_done(&node, 1000);
    until("it is active", || (node.plugin_status("ledger")["state"] == "active").then_some(()));
    assert!(node.stop().success());
}

#[test]
fn without_the_thread_that_reads_log_files_the_agent_stops_and_goes_on_at_the_next_start() {
    let mut node = ledger("loop.log", "1", "").start();
    write(&node, 1..=500);
    until_done(&node, 500);
    // It cannot be read, which the thread logs.
    let link = node.path("logs/loop.log");
    std::os::unix::fs::symlink(&link, &link).unwrap();
    let status = node.until_ended();
    let log = node.log();
    assert_eq!(status.code(), Some(70), "{log}");
    assert!(log.contains("the thread that reads log files has ended by a bug"), "{log}");
    fs::remove_file(&link).unwrap();
    node.start();
    write(&node, 501..=1000);
    until_done(&node, 1000);
    assert!(node.stop().success());
}
