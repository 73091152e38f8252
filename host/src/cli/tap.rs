//! `picket tap`: what passes a source, a plugin or a forwarder of the running agent, as it passes.

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde::Deserialize;

use super::Failure;
use super::client::{Client, encode};
use super::global::Global;
use super::output::{Output, Paint};
use crate::tap::{DEFAULT_LIMIT, Dropped, Line, MAX_LIMIT, Outcome};
use crate::telemetry::escape;

/// Of `picket tap`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to look at: records as they are routed, frames as they are committed, or frames as they are handed over.
    #[arg(value_enum, value_name = "POINT")]
    way: Way,
    /// Its name in the configuration.
    name: String,
    /// Lines in a second, at most; what comes on top is counted and not shown.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIMIT)))]
    limit: u32,
    /// End after so many lines.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// The agent's Unix socket, instead of the one in the configuration.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// A part of the way from a record to a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    /// Records of log files.
    Source,
    /// What a plugin makes of them.
    Plugin,
    /// What a receiver is sent.
    Forwarder,
}

/// What comes in a line.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Told {
    Dropped(Dropped),
    Line(Line),
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let client = Client::new(global, arguments.socket.as_deref())?;
    let way = match arguments.way {
        Way::Source => "source",
        Way::Plugin => "plugin",
        Way::Forwarder => "forwarder",
    };
    let path = format!("/api/v1/tap?{way}={}&limit={}", encode(&arguments.name), arguments.limit);
    let (paint, mut left) = (global.paint(), arguments.count);
    client.lines(&path, |line| {
        let told: Told = serde_json::from_slice(line).context(
            "the agent shows what this version of picket does not understand; is it another version?",
        )?;
        let mut out = std::io::stdout().lock();
        match global.output {
            Output::Json => out.write_all(&[line, b"\n"].concat())?,
            Output::Text => out.write_all(show(&told, paint).as_bytes())?,
        }
        // Each line is for somebody who waits for it.
        out.flush()?;
        if let (Told::Line(_), Some(left)) = (&told, &mut left) {
            *left -= 1;
        }
        Ok(if left == Some(0) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(())
}

fn show(told: &Told, paint: Paint) -> String {
    let line = match told {
        Told::Dropped(Dropped { dropped }) => {
            return format!("{}\n", paint.faint(&format!("… {dropped} more were not shown; see --limit")));
        }
        Told::Line(line) => line,
    };
    let time = jiff::Timestamp::from_nanosecond(i128::from(line.time));
    let time = time.map(|time| format!("{time:.3}")).unwrap_or_default();
    let point = format!("{} {}", line.point.name(), escape(&line.name));
    let place = match (&line.stream, line.offset) {
        (Some(stream), Some(offset)) => format!(" {}:{offset}", escape(stream)),
        _ => String::new(),
    };
    let kind = line.kind.map(|kind| format!(" {}", kind.word())).unwrap_or_default();
    let outcome = match line.outcome {
        None => String::new(),
        Some(Outcome::Accepted) => format!(" {}", paint.good("accepted")),
        Some(Outcome::Refused) => format!(" {}", paint.bad("refused")),
        Some(Outcome::Failed) => format!(" {}", paint.bad("failed")),
    };
    format!("{} {}{place}{kind}{outcome}  {}\n", paint.faint(&time), paint.bold(&point), escape(&line.text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_line_cannot_write_to_the_terminal() {
        let line = r#"{"time":1700000000000000000,"point":"source","name":"logs","stream":"/x\u001b[2J","offset":7,
            "text":"a\u001b[31m\nb"}"#;
        let shown = show(&serde_json::from_str(line).unwrap(), Paint::for_stdout(true));
        assert_eq!(shown.matches(|letter: char| letter.is_control()).count(), 1, "{shown:?}");
        for part in ["2023-11-14T22:13:20", "source logs", ":7", "b"] {
            assert!(shown.contains(part), "`{part}` is missing in {shown}");
        }
    }

    #[test]
    fn what_was_not_shown_is_told() {
        let shown = show(&serde_json::from_str(r#"{"dropped":12}"#).unwrap(), Paint::for_stdout(true));
        assert!(shown.contains("12 more"), "{shown}");
    }
}
