//! What the operator says about plugins: which component, what it reads, what it may do, how much
//! it may use; and how the agent loads, watches and supervises all of them.
//!
//! Plain data with its defaults. Reading it from text and checking it is the work of `config`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selector::Selector;
use crate::model::{ByteSize, Span};

/// One plugin, as the operator wrote it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PluginConfig {
    /// The component's file. A relative path counts from `plugin_dir`. Absent: `NAME.wasm`.
    #[schemars(with = "Option<String>")]
    pub component: Option<PathBuf>,
    /// The sources whose records or files the plugin gets, by their names in `[sources]`. An alert rule
    /// needs none.
    pub sources: Vec<String>,
    /// A folder of files for the plugin (rules, signatures), or one such file. A relative path counts from
    /// `plugin_dir`. A change of any of them makes a new generation.
    #[schemars(with = "Option<String>")]
    pub assets: Option<PathBuf>,
    /// What the plugin may do beyond reading its input. A component that imports an interface that is
    /// not granted here is refused.
    pub grants: GrantsConfig,
    /// How much the plugin may use.
    pub limits: LimitsConfig,
    /// The plugin's own settings, as its README describes them. They are handed to it as JSON.
    pub config: serde_json::Map<String, serde_json::Value>,
}

/// What a plugin may do beyond reading its input, its assets and the time, and writing log lines.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GrantsConfig {
    /// A key-value store of the plugin's own and its quota, such as `"16MiB"`. Absent: none.
    pub state: Option<ByteSize>,
    /// Recent samples of the node: `true` for all, or a list of selectors that bound what can be
    /// seen, such as `["node_load1", '{__name__=~"node_memory_.*"}']`.
    #[schemars(with = "SeriesShape")]
    pub series: SeriesGrant,
}

/// The shapes of `series` for the reference.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only describes the shapes that the deserialiser of SeriesGrant reads")]
enum SeriesShape {
    All(bool),
    Some(Vec<String>),
}

/// Which samples a plugin may see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SeriesGrant {
    /// None.
    #[default]
    Nothing,
    /// All of them.
    All,
    /// Those that one of the selectors matches.
    Selected(Vec<Selector>),
}

impl Serialize for SeriesGrant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => serializer.serialize_bool(false),
            Self::All => serializer.serialize_bool(true),
            Self::Selected(selectors) => serializer.collect_seq(selectors.iter().map(Selector::to_string)),
        }
    }
}

impl<'de> Deserialize<'de> for SeriesGrant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = SeriesGrant;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`true`, `false` or a list of selectors")
            }
            fn visit_bool<E>(self, all: bool) -> Result<SeriesGrant, E> {
                Ok(if all { SeriesGrant::All } else { SeriesGrant::Nothing })
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<SeriesGrant, A::Error> {
                let mut selectors = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    selectors.push(text.parse().map_err(serde::de::Error::custom)?);
                }
                Ok(SeriesGrant::Selected(selectors))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// How much one plugin may use. A call that goes over a limit fails with an error that names it, and
/// costs the plugin its instance; other plugins do not notice.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Linear memory of the instance, all its memories together. At least one page of 64 KiB.
    pub memory: ByteSize,
    /// Elements of the instance's tables, all of them together.
    pub table_elements: u32,
    /// Core instances that one component may be made of; a Rust guest needs up to six.
    pub instances: u32,
    /// Handles of resources alive at one time; a scan needs one.
    pub handles: u32,
    /// How long one call may take, guest code and waiting host calls alike.
    pub call_deadline: Span,
    /// How long `configure`, `restore` and `snapshot` may take: they may read rules and build automata.
    pub configure_deadline: Span,
    /// What one call may return, in bytes.
    pub output: ByteSize,
    /// Findings that one call may return.
    pub findings: u32,
    /// Log lines a second. Lines above it are dropped and counted.
    pub log_rate: u32,
    /// Log lines that may come at once before `log_rate` bounds them.
    pub log_burst: u32,
    /// Label sets of the plugin's own counters, histograms and samples, in each generation; what alert rules record does
    /// not count.
    pub label_sets: u32,
    /// What one call may write to `state`, keys and values together.
    pub state_writes: ByteSize,
    /// Samples that one `select` of the `series` interface may return.
    pub series_samples: u64,
    /// The snapshot that carries the plugin's memory over to its next instance.
    pub snapshot: ByteSize,
    /// The time between two snapshots of a plugin that works.
    pub snapshot_interval: Span,
    /// Alerts that may hold at once, for each rule.
    pub alerts: u32,
    /// Records that may wait for the plugin. Beyond it sources keep the plugin's place and read for it
    /// later; nothing is dropped here.
    pub queue: ByteSize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            memory: ByteSize(64 << 20),
            table_elements: 20_000,
            instances: 32,
            handles: 1000,
            call_deadline: Span::seconds(2),
            configure_deadline: Span::seconds(10),
            output: ByteSize(1 << 20),
            findings: 1000,
            log_rate: 100,
            log_burst: 1000,
            label_sets: 1000,
            state_writes: ByteSize(4 << 20),
            series_samples: 1_000_000,
            snapshot: ByteSize(16 << 20),
            snapshot_interval: Span::seconds(5),
            alerts: 1000,
            queue: ByteSize(8 << 20),
        }
    }
}

