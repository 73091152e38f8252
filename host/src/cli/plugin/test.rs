//! `picket plugin test`: a plugin's own tests, and then the built component in the real sandbox over an
//! input. Shows everything that it returns.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use picket_sandbox::{Assets, BatchRef, ConfigureError, Instance, Kind, Setup};

use super::super::Failure;
use super::super::global::Global;
use super::super::oneshot;
use super::super::output::{self, Output};
use super::bench::{Bench, Memory};
use super::build::{build, cargo};
use super::exposition;
use super::returned::Returned;
use crate::agent::StoreReader;
use crate::lifecycle::Staged;
use crate::model::{Block, Digest, Record, Stream, now_nanos};
use crate::pipeline::batch::{Gather, selected};
use crate::pipeline::interest::Interest;

/// Of `picket plugin test`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// The project's folder, which is built first, or a component.
    #[arg(default_value = ".", value_name = "FOLDER|FILE")]
    plugin: PathBuf,
    /// What the plugin is given: lines for an analyzer, a file for a scanner, metrics as text for an alert
    /// rule.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The plugin's configuration, as TOML or JSON.
    #[arg(long = "plugin-config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The plugin's assets: a folder or a file.
    #[arg(long, value_name = "PATH")]
    assets: Option<PathBuf>,
    /// Leave out the project's own tests.
    #[arg(long)]
    component_only: bool,
}

/// A batch has at most so many bytes of records, as in the agent.
const BATCH_BYTES: usize = 1 << 20;

/// And a line fits in half of one.
const LINE_BYTES: u64 = BATCH_BYTES as u64 / 2;

/// The input of an analyzer, and how far it was read.
struct Lines {
    file: BufReader<fs::File>,
    offset: u64,
}

pub(in crate::cli) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    global.start_log();
    let component = match arguments.plugin.is_dir() {
        false => arguments.plugin.clone(),
        true => {
            if !arguments.component_only {
                native_tests(&arguments.plugin)?;
            }
            build(&arguments.plugin, false)?
        }
    };
    let Some(input) = &arguments.input else {
        if global.output == Output::Text {
            eprintln!("The component is built; with --input FILE it is run over a file.");
        }
        return Ok(());
    };
    let returned = in_sandbox(&component, input, arguments)?;
    match global.output {
        Output::Json => output::json(&returned)?,
        Output::Text => output::text(&returned.show(global.paint()))?,
    }
    Ok(())
}

