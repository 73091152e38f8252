//! `picket findings`: searches what the running agent keeps.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::client::{Client, encode};
use super::global::Global;
use super::output::{self, Output, Paint};
use super::{Failure, retract};
use crate::api::dto::{FindingView, Findings};
use crate::api::query::{DEFAULT_LIMIT, MAX_LIMIT, parse_moment, parse_severity};
use crate::model::now_nanos;
use crate::telemetry::escape;

/// Of `picket findings`. All conditions have to hold.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Not earlier: a time such as `2026-11-20T16:00:00Z`, or how long ago, such as `2h`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<String>,
    /// Earlier than this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<String>,
    /// At least as bad as `info`, `low`, `medium`, `high` or `critical`.
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<String>,
    /// Made by this plugin.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// With this text in its message, attributes or record.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Only those that were taken back. Without it they are shown with all others, and marked.
    #[arg(long)]
    retracted: bool,
    /// At most so many, the newest first.
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_LIMIT as u64, value_parser = clap::value_parser!(u64).range(1..=MAX_LIMIT as u64))]
    limit: u64,
    /// The agent's Unix socket, instead of the one in the configuration.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Arguments {
    /// Whether anything is asked for that `retract` would pass over. The parser cannot tell, for options of all verbs
    /// may stand there too.
    fn has_conditions(&self) -> bool {
        let Self { since, until, severity, plugin, text, retracted, limit, verb: _, socket } = self;
        let given = [since, until, severity, plugin, text].into_iter().any(Option::is_some);
        given || *retracted || socket.is_some() || *limit != DEFAULT_LIMIT as u64
    }
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Take back findings and verdicts that were wrong; whoever was sent them is told.
    Retract(retract::Arguments),
}

pub(super) fn moment(text: &str) -> Result<String, String> {
    parse_moment(text, now_nanos()).map(|_| text.to_owned())
}

fn severity(text: &str) -> Result<String, String> {
    parse_severity(text).map(|_| text.to_owned())
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    if let Some(Verb::Retract(retracted)) = &arguments.verb {
        if arguments.has_conditions() {
            return Err(Failure::Usage("write the conditions behind `retract`".to_owned()));
        }
        return retract::run(global, retracted);
    }
    let client = Client::new(global, arguments.socket.as_deref())?;
    let found: Findings = client.get(&path(arguments))?;
    if global.output == Output::Json {
        output::json(&found)?;
        return Ok(());
    }
    let paint = global.paint();
    let mut text: String = found.findings.iter().map(|finding| show(finding, paint)).collect();
    if found.truncated {
        text += "There are more; ask with a larger --limit, or for a shorter time.\n";
    }
    output::text(&text)?;
    Ok(())
}

fn path(arguments: &Arguments) -> String {
    let Arguments { since, until, severity, plugin, text, retracted, limit, verb: _, socket: _ } = arguments;
    let mut path = format!("/api/v1/findings?limit={limit}");
    let parameters =
        [("since", since), ("until", until), ("severity", severity), ("plugin", plugin), ("text", text)];
    for (name, value) in parameters {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = write!(path, "&{name}={}", encode(value));
        }
    }
    if *retracted {
        path += "&retracted=true";
    }
    path
}

/// A finding on two lines: what happened, and where; and how it was taken back if it was.
pub(super) fn show(finding: &FindingView, paint: Paint) -> String {
    let mut place = Vec::new();
    if !finding.stream.is_empty() {
        let offset = finding.offset.map(|offset| format!(":{offset}")).unwrap_or_default();
        place.push(format!("{}{offset}", escape(&finding.stream)));
    }
    place.extend(
        finding.attributes.0.iter().map(|label| format!("{}={}", escape(&label.name), escape(&label.value))),
    );
    let head = format!(
        "{} {} {} {}\n",
        paint.faint(&finding.timestamp.to_seconds()),
        paint.severity(finding.severity),
        paint.bold(&format!("{}/{}", escape(&finding.plugin), escape(&finding.rule))),
        escape(&finding.message),
    );
    let place = match place.is_empty() {
        true => String::new(),
        false => format!("    {}\n", paint.faint(&place.join("  "))),
    };
    let taken = finding.retracted.as_ref().map(|taken| {
        let (by, time) = (taken.by.word(), taken.timestamp.to_seconds());
        format!("    {} by the {by} at {time}: {}\n", paint.bad("taken back"), escape(&taken.reason))
    });
    format!("{head}{place}{}", taken.unwrap_or_default())
}
