//! The configuration as it was written: every value has its type, nothing is checked against
//! anything else yet.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::decode::{choices, decode, place};
use super::files::Files;
use super::problem::{Code, Problem};
use super::sections::{AgentConfig, JournalConfig, SeriesConfig, StateConfig};
use super::tree::{Node, Value};
use crate::api::config::ApiConfig;
use crate::lifecycle::config::{CompileConfig, PluginConfig, ReloadConfig, SupervisionConfig};
use crate::sources::SourceConfig;
use crate::telemetry::LogConfig;
use crate::{archive, forwarders, lanes};

/// The configuration as it was written, with defaults where nothing was written.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Raw {
    /// Where the agent keeps what it must remember. Only the agent and root may write there.
    pub data_dir: Option<PathBuf>,
    /// Where components and assets are looked for, and nowhere else.
    pub plugin_dir: Option<PathBuf>,
    /// `[agent]`
    pub agent: AgentConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[api]`
    pub api: ApiConfig,
    /// `[reload]`
    pub reload: ReloadConfig,
    /// `[compile]`
    pub compile: CompileConfig,
    /// `[supervision]`
    pub supervision: SupervisionConfig,
    /// `[sources.NAME]`
    pub sources: BTreeMap<String, SourceConfig>,
    /// `[plugins.NAME]`
    pub plugins: BTreeMap<String, PluginConfig>,
    /// `[forwarders.NAME]`
    pub forwarders: BTreeMap<String, forwarders::Config>,
    /// `[archive]`
    pub archive: archive::Config,
    /// `[lanes]`
    pub lanes: lanes::Config,
    /// `[journal]`
    pub journal: JournalConfig,
    /// `[state]`
    pub state: StateConfig,
    /// `[series]`
    pub series: SeriesConfig,
}

/// The top-level settings that are no tables.
pub(super) const SINGLE: [&str; 2] = ["data_dir", "plugin_dir"];

pub(super) const TOP: [&str; 16] = [
    "data_dir",
    "plugin_dir",
    "agent",
    "log",
    "api",
    "reload",
    "compile",
    "supervision",
    "sources",
    "plugins",
    "forwarders",
    "archive",
    "lanes",
    "journal",
    "state",
    "series",
];

impl Raw {
    /// Reads all sections, each by itself, so that an error in one does not hide those of others.
    pub(super) fn decode(tree: &Node, files: &Files, problems: &mut Vec<Problem>) -> Self {
        let mut top = Top { tree, files, problems };
        top.refuse_unknown_keys();
        Self {
            data_dir: top.section("data_dir"),
            plugin_dir: top.section("plugin_dir"),
            agent: top.section("agent"),
            log: top.section("log"),
            api: top.section("api"),
            reload: top.section("reload"),
            compile: top.section("compile"),
            supervision: top.section("supervision"),
            sources: top.named("sources", |entry| {
                entry.by_kind(&[
                    ("directory", |entry| entry.read().map(SourceConfig::Directory)),
                    ("file", |entry| entry.read().map(SourceConfig::File)),
                    ("host", |entry| entry.read().map(SourceConfig::Host)),
                    ("prometheus", |entry| {
                        entry.read().map(|config| SourceConfig::Prometheus(Box::new(config)))
                    }),
                ])
            }),
            plugins: top.named("plugins", |entry| entry.read()),
            forwarders: top.named("forwarders", |entry| {
                entry.by_kind(&[
                    ("alertmanager", |entry| entry.read().map(forwarders::Config::Alertmanager)),
                    ("file", |entry| entry.read().map(forwarders::Config::File)),
                    ("fluent", |entry| entry.read().map(forwarders::Config::Fluent)),
                    ("otlp", |entry| entry.read().map(forwarders::Config::Otlp)),
                    ("remote_write", |entry| entry.read().map(forwarders::Config::RemoteWrite)),
                    ("webhook", |entry| entry.read().map(forwarders::Config::Webhook)),
                ])
            }),
            archive: top.section("archive"),
            lanes: top.section("lanes"),
            journal: top.section("journal"),
            state: top.section("state"),
            series: top.section("series"),
        }
    }
}

/// The whole tree.
struct Top<'a> {
    tree: &'a Node,
    files: &'a Files,
    problems: &'a mut Vec<Problem>,
}

impl Top<'_> {
    fn refuse_unknown_keys(&mut self) {
        for (key, node) in self.tree.table().into_iter().flatten() {
            if !TOP.contains(&key.as_str()) {
                let problem = Problem::new(Code::UnknownKey, format!("unknown key `{key}`"));
                let help = choices(key, &TOP, "here");
                self.problems.push(place(problem, &node.key, key.clone(), help, self.files));
            }
        }
    }

    fn section<T: DeserializeOwned + Default>(&mut self, key: &str) -> T {
        match self.tree.child(key) {
            Some(node) => decode(node, &[key.to_owned()], self.files, self.problems).unwrap_or_default(),
            None => T::default(),
        }
    }

    /// The tables below a section, each read by itself; those that cannot be read are left out.
    fn named<T>(
        &mut self,
        section: &str,
        mut read: impl FnMut(&mut Entry<'_>) -> Option<T>,
    ) -> BTreeMap<String, T> {
        let Some(node) = self.tree.child(section) else { return BTreeMap::new() };
        let Value::Table(table) = &node.value else {
            let message = format!("`{section}` should be tables with a name, such as `[{section}.web]`");
            let problem = Problem::new(Code::WrongType, message);
            self.problems.push(place(problem, &node.origin, section.to_owned(), None, self.files));
            return BTreeMap::new();
        };
        let mut values = BTreeMap::new();
        for (name, node) in table {
            let path = [section.to_owned(), name.clone()];
            let mut entry = Entry { node: node.clone(), path, files: self.files, problems: self.problems };
            entry.check_name(name);
            if let Some(value) = read(&mut entry) {
                values.insert(name.clone(), value);
            }
        }
        values
    }
}

/// One named table of a section.
struct Entry<'a> {
    node: Node,
    path: [String; 2],
    files: &'a Files,
    problems: &'a mut Vec<Problem>,
}

/// Reads an entry whose kind is known.
type Reader<T> = fn(&mut Entry<'_>) -> Option<T>;

/// Longer names make metrics and paths unwieldy.
const MAX_NAME: usize = 64;

impl Entry<'_> {
    fn check_name(&mut self, name: &str) {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !starts_well || name.len() > MAX_NAME || !name.chars().all(allowed) {
            let help = format!(
                "a name has 1 to {MAX_NAME} of the characters a to z, 0 to 9, `-` and `_`, and begins with a letter or digit"
            );
            let problem =
                Problem::new(Code::BadValue, format!("`{name}` cannot be a name in `{}`", self.path[0]));
            self.problems.push(place(problem, &self.node.key, self.path.join("."), Some(help), self.files));
        }
    }

    fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        decode(&self.node, &self.path, self.files, self.problems)
    }

    /// Takes the key `kind` out and reads the rest as that kind. Kinds are read here and not by serde,
    /// which would forget the keys' places on the way.
    fn by_kind<T>(&mut self, kinds: &[(&str, Reader<T>)]) -> Option<T> {
        let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
        let key = format!("{}.kind", self.path.join("."));
        let Value::Table(table) = &mut self.node.value else {
            let problem =
                Problem::new(Code::WrongType, format!("`{}` should be a table", self.path.join(".")));
            self.problems.push(place(problem, &self.node.origin, self.path.join("."), None, self.files));
            return None;
        };
        let Some(kind) = table.remove("kind") else {
            let problem =
                Problem::new(Code::MissingKey, format!("`{}` lacks the key `kind`", self.path.join(".")));
            let help = choices("", &names, "as its value");
            self.problems.push(place(problem, &self.node.key, self.path.join("."), help, self.files));
            return None;
        };
        let (Value::String(text) | Value::Open(text)) = &kind.value else {
            let problem = Problem::new(Code::WrongType, format!("`{key}` should be text"));
            let help = choices("", &names, "as its value");
            self.problems.push(place(problem, &kind.origin, key, help, self.files));
            return None;
        };
        match kinds.iter().find(|(name, _)| name == text) {
            Some((_, read)) => read(self),
            None => {
                let problem = Problem::new(Code::BadValue, format!("`{key}` cannot be `{text}`"));
                let help = choices(text, &names, "as its value");
                self.problems.push(place(problem, &kind.origin, key, help, self.files));
                None
            }
        }
    }
}
