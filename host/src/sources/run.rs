//! Starts, changes and stops the configured sources.
//!
//! All `file` sources share a thread; sources of the other kinds have one each, since they wait for disks, scanners
//! and targets.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::anew::Anew;
use super::directory::source::{DirectorySource, ScanLog};
use super::file::source::FileSource;
use super::file::thread::FileThread;
use super::metrics::Metrics;
use super::sink::SampleSink;
use super::status::{SourceStatus, StatusBoard};
use super::{directory, file, host, prometheus};
use crate::model::{Digest, now_nanos};
use crate::pipeline::route::Router;

/// The settings of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SourceConfig {
    /// Records from files.
    File(file::Config),
    /// Files for scanners.
    Directory(directory::Config),
    /// The machine's own metrics.
    Host(host::Config),
    /// Metrics of targets.
    Prometheus(Box<prometheus::Config>),
}

impl SourceConfig {
    /// Its `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Directory(_) => "directory",
            Self::Host(_) => "host",
            Self::Prometheus(_) => "prometheus",
        }
    }

    /// Checks everything that can be checked without looking at the machine, for `picket check`.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.checked().map(|_| ())
    }

    fn checked(&self) -> Result<Checked, ConfigError> {
        Ok(match self {
            Self::File(config) => Checked::File(config.check()?),
            Self::Directory(config) => Checked::Directory(config.check()?),
            Self::Host(config) => Checked::Host(config.check()?),
            Self::Prometheus(config) => Checked::Prometheus(Box::new(config.check()?)),
        })
    }
}

enum Checked {
    File(file::config::Checked),
    Directory(directory::config::Checked),
    Host(host::config::Checked),
    Prometheus(Box<prometheus::config::Checked>),
}

impl Checked {
    fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Directory(_) => "directory",
            Self::Host(_) => "host",
            Self::Prometheus(_) => "prometheus",
        }
    }
}

