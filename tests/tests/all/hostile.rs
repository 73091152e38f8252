//! A plugin that misbehaves on one record costs that record; the agent and other plugins go on.

use picket_tests::{Node, findings, guest, hostile, of_kind, until};
use serde_json::Value;

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
    check("!memory", "`limits.memory`");
}

#[test]
fn a_stack_overflow_is_contained() {
    check("!stack", "stack");
}

#[test]
fn waiting_on_a_clock_is_refused() {
    check("!sleep", "wait");
}

#[test]
fn a_flood_of_findings_meets_its_limit() {
    check("!findings", "`limits.findings`");
}

#[test]
fn a_huge_return_value_meets_its_limit() {
    check("!output", "`limits.output`");
}

#[test]
fn a_flood_of_state_meets_its_quota() {
    check("!state", "the plugin's state is full: its quota is 1048576 bytes");
}

#[test]
fn a_flood_of_labels_meets_its_limit() {
    check("!labels", "`limits.label_sets`");
}

#[test]
fn a_flood_of_host_calls_meets_the_deadline() {
    check("!calls", "call_deadline");
}

#[test]
fn a_flood_of_log_lines_is_cut_and_counted() {
    let node = Node::builder().install(&guest("moody"), "moody").install(&guest("ledger_one"), "good");
    // Long enough for all of the flood, however slow the machine.
    let mut node = node.config(&TWO.replace("500ms", "60s")).start();
    node.append("logs/a.log", b"!log\nafter\n");
    node.until_rows("the record behind the flood is processed", 1, |row| row["record"] == "after");
    let dropped = until("what was cut is counted", || {
        let dropped = node.plugin_status("moody")["counts"]["log_lines_dropped"].as_u64()?;
        (dropped > 90_000).then_some(dropped)
    });
    let written = node.log().lines().filter(|line| line.contains("picket::plugin: line ")).count() as u64;
    assert_eq!(written + dropped, 100_000, "each line is written or counted");
    assert!(node.stop().success());
}

/// What the agent cannot give says nothing about the record that was in hand.
#[test]
fn a_lack_of_memory_for_all_plugins_together_blames_no_record() {
    let config = |memory: &str| format!("{TWO}\n[agent]\nmemory = \"{memory}\"\n");
    let node = Node::builder().install(&guest("moody"), "moody").install(&guest("ledger_one"), "good");
    let mut node = node.config(&config("12MiB")).start();
    node.append("logs/a.log", b"line 1\n!memory\nline 3\n");
    until("the budget is met several times", || {
        (node.metric("picket_plugin_failures_total{plugin=\"moody\",reason=\"budget\"}") >= 3.0).then_some(())
    });
    node.until_rows("the other plugin goes on", 1, |row| row["plugin"] == "good" && row["kind"] == "finding");
    assert!(of_kind(&node.rows(), "evidence").is_empty(), "no record is at fault");
    assert!(node.stop().success());

    node.configure(&config("512MiB"));
    node.start();
    let evidence =
        node.until_rows("with memory, the bad record is found", 1, |row| row["kind"] == "evidence");
    assert_eq!((evidence.len(), &evidence[0]["record"]), (1, &"!memory".into()));
    node.until_rows("the others are processed", 2, |row| row["rule"] == "seen");
    assert_eq!(findings(&node.rows(), "seen").len(), 2, "each once");
    assert!(node.stop().success());
}

/// Nor about a generation whose first call it was: it gives way, and is tried again by itself.
#[test]
fn a_first_call_that_there_is_no_memory_for_refuses_nothing_for_good() {
    let config = format!("{TWO}\n[agent]\nmemory = \"12MiB\"\n");
    let node = Node::builder().install(&guest("ledger_one"), "moody").install(&guest("ledger_one"), "good");
    let mut node = node.config(&config).start();
    let active = |node: &Node| node.plugin_status("moody")["active"]["digest"].clone();
    let former = active(&node);
    node.append("logs/a.log", b"line 1\n");
    let found = |row: &Value| row["plugin"] == "moody" && row["kind"] == "finding";
    node.until_rows("the former generation works", 1, found);
    node.install(&guest("moody"), "moody");
    until("the new one serves", || (active(&node) != former).then_some(()));
    node.append("logs/a.log", b"!memory\n");
    until("the former one serves again", || (active(&node) == former).then_some(()));
    let reason = node.plugin_status("moody")["rejected"]["reason"].clone();
    assert!(reason.as_str().unwrap_or_default().contains("could not be made now"), "{reason}");
    node.until_rows("nothing is lost by it", 2, found);
    until("it is tried again, though nothing has changed", || (active(&node) != former).then_some(()));
    assert!(of_kind(&node.rows(), "evidence").is_empty(), "no record is at fault");
    assert!(node.stop().success());
}

