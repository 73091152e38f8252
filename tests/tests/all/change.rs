//! What is loaded when: changes stay all or nothing, are met whenever they happen, and what was in the way
//! of one is tried again when it has passed.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::ledger::LEDGER;
use picket_tests::{Node, findings, guest, until};
use serde_json::Value;

/// Two plugins that read the same.
const TWO: &str = r#"
[sources.numbers]
kind = "file"
include = ["{dir}/logs/*.log"]
start = "beginning"

[plugins.early]
sources = ["numbers"]
grants.state = "1MiB"

[plugins.late]
sources = ["numbers"]
grants.state = "1MiB"
"#;

/// One generation of a plugin after another is told by this.
fn active(node: &Node, plugin: &str) -> Value {
    node.plugin_status(plugin)["active"]["digest"].clone()
}

fn reason(node: &Node, plugin: &str) -> String {
    node.plugin_status(plugin)["rejected"]["reason"].as_str().unwrap_or_default().to_owned()
}

fn sources(node: &Node) -> Vec<String> {
    let status = node.get("/api/v1/status").unwrap().json();
    let sources = status["sources"].as_array().unwrap();
    sources.iter().map(|source| source["name"].as_str().unwrap().to_owned()).collect()
}

fn until_changed(node: &Node, plugin: &str, from: &Value) {
    until("another generation serves", || {
        let now = active(node, plugin);
        (now != *from && now != Value::Null).then_some(())
    });
}

fn two() -> Node {
    Node::builder()
        .install(&guest("ledger_one"), "early")
        .install(&guest("ledger_one"), "late")
        .config(TWO)
        .start()
}

#[test]
fn every_plugin_comes_back_after_a_restart_though_its_file_is_broken() {
    let mut node = two();
    let served = active(&node, "late");
    assert!(served.is_string());
    assert!(node.stop().success());
    fs::write(node.path("plugins/late.wasm"), b"\0asm\x01\0\0\0").unwrap();
    node.start();
    assert_eq!(active(&node, "late"), served, "{}", node.log());
    assert!(reason(&node, "late").contains("core WebAssembly module"), "{}", node.plugin_status("late"));
}

#[test]
fn a_rejected_change_stays_all_or_nothing_until_its_culprit_changes() {
    let others = "\n[plugins.other]\nsources = [\"numbers\"]\ngrants.state = \"1MiB\"\n";
    let node = Node::builder()
        .install(&guest("ledger_one"), "early")
        .install(&guest("ledger_one"), "late")
        .install(&guest("ledger_one"), "other")
        .config(&format!("{TWO}{others}"))
        .start();
    let (late, other) = (active(&node, "late"), active(&node, "other"));
    until("the source is shown", || (sources(&node) == ["numbers"]).then_some(()));
    let change = format!(
        "{TWO}limits.findings = 999\n{others}\
         [sources.more]\nkind = \"file\"\ninclude = [\"{{dir}}/files/*.log\"]\n"
    );
    node.configure(&format!("{change}[plugins.early.config]\nfail = \"configure\"\n"));
    for attempt in 1..=3 {
        let answer = node.reload();
        assert_ne!(answer.status, 200, "attempt {attempt}: {}", answer.body);
        assert!(answer.body.contains("asked to fail"), "attempt {attempt}: {}", answer.body);
        assert_eq!(active(&node, "late"), late, "attempt {attempt}: it changed with one that is bad");
        assert!(reason(&node, "late").contains("`early`"), "attempt {attempt}");
        assert_eq!(sources(&node), ["numbers"], "attempt {attempt}");
        assert!(node.cli("status").stdout.contains("asked to fail"), "attempt {attempt}");
    }
    // What did not change with it is free to.
    node.install(&guest("ledger_two"), "other");
    until_changed(&node, "other", &other);
    assert_eq!((active(&node, "late"), sources(&node).len()), (late.clone(), 1));

    node.configure(&change);
    let answer = node.reload();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_ne!(active(&node, "late"), late);
    until("the new source is shown", || (sources(&node) == ["more", "numbers"]).then_some(()));
    assert!(!node.cli("status").stdout.contains("asked to fail"));
}

