//! The `file` forwarder: its lines as documented, and each of them in the file once.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::rotate::aside;
use super::*;
use crate::{Batch, Forwarder, SendError};
use picket_model::{
    AlertEvent, AlertState, ByteSize, Digest, EventId, Evidence, Finding, Frame, Label, LifecycleEvent,
    Notice, Origin, RetractedBy, Retraction, Sample, Severity, Verdict, VerdictKind,
};

const TIME: u64 = 1_763_654_940_250_000_000;

/// One frame for each example in the document, in its order.
pub(crate) fn examples() -> Vec<Frame> {
    let id = EventId(std::array::from_fn(|at| at as u8));
    let digest = Digest([7; 32]);
    let origin = |plugin: &str| Origin { plugin: plugin.into(), generation: Digest([0x2a; 32]) };
    let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
    let sample = |name: &str, labels, value| Sample { name: name.into(), labels, time: TIME, value };
    let plain = Finding {
        id,
        time: TIME,
        origin: origin("auth-guard"),
        rule: "silence".into(),
        severity: Severity::Info,
        message: "Nobody has logged in for a day.".into(),
        attributes: vec![],
        source: String::new(),
        stream: String::new(),
        offset: None,
        record: None,
    };
    vec![
        Frame::Finding(Finding {
            rule: "ssh-brute-force".into(),
            severity: Severity::High,
            message: "20 failed logins for root from 192.0.2.7 within 1 minute.".into(),
            attributes: vec![label("address", "192.0.2.7"), label("user", "root"), label("user", "admin")],
            source: "auth".into(),
            stream: "/var/log/auth.log".into(),
            offset: Some(4096),
            record: Some("Nov 20 16:09:00 host sshd[7]: Failed password for root from 192.0.2.7".into()),
            ..plain.clone()
        }),
        Frame::Finding(plain),
        Frame::Verdict(Verdict {
            id,
            time: TIME,
            origin: origin("file-guard"),
            source: "uploads".into(),
            path: "/srv/uploads/cat.zip!/cat.jpg".into(),
            sha256: digest,
            size: 8192,
            verdict: VerdictKind::Suspicious,
            reason: "It is an executable with the name of a picture.".into(),
        }),
        Frame::Alert(AlertEvent {
            id,
            time: TIME,
            origin: origin("thresholds"),
            group: "disk".into(),
            rule: "disk-full".into(),
            state: AlertState::Firing,
            labels: vec![label("alertname", "DiskFull"), label("mountpoint", "/")],
            annotations: vec![label("summary", "/ is 97 % full.")],
            value: 0.97,
            active_since: 1_763_654_640_000_000_000,
            silenced_by: None,
        }),
        Frame::Evidence(Evidence {
            id,
            time: TIME,
            origin: origin("access-log"),
            source: "nginx".into(),
            stream: "/var/log/nginx/access.log".into(),
            offset: 123,
            digest,
            record: b"GET /\0\xff".to_vec(),
            reason: "trap: unreachable".into(),
        }),
        Frame::Notice(Notice {
            id,
            time: TIME,
            origin: origin("access-log"),
            event: LifecycleEvent::Rejected,
            reason: "It imports `series`, which is not granted.".into(),
        }),
        Frame::Sample(sample("node_load1", vec![], 0.25)),
        Frame::Sample(sample("request_duration_seconds", vec![label("method", "GET")], f64::NAN)),
        Frame::Sample(Sample::stale(
            "node_filesystem_free_bytes".into(),
            vec![label("device", "/dev/sdb1"), label("mountpoint", "/mnt")],
            TIME,
        )),
        Frame::Retraction(Retraction {
            id,
            time: TIME,
            origin: origin("auth-guard"),
            by: RetractedBy::Operator,
            reason: "The rule took the backup for an attack.".into(),
            retracts: vec![EventId([0x11; 16]), EventId([0x22; 16])],
        }),
    ]
}

#[test]
fn lines_are_as_documented() {
    let document = include_str!("../../../../docs/ndjson.md");
    let documented: Vec<&str> =
        document.split("```json\n").skip(1).map(|rest| rest.split_once('\n').unwrap().0).collect();
    let mut lines = Vec::new();
    for frame in examples() {
        encode::line(&frame, &mut lines);
    }
    let lines = String::from_utf8(lines).unwrap();
    // U+FFFD stands in the lines themselves; the document escapes it to be seen.
    let documented = documented.join("\n").replace("\\ufffd", "\u{fffd}");
    assert_eq!(lines.trim_end(), documented);
}

fn sample(number: usize) -> Frame {
    // About a kilobyte a line, so that files are put aside soon.
    let labels = vec![Label { name: "padding".into(), value: "x".repeat(1000) }];
    Frame::Sample(Sample { name: "n".into(), labels, time: TIME, value: number as f64 })
}

fn config(path: &Path, keep: u32) -> Config {
    Config { keep, rotate_bytes: ByteSize(MIN_ROTATE_BYTES), ..Config::new(path) }
}

