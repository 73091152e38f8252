//! What no single value shows: ranges, paths, names that refer to each other.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::checked::locate;
use super::decode::place;
use super::files::Files;
use super::problem::{Code, Problem};
use super::raw::Raw;
use super::tree::Node;
use crate::api::config::{ApiConfig, EndpointError, Endpoints};
use crate::forwarders;
use crate::lifecycle::MAX_COMPONENT_BYTES;
use crate::lifecycle::config::{LimitsConfig, Plugin, PluginConfig};
use crate::lifecycle::watch::LONGEST_SETTLE;
use crate::model::{ByteSize, Span};
use crate::sources::SourceConfig;

/// Collects problems with their places.
pub(super) struct Check<'a> {
    pub(super) tree: &'a Node,
    pub(super) files: &'a Files,
    pub(super) problems: &'a mut Vec<Problem>,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DAY: u64 = 86_400;
/// The kernel's clock for files has steps of up to so much.
const SHORTEST_SETTLE: Duration = Duration::from_millis(10);

const fn bytes(low: u64, high: u64) -> [ByteSize; 2] {
    [ByteSize(low), ByteSize(high)]
}

const fn millis(low: u64, high: u64) -> [Span; 2] {
    [Span(Duration::from_millis(low)), Span(Duration::from_millis(high))]
}

