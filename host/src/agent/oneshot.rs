//! Plugins over files, once, without a daemon.
//!
//! The same core as a daemon's, in a folder that is thrown away: what is shown has been committed to its
//! journal and is read from there.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use prometheus::Registry;

use super::core::{Core, Folders, Stopped};
use super::daemon::{brings, place, wanted};
use crate::config::Checked;
use crate::model::Frame;
use crate::pipeline::commit::Drain;
use crate::sources::directory::examine::Unscannable;
use crate::sources::directory::once::{Watcher, scan_once};
use crate::sources::file::once;
use crate::sources::{self, SourceConfig, directory};

/// How often progress is told, and results are shown.
const STEP: Duration = Duration::from_millis(50);
/// Plugins finish what they hold, however long that takes: the person can interrupt.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// Log files to read to their end. The configuration was made for this run: each plugin is an analyzer and
/// names the `file` sources it reads; the data folder does not exist yet and is deleted afterwards.
#[derive(Debug)]
pub struct AnalyzeRequest {
    /// Plugins and sources.
    pub checked: Checked,
    /// The files by the source that they are read as.
    pub files: BTreeMap<String, Vec<PathBuf>>,
    /// Where compiled components are kept from run to run.
    pub cache: PathBuf,
}

/// Files to scan. The configuration was made for this run: each plugin is a scanner or unpacker, and there
/// are no sources; the data folder does not exist yet and is deleted afterwards.
#[derive(Debug)]
pub struct ScanRequest {
    /// Plugins.
    pub checked: Checked,
    /// Absolute paths of files and folders.
    pub paths: Vec<PathBuf>,
    /// Where compiled components are kept from run to run.
    pub cache: PathBuf,
}

/// Takes what a run produces, in the thread that started it.
pub trait Report {
    /// A committed frame, in the order of the journal.
    fn frame(&mut self, frame: &Frame) -> std::io::Result<()>;

    /// How far the run is; called several times a second.
    fn progress(&mut self, progress: &Progress);

    /// Something that could not be done, such as a file that cannot be read. The run goes on.
    fn problem(&mut self, problem: &str);
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of records read, or of files scanned.
    pub bytes: u64,
    /// Of so many, if that is known.
    pub total_bytes: Option<u64>,
    /// Files finished.
    pub files: u64,
    /// Of so many, if that is known.
    pub total_files: Option<u64>,
    /// What is worked on.
    pub current: Option<PathBuf>,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Files that were looked at.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that were read; zero for scans.
    pub records: u64,
    /// What could not be done; each was reported.
    pub problems: u64,
}

/// Reads files to their end with all plugins.
pub fn analyze(request: &AnalyzeRequest, report: &mut dyn Report) -> anyhow::Result<Summary> {
    let mut run = Run::start(&request.checked, request.cache.clone(), report)?;
    let metrics = sources::metrics::Metrics::new(&run.core.registry)?;
    let total_bytes =
        request.files.values().flatten().filter_map(|file| file.metadata().ok()).map(|it| it.len()).sum();
    let mut done = Progress { total_bytes: Some(total_bytes), ..Progress::default() };
    for (name, files) in &request.files {
        let Some(SourceConfig::File(config)) = request.checked.sources.get(name) else { continue };
        let config = config.check().map_err(|error| anyhow!("source `{name}`: {error}"))?;
        let routes = run.core.router.routes(name);
        let (metrics, before) = (metrics.of(name), done.clone());
        let (told, progress) = crossbeam_channel::unbounded();
        let ended = run.core.commit_ended();
        // Reading waits for room in the lanes while this thread shows what has been committed.
        let read = std::thread::scope(|scope| {
            let mut go_on = |now: once::Progress| lives(&ended) && told.send(now).is_ok();
            let (config, routes, metrics) = (&config, &routes, &metrics);
            let reader =
                scope.spawn(move || once::read_once(files, name, config, routes, metrics, &mut go_on));
            while !reader.is_finished() {
                for now in progress.try_iter() {
                    done.files = before.files + now.files as u64;
                    done.bytes = before.bytes + now.bytes;
                }
                run.show(report, STEP)?;
                report.progress(&done);
            }
            reader.join().map_err(|_| anyhow!("reading the files panicked; please report this"))
        })?;
        match read {
            Ok(now) => {
                done.files = before.files + now.files as u64;
                done.bytes = before.bytes + now.bytes;
            }
            Err(error) => run.problem(report, &error.to_string()),
        }
    }
    let (files, bytes) = (done.files, done.bytes);
    let summary = run.finish(report)?;
    Ok(Summary { files, bytes, ..summary })
}

