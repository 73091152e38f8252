//! The composition root: starts everything in order and stops it in the reverse order.
//!
//! `daemon` is the wiring, `control` the loop that waits for what may wake the agent, `oneshot` runs plugins
//! over files without a daemon, `check` looks for what would keep a configuration from working and
//! `upstreams` what would keep its receivers from taking anything, `waiting` is what there is of an agent that cannot
//! start before its disk has room.

mod alert_view;
mod check;
mod compiler_metrics;
mod control;
mod core;
mod daemon;
mod descriptions;
mod disk;
mod every;
mod found;
mod lookups;
mod lost;
mod maintenance;
pub mod oneshot;
mod own_metrics;
mod points;
mod renewals;
mod retract;
mod retry;
mod samples;
mod series;
mod signals;
mod sinks;
mod targets;
mod upstreams;
mod view;
mod waiting;

use std::sync::Arc;

use crate::api;
use crate::config::{Checked, Options};

pub use check::{Found, check, data_problem};
pub use lost::Lost;
pub use series::StoreReader;

/// The hidden verb that compiles one component in a child process.
pub const COMPILE_VERB: &str = "__compile";

/// The body of that verb: a component on standard input.
pub fn compile_child() -> std::process::ExitCode {
    picket_sandbox::compile_child()
}

/// Runs the agent until it is told to stop. `options` say where a reload reads the configuration. The error is
/// a [`Lost`] when it had to stop because a part of it was gone.
pub fn run(checked: Checked, options: Options) -> anyhow::Result<()> {
    let (control, requests) = control::Control::new();
    // First of all, so that a signal during the start is not lost.
    let signals = signals::start(control.clone())?;
    let watched = control::Watched::before_start(&checked, &options);
    let Some(started) = waiting::start(&checked, &options, &requests)? else {
        tracing::info!("The agent was told to stop before it could start.");
        return Ok(());
    };
    let waiting::Started { mut daemon, registry } = started;
    let view = Arc::new(view::AgentView::new(daemon.shown(), control));
    let metrics = api::Metrics::new(&registry)?;
    let server = api::start(&daemon.checked().api, view, registry, metrics)?;
    daemon.shown().started(server.address());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"), socket = %daemon.checked().api.socket.display(),
        listen = server.address().map(|address| address.to_string()).unwrap_or_default(), "The agent runs."
    );
    let ended = control::Loop::new(&mut daemon, requests, watched).run();
    match &ended {
        Ok(()) => tracing::info!("The agent stops: plugins finish what they hold."),
        Err(lost) => tracing::error!(error = %lost, "The agent has to stop."),
    }
    server.stop();
    let stopped = daemon.stop();
    signals.stop();
    tracing::info!("The agent has stopped.");
    // What is gone keeps others from ending well, and is the cause.
    ended?;
    stopped
}
