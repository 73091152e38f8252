//! Framing and joining as tables, and the property that neither reads nor restarts show.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::sources::file::multiline::{self, Multiline};

impl ReadAt for &[u8] {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.get(offset as usize..).unwrap_or_default();
        // A short read now and then, as files may give.
        let length = buffer.len().min(rest.len()).min(1 + offset as usize % 1000);
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

fn format(framing: Framing, start: Option<&str>, record_bytes: usize) -> Arc<Format> {
    let multiline = start.map(|start| {
        let config =
            multiline::Config { start: start.into(), timeout: crate::model::Span::seconds(1), max_lines: 4 };
        Arc::new(Multiline::new(&config).unwrap())
    });
    Arc::new(Format { framing, multiline, record_bytes, block_bytes: 64 })
}

/// Records as `(offset, text)`.
type Records = Vec<(u64, String)>;

/// Reads with the file growing to each of `sizes` in turn, and with a new reader from the checkpoint
/// after each block for which `restart` says so.
fn read(data: &[u8], format: &Arc<Format>, sizes: &[usize], restart: &mut dyn FnMut() -> bool) -> Records {
    let clock = Clock { instant: Instant::now(), nanos: 7 };
    let mut reader = Reader::new(format.clone(), Position::default(), clock.instant);
    let (mut buffers, mut records) = (Buffers::default(), Vec::new());
    for (size, last) in sizes.iter().map(|size| (*size, false)).chain([(data.len(), true)]) {
        let extent = Extent { size: size as u64, last };
        loop {
            let step = reader.step(&data, extent, clock, &mut buffers).unwrap();
            let chunk = &buffers.chunk;
            let text = |at: &Record| {
                String::from_utf8(chunk.data[at.start as usize..at.end as usize].to_vec()).unwrap()
            };
            records.extend(chunk.records.iter().map(|record| (record.offset, text(record))));
            match step {
                Step::End => break,
                Step::Records if restart() => {
                    reader = Reader::new(format.clone(), reader.position().clone(), clock.instant);
                }
                _ => {}
            }
        }
    }
    records
}

fn at_once(data: &[u8], format: &Arc<Format>) -> Records {
    read(data, format, &[], &mut || false)
}

fn check(framing: Framing, start: Option<&str>, bound: usize, input: &str, expected: &[(u64, &str)]) {
    let expected: Records = expected.iter().map(|(offset, text)| (*offset, (*text).to_owned())).collect();
    assert_eq!(at_once(input.as_bytes(), &format(framing, start, bound)), expected, "{input}");
}

#[test]
fn lines() {
    let check = |input, expected: &[(u64, &str)]| check(Framing::Lines, None, 100, input, expected);
    check("", &[]);
    check("a\nb\r\n\nc", &[(0, "a"), (2, "b"), (5, ""), (6, "c")]);
    let (long, longer) = ("x".repeat(100), "x".repeat(5000));
    check(
        &format!("{long}\n{longer}\nend\n{longer}"),
        &[(0, &long), (101, &long), (5102, "end"), (5106, &long)],
    );
}

#[test]
fn multiline_records_by_their_first_line() {
    let check = |input, expected: &[(u64, &str)]| check(Framing::Lines, Some("^[A-Z]"), 20, input, expected);
    check("A 1\n a\n b\nB 2\n", &[(0, "A 1\n a\n b"), (10, "B 2")]);
    check("lost\nA\n", &[(0, "lost"), (5, "A")]);
    // Four lines at most, and twenty bytes at most.
    check("A\n1\n2\n3\n4\n5\n", &[(0, "A\n1\n2\n3"), (8, "4\n5")]);
    check("A 345678\n 2345678\n 2345678\n", &[(0, "A 345678\n 2345678"), (18, " 2345678")]);
}

#[test]
fn a_multiline_record_is_complete_after_its_timeout() {
    let format = format(Framing::Lines, Some("^[A-Z]"), 100);
    let data: &[u8] = b"A\n b\nunfinished";
    let start = Clock::now();
    let mut reader = Reader::new(format, Position::default(), start.instant);
    let mut buffers = Buffers::default();
    let extent = Extent { size: data.len() as u64, last: false };
    assert_eq!(reader.step(&data, extent, start, &mut buffers).unwrap(), Step::Advanced);
    assert_eq!(reader.step(&data, extent, start, &mut buffers).unwrap(), Step::End);
    assert_eq!(reader.position(), &Position { done: 5, open: vec![(0, 0)] });
    let later = Clock { instant: start.instant + std::time::Duration::from_secs(2), ..start };
    assert_eq!(reader.step(&data, extent, later, &mut buffers).unwrap(), Step::Records);
    assert_eq!(buffers.chunk.data, b"A\n b");
    assert_eq!(reader.position(), &Position::at(5));
}

const T: &str = "2023-11-14T22:13:20.1Z";

#[test]
fn cri_parts_are_joined_by_channel() {
    let input = format!(
        "{T} stdout P one \n{T} stderr F err\n{T} stdout F two\n{T} stderr P half\nnot cri\n{T} stdout F x\n"
    );
    let line = |number: usize| input.split('\n').take(number).map(|line| line.len() as u64 + 1).sum::<u64>();
    let check = |start, expected: &[(u64, &str)]| check(Framing::Cri, start, 100, &input, expected);
    check(None, &[(line(1), "err"), (0, "one two"), (line(4), "not cri"), (line(5), "x"), (line(3), "half")]);
    check(Some("^[a-z]+ "), &[(line(4), "not cri"), (0, "one two\nx"), (line(1), "err\nhalf")]);
}

#[test]
fn docker_parts_are_joined() {
    let input = "{\"log\":\"a \",\"stream\":\"stdout\"}\n{\"log\":\"b\\n\",\"stream\":\"stdout\"}\n";
    check(Framing::Docker, None, 100, input, &[(0, "a b")]);
    check(Framing::Docker, None, 1, input, &[(0, "a")]);
}

/// Lines of all framings, whole and damaged, in any order.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let text =
        prop_oneof![Just("A start"), Just(" more"), Just(""), Just("a longer line, cut in the middle")];
    let tag = prop_oneof![Just("F"), Just("P")];
    let channel = prop_oneof![Just("stdout"), Just("stderr")];
    let line = (text, tag, channel, 0..4).prop_map(|(text, tag, channel, kind)| match kind {
        0 => format!("{text}\n"),
        1 => format!("{T} {channel} {tag} {text}\n"),
        2 => format!(
            "{{\"log\":\"{text}{}\",\"stream\":\"{channel}\"}}\r\n",
            if tag == "F" { "\\n" } else { "" }
        ),
        _ => text.repeat(9),
    });
    prop::collection::vec(line, 0..40).prop_map(|lines| lines.concat().into_bytes())
}

