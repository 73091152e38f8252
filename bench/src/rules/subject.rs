//! Those that are measured, each as it is started and asked: the agent and Prometheus, with the rules and without.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Files, tree};
use crate::Setting;
use crate::agent::Home;
use crate::process::{Daemon, memory};
use crate::web::{free_address, get, sum};

/// Linear memory that the plugin may have.
pub(super) const PLUGIN_MEMORY: &str = "256MiB";
/// How long the plugin may take to read its rules.
pub(super) const CONFIGURE: &str = "1m";
/// How often a page of metrics is asked for until nothing was evaluated between two of them, and the pause between.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// Who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The agent.
    Picket,
    /// The counterpart.
    Prometheus,
}

impl Side {
    /// As the report calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Picket => "picket",
            Self::Prometheus => "prometheus",
        }
    }

    /// How long the last evaluation of each group took, summed.
    pub(super) fn duration_metric(self) -> &'static str {
        match self {
            Self::Picket => "picket_rule_group_last_duration_seconds",
            Self::Prometheus => "prometheus_rule_group_last_duration_seconds",
        }
    }

    /// Rules that could not be evaluated.
    pub(super) fn failures_metric(self) -> &'static str {
        match self {
            Self::Picket => "picket_rule_group_failures_total",
            Self::Prometheus => "prometheus_rule_evaluation_failures_total",
        }
    }

    /// Series that it holds, its own included.
    pub(super) fn series_metric(self) -> &'static str {
        match self {
            Self::Picket => "picket_series_active",
            Self::Prometheus => "prometheus_tsdb_head_series",
        }
    }

    /// What stands before the paths of Prometheus' API.
    fn api(self) -> &'static str {
        match self {
            Self::Picket => "/prometheus",
            Self::Prometheus => "",
        }
    }
}

/// One of them, running.
pub(super) struct Subject {
    pub(super) side: Side,
    /// Whether it evaluates the rules, or scrapes alone.
    pub(super) has_rules: bool,
    daemon: Daemon,
    listen: SocketAddr,
}

/// What its metrics say about the punctuality of its groups, since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Punctuality {
    /// Evaluations of all groups.
    pub(super) evaluations: f64,
    /// The times of the last one of each, summed; Unix time in seconds.
    pub(super) times: f64,
    /// Those that were left out, where that is counted.
    pub(super) missed: f64,
}

impl Subject {
    /// Starts the agent.
    pub(super) fn picket(setting: &Setting, files: &Files, has_rules: bool) -> Result<Self> {
        let home = Home::new(&files.folder.join(if has_rules { "picket" } else { "picket-alone" }))?;
        let interval = setting.load.interval;
        let mut sections = format!(
            "[series]\nmax_series = {}\n\n[sources.bench]\nkind = \"prometheus\"\ntargets_file = {:?}\n\
             interval = \"{interval}s\"\n\n",
            setting.load.max_series(),
            files.targets,
        );
        if has_rules {
            let component = setting.plugins.join("promql-rules.wasm");
            let bytes =
                fs::read(&component).with_context(|| format!("cannot read {}", component.display()))?;
            home.install("promql-rules", &bytes)?;
            sections += &format!(
                "[plugins.promql-rules]\nassets = {:?}\ngrants = {{ series = true }}\n\
                 config = {{ interval = \"{interval}s\" }}\n\
                 limits = {{ memory = \"{PLUGIN_MEMORY}\", configure_deadline = \"{CONFIGURE}\" }}\n",
                files.rules,
            );
        }
        let mut agent = home.start(setting, &sections)?;
        agent.wait_ready()?;
        let listen = agent.listen();
        Ok(Self { side: Side::Picket, has_rules, daemon: agent.daemon, listen })
    }

