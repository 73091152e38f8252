//! Power cuts, failed writes and syncs, full disks, newer versions.

use std::io::ErrorKind;

use super::*;
use crate::sim::Operation;
use crate::{FileSystem, JournalError};

#[test]
fn what_was_synced_is_there_after_a_power_cut() {
    for seed in 0..100 {
        let fs = SimFs::new(seed);
        let mut journal = journal(&fs, &["a", "b"]);
        journal.append(b"c").unwrap();
        fs.power_cut();
        drop(journal);
        let (journal, _) = open(&fs);
        let records = all(&journal.tail());
        assert!(records == ["a", "b"] || records == ["a", "b", "c"], "seed {seed}: {records:?}");
    }
}

#[test]
fn a_new_segment_whose_name_was_never_synced_may_go_and_takes_nothing_with_it() {
    for seed in 0..100 {
        let fs = SimFs::new(seed);
        let mut journal = journal(&fs, &[&long(b'a'), &long(b'b'), &long(b'c')]);
        journal.append(long(b'd').as_bytes()).unwrap();
        fs.power_cut();
        drop(journal);
        let (mut journal, _) = open(&fs);
        let records = all(&journal.tail());
        assert_eq!(records[..3], [long(b'a'), long(b'b'), long(b'c')], "seed {seed}");
        journal.append(b"e").unwrap();
        journal.sync().unwrap();
        assert_eq!(all(&journal.tail()), [records, vec!["e".to_owned()]].concat(), "seed {seed}");
    }
}

#[test]
fn a_damaged_end_is_cut_and_reported_and_writing_goes_on_in_a_new_segment() {
    let fs = SimFs::new(0);
    let end = journal(&fs, &["a", "b"]).durable_end();
    fs.tamper(&segment(1), |bytes| bytes.extend(b"half a record")).unwrap();
    let (mut journal, repair) = open(&fs);
    assert_eq!(repair, Repair { cut_bytes: 13, cut_at: Some(end), ..Repair::default() });
    assert_eq!(repair.to_string(), "cut 13 bytes at 1:62, removed 0 void segments");
    journal.append(b"c").unwrap();
    assert_eq!(journal.sync().unwrap().segment, 2);
    assert_eq!(all(&journal.tail()), ["a", "b", "c"]);
}

#[test]
fn a_position_behind_a_cut_never_names_another_record() {
    let fs = SimFs::new(0);
    let kept = journal(&fs, &["a", "bbbb", "cccc"]).durable_end();
    // The last two were durable and somebody remembers their end, but the disk has lost them.
    fs.tamper(&segment(1), |bytes| bytes[57] ^= 1).unwrap();
    let (mut journal, _) = open(&fs);
    let mut reader = journal.tail().reader(kept);
    for record in ["dddd", "eeee"] {
        journal.append(record.as_bytes()).unwrap();
        journal.sync().unwrap();
    }
    assert_eq!(drain(&mut reader), ["dddd", "eeee"]);
}

#[test]
fn a_journal_that_has_not_reached_a_known_position_moves_past_it() {
    let fs = SimFs::new(0);
    let mut journal = journal(&fs, &["a"]);
    let known = Position { segment: 7, offset: 300 };
    let mut reader = journal.tail().reader(known);
    journal.advance_past(known).unwrap();
    journal.append(b"b").unwrap();
    assert!(journal.sync().unwrap() > known);
    assert_eq!(drain(&mut reader), ["b"]);
    drop(journal);
    let (journal, repair) = open(&fs);
    assert!(repair.is_clean());
    assert_eq!(all(&journal.tail()), ["a", "b"]);
}

#[test]
fn a_segment_that_was_being_made_is_removed() {
    let fs = SimFs::new(0);
    drop(journal(&fs, &["a"]));
    fs.create(&segment(2)).unwrap().write_at(b"PICK", 0).unwrap();
    let (mut journal, repair) = open(&fs);
    assert_eq!(repair, Repair { removed_segments: 1, ..Repair::default() });
    assert!(!exists(&fs, &segment(2)));
    journal.append(b"b").unwrap();
    assert_eq!(journal.sync().unwrap().segment, 3);
    assert_eq!(all(&journal.tail()), ["a", "b"]);
}

#[test]
fn a_last_segment_with_content_but_no_header_is_set_aside() {
    let fs = SimFs::new(0);
    drop(journal(&fs, &[&long(b'a'), &long(b'b'), &long(b'c'), &long(b'd')]));
    fs.tamper(&segment(2), |bytes| bytes[0] = b'X').unwrap();
    let (journal, repair) = open(&fs);
    assert_eq!(repair.set_aside, [segment(2).with_extension("damaged")]);
    assert_eq!(all(&journal.tail()).len(), 3);
    assert!(exists(&fs, &repair.set_aside[0]));
}

