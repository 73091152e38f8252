//! The configuration, ready to use: paths are absolute, values are in their ranges, names refer to
//! something.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Options;
use super::decode::{choices, place};
use super::files::{Files, Place};
use super::problem::{Code, Problem};
use super::raw::Raw;
use super::sections::{AgentConfig, JournalConfig, SeriesConfig, StateConfig};
use super::tree::Node;
use super::{check, paths};
use crate::api::config::Endpoints;
use crate::archive;
use crate::forwarders;
use crate::lanes;
use crate::lifecycle::config::{CompileConfig, Plugin, ReloadConfig, SupervisionConfig};
use crate::sources::SourceConfig;
use crate::telemetry::LogConfig;

/// A configuration that the agent can run with.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Where the agent keeps what it must remember.
    pub data_dir: PathBuf,
    /// Where components and assets are looked for.
    pub plugin_dir: PathBuf,
    /// See [`AgentConfig`].
    pub agent: AgentConfig,
    /// See [`LogConfig`].
    pub log: LogConfig,
    /// Where the API listens.
    pub api: Endpoints,
    /// See [`ReloadConfig`].
    pub reload: ReloadConfig,
    /// See [`CompileConfig`].
    pub compile: CompileConfig,
    /// See [`SupervisionConfig`].
    pub supervision: SupervisionConfig,
    /// By name; relative paths were made absolute.
    pub sources: BTreeMap<String, SourceConfig>,
    /// By name.
    pub plugins: BTreeMap<String, Plugin>,
    /// By name; relative paths were made absolute.
    pub forwarders: BTreeMap<String, forwarders::Config>,
    /// See [`archive::Config`].
    pub archive: archive::Config,
    /// See [`lanes::Config`].
    pub lanes: lanes::Config,
    /// See [`JournalConfig`].
    pub journal: JournalConfig,
    /// See [`StateConfig`].
    pub state: StateConfig,
    /// See [`SeriesConfig`].
    pub series: SeriesConfig,
    pub(super) tree: Node,
    pub(super) files: Files,
}

impl Checked {
    /// Where a setting was written: its keys joined by dots, such as `plugins.web.config.burst.limit`.
    /// When it was not written itself, the nearest table around it; none when that is not there either.
    pub fn locate(&self, path: &str) -> Option<Place> {
        locate(&self.tree, path).map(|node| self.files.place(&node.key))
    }

    /// A problem with a setting, with its place and the line it stands in.
    pub fn problem_at(&self, path: &str, code: Code, message: impl Into<String>) -> Problem {
        let problem = Problem::new(code, message).key(path);
        match locate(&self.tree, path) {
            Some(node) => place(problem, &node.key, path.to_owned(), None, &self.files),
            None => problem,
        }
    }

    /// Whether every setting has the same value, however and wherever it is written.
    pub fn means_the_same(&self, other: &Self) -> bool {
        let paths = |of: &Self| (of.data_dir.clone(), of.plugin_dir.clone());
        paths(self) == paths(other)
            && (&self.sources, &self.plugins, &self.forwarders)
                == (&other.sources, &other.plugins, &other.forwarders)
            && (&self.agent, &self.log, &self.api, &self.reload)
                == (&other.agent, &other.log, &other.api, &other.reload)
            && (&self.compile, &self.supervision, &self.archive, &self.lanes)
                == (&other.compile, &other.supervision, &other.archive, &other.lanes)
            && (&self.journal, &self.state, &self.series) == (&other.journal, &other.state, &other.series)
    }

    /// The files that were read: the main file first.
    pub fn files(&self) -> impl Iterator<Item = &std::path::Path> {
        self.files.paths()
    }
}

/// The node of a path, or the nearest one above it that was written.
pub(super) fn locate<'a>(tree: &'a Node, path: &str) -> Option<&'a Node> {
    let mut node = tree;
    let mut found = None;
    for key in path.split('.').filter(|key| !key.is_empty()) {
        match node.child(key) {
            Some(child) => node = child,
            None => break,
        }
        found = Some(node);
    }
    found
}

/// Where the agent's socket is, if what says so is right.
pub(super) fn socket(raw: &Raw, tree: &Node, files: &Files) -> Option<PathBuf> {
    let mut problems = Vec::new();
    let mut check = check::Check { tree, files, problems: &mut problems };
    let data_dir = raw.data_dir.as_ref().map_or_else(paths::data_dir, |dir| check.absolute(dir, "data_dir"));
    check.endpoints(&raw.api, &data_dir).map(|endpoints| endpoints.socket)
}

/// Checks what was read. What is wrong is added to `problems`; the result then is of no use.
pub(super) fn check(
    raw: Raw,
    tree: Node,
    files: &Files,
    options: &Options,
    problems: &mut Vec<Problem>,
) -> Option<Checked> {
    let mut check = check::Check { tree: &tree, files, problems };
    check.sections(&raw);
    // A folder that somebody named is the only one: what is taken out of it must not come back from
    // another place.
    let first_party = match &raw.plugin_dir {
        Some(_) => None,
        None => paths::first_party_plugins(options.executable.as_deref()),
    };
    let data_dir = raw.data_dir.as_ref().map_or_else(paths::data_dir, |dir| check.absolute(dir, "data_dir"));
    let plugin_dir = raw
        .plugin_dir
        .as_ref()
        .map_or_else(|| paths::PLUGIN_DIR.into(), |dir| check.absolute(dir, "plugin_dir"));
    let api = check.endpoints(&raw.api, &data_dir);
    let mut sources = raw.sources;
    for (name, source) in &mut sources {
        check.source(name, source);
    }
    let mut forwarders = raw.forwarders;
    for (name, forwarder) in &mut forwarders {
        check.forwarder(name, forwarder);
    }
    if let Err(error) = forwarders::Forwarders::check(&forwarders) {
        check.fail("forwarders", Code::BadValue, error.to_string(), None);
    }
    let names: Vec<&String> = sources.keys().collect();
    let mut plugins = BTreeMap::new();
    for (name, plugin) in raw.plugins {
        for (index, source) in plugin.sources.iter().enumerate() {
            if !sources.contains_key(source) {
                let message = format!("there is no source `{source}`");
                let help = choices(source, &names, "here")
                    .map(|help| format!("{help}; or add a table `[sources.{source}]`"));
                check.fail(&format!("plugins.{name}.sources.{index}"), Code::UnknownName, message, help);
            }
        }
        let plugin = check.plugin(&name, plugin, &plugin_dir, first_party.as_deref());
        plugins.insert(name, plugin);
    }
    if let Some(engine) = raw.api.query_engine.as_ref().filter(|engine| !plugins.contains_key(*engine)) {
        let help = choices(engine, &plugins.keys().collect::<Vec<_>>(), "here");
        check.fail("api.query_engine", Code::UnknownName, format!("there is no plugin `{engine}`"), help);
    }
    let api = api?;
    if !problems.is_empty() {
        return None;
    }
    Some(Checked {
        data_dir,
        plugin_dir,
        agent: raw.agent,
        log: raw.log,
        api,
        reload: raw.reload,
        compile: raw.compile,
        supervision: raw.supervision,
        sources,
        plugins,
        forwarders,
        archive: raw.archive,
        lanes: raw.lanes,
        journal: raw.journal,
        state: raw.state,
        series: raw.series,
        tree,
        files: files.clone(),
    })
}