/// How changed files become new generations.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReloadConfig {
    /// Whether changes of the configuration, of components and of assets are noticed by themselves.
    /// Without it only SIGHUP and `POST /-/reload` load them.
    pub watch: bool,
    /// How long nothing may have changed before changes are loaded, also when a reload is asked for; 3 s at
    /// most. What changes within that time becomes active together. What does not come to rest within 10 s is
    /// not loaded.
    pub settle: Span,
    /// How often the files are looked at in case the kernel did not tell of a change (network file
    /// systems do not).
    pub poll: Span,
}

impl Default for ReloadConfig {
    fn default() -> Self {
        Self { watch: true, settle: Span(std::time::Duration::from_millis(300)), poll: Span::seconds(10) }
    }
}

/// Bounds of the child process that compiles components.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CompileConfig {
    /// The largest component file that is looked at; 64 MiB at most.
    pub component: ByteSize,
    /// Memory that compiling one component may take.
    pub memory: ByteSize,
    /// How long compiling one component may take.
    pub time: Span,
}

impl Default for CompileConfig {
    fn default() -> Self {
        Self { component: ByteSize(64 << 20), memory: ByteSize(1 << 30), time: Span::seconds(60) }
    }
}

/// What happens to a plugin that keeps failing. A change takes effect when the agent is started again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SupervisionConfig {
    /// Failures in a row after which the plugin rests (its circuit opens).
    pub failures: u32,
    /// How long it rests the first time. Each further time doubles it, with some jitter.
    pub rest: Span,
    /// The longest rest.
    pub longest_rest: Span,
}

impl Default for SupervisionConfig {
    fn default() -> Self {
        Self { failures: 5, rest: Span::seconds(1), longest_rest: Span::seconds(300) }
    }
}

/// One plugin, checked: paths are absolute, sources exist, values are in their ranges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plugin {
    /// Its name: 1 to 64 of `a` to `z`, `0` to `9`, `-` and `_`.
    pub name: String,
    /// The component's file.
    pub component: PathBuf,
    /// Names of configured sources, each once.
    pub sources: Vec<String>,
    /// The folder or file of its assets.
    pub assets: Option<PathBuf>,
    /// See [`GrantsConfig`].
    pub grants: GrantsConfig,
    /// See [`LimitsConfig`].
    pub limits: LimitsConfig,
    /// A JSON object.
    pub config: serde_json::Value,
}

impl Plugin {
    /// What the generation's digest covers of the configuration: the same bytes for the same meaning,
    /// wherever the files lie.
    pub fn fingerprint(&self) -> Vec<u8> {
        let facts: BTreeMap<&str, serde_json::Value> = [
            ("config", self.config.clone()),
            ("grants", serde_json::json!(self.grants)),
            ("limits", serde_json::json!(self.limits)),
            ("sources", serde_json::json!(self.sources)),
        ]
        .into();
        serde_json::to_vec(&facts).expect("a map with text keys is always JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of a configuration with its defaults.
    fn keys(of: &impl Serialize) -> Vec<String> {
        let value = serde_json::json!(of);
        value.as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
    }

    #[test]
    fn every_setting_that_messages_and_metrics_of_the_sandbox_name_is_a_key() {
        let (limits, grants) = (keys(&LimitsConfig::default()), keys(&GrantsConfig::default()));
        let known = |key: &str| match key.split_once('.') {
            Some(("limits", key)) => limits.iter().any(|known| known == key),
            Some(("grants", key)) => grants.iter().any(|known| known == key),
            // `config` is above this module; its own tests know `agent.memory`.
            _ => key == "agent.memory",
        };
        for key in picket_sandbox::keys::ALL {
            assert!(known(key), "`{key}` is named in messages and cannot be set");
        }
    }
}
