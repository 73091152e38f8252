//! The configuration of a run without a daemon: the operator's own or the built-in one, cut down to the
//! files and plugins of this run.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use globset::GlobBuilder;
use tempfile::TempDir;

use super::Failure;
use super::global::Global;
use crate::config::{self, Checked, Flag, Options};
use crate::lifecycle::config::{GrantsConfig, LimitsConfig, Plugin, SeriesGrant};
use crate::model::ByteSize;
use crate::sources::{SourceConfig, file};

/// Which plugins a run uses.
#[derive(Debug, Clone, Args)]
pub(super) struct PluginChoice {
    /// Use only these plugins: names in the configuration, or component files (`.wasm`).
    #[arg(long = "plugin", value_name = "NAME|FILE")]
    only: Vec<String>,
    /// Where components are looked for, and nowhere else. [default: $PICKET_PLUGIN_DIR, else
    /// /etc/picket/plugins, then beside the program, then /usr/lib/picket/plugins]
    #[arg(long, value_name = "FOLDER")]
    plugin_dir: Option<PathBuf>,
}

/// The variable that names the folder of plugins.
const FOLDER_VARIABLE: &str = "PICKET_PLUGIN_DIR";

/// The source for files that no pattern of the configuration matches.
const OTHER: &str = "given-files";

/// State of a plugin that was named by its file; whoever names it trusts it with a temporary folder.
const AD_HOC_STATE: ByteSize = ByteSize(64 << 20);

/// A configuration for one run, and the folder that lives as long as it.
pub(super) struct OneShot {
    pub(super) checked: Checked,
    pub(super) folder: TempDir,
    /// The files of an `analyze` by the source that they are read as.
    pub(super) files: BTreeMap<String, Vec<PathBuf>>,
    /// Nobody named a configuration.
    is_built_in: bool,
    /// Somebody named the folder of plugins.
    is_folder_named: bool,
    /// Plugins that were named by their file: they get everything.
    by_file: BTreeSet<String>,
}