#[test]
fn a_component_of_a_rejected_configuration_is_taken_when_it_is_mended() {
    let node = Node::builder().install(&guest("ledger_one"), "ledger").config(LEDGER).start();
    fs::write(node.path("files/new.wasm"), b"no component").unwrap();
    let new = "[plugins.new]\ncomponent = \"{dir}/files/new.wasm\"\nsources = [\"numbers\"]\ngrants.state = \"1MiB\"";
    node.configure(&format!("{LEDGER}{new}\n"));
    until("the new plugin is rejected", || reason(&node, "new").contains("not WebAssembly").then_some(()));
    fs::copy(guest("ledger_two"), node.path("files/.new")).unwrap();
    fs::rename(node.path("files/.new"), node.path("files/new.wasm")).unwrap();
    until_changed(&node, "new", &Value::Null);
}

#[test]
fn what_changes_while_the_agent_starts_is_loaded_afterwards() {
    let slow = "[plugins.late.config]\nconfigure_millis = 4000\n";
    let mut node = Node::builder()
        .install(&guest("ledger_one"), "early")
        .install(&guest("ledger_one"), "late")
        .config(&format!("{TWO}{slow}"))
        .build();
    node.launch();
    until("the first plugin serves", || node.log().contains("A generation serves").then_some(()));
    node.install(&guest("ledger_two"), "early");
    node.until_ready();
    let mut number = 0;
    until("the new version serves", || {
        number += 1;
        node.append("logs/numbers.log", format!("{number}\n").as_bytes());
        let rows = findings(&node.rows(), "batch");
        rows.iter().any(|row| row["plugin"] == "early" && row["attributes"]["version"] == "2").then_some(())
    });
}

#[test]
fn after_a_failed_first_call_what_is_shown_is_what_serves() {
    let mut node = Node::builder().install(&guest("ledger_one"), "ledger").config(LEDGER).start();
    node.append("logs/numbers.log", b"1\n");
    node.until_rows("the first generation works", 1, |row| row["rule"] == "batch");
    let first = active(&node, "ledger");
    node.install(&guest("ledger_two"), "ledger");
    until_changed(&node, "ledger", &first);
    let never_called = active(&node, "ledger");
    node.configure(&format!("{LEDGER}[plugins.ledger.config]\nfail = \"first-call\"\n"));
    assert_eq!(node.reload().status, 200);
    node.append("logs/numbers.log", b"2\n");
    until("the failure is shown", || reason(&node, "ledger").contains("first call").then_some(()));
    assert_eq!(active(&node, "ledger"), first, "the last generation that worked serves");
    node.until_rows("it goes on", 2, |row| row["rule"] == "batch" && row["attributes"]["version"] == "1");

    node.configure(LEDGER);
    assert_eq!(node.reload().status, 200);
    assert_eq!(active(&node, "ledger"), never_called);
    node.append("logs/numbers.log", b"3\n");
    node.until_rows("it serves", 1, |row| row["rule"] == "batch" && row["attributes"]["version"] == "2");
    assert!(node.stop().success());
}

#[test]
fn a_reload_waits_until_a_file_is_written() {
    let mut node = Node::builder().install(&guest("ledger_one"), "ledger").config(LEDGER).build();
    fs::create_dir(node.path("conf.d")).unwrap();
    fs::write(node.path("conf.d/patient.toml"), "[reload]\nwatch = false\nsettle = \"3s\"\n").unwrap();
    node.start();
    let before = active(&node, "ledger");
    let new = fs::read(guest("ledger_two")).unwrap();
    let mut file = fs::File::create(node.path("plugins/ledger.wasm")).unwrap();
    let (start, rest) = new.split_at(new.len() / 2);
    file.write_all(start).unwrap();
    let answer = std::thread::scope(|scope| {
        let reload = scope.spawn(|| node.reload());
        for part in rest.chunks(rest.len() / 10) {
            std::thread::sleep(Duration::from_millis(100));
            file.write_all(part).unwrap();
        }
        reload.join().unwrap()
    });
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_ne!(active(&node, "ledger"), before);
    assert_eq!(node.metric("picket_generations_rejected_total"), 0.0, "half of it was never loaded");
}

