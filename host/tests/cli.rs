//! The `picket` program as people and scripts run it: what it prints, and how it ends.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use picket::api::config::Endpoints;
use picket::api::dto::{
    AlertView, ConfigStatus, FindingView, Findings, JournalStatus, MemoryStatus, Pairs, Plugins,
    ReloadReport, SeriesStatus, Status, Time,
};
use picket::api::{FindingQuery, FindingsError, Metrics, Server, View};
use picket::model::{AlertState, Digest, EventId, Label, Severity};

/// Runs the program without the environment's own settings.
fn picket(folder: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_picket"))
        .args(line.split_whitespace())
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("XDG_CACHE_HOME", folder)
        .output()
        .unwrap()
}

/// Runs it and checks its exit code and that both outputs say what they should.
fn check(folder: &Path, line: &str, code: i32, stdout: &[&str], stderr: &[&str]) {
    let output = picket(folder, line);
    let texts = [String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap()];
    let shown = format!("picket {line}\n--- stdout\n{}--- stderr\n{}", texts[0], texts[1]);
    assert_eq!(output.status.code(), Some(code), "{shown}");
    for (text, expected) in texts.iter().zip([stdout, stderr]) {
        for part in expected {
            assert!(text.contains(part), "`{part}` is missing in\n{shown}");
        }
        assert!(!expected.is_empty() || text.is_empty(), "unexpected output of\n{shown}");
    }
}

fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("picket.toml"), config).unwrap();
    folder
}

#[test]
fn a_good_configuration_passes() {
    let folder = folder("data_dir = \"data\"\n[sources.host]\nkind = \"host\"\n");
    check(folder.path(), "check --config picket.toml", 0, &["0 plugins, 1 sources, 0 forwarders"], &[]);
    check(folder.path(), "check --config picket.toml --output json", 0, &["\"ok\": true"], &[]);
    assert!(!folder.path().join("data").exists(), "a check changes nothing");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = folder("data_dir = \"data\"\n");
    for output in ["text", "json"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = Command::new(env!("CARGO_BIN_EXE_picket"))
            .args(["check", "--config-only", "--config", "picket.toml", "--output", output])
            .current_dir(folder.path())
            .env_clear()
            .stdout(writer)
            .output()
            .unwrap();
        assert_eq!((ran.status.code(), String::from_utf8(ran.stderr).unwrap().as_str()), (Some(0), ""));
    }
}

#[test]
fn a_bad_configuration_ends_with_78_and_names_every_place() {
    let folder = folder("[log]\nlevel = \"inof\"\n[api]\nlisten = \"0.0.0.0:1\"\nport = 3\n");
    let expected =
        ["picket.toml:2:9", "picket.toml:4:10", "needs TLS", "picket.toml:5:1", "unknown key `api.port`"];
    check(folder.path(), "check --config picket.toml", 78, &[], &expected);
    check(folder.path(), "run --config picket.toml", 78, &[], &expected);
    check(
        folder.path(),
        "check --config picket.toml --output json",
        78,
        &["\"code\": \"unknown-key\"", "\"line\": 5"],
        &[],
    );
    check(folder.path(), "run --config nowhere.toml", 78, &[], &["nowhere.toml", "--config"]);
}

#[test]
fn a_flag_stands_over_the_file() {
    let folder = folder("[log]\nlevel = \"inof\"\n");
    check(folder.path(), "check --config picket.toml --config-only --log-level info", 0, &["is good"], &[]);
    check(
        folder.path(),
        "check --config picket.toml --config-only --log-level loud",
        78,
        &[],
        &["flag --log-level"],
    );
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let folder = folder("");
    check(folder.path(), "rnu", 2, &[], &["unrecognized subcommand 'rnu'"]);
    check(folder.path(), "scan", 2, &[], &["<PATH>"]);
}

#[test]
fn without_an_agent_the_reader_is_told_how_to_start_one() {
    let folder = folder("data_dir = \"data\"\n");
    for verb in ["status", "findings", "alerts"] {
        check(
            folder.path(),
            &format!("{verb} --config picket.toml"),
            1,
            &[],
            &["no agent runs at", "data/picket.sock", "picket run"],
        );
        check(
            folder.path(),
            &format!("{verb} --output json --socket x.sock"),
            1,
            &[],
            &["{\"error\":\"no agent runs at x.sock"],
        );
    }
}

#[test]
fn what_is_no_component_is_named() {
    let folder = folder("");
    std::fs::write(folder.path().join("x.wasm"), b"no component").unwrap();
    check(folder.path(), "plugin inspect x.wasm", 1, &[], &["x.wasm", "not WebAssembly"]);
    std::fs::write(folder.path().join("x.wasm"), b"\0asm\x01\0\0\0").unwrap();
    check(
        folder.path(),
        "plugin inspect x.wasm",
        1,
        &[],
        &["x.wasm", "core WebAssembly module", "wasm32-wasip2"],
    );
    check(folder.path(), "plugin inspect y.wasm", 1, &[], &["y.wasm cannot be read", "plugin build"]);
    check(folder.path(), "plugin build .", 1, &[], &["no Cargo.toml"]);
}

