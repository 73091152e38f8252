//! The test host does what the agent does: one plugin of every kind, called in its order.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use picket_sdk::log::Level;
use picket_sdk::series::{self, LabelCache, MatchOp, matching};
use picket_sdk::testing::{self, CallError, Host, Lines, Object as File};
use picket_sdk::{
    ActiveAlert, AlertRule, Analyzer, Batch, ConfigError, Error, Finding, Object, Plugin, Report, Result,
    RuleResult, Scanner, Setup, Severity, Snapshot, Timestamp, Verdict, assets, clock, state,
};
use serde::Deserialize;

/// Does what its configuration says.
#[derive(Debug)]
struct Probe {
    config: Config,
    seen: u64,
    labels: LabelCache,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    literals: Vec<String>,
    act: String,
}

impl Plugin for Probe {
    type Config = Config;

    fn new(config: Config, setup: &mut Setup) -> Result<Self, ConfigError> {
        setup.interest(&config.literals).ignore_ascii_case().group("g", Duration::from_secs(15));
        if config.act == "read asset" {
            assets::text("rules.txt")?;
        }
        Ok(Self { config, seen: 0, labels: LabelCache::default() })
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::of(&self.seen)
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<()> {
        self.seen = snapshot.get()?;
        Ok(())
    }
}

impl Analyzer for Probe {
    fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()> {
        for record in batch {
            self.seen += 1;
            let hits: Vec<String> = record.hits().map(|hit| hit.to_string()).collect();
            let unit = batch.column("unit").map_or(&b""[..], |column| column.of(&record));
            let finding = Finding::new("seen", Severity::Info, record.text())
                .attribute("hits", hits.join(","))
                .attribute("unit", String::from_utf8_lossy(unit))
                .attribute("passed_over", batch.passed_over())
                .attribute("seen", self.seen)
                .at(record.time)
                .of(&record);
            report.finding(finding);
        }
        match self.config.act.as_str() {
            "count in state" => state::set("n", &(state::get::<u64>("n")?.unwrap_or(0) + 1))?,
            "fail after a write" => {
                state::set("n", &99_u64)?;
                return Err(Error::new("no more"));
            }
            "bad rule name" => report.finding(Finding::new("Bad Name", Severity::Info, "")),
            "bad counter" => report.counter("requests", &[]).add(1),
            "reserved counter" => report.counter("records_total", &[]).add(1),
            "bad label" => report.counter("requests_total", &[("a-b", "")]).add(1),
            "log" => picket_sdk::warn!([size = batch.len()], "at {}", clock::now()),
            _ => {}
        }
        Ok(())
    }
}

impl Scanner for Probe {
    fn scan(&mut self, object: &Object<'_>, _: &mut Report) -> Result<Verdict> {
        let mut reader = object.reader();
        let mut text = String::new();
        reader.seek(SeekFrom::End(-3))?;
        reader.read_to_string(&mut text)?;
        reader.seek(SeekFrom::Start(0))?;
        let mut all = Vec::new();
        reader.read_to_end(&mut all)?;
        assert_eq!(object.head(4)?, all[..4]);
        assert!(reader.seek(SeekFrom::Current(-(all.len() as i64) - 1)).is_err());
        Ok(Verdict::Suspicious(format!("{} {} {text}", object.file_name(), all.len())))
    }
}

impl AlertRule for Probe {
    fn evaluate(&mut self, _: &str, time: Timestamp) -> Result<Vec<RuleResult>> {
        let mut selector = series::metric("up");
        selector.push(matching("job", MatchOp::NotRegex, "x.*"));
        let request = |selector| series::request(selector, time - 59_999_999_999, time);
        let selection = series::select(&[request(selector), request(series::metric("none"))])?;
        self.labels.fill(&selection)?;
        assert_eq!(selection.rows(1).count(), 0);
        let alert = |row: series::Row<'_>| {
            ActiveAlert::new("Up", row.values.iter().sum()).label("job", self.labels.value(row.id, "job"))
        };
        Ok(vec![RuleResult::new("up", Ok(selection.rows(0).map(alert).collect()))])
    }
}

picket_sdk::register!(Probe: Analyzer + Scanner + AlertRule);

