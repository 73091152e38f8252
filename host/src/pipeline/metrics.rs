//! What workers count, for each plugin.

use std::time::Duration;

use prometheus::core::Collector as _;
use prometheus::{
    Counter, CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry,
};

use picket_sandbox::{Counts as Used, keys};

use crate::model::Digest;

/// Bounds of a call's duration: from an empty batch to the default deadline and beyond.
const CALL_SECONDS: [f64; 9] = [0.0001, 0.0005, 0.002, 0.01, 0.05, 0.2, 1.0, 2.0, 10.0];

/// What was counted of one plugin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    /// Files it scanned.
    pub scans: u64,
    /// Records handed to it.
    pub records: u64,
    /// Records that held none of its literals.
    pub passed_over: u64,
    /// Findings that were committed.
    pub findings: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Time that its calls took of a CPU.
    pub cpu_seconds: f64,
    /// Memory of its instance after the last call.
    pub memory_bytes: u64,
}

/// The metrics of all workers.
#[derive(Debug, Clone)]
pub struct WorkerMetrics {
    calls: IntCounterVec,
    records: IntCounterVec,
    passed_over: IntCounterVec,
    findings: IntCounterVec,
    scans: IntCounterVec,
    /// Failures without their reasons, for [`Counts`]; not exposed.
    failed: IntCounterVec,
    failures: IntCounterVec,
    evidence: IntCounterVec,
    untold: IntCounterVec,
    threads_ended: IntCounterVec,
    seconds: HistogramVec,
    cpu: CounterVec,
    memory: IntGaugeVec,
    circuit: IntGaugeVec,
    info: GaugeVec,
    limits: IntCounterVec,
    log_lines: IntCounterVec,
    cut: IntCounterVec,
    containers: IntCounterVec,
    members: IntCounterVec,
    container_bounds: IntCounterVec,
}