#[test]
fn one_shot_runs_say_where_plugins_were_looked_for() {
    let folder = folder("");
    std::fs::write(folder.path().join("app.log"), "one\n").unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let given = format!("--plugin-dir {}/empty", folder.path().display());
    check(
        folder.path(),
        &format!("scan picket.toml {given}"),
        1,
        &[],
        &["file-guard", "/empty", "--plugin-dir"],
    );
    check(folder.path(), &format!("analyze app.log {given}"), 1, &[], &["log-patterns", "/empty"]);
    check(folder.path(), "analyze nowhere.log", 1, &[], &["nowhere.log cannot be read"]);
    check(
        folder.path(),
        "analyze app.log --plugin nobody",
        2,
        &[],
        &["there is no plugin `nobody`", "access-log"],
    );
}

/// An agent with one finding and one alert.
struct Agent {
    ready: bool,
}

impl View for Agent {
    fn is_started(&self) -> bool {
        true
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn status(&self) -> Status {
        Status {
            version: "1.2.3".into(),
            pid: 7,
            started: Time(0),
            not_ready: (!self.ready).then(|| "the disk is full".into()),
            data_dir: "/x".into(),
            config: ConfigStatus { last_error: Some("line one\nline two".into()), ..ConfigStatus::default() },
            plugins: [].into(),
            sources: vec![],
            forwarders: vec![],
            journal: JournalStatus::default(),
            series: SeriesStatus::default(),
            memory: MemoryStatus::default(),
        }
    }

    fn plugins(&self) -> Plugins {
        Plugins { plugins: vec![] }
    }

    fn findings(&self, query: &FindingQuery, _deadline: Instant) -> Result<Findings, FindingsError> {
        let text = query.text.clone().unwrap_or_default();
        let digest = Digest::of(b"x");
        let finding = FindingView {
            id: EventId::derive(&digest, 0, &digest, 0),
            timestamp: Time(1_700_000_000_000_000_000),
            plugin: "web".into(),
            generation: digest,
            rule: "burst".into(),
            severity: query.min_severity.unwrap_or(Severity::Low),
            message: format!("\x1b[2J searched for {text}"),
            attributes: Pairs(vec![Label { name: "path".into(), value: "/a\nforged line".into() }]),
            source: "nginx".into(),
            stream: "/var/log/x".into(),
            offset: Some(7),
            record: None,
            retracted: None,
        };
        Ok(Findings { findings: vec![finding], truncated: false })
    }

    fn alerts(&self) -> Vec<AlertView> {
        vec![AlertView {
            plugin: "thresholds".into(),
            generation: Digest::of(b"x"),
            group: "host".into(),
            rule: "memory".into(),
            state: AlertState::Firing,
            labels: Pairs(vec![Label { name: "alertname".into(), value: "memory".into() }]),
            annotations: Pairs::default(),
            value: Some(93.5),
            active_since: Time(0),
            silenced_by: Some("0123456789abcdef".into()),
        }]
    }

    fn reload(&self) -> ReloadReport {
        ReloadReport::default()
    }
}

fn serve(folder: &Path, ready: bool) -> Server {
    let endpoints = Endpoints {
        listen: None,
        socket: folder.join("agent.sock"),
        connections: 8,
        timeout: Duration::from_secs(30),
    };
    let registry = prometheus::Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    picket::api::start(&endpoints, Arc::new(Agent { ready }), registry, metrics).unwrap()
}

#[test]
fn the_agents_answers_are_shown_with_control_characters_escaped() {
    let folder = folder("");
    let server = serve(folder.path(), true);
    check(
        folder.path(),
        "findings --socket agent.sock --text a&b%20ä --severity high",
        0,
        &[
            "2023-11-14T22:13:20Z high     web/burst \\u{1b}[2J searched for a&b%20ä\n",
            "/var/log/x:7  path=/a\\nforged line\n",
        ],
        &[],
    );
    check(folder.path(), "findings --socket agent.sock --output json", 0, &["\"severity\": \"low\""], &[]);
    check(
        folder.path(),
        "alerts --socket agent.sock",
        0,
        &["firing   thresholds/memory for", "value 93.5", "silenced by 0123456789abcdef"],
        &[],
    );
    check(
        folder.path(),
        "status --socket agent.sock",
        0,
        &["picket 1.2.3 (pid 7)", ": ready", "  line two\n"],
        &[],
    );
    server.stop();
}

#[test]
fn an_agent_that_is_not_ready_ends_with_1() {
    let folder = folder("");
    let server = serve(folder.path(), false);
    check(folder.path(), "status --socket agent.sock", 1, &["not ready: the disk is full"], &[]);
    server.stop();
}

#[test]
fn the_reference_and_the_schema_are_printed() {
    let folder = folder("");
    check(
        folder.path(),
        "config reference",
        0,
        &["## `[plugins.NAME.limits]`", "| `memory` | `\"64MiB\"` |"],
        &[],
    );
    check(folder.path(), "config schema", 0, &["\"additionalProperties\": false"], &[]);
}
