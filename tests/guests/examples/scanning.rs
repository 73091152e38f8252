//! A scanner that reads the whole object in pieces and says what it saw: malicious if the word
//! `MALWARE` stands in it, skipped if it cannot be read, else clean. With `{"mode": "again"}` it
//! reads the object over and over.

use std::cell::RefCell;

use bindings::exports::picket::plugin::lifecycle::{ConfigError, Guest as Lifecycle, Interest, Setup};
use bindings::exports::picket::plugin::scanner::{Guest as Scanner, ScanReport, Verdict};
use bindings::picket::plugin::objects::{Object, ReadError};
use bindings::picket::plugin::types::{Finding, Label, Report, Severity};
use picket_guests::value;

picket_guests::bindings!("picket:guests/scanner");

const MARK: &[u8] = b"MALWARE";

thread_local! {
    static CONFIG: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Scanning;

fn read_all(object: &Object) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    loop {
        let piece = object.read(bytes.len() as u64, u32::MAX)?;
        if piece.is_empty() {
            return Ok(bytes);
        }
        bytes.extend(piece);
    }
}

impl Lifecycle for Scanning {
    fn configure(config: String) -> Result<Setup, ConfigError> {
        CONFIG.set(config);
        Ok(Setup {
            interest: Interest { literals: Vec::new(), ignore_ascii_case: false },
            groups: Vec::new(),
        })
    }

    fn snapshot() -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }

    fn restore(_state: Vec<u8>, _from_version: String) -> Result<(), String> {
        Ok(())
    }

    fn plugin_version() -> String {
        "1.0.0".into()
    }
}

impl Scanner for Scanning {
    fn scan(object: &Object) -> Result<ScanReport, String> {
        while CONFIG.with_borrow(|config| value(config, "mode") == "again") {
            let _ = read_all(object);
        }
        let info = object.info();
        let (verdict, reason) = match read_all(object) {
            Ok(bytes) if bytes.windows(MARK.len()).any(|window| window == MARK) => {
                (Verdict::Malicious, format!("{} holds the mark", info.path))
            }
            Ok(bytes) => (Verdict::Clean, format!("{} bytes of {}", bytes.len(), info.size)),
            Err(error) => (Verdict::Skipped, format!("{error:?}")),
        };
        let finding = Finding {
            rule: "scanned".into(),
            severity: Severity::Info,
            message: info.path,
            attributes: vec![Label { name: "media-type".into(), value: info.media_type }],
            record: None,
            time: Some(info.modified),
        };
        let report = Report {
            findings: vec![finding],
            counters: Vec::new(),
            histograms: Vec::new(),
            samples: Vec::new(),
        };
        Ok(ScanReport { verdict, reason, report })
    }
}

bindings::export!(Scanning with_types_in bindings);
