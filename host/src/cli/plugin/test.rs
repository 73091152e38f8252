//! `picket plugin test`: a plugin's own tests, and then the built component in the real sandbox: over the
//! cases of its `plugin.toml`, or over an input, of which everything that it returns is shown.

use std::fmt::Write as _;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use picket_sandbox::{Assets, ConfigureError, Kind};
use serde::Serialize;
use toml::Spanned;

use super::super::Failure;
use super::super::global::Global;
use super::super::oneshot;
use super::super::output::{self, Output, Paint};
use super::bench::{Bench, Memory};
use super::build::{build, cargo};
use super::cases::{Case, Cases, Input};
use super::compare::{Difference, compare};
use super::feed::{Feed, FileObject, Lines, Metrics, Texts};
use super::returned::Returned;
use crate::agent::StoreReader;
use crate::lifecycle::{Staged, config::Plugin};
use crate::model::now_nanos;
use crate::telemetry::escape;

/// Of `picket plugin test`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The project's folder, which is built first, or a component.
    #[arg(default_value = ".", value_name = "FOLDER|FILE")]
    plugin: PathBuf,
    /// The cases to try, as in the project's README. [default: plugin.toml in the project's folder]
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    cases: Option<PathBuf>,
    /// Instead of cases: show what the plugin returns for lines (analyzer), a file (scanner, unpacker), or
    /// metrics as text (alert rule).
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The plugin's configuration, as TOML or JSON. [default: that of plugin.toml]
    #[arg(long = "plugin-config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The plugin's assets: a folder or a file. [default: those of plugin.toml]
    #[arg(long, value_name = "PATH")]
    assets: Option<PathBuf>,
    /// Leave out the project's own tests.
    #[arg(long)]
    component_only: bool,
}

/// How a case ended.
#[derive(Debug, Serialize)]
struct Tried {
    name: String,
    /// File and line.
    place: String,
    passed: bool,
    differences: Vec<Difference>,
    /// What the plugin returned, unless it was an error.
    returned: Option<Returned>,
    error: Option<String>,
}

pub(in crate::cli) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    global.start_log();
    let is_folder = arguments.plugin.is_dir();
    if !is_folder && arguments.input.is_none() && arguments.cases.is_none() {
        return Err(Failure::Usage(format!(
            "nothing is known to try with {}: name a file of cases with --cases, an input with --input, or the project's folder",
            arguments.plugin.display()
        )));
    }
    let component = match is_folder {
        false => arguments.plugin.clone(),
        true => {
            if !arguments.component_only {
                native_tests(&arguments.plugin)?;
            }
            build(&arguments.plugin, false)?
        }
    };
    let bench = Bench::open(&component)?;
    let cases = cases(&bench, arguments)?;
    let section = section(&bench, cases.as_ref(), arguments)?;
    match (&arguments.input, &cases) {
        (Some(input), _) => {
            let input = Input::File(input.clone());
            let returned =
                in_sandbox(&bench, &section, &input).map_err(|error| of_config(error, arguments))?;
            match global.output {
                Output::Json => output::json(&returned)?,
                Output::Text => output::text(&returned.show(global.paint()))?,
            }
            Ok(())
        }
        (None, Some(cases)) => try_all(global, &bench, &section, cases),
        (None, None) => {
            eprintln!(
                "The component is built, but there is no plugin.toml with cases; with --input FILE it is run over a file."
            );
            Ok(())
        }
    }
}

/// The file that was named, else the project's own if it has one.
fn cases(bench: &Bench, arguments: &Arguments) -> anyhow::Result<Option<Cases>> {
    // `./` in front of every place would only be in the way.
    let folder = if arguments.plugin == Path::new(".") { Path::new("") } else { &arguments.plugin };
    let own = folder.join("plugin.toml");
    match &arguments.cases {
        Some(file) => Cases::read(file, &bench.name()).map(Some),
        None if own.exists() => Cases::read(&own, &bench.name()).map(Some),
        None => Ok(None),
    }
}

