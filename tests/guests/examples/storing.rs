//! An analyzer that obeys: each record is a command for the state store, and the finding that comes
//! back is the store's answer.
//!
//! Commands: `set KEY LENGTH [TTL]`, `get KEY`, `delete KEY`, `scan PREFIX LIMIT [AFTER]`,
//! `flood LENGTH` (new keys until the store says no), `delete-flood`.

use bindings::exports::picket::plugin::analyzer::{Batch, Guest as Analyzer};
use bindings::exports::picket::plugin::lifecycle::{ConfigError, Guest as Lifecycle, Interest, Setup};
use bindings::picket::plugin::state;
use bindings::picket::plugin::types::{Finding, Report, Severity};
use picket_guests::records;

picket_guests::bindings!("picket:guests/analyzer");

struct Storing;

fn parse(word: Option<&str>) -> u64 {
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Writes until the store refuses, and tells how often it did not.
fn flood(mut write: impl FnMut(u64) -> Result<(), state::StateError>) -> String {
    let mut written = 0;
    loop {
        match write(written) {
            Ok(()) => written += 1,
            Err(error) => return format!("{written} then {error:?}"),
        }
    }
}

fn obey(command: &str) -> String {
    let mut words = command.split(' ');
    let verb = words.next().unwrap_or("");
    let key = words.next().unwrap_or("").as_bytes().to_vec();
    match verb {
        "set" => {
            let value = vec![b'v'; parse(words.next()) as usize];
            let ttl = words.next().map(|ttl| parse(Some(ttl)));
            format!("{:?}", state::set(&key, &value, ttl))
        }
        "get" => format!("{:?}", state::get(&key).map(|value| value.map(|value| value.len()))),
        "delete" => format!("{:?}", state::delete(&key)),
        "scan" => {
            let limit = parse(words.next()) as u32;
            let after = words.next().map(|after| after.as_bytes().to_vec());
            match state::scan(&key, after.as_deref(), limit) {
                Ok(entries) => {
                    let names: Vec<_> = entries
                        .iter()
                        .map(|entry| format!("{}:{}", String::from_utf8_lossy(&entry.key), entry.value.len()))
                        .collect();
                    names.join(" ")
                }
                Err(error) => format!("{error:?}"),
            }
        }
        "flood" => {
            let value = vec![b'v'; parse(std::str::from_utf8(&key).ok()) as usize];
            flood(|number| state::set(format!("flood-{number:08}").as_bytes(), &value, None))
        }
        "delete-flood" => flood(|number| state::delete(format!("none-{number:08}").as_bytes())),
        _ => "unknown command".into(),
    }
}

impl Lifecycle for Storing {
    fn configure(_config: String) -> Result<Setup, ConfigError> {
        // Whether writes are refused where nothing is committed is told by the version.
        Ok(Setup {
            interest: Interest { literals: Vec::new(), ignore_ascii_case: false },
            groups: Vec::new(),
        })
    }

    fn snapshot() -> Result<Vec<u8>, String> {
        Ok(format!("{:?}", state::set(b"snapshot", b"x", None)).into_bytes())
    }

    fn restore(_state: Vec<u8>, _from_version: String) -> Result<(), String> {
        Ok(())
    }

    fn plugin_version() -> String {
        "1.0.0".into()
    }
}

impl Analyzer for Storing {
    fn analyze(batch: Batch) -> Result<Report, String> {
        let finding = |(index, record): (usize, &[u8])| Finding {
            rule: "answer".into(),
            severity: Severity::Info,
            message: obey(&String::from_utf8_lossy(record)),
            attributes: Vec::new(),
            record: Some(index as u32),
            time: None,
        };
        let findings = records(&batch.data, &batch.ends).enumerate().map(finding).collect();
        Ok(Report { findings, counters: Vec::new(), histograms: Vec::new(), samples: Vec::new() })
    }
}

bindings::export!(Storing with_types_in bindings);
