//! Searches of the archive beside everything else that the agent does.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use crate::ledger::LEDGER;
use picket_tests::{Node, findings, guest, until};
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// The archive's only segment.
fn segment(node: &Node) -> PathBuf {
    let mut entries = fs::read_dir(node.path("data/archive")).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.extension().is_some_and(|ending| ending == "segment")).unwrap()
}

#[test]
fn searches_that_hang_keep_nobody_from_status_reload_and_stop() {
    let mut node = Node::builder()
        .install(&guest("ledger_one"), "ledger")
        .file("logs/numbers.log", "1\n")
        .config(LEDGER)
        .start();
    until("the finding can be searched", || {
        let answer = node.get("/api/v1/findings")?.json();
        (!answer["findings"].as_array()?.is_empty()).then_some(())
    });
    // Reading from a pipe that nobody writes to takes as long as it likes, as a dying disk does.
    let pipe = segment(&node);
    fs::remove_file(&pipe).unwrap();
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    std::thread::scope(|scope| {
        let (answered, answers) = mpsc::sync_channel(3);
        for _ in 0..3 {
            let (answered, node) = (answered.clone(), &node);
            scope.spawn(move || answered.send(node.get("/api/v1/findings").unwrap()).unwrap());
        }
        let first = answers.recv_timeout(Duration::from_secs(25)).unwrap();
        assert_eq!(first.status, 503, "two searches run, a third is refused: {}", first.body);
        assert!(first.body.contains("another search runs"), "{}", first.body);
        assert_eq!(node.get("/api/v1/status").unwrap().status, 200);
        node.append("logs/numbers.log", b"2\n");
        until("records flow", || (findings(&node.rows(), "batch").len() == 2).then_some(()));
        assert_eq!(node.reload().status, 200);
        assert!(answers.try_recv().is_err(), "both searches still run");
        // A writer lets the two that wait go on, and find damage.
        drop(fs::OpenOptions::new().write(true).open(&pipe).unwrap());
        for _ in 0..2 {
            assert_eq!(answers.recv_timeout(Duration::from_secs(60)).unwrap().status, 200);
        }
    });
    assert!(node.stop().success());
}
