//! The agent as a child process: started, watched, stopped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::progress;

/// How long the agent may take to drain before it is killed.
const DRAIN: Duration = Duration::from_secs(30);

/// A running agent. Dropped, it is killed.
pub(super) struct Agent {
    child: Child,
    /// Where its own log lines go.
    pub log: PathBuf,
}

impl Agent {
    /// Starts `picket run` with a configuration.
    pub(super) fn start(program: &Path, config: &Path, log: &Path) -> Result<Self> {
        let lines = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(config).stdin(Stdio::null());
        command.stdout(lines.try_clone()?).stderr(lines);
        let child = command.spawn().with_context(|| format!("cannot start {}", progress::shown(&command)))?;
        Ok(Self { child, log: log.to_path_buf() })
    }

    /// Fails when the agent has ended by itself, with the end of its log.
    pub(super) fn check_alive(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n  ");
        bail!("the agent ended with {status}; {} ends with\n  {last}", self.log.display());
    }

    /// Lets it drain, and kills it when that takes too long.
    pub(super) fn stop(&mut self) -> Result<()> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().context("cannot start kill")?;
        let started = Instant::now();
        while asked.success() && started.elapsed() < DRAIN {
            if let Some(status) = self.child.try_wait()? {
                if !status.success() {
                    bail!("the agent ended with {status}; its log is {}", self.log.display());
                }
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.kill()?;
        self.child.wait()?;
        bail!(
            "the agent did not drain within {} s and was killed; its log is {}",
            DRAIN.as_secs(),
            self.log.display()
        )
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
