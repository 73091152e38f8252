//! `picket status`: how the running agent is doing, on one screen.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::client::Client;
use super::exit::FAILED;
use super::global::Global;
use super::output::{self, Output, Paint, ago, bytes};
use crate::api::dto::{PluginState, PluginView, Plugins, Status};
use crate::model::now_nanos;
use crate::telemetry::escape;

/// Of `picket status`. It ends with 1 when the agent cannot do its work.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The agent's Unix socket, instead of the one in the configuration.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let client = Client::new(global, arguments.socket.as_deref())?;
    let status: Status = client.get("/api/v1/status")?;
    let plugins: Plugins = client.get("/api/v1/plugins")?;
    match global.output {
        Output::Json => output::json(&serde_json::json!({ "status": status, "plugins": plugins.plugins }))?,
        Output::Text => output::text(&show(&status, &plugins, global.paint(), now_nanos()))?,
    }
    if status.not_ready.is_some() { Err(Failure::Said(FAILED)) } else { Ok(()) }
}

fn show(status: &Status, plugins: &Plugins, paint: Paint, now: u64) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = overview(&mut text, status, paint, now);
    let _ = plugins.plugins.iter().try_for_each(|plugin| show_plugin(&mut text, plugin, paint, now));
    let _ = flows(&mut text, status, paint);
    text
}

fn overview(text: &mut String, status: &Status, paint: Paint, now: u64) -> std::fmt::Result {
    let state = match &status.not_ready {
        None => paint.good("ready"),
        Some(why) => paint.bad(&format!("not ready: {}", escape(why))),
    };
    writeln!(
        text,
        "picket {} (pid {}), up {}: {state}",
        escape(&status.version),
        status.pid,
        ago(status.started.0, now)
    )?;
    writeln!(
        text,
        "configuration {} loaded {} ago; data in {}",
        status.config.generation,
        ago(status.config.loaded.0, now),
        escape(&status.data_dir),
    )?;
    if let Some(error) = &status.config.last_error {
        writeln!(text, "{}", paint.bad("the last change of the configuration was not loaded:"))?;
        for line in error.lines() {
            writeln!(text, "  {}", escape(line))?;
        }
    }
    writeln!(
        text,
        "plugins use {} of {}; journal {}; {} series with {} samples",
        bytes(status.memory.used_bytes),
        bytes(status.memory.limit_bytes),
        bytes(status.journal.bytes),
        status.series.series,
        status.series.samples,
    )?;
    let rules = &status.rules;
    if rules.groups > 0 {
        writeln!(text, "{} rules in {} groups", rules.rules, rules.groups)?;
    }
    if let Some(error) = &rules.error {
        let failing = format!("{} of them cannot be evaluated, such as {}", rules.failing, escape(error));
        writeln!(text, "  {}", paint.bad(&failing))?;
    }
    if let Some(error) = &status.journal.error {
        writeln!(text, "{}", paint.bad(&format!("the journal: {}", escape(error))))?;
    }
    Ok(())
}

fn show_plugin(text: &mut String, plugin: &PluginView, paint: Paint, now: u64) -> std::fmt::Result {
    let state = match plugin.state {
        PluginState::Active => paint.good("active"),
        PluginState::Starting => "starting".into(),
        PluginState::Draining => "draining".into(),
        PluginState::Resting => {
            let left = plugin.circuit.until.map_or(0, |until| until.0.saturating_sub(now));
            paint.bad(&format!("resting after failures, tried again in {} s", left / 1_000_000_000))
        }
        PluginState::Ended => {
            let left = plugin.circuit.until.map_or(0, |until| until.0.saturating_sub(now));
            let left = left / 1_000_000_000;
            paint.bad(&format!("its thread ended by a bug of the agent, another one serves in {left} s"))
        }
        PluginState::Rejected => paint.bad("rejected"),
    };
    let kinds = plugin.kinds.join(", ");
    writeln!(
        text,
        "\nplugin {}: {state} {}",
        paint.bold(&escape(&plugin.name)),
        paint.faint(&escape(&kinds))
    )?;
    if let Some(active) = &plugin.active {
        let generation = active.digest.short();
        let since = ago(active.since.0, now);
        writeln!(text, "  generation {generation}, version {}, for {since}", escape(&active.version))?;
    }
    let counts = &plugin.counts;
    writeln!(
        text,
        "  {} records, {} files, {} findings, {} failures; {:.1} s CPU, {} memory, {} state, {} waiting",
        counts.records + counts.passed_over,
        counts.scans,
        counts.findings,
        counts.failures,
        counts.cpu_seconds,
        bytes(counts.memory_bytes),
        bytes(counts.state_bytes),
        bytes(counts.waiting_bytes),
    )?;
    if let Some(rejection) = &plugin.rejected {
        let when = ago(rejection.time.0, now);
        writeln!(
            text,
            "  {}",
            paint.bad(&format!("the last change was rejected {when} ago ({}):", escape(&rejection.step)))
        )?;
        for line in rejection.reason.lines() {
            writeln!(text, "    {}", escape(line))?;
        }
    }
    if let Some(blame) = &plugin.blame {
        let place = format!("{}:{}", escape(&blame.stream), blame.offset);
        writeln!(text, "  failed on {place} {} ago: {}", ago(blame.time.0, now), escape(&blame.reason))?;
    }
    Ok(())
}

fn flows(text: &mut String, status: &Status, paint: Paint) -> std::fmt::Result {
    writeln!(text)?;
    for source in &status.sources {
        let lag = source.lag_bytes.values().max().copied().unwrap_or_default();
        let (name, kind) = (paint.bold(&escape(&source.name)), escape(&source.kind));
        writeln!(text, "source {name} ({kind}): {} streams, {} behind", source.streams, bytes(lag))?;
        for problem in &source.problems {
            let what = format!("{}: {}", escape(&problem.path), escape(&problem.error));
            writeln!(text, "  {}\n    {}", paint.bad(&what), escape(&problem.remedy))?;
        }
    }
    for forwarder in &status.forwarders {
        let (name, kind) = (paint.bold(&escape(&forwarder.name)), escape(&forwarder.kind));
        let waits = match forwarder.queued_frames {
            0 => "nothing waits".to_owned(),
            frames => {
                let age = std::time::Duration::from_secs(forwarder.oldest_seconds as u64);
                let (size, age) = (bytes(forwarder.queued_bytes), humantime::format_duration(age));
                format!("{frames} results wait ({size}, the oldest for {age})")
            }
        };
        let rests = if forwarder.circuit_open { ", tried only now and then" } else { "" };
        writeln!(text, "forwarder {name} ({kind}): {} sent, {waits}{rests}", forwarder.sent_frames)?;
        if forwarder.dropped_frames > 0 {
            let lost = format!("{} results were lost before they could be sent", forwarder.dropped_frames);
            writeln!(text, "  {}", paint.bad(&lost))?;
        }
        if let Some(file) = &forwarder.refused_file {
            let refused = format!("{} results were refused: see {}", forwarder.refused_frames, escape(file));
            writeln!(text, "  {}", paint.bad(&refused))?;
        }
        if let Some(error) = &forwarder.error {
            writeln!(text, "  {}", paint.bad(&escape(error)))?;
        }
    }
    Ok(())
}
