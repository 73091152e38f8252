//! `picket alerts`: what is pending or firing, and the silences of it.

mod silence;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Failure;
use super::client::Client;
use super::global::Global;
use super::output::{self, Output, Paint};
use crate::api::dto::{AlertView, Alerts, Pairs};
use crate::model::now_nanos;
use crate::telemetry::escape;

/// Of `picket alerts`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The agent's Unix socket, instead of the one in the configuration.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make, show and end silences: alerts that people are not told of for a time.
    #[command(subcommand)]
    Silence(silence::Verb),
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let client = Client::new(global, arguments.socket.as_deref())?;
    if let Some(Verb::Silence(verb)) = &arguments.verb {
        return silence::run(global, &client, verb);
    }
    let found: Alerts = client.get("/api/v1/alerts")?;
    if global.output == Output::Json {
        output::json(&found)?;
        return Ok(());
    }
    let (paint, now) = (global.paint(), now_nanos());
    let text: String = found.alerts.iter().map(|alert| show(alert, paint, now)).collect();
    output::text(if text.is_empty() { "No alert is pending or firing.\n" } else { &text })?;
    Ok(())
}

fn show(alert: &AlertView, paint: Paint, now: u64) -> String {
    let value = alert.value.map(|value| format!(" value {value}")).unwrap_or_default();
    let mut text = format!(
        "{} {} for {}{value}\n    {}\n",
        paint.alert(alert.state),
        paint.bold(&format!("{}/{}", escape(&alert.plugin), escape(&alert.rule))),
        output::ago(alert.active_since.0, now),
        pairs(&alert.labels, "="),
    );
    if let Some(silence) = &alert.silenced_by {
        text += &format!("    {}\n", paint.faint(&format!("silenced by {}", escape(silence))));
    }
    if !alert.annotations.0.is_empty() {
        text += &format!("    {}\n", pairs(&alert.annotations, ": "));
    }
    text
}

fn pairs(pairs: &Pairs, between: &str) -> String {
    let shown =
        pairs.0.iter().map(|label| format!("{}{between}{}", escape(&label.name), escape(&label.value)));
    shown.collect::<Vec<_>>().join("  ")
}