/// A plugin that cannot even start, beside one that is good: told with its reason, and nothing else harmed.
fn never_starts(name: &str, config: &str, says: &[&str]) {
    let mut node = Node::builder().install(&guest("ledger_one"), "good").config(TWO).start();
    // The good plugin is compiled by now: the bomb's bounds are not for it.
    assert!(node.stop().success());
    node.install(&hostile(name), "moody");
    node.configure(&format!("{TWO}\n{config}"));
    node.start();
    node.append("logs/a.log", b"1\n");
    node.until_rows("the other plugin goes on", 1, |row| row["plugin"] == "good" && row["kind"] == "finding");
    let reason = until("the rejection is shown", || {
        node.plugin_status("moody")["rejected"]["reason"].as_str().map(str::to_owned)
    });
    for part in says {
        assert!(reason.contains(part), "`{part}` is missing in {reason}");
    }
    assert!(node.stop().success());
}

#[test]
fn a_table_bomb_meets_its_limit() {
    never_starts("table-bomb", "", &["table_elements"]);
}

#[test]
fn a_memory_that_grows_before_the_first_call_meets_its_limit() {
    never_starts("growing-start", "", &["`limits.memory`"]);
}

#[test]
fn an_endless_start_meets_its_deadline() {
    never_starts("endless-start", "limits.configure_deadline = \"500ms\"", &["deadline"]);
}

#[test]
fn a_compile_bomb_meets_the_time_of_compilations() {
    never_starts("compile-bomb", "[compile]\ntime = \"2s\"", &["compile.time"]);
}

/// The plugin fails on everything: its circuit opens, its place is kept, and its repair gets every record.
#[test]
fn a_trap_on_every_call_opens_the_circuit_and_the_repair_gets_the_records() {
    let config = |mode: &str| {
        format!(
            "{TWO}\nconfig.mode = \"{mode}\"\n[supervision]\nfailures = 3\nrest = \"1h\"\nlongest_rest = \"1h\""
        )
        .replace("[plugins.good]\nsources = [\"lines\"]\ngrants.state = \"1MiB\"", "")
    };
    let mut node = Node::builder().install(&hostile("hostile"), "moody").config(&config("trap")).start();
    let lines: String = (1..=50).map(|line| format!("line {line}\n")).collect();
    node.append("logs/a.log", lines.as_bytes());
    until("the circuit opens", || (node.plugin_status("moody")["circuit"]["open"] == true).then_some(()));
    assert_eq!(node.get("/readyz").unwrap().status, 200, "a plugin in trouble is no trouble of the agent");
    let status = node.cli("status").stdout;
    assert!(status.contains("resting after failures"), "{status}");

    node.configure(&config("echo"));
    assert_eq!(node.reload().status, 200, "the repair is taken");
    node.until_rows("every record has its outcome", 50, |row| {
        row["kind"] == "finding" || row["kind"] == "evidence"
    });
    // A second outcome of a record would come by the end at the latest.
    assert!(node.stop().success());
    let rows = node.rows();
    let of = |kind: &str| -> Vec<String> {
        of_kind(&rows, kind).iter().map(|row| row["record"].as_str().unwrap().to_owned()).collect()
    };
    let mut all = [of("evidence"), of("finding")].concat();
    all.sort();
    assert_eq!(all.len(), 50, "none came twice: {all:?}");
    all.dedup();
    assert_eq!(all.len(), 50, "no record was lost: {all:?}");
    assert!(of("evidence").len() < 10, "most records waited for the repair: {:?}", of("evidence"));
}
