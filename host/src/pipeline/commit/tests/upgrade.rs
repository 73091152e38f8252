//! What an older version has written must be readable: payloads as bytes, not made by today's code.

use super::*;
use crate::model::{Day, Label};

/// Every kind of write, and a frame. Version 1 began without the day.
fn commit(used: Day) -> Commit {
    let digest = Digest([7; 32]);
    let plugin = || "p".to_owned();
    Commit {
        frames: vec![Frame::Sample(Sample {
            name: "up".into(),
            labels: vec![Label { name: "a".into(), value: "b".into() }],
            time: 3,
            value: 1.5,
        })],
        writes: vec![
            Write::PluginSet { plugin: plugin(), key: vec![1], value: vec![2], expires: Some(9) },
            Write::PluginDelete { plugin: plugin(), key: vec![1] },
            Write::Checkpoint { plugin: plugin(), source: "s".into(), stream: digest, value: vec![3] },
            Write::CheckpointDelete { plugin: plugin(), source: "s".into(), stream: digest },
            Write::Snapshot { plugin: plugin(), version: "1".into(), generation: digest, bytes: vec![4] },
            Write::Alert { plugin: plugin(), key: vec![5], value: None },
            Write::Scanned {
                plugin: plugin(),
                generation: digest,
                content: digest,
                value: Some(vec![6]),
                used,
            },
            Write::FileDigest { key: vec![8], value: Some(vec![]), used },
        ],
    }
}

#[test]
fn a_payload_of_version_1_is_read() {
    let text: String = include_str!("commit-v1.hex").split_whitespace().collect();
    let payload: Vec<u8> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    let commit = commit(Day(0));
    assert_eq!(frames(&payload).unwrap(), commit.frames);
    assert_eq!(writes(&payload).unwrap(), commit.writes);
    let [events, samples] = packed(&payload).unwrap();
    assert_eq!((events.count, samples.count), (0, 1));
}

#[test]
fn what_is_written_now_is_read_back() {
    let commit = commit(Day(20_000));
    let payload = payload::encode(&commit).unwrap();
    assert_eq!(frames(&payload).unwrap(), commit.frames);
    assert_eq!(writes(&payload).unwrap(), commit.writes);
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_without_panic(
        mut payload in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), cut in 0usize..400
    ) {
        let _ = (frames(&payload), writes(&payload));
        let good = payload::encode(&commit(Day(1))).unwrap();
        payload.splice(..0, good[..cut.min(good.len())].iter().copied());
        let _ = (frames(&payload), writes(&payload));
    }
}
