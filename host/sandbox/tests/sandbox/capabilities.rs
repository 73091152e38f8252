//! What guests can ask of the host.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Instant;

use picket_sandbox::{
    Grants, Label, MatchOp, Matcher, Selection, Selector, SeriesError, SeriesGrant, SeriesReader,
    SeriesRequest, StateWrite,
};

use crate::harness::{Plugin, analyze, component, messages, mode};

/// Runs commands in one call of `storing` and gives its answers.
fn obey(plugin: &Plugin, commands: &[&str]) -> Vec<String> {
    let output = analyze(&mut plugin.configured("{}"), commands).unwrap();
    messages(&output).into_iter().map(str::to_owned).collect()
}

/// The same, and commits.
fn obey_and_commit(plugin: &Plugin, commands: &[&str]) {
    let output = analyze(&mut plugin.configured("{}"), commands).unwrap();
    plugin.state.commit(output.writes);
}

fn with_quota(quota: u64) -> Plugin {
    Plugin::granted(&component("storing"), &Grants { state: Some(quota), ..Grants::default() })
}

#[test]
fn a_call_sees_its_own_writes() {
    let plugin = Plugin::new("storing");
    obey_and_commit(&plugin, &["set a 1", "set b 2", "set c 3"]);
    let answers = obey(&plugin, &["get a", "set a 9", "get a", "delete b", "get b", "get none", "scan  10"]);
    assert_eq!(
        answers,
        ["Ok(Some(1))", "Ok(())", "Ok(Some(9))", "Ok(())", "Ok(None)", "Ok(None)", "a:9 c:3"]
    );
    assert_eq!(obey(&plugin, &["scan  10"]), ["a:1 b:2 c:3"], "nothing was committed");
}

#[test]
fn a_scan_merges_what_is_committed_and_what_is_written() {
    let plugin = Plugin::new("storing");
    obey_and_commit(&plugin, &["set k1 1", "set k3 3", "set k5 5", "set other 1"]);
    for page in [None, Some(1), Some(2)] {
        *plugin.state.page.lock().unwrap() = page;
        let merged = |from: &str| {
            let scan = format!("scan k 100{from}");
            obey(&plugin, &["set k2 2", "delete k3", "set k5 9", "set k6 6", &scan]).pop().unwrap()
        };
        // Whatever the pages of the store are, going on behind the last key finds everything once.
        let mut all = Vec::new();
        let mut from = String::new();
        loop {
            let answer = merged(&from);
            if answer.is_empty() {
                break;
            }
            all.extend(answer.split(' ').map(str::to_owned));
            from = format!(" {}", all.last().unwrap().split_once(':').unwrap().0);
        }
        assert_eq!(all, ["k1:1", "k2:2", "k5:9", "k6:6"], "{page:?}");
    }
}

#[test]
fn deleted_pages_are_not_taken_for_the_end() {
    let plugin = Plugin::new("storing");
    obey_and_commit(&plugin, &["set k1 1", "set k2 1", "set k3 1"]);
    *plugin.state.page.lock().unwrap() = Some(1);
    assert_eq!(obey(&plugin, &["delete k1", "delete k2", "scan k 10"])[2], "k3:1");
    assert_eq!(obey(&plugin, &["delete k1", "delete k2", "delete k3", "scan k 10"])[3], "");
}

#[test]
fn a_scan_is_bounded() {
    let plugin = Plugin::new("storing").limits(|limits| limits.state_write_bytes = 64 << 20);
    let sets: Vec<_> = (0..1200).map(|n| format!("set k{n:04} 1")).collect();
    let sets: Vec<_> = sets.iter().map(String::as_str).collect();
    for chunk in sets.chunks(600) {
        obey_and_commit(&plugin, chunk);
    }
    let output = obey(&plugin, &["scan k 5000", "scan k 2", "scan k 0"]);
    // The message is cut at 1024 bytes; entries are seven bytes each with the space.
    assert!(output[0].starts_with("k0000:1 k0001:1"));
    assert_eq!((output[1].as_str(), output[2].as_str()), ("k0000:1 k0001:1", ""));
    let large: Vec<_> = (0..6).map(|n| format!("set large{n} 262144")).collect();
    obey_and_commit(&plugin, &large.iter().map(String::as_str).collect::<Vec<_>>());
    let answer = obey(&plugin, &["scan large 100"]).pop().unwrap();
    assert_eq!(answer.split(' ').count(), 3, "four values and their keys are more than 1 MiB: {answer}");
}

#[test]
fn sizes_are_bounded() {
    let plugin = Plugin::new("storing");
    let long = format!("set {} 1", "k".repeat(513));
    let answers = obey(&plugin, &[&long, "get ", "delete ", "set k 262145", "set k 262144"]);
    assert!(answers[..3].iter().all(|answer| answer.contains("KeyLength(512)")), "{answers:?}");
    assert!(answers[3].contains("ValueTooLong(262144)"), "{answers:?}");
    assert_eq!(answers[4], "Ok(())");
}

#[test]
fn a_state_flood_ends_at_the_quota() {
    let plugin = with_quota(100_000);
    let answers = obey(&plugin, &["flood 1000", "set flood-00000000 10", "set small 10"]);
    // Keys have 14 bytes: 98 entries of 1014 bytes fit.
    assert!(answers[0].starts_with("98 then") && answers[0].contains("QuotaExceeded(100000)"), "{answers:?}");
    assert_eq!(plugin.linked.counts().state_quota_refused, 1);
    assert_eq!(answers[1..], ["Ok(())", "Ok(())"], "what makes room is taken");
}