#[test]
fn the_remedy_that_is_printed_is_noticed() {
    let node = Node::builder().install(&guest("ledger_one"), "ledger").config(LEDGER).start();
    let before = active(&node, "ledger");
    let (aside, path) = (node.path("plugins/.new"), node.path("plugins/ledger.wasm"));
    fs::copy(guest("ledger_two"), &aside).unwrap();
    fs::set_permissions(&aside, Permissions::from_mode(0o666)).unwrap();
    fs::rename(&aside, &path).unwrap();
    until("it is refused", || reason(&node, "ledger").contains("chmod go-w").then_some(()));
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    until_changed(&node, "ledger", &before);
}

/// A plugin that can be made to fail beside a ledger.
const MOODY: &str = r#"
[sources.lines]
kind = "file"
include = ["{dir}/files/*.log"]
start = "beginning"

[plugins.moody]
sources = ["lines"]
grants.state = "1MiB"
"#;

fn with_moody() -> Node {
    let config = format!("{LEDGER}{MOODY}");
    Node::builder()
        .install(&guest("ledger_one"), "ledger")
        .install(&guest("moody"), "moody")
        .config(&config)
        .start()
}

#[test]
fn what_there_was_no_memory_for_is_tried_again() {
    let mut node = with_moody();
    let used = node.get("/api/v1/status").unwrap().json()["memory"]["used_bytes"].as_u64().unwrap();
    assert!(node.stop().success());
    // Room for two instances and what they may grow by, not for a third.
    let little = format!("{MOODY}[agent]\nmemory = \"{}KiB\"\n", (used + used / 4) >> 10);
    node.configure(&format!("{LEDGER}{little}"));
    node.start();
    let before = active(&node, "ledger");
    node.configure(&format!("{LEDGER}limits.findings = 999\n{little}"));
    let answer = node.reload();
    assert_ne!(answer.status, 200, "{}", answer.body);
    assert!(reason(&node, "ledger").contains("agent.memory"), "{}", answer.body);
    // A failed call costs the other plugin its instance, and makes room.
    node.append("files/a.log", b"!trap\n");
    until_changed(&node, "ledger", &before);
    assert_eq!(reason(&node, "ledger"), "");
}

#[test]
fn a_rest_of_the_generation_before_is_not_shown_of_the_one_that_serves() {
    let supervision = "[supervision]\nfailures = 1\nrest = \"1h\"\nlongest_rest = \"1h\"\n";
    let mut node = Node::builder()
        .install(&guest("ledger_one"), "ledger")
        .install(&guest("moody"), "moody")
        .install(&guest("ledger_two"), "patient")
        .config(&format!("{LEDGER}{MOODY}{supervision}"))
        .start();
    let before = active(&node, "moody");
    node.configure(&format!(
        "{LEDGER}[plugins.ledger.config]\nconfigure_millis = 6000\n\
         {MOODY}component = \"patient.wasm\"\n{supervision}"
    ));
    std::thread::scope(|scope| {
        let reload = scope.spawn(|| node.reload());
        // While the candidates are made, nobody hears what the workers tell.
        node.append("files/a.log", b"!trap\n");
        until("the plugin rests", || {
            (node.metric("picket_plugin_circuit_open{plugin=\"moody\"}") == 1.0).then_some(())
        });
        assert!(!reload.is_finished(), "the plugin failed too late for this test");
        assert_eq!(reload.join().unwrap().status, 200);
    });
    assert_ne!(active(&node, "moody"), before);
    // By its end, everything that was told before has been heard.
    assert_eq!(node.reload().status, 200);
    assert_eq!(node.plugin_status("moody")["state"], "active");
    assert!(node.stop().success());
}
