//! The matcher against a naive search, and the cases that a pass over whole blocks can get wrong.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{Digest, Stream};

fn block(data: &[u8], ranges: &[(u32, u32)]) -> Block {
    let stream =
        Stream { source: "s".into(), name: "f".into(), labels: Vec::new(), id: Digest::of(b"stream") };
    let records =
        ranges.iter().map(|&(start, end)| Record { start, end, offset: u64::from(start), time: 0 }).collect();
    Block { stream: Arc::new(stream), data: data.to_vec(), records, checkpoint: Vec::new() }
}

/// Each line is a record.
fn lines(text: &[u8]) -> Block {
    let mut ranges = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = start + line.len() as u32;
        ranges.push((start, if line.ends_with(b"\n") { end - 1 } else { end }));
        start = end;
    }
    block(text, &ranges)
}

fn interest(literals: &[&str], ignore_ascii_case: bool) -> Arc<Interest> {
    Interest::new(literals.iter().map(|literal| literal.as_bytes().to_vec()).collect(), ignore_ascii_case)
        .unwrap()
}

fn naive(interest: &Interest, block: &Block) -> Selection {
    if interest.is_everything() {
        return Selection::All;
    }
    let fold =
        |bytes: &[u8]| if interest.ignore_ascii_case { bytes.to_ascii_lowercase() } else { bytes.to_vec() };
    let (mut records, mut hits) = (Vec::new(), Vec::new());
    for record in 0..block.records.len() {
        let text = fold(block.bytes(record));
        let before = hits.len();
        for (number, literal) in interest.literals.iter().enumerate() {
            let literal = fold(literal);
            if text.windows(literal.len()).any(|window| window == literal) {
                hits.push((record as u32, number as u32));
            }
        }
        if hits.len() > before {
            records.push(record as u32);
        }
    }
    Selection::Some { records, hits }
}

fn check(literals: &[&str], text: &str, expected: &[u32]) {
    let (interest, block) = (interest(literals, false), lines(text.as_bytes()));
    let selection = interest.select(&block);
    assert_eq!(selection, naive(&interest, &block));
    let Selection::Some { records, .. } = selection else { panic!("literals never select everything") };
    assert_eq!(records, expected);
}

#[test]
fn a_match_over_two_records_hides_no_true_one() {
    check(&["ab\ncd", "cde"], "xab\ncde\n", &[1]);
    check(&["b\n", "bb"], "abb\nb\n", &[0]);
    check(&["a\na", "aa"], "a\na\naa\n", &[2]);
}

#[test]
fn a_match_in_the_framing_is_none() {
    let block = block(b"stdout F err\nstdout F stdout\n", &[(9, 12), (22, 28)]);
    let selection = interest(&["stdout"], false).select(&block);
    assert_eq!(selection, Selection::Some { records: vec![1], hits: vec![(1, 0)] });
}

#[test]
fn every_literal_of_a_record_is_told_once() {
    let block = lines(b"error: errors in error\nfine\n");
    let selection = interest(&["errors", "or", "error", "error"], false).select(&block);
    assert_eq!(selection, Selection::Some { records: vec![0], hits: vec![(0, 0), (0, 1), (0, 2), (0, 3)] });
}

#[test]
fn no_literals_or_an_empty_one_select_everything() {
    let block = lines(b"a\nb\n");
    assert_eq!(interest(&[], false).select(&block), Selection::All);
    assert_eq!(interest(&["", "zzz"], true).select(&block), Selection::All);
}

#[test]
fn hundreds_of_literals_are_found() {
    for number in [63, 64, 65, 384, 385, 2000] {
        let literals: Vec<String> = (0..number).map(|index| format!("<{index:04}>")).collect();
        let literals: Vec<&str> = literals.iter().map(String::as_str).collect();
        let last = number - 1;
        check(&literals, &format!("none\nx<0000>\nnone <0\n<{last:04}> <0031>\n"), &[1, 3]);
    }
}

#[test]
fn too_many_literals_are_refused() {
    let many = vec![b"x".to_vec(); MAX_LITERALS + 1];
    assert_eq!(Interest::new(many, false).map(|_| ()), Err(MatchError::TooMany { found: MAX_LITERALS + 1 }));
    let long = vec![vec![b'x'; MAX_LITERAL_BYTES + 1]];
    assert!(matches!(Interest::new(long, true), Err(MatchError::TooLong { .. })));
}

/// Few different letters, so that literals overlap, repeat and cross record ends.
fn text(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(b"aAbB\n ".to_vec()), length)
}

proptest! {
    #[test]
    fn the_combined_pass_agrees_with_a_naive_search(
        data in text(0..400),
        wants in prop::collection::vec((prop::collection::vec(text(0..5), 0..6), any::<bool>()), 1..6),
        gaps in prop::collection::vec((0_u32..3, 0_u32..40), 0..40),
    ) {
        let interests: Vec<Arc<Interest>> =
            wants.into_iter().map(|(literals, fold)| Interest::new(literals, fold).unwrap()).collect();
        // Records with framing between them.
        let (mut ranges, mut at) = (Vec::new(), 0);
        for (gap, length) in gaps {
            let start = at + gap;
            if (start + length) as usize > data.len() {
                break;
            }
            ranges.push((start, start + length));
            at = start + length;
        }
        let block = block(&data, &ranges);
        let matcher = Matcher::new(interests.iter().map(|interest| &**interest)).unwrap();
        let wanted: Vec<usize> = (0..interests.len()).rev().collect();
        for (index, selection) in matcher.select(&block, &wanted) {
            prop_assert_eq!(&selection, &naive(&interests[index], &block));
            prop_assert_eq!(&selection, &interests[index].select(&block));
        }
    }
}
