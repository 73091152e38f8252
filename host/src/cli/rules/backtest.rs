//! `picket rules backtest`: what a rule file's alerts would have done on this node, beside the active rules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use picket_sandbox::{Group, RuleKind};

use super::super::Failure;
use super::super::global::Global;
use super::super::output::{self, Output};
use super::component::{ComponentChoice, Found};
use super::files;
use super::problems::problems;
use super::retained::Retained;
use super::timelines::Comparison;
use crate::api::query::parse_moment;
use crate::config::paths;
use crate::model::{Span, now_nanos};
use crate::rules::replay::{self, Replayed, replay};
use crate::rules::{Harness, RulesError};
use crate::telemetry::escape;

/// How far before the first evaluation samples are read, unless it is said: most rules look back an hour at most.
const LOOK_BACK: &str = "1h";

/// Of `picket rules backtest`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The rule file that is to be tried.
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// When to begin: `2026-11-20T16:00:00Z`, Unix seconds, or how long ago, such as `6h`.
    #[arg(long, value_name = "TIME")]
    from: String,
    /// When to end, likewise.
    #[arg(long, value_name = "TIME", default_value = "0s")]
    to: String,
    /// Evaluate every so often. [default: the groups' own intervals]
    #[arg(long, value_name = "TIME")]
    step: Option<Span>,
    /// How far before the begin samples are read: at least as far as the rules look back.
    #[arg(long, value_name = "TIME", default_value = LOOK_BACK)]
    look_back: Span,
    /// The rules that are active: a rule file or a folder of them. [default: the assets of the plugin in the
    /// configuration]
    #[arg(long, value_name = "PATH")]
    active: Option<PathBuf>,
    /// The agent's data folder. [default: the configuration's]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Write the timelines as a picture to this file too; `-` writes it to standard output, and nothing else.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    component: ComponentChoice,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let span = span(arguments)?;
    let found = arguments.component.find(global)?;
    let data = data_dir(arguments, &found);
    let retained = Retained::open(&data)?;
    let rules = arguments.rules.as_path();
    let mut candidate = harness(&found, &[rules.to_owned()])?;
    // The component may have groups of its own.
    let is_own = |group: &&Group| Path::new(&group.file) == rules;
    let groups = candidate.setup().groups.iter().filter(is_own).map(|group| group.name.clone()).collect();
    let replayed = replayed("candidate", &mut candidate, &groups, &retained, span)?;
    if replayed.samples == 0 {
        eprintln!("note: {} has no samples of this time.", data.display());
    }
    let active = match active(arguments, &found)? {
        None => {
            eprintln!(
                "note: no active rules are known: name them with --active, or the configuration with --config"
            );
            None
        }
        Some(files) => {
            let mut harness = harness(&found, &files)?;
            let groups = beside(&harness, &candidate, rules);
            Some(self::replayed("active", &mut harness, &groups, &retained, span)?.alerts)
        }
    };
    let comparison = Comparison { from: span.from, to: span.to, candidate: replayed.alerts, active };
    show(global, arguments, &comparison)
}

fn show(global: &Global, arguments: &Arguments, comparison: &Comparison) -> Result<(), Failure> {
    let title = format!("{} beside the active rules", arguments.rules.display());
    match &arguments.svg {
        Some(file) if file == Path::new("-") => return Ok(output::text(&comparison.svg(&title))?),
        Some(file) => std::fs::write(file, comparison.svg(&title))
            .with_context(|| format!("{} cannot be written", file.display()))?,
        None => {}
    }
    match global.output {
        Output::Text => output::text(&comparison.text(global.paint()))?,
        Output::Json => output::json(&comparison.json())?,
    }
    Ok(())
}

fn span(arguments: &Arguments) -> Result<replay::Span, Failure> {
    let now = now_nanos();
    let moment = |flag: &str, text: &str| {
        parse_moment(text, now).map_err(|why| Failure::Usage(format!("{flag} `{}`: {why}", escape(text))))
    };
    let (from, to) = (moment("--from", &arguments.from)?, moment("--to", &arguments.to)?);
    if from >= to {
        return Err(Failure::Usage("--from has to lie before --to".into()));
    }
    let step = arguments.step.map(|step| step.0);
    if step.is_some_and(|step| step < Duration::from_secs(1)) {
        return Err(Failure::Usage("--step is a second at least".into()));
    }
    Ok(replay::Span { from, to, step, look_back: arguments.look_back.0 })
}

fn data_dir(arguments: &Arguments, found: &Found) -> PathBuf {
    let configured = found.checked.as_ref().map(|checked| checked.data_dir.clone());
    arguments.data.clone().or(configured).unwrap_or_else(paths::data_dir)
}

/// The files of the active rules, if it is known where they are.
fn active(arguments: &Arguments, found: &Found) -> anyhow::Result<Option<Vec<PathBuf>>> {
    let configured = found.section.as_ref().and_then(|section| section.assets.clone());
    match arguments.active.clone().or(configured) {
        None => Ok(None),
        Some(path) if path.exists() => files::listed(&[path]).map(Some),
        Some(path) => bail!("the active rules {} do not exist", path.display()),
    }
}

/// The component with rule files, configured as on the node.
fn harness(found: &Found, files: &[PathBuf]) -> anyhow::Result<Harness> {
    let assets = files::assets(files)?;
    let config =
        found.section.as_ref().map_or_else(|| serde_json::json!({}), |section| section.config.clone());
    Harness::new(&found.component, assets, &config).map_err(|error| match error {
        RulesError::Refused(problem) => {
            let lines: Vec<String> = problems(&problem).iter().map(ToString::to_string).collect();
            anyhow!("the rules are refused:\n{}", lines.join("\n"))
        }
        error => error.into(),
    })
}

/// The active groups that the candidate is compared with: those of the file that it is to replace, and those with
/// alerts that it has too.
fn beside(active: &Harness, candidate: &Harness, rules: &Path) -> BTreeSet<String> {
    let groups = &candidate.setup().groups;
    let alerts = groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.kind == RuleKind::Alert);
    let names: BTreeSet<&str> = alerts.map(|rule| rule.name.as_str()).collect();
    let is_beside = |group: &&Group| {
        Path::new(&group.file).file_name() == rules.file_name()
            || group.rules.iter().any(|rule| names.contains(rule.name.as_str()))
    };
    active.setup().groups.iter().filter(is_beside).map(|group| group.name.clone()).collect()
}

/// Replays groups, and says what that was and what failed in it.
fn replayed(
    who: &str,
    harness: &mut Harness,
    groups: &BTreeSet<String>,
    retained: &Retained,
    span: replay::Span,
) -> anyhow::Result<Replayed> {
    let replayed = replay(harness, groups, retained.reader.as_ref(), span)?;
    eprintln!("{who}: {} evaluations over {} samples", replayed.evaluations, replayed.samples);
    for (rule, error) in &replayed.errors {
        eprintln!("{who}: {} failed: {}", escape(rule), escape(error));
    }
    Ok(replayed)
}
