//! One command from a fresh clone to findings, verdicts and alerts on the screen.
//!
//! Builds the plugins and the agent, writes a configuration to `target/demo/`, runs the agent on
//! copies of the sample input and on this machine's own logs and metrics, and waits until each of
//! the first-party plugins has shown something. It reads the results as any reader would, from the file
//! that the agent's `file` forwarder writes, and keeps the agent running until Ctrl-C.

mod agent;
mod input;
mod results;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::workspace::Workspace;
use crate::{guest, progress};
use agent::Agent;
use results::Results;

/// How the demonstration ends.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Stops once everything expected was seen, and fails when it was not seen in time.
    #[arg(long)]
    once: bool,
    /// How long to wait for everything expected, in seconds.
    #[arg(long, default_value_t = 180)]
    wait: u64,
    /// Where the agent's HTTP interface listens.
    #[arg(long, default_value = "127.0.0.1:9765")]
    listen: std::net::SocketAddr,
}

/// How often the results are looked at; a person does not notice it.
const LOOK: Duration = Duration::from_millis(250);

/// Builds, runs, shows.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    guest::build_plugins(workspace)?;
    let program = guest::build_agent(workspace)?;

    let folder = workspace.target.join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder).context("cannot clear the last demonstration")?;
    }
    progress::step(&format!("laying out {}", folder.display()));
    let layout = input::lay_out(workspace, &folder, arguments.listen)?;

    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    progress::step("starting the agent");
    let mut agent = Agent::start(&program, &layout.config, &folder.join("agent.log"))?;
    let mut results = Results::new(&layout.results);
    let complete = wait(&mut agent, &mut results, &stop, Duration::from_secs(arguments.wait))?;
    say_where(workspace, arguments, &layout, &results);
    if !complete {
        let missing = results.missing().join("; ");
        if arguments.once {
            agent.stop()?;
            bail!(
                "not seen within {} s: {missing}. The agent's log is {}",
                arguments.wait,
                agent.log.display()
            );
        }
        println!("\nNot seen yet: {missing}.");
    }
    if !arguments.once && !stop.load(Ordering::Relaxed) {
        println!("\nThe agent keeps running. Ctrl-C stops it.");
        while !stop.load(Ordering::Relaxed) {
            agent.check_alive()?;
            std::thread::sleep(LOOK);
        }
    }
    progress::step("stopping the agent");
    agent.stop()
}

/// Waits until everything expected was seen, the time is over, or somebody wants to stop.
fn wait(agent: &mut Agent, results: &mut Results, stop: &AtomicBool, limit: Duration) -> Result<bool> {
    let started = Instant::now();
    let mut said = usize::MAX;
    while !stop.load(Ordering::Relaxed) && started.elapsed() < limit {
        agent.check_alive()?;
        results.read()?;
        let missing = results.missing();
        if missing.is_empty() {
            return Ok(true);
        }
        if missing.len() != said {
            said = missing.len();
            progress::step(&format!("waiting for {}", missing.join("; ")));
        }
        std::thread::sleep(LOOK);
    }
    Ok(false)
}

fn say_where(workspace: &Workspace, arguments: &Arguments, layout: &input::Layout, results: &Results) {
    println!("\nWhat the plugins found, one of each:\n");
    for line in results.shown() {
        println!("  {line}");
    }
    let picket = workspace.shown(&workspace.program("dev", "picket"));
    let config = shown(&layout.config);
    println!("\nLook for yourself (from another terminal):\n");
    for verb in ["status", "findings", "alerts"] {
        println!("  {picket} {verb} --config {config}");
    }
    println!("  curl http://{}/api/v1/plugins", arguments.listen);
    println!("  curl http://{}/metrics", arguments.listen);
    println!("  tail -f {}", shown(&layout.results));
    println!(
        "\nChange {config}, or a component in {}, and watch it being reloaded.",
        shown(&workspace.plugin_folder())
    );
}

/// Relative to where the reader stands, so that it can be copied.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