#[test]
fn the_quota_counts_what_is_committed_and_what_is_replaced() {
    let plugin = with_quota(1000);
    obey_and_commit(&plugin, &["set a 899"]);
    let answers = obey(&plugin, &["set b 100", "set b 99", "set a 899", "delete a", "set c 800"]);
    assert!(answers[0].contains("QuotaExceeded(1000)"), "{answers:?}");
    assert_eq!(answers[1..], ["Ok(())", "Ok(())", "Ok(())", "Ok(())"]);
}

#[test]
fn what_one_call_writes_is_bounded() {
    let plugin = Plugin::new("storing").limits(|limits| limits.state_write_bytes = 10_000);
    let answers = obey(&plugin, &["delete-flood"]);
    assert!(
        answers[0].contains("Unavailable") && answers[0].contains("`limits.state_writes`"),
        "{answers:?}"
    );
    assert!(plugin.linked.counts().state_writes_refused > 0);
}

#[test]
fn values_expire() {
    let plugin = Plugin::new("storing");
    let output =
        analyze(&mut plugin.configured("{}"), &["set a 1 0", "get a", "set b 1 3600000000000", "get b"])
            .unwrap();
    assert_eq!(messages(&output), ["Ok(())", "Ok(None)", "Ok(())", "Ok(Some(1))"]);
    let expires: Vec<_> =
        output.writes.iter().map(|write| matches!(write, StateWrite::Set { expires: Some(_), .. })).collect();
    assert_eq!(expires, [true, true]);
}

#[test]
fn a_store_that_fails_says_so() {
    let plugin = Plugin::new("storing");
    *plugin.state.broken.lock().unwrap() = true;
    assert!(obey(&plugin, &["get a"])[0].contains("the disk is gone"));
    let mut plugin = Plugin::new("storing");
    plugin.services.state = None;
    assert!(obey(&plugin, &["set a 1"])[0].contains("keeps no state"));
}

#[test]
fn state_cannot_be_written_where_nothing_is_committed() {
    let plugin = Plugin::new("storing");
    let answer = String::from_utf8(plugin.configured("{}").snapshot().unwrap()).unwrap();
    assert!(answer.contains("only in calls whose results are committed"), "{answer}");
}

#[test]
fn log_lines_come_with_their_fields_and_without_control_characters() {
    let plugin = Plugin::new("hostile");
    analyze(&mut plugin.configured(r#"{"mode": "log", "lines": "1"}"#), &["a"]).unwrap();
    assert_eq!(plugin.log.lines(), ["Log Info a line with \\n control characters [line=0]"]);
    let plugin = Plugin::new("hostile");
    analyze(&mut plugin.configured(r#"{"mode": "stderr", "lines": "2"}"#), &["a"]).unwrap();
    assert_eq!(plugin.log.lines(), ["Stderr Warn line 0 []", "Stderr Warn line 1 []"]);
}

#[test]
fn std_works_in_the_empty_form_of_wasi() {
    for name in ["random", "clocks", "environment"] {
        let plugin = Plugin::new("hostile");
        analyze(&mut plugin.configured(&mode(name)), &["a"])
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn assets_are_the_generations_own() {
    let plugin = Plugin::new("hostile").assets(&[("rules/a.txt", "one"), ("b", "")]);
    analyze(&mut plugin.configured(&mode("assets")), &["a"]).unwrap();
}

/// Remembers what it is asked; every selector has the same two series.
#[derive(Default)]
struct Asked(Mutex<Vec<Selector>>);

impl SeriesReader for Asked {
    fn select(
        &self,
        requests: &[SeriesRequest],
        _max_samples: u64,
        _deadline: Instant,
    ) -> Result<Selection, SeriesError> {
        self.0.lock().unwrap().extend(requests.iter().map(|request| request.selector.clone()));
        let (count, to) = (requests.len() as u32, requests[0].end);
        Ok(Selection {
            row_ends: (1..=count).map(|n| 2 * n).collect(),
            series: (0..count).flat_map(|_| [4, 8]).collect(),
            sample_ends: (1..=2 * count).collect(),
            times: vec![to; 2 * count as usize],
            values: (0..count).flat_map(|_| [1.0, 2.0]).collect(),
        })
    }

    fn labels(&self, series: &[u64]) -> Result<Vec<Vec<Label>>, SeriesError> {
        Ok(series.iter().map(|id| vec![Label { name: "id".into(), value: id.to_string() }]).collect())
    }
}

#[test]
fn a_bounded_grant_adds_its_matchers_to_every_selector() {
    let matcher =
        |name: &str, value: &str| Matcher { name: name.into(), op: MatchOp::Equal, value: value.into() };
    let bounds = vec![vec![matcher("job", "node")], vec![matcher("job", "web")]];
    let grants = Grants { state: None, series: SeriesGrant::Matching(bounds) };
    let asked = Arc::<Asked>::default();
    let plugin = Plugin::granted(&component("alerting"), &grants).series(asked.clone());
    let mut instance = plugin.configured(r#"{"metric": "up", "above": "0"}"#);
    let results = instance.evaluate("levels", 1_700_000_000_000_000_000).unwrap().value;
    let name = matcher("__name__", "up");
    let expected = [vec![name.clone(), matcher("job", "node")], vec![name, matcher("job", "web")]];
    assert_eq!(*asked.0.lock().unwrap(), expected);
    assert_eq!(results[0].outcome.as_ref().unwrap().alerts.len(), 2, "each series stands once");
}