impl WorkerMetrics {
    /// Registers them. Their names are reserved, so that no plugin's own metric gets among them.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        fn register<C: prometheus::core::Collector + Clone + 'static>(
            registry: &Registry,
            metric: Result<C, prometheus::Error>,
        ) -> Result<C, prometheus::Error> {
            let metric = metric?;
            metric.desc().into_iter().try_for_each(|desc| check_reserved(&desc.fq_name))?;
            registry.register(Box::new(metric.clone()))?;
            Ok(metric)
        }
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let seconds =
            HistogramOpts::new("picket_plugin_call_duration_seconds", "Time of calls into the plugin.")
                .buckets(CALL_SECONDS.to_vec());
        let cpu = Opts::new("picket_plugin_cpu_seconds_total", "CPU time of calls into the plugin.");
        let info = Opts::new("picket_plugin_generation_info", "1 for the generation that serves.");
        Ok(Self {
            calls: counter("picket_plugin_calls_total", "Calls into the plugin.", &["plugin"])?,
            records: counter("picket_plugin_records_total", "Records handed to the plugin.", &["plugin"])?,
            passed_over: counter(
                "picket_plugin_records_passed_over_total",
                "Records that held none of the plugin's literals.",
                &["plugin"],
            )?,
            failures: counter(
                "picket_plugin_failures_total",
                "Calls that failed, each at the cost of the instance, by reason.",
                &["plugin", "reason"],
            )?,
            scans: counter("picket_plugin_scans_total", "Files that the plugin scanned.", &["plugin"])?,
            findings: counter("picket_plugin_findings_total", "Findings that were committed.", &["plugin"])?,
            failed: IntCounterVec::new(Opts::new("failed", "Not exposed."), &["plugin"])?,
            evidence: counter(
                "picket_plugin_evidence_total",
                "Records and files that the plugin could not process, kept as evidence.",
                &["plugin"],
            )?,
            untold: counter(
                "picket_plugin_events_dropped_total",
                "Failures and rests that the plugin's status does not show, because too many came at once.",
                &["plugin"],
            )?,
            threads_ended: counter(
                "picket_plugin_threads_ended_total",
                "Threads of the plugin that ended by a bug of the agent; each time another one took its place.",
                &["plugin"],
            )?,
            seconds: register(registry, HistogramVec::new(seconds, &["plugin"]))?,
            cpu: register(registry, CounterVec::new(cpu, &["plugin"]))?,
            memory: gauge("picket_plugin_memory_bytes", "Memory of the plugin's instance.", &["plugin"])?,
            circuit: gauge(
                "picket_plugin_circuit_open",
                "1 while the plugin rests after failures.",
                &["plugin"],
            )?,
            info: register(registry, GaugeVec::new(info, &["plugin", "generation"]))?,
            limits: counter(
                "picket_plugin_limits_met_total",
                "How often a plugin met a limit, by the setting that raises it. Of `limits.log_rate` each \
                 dropped line counts.",
                &["plugin", "limit"],
            )?,
            containers: counter(
                "picket_plugin_containers_total",
                "Containers that the plugin opened.",
                &["plugin"],
            )?,
            members: counter(
                "picket_plugin_container_members_total",
                "Members that were taken out of containers.",
                &["plugin"],
            )?,
            container_bounds: counter(
                "picket_plugin_container_bounds_met_total",
                "Containers of which not everything was taken out, by the bound that they met.",
                &["plugin", "bound"],
            )?,
            log_lines: counter("picket_plugin_log_lines_total", "Log lines of the plugin.", &["plugin"])?,
            cut: counter(
                "picket_plugin_values_cut_total",
                "Messages and label values of the plugin that were longer than their bound and were cut.",
                &["plugin"],
            )?,
        })
    }

    /// The meter of one plugin.
    pub fn plugin(&self, plugin: &str) -> PluginMeter {
        let labels = &[plugin];
        PluginMeter {
            calls: self.calls.with_label_values(labels),
            records: self.records.with_label_values(labels),
            passed_over: self.passed_over.with_label_values(labels),
            evidence: self.evidence.with_label_values(labels),
            seconds: self.seconds.with_label_values(labels),
            cpu: self.cpu.with_label_values(labels),
            memory: self.memory.with_label_values(labels),
            circuit: self.circuit.with_label_values(labels),
            plugin: plugin.to_owned(),
            serving: None,
            used: Vec::new(),
            all: self.clone(),
        }
    }

    /// What was counted of one plugin since the agent started.
    pub fn counts(&self, plugin: &str) -> Counts {
        let labels = &[plugin];
        Counts {
            scans: self.scans.with_label_values(labels).get(),
            records: self.records.with_label_values(labels).get(),
            passed_over: self.passed_over.with_label_values(labels).get(),
            findings: self.findings.with_label_values(labels).get(),
            failures: self.failed.with_label_values(labels).get(),
            cpu_seconds: self.cpu.with_label_values(labels).get(),
            memory_bytes: u64::try_from(self.memory.with_label_values(labels).get()).unwrap_or(0),
        }
    }

    /// A plugin's thread has ended by a panic.
    pub fn thread_ended(&self, plugin: &str) {
        self.threads_ended.with_label_values(&[plugin]).inc();
    }

    /// Forgets a plugin that was removed.
    pub fn forget(&self, plugin: &str) {
        for limit in keys::ALL {
            let _ = self.limits.remove_label_values(&[plugin, limit]);
        }
        // Metrics that were never touched are not there to be removed.
        for vec in [
            &self.calls,
            &self.records,
            &self.passed_over,
            &self.evidence,
            &self.untold,
            &self.threads_ended,
            &self.findings,
            &self.scans,
            &self.failed,
            &self.log_lines,
            &self.cut,
            &self.containers,
            &self.members,
        ] {
            let _ = vec.remove_label_values(&[plugin]);
        }
        for vec in [&self.memory, &self.circuit] {
            let _ = vec.remove_label_values(&[plugin]);
        }
        for (vec, label) in [(&self.failures, "reason"), (&self.container_bounds, "bound")] {
            for value in values(vec, plugin, label) {
                let _ = vec.remove_label_values(&[plugin, &value]);
            }
        }
        let _ = self.seconds.remove_label_values(&[plugin]);
        let _ = self.cpu.remove_label_values(&[plugin]);
    }
}

/// The values that a label has in a plugin's counters.
fn values(vec: &IntCounterVec, plugin: &str, label: &str) -> Vec<String> {
    let families = vec.collect();
    let metrics = families.iter().flat_map(|family| family.get_metric());
    let value_of = |metric: &prometheus::proto::Metric, name: &str| {
        let labels = metric.get_label();
        labels.iter().find(|label| label.name() == name).map(|label| label.value().to_owned())
    };
    metrics
        .filter(|metric| value_of(metric, "plugin").as_deref() == Some(plugin))
        .filter_map(|metric| value_of(metric, label))
        .collect()
}

/// A plugin reports metrics behind the same prefix: names of the agent's own are kept from it by a list.
fn check_reserved(name: &str) -> Result<(), prometheus::Error> {
    let reserved = picket_sandbox::reserved_metrics();
    match name.strip_prefix("picket_plugin_").is_some_and(|own| reserved.contains(&own)) {
        true => Ok(()),
        false => Err(prometheus::Error::Msg(format!("`{name}` is missing in wit/reserved-metrics.txt"))),
    }
}

