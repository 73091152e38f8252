//! Reads given files once, to their end, for `picket analyze`.
//!
//! The same tails as in the agent, without looking for files and without waiting for growth: an
//! unterminated last line is a record.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::buffers::Buffers;
use super::checkpoint::Position;
use super::config::Checked;
use super::labels;
use super::reader::Clock;
use super::tail::{Activity, Opened, Tail, Turn};
use crate::model::Stream;
use crate::pipeline::route::SourceRoutes;
use crate::sources::metrics::SourceMetrics;

/// How long to wait for room before looking whether to stop.
const WAIT: Duration = Duration::from_millis(100);

/// How far reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Files read to their end.
    pub files: usize,
    /// Bytes read of all files.
    pub bytes: u64,
    /// Bytes of all files together.
    pub total_bytes: u64,
}

/// A file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {error}", path.display())]
pub struct OnceError {
    /// Which.
    pub path: PathBuf,
    /// The operating system's words.
    #[source]
    pub error: io::Error,
}

/// Reads files to their end and hands all records on, waiting for room where there is none. `-` is
/// standard input. Returns when everything is in the lanes, or when `go_on` says no; it is asked
/// after each few megabytes.
pub fn read_once(
    files: &[PathBuf],
    source: &str,
    config: &Checked,
    routes: &SourceRoutes,
    metrics: &SourceMetrics,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Result<Progress, OnceError> {
    let mut opened = Vec::new();
    for path in files {
        let file = open(path).map_err(|error| OnceError { path: path.clone(), error })?;
        opened.push((path, file));
    }
    let total_bytes = opened.iter().map(|(_, opened)| opened.size).sum();
    let mut progress = Progress { total_bytes, ..Progress::default() };
    let mut buffers = Buffers::default();
    for (path, opened) in opened {
        let mut tail = tail(path, opened, source, config);
        for route in &routes.routes {
            tail.attach(route.lane.id(), &route.plugin, Position::default());
        }
        let (size, before) = (tail.size(), progress.bytes);
        loop {
            let mut excess = BTreeMap::new();
            let clock = Clock::now();
            let mut turn = Turn {
                routes,
                clock,
                buffers: &mut buffers,
                metrics,
                excess: &mut excess,
                finish_after: Duration::ZERO,
            };
            let activity = tail.turn(&mut turn).map_err(|error| OnceError { path: path.clone(), error })?;
            tail.tell_positions(&mut turn, activity == Activity::Idle);
            let behind = tail.lag().map(|(_, _, behind, _)| behind).max().unwrap_or(0);
            progress.bytes = before + size - behind.min(size);
            if !go_on(progress) {
                return Ok(progress);
            }
            if tail.is_finished(clock.instant, Duration::ZERO) {
                break;
            }
            if activity != Activity::Progress {
                wait_for_room(routes);
            }
        }
        progress.files += 1;
    }
    go_on(progress);
    Ok(progress)
}

/// Waits until a lane without room has some.
fn wait_for_room(routes: &SourceRoutes) {
    if let Some(full) = routes.routes.iter().find(|route| !route.lane.has_room()) {
        // A closed lane always has room.
        let _ = full.lane.wait_for_room(Instant::now() + WAIT);
    }
}

fn tail(path: &Path, opened: Opened, source: &str, config: &Checked) -> Tail {
    let first_seen = crate::model::now_nanos();
    let name = path.to_string_lossy().into_owned();
    let mut labels = config.labels.clone();
    labels.extend(labels::from_path(path));
    let stream = Stream {
        source: source.to_owned(),
        id: opened.identity.stream(source, first_seen),
        name,
        labels: labels.into_iter().collect(),
    };
    let mut tail = Tail::new(opened, Arc::new(stream), path.to_owned(), first_seen, config.format.clone());
    tail.leave();
    tail
}

/// Opens a file. What can only be read once, such as a pipe, is copied to a temporary file first.
fn open(path: &Path) -> io::Result<Opened> {
    if path == Path::new("-") {
        return spool(&mut io::stdin().lock());
    }
    let mut file = File::open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        Opened::of(file)
    } else if kind.is_dir() {
        Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; name the files in it"))
    } else {
        spool(&mut file)
    }
}

fn spool(from: &mut dyn io::Read) -> io::Result<Opened> {
    let mut file = tempfile::tempfile()?;
    io::copy(from, &mut file)?;
    Opened::of(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::model::Digest;
    use crate::pipeline::interest::Interest;
    use crate::pipeline::lane::{Wake, lane};
    use crate::pipeline::route::Route;
    use crate::pipeline::work::Work;
    use crate::sources::file::Config;
    use crate::sources::metrics::Metrics;

    #[test]
    fn files_are_read_to_their_end_through_a_full_lane() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = (0..3).map(|file| folder.path().join(format!("{file}"))).collect();
        let text: String = (0..100_000).map(|line| format!("line number {line}\n")).collect();
        for file in &files {
            std::fs::write(file, format!("{text}last, without its end")).unwrap();
        }
        let (sender, receiver) = lane::<Work, ()>("p", 1);
        let reader = std::thread::spawn(move || {
            let (mut records, mut last) = (0, 0);
            while let Wake::Work(Work::Records(delivery)) = receiver.next(None, false) {
                records += delivery.block.records.len();
                last += (0..delivery.block.records.len())
                    .filter(|record| delivery.block.bytes(*record).starts_with(b"last"))
                    .count();
                if last == 3 {
                    break;
                }
            }
            records
        });
        let route = Route {
            plugin: "p".into(),
            generation: Digest::of(b""),
            interest: Interest::everything(),
            takes: crate::pipeline::route::Takes::SCAN,
            lane: Arc::new(sender),
        };
        let routes = SourceRoutes::new(vec![route]).unwrap();
        let config = Config::new(vec!["/x".into()]).check().unwrap();
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap().of("files");
        let mut seen = Vec::new();
        let progress = read_once(&files, "files", &config, &routes, &metrics, &mut |progress| {
            seen.push(progress.bytes);
            true
        })
        .unwrap();
        assert_eq!(progress.files, 3);
        assert_eq!(progress.bytes, progress.total_bytes);
        assert!(seen.is_sorted());
        assert_eq!(reader.join().unwrap(), 300_003);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(vec!["/x".into()]).check().unwrap();
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap().of("files");
        let error = |path: &Path| {
            let files = [path.to_owned()];
            read_once(&files, "files", &config, &SourceRoutes::default(), &metrics, &mut |_| true)
                .unwrap_err()
                .to_string()
        };
        assert!(error(&folder.path().join("none")).contains("none"));
        assert!(error(folder.path()).contains("folder"));
    }
}
