//! The bounds of one plugin, with their defaults.
//!
//! Bounds that no operator has a reason to change are constants beside the code that keeps them.

use std::time::Duration;

/// What operators set to change a bound, as messages and metrics name it: keys below `[plugins.NAME]`,
/// but for `agent.memory`. The configuration is the agent's; a test there holds it to these names.
pub mod keys {
    /// See [`Limits::memory`](super::Limits::memory).
    pub const MEMORY: &str = "limits.memory";
    /// See [`Limits::table_elements`](super::Limits::table_elements).
    pub const TABLE_ELEMENTS: &str = "limits.table_elements";
    /// See [`Limits::instances`](super::Limits::instances).
    pub const INSTANCES: &str = "limits.instances";
    /// See [`Limits::handles`](super::Limits::handles).
    pub const HANDLES: &str = "limits.handles";
    /// See [`Limits::call_deadline`](super::Limits::call_deadline).
    pub const CALL_DEADLINE: &str = "limits.call_deadline";
    /// See [`Limits::configure_deadline`](super::Limits::configure_deadline).
    pub const CONFIGURE_DEADLINE: &str = "limits.configure_deadline";
    /// See [`Limits::output_bytes`](super::Limits::output_bytes).
    pub const OUTPUT: &str = "limits.output";
    /// See [`Limits::findings`](super::Limits::findings).
    pub const FINDINGS: &str = "limits.findings";
    /// See [`Limits::metric_label_sets`](super::Limits::metric_label_sets).
    pub const LABEL_SETS: &str = "limits.label_sets";
    /// See [`Limits::log_rate`](super::Limits::log_rate).
    pub const LOG_RATE: &str = "limits.log_rate";
    /// See [`Limits::state_write_bytes`](super::Limits::state_write_bytes).
    pub const STATE_WRITES: &str = "limits.state_writes";
    /// See [`Limits::series_samples`](super::Limits::series_samples).
    pub const SERIES_SAMPLES: &str = "limits.series_samples";
    /// See [`Limits::snapshot_bytes`](super::Limits::snapshot_bytes).
    pub const SNAPSHOT: &str = "limits.snapshot";
    /// See [`Limits::alerts`](super::Limits::alerts).
    pub const ALERTS: &str = "limits.alerts";
    /// The quota of a plugin's state.
    pub const STATE_QUOTA: &str = "grants.state";
    /// The memory that all plugins share.
    pub const AGENT_MEMORY: &str = "agent.memory";

    /// All of them.
    pub const ALL: [&str; 16] = [
        MEMORY,
        TABLE_ELEMENTS,
        INSTANCES,
        HANDLES,
        CALL_DEADLINE,
        CONFIGURE_DEADLINE,
        OUTPUT,
        FINDINGS,
        LABEL_SETS,
        LOG_RATE,
        STATE_WRITES,
        SERIES_SAMPLES,
        SNAPSHOT,
        ALERTS,
        STATE_QUOTA,
        AGENT_MEMORY,
    ];
}

/// What one plugin may use. Every bound is per instance unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all linear memories together. Default 64 MiB.
    pub memory: u64,
    /// Elements of all tables together. Default 20,000; a large Rust guest has about 1,000.
    pub table_elements: u64,
    /// Core instances that a component may be made of. Default 32; a Rust guest needs up to six.
    pub instances: u32,
    /// Handles of resources alive at one time. Default 1,000; a scan needs one.
    pub handles: u32,
    /// How long one call may take by the wall clock, waiting host calls included. Default 2 s.
    pub call_deadline: Duration,
    /// The same for making an instance, `configure`, `snapshot` and `restore`, which may parse rules
    /// or encode all of a plugin's memory. Default 10 s.
    pub configure_deadline: Duration,
    /// Bytes that one call may return: text, numbers and labels. Default 1 MiB.
    pub output_bytes: u64,
    /// Findings in one report. Default 1,000.
    pub findings: u32,
    /// Different names and label sets of counters, histograms and samples that one generation may
    /// report over its life; what rules record does not count. Default 1,000.
    pub metric_label_sets: u32,
    /// Alerts that one rule may hold at a time. Default 1,000.
    pub alerts: u32,
    /// Log lines a second, of the `log` capability, stdout and stderr together, over all instances
    /// of a generation. Lines above it are dropped and counted. Default 100.
    pub log_rate: u32,
    /// Log lines that may come at once before `log_rate` counts. Default 1,000.
    pub log_burst: u32,
    /// Bytes of keys and values that one call may write to `state`. Default 4 MiB, which leaves room
    /// in the journal's largest record.
    pub state_write_bytes: u64,
    /// Samples that one `series` call may return. Default 1,000,000.
    pub series_samples: u64,
    /// Bytes of a snapshot. Default 16 MiB.
    pub snapshot_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            table_elements: 20_000,
            instances: 32,
            handles: 1_000,
            call_deadline: Duration::from_secs(2),
            configure_deadline: Duration::from_secs(10),
            output_bytes: 1 << 20,
            findings: 1_000,
            metric_label_sets: 1_000,
            alerts: 1_000,
            log_rate: 100,
            log_burst: 1_000,
            state_write_bytes: 4 << 20,
            series_samples: 1_000_000,
            snapshot_bytes: 16 << 20,
        }
    }
}