fn start(host: &Host, act: &str) -> testing::Running<Probe> {
    host.start(format!(r#"{{"act": "{act}"}}"#)).unwrap()
}

#[test]
fn a_batch_holds_what_the_interest_asks_for() {
    let mut plugin = Host::new().start::<Probe>(r#"{"literals": ["err", "OR"]}"#).unwrap();
    assert_eq!(plugin.interest(), [b"err".to_vec(), b"OR".to_vec()]);
    let batch =
        Lines::new().at(7).text("fine\nan Error\nor").line("else").column("unit", &["a", "b", "", "d"]);
    let output = plugin.analyze(batch).unwrap();
    let found: Vec<_> =
        output.findings.iter().map(|f| (f.message.as_str(), f.get("hits"), f.get("unit"))).collect();
    assert_eq!(found, [("an Error", "0,1", "b"), ("or", "1", "")]);
    let first = &output.findings[0];
    assert_eq!((first.record, first.time, first.get("passed_over")), (Some(0), Some(7), "2"));
    // Nothing wanted: no call.
    assert!(plugin.analyze(testing::batch(&["fine"])).unwrap().findings.is_empty());
}

#[test]
fn memory_goes_along_with_a_restart() {
    let host = Host::new();
    let mut plugin = start(&host, "");
    plugin.analyze(testing::batch(&["a", "b"])).unwrap();
    let mut plugin = plugin.restart().unwrap();
    assert_eq!(plugin.analyze(testing::batch(&["c"])).unwrap().findings[0].get("seen"), "3");
    let error = plugin.restore(b"no snapshot".to_vec(), "0.9.0").unwrap_err();
    assert!(error.to_string().starts_with("the snapshot of version `0.9.0`"), "{error}");
}

#[test]
fn a_failed_call_takes_its_state_writes_back_and_discards_the_instance() {
    let host = Host::new();
    let mut counting = start(&host, "count in state");
    counting.analyze(testing::batch(&["a"])).unwrap();
    let mut failing = start(&host, "fail after a write");
    assert_eq!(failing.analyze(testing::batch(&["a"])).unwrap_err(), CallError::Failed("no more".to_owned()));
    assert_eq!(failing.analyze(testing::batch(&["a"])).unwrap_err(), CallError::Discarded);
    assert_eq!(state::get::<u64>("n").unwrap(), Some(1));
}

#[test]
fn what_the_agent_refuses_is_refused() {
    for act in ["bad rule name", "bad counter", "bad label", "reserved counter"] {
        let mut plugin = start(&Host::new(), act);
        let error = plugin.analyze(testing::batch(&["a"])).unwrap_err();
        assert!(matches!(error, CallError::Refused(_)), "{act}: {error}");
    }
}

#[test]
fn state_has_order_bounds_and_an_end() {
    let host = Host::new();
    for index in 0..600_u32 {
        state::set(format!("k{index:03}"), &index).unwrap();
    }
    state::set_for("k999", &999_u32, Duration::from_secs(60)).unwrap();
    state::set("other", &"text").unwrap();
    let all: Vec<u32> = state::scan::<u32>("k").map(|entry| entry.unwrap().1).collect();
    assert_eq!((all.len(), all[0], all[600]), (601, 0, 999));
    host.advance(Duration::from_secs(60));
    assert_eq!(state::get::<u32>("k999").unwrap(), None);
    state::delete("k000").unwrap();
    assert_eq!(host.state_entries(), 600);
    assert!(state::get::<u32>("other").unwrap_err().to_string().contains("cannot be read back"));
    for (key, message) in [("", "1 to 512 bytes"), (&"x".repeat(513), "1 to 512 bytes")] {
        assert!(state::set(key, &1).unwrap_err().to_string().contains(message));
    }
    assert!(
        state::set("big", &"x".repeat(300_000)).unwrap_err().to_string().contains("at most 262144 bytes")
    );
    host.state_quota(10_000);
    assert!(
        state::set("more", &"x".repeat(9_000)).unwrap_err().to_string().contains("its quota is 10000 bytes")
    );
}

#[test]
fn a_scan_ends_with_the_error_of_the_host() {
    let host = Host::new();
    // More than one page, so that the state breaks in the middle.
    for index in 0..600_u32 {
        state::set(format!("k{index:03}"), &index).unwrap();
    }
    let mut entries = state::scan::<u32>("k");
    assert!(entries.by_ref().take(256).all(|entry| entry.is_ok()));
    host.break_state("the disk is gone");
    let rest: Vec<_> = entries.take(10).collect();
    assert_eq!(rest.len(), 1);
    assert!(rest[0].as_ref().unwrap_err().to_string().contains("the disk is gone"));
    assert!(
        state::get::<u32>("k000").is_err() && state::set("k", &1).is_err() && state::delete("k").is_err()
    );
}

#[test]
fn assets_that_are_missing_or_no_text_are_named() {
    let host = Host::new();
    let error = |host: &Host| host.start::<Probe>(r#"{"act": "read asset"}"#).unwrap_err();
    assert_eq!(error(&host).to_string(), "asset `rules.txt`: there is no asset `rules.txt`");
    host.asset("rules.txt", b"one\ntwo\xff\n");
    assert_eq!(error(&host).to_string(), "asset `rules.txt` line 2: is not UTF-8 text");
    let large = "x".repeat(700_000);
    host.asset("rules.txt", &large);
    assert!(host.start::<Probe>(r#"{"act": "read asset"}"#).is_ok());
    assert_eq!(assets::read("rules.txt").unwrap(), large.as_bytes());
    assert_eq!(assets::list()[0].size, 700_000);
}

#[test]
fn log_lines_are_kept_with_their_fields() {
    let host = Host::new();
    start(&host, "log").analyze(testing::batch(&["a"])).unwrap();
    let lines = host.log();
    assert_eq!((lines[0].level, lines[0].message.as_str()), (Level::Warn, "at 1704067200000000000"));
    assert_eq!((lines[0].fields[0].name.as_str(), lines[0].fields[0].value.as_str()), ("size", "1"));
}

#[test]
fn a_scanner_reads_and_seeks() {
    let content = [vec![b'a'; 150_000], b"end".to_vec()].concat();
    let (verdict, _) = start(&Host::new(), "").scan(&File::new("/srv/x/name.bin", content)).unwrap();
    assert_eq!(verdict, Verdict::Suspicious("name.bin 150003 end".to_owned()));
}

#[test]
fn an_alert_rule_sees_the_series_of_its_window() {
    let host = Host::new();
    for (job, age, value) in [("a", 70, 1.0), ("a", 60, 2.0), ("a", 59, 4.0), ("a", 0, 8.0), ("xy", 0, 1.0)] {
        host.sample("up", &[("job", job)], host.now() - age * 1_000_000_000, value);
    }
    let mut plugin = start(&host, "");
    assert_eq!(plugin.groups(), [("g".to_owned(), Duration::from_secs(15))]);
    let results = plugin.evaluate("g").unwrap();
    let alerts = &results[0].outcome.as_ref().unwrap().alerts;
    assert_eq!((alerts.len(), alerts[0].value), (1, 12.0));
    assert!(series::select(&[series::request(vec![matching("a", MatchOp::NotEqual, "b")], 0, 1)]).is_err());
}
