//! Scans given files and folders once, for `picket scan`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::examine::{self, Unscannable};
use crate::pipeline::route::{Route, SourceRoutes};
use crate::pipeline::work::{Member, ScanDone, ScanJob, ScanTarget, ScanTicket, UnpackJob, Work};

/// How long to wait for room or for verdicts before progress is told again.
const WAIT: Duration = Duration::from_millis(100);
/// Folders in folders are followed this deep.
const MAX_DEPTH: usize = 128;

/// How far a scan has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files come across.
    pub found: u64,
    /// Verdicts that are committed: one for each file and scanner.
    pub done: u64,
    /// Scans that came to no verdict.
    pub failed: u64,
    /// Bytes of the files given to scanners.
    pub bytes: u64,
    /// Files not given to scanners.
    pub skipped: u64,
    /// The file that was opened last.
    pub path: PathBuf,
}

/// Who is told of what happens, and who may stop it.
pub trait Watcher {
    /// Called after each file and several times a second while waiting; the scan ends on false.
    fn go_on(&mut self, progress: &Progress) -> bool;
    /// A file or folder was left out.
    fn skipped(&mut self, path: &Path, reason: &Unscannable);
}

/// Walks paths and gives every regular file in them to all scanners; symbolic links are followed only
/// where a path itself is one. Returns when all verdicts are committed, or when the watcher says so.
pub fn scan_once(
    paths: &[PathBuf],
    max_file_bytes: u64,
    routes: &SourceRoutes,
    watcher: &mut dyn Watcher,
) -> Progress {
    let mut scan = Scan {
        max_file_bytes,
        routes,
        watcher,
        progress: Progress::default(),
        tickets: crossbeam_channel::unbounded(),
        members: crossbeam_channel::unbounded(),
        open: 0,
        stopped: false,
    };
    for path in paths {
        scan.root(path);
    }
    while scan.open > 0 && !scan.stopped {
        scan.wait_for_verdicts();
    }
    scan.watcher.go_on(&scan.progress);
    scan.progress
}

struct Scan<'a> {
    max_file_bytes: u64,
    routes: &'a SourceRoutes,
    watcher: &'a mut dyn Watcher,
    progress: Progress,
    tickets: (Sender<ScanDone>, Receiver<ScanDone>),
    /// What unpackers took out of containers.
    members: (Sender<Member>, Receiver<Member>),
    /// Tickets that are out.
    open: u64,
    stopped: bool,
}