/// The numbers of the samples in one file.
fn numbers_in(path: &Path) -> Vec<usize> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "half a line in {}", path.display());
    let number = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["value"].as_f64().unwrap() as usize
    };
    text.lines().map(number).collect()
}

/// The numbers of all samples, from the oldest file to the newest.
fn numbers(path: &Path) -> Vec<usize> {
    let mut paths: Vec<_> = (1..=MAX_KEEP).rev().map(|number| aside(path, number)).collect();
    paths.push(path.to_owned());
    paths.iter().filter(|path| path.exists()).flat_map(|path| numbers_in(path)).collect()
}

/// Sends a batch and returns the note.
fn send(forwarder: &mut FileForwarder, frames: &[Frame]) -> Vec<u8> {
    let batch = Batch { id: Digest([0; 32]), frames: frames.to_vec() };
    forwarder.send(&batch).unwrap().note.unwrap()
}

fn started(config: Config, note: &[u8]) -> FileForwarder {
    let mut forwarder = FileForwarder::new(config);
    forwarder.resume(note).unwrap();
    forwarder
}

#[test]
fn a_new_file_is_for_the_agents_user_and_group() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results/deep/out.ndjson");
    let mut forwarder = started(config(&path, 1), &[]);
    assert!(forwarder.prepare().unwrap().is_some(), "the empty file is noted before anything is written");
    send(&mut forwarder, &[sample(1)]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(forwarder.prepare().unwrap(), None);
}

#[test]
fn what_stood_in_the_file_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    fs::write(&path, "mine\n").unwrap();
    let mut forwarder = started(config(&path, 1), &[]);
    let note = forwarder.prepare().unwrap().unwrap();
    send(&mut forwarder, &[sample(1)]);
    drop(forwarder);
    started(config(&path, 1), &note);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine\n");
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("out"), folder.path().join("moved"));
    let mut forwarder = started(config(&path, 1), &[]);
    forwarder.prepare().unwrap();
    send(&mut forwarder, &[sample(1)]);
    fs::rename(&path, &moved).unwrap();
    assert!(forwarder.prepare().unwrap().is_some());
    send(&mut forwarder, &[sample(2)]);
    fs::remove_file(&path).unwrap();
    assert!(forwarder.prepare().unwrap().is_some());
    let note = send(&mut forwarder, &[sample(3)]);
    assert_eq!((numbers_in(&moved), numbers_in(&path)), (vec![1], vec![3]));
    // As `logrotate` does it with `copytruncate`.
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    let mut forwarder = started(config(&path, 1), &note);
    assert!(forwarder.prepare().unwrap().is_some());
    send(&mut forwarder, &[sample(4)]);
    assert_eq!(numbers_in(&path), [4]);
}

#[test]
fn an_unaccepted_batch_is_cut_off_a_file_that_was_put_aside_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let mut forwarder = started(config(&path, 3), &[]);
    forwarder.prepare().unwrap();
    let note = send(&mut forwarder, &[sample(1)]);
    send(&mut forwarder, &[sample(2)]);
    fs::rename(&path, aside(&path, 1)).unwrap();
    let mut forwarder = started(config(&path, 3), &note);
    forwarder.prepare().unwrap();
    send(&mut forwarder, &[sample(2)]);
    assert_eq!(numbers(&path), [1, 2]);
}

#[test]
fn only_so_many_files_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let mut forwarder = started(config(&path, 2), &[]);
    for number in 0..500 {
        forwarder.prepare().unwrap();
        send(&mut forwarder, &[sample(number)]);
    }
    let kept = numbers(&path);
    assert_eq!(kept, (500 - kept.len()..500).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    for entry in fs::read_dir(folder.path()).unwrap() {
        assert!(entry.unwrap().metadata().unwrap().len() < MIN_ROTATE_BYTES + 2000);
    }
}

fn check_refused(path: &Path, expected: &str) {
    let error = FileForwarder::new(config(path, 1)).resume(&[]).unwrap_err();
    assert!(matches!(&error, SendError::Later { reason, .. } if reason.contains(expected)), "{error}");
}

#[test]
fn what_cannot_be_written_says_why() {
    check_refused(Path::new("/dev/null"), "no regular file");
    check_refused(Path::new("/"), "cannot open /");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    fs::write(&path, "").unwrap();
    let error = FileForwarder::new(config(&path, 1)).resume(b"\xc1").unwrap_err();
    assert!(error.to_string().contains("give it another name"), "{error}");
}

