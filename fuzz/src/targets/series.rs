//! The files of the recent samples, as they look after a crash, bit rot or a person with an editor.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use picket_series::{
    Bounds, Config, Matcher, Metrics, Op, Recovered, Refused, Request, Selection, Store, Wanted,
};

use crate::{Target, shape};

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_000_000 * SECOND;
/// When the files are read.
const NOW: u64 = START + 150 * SECOND;
/// Where a file's own head ends, and a log's with the id behind it.
const HEAD: usize = 16;
const LOG_HEAD: usize = 24;
/// Bytes of a segment's foot, and of an entry of its index.
const FOOT: usize = 56;
const ENTRY: usize = 48;

/// A folder whose log holds the data.
pub(super) const LOG: Target = Target {
    name: "series-log",
    about: "opening the store of recent samples with a changed log",
    samples: &[],
    seeds: || files("log-"),
    words: &["PKTLOG\0\0", "__name__"],
    run: |data| opened("log-0000000000000001", &mended_log(data)),
};

/// A folder whose segment holds the data.
pub(super) const SEGMENT: Target = Target {
    name: "series-segment",
    about: "opening the store of recent samples with a changed segment, and reading it",
    samples: &[],
    seeds: || files("segment-"),
    words: &["PKTSEG\0\0", "__name__"],
    run: |data| opened("segment-0000000000000001", &mended_segment(data)),
};

/// Opens a folder with one file twice, which has to be the same, and goes on in it.
fn opened(name: &str, content: &[u8]) -> u64 {
    let folder = tempfile::tempdir().expect("the disk for temporary files has room");
    fs::write(folder.path().join(name), content).expect("the disk for temporary files has room");
    let Some((store, recovered)) = open(folder.path(), NOW) else { return 0 };
    let found = content_of(&store);
    assert!(found.sample_ends.is_sorted_by(|a, b| a < b), "a row without a sample");
    assert!(
        found.sample_ends.last().copied().unwrap_or(0) as usize == found.times.len()
            && found.times.len() == found.values.len(),
        "columns of different lengths"
    );
    store.labels(&found.series).expect("what was selected has labels");
    drop(store);
    let (store, _) = open(folder.path(), NOW).expect("what opened once opens again");
    assert_eq!(bits(&content_of(&store)), bits(&found), "a second start sees something else");
    match store.append("up", [("job", "a")], NOW, 7.0) {
        Ok(_) => assert!(content_of(&store).times.contains(&NOW), "what was appended is not there"),
        Err(Refused::OutOfOrder | Refused::Conflict | Refused::SeriesBound | Refused::ByteBound) => {}
        Err(refused) => panic!("a good sample is refused: {refused}"),
    }
    store.sweep();
    let Recovered { series, segments, log_samples, damaged, .. } = recovered;
    shape(&[3, series as u64, segments as u64, log_samples, damaged, found.times.len() as u64])
}

/// None when a newer version wrote the file.
fn open(folder: &Path, now: u64) -> Option<(Store, Recovered)> {
    let metrics = Metrics::new(&prometheus::Registry::new()).expect("a new registry takes every metric");
    Store::open(Some(folder), config(), Arc::new(move || now), metrics).ok()
}

fn config() -> Config {
    let (window, cached) = (Duration::from_secs(60), Duration::ZERO);
    Config { max_series: 100, max_bytes: 1 << 20, window, cached, disk_reserve: 0..=0, ..Config::default() }
}

fn content_of(store: &Store) -> Selection {
    let selector = vec![Matcher { name: "__name__".into(), op: Op::Regex, value: ".+".into() }];
    let all = Request { selector, start: 0, end: u64::MAX, wanted: Wanted::Marked };
    let bounds = Bounds { max_samples: u64::MAX, deadline: None };
    store.select(&[all], bounds).expect("the selector is good and there is no bound")
}

/// A NaN equals nothing.
fn bits(found: &Selection) -> (&[u64], &[u32], &[u64], Vec<u64>) {
    let values = found.values.iter().map(|value| value.to_bits()).collect();
    (&found.series, &found.sample_ends, &found.times, values)
}

/// What a store writes in two windows and a half.
fn files(prefix: &str) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("the disk for temporary files has room");
    let now = Arc::new(AtomicU64::new(START));
    let clock = Arc::clone(&now);
    let metrics = Metrics::new(&prometheus::Registry::new()).expect("a new registry takes every metric");
    let clock = Arc::new(move || clock.load(Ordering::Relaxed));
    let (store, _) =
        Store::open(Some(folder.path()), config(), clock, metrics).expect("an empty folder becomes a store");
    for second in (0..150).step_by(10) {
        let time = START + second * SECOND;
        now.store(time, Ordering::Relaxed);
        for (job, value) in [("a", second as f64), ("b", second as f64 * 0.1)] {
            store.append("up", [("job", job)], time, value).expect("there is room");
        }
        store.flush();
    }
    let entries = fs::read_dir(folder.path()).expect("the store has made it");
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let of_kind =
        |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    paths.iter().filter(of_kind).map(|path| fs::read(path).expect("it was written")).collect()
}

/// Makes the checksums right for what the bytes say, or a mutation would never get past them; not for all data, so
/// that wrong ones come up too.
fn mended_log(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    if bytes.len() < LOG_HEAD || bytes[LOG_HEAD - 1] & 7 == 7 {
        return bytes;
    }
    mend_head(&mut bytes);
    let mut at = LOG_HEAD;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        let Some(batch) = bytes.get(at + 8..).and_then(|rest| rest.get(..length)) else { break };
        let crc = crc32fast::hash(batch).to_le_bytes();
        bytes[at + 4..at + 8].copy_from_slice(&crc);
        at += 8 + length;
    }
    bytes
}

/// As [`mended_log`]: head, runs, tables and foot. Where the tables begin is left as it is.
fn mended_segment(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    if bytes.len() < HEAD + FOOT || bytes[HEAD] & 7 == 7 {
        return bytes;
    }
    mend_head(&mut bytes);
    let foot = bytes.len() - FOOT;
    let number = |bytes: &[u8], at: usize| {
        usize::try_from(u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes")))
            .unwrap_or(usize::MAX)
    };
    let (index, count) = (number(&bytes, foot), number(&bytes, foot + 8));
    if index <= foot {
        for entry in (0..count).map_while(|entry| index.checked_add(entry.checked_mul(ENTRY)?)) {
            if entry + ENTRY > foot {
                break;
            }
            mend_run(&mut bytes, entry);
        }
        let crc = crc32fast::hash(&bytes[index..foot]).to_le_bytes();
        bytes[foot + 48..foot + 52].copy_from_slice(&crc);
    }
    let crc = crc32fast::hash(&bytes[foot..foot + 52]).to_le_bytes();
    bytes[foot + 52..].copy_from_slice(&crc);
    bytes
}

fn mend_run(bytes: &mut [u8], entry: usize) {
    let offset = u64::from_le_bytes(bytes[entry + 8..entry + 16].try_into().expect("eight bytes"));
    let length = u32::from_le_bytes(bytes[entry + 16..entry + 20].try_into().expect("four bytes")) as usize;
    let Some(run) = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)?.get(..length)) else {
        return;
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[entry..entry + 8]);
    hasher.update(run);
    let crc = hasher.finalize().to_le_bytes();
    bytes[entry + 20..entry + 24].copy_from_slice(&crc);
}

fn mend_head(bytes: &mut [u8]) {
    let crc = crc32fast::hash(&bytes[..12]).to_le_bytes();
    bytes[12..16].copy_from_slice(&crc);
}