    /// Starts Prometheus from the folder that stands for `/`.
    pub(super) fn prometheus(root: &Path, setting: &Setting, files: &Files, has_rules: bool) -> Result<Self> {
        let folder = files.folder.join(if has_rules { "prometheus" } else { "prometheus-alone" });
        fs::create_dir_all(&folder)?;
        let interval = setting.load.interval;
        let rules = files.rules.join("*.yml");
        let rules = if has_rules { format!("rule_files: [{rules:?}]\n") } else { String::new() };
        let config = format!(
            "global: {{scrape_interval: {interval}s, evaluation_interval: {interval}s}}\n{rules}\
             scrape_configs:\n- job_name: bench\n  file_sd_configs: [{{files: [{:?}]}}]\n",
            files.targets
        );
        let path = folder.join("prometheus.yml");
        fs::write(&path, config)?;
        let listen = free_address()?;
        let mut command = Command::new(root.join("usr/bin/prometheus"));
        command
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg("--storage.tsdb.retention.time=1d")
            .arg(format!("--web.listen-address={listen}"));
        let mut daemon = Daemon::start(&mut command, &folder.join("log"))?;
        daemon.wait_until("it was ready", || Ok(get(listen, "/-/ready").is_ok()))?;
        Ok(Self { side: Side::Prometheus, has_rules, daemon, listen })
    }

    /// CPU time so far, in seconds.
    pub(super) fn cpu(&self) -> Result<f64> {
        tree::cpu(self.daemon.id()).with_context(|| self.called())
    }

    /// Resident memory now, in bytes.
    pub(super) fn resident(&self) -> Result<f64> {
        tree::resident(self.daemon.id()).with_context(|| self.called())
    }

    /// The most resident memory that the process itself ever had, in bytes.
    pub(super) fn peak(&self) -> Result<f64> {
        memory(self.daemon.id(), "VmHWM:")
    }

    /// The sum of a metric over all its series; 0 without any.
    pub(super) fn metric(&self, name: &str) -> Result<f64> {
        Ok(sum(&get(self.listen, "/metrics")?, name, &[]).unwrap_or_default())
    }

    /// An answer of Prometheus' API.
    pub(super) fn api(&self, path: &str) -> Result<serde_json::Value> {
        let text = get(self.listen, &format!("{}/api/v1/{path}", self.side.api()))?;
        let answer: serde_json::Value = serde_json::from_str(&text)?;
        Ok(answer["data"].clone())
    }

    /// How punctual it was so far.
    pub(super) fn punctuality(&self) -> Result<Punctuality> {
        let mut page = get(self.listen, "/metrics")?;
        if self.side == Side::Prometheus {
            let missed = sum(&page, "prometheus_rule_group_iterations_missed_total", &[]).unwrap_or_default();
            return Ok(Punctuality { missed, ..Punctuality::default() });
        }
        // A page is not made at one moment, and both sums have to be of the same one.
        let sums = |page: &str, name| sum(page, name, &[]).unwrap_or_default();
        let evaluations = |page: &str| sums(page, "picket_rule_group_evaluations_total");
        for _ in 0..TRIES {
            std::thread::sleep(PAUSE);
            let next = get(self.listen, "/metrics")?;
            if evaluations(&next) == evaluations(&page) {
                let times = sums(&page, "picket_rule_group_last_evaluation_timestamp_seconds");
                return Ok(Punctuality { evaluations: evaluations(&page), times, missed: 0.0 });
            }
            page = next;
        }
        bail!("the agent evaluates rules all the time: the load is too high for this machine")
    }

    /// Ends it.
    pub(super) fn stop(self) -> Result<()> {
        self.daemon.stop()
    }

    /// For errors.
    fn called(&self) -> String {
        let what = if self.has_rules { "with the rules" } else { "scraping alone" };
        format!("{} {what}", self.side.name())
    }
}

/// Evaluations that were left out between two looks, because the one before took longer than the interval.
pub(super) fn late(before: Punctuality, after: Punctuality, interval: u32) -> f64 {
    let due = ((after.times - before.times) / f64::from(interval)).round();
    due - (after.evaluations - before.evaluations) + after.missed - before.missed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_due_and_not_evaluated_is_late() {
        let at = |evaluations, times, missed| Punctuality { evaluations, times, missed };
        // Two groups: one was evaluated four times in a minute, one three times.
        assert_eq!(late(at(10.0, 2000.0, 0.0), at(17.0, 2120.0, 0.0), 15), 1.0);
        assert_eq!(late(at(0.0, 0.0, 3.0), at(0.0, 0.0, 5.0), 15), 2.0);
    }
}
