//! Journal, sled and commit thread on a real file system that fills up under them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use picket_journal::RealFs;

use super::*;

/// Where the inner test finds the small disk.
const DISK: &str = "PICKET_TEST_SMALL_DISK";

/// Runs the inner test below in a mount namespace of its own, where it may mount a small disk.
#[test]
fn a_disk_that_fills_up_fails_commits_and_takes_them_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let inside = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(folder.path());
        command
    };
    let mount = r#"mount -t tmpfs -o size=64m tmpfs "$1""#;
    let given = inside(mount).output().is_ok_and(|output| output.status.success());
    assert!(given, "this test mounts a small disk: it needs `unshare` (util-linux) and user namespaces");
    let program = std::env::current_exe().unwrap();
    let test = "pipeline::commit::tests::full_disk::on_the_small_disk";
    let script = format!(r#"{mount} && exec "$2" --exact {test} --ignored --nocapture"#);
    let output = inside(&script).arg(program).env(DISK, folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn open(disk: &Path) -> (Committer, CommitThread, State) {
    let state = State::open(&disk.join("state"), 16 << 20).unwrap();
    let config = Config {
        segment_bytes: ByteSize(1 << 20),
        state_sync_interval: Span(Duration::from_millis(20)),
        ..Config::default()
    };
    let (journal, _) = Journal::open(Arc::new(RealFs), &disk.join("journal"), config.journal()).unwrap();
    let (committer, thread) = start(journal, state.clone(), config, metrics()).unwrap();
    committer.set_readers(&[]);
    (committer, thread, state)
}

/// Counter and checkpoint, and a value that changes enough for sled's file to grow.
fn bulky(record: u64) -> Commit {
    let mut rng = picket_journal::sim::Rng::new(record);
    let value = (0..20_000).map(|_| rng.number() as u8).collect();
    let mut commit = batch("p", record, record + 1);
    let key = format!("bulk {}", record % 50).into_bytes();
    commit.writes.push(Write::PluginSet { plugin: "p".into(), key, value, expires: None });
    commit
}

/// Fills the disk while commits go on.
fn hog(path: PathBuf) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut file = fs::File::create(path).unwrap();
        while file.write_all(&[1; 16 << 10]).is_ok() {
            std::thread::yield_now();
        }
    })
}

fn check(state: &State, acknowledged: u64) {
    assert_eq!((counter(state, "p"), checkpoint(state, "p")), (acknowledged, acknowledged));
}

#[test]
#[ignore = "needs a small disk, which the test above mounts"]
fn on_the_small_disk() {
    let disk = PathBuf::from(std::env::var_os(DISK).unwrap());
    let mut next = 0;
    for round in 0..6 {
        let (committer, thread, state) = open(&disk);
        check(&state, next);
        let filling = hog(disk.join("hog"));
        let mut failures = 0;
        while failures < 20 {
            match committer.commit(bulky(next)) {
                Ok(_) => next += 1,
                Err(error) => {
                    assert!(error.is_full() || error.reason() == "state", "{error}");
                    failures += 1;
                }
            }
        }
        filling.join().unwrap();
        // The agent can even be restarted while the disk is full.
        let (committer, thread, state) = if round % 2 == 0 {
            let _ = thread.stop();
            drop((committer, state));
            let again = open(&disk);
            check(&again.2, next);
            again
        } else {
            (committer, thread, state)
        };
        fs::remove_file(disk.join("hog")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = committer.commit(bulky(next)) {
            assert!(Instant::now() < deadline, "{error}");
            std::thread::yield_now();
        }
        next += 1;
        check(&state, next);
        assert_eq!(fs::metadata(disk.join("state/ballast")).unwrap().len(), 16 << 20);
        thread.stop().unwrap();
    }
    println!("{next} commits");
}
