//! A full disk is told once and clearly, with the place and the remedy; what can be read again later waits where
//! it is; when there is room the agent goes on by itself, and every record has its result once.

use std::path::Path;

use crate::ledger::{LEDGER, check_accounts, check_once, done};
use picket_tests::{Node, NodeBuilder, SmallDisk, guest, until};

/// The agent's own needs, a log's worth of results, and something to fill up, in MiB.
pub(crate) const DISK: u32 = 64;

fn node() -> NodeBuilder {
    Node::builder().install(&guest("ledger_one"), "ledger").config(LEDGER)
}

/// Appends numbers to the log; returns how many bytes they are.
fn write(node: &Node, numbers: std::ops::RangeInclusive<u64>) -> u64 {
    let lines: String = numbers.map(|number| format!("{number}\n")).collect();
    node.append("logs/numbers.log", lines.as_bytes());
    lines.len() as u64
}

fn until_done(node: &Node, last: u64) {
    until("all records are processed", || (done(&node.rows()) == last).then_some(()));
}

/// Whether a text says what is wrong, where, and what to do.
fn names(text: &str, place: &Path) -> bool {
    ["full", "free some space", place.to_str().unwrap()].iter().all(|part| text.contains(part))
}

/// Everything that an operator may look at tells of the full disk of the data folder, and the agent lives.
pub(crate) fn is_told(node: &Node) {
    let data = node.path("data");
    until("the agent is not ready", || {
        node.get("/readyz").filter(|answer| answer.status == 503 && names(&answer.body, &data))
    });
    until("the metric shows it", || (node.metric("picket_data_disk_full") == 1.0).then_some(()));
    until("the log has it", || names(&node.log(), &data).then_some(()));
    let status = node.cli("status");
    assert!(status.code == Some(1) && names(&status.stdout, &data), "{status:?}");
    let status = node.cli("status --output json").json();
    assert!(names(status["status"]["not_ready"].as_str().unwrap(), &data), "{status}");
    assert_eq!(node.get("/healthz").unwrap().status, 200);
    is_found(node, "data_dir", &data);
}

/// `check` names a setting and a place, and nothing else.
fn is_found(node: &Node, key: &str, place: &Path) {
    let checked = node.cli("check");
    assert!(checked.code == Some(78) && names(&checked.stderr, place), "{checked:?}");
    let problems = node.cli("check --output json").json()["problems"].clone();
    assert_eq!(problems.as_array().unwrap().len(), 1, "one clear error: {problems}");
    assert_eq!(problems[0]["key"], key, "{problems}");
}

/// There is room again: the agent goes on without anybody's doing.
fn goes_on(node: &mut Node, written: u64) {
    node.until_ready();
    write(node, written + 1..=written + 100);
    until_done(node, written + 100);
    check_once(&node.rows(), written + 100);
    until("the metric shows it", || (node.metric("picket_data_disk_full") == 0.0).then_some(()));
    assert_eq!(node.cli("check").code, Some(0));
    assert_eq!(node.cli("status").code, Some(0));
    assert!(node.stop().success());
}

#[test]
fn a_disk_that_fills_up_holds_records_back_until_there_is_room() {
    let disk = SmallDisk::new(DISK);
    let mut node = node().config("limits.queue = \"1MiB\"").on_disk("data", &disk).start();
    write(&node, 1..=500);
    until_done(&node, 500);
    disk.fill();
    let last = 1_500_000;
    let bytes = write(&node, 501..=last);
    is_told(&node);
    let behind = || {
        let sources = node.cli("status --output json").json()["status"]["sources"].clone();
        sources[0]["lag_bytes"]["ledger"].as_u64().unwrap_or(0)
    };
    until("the source has seen it", || (behind() > bytes / 2).then_some(()));
    let failures = || node.metric("picket_commit_failures_total{reason=\"disk-full\"}");
    until("the plugin has tried again and again", || (failures() >= 5.0).then_some(()));
    // What one call takes and what waits for it are less than half of it; the rest is not even read.
    assert!(behind() > bytes / 2, "{} of {bytes} bytes are left in the log", behind());
    disk.make_room();
    goes_on(&mut node, last);
}