impl OneShot {
    /// Reads the configuration that was named, else the built-in one.
    pub(super) fn load(global: &Global, choice: &PluginChoice) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().context("no temporary folder can be made")?;
        let mut options = global.options();
        if let Some(plugin_dir) = &choice.plugin_dir {
            let value = std::path::absolute(plugin_dir)?.to_string_lossy().into_owned();
            options.flags.push(Flag { key: "plugin_dir".into(), value, name: "--plugin-dir" });
        }
        let is_built_in = global.config.is_none();
        let of_environment = |(name, _): &(OsString, OsString)| name == FOLDER_VARIABLE;
        let is_folder_named = choice.plugin_dir.is_some() || options.environment.iter().any(of_environment);
        let mut checked = match is_built_in {
            true => built_in(options)?,
            false => config::load(&options)?,
        };
        checked.data_dir = folder.path().join("data");
        checked.forwarders.clear();
        let mut one_shot = Self {
            checked,
            folder,
            files: BTreeMap::new(),
            is_built_in,
            is_folder_named,
            by_file: BTreeSet::new(),
        };
        one_shot.choose(&choice.only)?;
        Ok(one_shot)
    }

    /// Keeps the plugins that were asked for; adds those that were named by a file.
    fn choose(&mut self, only: &[String]) -> Result<(), Failure> {
        if only.is_empty() {
            return Ok(());
        }
        let mut chosen = BTreeMap::new();
        for name in only {
            let plugin = match self.checked.plugins.get(name) {
                Some(plugin) => plugin.clone(),
                None if name.ends_with(".wasm") => {
                    let plugin = ad_hoc(Path::new(name))?;
                    self.by_file.insert(plugin.name.clone());
                    plugin
                }
                None => {
                    let known: Vec<&str> = self.checked.plugins.keys().map(String::as_str).collect();
                    return Err(Failure::Usage(format!(
                        "there is no plugin `{name}`; there are {}, or name a component's file",
                        known.join(", ")
                    )));
                }
            };
            chosen.insert(plugin.name.clone(), plugin);
        }
        self.checked.plugins = chosen;
        Ok(())
    }

    /// Cuts down to analyzers and these files. Each file goes where its source's patterns would send it,
    /// with that source's framing and labels; a file that none matches goes to every analyzer.
    pub(super) fn analyze(&mut self, files: &[PathBuf]) -> anyhow::Result<()> {
        let sources = std::mem::take(&mut self.checked.sources);
        let mut rest: BTreeSet<&PathBuf> = files.iter().collect();
        let mut reads_files = BTreeSet::new();
        for (name, source) in sources {
            let SourceConfig::File(config) = source else { continue };
            let matching: Vec<&PathBuf> =
                files.iter().filter(|file| matches(&config.include, file)).collect();
            matching.iter().for_each(|file| {
                rest.remove(file);
            });
            reads_files.insert(name.clone());
            if !matching.is_empty() {
                self.files.insert(name.clone(), matching.iter().map(|file| (*file).clone()).collect());
                let config = literally(config, &matching)?;
                self.checked.sources.insert(name, SourceConfig::File(config));
            }
        }
        let by_file = std::mem::take(&mut self.by_file);
        self.checked.plugins.retain(|name, plugin| {
            by_file.contains(name) || plugin.sources.iter().any(|source| reads_files.contains(source))
        });
        if !rest.is_empty() {
            self.files.insert(OTHER.into(), rest.iter().map(|file| (*file).clone()).collect());
            let config = literally(file::Config::new(Vec::new()), &rest.into_iter().collect::<Vec<_>>())?;
            self.checked.sources.insert(OTHER.into(), SourceConfig::File(config));
        }
        let sources = &self.checked.sources;
        for (name, plugin) in &mut self.checked.plugins {
            let takes_all = by_file.contains(name);
            plugin.sources.retain(|source| sources.contains_key(source));
            plugin.sources.extend(sources.keys().filter(|name| takes_all || *name == OTHER).cloned());
        }
        self.checked.plugins.retain(|_, plugin| !plugin.sources.is_empty());
        self.finish()
    }

    /// Cuts down to scanners; which files they get is said elsewhere.
    pub(super) fn scan(&mut self) -> anyhow::Result<()> {
        let sources = std::mem::take(&mut self.checked.sources);
        let is_folder = |name: &String| matches!(sources.get(name), Some(SourceConfig::Directory(_)));
        let by_file = std::mem::take(&mut self.by_file);
        self.checked
            .plugins
            .retain(|name, plugin| by_file.contains(name) || plugin.sources.iter().any(is_folder));
        self.checked.plugins.values_mut().for_each(|plugin| plugin.sources.clear());
        self.finish()
    }

    /// Of the built-in plugins those count that are there.
    fn finish(&mut self) -> anyhow::Result<()> {
        let mut missing = Vec::new();
        if self.is_built_in {
            self.checked.plugins.retain(|name, plugin| {
                let is_there = plugin.component.exists();
                if !is_there {
                    missing.push(name.clone());
                }
                is_there
            });
        }
        match self.checked.plugins.is_empty() {
            false => Ok(()),
            true if missing.is_empty() => bail!(
                "no plugin of the configuration reads such files; add one, or name a component with --plugin"
            ),
            true if self.is_folder_named => bail!(
                "the folder of plugins {} holds none of the plugins {}; name another folder with --plugin-dir (or {FOLDER_VARIABLE}), or a component's file with --plugin",
                self.checked.plugin_dir.display(),
                missing.join(", "),
            ),
            true => bail!(
                "the plugins {} are not in {}, not beside the program and not in {}; build them with `cargo xtask build-plugins`, or say where they are with --plugin-dir",
                missing.join(", "),
                self.checked.plugin_dir.display(),
                config::paths::SYSTEM_PLUGINS,
            ),
        }
    }
}

fn built_in(options: Options) -> Result<Checked, Failure> {
    // Variables for an agent's sources or plugins mean nothing here.
    let of_folder = |(name, _): &(OsString, OsString)| name == FOLDER_VARIABLE;
    let environment = options.environment.into_iter().filter(of_folder).collect();
    let options = Options { environment, ..options };
    Ok(config::load_text("built-in configuration", include_str!("oneshot.toml"), &options)?)
}

/// The section of a component that was named by its file: everything is granted.
pub(super) fn ad_hoc(file: &Path) -> anyhow::Result<Plugin> {
    let component =
        file.canonicalize().with_context(|| format!("the component {} cannot be found", file.display()))?;
    let stem = component.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = stem.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_', "-");
    Ok(Plugin {
        name,
        component,
        sources: Vec::new(),
        assets: None,
        grants: GrantsConfig { state: Some(AD_HOC_STATE), series: SeriesGrant::All },
        limits: LimitsConfig::default(),
        config: serde_json::Value::Object(serde_json::Map::new()),
    })
}

/// The same source, for exactly these files from their beginning.
fn literally(config: file::Config, files: &[&PathBuf]) -> anyhow::Result<file::Config> {
    let include = files.iter().map(|file| {
        let text =
            file.to_str().with_context(|| format!("{} is no UTF-8 text; rename it", file.display()))?;
        Ok(globset::escape(text))
    });
    Ok(file::Config {
        include: include.collect::<anyhow::Result<_>>()?,
        exclude: Vec::new(),
        start: file::config::Start::Beginning,
        ..config
    })
}

fn matches(patterns: &[String], file: &Path) -> bool {
    patterns.iter().any(|pattern| {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        glob.is_ok_and(|glob| glob.compile_matcher().is_match(file))
    })
}

/// Where compiled components are kept from run to run: they are checked before they are used.
pub(super) fn cache() -> PathBuf {
    config::paths::cache_dir().join("compiled")
}