fn native_tests(folder: &Path) -> anyhow::Result<()> {
    let status = Command::new(cargo())
        .args(["test", "--quiet", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .status()
        .map_err(|error| anyhow!("cargo cannot be started ({error}); install Rust from https://rustup.rs"))?;
    anyhow::ensure!(status.success(), "the plugin's own tests failed; what they said stands above");
    Ok(())
}

fn in_sandbox(component: &Path, input: &Path, arguments: &Arguments) -> anyhow::Result<Returned> {
    let bench = Bench::open(component)?;
    let assets = match &arguments.assets {
        Some(path) => assets(component, path)?,
        None => Assets::default(),
    };
    let config = match &arguments.config {
        Some(path) => read_config(path)?,
        None => serde_json::json!({}),
    };
    let state = Arc::new(Memory::default());
    let series = Arc::new(picket_series::Store::new(
        picket_series::Config::default(),
        Arc::new(now_nanos),
        picket_series::Metrics::new(&prometheus::Registry::new())?,
    ));
    let reader = Arc::new(StoreReader(series.clone()));
    let mut instance = bench.instance(state.clone(), reader, Arc::new(assets))?;
    let setup = instance.configure(&config.to_string()).map_err(|error| refused(&error, arguments))?;
    let mut returned = Returned::default();
    for kind in bench.component.kinds() {
        let shown = || input.display().to_string();
        match kind {
            Kind::Analyzer => {
                analyze(&mut instance, &setup, input, &state, &mut returned).with_context(shown)?
            }
            Kind::AlertRule => {
                evaluate(&mut instance, &setup, input, &series, &mut returned).with_context(shown)?
            }
            Kind::Scanner | Kind::Unpacker | Kind::Query => {
                bail!("a plugin of the kind `{kind}` cannot be tested with an input yet; test it natively")
            }
        }
    }
    returned.memory_bytes = instance.memory_bytes();
    Ok(returned)
}

/// The files as the agent would take them into a generation.
fn assets(component: &Path, path: &Path) -> anyhow::Result<Assets> {
    let mut section = oneshot::ad_hoc(component)?;
    section.assets = Some(std::path::absolute(path)?);
    let staged = Staged::read(&section)?;
    Ok(Assets::new(staged.assets.into_iter().map(|(name, asset)| (name, asset.0)).collect()))
}

/// The plugin's own words with the file they are about.
fn refused(error: &ConfigureError, arguments: &Arguments) -> anyhow::Error {
    let file = arguments.config.as_ref().map(|path| format!("{}: ", path.display())).unwrap_or_default();
    anyhow!("{file}{error}")
}

fn read_config(path: &Path) -> anyhow::Result<serde_json::Value> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
    match path.extension().is_some_and(|extension| extension == "json") {
        true => serde_json::from_str(&text).with_context(|| format!("{shown} is no JSON")),
        false => toml::from_str(&text).with_context(|| format!("{shown} is no TOML")),
    }
}

fn analyze(
    instance: &mut Instance,
    setup: &Setup,
    input: &Path,
    state: &Memory,
    returned: &mut Returned,
) -> anyhow::Result<()> {
    let interest = Interest::new(setup.interest.literals.clone(), setup.interest.ignore_ascii_case)?;
    let name = input.to_string_lossy().into_owned();
    let stream = Stream { source: "test".into(), id: Digest::of(name.as_bytes()), name, labels: Vec::new() };
    let stream = Arc::new(stream);
    let mut lines = Lines { file: BufReader::new(fs::File::open(input)?), offset: 0 };
    let mut gather = Gather::default();
    let mut passed_over = 0;
    while let Some(block) = next_block(&mut lines, &stream)? {
        let selection = interest.select(&block);
        let wanted = selected(&block, &selection);
        passed_over += (block.records.len() - wanted.len()) as u64;
        if wanted.is_empty() {
            continue;
        }
        gather.fill(&block, &selection, &wanted);
        let batch = BatchRef {
            source: &stream.source,
            stream: &stream.name,
            labels: &[],
            data: &gather.data,
            ends: &gather.ends,
            times: &gather.times,
            hits: &gather.hits,
            passed_over: std::mem::take(&mut passed_over),
            columns: &[],
        };
        returned.given += wanted.len() as u64;
        returned.passed_over += batch.passed_over;
        let output = instance.analyze(&batch)?;
        state.commit(&output.writes);
        returned.state_writes += output.writes.len() as u64;
        returned.cpu_seconds += output.cpu.as_secs_f64();
        returned.report(output.value, |record| {
            let index = wanted.get(record as usize).copied().unwrap_or_default();
            String::from_utf8_lossy(block.bytes(index as usize)).into_owned()
        });
    }
    returned.passed_over += passed_over;
    Ok(())
}

/// The next lines, up to the size of a batch.
fn next_block(lines: &mut Lines, stream: &Arc<Stream>) -> anyhow::Result<Option<Block>> {
    let mut data = Vec::new();
    let mut records = Vec::new();
    let time = now_nanos();
    while data.len() < BATCH_BYTES / 2 {
        let start = data.len();
        let read = lines.file.by_ref().take(LINE_BYTES).read_until(b'\n', &mut data)? as u64;
        if read == 0 {
            break;
        }
        anyhow::ensure!(
            read < LINE_BYTES,
            "the line at byte {} is longer than {LINE_BYTES} bytes",
            lines.offset
        );
        let line = data[start..].strip_suffix(b"\n").unwrap_or(&data[start..]);
        let end = start + line.strip_suffix(b"\r").unwrap_or(line).len();
        data.truncate(end);
        records.push(Record { start: start as u32, end: end as u32, offset: lines.offset, time });
        lines.offset += read;
    }
    let block = Block { stream: stream.clone(), data, records, checkpoint: Vec::new() };
    Ok(Some(block).filter(|block| !block.records.is_empty()))
}

fn evaluate(
    instance: &mut Instance,
    setup: &Setup,
    input: &Path,
    series: &picket_series::Store,
    returned: &mut Returned,
) -> anyhow::Result<()> {
    let now = now_nanos();
    for line in exposition::parse(&fs::read_to_string(input)?)? {
        let labels = line.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let time = line.time.unwrap_or(now);
        series
            .append(&line.name, labels, time, line.value)
            .with_context(|| format!("`{}` is not taken", line.name))?;
        returned.given += 1;
    }
    for group in &setup.groups {
        let output = instance.evaluate(&group.name, now)?;
        returned.cpu_seconds += output.cpu.as_secs_f64();
        returned.rules(&group.name, output.value);
    }
    Ok(())
}
