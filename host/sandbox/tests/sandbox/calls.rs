//! Calls that succeed: what goes in and what comes out.

use picket_sandbox::{CallError, Kind};

use crate::harness::{Plugin, analyze, messages, mode};

#[test]
fn records_cross_as_they_are() {
    let plugin = Plugin::new("hostile");
    let mut instance = plugin.configured(&mode("echo"));
    let output = analyze(&mut instance, &["one", "", "zwölf"]).unwrap();
    assert_eq!(messages(&output), ["one", "", "zwölf"]);
    let records: Vec<_> = output.value.findings.iter().map(|finding| finding.record).collect();
    assert_eq!(records, [Some(0), Some(1), Some(2)]);
    assert!(instance.memory_bytes() > 0);
}

#[test]
fn configure_tells_interest_and_groups() {
    let plugin = Plugin::new("hostile");
    let setup = plugin.instance().configure(r#"{"literal": "Failed", "interval": "15"}"#).unwrap();
    assert_eq!(setup.interest.literals, [b"Failed"]);
    assert!(setup.interest.ignore_ascii_case);
    assert_eq!(setup.groups[0].name, "group");
    assert_eq!(setup.groups[0].interval.as_secs(), 15);
}

#[test]
fn a_count_survives_in_memory_by_snapshot_and_in_state_by_commit() {
    let plugin = Plugin::new("counting");
    let mut instance = plugin.configured("{}");
    for expected in ["2 records so far", "4 records so far"] {
        let output = analyze(&mut instance, &["a", "b"]).unwrap();
        assert_eq!(messages(&output), [expected]);
        plugin.state.commit(output.writes);
    }
    let snapshot = instance.snapshot().unwrap();
    let version = instance.plugin_version().unwrap();
    assert_eq!(version, "1.0.0");
    let mut next = plugin.configured("{}");
    next.restore(&snapshot, &version).unwrap();
    let output = analyze(&mut next, &["c"]).unwrap();
    let attributes: Vec<_> = output.value.findings[0].attributes.iter().map(|it| it.value.as_str()).collect();
    assert_eq!(attributes, ["5", "5"]);
    assert_eq!(output.value.counters[0].delta, 1.0);
}

#[test]
fn writes_of_a_call_that_was_not_committed_are_gone() {
    let plugin = Plugin::new("counting");
    let mut instance = plugin.configured("{}");
    let lost = analyze(&mut instance, &["a"]).unwrap();
    assert_eq!(lost.writes.len(), 1);
    let output = analyze(&mut instance, &["b"]).unwrap();
    assert_eq!(messages(&output), ["1 records so far"]);
}

#[test]
fn an_error_discards_the_instance() {
    let plugin = Plugin::new("hostile");
    let mut instance = plugin.configured(&mode("error"));
    let error = analyze(&mut instance, &["a"]).unwrap_err();
    assert_eq!(error, CallError::Guest("no more of \\u{1b}[2J this".into()));
    assert!(!instance.is_live());
    assert_eq!(analyze(&mut instance, &["a"]).unwrap_err(), CallError::Discarded);
    assert_eq!(instance.snapshot().unwrap_err(), CallError::Discarded);
    assert!(instance.memory_bytes() > 0, "the high-water mark is kept");
}

#[test]
fn a_restore_error_is_told() {
    let plugin = Plugin::new("hostile");
    let error = plugin.configured("{}").restore(b"bad", "0.9").unwrap_err();
    assert_eq!(error, CallError::Guest("this is no snapshot of 0.9".into()));
}

#[test]
fn a_kind_that_is_not_there_does_no_harm() {
    let plugin = Plugin::new("hostile");
    let mut instance = plugin.configured(&mode("echo"));
    assert_eq!(instance.evaluate("group", 1).unwrap_err(), CallError::NoSuchKind(Kind::AlertRule));
    assert!(analyze(&mut instance, &["a"]).is_ok());
}

#[test]
fn cpu_time_is_measured() {
    let plugin = Plugin::new("storing");
    let mut instance = plugin.configured("{}");
    let output = analyze(&mut instance, &["flood 1000"]).unwrap();
    assert!(!output.cpu.is_zero());
}

#[test]
fn memory_is_given_back_with_the_instance() {
    let plugin = Plugin::new("hostile");
    let mut instance = plugin.configured(&mode("trap"));
    let before = instance.memory_bytes();
    assert!(plugin.linked.component().kinds() == [Kind::Analyzer] && before > 0);
    analyze(&mut instance, &["a"]).unwrap_err();
    // Other tests use the same engine, so only that this instance is gone can be seen here; that
    // nothing is left is seen by the rejected generations below.
    assert!(!instance.is_live());
}
