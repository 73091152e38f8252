//! The agent as a process to measure: its configuration, its start, and what its metrics say.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::Setting;
use crate::process::Daemon;
use crate::web::{free_address, get, sum};

/// A running agent with a folder of its own.
pub(crate) struct Agent {
    /// The process.
    pub(crate) daemon: Daemon,
    listen: SocketAddr,
    results: PathBuf,
}

/// Where an agent's files are.
pub(crate) struct Home {
    folder: PathBuf,
}

impl Home {
    /// An empty folder.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder.join("plugins"))?;
        Ok(Self { folder: fs::canonicalize(folder)? })
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Puts a component's bytes into the plugin folder as a whole.
    pub(crate) fn install(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let staged = self.path("plugins").join(format!("{name}.part"));
        fs::write(&staged, bytes)?;
        fs::rename(&staged, self.path("plugins").join(format!("{name}.wasm")))?;
        Ok(())
    }

    /// Starts an agent on `sections`, which say everything but where its files are.
    pub(crate) fn start(&self, setting: &Setting, sections: &str) -> Result<Agent> {
        let listen = free_address()?;
        let results = self.path("results.ndjson");
        let config = format!(
            "data_dir = {data:?}\nplugin_dir = {plugins:?}\n\n[api]\nlisten = \"{listen}\"\n\n\
             [forwarders.results]\nkind = \"file\"\npath = {results:?}\nrotate_bytes = \"64GiB\"\n\n{sections}",
            data = self.path("data"),
            plugins = self.path("plugins"),
        );
        let path = self.path("picket.toml");
        fs::write(&path, config).with_context(|| format!("cannot write {}", path.display()))?;
        let mut command = Command::new(&setting.agent);
        command.arg("run").arg("--config").arg(&path);
        let daemon = Daemon::start(&mut command, &self.path("agent.log"))?;
        Ok(Agent { daemon, listen, results })
    }
}

impl Agent {
    /// The file that its results go to.
    pub(crate) fn results(&self) -> &Path {
        &self.results
    }

    /// Waits until it says that it is ready.
    pub(crate) fn wait_ready(&mut self) -> Result<()> {
        let listen = self.listen;
        self.daemon.wait_until("it was ready", || Ok(get(listen, "/readyz").is_ok()))
    }

    /// The sum of a metric over the series that hold all these labels, each written `name="value"`. None
    /// when it does not answer or has no such series yet.
    pub(crate) fn metric(listen: SocketAddr, name: &str, labels: &[&str]) -> Option<f64> {
        sum(&get(listen, "/metrics").ok()?, name, labels)
    }

    /// Where it listens.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen
    }
}
