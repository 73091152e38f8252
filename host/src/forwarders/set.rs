//! All configured forwarders: starting, changing and stopping them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::drain::{self, Deps, Drain};
use super::file::{self, FileForwarder};
use super::forwarder::Forwarder;

/// One forwarder's section of the configuration; `kind` says which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Config {
    /// See [`file::Config`].
    File(file::Config),
}

impl Config {
    fn forwarder(&self) -> Box<dyn Forwarder> {
        match self {
            Self::File(config) => Box::new(FileForwarder::new(config.clone())),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
        }
    }

    /// The file that it writes.
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::File(config) => &config.path,
        }
    }
}

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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ForwarderStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Its kind in the configuration.
    pub kind: &'static str,
    /// How far it has come and what it last failed with.
    #[serde(flatten)]
    pub drain: drain::Status,
}

/// The forwarders that run.
pub struct Forwarders {
    deps: Deps,
    config: drain::Config,
    running: BTreeMap<String, (Config, Drain)>,
}

impl Forwarders {
    /// Checks a set of configurations without starting anything.
    pub fn check(configs: &BTreeMap<String, Config>) -> Result<(), StartError> {
        let mut paths: BTreeMap<&PathBuf, &String> = BTreeMap::new();
        if configs.contains_key(drain::ARCHIVE) {
            return Err(StartError::ReservedName);
        }
        for (name, config) in configs {
            if let Some(first) = paths.insert(config.path(), name) {
                let (first, second, path) = (first.clone(), name.clone(), config.path().clone());
                return Err(StartError::SamePath { first, second, path });
            }
        }
        Ok(())
    }

    /// Starts a forwarder for each configuration.
    pub fn start(
        configs: BTreeMap<String, Config>,
        config: drain::Config,
        deps: Deps,
    ) -> Result<Self, StartError> {
        let mut forwarders = Self { deps, config, running: BTreeMap::new() };
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
            let drain = Drain::start(&name, config.forwarder(), self.config.clone(), self.deps.clone())
                .map_err(error)?;
            self.running.insert(name, (config, drain));
        }
        Ok(())
    }

    /// How each is doing, by name.
    pub fn status(&self) -> Vec<ForwarderStatus> {
        let status = |(name, (config, drain)): (&String, &(Config, Drain))| ForwarderStatus {
            name: name.clone(),
            kind: config.kind(),
            drain: drain.status(),
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
    }
}
