//! The journal against the simulated disk: one test per promise, named as the promise.
#![allow(clippy::unwrap_used, reason = "tests")]

mod crashes;
mod model;
mod reading;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sim::SimFs;
use crate::{Config, Journal, Position, Reader, Repair, Tail};

/// Small segments, so that a test sees many.
const SMALL: Config = Config { segment_bytes: 400, max_record_bytes: 1000 };

fn dir() -> PathBuf {
    PathBuf::from("/journal")
}

fn open(fs: &SimFs) -> (Journal, Repair) {
    Journal::open(Arc::new(fs.clone()), &dir(), SMALL).unwrap()
}

/// A journal with these records, one sync after each.
fn journal(fs: &SimFs, records: &[&str]) -> Journal {
    let (mut journal, _) = open(fs);
    for record in records {
        journal.append(record.as_bytes()).unwrap();
        journal.sync().unwrap();
    }
    journal
}

fn drain(reader: &mut Reader) -> Vec<String> {
    let mut records = Vec::new();
    while let Some(entry) = reader.next().unwrap() {
        assert_eq!(reader.position(), entry.next);
        records.push(String::from_utf8(entry.payload).unwrap());
    }
    records
}

fn all(tail: &Tail) -> Vec<String> {
    drain(&mut tail.reader(Position::ZERO))
}

fn segment(number: u64) -> PathBuf {
    dir().join(format!("{number:020}.journal"))
}

/// A record of 100 bytes: three fit into a small segment.
fn long(name: u8) -> String {
    String::from_utf8(vec![name; 100]).unwrap()
}

fn exists(fs: &SimFs, path: &Path) -> bool {
    fs.content(path).is_ok()
}