/// The plugin's section; without a file of cases everything is granted.
fn section(bench: &Bench, cases: Option<&Cases>, arguments: &Arguments) -> anyhow::Result<Plugin> {
    let mut section = oneshot::ad_hoc(&bench.file)?;
    if let Some(cases) = cases {
        let folder = cases.file.parent().unwrap_or(Path::new(""));
        section.grants = cases.section.grants.clone();
        section.limits = cases.section.limits.clone();
        section.config = serde_json::Value::Object(cases.section.config.clone());
        section.assets = cases.section.assets.as_ref().map(|assets| folder.join(assets));
    }
    if let Some(file) = &arguments.config {
        section.config = read_config(file)?;
    }
    if let Some(assets) = &arguments.assets {
        section.assets = Some(assets.clone());
    }
    section.assets = section.assets.map(std::path::absolute).transpose()?;
    Ok(section)
}

fn native_tests(folder: &Path) -> anyhow::Result<()> {
    let manifest = folder.join("Cargo.toml");
    anyhow::ensure!(manifest.exists(), "{} is no project: it has no Cargo.toml", folder.display());
    let status = Command::new(cargo())
        .args(["test", "--quiet", "--manifest-path"])
        .arg(manifest)
        // Standard output is for what the component returns.
        .stdout(Stdio::from(std::io::stderr()))
        .status()
        .map_err(|error| anyhow!("cargo cannot be started ({error}); install Rust from https://rustup.rs"))?;
    anyhow::ensure!(status.success(), "the plugin's own tests failed; what they said stands above");
    Ok(())
}

fn try_all(global: &Global, bench: &Bench, section: &Plugin, cases: &Cases) -> Result<(), Failure> {
    if cases.cases.is_empty() {
        eprintln!("{} has no `[[case]]`: nothing was tried in the sandbox.", cases.file.display());
    }
    let mut all = Vec::new();
    for case in &cases.cases {
        let tried = try_one(bench, section, cases, case);
        if global.output == Output::Text {
            output::text(&tried.show(global.paint()))?;
        }
        all.push(tried);
    }
    if global.output == Output::Json {
        output::json(&serde_json::json!({ "cases": all }))?;
    }
    let failed = all.iter().filter(|tried| !tried.passed).count();
    if failed > 0 {
        return Err(anyhow!("{failed} of {} cases failed in the sandbox", all.len()).into());
    }
    if global.output == Output::Text && !all.is_empty() {
        output::text(&format!("{} of {} cases passed in the sandbox\n", all.len(), all.len()))?;
    }
    Ok(())
}

fn try_one(bench: &Bench, section: &Plugin, cases: &Cases, case: &Spanned<Case>) -> Tried {
    let start = case.span().start;
    let case = case.get_ref();
    let mut section = section.clone();
    if let Some(config) = &case.config {
        section.config = serde_json::Value::Object(config.clone());
    }
    let outcome = cases.input(case).and_then(|input| in_sandbox(bench, &section, &input));
    let outcome = outcome.map_err(|error| format!("{error:#}"));
    let mut differences = compare(&case.expect, start, &outcome);
    for difference in &mut differences {
        difference.place = cases.place(difference.offset);
    }
    let (returned, error) = match outcome {
        Ok(returned) => (Some(returned), None),
        Err(error) => (None, Some(error)),
    };
    let (name, place) = (case.name.clone(), cases.place(start));
    Tried { name, place, passed: differences.is_empty(), differences, returned, error }
}

impl Tried {
    fn show(&self, paint: Paint) -> String {
        let Self { name, place, differences, .. } = self;
        if self.passed {
            return format!("{} {}\n", paint.good("passed"), escape(name));
        }
        let mut text = format!("{} {} ({})\n", paint.bad("FAILED"), escape(name), escape(place));
        for Difference { place, what, expected, got, .. } in differences {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {}: {}", escape(place), paint.bold(&escape(what)));
            let _ = writeln!(text, "    expected: {}", escape(expected));
            let _ = writeln!(text, "    got:      {}", escape(got));
        }
        text
    }
}

