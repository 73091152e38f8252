//! What lies in log files: framing of containers, records over several lines, stored checkpoints.

use std::sync::Arc;

use picket::sources::file::assemble::{Assembler, Chunk, Format};
use picket::sources::file::checkpoint::{Checkpoint, Position};
use picket::sources::file::framing::{Framing, detect, part};
use picket::sources::file::identity::{Fingerprint, Identity};

use crate::{Target, shape};

const CONTAINER_LOGS: &[&str] =
    &["tests/samples/container-cri.log", "tests/samples/container-docker.log", "tests/samples/syslog.log"];

const WORDS: &[&str] = &[
    "2024-05-01T10:00:00.123456789Z",
    " stdout ",
    " stderr ",
    " F ",
    " P ",
    " P:x ",
    "{\"log\":\"",
    "\\n\",",
    "\"stream\":\"stderr\"",
    "\"time\":\"",
    "\"}",
];

/// Single lines.
pub(super) const FRAMING: Target = Target {
    name: "framing",
    about: "single lines in the framings of container runtimes",
    samples: CONTAINER_LOGS,
    seeds: Vec::new,
    words: WORDS,
    run: |data| {
        let found = detect(data, true);
        let mut parts = vec![found.map_or(0, |framing| framing as u64 + 1)];
        for line in data.split(|byte| *byte == b'\n') {
            for framing in [Framing::Lines, Framing::Cri, Framing::Docker] {
                let Some(part) = part(framing, line) else { continue };
                assert!(part.text.len() <= line.len(), "the text is longer than its line");
                parts.push(1 + u64::from(part.channel) * 4 + u64::from(part.goes_on) * 2);
            }
        }
        parts.truncate(6);
        shape(&parts)
    },
};

/// Whole records.
pub(super) const ASSEMBLER: Target = Target {
    name: "assembler",
    about: "records put together from parts of lines",
    samples: CONTAINER_LOGS,
    seeds: Vec::new,
    words: WORDS,
    run: |data| {
        let mut shapes = Vec::new();
        for framing in [Framing::Lines, Framing::Cri, Framing::Docker] {
            let format = Format { framing, multiline: None, record_bytes: 256, block_bytes: 4096 };
            let mut assembler = Assembler::new(Arc::new(format), Position::at(0));
            let mut chunk = Chunk::default();
            let mut offset = 0;
            for line in data.split_inclusive(|byte| *byte == b'\n') {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                assembler.line(offset, text, 1, &mut chunk);
                offset += line.len() as u64;
            }
            assembler.flush(&mut chunk);
            check(&chunk, data.len());
            assert!(!assembler.waits(), "something is left after a flush");
            shapes.extend([chunk.records.len() as u64, chunk.cut_bytes, chunk.malformed]);
        }
        shape(&shapes)
    },
};

/// Records lie in their data one after the other, begin within the input, and hold no more than it.
fn check(chunk: &Chunk, input: usize) {
    let mut behind = 0;
    for record in &chunk.records {
        assert!(record.start >= behind && record.start <= record.end, "records overlap");
        assert!(record.end - record.start <= 256, "a record is longer than its bound");
        assert!(record.offset < input.max(1) as u64, "a record begins behind the input");
        behind = record.end;
    }
    assert!(behind as usize <= chunk.data.len(), "a record ends behind the data");
    assert!(chunk.data.len() + chunk.cut_bytes as usize <= 2 * input + 1, "more came out than went in");
}

/// What the source stored.
pub(super) const CHECKPOINT: Target = Target {
    name: "checkpoint",
    about: "a file source's stored checkpoint",
    samples: &[],
    seeds: || vec![stored().encode()],
    words: &[],
    run: |data| match Checkpoint::decode(data) {
        Ok(checkpoint) => {
            let again = Checkpoint::decode(&checkpoint.encode()).expect("what is written can be read");
            assert_eq!(again, checkpoint, "a checkpoint changes when it is written");
            shape(&[1, checkpoint.position.done, checkpoint.position.open.len() as u64])
        }
        Err(_) => 0,
    },
};

/// A checkpoint with something in every field.
fn stored() -> Checkpoint {
    let fingerprint = Fingerprint::of(b"the first line of a log");
    let identity = Identity { device: 2049, inode: 77, born: Some(3), fingerprint, epoch: 1 };
    let position = Position { done: 900, open: vec![(0, 700), (1, 800)] };
    Checkpoint { identity, path: "/var/log/app.log".to_owned(), first_seen: 5, made: 6, position }
}