#[test]
fn a_newer_version_is_refused_with_its_file_and_a_remedy() {
    let fs = SimFs::new(0);
    drop(journal(&fs, &["a"]));
    fs.tamper(&segment(1), |bytes| {
        bytes[8] = 9;
        let crc = crc32fast::hash(&bytes[..12]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    })
    .unwrap();
    let error = Journal::open(Arc::new(fs.clone()), &dir(), SMALL).err().unwrap();
    assert!(matches!(error, JournalError::NewerVersion { found: 9, known: 1, .. }));
    let text = error.to_string();
    assert!(text.contains("00001.journal") && text.contains("start the newer version"), "{text}");
    assert!(exists(&fs, &segment(1)));
}

#[test]
fn a_second_writer_is_refused() {
    let fs = SimFs::new(0);
    let first = journal(&fs, &["a"]);
    let error = Journal::open(Arc::new(fs.clone()), &dir(), SMALL).err().unwrap();
    assert!(matches!(error, JournalError::Held { .. }));
    drop(first);
    open(&fs);
}

#[test]
fn a_full_disk_fails_the_record_that_does_not_fit_and_no_other() {
    let fs = SimFs::new(0);
    let mut journal = journal(&fs, &["a"]);
    fs.set_capacity(Some(fs.used() + 20));
    journal.append(b"b").unwrap();
    assert!(journal.append(&[b'c'; 50]).unwrap_err().is_full());
    journal.append(b"d").unwrap();
    journal.sync().unwrap();
    assert_eq!(all(&journal.tail()), ["a", "b", "d"]);
    // A new segment does not fit either, and leaves nothing behind.
    for _ in 0..3 {
        assert!(journal.append(&[b'e'; 400]).unwrap_err().is_full());
    }
    fs.set_capacity(None);
    journal.append(&[b'e'; 400]).unwrap();
    journal.sync().unwrap();
    assert_eq!(all(&journal.tail()).len(), 4);
    drop(journal);
    let (journal, repair) = open(&fs);
    assert!(repair.is_clean(), "{repair}");
    assert_eq!(all(&journal.tail()).len(), 4);
}

#[test]
fn a_failed_sync_is_never_repeated_and_what_follows_it_is_durable() {
    for seed in 0..200 {
        let fs = SimFs::new(seed);
        let mut journal = journal(&fs, &["a"]);
        journal.append(b"b").unwrap();
        fs.fail_next(Operation::Sync, ErrorKind::Other);
        assert!(matches!(journal.sync(), Err(JournalError::Io { .. })));
        assert_eq!(all(&journal.tail()), ["a"]);
        journal.append(b"c").unwrap();
        journal.sync().unwrap();
        assert_eq!(all(&journal.tail()), ["a", "c"]);
        if seed % 2 == 0 {
            fs.power_cut();
        }
        drop(journal);
        assert_eq!(all(&open(&fs).0.tail()), ["a", "c"], "seed {seed}");
    }
}

#[test]
fn a_failed_sync_of_a_new_segment_makes_that_segment_void() {
    for (seed, failing) in
        (0..200).map(|seed| (seed, [Operation::Sync, Operation::SyncFolder][seed as usize % 2]))
    {
        let fs = SimFs::new(seed);
        let mut journal = journal(&fs, &[&long(b'a'), &long(b'b'), &long(b'c')]);
        journal.append(long(b'v').as_bytes()).unwrap();
        fs.fail_next(failing, ErrorKind::Other);
        // The file cannot even be removed.
        fs.fail_next(Operation::Entry, ErrorKind::Other);
        journal.sync().unwrap_err();
        journal.append(b"d").unwrap();
        journal.sync().unwrap();
        fs.power_cut();
        drop(journal);
        let (journal, _) = open(&fs);
        assert_eq!(all(&journal.tail()), [long(b'a'), long(b'b'), long(b'c'), "d".to_owned()], "seed {seed}");
    }
}

#[test]
fn records_lost_with_a_failed_cut_are_reported_by_the_next_sync() {
    let fs = SimFs::new(0);
    let mut journal = journal(&fs, &["a"]);
    journal.append(b"b").unwrap();
    fs.fail_next(Operation::Write, ErrorKind::Other);
    fs.fail_next(Operation::SetLength, ErrorKind::Other);
    assert!(matches!(journal.append(b"c"), Err(JournalError::Io { .. })));
    assert!(matches!(journal.append(b"d"), Err(JournalError::Lost)));
    assert!(matches!(journal.sync(), Err(JournalError::Lost)));
    journal.append(b"e").unwrap();
    journal.sync().unwrap();
    assert_eq!(all(&journal.tail()), ["a", "e"]);
    drop(journal);
    assert_eq!(all(&open(&fs).0.tail()), ["a", "e"]);
}

#[test]
fn records_that_share_a_sync_fail_together_also_where_the_segment_was_full() {
    let fs = SimFs::new(0);
    let mut journal = journal(&fs, &["a"]);
    for name in b'b'..=b'f' {
        journal.append(long(name).as_bytes()).unwrap();
    }
    fs.fail_next(Operation::Sync, ErrorKind::Other);
    journal.sync().unwrap_err();
    assert_eq!(all(&journal.tail()), ["a"]);
    journal.append(b"g").unwrap();
    journal.sync().unwrap();
    assert_eq!(all(&journal.tail()), ["a", "g"]);
}

#[test]
fn opening_an_empty_folder_gives_an_empty_journal() {
    let (journal, repair) = open(&SimFs::new(0));
    assert!(repair.is_clean());
    assert_eq!(
        (journal.durable_end(), journal.first(), journal.bytes()),
        (Position::ZERO, Position::ZERO, 0)
    );
    assert_eq!(all(&journal.tail()), Vec::<String>::new());
}
