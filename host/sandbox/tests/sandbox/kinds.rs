//! Scanners, unpackers and alert rules.

use std::sync::Arc;
use std::time::{Duration, Instant};

use picket_sandbox::{
    CallError, Kind, Label, MatchOp, ReadError, RuleResult, Selection, SeriesError, SeriesReader,
    SeriesRequest, Verdict, Wanted, keys,
};

use crate::harness::{Bytes, Plugin, component, mode};

#[test]
fn kinds_are_told() {
    assert_eq!(component("hostile").kinds(), [Kind::Analyzer]);
    assert_eq!(component("scanning").kinds(), [Kind::Scanner]);
    assert_eq!(component("unpacking").kinds(), [Kind::Unpacker]);
    assert_eq!(component("alerting").kinds(), [Kind::AlertRule]);
    assert_eq!(component("two-kinds").kinds(), [Kind::Analyzer, Kind::Query]);
}

#[test]
fn a_scanner_reads_in_pieces_and_gives_a_verdict() {
    let plugin = Plugin::new("scanning");
    let mut instance = plugin.configured("{}");
    let clean = instance.scan(Bytes::object(vec![b'x'; 700 << 10])).unwrap();
    assert_eq!(clean.value.verdict, Verdict::Clean);
    assert_eq!(clean.value.reason, "716800 bytes of 716800");
    assert_eq!(clean.value.report.findings[0].time, Some(7));
    let bad = instance.scan(Bytes::object("this is MALWARE")).unwrap();
    assert_eq!(bad.value.verdict, Verdict::Malicious);
    let gone = Bytes { bytes: Vec::new(), error: Some(ReadError::Changed) };
    let skipped = instance.scan(Arc::new(gone)).unwrap();
    assert_eq!(
        (skipped.value.verdict, skipped.value.reason.as_str()),
        (Verdict::Skipped, "ReadError::Changed")
    );
}

#[test]
fn many_scans_leave_no_handles() {
    let plugin = Plugin::new("scanning").limits(|limits| limits.handles = 10);
    let mut instance = plugin.configured("{}");
    for _ in 0..100 {
        instance.scan(Bytes::object("x")).unwrap();
    }
}

#[test]
fn a_scanner_that_reads_for_ever_ends_at_the_deadline() {
    let deadline = Duration::from_millis(100);
    let plugin = Plugin::new("scanning").limits(|limits| limits.call_deadline = deadline);
    let mut instance = plugin.configured(&mode("again"));
    let error = instance.scan(Bytes::object("x")).unwrap_err();
    assert_eq!(error, CallError::Deadline { limit: deadline, key: keys::CALL_DEADLINE });
}

const PACK: &str = "PACK\na.txt 3\nabcb/c.bin 0\nd 2\nde";

#[test]
fn members_are_pulled_from_a_container() {
    let plugin = Plugin::new("unpacking").limits(|limits| limits.handles = 10);
    let mut instance = plugin.configured("{}");
    for _ in 0..50 {
        let mut container = instance.unpack(Bytes::object(PACK)).unwrap().unwrap();
        let mut members = Vec::new();
        while let Some(member) = container.next_member().unwrap() {
            let mut bytes = Vec::new();
            loop {
                let piece = container.read(2).unwrap();
                if piece.is_empty() {
                    break;
                }
                bytes.extend(piece);
            }
            members.push((member.path, member.size, String::from_utf8(bytes).unwrap()));
        }
        let expected = [("a.txt", 3, "abc"), ("b/c.bin", 0, ""), ("d", 2, "de")];
        let expected = expected.map(|(path, size, text)| (path.to_owned(), Some(size), text.to_owned()));
        assert_eq!(members, expected);
    }
    assert!(instance.unpack(Bytes::object("no pack")).unwrap().is_none());
}

#[test]
fn a_container_may_be_left_half_read() {
    let plugin = Plugin::new("unpacking").limits(|limits| limits.handles = 10);
    let mut instance = plugin.configured(&mode("endless"));
    for _ in 0..50 {
        let mut container = instance.unpack(Bytes::object(PACK)).unwrap().unwrap();
        assert_eq!(container.next_member().unwrap().unwrap().path, "again");
    }
}

