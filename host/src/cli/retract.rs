//! `picket findings retract`: takes back what a plugin got wrong; whoever was sent it is told.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::client::Client;
use super::findings::moment;
use super::global::Global;
use super::output::{self, Output, Paint};
use crate::api::dto::{RetractExample, RetractReport, RetractRequest};
use crate::model::{Digest, MAX_RETRACTION_REASON_BYTES};
use crate::telemetry::escape;

/// Of `picket findings retract`. All conditions have to hold.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Whose findings and verdicts.
    #[arg(long, value_name = "NAME")]
    plugin: String,
    /// Only those of this generation: its digest in full, as findings show it.
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    generation: Option<Digest>,
    /// Only findings of this rule.
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Not earlier: a time such as `2026-11-20T16:00:00Z`, or how long ago, such as `2h`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<String>,
    /// Earlier than this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<String>,
    /// Why, in one sentence: everybody who got them reads it.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// Only say what would be taken back.
    #[arg(long)]
    dry_run: bool,
    /// The agent's Unix socket, instead of the one in the configuration.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

fn digest(text: &str) -> Result<Digest, String> {
    text.parse().map_err(|_| "write all 64 hexadecimal digits".to_owned())
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim().len() {
        0 => Err("say in a sentence why".to_owned()),
        length if length > MAX_RETRACTION_REASON_BYTES => {
            Err(format!("it is longer than {MAX_RETRACTION_REASON_BYTES} bytes"))
        }
        _ => Ok(text.to_owned()),
    }
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let client = Client::new(global, arguments.socket.as_deref())?;
    let request = RetractRequest {
        plugin: arguments.plugin.clone(),
        generation: arguments.generation,
        rule: arguments.rule.clone(),
        since: arguments.since.clone(),
        until: arguments.until.clone(),
        reason: arguments.reason.clone(),
        dry_run: arguments.dry_run,
    };
    let report: RetractReport = client.post("/api/v1/findings/retract", &request)?;
    match global.output {
        Output::Json => output::json(&report)?,
        Output::Text => output::text(&show(&report, global.paint()))?,
    }
    Ok(())
}

/// How many, some of them, and what is left.
fn show(report: &RetractReport, paint: Paint) -> String {
    let RetractReport { dry_run, retracted, already, more, archived, examples } = report;
    let mut text = match (retracted, dry_run) {
        (0, _) => "Nothing that stands matches.\n".to_owned(),
        (1, true) => "1 result would be taken back:\n".to_owned(),
        (1, false) => "1 result was taken back:\n".to_owned(),
        (_, true) => format!("{retracted} results would be taken back:\n"),
        (_, false) => format!("{retracted} results were taken back:\n"),
    };
    text.extend(examples.iter().map(|example| line(example, paint)));
    // Writing to a string cannot fail.
    let others = retracted.saturating_sub(examples.len() as u64);
    if others > 0 {
        let _ = writeln!(text, "    and {others} more");
    }
    if *already > 0 {
        let _ = writeln!(text, "{already} had been taken back before and are left out.");
    }
    if *more {
        text += "There are more than are taken back at once; say it again for the others.\n";
    }
    if !archived {
        text += "The archive is behind and shows it later; what is said again before that is taken back once more.\n";
    }
    text
}

fn line(example: &RetractExample, paint: Paint) -> String {
    let time = paint.faint(&example.timestamp.to_seconds());
    let what = example.rule.as_deref().unwrap_or(example.kind.word());
    format!("    {time} {} {}\n", paint.bold(&escape(what)), escape(&example.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::dto::Time;
    use crate::model::{EventId, FrameKind};

    #[test]
    fn the_report_says_how_many_and_shows_some() {
        let example = RetractExample {
            id: EventId([0; 16]),
            timestamp: Time(0),
            kind: FrameKind::Finding,
            generation: Digest::of(b"x"),
            rule: Some("burst".into()),
            text: "much\n".into(),
        };
        let report = RetractReport {
            retracted: 3,
            already: 2,
            archived: true,
            examples: vec![example],
            ..RetractReport::default()
        };
        let paint = Paint::for_stdout(true);
        assert_eq!(
            show(&report, paint),
            "3 results were taken back:\n    1970-01-01T00:00:00Z burst much\\n\n    and 2 more\n\
             2 had been taken back before and are left out.\n"
        );
        let nothing = RetractReport { already: 3, archived: true, ..RetractReport::default() };
        assert!(show(&nothing, paint).starts_with("Nothing that stands matches.\n3 had been"));
        let dry = RetractReport { dry_run: true, retracted: 1, more: true, ..RetractReport::default() };
        let text = show(&dry, paint);
        assert!(text.contains("1 result would be") && text.contains("There are more"), "{text}");
    }

    #[test]
    fn a_digest_is_whole_and_a_reason_is_one() {
        assert!(digest("2a").is_err() && digest(&"2a".repeat(32)).is_ok());
        assert!(reason(" ").is_err() && reason(&"x".repeat(2000)).is_err() && reason("r").is_ok());
    }
}