proptest! {
    #[test]
    fn neither_reads_nor_restarts_show_in_the_records(
        data in input(),
        framing in prop::sample::select(vec![Framing::Lines, Framing::Cri, Framing::Docker]),
        joined in any::<bool>(),
        bound in prop::sample::select(vec![5_usize, 30, 1000]),
        mut sizes in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        restarts in prop::collection::vec(any::<bool>(), 1..8),
    ) {
        let format = format(framing, joined.then_some("^A"), bound);
        let mut sizes: Vec<usize> = sizes.drain(..).map(|size| size.index(data.len() + 1)).collect();
        sizes.sort_unstable();
        let mut turn = restarts.iter().cycle();
        let records = read(&data, &format, &sizes, &mut || *turn.next().unwrap());
        prop_assert_eq!(records, at_once(&data, &format));
    }

    #[test]
    fn plain_lines_are_the_lines(data in "[a\r\n]{0,300}", sizes in prop::collection::vec(0_usize..300, 0..5)) {
        let mut sizes: Vec<usize> = sizes.into_iter().map(|size| size.min(data.len())).collect();
        sizes.sort_unstable();
        let records = read(data.as_bytes(), &format(Framing::Lines, None, 1000), &sizes, &mut || true);
        let (mut expected, mut offset) = (Vec::new(), 0);
        for line in data.split_inclusive('\n') {
            let text = line.strip_suffix('\n').unwrap_or(line);
            expected.push((offset, text.strip_suffix('\r').unwrap_or(text).to_owned()));
            offset += line.len() as u64;
        }
        prop_assert_eq!(records, expected);
    }
}
