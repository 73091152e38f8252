//! The command line as people type it.

use std::ffi::OsString;

use clap::{CommandFactory as _, Parser as _};

use super::Cli;
use super::output::Output;
use crate::config::Flag;

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

/// What is wrong with a line, or nothing.
fn error(line: &str) -> Option<(i32, String)> {
    let words: Vec<OsString> =
        std::iter::once("picket").chain(line.split_whitespace()).map(OsString::from).collect();
    Cli::read(&words).err().map(|error| (error.exit_code(), error.to_string()))
}

#[test]
fn good_lines_are_taken() {
    for line in [
        "run --config /etc/picket/picket.toml --log-level debug --log-format json",
        "--no-color check --config-only --no-environment --output json",
        "status --socket /run/picket.sock",
        "scan /srv /tmp/x --plugin file-guard --plugin mine.wasm --fail-on malicious -v",
        "analyze access.log - --plugin-dir plugins --fail-on high",
        "findings --since 2h --until 2026-11-20T16:00:00Z --severity high --plugin p --text x --limit 5",
        "findings --retracted --plugin p",
        "findings --config x retract --plugin p --rule r --since 2h --until 1h --reason wrong --dry-run --output json",
        "alerts --output json",
        "alerts silence add --duration 2h --comment because alertname=A job=~a.* --dry-run",
        "alerts silence add --until 2026-11-20T16:00:00Z --comment because --creator me severity!=critical",
        "alerts silence list --all --socket /run/picket.sock --output json",
        "alerts silence expire 0123456789abcdef --dry-run",
        "check --connect",
        "tap forwarder up --limit 1000 --count 3 --output json",
        "plugin build --debug folder",
        "plugin build",
        "plugin new --kind alert-rule my-rule --path /srv/x --sdk /srv/picket --dry-run",
        "plugin test my-rule --component-only --cases more.toml",
        "plugin test my.wasm --input access.log --plugin-config my.toml --assets rules",
    ] {
        assert_eq!(error(line), None, "{line}");
    }
}

#[test]
fn bad_lines_end_with_2_and_say_what_is_possible() {
    for (line, says) in [
        ("", "Usage"),
        ("rnu", "'run'"),
        ("plugin biuld", "'build'"),
        ("plugin build --debgu", "'--debug'"),
        ("run --colour", "'--no-color'"),
        ("scan", "<PATH>"),
        ("findings --severity bad", "critical"),
        ("findings --since yesterday", "how long ago"),
        ("findings --limit 0", "1..=10000"),
        ("findings retract --plugin p", "--reason"),
        ("findings retract --reason wrong", "--plugin"),
        ("findings retract --plugin p --reason wrong --generation 2a", "64 hexadecimal"),
        ("findings retarct", "'retract'"),
        ("tap source logs --limit 1001", "1..=1000"),
        ("tap sink logs", "source, plugin, forwarder"),
        ("check --connect --config-only", "cannot be used with"),
        ("check --output xml", "text, json"),
        ("scan x --fail-on clean", "suspicious, malicious"),
        ("alerts silence add --comment x a=b", "--duration"),
        (
            "alerts silence add --duration 1h --until 2026-11-20T16:00:00Z --comment x a=b",
            "cannot be used with",
        ),
        ("alerts silence add --duration 1h a=b", "--comment"),
        ("alerts silence add --duration 1h --comment x", "<MATCHER>"),
        ("alerts silence add --duration 1h --comment x DiskFull", "NAME=VALUE"),
        ("alerts silence add --duration soon --comment x a=b", "2h"),
        ("alerts silence exprie x", "'expire'"),
        ("plugin new x", "--kind"),
        ("plugin new x --kind analyser", "analyzer"),
        ("plugin test x --input a --cases b", "cannot be used with"),
    ] {
        let (code, message) = error(line).unwrap();
        assert_eq!(code, 2, "{line}");
        assert!(message.contains(says), "{line}: {message}");
    }
    assert_eq!(error("--help").unwrap().0, 0);
    assert_eq!(error("--version").unwrap().0, 0);
}

#[test]
fn flags_stand_for_settings() {
    let cli = Cli::try_parse_from(["picket", "run", "--log-level", "debug", "--log-format", "json"]).unwrap();
    let flag = |key: &str, value: &str, name| Flag { key: key.into(), value: value.into(), name };
    let expected = [flag("log.format", "json", "--log-format"), flag("log.level", "debug", "--log-level")];
    assert_eq!(cli.global.flags(), expected);
    assert_eq!(cli.global.output, Output::Text);
}
