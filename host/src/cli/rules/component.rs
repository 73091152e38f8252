//! Which component runs the rules, and what the configuration says of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use picket_sandbox::Kind;

use super::super::Failure;
use super::super::global::Global;
use super::super::plugin::bench::Bench;
use crate::agent::StoreReader;
use crate::config::{self, Checked, paths};
use crate::lifecycle;
use crate::lifecycle::config::{LimitsConfig, Plugin};
use crate::rules::RulesComponent;

/// The first-party component.
const FILE: &str = "promql-rules.wasm";
/// The variable that names the folder of plugins.
const FOLDER_VARIABLE: &str = "PICKET_PLUGIN_DIR";

/// Which component runs the rules.
#[derive(Debug, Clone, Args)]
pub(super) struct ComponentChoice {
    /// The component that runs the rules. [default: the one of the configuration that answers queries, else
    /// promql-rules.wasm in $PICKET_PLUGIN_DIR, the configuration's folder of plugins, or where the first-party
    /// plugins are]
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

/// The component, and where it was found.
pub(super) struct Found {
    pub(super) component: RulesComponent,
    /// The configuration, if there is one that can be used.
    pub(super) checked: Option<Checked>,
    /// The plugin's section in it.
    pub(super) section: Option<Plugin>,
}

impl ComponentChoice {
    /// Finds and compiles it.
    pub(super) fn find(&self, global: &Global) -> Result<Found, Failure> {
        let checked = configuration(global)?;
        if let Some(file) = &self.component {
            let component = linked(&Bench::open(file)?, file)?;
            // Its section is looked up all the same: it names the rules that are active.
            let section = checked.as_ref().and_then(|checked| section(checked).ok().flatten());
            return Ok(Found::new(component, checked, section.map(|(section, _)| section)));
        }
        if let Some(checked) = &checked
            && let Some((section, bench)) = section(checked)?
        {
            let component = linked(&bench, &section.component)?;
            return Ok(Found::new(component, Some(checked.clone()), Some(section)));
        }
        let file = first_party(checked.as_ref())?;
        Ok(Found::new(linked(&Bench::open(&file)?, &file)?, checked, None))
    }
}

impl Found {
    /// Within the limits of the plugin's section, else within those of a section that names none.
    fn new(component: RulesComponent, checked: Option<Checked>, section: Option<Plugin>) -> Self {
        let limits = section.as_ref().map_or_else(LimitsConfig::default, |section| section.limits.clone());
        let config = section.as_ref().map_or(serde_json::Value::Null, |section| section.config.clone());
        let component = component.within(&lifecycle::limits(&limits), &config);
        Self { component, checked, section }
    }
}

/// The configuration that was named, else the system's if it can be used.
fn configuration(global: &Global) -> Result<Option<Checked>, Failure> {
    match &global.config {
        Some(_) => Ok(Some(global.load()?)),
        None if Path::new(paths::CONFIG_FILE).exists() => Ok(config::load(&global.options()).ok()),
        None => Ok(None),
    }
}

/// The plugin that answers queries.
fn section(checked: &Checked) -> anyhow::Result<Option<(Plugin, Bench)>> {
    // The usual name first: each that is looked at may have to be compiled.
    let mut plugins: Vec<&Plugin> = checked.plugins.values().collect();
    plugins.sort_by_key(|plugin| !plugin.component.ends_with(FILE));
    for plugin in plugins {
        let Ok(bench) = Bench::open(&plugin.component) else { continue };
        if bench.component.kinds().contains(&Kind::Query) {
            return Ok(Some((plugin.clone(), bench)));
        }
    }
    Ok(None)
}

/// The component in the folders where plugins are.
fn first_party(checked: Option<&Checked>) -> anyhow::Result<PathBuf> {
    let named = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
    let executable = std::env::current_exe().ok();
    let folders = [
        named,
        checked.map(|checked| checked.plugin_dir.clone()),
        Some(paths::PLUGIN_DIR.into()),
        paths::first_party_plugins(executable.as_deref()),
    ];
    let folders: Vec<PathBuf> = folders.into_iter().flatten().collect();
    match folders.iter().map(|folder| folder.join(FILE)).find(|file| file.exists()) {
        Some(file) => Ok(file),
        None => {
            let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            bail!(
                "{FILE} is in none of {}; name the component with --component, or build it with \
                 `cargo xtask build-plugins`",
                folders.join(", ")
            )
        }
    }
}

fn linked(bench: &Bench, file: &Path) -> anyhow::Result<RulesComponent> {
    let shown = file.display();
    for kind in [Kind::AlertRule, Kind::Query] {
        if !bench.component.kinds().contains(&kind) {
            return Err(anyhow!("{shown} is no rules component: it exports no {kind}"));
        }
    }
    RulesComponent::new(&bench.component, |store| Arc::new(StoreReader(store)))
        .with_context(|| shown.to_string())
}