/// What one worker counts.
pub struct PluginMeter {
    calls: IntCounter,
    records: IntCounter,
    passed_over: IntCounter,
    evidence: IntCounter,
    seconds: prometheus::Histogram,
    cpu: Counter,
    memory: IntGauge,
    circuit: IntGauge,
    plugin: String,
    serving: Option<String>,
    /// What was counted of the last two generations.
    used: Vec<(Digest, Used)>,
    all: WorkerMetrics,
}

impl PluginMeter {
    /// A call took this long and got this many records.
    pub fn called(&self, took: Duration, records: usize) {
        self.calls.inc();
        self.records.inc_by(records as u64);
        self.seconds.observe(took.as_secs_f64());
    }

    /// What a call that succeeded used.
    pub fn used(&self, cpu: Duration, memory: u64) {
        self.cpu.inc_by(cpu.as_secs_f64());
        self.memory.set(i64::try_from(memory).unwrap_or(i64::MAX));
    }

    /// Records that the plugin did not want.
    pub fn passed_over(&self, records: u64) {
        self.passed_over.inc_by(records);
    }

    /// A call failed.
    pub fn failed(&self, reason: &str) {
        self.all.failures.with_label_values(&[self.plugin.as_str(), reason]).inc();
        self.all.failed.with_label_values(&[self.plugin.as_str()]).inc();
    }

    /// A call met a limit.
    pub fn met(&self, limit: &str) {
        self.met_often(limit, 1);
    }

    fn met_often(&self, limit: &str, times: u64) {
        if times > 0 {
            self.all.limits.with_label_values(&[self.plugin.as_str(), limit]).inc_by(times);
        }
    }

    /// What all instances of a generation did up to now; what is new of it is counted.
    pub fn generation_used(&mut self, generation: &Digest, now: Used) {
        let at = self.used.iter().position(|(known, _)| known == generation);
        let before = at.map_or_else(Used::default, |at| self.used.remove(at).1);
        if before != now {
            let own = &[self.plugin.as_str()];
            self.all.log_lines.with_label_values(own).inc_by(grown(before.log_lines, now.log_lines));
            self.all.cut.with_label_values(own).inc_by(grown(before.values_cut, now.values_cut));
            self.met_often(keys::LOG_RATE, grown(before.log_dropped, now.log_dropped));
            self.met_often(keys::STATE_WRITES, grown(before.state_writes_refused, now.state_writes_refused));
            self.met_often(keys::STATE_QUOTA, grown(before.state_quota_refused, now.state_quota_refused));
            self.met_often(keys::SERIES_SAMPLES, grown(before.series_refused, now.series_refused));
        }
        self.used.push((*generation, now));
        // The one that serves and the one that may come back.
        let extra = self.used.len().saturating_sub(2);
        self.used.drain(..extra);
    }

    /// Findings were committed.
    pub fn found(&self, findings: u64) {
        self.all.findings.with_label_values(&[self.plugin.as_str()]).inc_by(findings);
    }

    /// A file was scanned.
    pub fn scanned(&self) {
        self.all.scans.with_label_values(&[self.plugin.as_str()]).inc();
    }

    /// A container was opened and gave so many members.
    pub fn unpacked(&self, members: u64) {
        self.all.containers.with_label_values(&[self.plugin.as_str()]).inc();
        self.all.members.with_label_values(&[self.plugin.as_str()]).inc_by(members);
    }

    /// A container met a bound.
    pub fn container_bound(&self, bound: &str) {
        self.all.container_bounds.with_label_values(&[self.plugin.as_str(), bound]).inc();
    }

    /// Something was kept as evidence.
    pub fn blamed(&self) {
        self.evidence.inc();
    }

    /// The lifecycle was not told of an event.
    pub fn untold(&self) {
        self.all.untold.with_label_values(&[self.plugin.as_str()]).inc();
    }

    /// The circuit opened or closed.
    pub fn circuit(&self, open: bool) {
        self.circuit.set(i64::from(open));
    }

    /// Another generation serves.
    pub fn serves(&mut self, generation: &Digest) {
        let generation = generation.to_string();
        if let Some(former) = self.serving.replace(generation.clone()) {
            let _ = self.all.info.remove_label_values(&[self.plugin.as_str(), former.as_str()]);
        }
        self.all.info.with_label_values(&[self.plugin.as_str(), generation.as_str()]).set(1.0);
    }
}

/// By how much a count has grown. One that is lower than before has begun anew: the same generation was made
/// a second time.
fn grown(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

impl Drop for PluginMeter {
    fn drop(&mut self) {
        if let Some(former) = self.serving.take() {
            let _ = self.all.info.remove_label_values(&[self.plugin.as_str(), former.as_str()]);
        }
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