#[test]
fn a_full_disk_loses_and_repeats_nothing() {
    // A file-size limit of the process would stop other tests, so the "disk" is a batch that was
    // written in part, which is what a full one leaves.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let mut forwarder = started(config(&path, 1), &[]);
    let mut note = forwarder.prepare().unwrap().unwrap();
    for number in 0..10 {
        let mut line = Vec::new();
        encode::line(&sample(number), &mut line);
        let mut file = fs::File::options().append(true).open(&path).unwrap();
        file.write_all(&line[..100 * number]).unwrap();
        forwarder.resume(&note).unwrap();
        note = send(&mut forwarder, &[sample(number)]);
    }
    assert_eq!(numbers(&path), (0..10).collect::<Vec<_>>());
}

/// Where a turn of the drain is cut off by `kill -9`.
#[derive(Debug, Clone, Copy)]
enum Crash {
    Never,
    /// Files may have been put aside; the note of that was not stored.
    BeforeNote,
    /// So much of the batch stands in the file (in 1000ths).
    InBatch(u64),
    /// The batch was accepted; the cursor was not stored.
    BeforeCursor,
}

fn turn() -> impl Strategy<Value = (usize, Crash, usize)> {
    let crash = prop_oneof![
        6 => Just(Crash::Never),
        1 => Just(Crash::BeforeNote),
        1 => (0..1000_u64).prop_map(Crash::InBatch),
        1 => Just(Crash::BeforeCursor),
    ];
    // How many batches are accepted whose notes the crash loses too: enough for several files.
    (1..60_usize, crash, 0..8_usize)
}

/// What is stored at some moment.
#[derive(Debug, Clone, Default)]
struct Stored {
    cursor: usize,
    note: Vec<u8>,
}

/// The forwarder as the drain calls it, with what a crash finds stored.
struct Drained {
    path: PathBuf,
    config: Config,
    forwarder: FileForwarder,
    now: Stored,
    /// What was stored and can be lost, the oldest first. What comes before it is durable.
    history: Vec<Stored>,
    /// Notes of `prepare` are durable, as the drain makes them.
    synced: bool,
}

impl Drained {
    fn start(folder: &Path, keep: u32, synced: bool) -> Self {
        let path = folder.join("out");
        let config = config(&path, keep);
        let forwarder = started(config.clone(), &[]);
        let history = vec![Stored::default()];
        let mut drained = Self { path, config, forwarder, now: Stored::default(), history, synced };
        // The first note of all is about a file that was not there before.
        let note = drained.forwarder.prepare().unwrap().unwrap();
        drained.prepared(&note);
        drained.history = vec![drained.now.clone()];
        drained
    }

    fn prepared(&mut self, note: &[u8]) {
        self.now.note = note.to_vec();
        if self.synced {
            self.history.clear();
        }
        self.history.push(self.now.clone());
    }

    /// One turn of the drain, up to where it is killed.
    fn turn(&mut self, frames: usize, crash: Crash, lost: usize) {
        let batch: Vec<Frame> = (self.now.cursor..self.now.cursor + frames).map(sample).collect();
        let prepared = self.forwarder.prepare().unwrap();
        if matches!(crash, Crash::BeforeNote) {
            return self.crash(lost);
        }
        if let Some(note) = prepared {
            self.prepared(&note);
        }
        let before = fs::metadata(&self.path).unwrap().len();
        let note = send(&mut self.forwarder, &batch);
        if let Crash::InBatch(part) = crash {
            let written = (fs::metadata(&self.path).unwrap().len() - before) * part / 1000;
            fs::File::options().write(true).open(&self.path).unwrap().set_len(before + written).unwrap();
            return self.crash(lost);
        }
        if matches!(crash, Crash::BeforeCursor) {
            return self.crash(lost);
        }
        self.now = Stored { cursor: self.now.cursor + frames, note };
        self.history.push(self.now.clone());
    }

    /// Starts again with what was stored some notes ago.
    fn crash(&mut self, lost: usize) {
        let left = self.history.len().saturating_sub(lost).max(1);
        self.history.truncate(left);
        self.now = self.history[left - 1].clone();
        self.forwarder = started(self.config.clone(), &self.now.note);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_line_stands_there_once_wherever_the_agent_is_killed(
        turns in prop::collection::vec(turn(), 1..40),
        synced in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut drained = Drained::start(folder.path(), MAX_KEEP, synced);
        for (frames, crash, lost) in turns {
            drained.turn(frames, crash, lost);
        }
        drained.crash(0);
        prop_assert_eq!(numbers(&drained.path), (0..drained.now.cursor).collect::<Vec<_>>());
    }

    /// With few files old lines go; what stands there ends with the last one, and has no line twice.
    #[test]
    fn no_line_stands_there_twice_when_few_files_are_kept(
        turns in prop::collection::vec(turn(), 1..40),
        keep in 0..3_u32,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut drained = Drained::start(folder.path(), keep, true);
        for (frames, crash, lost) in turns {
            drained.turn(frames, crash, lost);
        }
        drained.crash(0);
        let kept = numbers(&drained.path);
        let cursor = drained.now.cursor;
        prop_assert_eq!(&kept, &(cursor - kept.len()..cursor).collect::<Vec<_>>());
    }
}