impl Check<'_> {
    /// Adds a problem at a setting's value.
    pub(super) fn fail(&mut self, path: &str, code: Code, message: impl Into<String>, help: Option<String>) {
        let node = locate(self.tree, path).unwrap_or(self.tree);
        let problem = Problem::new(code, message);
        self.problems.push(place(problem, &node.origin, path.to_owned(), help, self.files));
    }

    /// The value must lie between two bounds, both allowed.
    fn range<T: PartialOrd + Display>(&mut self, path: &str, value: T, [low, high]: [T; 2]) {
        if value < low || value > high {
            let message = format!("`{path}` is {value}, but {low} to {high} is allowed");
            self.fail(path, Code::BadValue, message, None);
        }
    }

    /// The sections whose values only have ranges.
    pub(super) fn sections(&mut self, raw: &Raw) {
        self.range("agent.memory", raw.agent.memory, bytes(MIB, 1024 * GIB));
        self.range("agent.drain", raw.agent.drain, millis(0, 3_600_000));
        self.range("api.connections", raw.api.connections, [1, 10_000]);
        self.range("api.timeout", raw.api.timeout, millis(100, 600_000));
        self.range("api.query_timeout", raw.api.query_timeout, millis(100, 120_000));
        self.range("reload.settle", raw.reload.settle, [Span(SHORTEST_SETTLE), Span(LONGEST_SETTLE)]);
        self.range("reload.poll", raw.reload.poll, millis(100, DAY * 1000));
        self.range("compile.component", raw.compile.component, bytes(KIB, MAX_COMPONENT_BYTES));
        self.range("compile.memory", raw.compile.memory, bytes(64 * MIB, 64 * GIB));
        self.range("compile.time", raw.compile.time, millis(100, 3_600_000));
        self.range("supervision.failures", raw.supervision.failures, [1, 1000]);
        self.range("supervision.rest", raw.supervision.rest, millis(10, DAY * 1000));
        self.range(
            "supervision.longest_rest",
            raw.supervision.longest_rest,
            [raw.supervision.rest, Span::seconds(DAY)],
        );
        self.range("journal.segment_bytes", raw.journal.segment_bytes, bytes(MIB, 4 * GIB));
        self.range("lanes.events_bytes", raw.lanes.events_bytes, bytes(4 * MIB, 16 * 1024 * GIB));
        self.range("lanes.events_age", raw.lanes.events_age, millis(60_000, 365 * DAY * 1000));
        self.range("lanes.samples_bytes", raw.lanes.samples_bytes, bytes(4 * MIB, 16 * 1024 * GIB));
        self.range("lanes.samples_age", raw.lanes.samples_age, millis(60_000, 365 * DAY * 1000));
        self.range("state.cache", raw.state.cache, bytes(MIB, 16 * GIB));
        self.range("series.max_series", raw.series.max_series, [1, 10_000_000]);
        // Half an hour is a file, and a store has 512 of them: ten days, with some that are written early.
        self.range("series.max_age", raw.series.max_age, millis(1000, 10 * DAY * 1000));
        self.range("series.max_memory", raw.series.max_memory, bytes(MIB, 1024 * GIB));
        self.range("series.max_disk", raw.series.max_disk, bytes(16 * MIB, 16 * 1024 * GIB));
        if let Err(error) = crate::telemetry::parse_level(&raw.log.level) {
            let help = "write a level (`error`, `warn`, `info`, `debug`, `trace`, `off`), and behind commas levels of modules, such as `info,picket::sources=debug`";
            self.fail("log.level", Code::BadValue, error.to_string(), Some(help.into()));
        }
    }

    /// A path as it counts from the folder of the file it was written in.
    pub(super) fn absolute(&self, path: &Path, setting: &str) -> PathBuf {
        let folder = locate(self.tree, setting).and_then(|node| self.files.folder(&node.origin));
        let joined = folder.map_or_else(|| path.to_owned(), |folder| folder.join(path));
        // Only fails when the working folder is gone, and then nothing relative can be found anyway.
        std::path::absolute(&joined).unwrap_or(joined)
    }

    pub(super) fn endpoints(&mut self, api: &ApiConfig, data_dir: &Path) -> Option<Endpoints> {
        let socket = api.socket.as_ref().map(|path| self.absolute(path, "api.socket"));
        let api = ApiConfig { socket, ..api.clone() };
        let fail = |check: &mut Self, path: &str, error: EndpointError| {
            check.fail(path, Code::BadValue, error.to_string(), None);
        };
        let listen = api.address().map_err(|error| fail(self, "api.listen", error));
        let socket = api.socket_path(data_dir).map_err(|error| fail(self, "api.socket", error));
        Some(Endpoints {
            listen: listen.ok()?,
            socket: socket.ok()?,
            connections: api.connections as usize,
            timeout: api.timeout.0,
            query_timeout: api.query_timeout.0,
            query_engine: api.query_engine,
        })
    }

    pub(super) fn source(&mut self, name: &str, source: &mut SourceConfig) {
        let setting = format!("sources.{name}");
        let (include, exclude) = (format!("{setting}.include"), format!("{setting}.exclude"));
        match source {
            SourceConfig::File(file) => {
                self.patterns(&mut file.include, &include, true);
                self.patterns(&mut file.exclude, &exclude, false);
            }
            SourceConfig::Directory(directory) => {
                self.patterns(&mut directory.include, &include, true);
                self.patterns(&mut directory.exclude, &exclude, false);
            }
            SourceConfig::Host(host) => {
                let shortest = Span(crate::sources::host::config::SHORTEST_INTERVAL);
                // What is too short is among the source's own mistakes.
                if host.interval >= shortest {
                    self.range(&format!("{setting}.interval"), host.interval, [shortest, Span::seconds(DAY)]);
                }
            }
            SourceConfig::Prometheus(scraped) => {
                for (key, path) in scraped.paths_mut() {
                    *path = self.absolute(path, &format!("{setting}.{key}"));
                }
                let shortest = Span(crate::sources::prometheus::config::SHORTEST_INTERVAL);
                if scraped.interval >= shortest {
                    self.range(
                        &format!("{setting}.interval"),
                        scraped.interval,
                        [shortest, Span::seconds(DAY)],
                    );
                }
            }
        }
        if let Err(error) = source.check() {
            let setting = format!("{setting}.{}", source.setting_of(&error));
            self.fail(&setting, Code::BadValue, error.to_string(), None);
        }
    }

    /// Glob patterns become absolute; those without a slash stay names, where names are meant.
    fn patterns(&mut self, patterns: &mut [String], setting: &str, names_too: bool) {
        for (index, pattern) in patterns.iter_mut().enumerate() {
            if !names_too && !pattern.contains('/') {
                continue;
            }
            let setting = format!("{setting}.{index}");
            match self.absolute(Path::new(pattern.as_str()), &setting).to_str() {
                Some(absolute) => *pattern = absolute.to_owned(),
                None => self.fail(&setting, Code::BadValue, "the pattern's folder is no UTF-8 text", None),
            }
        }
    }

    pub(super) fn forwarder(&mut self, name: &str, forwarder: &mut forwarders::Config) {
        for (key, path) in forwarder.paths_mut() {
            *path = self.absolute(path, &format!("forwarders.{name}.{key}"));
        }
        if let Err(forwarders::Unfit { key, what }) = forwarder.check() {
            let setting = format!("forwarders.{name}.{key}");
            self.fail(setting.trim_end_matches('.'), Code::BadValue, what, None);
        }
    }

    pub(super) fn plugin(
        &mut self,
        name: &str,
        raw: PluginConfig,
        plugin_dir: &Path,
        first_party: Option<&Path>,
    ) -> Plugin {
        self.limits(&format!("plugins.{name}.limits"), &raw.limits);
        if let Some(state) = raw.grants.state {
            self.range(&format!("plugins.{name}.grants.state"), state, bytes(KIB, 16 * GIB));
        }
        let file = raw.component.unwrap_or_else(|| format!("{name}.wasm").into());
        let component = match (plugin_dir.join(&file), first_party) {
            (of_operator, Some(first_party)) if !of_operator.exists() && first_party.join(&file).exists() => {
                first_party.join(&file)
            }
            (of_operator, _) => of_operator,
        };
        let sources: BTreeSet<String> = raw.sources.into_iter().collect();
        Plugin {
            name: name.to_owned(),
            component,
            sources: sources.into_iter().collect(),
            assets: raw.assets.map(|assets| plugin_dir.join(assets)),
            grants: raw.grants,
            limits: raw.limits,
            config: serde_json::Value::Object(raw.config),
        }
    }

    fn limits(&mut self, path: &str, limits: &LimitsConfig) {
        let key = |name: &str| format!("{path}.{name}");
        // One page of linear memory, and what 32 bits can address.
        self.range(&key("memory"), limits.memory, bytes(64 * KIB, 4 * GIB));
        self.range(&key("table_elements"), limits.table_elements, [1, 10_000_000]);
        self.range(&key("instances"), limits.instances, [1, 10_000]);
        self.range(&key("handles"), limits.handles, [1, 1_000_000]);
        self.range(&key("call_deadline"), limits.call_deadline, millis(10, 600_000));
        self.range(&key("configure_deadline"), limits.configure_deadline, millis(10, 600_000));
        // What one call returns and writes has to fit one commit: see `MAX_ROUND_BYTES`.
        self.range(&key("output"), limits.output, bytes(KIB, 4 * MIB));
        self.range(&key("findings"), limits.findings, [1, 8_000]);
        self.range(&key("log_rate"), limits.log_rate, [0, 1_000_000]);
        self.range(&key("log_burst"), limits.log_burst, [0, 1_000_000]);
        self.range(&key("label_sets"), limits.label_sets, [1, 1_000_000]);
        self.range(&key("state_writes"), limits.state_writes, bytes(KIB, 4 * MIB));
        self.range(&key("series_samples"), limits.series_samples, [1, 100_000_000]);
        self.range(&key("snapshot"), limits.snapshot, bytes(0, 16 * MIB));
        self.range(&key("snapshot_interval"), limits.snapshot_interval, millis(100, DAY * 1000));
        self.range(&key("alerts"), limits.alerts, [1, 1_000_000]);
        self.range(&key("queue"), limits.queue, bytes(MIB, 16 * GIB));
    }
}