/// A setting of a source cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Of a `file` source.
    #[error(transparent)]
    File(#[from] file::config::ConfigError),
    /// Of a `directory` source.
    #[error(transparent)]
    Directory(#[from] directory::config::ConfigError),
    /// Of a `host` source.
    #[error(transparent)]
    Host(#[from] host::config::ConfigError),
    /// Of a `prometheus` source.
    #[error(transparent)]
    Prometheus(#[from] prometheus::ConfigError),
}

/// Sources cannot be started or changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be used; nothing was changed.
    #[error("[sources.{name}]: {reason}")]
    Config {
        /// The source.
        name: String,
        /// Why.
        #[source]
        reason: ConfigError,
    },
    /// The system gives no thread.
    #[error("no thread can be started for source `{name}`: {error}; raise the limit of processes")]
    Thread {
        /// The source.
        name: String,
        /// The system's words.
        #[source]
        error: io::Error,
    },
}

/// Checkpoints cannot be read now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the checkpoints cannot be read: {reason}")]
pub struct CheckpointsUnreadable {
    /// The store's words.
    pub reason: String,
}

/// The checkpoints that are committed.
pub trait Checkpoints: Send + Sync {
    /// All of a plugin in a source, by stream, without those that are damaged. On an error nothing is
    /// known of where the plugin is: it has to wait.
    fn load(&self, plugin: &str, source: &str) -> Result<Vec<(Digest, Vec<u8>)>, CheckpointsUnreadable>;
    /// The stream's file has been gone for long: its checkpoint can be deleted.
    fn forget(&self, plugin: &str, source: &str, stream: &Digest);
}

/// What sources need of the agent.
#[derive(Clone)]
pub struct Deps {
    /// Which plugins they feed.
    pub router: Arc<Router>,
    /// Where plugins go on in files.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// Where samples go.
    pub samples: Arc<dyn SampleSink>,
    /// What was scanned.
    pub scans: Arc<dyn ScanLog>,
    /// Where to count.
    pub metrics: Metrics,
}

/// All running sources.
pub struct Sources {
    deps: Deps,
    configs: BTreeMap<String, SourceConfig>,
    files: FileThread,
    /// Those with a thread of their own.
    threads: BTreeMap<String, Running>,
    /// What the targets of `prometheus` sources had.
    memories: BTreeMap<String, prometheus::Memory>,
    status: StatusBoard,
}

struct Running {
    stop: Arc<AtomicBool>,
    /// Wakes a thread that does not sleep on the router.
    wake: Arc<Notify>,
    thread: JoinHandle<()>,
}

impl Sources {
    /// Starts the sources. Nothing is started if a setting cannot be used.
    pub fn start(configs: BTreeMap<String, SourceConfig>, deps: Deps) -> Result<Self, StartError> {
        let status = StatusBoard::default();
        let files = FileThread::start(deps.router.clone(), status.clone())
            .map_err(|error| StartError::Thread { name: "file".to_owned(), error })?;
        let mut sources = Self {
            deps,
            configs: BTreeMap::new(),
            files,
            threads: BTreeMap::new(),
            memories: BTreeMap::new(),
            status,
        };
        match sources.reconfigure(configs) {
            Ok(()) => Ok(sources),
            Err(error) => {
                sources.stop();
                Err(error)
            }
        }
    }

    /// Changes what runs; unchanged sources keep running. Nothing changes if a setting cannot be used.
    pub fn reconfigure(&mut self, configs: BTreeMap<String, SourceConfig>) -> Result<(), StartError> {
        let mut changed = Vec::new();
        for (name, config) in &configs {
            if self.configs.get(name) != Some(config) {
                let checked =
                    config.checked().map_err(|reason| StartError::Config { name: name.clone(), reason })?;
                changed.push((name.clone(), checked));
            }
        }
        let gone: Vec<String> =
            self.configs.keys().filter(|name| !configs.contains_key(*name)).cloned().collect();
        for name in gone {
            let kind = self.kind(&name);
            self.remove(&name);
            self.end_series(&name, kind);
        }
        for (name, checked) in changed {
            self.put(&name, checked)?;
            self.configs.insert(name.clone(), configs[&name].clone());
        }
        Ok(())
    }

    /// A channel that is closed when the thread of all `file` sources has ended, which it does unasked only by
    /// a panic. The other sources start their threads anew by themselves.
    pub fn files_ended(&self) -> Receiver<Infallible> {
        self.files.ended()
    }

    /// How each source is doing, by name.
    pub fn status(&self) -> Vec<SourceStatus> {
        self.status.all()
    }

    /// All that are configured, with their kinds, also those that have not begun yet.
    pub fn names(&self) -> Vec<(String, &'static str)> {
        self.configs.iter().map(|(name, config)| (name.clone(), config.kind())).collect()
    }

    /// Stops all sources. What they have read is in the lanes when this returns.
    pub fn stop(mut self) {
        let names: Vec<String> = self.threads.keys().cloned().collect();
        names.iter().for_each(|name| self.stop_thread(name));
        self.files.stop();
    }

    fn put(&mut self, name: &str, checked: Checked) -> Result<(), StartError> {
        let same_thread =
            matches!((&checked, self.configs.get(name)), (Checked::File(_), Some(SourceConfig::File(_))));
        let (was, is) = (self.kind(name), checked.kind());
        if !same_thread {
            // A `file` source is replaced in place, so that it hands over where its plugins are.
            self.remove(name);
        }
        if was != Some(is) {
            // Another source of the same kind goes on with the series; what it no longer has ends with its first samples.
            self.end_series(name, was);
        }
        match checked {
            Checked::File(config) => {
                let watch = self.deps.router.watch(name);
                let checkpoints = self.deps.checkpoints.clone();
                let metrics = self.deps.metrics.of(name);
                self.files.put(name, FileSource::new(name, config, watch, checkpoints, metrics));
                Ok(())
            }
            Checked::Directory(config) => {
                let stop = Arc::new(AtomicBool::new(false));
                let parts = directory::source::Parts {
                    name: name.to_owned(),
                    config,
                    watch: self.deps.router.watch(name),
                    router: self.deps.router.clone(),
                    log: self.deps.scans.clone(),
                    metrics: self.deps.metrics.of(name),
                    status: self.status.clone(),
                    stop: stop.clone(),
                };
                self.spawn(name, stop, Arc::default(), move || DirectorySource::new(parts.clone()).run())
            }
            Checked::Host(config) => {
                let stop = Arc::new(AtomicBool::new(false));
                let parts = host::source::Parts {
                    name: name.to_owned(),
                    config,
                    router: self.deps.router.clone(),
                    sink: self.deps.samples.clone(),
                    metrics: self.deps.metrics.of(name),
                    status: self.status.clone(),
                    stop: stop.clone(),
                };
                self.spawn(name, stop, Arc::default(), move || parts.clone().run())
            }
            Checked::Prometheus(config) => {
                let (stop, wake) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
                let metrics = self.deps.metrics.of(name);
                let parts = prometheus::source::Parts {
                    name: name.to_owned(),
                    config: config.named(name),
                    memory: self.memories.entry(name.to_owned()).or_default().clone(),
                    router: self.deps.router.clone(),
                    sink: self.deps.samples.clone(),
                    scrapes: metrics.scrapes(),
                    metrics,
                    status: self.status.clone(),
                    stop: stop.clone(),
                    wake: wake.clone(),
                };
                self.spawn(name, stop, wake, move || parts.clone().run())
            }
        }
    }

    fn spawn(
        &mut self,
        name: &str,
        stop: Arc<AtomicBool>,
        wake: Arc<Notify>,
        run: impl FnMut() + Send + 'static,
    ) -> Result<(), StartError> {
        let anew = Anew {
            name: name.to_owned(),
            stop: stop.clone(),
            router: self.deps.router.clone(),
            metrics: self.deps.metrics.of(name),
            status: self.status.clone(),
        };
        let thread = std::thread::Builder::new()
            .name(format!("source {name}"))
            .spawn(move || anew.run(run))
            .map_err(|error| StartError::Thread { name: name.to_owned(), error })?;
        self.threads.insert(name.to_owned(), Running { stop, wake, thread });
        Ok(())
    }

    fn kind(&self, name: &str) -> Option<&'static str> {
        self.configs.get(name).map(SourceConfig::kind)
    }

    /// A source of a kind is gone, and its thread has ended: so do the series that it made.
    fn end_series(&mut self, name: &str, kind: Option<&'static str>) {
        if let Some(memory) = self.memories.remove(name) {
            // What is lost is in the log; receivers take these series for ended after some minutes.
            let _ = self.deps.samples.scraped(name, memory.end(|_| true, now_nanos()));
        }
        if matches!(kind, Some("host" | "prometheus")) {
            self.deps.samples.ended(name);
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some(SourceConfig::File(_)) = self.configs.remove(name) {
            self.files.remove(name);
        }
        self.stop_thread(name);
    }

    fn stop_thread(&mut self, name: &str) {
        if let Some(running) = self.threads.remove(name) {
            running.stop.store(true, Ordering::Relaxed);
            self.deps.router.wake();
            running.wake.notify_one();
            // It outlives panics, and tells of them.
            let _ = running.thread.join();
            self.status.remove(name);
            self.deps.metrics.of(name).forget();
        }
    }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