/// Scans files with all plugins.
pub fn scan(request: &ScanRequest, report: &mut dyn Report) -> anyhow::Result<Summary> {
    let mut run = Run::start(&request.checked, request.cache.clone(), report)?;
    let routes = run.core.lifecycle.all_routes().context("the scanners cannot be fed")?;
    let bound = directory::Config::new(Vec::new()).max_file_bytes.0;
    let (told, news) = crossbeam_channel::unbounded();
    let last = std::thread::scope(|scope| {
        let mut watcher = Told(told, run.core.commit_ended());
        let (paths, routes) = (&request.paths, &routes);
        let scanner = scope.spawn(move || scan_once(paths, bound, routes, &mut watcher));
        while !scanner.is_finished() {
            run.hear(&news, report);
            run.show(report, STEP)?;
        }
        scanner.join().map_err(|_| anyhow!("walking the folders panicked; please report this"))
    })?;
    run.hear(&news, report);
    let summary = run.finish(report)?;
    Ok(Summary { files: last.found, bytes: last.bytes, records: 0, ..summary })
}

/// What the walk over files tells.
enum News {
    Progress(directory::once::Progress),
    Skipped(String),
}

/// Tells it to the thread that shows it.
struct Told(Sender<News>, Receiver<Infallible>);

impl Watcher for Told {
    fn go_on(&mut self, progress: &directory::once::Progress) -> bool {
        lives(&self.1) && self.0.send(News::Progress(progress.clone())).is_ok()
    }

    fn skipped(&mut self, path: &Path, reason: &Unscannable) {
        // Nobody listens any more only when the run ends with an error of its own.
        let _ = self.0.send(News::Skipped(format!("{}: {reason}", path.display())));
    }
}

/// Whether the thread that commits does. Without it plugins take nothing more, and nobody would wait for room
/// with success.
fn lives(ended: &Receiver<Infallible>) -> bool {
    ended.try_recv() == Err(TryRecvError::Empty)
}

/// A core that is thrown away, and the place in its journal up to which results were shown.
struct Run {
    core: Core,
    drain: Drain,
    summary: Summary,
}

impl Run {
    /// Starts the plugins. One that is rejected is a problem; without any there is nothing to do.
    fn start(checked: &Checked, cache: PathBuf, report: &mut dyn Report) -> anyhow::Result<Self> {
        let folders = Folders { data: checked.data_dir.clone(), cache };
        let mut core = Core::start(checked, &folders, Registry::new())?;
        // Nothing is exchanged in a run: what workers tell ends here.
        core.heard = crossbeam_channel::never();
        let drain = core.committer.drain(core.committer.tail().first());
        let sources = brings(checked);
        let started = core.lifecycle.start(&wanted(checked, &sources, &|path| place(checked, path)));
        let mut summary = Summary::default();
        if let Err(rejections) = started {
            for (plugin, reason) in &rejections.0 {
                report.problem(&format!("plugin `{plugin}`: {reason}"));
                summary.problems += 1;
            }
            if rejections.0.len() == checked.plugins.len() {
                bail!("no plugin can be run");
            }
        }
        Ok(Self { core, drain, summary })
    }

    /// Shows progress and what was left out.
    fn hear(&mut self, news: &Receiver<News>, report: &mut dyn Report) {
        let mut last = None;
        for news in news.try_iter() {
            match news {
                News::Progress(now) => last = Some(now),
                News::Skipped(problem) => self.problem(report, &problem),
            }
        }
        if let Some(now) = last {
            let (files, bytes, current) = (now.done, now.bytes, Some(now.path));
            report.progress(&Progress {
                bytes,
                total_bytes: None,
                files,
                total_files: Some(now.found),
                current,
            });
        }
    }

    fn problem(&mut self, report: &mut dyn Report, problem: &str) {
        report.problem(problem);
        self.summary.problems += 1;
    }

    /// Shows what has been committed since the last time; waits for it at most this long.
    fn show(&mut self, report: &mut dyn Report, wait: Duration) -> anyhow::Result<()> {
        let mut wait = wait;
        while let Some((_, frames)) = self.drain.next_frames(wait)? {
            wait = Duration::ZERO;
            for frame in &frames {
                report.frame(frame).context("the results cannot be written")?;
            }
        }
        Ok(())
    }

    /// Lets the plugins finish, and shows the rest.
    fn finish(mut self, report: &mut dyn Report) -> anyhow::Result<Summary> {
        for plugin in self.core.lifecycle.drain(PATIENCE) {
            let what = "its thread ended by a bug of the agent, and what it had not finished has no results";
            self.problem(report, &format!("plugin `{plugin}`: {what}; please report this"));
        }
        self.show(report, Duration::ZERO)?;
        let plugins = self.core.lifecycle.statuses().all();
        let counts = plugins.iter().map(|plugin| self.core.workers.counts(&plugin.name));
        self.summary.records = counts.map(|counts| counts.records + counts.passed_over).max().unwrap_or(0);
        let stopped: Stopped = self.core.stop_plugins(Duration::ZERO);
        stopped.close()?;
        Ok(self.summary)
    }
}
