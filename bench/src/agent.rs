//! The agent as a process to measure: its configuration, its start, and what its metrics say.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::Setting;
use crate::process::Daemon;

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

/// An address that nobody listens on.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The body of a page, if the answer is 200.
fn get(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
        Some((head, _)) => bail!("{path}: {}", head.lines().next().unwrap_or_default()),
        None => bail!("{path}: the answer is cut"),
    }
}

fn sum(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let mut found = None;
    for line in text.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let Some((series, value)) = rest.rsplit_once(' ') else { continue };
        let is_it = series.is_empty() || series.starts_with('{');
        if is_it && labels.iter().all(|label| series.contains(label)) {
            *found.get_or_insert(0.0) += value.parse::<f64>().ok()?;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_series() {
        let text = "# HELP a_total b\na_total{plugin=\"x\",s=\"1\"} 2\na_total{plugin=\"x\",s=\"2\"} 3.5\n\
                    a_total{plugin=\"y\"} 10\na_total_more 7\n";
        assert_eq!(sum(text, "a_total", &["plugin=\"x\""]), Some(5.5));
        assert_eq!(sum(text, "a_total", &[]), Some(15.5));
        assert_eq!(sum(text, "a_total", &["plugin=\"z\""]), None);
        assert_eq!(sum(text, "a_total_more", &[]), Some(7.0));
    }
}
