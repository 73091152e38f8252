//! All configured forwarders: starting, changing and stopping them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use picket_forwarders::{Description, Link};
use tokio::runtime::{Builder, Runtime};

use super::Config;
use super::drain::{self, Deps, Drain};

/// Why forwarders cannot be started as configured.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// They would cut each other's lines.
    #[error("forwarders `{first}` and `{second}` both write {}: give each its own `path`", path.display())]
    SamePath {
        /// One name.
        first: String,
        /// The other name.
        second: String,
        /// The file.
        path: PathBuf,
    },
    /// The archive's cursor has this name.
    #[error("a forwarder cannot be called `{}`: give it another name", drain::ARCHIVE)]
    ReservedName,
    /// The forwarder's loop did not start.
    #[error("forwarder `{name}` cannot be started: {source}")]
    Drain {
        /// Its name.
        name: String,
        /// Why.
        source: drain::StartError,
    },
}

/// How a forwarder is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct ForwarderStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its kind in the configuration.
    pub kind: &'static str,
    /// How far it has come and what it last failed with.
    pub drain: drain::Status,
    /// Where what was refused stands, if anything was in this run.
    pub refused_file: Option<PathBuf>,
}

/// What forwarders are told of the machine and its metrics.
#[derive(Clone)]
pub struct Surroundings {
    /// The machine's name.
    pub node: Arc<str>,
    /// What the metrics are whose samples are sent.
    pub descriptions: Arc<dyn Fn() -> Vec<Description> + Send + Sync>,
}

/// The forwarders that run.
pub struct Forwarders {
    deps: Deps,
    surroundings: Surroundings,
    running: BTreeMap<String, (Config, Drain)>,
    /// Where connections live; made for the first forwarder that has one. Behind the drains, which use it.
    runtime: Option<Runtime>,
}

impl Forwarders {
    /// Checks a set of configurations without starting anything.
    pub fn check(configs: &BTreeMap<String, Config>) -> Result<(), StartError> {
        let mut paths: BTreeMap<&Path, &String> = BTreeMap::new();
        if configs.contains_key(drain::ARCHIVE) {
            return Err(StartError::ReservedName);
        }
        for (name, config) in configs {
            let Some(path) = config.path() else { continue };
            if let Some(first) = paths.insert(path, name) {
                let (first, second, path) = (first.clone(), name.clone(), path.to_owned());
                return Err(StartError::SamePath { first, second, path });
            }
        }
        Ok(())
    }

    /// Starts a forwarder for each configuration.
    pub fn start(
        configs: BTreeMap<String, Config>,
        surroundings: Surroundings,
        deps: Deps,
    ) -> Result<Self, StartError> {
        let mut forwarders = Self { deps, surroundings, running: BTreeMap::new(), runtime: None };
        forwarders.reconfigure(configs, Duration::ZERO)?;
        Ok(forwarders)
    }

    /// Stops those that are gone or changed, giving each up to `drain_for` to send what waits, and
    /// starts the new and the changed ones, which go on from their cursors. Unchanged ones do not
    /// notice. After an error some may be missing; calling again with a good set mends that.
    pub fn reconfigure(
        &mut self,
        configs: BTreeMap<String, Config>,
        drain_for: Duration,
    ) -> Result<(), StartError> {
        Self::check(&configs)?;
        for (name, (config, drain)) in &self.running {
            if configs.get(name) != Some(config) {
                // All at once, so that many that cannot send take no longer than one.
                drain.ask_to_stop(drain_for);
            }
        }
        let old = std::mem::take(&mut self.running);
        for (name, (config, drain)) in old {
            match configs.get(&name) {
                Some(wanted) if *wanted == config => {
                    self.running.insert(name, (config, drain));
                }
                Some(_) => drop(drain.stop(drain_for)),
                None => drain.stop(drain_for).release(),
            }
        }
        for (name, config) in configs {
            if self.running.contains_key(&name) {
                continue;
            }
            let error = |source| StartError::Drain { name: name.clone(), source };
            let drain = self.drain(&name, &config).map_err(error)?;
            self.running.insert(name, (config, drain));
        }
        Ok(())
    }

    fn drain(&mut self, name: &str, config: &Config) -> Result<Drain, drain::StartError> {
        let Surroundings { node, descriptions } = self.surroundings.clone();
        let runtime = match config.needs_network() {
            true => Some(self.runtime()?),
            false => None,
        };
        let metrics = self.deps.metrics.clone();
        let named = name.to_owned();
        let wanted = config.clone();
        let make = move |stop| {
            let link = runtime.map(|runtime| {
                Link::new(runtime, &node, stop)
                    .describing(move || descriptions())
                    .timing(move |after| metrics.answered(&named, after))
            });
            wanted.forwarder(link)
        };
        Drain::start(name, Box::new(make), config.drain(&self.surroundings.node), self.deps.clone())
    }

    fn runtime(&mut self) -> std::io::Result<tokio::runtime::Handle> {
        let runtime = match self.runtime.take() {
            Some(runtime) => runtime,
            // One thread: it waits for the network, and what takes time (packing, compressing) is done by the drains.
            None => {
                Builder::new_multi_thread().worker_threads(1).thread_name("upstream").enable_all().build()?
            }
        };
        Ok(self.runtime.insert(runtime).handle().clone())
    }

    /// How each is doing, by name.
    pub fn status(&self) -> Vec<ForwarderStatus> {
        let status = |(name, (config, drain)): (&String, &(Config, Drain))| {
            let drain = drain.status();
            let refused_file = (drain.refused_frames > 0).then(|| self.deps.aside.path(name));
            ForwarderStatus { name: name.clone(), kind: config.kind(), drain, refused_file }
        };
        self.running.iter().map(status).collect()
    }

    /// Stops all of them. They send what waits side by side, for at most `drain_for`; what is left
    /// is sent after the next start.
    pub fn stop(self, drain_for: Duration) {
        for (_, drain) in self.running.values() {
            drain.ask_to_stop(drain_for);
        }
        for (_, (_, drain)) in self.running {
            let _stopped = drain.stop(drain_for);
        }
        if let Some(runtime) = self.runtime {
            // Nothing is asked of it any more.
            runtime.shutdown_background();
        }
    }
}