#[test]
fn an_agent_that_dies_on_a_full_disk_comes_back_on_it() {
    let disk = SmallDisk::new(DISK);
    let mut node = node().on_disk("data", &disk).start();
    write(&node, 1..=500);
    until_done(&node, 500);
    disk.fill();
    write(&node, 501..=2000);
    is_told(&node);
    for _ in 0..3 {
        node.kill();
        // Also what it had kept for itself, and given back to get along.
        disk.fill();
        node.launch();
        is_told(&node);
    }
    disk.make_room();
    goes_on(&mut node, 2000);
}

#[test]
fn an_agent_that_is_started_on_a_full_disk_waits_for_room() {
    // From nothing at all to nearly enough.
    for left in [0, 64 << 10, 1 << 20, 12 << 20] {
        let disk = SmallDisk::new(DISK);
        let mut node = node().on_disk("data", &disk).build();
        disk.fill_but(left);
        write(&node, 1..=500);
        is_found(&node, "data_dir", &node.path("data"));
        node.launch();
        is_told(&node);
        assert_eq!(node.get("/startupz").unwrap().status, 503);
        let refused = node.reload();
        assert!(refused.status != 200 && names(&refused.body, &node.path("data")), "{refused:?}");
        disk.make_room();
        goes_on(&mut node, 500);
    }
}

#[test]
fn an_agent_that_waits_for_room_can_be_stopped() {
    let disk = SmallDisk::new(DISK);
    let mut node = node().on_disk("data", &disk).build();
    disk.fill();
    node.launch();
    is_told(&node);
    assert!(node.stop().success());
    assert!(!node.path("picket.sock").exists());
    disk.make_room();
    node.start();
    goes_on(&mut node, 0);
}

#[test]
fn a_forwarder_whose_disk_is_full_keeps_its_results_in_the_journal() {
    let disk = SmallDisk::new(1);
    let small = "[forwarders.small]\nkind = \"file\"\npath = \"{dir}/small/results.ndjson\"";
    let mut node = node().config(small).on_disk("small", &disk).start();
    let place = node.path("small/results.ndjson");
    let mut written = 0;
    let mut flow = |node: &Node| {
        // Each result is a batch of its own, and all together are more than fits beside what is there.
        for _ in 0..20 {
            write(node, written + 1..=written + 10);
            written += 10;
            until_done(node, written);
        }
        written
    };
    let before = flow(&node);
    let forwarded = |node: &Node| done(&node.rows_of("small/results.ndjson"));
    until("they come to the small disk", || (forwarded(&node) == before).then_some(()));
    disk.fill();
    flow(&node);
    let error = |node: &Node| {
        let status = node.cli("status --output json").json();
        let forwarders = status["status"]["forwarders"].as_array().unwrap().clone();
        forwarders.into_iter().find(|forwarder| forwarder["name"] == "small").unwrap()["error"].clone()
    };
    let is_told = |node: &Node| {
        until("the status shows it", || names(error(node).as_str()?, &place).then_some(()));
        assert!(names(&node.cli("status").stdout, &place));
        assert!(names(&node.log(), &place));
        assert!(node.metric("picket_forwarder_retries_total{forwarder=\"small\"}") >= 1.0);
        assert!(node.metric("picket_forwarder_queued_bytes{forwarder=\"small\"}") > 0.0);
        assert_eq!(node.get("/readyz").unwrap().status, 200, "the agent does its work");
        is_found(node, "forwarders.small.path", &node.path("small"));
    };
    is_told(&node);
    assert!(node.stop().success());
    node.start();
    is_told(&node);
    let last = flow(&node);
    disk.make_room();
    until("all come to the small disk", || (forwarded(&node) == last).then_some(()));
    check_accounts(&node.rows_of("small/results.ndjson"), last);
    until("the status shows it", || error(&node).is_null().then_some(()));
    assert_eq!(node.cli("check").code, Some(0));
    assert!(node.stop().success());
}
