//! `picket alerts silence`: makes, shows and ends silences of the running agent.

use clap::{Args, Subcommand};

use super::super::Failure;
use super::super::client::{Client, encode};
use super::super::global::Global;
use super::super::output::{self, Output, Paint};
use crate::alerts::silence::{Matcher, Phase};
use crate::api::dto::{AlertView, Alerts, SilenceView, Silences, Time, WantedSilence};
use crate::api::query::parse_moment;
use crate::model::now_nanos;
use crate::telemetry::escape;

/// Of `picket alerts silence`.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Silence alerts for a time.
    Add(Add),
    /// Show silences.
    List(List),
    /// End a silence now.
    Expire(Expire),
}

/// Of `picket alerts silence add`.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// For how long, such as `2h` or `3days`.
    #[arg(long, value_name = "TIME", value_parser = duration, required_unless_present = "until")]
    duration: Option<String>,
    /// Until when: a time such as `2026-11-20T16:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "duration")]
    until: Option<Time>,
    /// Why, for whoever finds it later.
    #[arg(long, value_name = "TEXT")]
    comment: String,
    /// Who wants it, instead of you.
    #[arg(long, value_name = "NAME")]
    creator: Option<String>,
    /// Only show which alerts it would silence now.
    #[arg(long)]
    dry_run: bool,
    /// What an alert has to match, all of it: NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX.
    #[arg(required = true, value_name = "MATCHER")]
    matchers: Vec<Matcher>,
}

/// Of `picket alerts silence list`.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Those too that have ended; they are kept for five days.
    #[arg(long)]
    all: bool,
}

/// Of `picket alerts silence expire`.
#[derive(Debug, Args)]
pub(super) struct Expire {
    /// Only show the silence.
    #[arg(long)]
    dry_run: bool,
    /// The silence, as `picket alerts silence list` shows it.
    id: String,
}

fn duration(text: &str) -> Result<String, String> {
    match humantime::parse_duration(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("write a length of time such as `2h` or `3days`".to_owned()),
    }
}

fn moment(text: &str) -> Result<Time, String> {
    if humantime::parse_duration(text).is_ok() {
        return Err(
            "write a time such as `2026-11-20T16:00:00Z`; for a length of time use --duration".to_owned()
        );
    }
    parse_moment(text, now_nanos()).map(Time)
}

pub(super) fn run(global: &Global, client: &Client, verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Add(arguments) => add(global, client, arguments),
        Verb::List(arguments) => list(global, client, arguments),
        Verb::Expire(arguments) => expire(global, client, arguments),
    }
}

fn add(global: &Global, client: &Client, arguments: &Add) -> Result<(), Failure> {
    let wanted = WantedSilence {
        matchers: arguments.matchers.clone(),
        starts_at: None,
        ends_at: arguments.until,
        duration: arguments.duration.clone(),
        created_by: arguments.creator.clone().unwrap_or_else(user),
        comment: arguments.comment.clone(),
    };
    let now = now_nanos();
    if arguments.dry_run {
        return would_add(global, client, wanted, now);
    }
    let made: SilenceView = client.post("/api/v1/silences", &wanted)?;
    show_one(global, &made, now)
}

/// What the agent would say of the silence itself, and the alerts that it would silence now.
fn would_add(global: &Global, client: &Client, wanted: WantedSilence, now: u64) -> Result<(), Failure> {
    let wanted = wanted.resolved(now).map_err(Failure::Usage)?;
    let silences = wanted.silences(now).map_err(|mistake| Failure::Usage(mistake.to_string()))?;
    let found: Alerts = client.get("/api/v1/alerts")?;
    let alerts: Vec<AlertView> =
        found.alerts.into_iter().filter(|alert| silences.covers(&alert.labels.0)).collect();
    match global.output {
        Output::Json => output::json(&Alerts { alerts })?,
        Output::Text => {
            let (paint, count) = (global.paint(), alerts.len());
            let shown: String = alerts.iter().map(|alert| super::show(alert, paint, now)).collect();
            output::text(&format!(
                "{shown}Alerts that would be silenced now: {count}. Nothing was changed.\n"
            ))?;
        }
    }
    Ok(())
}

