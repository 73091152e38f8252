//! What every plugin is, whatever its kind: it is made from a configuration, and can hand its
//! memory over to the instance that replaces it.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bindings::base::exports::picket::plugin::lifecycle as wit;
pub use crate::bindings::base::exports::picket::plugin::lifecycle::{Group, Rule, RuleKind};
use crate::metrics::{Counter, Histogram, Metrics};
use crate::{Error, Result, codec};

/// The part that all kinds share. Implement it once, and one trait for each kind besides.
///
/// The host makes an instance by [`new`](Plugin::new), gives back a snapshot if there is one, and
/// keeps it for as long as its calls succeed. An instance whose call failed is thrown away.
pub trait Plugin: Sized + 'static {
    /// The plugin's section `config`, as it stands in the agent's configuration. Keys that it does
    /// not know are errors, whether or not it says `deny_unknown_fields`. [`NoConfig`] takes none.
    type Config: DeserializeOwned;

    /// Makes the plugin: checks the configuration, reads assets, and says in `setup` what the host
    /// should know. An error rejects the generation, and the one before goes on.
    fn new(config: Self::Config, setup: &mut Setup) -> Result<Self, ConfigError>;

    /// The memory worth keeping. It is asked for every few seconds, at a swap and at shutdown, so
    /// it should be small; 16 MiB is the bound. What must not be lost belongs in
    /// [`state`](crate::state). The default keeps nothing.
    fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot::empty())
    }

    /// Takes back what [`snapshot`](Plugin::snapshot) of this or of another version gave. It is
    /// never called with an empty one. An error rejects the generation: take what can be taken.
    /// The default takes nothing.
    fn restore(&mut self, _snapshot: Snapshot) -> Result<()> {
        Ok(())
    }
}

/// The configuration of a plugin that has nothing to configure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// What the host should know of a configured plugin, and the place to make metric handles.
#[derive(Debug)]
pub struct Setup {
    pub(crate) interest: wit::Interest,
    pub(crate) groups: Vec<Group>,
    pub(crate) metrics: Metrics,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let interest = wit::Interest { literals: Vec::new(), ignore_ascii_case: false };
        Self { interest, groups: Vec::new(), metrics: Metrics::default() }
    }

    /// Narrows an analyzer's interest to records that hold one of these literals (1 to 256 bytes
    /// each, at most 4096 in all). The host looks for them natively, many times faster than a
    /// plugin could. Without this call every record is wanted.
    pub fn interest<L: AsRef<[u8]>>(&mut self, literals: impl IntoIterator<Item = L>) -> &mut Self {
        self.interest.literals = literals.into_iter().map(|literal| literal.as_ref().to_vec()).collect();
        self
    }

    /// Lets `A` to `Z` in the interest's literals match `a` to `z`, and the other way round.
    pub fn ignore_ascii_case(&mut self) -> &mut Self {
        self.interest.ignore_ascii_case = true;
        self
    }

    /// Adds a group of alert rules that is evaluated together, every `interval` (one second to one
    /// day). The name holds 1 to 512 bytes and is the plugin's only one of that name.
    pub fn group(&mut self, name: impl Into<String>, interval: Duration) -> &mut Self {
        let (name, interval) = (name.into(), nanos(interval));
        self.groups.push(Group { name, file: String::new(), interval, limit: 0, rules: Vec::new() });
        self
    }

    /// As [`group`](Self::group), with what the host shows of the group and its rules.
    pub fn shown_group(&mut self, group: Group) -> &mut Self {
        self.groups.push(group);
        self
    }

    /// A handle to a counter, for [`Report::add`](crate::Report::add). The name ends in `_total`;
    /// the host shows it as `picket_plugin_<name>`, and refuses names that it has itself (`calls_total`,
    /// `records_total` and the like: `wit/reserved-metrics.txt`). The same name and labels give the same handle.
    pub fn counter(&mut self, name: &str, labels: &[(&str, &str)]) -> Counter {
        self.metrics.counter_handle(name, labels)
    }

    /// A handle to a histogram, for [`Report::observe`](crate::Report::observe). `bounds` are the
    /// inclusive upper bounds, strictly rising, at most 64, and the same for every handle of one
    /// name; a last bucket without bound is implied.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], bounds: &[f64]) -> Histogram {
        self.metrics.histogram_handle(name, labels, bounds)
    }
}

/// Why a configuration or an asset is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigError {
    /// The place in the configuration, as keys joined by dots (`burst.limit`); empty when the cause
    /// is not one key.
    pub key: String,
    /// The asset that does not parse, if that is the cause.
    pub asset: Option<String>,
    /// The line in the asset, counted from 1; 0 when there is none.
    pub line: u32,
    /// The column in that line, counted from 1; 0 when there is none.
    pub column: u32,
    /// What is wrong and what would be right, in one sentence.
    pub message: String,
}

impl ConfigError {
    /// The value of one key is wrong; the key's path is joined by dots.
    pub fn key(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), ..Self::default() }
    }

    /// An asset does not parse; `line` counts from 1, and 0 stands for none.
    pub fn asset(asset: impl Into<String>, line: u32, message: impl Into<String>) -> Self {
        Self { asset: Some(asset.into()), line, message: message.into(), ..Self::default() }
    }

    /// The column in the line of an [`asset`](Self::asset), counted from 1.
    #[must_use]
    pub fn at_column(mut self, column: u32) -> Self {
        self.column = column;
        self
    }
}

/// Errors without a key: what `?` in [`Plugin::new`] makes of other errors.
impl<E: std::error::Error> From<E> for ConfigError {
    fn from(error: E) -> Self {
        Self { message: error.to_string(), ..Self::default() }
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(asset) = &self.asset {
            write!(f, "asset `{asset}`")?;
            match self.line {
                0 => f.write_str(": ")?,
                line if self.column == 0 => write!(f, " line {line}: ")?,
                line => write!(f, " line {line}, column {}: ", self.column)?,
            }
        }
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// A plugin's memory between two instances: any serializable value, as MessagePack with the names
/// of its fields, so that a later version can add some (with `#[serde(default)]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub(crate) bytes: Vec<u8>,
    version: String,
}

impl Snapshot {
    /// Nothing to keep.
    pub fn empty() -> Self {
        Self::from_parts(Vec::new(), String::new())
    }

    /// A snapshot of a value.
    pub fn of<T: Serialize>(value: &T) -> Result<Self> {
        Ok(Self::from_parts(codec::pack(value)?, String::new()))
    }

    /// A snapshot in a format of the plugin's own.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self::from_parts(bytes, String::new())
    }

    pub(crate) fn from_parts(bytes: Vec<u8>, version: String) -> Self {
        Self { bytes, version }
    }

    /// The value that [`of`](Snapshot::of) was given.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T> {
        codec::unpack(&self.bytes)
            .map_err(|error| Error::new(format!("the snapshot of version `{}`: {error}", self.version)))
    }

    /// The snapshot as it was stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The version of the plugin that wrote it, such as `1.4.0`.
    pub fn from_version(&self) -> &str {
        &self.version
    }
}

/// A length of time as the WIT has it; what does not fit is as good as for ever.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