#[test]
fn an_unpacker_that_breaks_the_rules_is_discarded() {
    let plugin = Plugin::new("unpacking");
    let mut instance = plugin.configured(&mode("long-path"));
    let mut container = instance.unpack(Bytes::object(PACK)).unwrap().unwrap();
    assert!(matches!(container.next_member().unwrap_err(), CallError::Report { .. }));
    drop(container);
    assert!(!instance.is_live());

    let mut instance = plugin.configured(&mode("too-much"));
    let mut container = instance.unpack(Bytes::object(PACK)).unwrap().unwrap();
    container.next_member().unwrap();
    assert!(matches!(container.read(10).unwrap_err(), CallError::Report { .. }));
    assert_eq!(container.read(10).unwrap_err(), CallError::Discarded);
    drop(container);

    let mut instance = plugin.configured(&mode("trap-on-drop"));
    drop(instance.unpack(Bytes::object(PACK)).unwrap().unwrap());
    assert!(!instance.is_live());

    let mut instance = plugin.configured("{}");
    let mut container = instance.unpack(Bytes::object("PACK\nnonsense\n")).unwrap().unwrap();
    assert!(matches!(container.next_member().unwrap_err(), CallError::Guest(_)));
}

/// Two series of `node_load1`, one of anything else.
struct Loads;

impl SeriesReader for Loads {
    fn select(
        &self,
        requests: &[SeriesRequest],
        _max_samples: u64,
        deadline: Instant,
    ) -> Result<Selection, SeriesError> {
        assert!(deadline > Instant::now());
        let [SeriesRequest { selector, start, end: to, wanted: Wanted::OfLive }] = requests else {
            panic!("one request was made: {requests:?}");
        };
        assert_eq!((to - start, selector[0].op), (60_000_000_000, MatchOp::Equal));
        match selector[0].value.as_str() {
            "node_load1" => Ok(Selection {
                row_ends: vec![2],
                series: vec![5, 9],
                sample_ends: vec![2, 3],
                times: vec![to - 2, to - 1, *to],
                values: vec![9.0, 2.0, 5.0],
            }),
            "late" => Err(SeriesError::Late),
            _ => Err(SeriesError::BadSelector(0, "there is no such metric".into())),
        }
    }

    fn labels(&self, series: &[u64]) -> Result<Vec<Vec<Label>>, SeriesError> {
        let label = |name: &str, value: String| Label { name: name.into(), value };
        let row = |id: &u64| vec![label("__name__", "node_load1".into()), label("id", id.to_string())];
        Ok(series.iter().map(row).collect())
    }
}

const NOW: u64 = 1_700_000_000_000_000_000;

fn evaluate(config: &str) -> Result<Vec<RuleResult>, CallError> {
    let plugin = Plugin::new("alerting").series(Arc::new(Loads));
    Ok(plugin.configured(config).evaluate("levels", NOW)?.value)
}

#[test]
fn an_alert_rule_sees_series_and_says_what_holds() {
    let results = evaluate(r#"{"metric": "node_load1", "above": "4"}"#).unwrap();
    let output = results[0].outcome.as_ref().unwrap();
    assert_eq!((results[0].rule.as_str(), output.alerts.len()), ("high", 1));
    let alert = &output.alerts[0];
    let labels: Vec<_> =
        alert.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect();
    assert_eq!(labels, [("alertname", "TooHigh"), ("id", "9")]);
    assert_eq!((alert.value, alert.for_nanos, alert.keep_firing_for_nanos), (5.0, 60_000_000_000, 0));
}

#[test]
fn an_error_of_the_store_is_the_rules_own() {
    let results = evaluate(r#"{"metric": "nothing", "above": "4"}"#).unwrap();
    assert!(results[0].outcome.as_ref().unwrap_err().contains("there is no such metric"));
    let error = evaluate(r#"{"metric": "late", "above": "4"}"#).unwrap_err();
    assert!(matches!(error, CallError::Deadline { .. }), "{error:?}");
}

#[test]
fn what_is_wrong_with_one_rule_leaves_the_others() {
    for (mode_name, says) in [
        ("many", "1001 alerts"),
        ("twice", "same labels"),
        ("nameless", "`alertname`"),
        ("failing", "no data"),
    ] {
        let results = evaluate(&mode(mode_name)).unwrap();
        let error = results[0].outcome.as_ref().unwrap_err();
        assert!(error.contains(says), "{error}");
        assert!(results.iter().skip(1).all(|result| result.outcome.is_ok()));
    }
    assert!(matches!(evaluate(&mode("same-rule")).unwrap_err(), CallError::Report { .. }));
    // Rules may record more series than there are label sets for a plugin's own metrics.
    let results = evaluate(&mode("samples")).unwrap();
    assert_eq!(results[0].outcome.as_ref().unwrap().samples.len(), 1001);
}

#[test]
fn an_unknown_group_is_the_guests_error() {
    let plugin = Plugin::new("alerting");
    let error = plugin.configured("{}").evaluate("other", NOW).unwrap_err();
    assert_eq!(error, CallError::Guest("there is no group other".into()));
}