fn list(global: &Global, client: &Client, arguments: &List) -> Result<(), Failure> {
    let mut found: Silences = client.get("/api/v1/silences")?;
    found.silences.retain(|silence| arguments.all || silence.state != Phase::Expired);
    if global.output == Output::Json {
        output::json(&found)?;
        return Ok(());
    }
    let (paint, now) = (global.paint(), now_nanos());
    let text: String = found.silences.iter().map(|silence| show(silence, paint, now)).collect();
    output::text(if text.is_empty() { "There is no silence.\n" } else { &text })?;
    Ok(())
}

fn expire(global: &Global, client: &Client, arguments: &Expire) -> Result<(), Failure> {
    let now = now_nanos();
    if !arguments.dry_run {
        let ended: SilenceView = client.delete(&format!("/api/v1/silences/{}", encode(&arguments.id)))?;
        return show_one(global, &ended, now);
    }
    let all: Silences = client.get("/api/v1/silences")?;
    let found = all.silences.into_iter().find(|silence| silence.id == arguments.id);
    let found = found.ok_or_else(|| anyhow::anyhow!("there is no silence `{}`", arguments.id))?;
    show_one(global, &found, now)?;
    if global.output == Output::Text {
        output::text("Nothing was changed.\n")?;
    }
    Ok(())
}

fn show_one(global: &Global, silence: &SilenceView, now: u64) -> Result<(), Failure> {
    match global.output {
        Output::Json => output::json(silence)?,
        Output::Text => output::text(&show(silence, global.paint(), now))?,
    }
    Ok(())
}

/// What it silences and for how long, and below who wants that and why.
fn show(silence: &SilenceView, paint: Paint, now: u64) -> String {
    let matchers: Vec<String> =
        silence.matchers.iter().map(|it| escape(&it.to_string()).into_owned()).collect();
    let when = match silence.state {
        Phase::Pending => format!("begins {}", silence.starts_at.to_seconds()),
        // How long it goes on is as long as it is until then.
        Phase::Active => format!("for {} more", output::ago(now, silence.ends_at.0)),
        Phase::Expired => format!("ended {} ago", output::ago(silence.ends_at.0, now)),
    };
    format!(
        "{} {:8} {when}: {}\n    until {}, {}: {}\n",
        paint.bold(&escape(&silence.id)),
        silence.state.word(),
        matchers.join(" "),
        silence.ends_at.to_seconds(),
        escape(&silence.created_by),
        escape(&silence.comment),
    )
}

/// Who asks: the person behind `sudo`, else the user.
fn user() -> String {
    let named = ["SUDO_USER", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    named.unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    fn silence(state: Phase, starts_at: u64, ends_at: u64) -> SilenceView {
        SilenceView {
            id: "0123456789abcdef".into(),
            state,
            matchers: vec!["alertname=A".parse().unwrap(), "job=~a|b".parse().unwrap()],
            starts_at: Time(starts_at),
            ends_at: Time(ends_at),
            created_by: "me".into(),
            comment: "one\ntwo".into(),
        }
    }

    #[test]
    fn a_silence_is_shown_on_two_lines_whatever_stands_in_it() {
        let paint = Paint::for_stdout(true);
        let shown = show(&silence(Phase::Active, 0, 3 * HOUR), paint, HOUR);
        assert_eq!(
            shown,
            "0123456789abcdef active   for 2 h 0 min more: alertname=\"A\" job=~\"a|b\"\n    \
             until 1970-01-01T03:00:00Z, me: one\\ntwo\n"
        );
        let shown = show(&silence(Phase::Pending, 2 * HOUR, 3 * HOUR), paint, HOUR);
        assert!(shown.contains("pending  begins 1970-01-01T02:00:00Z"), "{shown}");
        let shown = show(&silence(Phase::Expired, 0, HOUR), paint, 2 * HOUR);
        assert!(shown.contains("expired  ended 1 h 0 min ago"), "{shown}");
    }

    #[test]
    fn an_end_is_a_time_and_no_length_of_time() {
        assert_eq!(moment("1970-01-01T01:00:00Z"), Ok(Time(HOUR)));
        assert!(moment("2h").unwrap_err().contains("--duration"));
        assert!(duration("soon").is_err() && duration("2h").is_ok());
    }
}