/// Runs a fresh instance over one input, with a state and a series store of its own.
fn in_sandbox(bench: &Bench, section: &Plugin, input: &Input) -> anyhow::Result<Returned> {
    let assets = match &section.assets {
        Some(_) => Staged::read(section)?.assets,
        None => Default::default(),
    };
    let assets = Assets::new(assets.into_iter().map(|(name, asset)| (name, asset.0)).collect());
    let state = Arc::new(Memory::default());
    let series = Arc::new(picket_series::Store::new(
        picket_series::Config::default(),
        Arc::new(now_nanos),
        picket_series::Metrics::new(&prometheus::Registry::new())?,
    ));
    let reader = Arc::new(StoreReader(series.clone()));
    let mut instance = bench.instance(section, state.clone(), reader, Arc::new(assets))?;
    let setup = instance.configure(&section.config.to_string())?;
    let mut feed = Feed { instance, setup, state, series, returned: Returned::default() };
    let mut given = false;
    for kind in bench.component.kinds() {
        given |= give(&mut feed, *kind, input)?;
    }
    if !given {
        let kinds: Vec<String> = bench.component.kinds().iter().map(ToString::to_string).collect();
        bail!("a plugin of the kind {} takes no such input", kinds.join(", "));
    }
    feed.returned.memory_bytes = feed.instance.memory_bytes();
    Ok(feed.returned)
}

/// Gives the input to one of the plugin's kinds; false when that kind does not take such an input.
fn give(feed: &mut Feed, kind: Kind, input: &Input) -> anyhow::Result<bool> {
    let shown = |file: &Path| format!("the input {}", file.display());
    match (kind, input) {
        (Kind::Analyzer, Input::Lines(lines)) => feed.analyze("/var/log/case", Texts(lines))?,
        (Kind::Analyzer, Input::File(file)) => {
            let opened = fs::File::open(file).with_context(|| shown(file))?;
            feed.analyze(&file.to_string_lossy(), Lines::new(BufReader::new(opened)))
                .with_context(|| shown(file))?;
        }
        (Kind::Scanner, Input::File(file)) => {
            feed.scan(Arc::new(FileObject::open(file).with_context(|| shown(file))?))?;
        }
        (Kind::Unpacker, Input::File(file)) => {
            feed.unpack(Arc::new(FileObject::open(file).with_context(|| shown(file))?))?;
        }
        (Kind::Scanner, Input::Content { content, path, mode }) => {
            feed.scan(Arc::new(FileObject::of_content(content.as_bytes(), path, *mode)?))?;
        }
        (Kind::Unpacker, Input::Content { content, path, mode }) => {
            feed.unpack(Arc::new(FileObject::of_content(content.as_bytes(), path, *mode)?))?;
        }
        (Kind::AlertRule, Input::File(file)) => {
            feed.evaluate(&Metrics::read(file).with_context(|| shown(file))?).with_context(|| shown(file))?;
        }
        (Kind::AlertRule, Input::Series { values, interval }) => {
            feed.evaluate(&Metrics::at_even_times(values, *interval)?)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// The plugin's own words about its configuration, with the file that they are about.
fn of_config(error: anyhow::Error, arguments: &Arguments) -> anyhow::Error {
    match (&arguments.config, error.downcast_ref::<ConfigureError>()) {
        (Some(file), Some(_)) => error.context(file.display().to_string()),
        _ => error,
    }
}

fn read_config(path: &Path) -> anyhow::Result<serde_json::Value> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    match path.extension().is_some_and(|extension| extension == "json") {
        true => serde_json::from_str(&text).with_context(|| format!("{shown} is no JSON")),
        false => toml::from_str(&text).with_context(|| format!("{shown} is no TOML")),
    }
}
