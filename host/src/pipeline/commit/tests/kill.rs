//! A process that commits and is killed: what it has acknowledged must be there, once.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use picket_journal::RealFs;
use picket_journal::sim::Rng;

use super::*;

/// Where the child works.
const DATA: &str = "PICKET_TEST_KILL_DATA";

const KILLS: u64 = 8;

fn open(dir: &Path) -> (Committer, CommitThread, State) {
    let state = State::open(&dir.join("state"), 16 << 20).unwrap();
    let config = Config { segment_bytes: ByteSize(256 << 10), ..Config::default() };
    let (journal, _) = Journal::open(Arc::new(RealFs), &dir.join("journal"), config.journal()).unwrap();
    let (committer, thread) = start(journal, state.clone(), config, metrics()).unwrap();
    (committer, thread, state)
}

#[test]
fn a_killed_process_leaves_what_it_has_acknowledged_exactly_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(7);
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "pipeline::commit::tests::kill::commits_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(DATA, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let acknowledged = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .filter_map(|line| {
                line.unwrap().strip_prefix("done ").map(|number| number.parse::<u64>().unwrap())
            })
            .nth(1 + rng.below(200) as usize);
        child.kill().unwrap();
        child.wait().unwrap();
        let (committer, thread, state) = open(folder.path());
        let done = counter(&state, "p");
        assert!(done >= acknowledged.unwrap(), "kill {kill}: {done} of {acknowledged:?}");
        assert_eq!(checkpoint(&state, "p"), done);
        let found = records(&mut committer.tail().reader(Position::ZERO));
        let found: Vec<u64> = found.into_iter().map(|(_, record)| record).collect();
        assert_eq!(found, (0..done).collect::<Vec<_>>(), "kill {kill}");
        // The thread syncs the state when it stops; without that the next start has more to apply.
        if kill % 2 == 0 {
            thread.stop().unwrap();
        }
    }
}

#[test]
#[ignore = "the test above starts and kills it"]
fn commits_until_it_is_killed() {
    let dir = PathBuf::from(std::env::var_os(DATA).unwrap());
    let (committer, _thread, state) = open(&dir);
    let mut next = counter(&state, "p");
    loop {
        committer.commit(batch("p", next, next + 3)).unwrap();
        next += 3;
        println!("done {next}");
    }
}