impl Scan<'_> {
    fn root(&mut self, path: &Path) {
        // What the caller names may be a link; what is found below it may not.
        match fs::canonicalize(path) {
            Ok(real) if real.is_dir() => self.folder(&real, &real, 0),
            Ok(real) => {
                let base = real.parent().unwrap_or(Path::new("/")).to_owned();
                self.file(&base, &real);
            }
            Err(error) => self.skip(path, &Unscannable::Io(error)),
        }
    }

    fn folder(&mut self, base: &Path, folder: &Path, depth: usize) {
        if self.stopped || depth > MAX_DEPTH {
            return;
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.skip(folder, &Unscannable::Io(error)),
        };
        let mut names: Vec<fs::DirEntry> = entries.flatten().collect();
        names.sort_by_key(fs::DirEntry::file_name);
        for entry in names {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.folder(base, &entry.path(), depth + 1),
                Ok(kind) if kind.is_file() => self.file(base, &entry.path()),
                // Links, devices, pipes and sockets are no files to scan.
                _ => {}
            }
            if self.stopped {
                return;
            }
        }
    }

    fn skip(&mut self, path: &Path, reason: &Unscannable) {
        self.progress.skipped += 1;
        self.watcher.skipped(path, reason);
    }

    fn file(&mut self, base: &Path, path: &Path) {
        self.progress.found += 1;
        path.clone_into(&mut self.progress.path);
        let progress = &self.progress;
        let watcher = &mut *self.watcher;
        let mut stopped = false;
        let examined = examine::open(base, path, self.max_file_bytes).and_then(|opened| {
            opened.examine("", None, &mut || {
                stopped = !watcher.go_on(progress);
                !stopped
            })
        });
        self.stopped |= stopped;
        match examined {
            Ok(target) => {
                self.progress.bytes += target.info.size;
                self.give(Arc::new(target));
                self.give_members();
            }
            Err(_) if self.stopped => {}
            // It vanished between listing and opening.
            Err(Unscannable::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                self.skip(path, &Unscannable::Changed);
            }
            Err(reason) => self.skip(path, &reason),
        }
        self.stopped |= !self.watcher.go_on(&self.progress);
    }

    /// Gives a file or a member to all scanners and unpackers.
    fn give(&mut self, target: Arc<ScanTarget>) {
        for route in &self.routes.routes {
            for unpack in [false, true] {
                let takes = if unpack { route.takes.unpack } else { route.takes.scan };
                if takes && !self.stopped {
                    self.give_to(route, &target, unpack);
                }
            }
        }
        self.take_verdicts();
    }

    fn give_to(&mut self, route: &Route, target: &Arc<ScanTarget>, unpack: bool) {
        let ticket = ScanTicket::new(route.plugin.clone(), target.path.clone(), self.tickets.0.clone());
        let ticket = ticket.within(target);
        self.open += 1;
        loop {
            match route.lane.wait_for_room(Instant::now() + WAIT) {
                Ok(true) => break,
                Ok(false) => self.take_verdicts(),
                // The dropped ticket says that there is no verdict.
                Err(_) => return,
            }
            self.stopped |= !self.watcher.go_on(&self.progress);
            if self.stopped {
                return;
            }
        }
        let target = target.clone();
        let work = match unpack {
            false => Work::Scan(ScanJob { target, ticket }),
            true => {
                let (ticket, members) = (ticket.unpacking(None), self.members.0.clone());
                Work::Unpack(UnpackJob { target, ticket, members })
            }
        };
        // As above.
        let _ = route.lane.send(work);
    }

    /// Members wait in the spool folder until a file has been given to everybody.
    fn give_members(&mut self) {
        while let (false, Ok(member)) = (self.stopped, self.members.1.try_recv()) {
            let (path, container) = (member.path.clone(), member.spooled.container.clone());
            match examine::member(member.path, Arc::new(member.spooled), None, "", &mut || true) {
                Ok(target) => {
                    self.progress.bytes += target.info.size;
                    self.give(Arc::new(target));
                }
                Err(reason) => {
                    container.fail();
                    self.skip(&path, &reason);
                }
            }
        }
    }

    fn wait_for_verdicts(&mut self) {
        self.give_members();
        let (tickets, members) = (self.tickets.1.clone(), self.members.1.clone());
        let mut ready = crossbeam_channel::Select::new();
        ready.recv(&tickets);
        ready.recv(&members);
        // Either is taken below; after the wait progress is told again.
        let _ = ready.ready_timeout(WAIT);
        self.take_verdicts();
        self.stopped |= !self.watcher.go_on(&self.progress);
    }

    fn take_verdicts(&mut self) {
        while let Ok(done) = self.tickets.1.try_recv() {
            self.count(&done);
        }
    }

    fn count(&mut self, done: &ScanDone) {
        self.open -= 1;
        match (done.committed, done.unpacked) {
            (true, false) => self.progress.done += 1,
            // What lay in it has verdicts of its own.
            (true, true) => {}
            (false, _) => self.progress.failed += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::model::Digest;
    use crate::pipeline::interest::Interest;
    use crate::pipeline::lane::{Wake, lane};

    #[derive(Default)]
    struct Told {
        skipped: Vec<String>,
        last: Progress,
    }

    impl Watcher for Told {
        fn go_on(&mut self, progress: &Progress) -> bool {
            self.last = progress.clone();
            true
        }
        fn skipped(&mut self, path: &Path, reason: &Unscannable) {
            self.skipped.push(format!("{}: {reason}", path.file_name().unwrap().display()));
        }
    }

    #[test]
    fn all_files_below_the_paths_are_scanned() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/1"), "1").unwrap();
        fs::write(at("a/b/2"), "#!/bin/sh").unwrap();
        fs::write(at("a/b/large"), [0; 100]).unwrap();
        fs::write(at("alone"), "x").unwrap();
        std::os::unix::fs::symlink(at("alone"), at("a/link")).unwrap();
        let (sender, receiver) = lane::<Work, ()>("p", 1);
        let scanner = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while seen.len() < 3 {
                let Wake::Work(Work::Scan(job)) = receiver.next(None, false) else { break };
                let name = job.target.path.file_name().unwrap().display().to_string();
                seen.push(format!("{name} {}", job.target.info.media_type));
                if name != "2" {
                    job.ticket.finish();
                }
            }
            seen
        });
        let route = Route {
            plugin: "p".into(),
            generation: Digest::of(b""),
            interest: Interest::everything(),
            takes: crate::pipeline::route::Takes::SCAN,
            lane: Arc::new(sender),
        };
        let routes = SourceRoutes::new(vec![route]).unwrap();
        let mut told = Told::default();
        let progress = scan_once(&[at("a"), at("alone"), at("none")], 10, &routes, &mut told);
        assert_eq!(scanner.join().unwrap(), ["1 text/plain", "2 text/x-shellscript", "alone text/plain"]);
        assert_eq!((progress.found, progress.done, progress.failed, progress.skipped), (4, 2, 1, 2));
        assert_eq!(progress, told.last);
        assert!(told.skipped[0].starts_with("large: it has 100 bytes"), "{:?}", told.skipped);
        assert!(told.skipped[1].starts_with("none: "), "{:?}", told.skipped);
    }
}
