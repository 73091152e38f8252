//! Readers: order, durable end, deletion, damage, bounded memory.

use std::io::ErrorKind;
use std::time::Duration;

use super::*;
use crate::format::HEADER_BYTES;
use crate::sim::Operation;
use crate::{Damage, JournalError, READ_AHEAD, RealFs};

#[test]
fn records_come_back_in_order_over_segments() {
    let fs = SimFs::new(0);
    let records: Vec<String> = (b'a'..=b'z').map(long).collect();
    let journal = journal(&fs, &records.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(journal.durable_end().segment, 9);
    assert_eq!(all(&journal.tail()), records);
    assert_eq!(journal.bytes(), fs.used());
    assert_eq!(journal.tail().bytes_after(Position::ZERO), journal.bytes());
}

#[test]
fn a_reader_sees_nothing_before_the_sync_and_then_all_of_it() {
    let (mut journal, _) = open(&SimFs::new(0));
    let mut reader = journal.tail().reader(Position::ZERO);
    journal.append(b"a").unwrap();
    journal.append(b"b").unwrap();
    assert_eq!(drain(&mut reader), Vec::<String>::new());
    assert!(!journal.tail().wait_beyond(Position::ZERO, Duration::ZERO));
    journal.sync().unwrap();
    assert!(journal.tail().wait_beyond(Position::ZERO, Duration::ZERO));
    assert_eq!(drain(&mut reader), ["a", "b"]);
}

#[test]
fn a_waiting_reader_wakes_up_for_a_record_and_for_the_end() {
    let (mut journal, _) = open(&SimFs::new(0));
    let tail = journal.tail();
    let waiter = std::thread::spawn(move || {
        let mut reader = tail.reader(Position::ZERO);
        let mut seen = Vec::new();
        while tail.wait_beyond(reader.position(), Duration::from_secs(60)) {
            seen.extend(drain(&mut reader));
        }
        assert!(tail.is_closed());
        seen
    });
    for record in ["a", "b"] {
        journal.append(record.as_bytes()).unwrap();
        journal.sync().unwrap();
    }
    drop(journal);
    assert_eq!(waiter.join().unwrap(), ["a", "b"]);
}

#[test]
fn deletion_takes_whole_segments_and_never_the_one_being_written() {
    let fs = SimFs::new(0);
    let mut journal = journal(&fs, &["a"; 40].map(|_| "0123456789"));
    let end = journal.durable_end();
    let before = all(&journal.tail()).len();
    assert_eq!(journal.delete_before(Position { segment: 2, offset: 60 }).unwrap(), 44 + 19 * 18);
    assert_eq!(journal.first(), Position { segment: 2, offset: HEADER_BYTES });
    assert_eq!(all(&journal.tail()).len(), before - 19);
    journal.delete_before(Position { segment: 99, offset: 0 }).unwrap();
    assert_eq!(journal.first().segment, end.segment);
    assert_eq!(journal.durable_end(), end);
    assert!(!exists(&fs, &segment(2)));
}

#[test]
fn a_segment_that_is_read_to_its_end_can_be_deleted_once_a_newer_one_is_durable() {
    let fs = SimFs::new(0);
    let mut journal = journal(&fs, &[&long(b'a'), &long(b'b'), &long(b'c')]);
    let end = journal.durable_end();
    assert_eq!(journal.delete_before(end).unwrap(), 0);
    journal.append(long(b'd').as_bytes()).unwrap();
    assert_eq!(journal.delete_before(end).unwrap(), 0);
    journal.sync().unwrap();
    assert!(journal.delete_before(end).unwrap() > 0);
    assert_eq!(drain(&mut journal.tail().reader(end)), [long(b'd')]);
}

#[test]
fn readers_survive_the_deletion_of_segments_before_and_around_them() {
    let fs = SimFs::new(0);
    let records: Vec<String> = (b'a'..=b'i').map(long).collect();
    let mut journal = journal(&fs, &records.iter().map(String::as_str).collect::<Vec<_>>());
    let mut inside = journal.tail().reader(Position::ZERO);
    inside.next().unwrap();
    let mut outside = journal.tail().reader(inside.position());
    journal.delete_before(Position { segment: 3, offset: 0 }).unwrap();
    assert_eq!(drain(&mut inside), records[6..]);
    assert_eq!(drain(&mut outside), records[6..]);
}

#[test]
fn damage_in_an_older_segment_costs_the_rest_of_that_segment_and_is_counted() {
    let fs = SimFs::new(0);
    let records: Vec<String> = (b'a'..=b'i').map(long).collect();
    let journal = journal(&fs, &records.iter().map(String::as_str).collect::<Vec<_>>());
    fs.tamper(&segment(2), |bytes| bytes[200] ^= 1).unwrap();
    assert_eq!(all(&journal.tail()), [&records[..4], &records[6..]].concat());
    assert_eq!(journal.tail().damage(), Damage { places: 1, bytes: 216 });
    drop(journal);
    let (journal, repair) = open(&fs);
    assert!(repair.is_clean(), "{repair}");
    assert_eq!(all(&journal.tail()), [&records[..4], &records[6..]].concat());
}

#[test]
fn a_shortened_and_a_missing_segment_cost_only_themselves() {
    let fs = SimFs::new(0);
    let records: Vec<String> = (b'a'..=b'i').map(long).collect();
    let journal = journal(&fs, &records.iter().map(String::as_str).collect::<Vec<_>>());
    fs.tamper(&segment(1), |bytes| bytes.truncate(160)).unwrap();
    crate::FileSystem::remove(&fs, &segment(2)).unwrap();
    let mut reader = journal.tail().reader(Position::ZERO);
    assert_eq!(reader.next().unwrap().unwrap().payload, records[0].as_bytes());
    // The missing one is an error that passes only if somebody puts the file back.
    assert!(matches!(reader.next(), Err(JournalError::Io { .. })));
    assert!(matches!(reader.next(), Err(JournalError::Io { .. })));
    assert_eq!(drain(&mut reader), records[6..]);
    assert_eq!(journal.tail().damage().places, 2);
}

#[test]
fn a_segment_with_a_damaged_header_is_read_all_the_same() {
    let fs = SimFs::new(0);
    let records: Vec<String> = (b'a'..=b'i').map(long).collect();
    drop(journal(&fs, &records.iter().map(String::as_str).collect::<Vec<_>>()));
    fs.tamper(&segment(2), |bytes| bytes[20] ^= 1).unwrap();
    let (journal, repair) = open(&fs);
    assert_eq!(repair, Repair { damaged_headers: 1, ..Repair::default() });
    assert_eq!(all(&journal.tail()), records);
}

#[test]
fn a_read_error_leaves_the_reader_where_it_is_and_a_lasting_one_is_skipped() {
    let fs = SimFs::new(0);
    let records: Vec<String> = (b'a'..=b'd').map(long).collect();
    let journal = journal(&fs, &records.iter().map(String::as_str).collect::<Vec<_>>());
    fs.fail_next(Operation::Read, ErrorKind::Other);
    let mut reader = journal.tail().reader(Position::ZERO);
    assert!(reader.next().is_err());
    assert_eq!(drain(&mut reader), records);
    let mut reader = journal.tail().reader(Position::ZERO);
    for _ in 0..3 {
        fs.fail_next(Operation::Read, ErrorKind::Other);
    }
    assert!(reader.next().is_err());
    assert!(reader.next().is_err());
    assert_eq!(drain(&mut reader), records[3..]);
}

#[test]
fn bounds_on_records_are_kept() {
    let (mut journal, _) = open(&SimFs::new(0));
    assert!(matches!(journal.append(b""), Err(JournalError::Empty)));
    assert!(matches!(journal.append(&[0; 1001]), Err(JournalError::TooLarge { bytes: 1001, limit: 1000 })));
    // One that is longer than a segment gets a segment of its own.
    for record in [&b"before"[..], &[b'x'; 1000], b"after"] {
        journal.append(record).unwrap();
        journal.sync().unwrap();
    }
    assert_eq!(journal.durable_end().segment, 3);
    assert_eq!(all(&journal.tail()).len(), 3);
}

#[test]
fn real_files_hold_records_larger_and_smaller_than_the_read_buffer() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a/journal");
    let config = Config { segment_bytes: 3 * READ_AHEAD as u64, ..Config::default() };
    let (mut journal, _) = Journal::open(Arc::new(RealFs), &dir, config).unwrap();
    let records: Vec<Vec<u8>> =
        [1, 100, READ_AHEAD - 8, READ_AHEAD, READ_AHEAD + 1, 2 * READ_AHEAD, 3, 70_000, 4]
            .iter()
            .zip(1..)
            .map(|(length, byte)| vec![byte; *length])
            .collect();
    for record in &records {
        journal.append(record).unwrap();
        journal.sync().unwrap();
    }
    let read = |journal: &Journal| {
        let mut reader = journal.tail().reader(Position::ZERO);
        std::iter::from_fn(|| reader.next().unwrap().map(|entry| entry.payload)).collect::<Vec<_>>()
    };
    assert_eq!(read(&journal), records);
    assert!(matches!(Journal::open(Arc::new(RealFs), &dir, config), Err(JournalError::Held { .. })));
    drop(journal);
    let (journal, repair) = Journal::open(Arc::new(RealFs), &dir, config).unwrap();
    assert!(repair.is_clean());
    assert_eq!(read(&journal), records);
}
