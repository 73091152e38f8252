//! An analyzer that counts records twice: in its memory, which a snapshot carries on, and in its
//! state, which is committed with the results. It reports both, so a test sees whether they agree.

use std::cell::Cell;

use bindings::exports::picket::plugin::analyzer::{Batch, Guest as Analyzer};
use bindings::exports::picket::plugin::lifecycle::{ConfigError, Guest as Lifecycle, Interest, Setup};
use bindings::picket::plugin::state;
use bindings::picket::plugin::types::{Counter, Finding, Label, Report, Severity};

picket_guests::bindings!("picket:guests/analyzer");

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

const KEY: &[u8] = b"count";

struct Counting;

fn words(bytes: Vec<u8>) -> Result<u64, String> {
    Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| "a count has eight bytes")?))
}

fn failed(error: state::StateError) -> String {
    format!("the state cannot be used: {error:?}")
}

impl Lifecycle for Counting {
    fn configure(_config: String) -> Result<Setup, ConfigError> {
        Ok(Setup {
            interest: Interest { literals: Vec::new(), ignore_ascii_case: false },
            groups: Vec::new(),
        })
    }

    fn snapshot() -> Result<Vec<u8>, String> {
        Ok(COUNT.get().to_le_bytes().to_vec())
    }

    fn restore(state: Vec<u8>, _from_version: String) -> Result<(), String> {
        COUNT.set(words(state)?);
        Ok(())
    }

    fn plugin_version() -> String {
        "1.0.0".into()
    }
}

impl Analyzer for Counting {
    fn analyze(batch: Batch) -> Result<Report, String> {
        let new = batch.ends.len() as u64;
        COUNT.set(COUNT.get() + new);
        let stored = state::get(KEY).map_err(failed)?.map_or(Ok(0), words)? + new;
        state::set(KEY, &stored.to_le_bytes(), None).map_err(failed)?;
        let attribute = |name: &str, count: u64| Label { name: name.into(), value: count.to_string() };
        let finding = Finding {
            rule: "count".into(),
            severity: Severity::Info,
            message: format!("{stored} records so far"),
            attributes: vec![attribute("memory", COUNT.get()), attribute("state", stored)],
            record: Some(0),
            time: None,
        };
        let counter = Counter { name: "counted_records_total".into(), labels: Vec::new(), delta: new as f64 };
        Ok(Report {
            findings: vec![finding],
            counters: vec![counter],
            histograms: Vec::new(),
            samples: Vec::new(),
        })
    }
}

bindings::export!(Counting with_types_in bindings);
