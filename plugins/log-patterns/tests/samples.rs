//! The plugin on logs that real programs wrote (`tests/samples`), and on what follows them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use log_patterns::LogPatterns;
use picket_sdk::testing::{Host, Lines, Output, Running};
use picket_sdk::{Finding, Severity};

const AUTH: &str = include_str!("../../../tests/samples/auth.log");
const NGINX_ERROR: &str = include_str!("../../../tests/samples/nginx-error.log");
const NGINX_ACCESS: &str = include_str!("../../../tests/samples/nginx-access.log");
const DPKG: &str = include_str!("../../../tests/samples/dpkg.log");
const MAKE: &str = include_str!("../../../tests/samples/make.log");
const KERN: &str = include_str!("../../../tests/samples/kern.log");

/// Nothing is learned in silence: every template of the samples is a finding.
const REPORT: &str = r#"{"learning": {"report": true}}"#;
/// Learning ends at once.
const LEARNED: &str = r#"{"learning": {"records": 1, "time": "0s"}}"#;

fn start(config: &str) -> (Host, Running<LogPatterns>) {
    let host = Host::new();
    // The samples are of this time; a record is read after it was written.
    host.set_time(1_795_300_000_000_000_000);
    let plugin = host.start(config).unwrap();
    (host, plugin)
}

fn templates(output: &Output) -> Vec<&str> {
    let text = |finding: &'static str| finding;
    let prefix = text("a pattern was learned: ");
    output.findings.iter().filter_map(|f| f.message.strip_prefix(prefix)).collect()
}

/// The number of templates of a log, and one of them.
fn check(text: &str, most: usize, expected: &str) {
    let (_host, mut plugin) = start(REPORT);
    let output = plugin.analyze(Lines::new().text(text)).unwrap();
    let found = templates(&output);
    assert!(found.len() <= most, "{} templates: {found:#?}", found.len());
    assert!(found.contains(&expected), "{found:#?}");
    let records = text.lines().filter(|line| !line.trim().is_empty()).count();
    assert_eq!(output.counter("log_pattern_records_total", &[]), records as f64);
}

#[test]
fn real_logs_have_few_templates() {
    check(AUTH, 80, "<time> web-<num> sshd[<num>]: Failed password for bob from <ip> port <num> ssh2");
    check(
        NGINX_ERROR,
        25,
        "<time> [error] <num>#<num>: *<num> open() \"<path>\" failed (<num>: No such file or directory), client: <ip>, server: web-<num>, request: \"GET <path> HTTP/<num>\", host: \"<ip>\", referrer: \"<url>\"",
    );
    check(
        NGINX_ACCESS,
        30,
        "<ip> - - [<time> +<num>] \"GET <path> HTTP/<num>\" <num> <num> \"<url>\" \"kube-probe/<num>\"",
    );
    check(DPKG, 30, "<time> startup archives unpack");
    check(
        KERN,
        3,
        "<time> web-<num> kernel: [ <num>] crashing[<num>]: segfault at <num> ip <hex> sp <hex> error <num> in crashing[<num>,<hex>+<num>] likely on CPU <num> (core <num>, socket <num>)",
    );
}

#[test]
fn a_pattern_never_seen_before_is_told_once() {
    // All lines of the sample come at one moment, so that only their number ends learning.
    let (host, mut plugin) = start(r#"{"learning": {"records": 100, "time": "0s"}}"#);
    let learning = plugin.analyze(Lines::new().text(AUTH)).unwrap();
    let told = learning.findings.len();
    // The rest of the sample was new and has used up what is told in one hour.
    host.advance(Duration::from_secs(3600));
    let line = "Nov 20 16:50:00 web-1 app[7]: fatal: the disk is on fire at 0xdead (sector 12)";
    let output = plugin.analyze(Lines::new().line(line)).unwrap();
    let [finding] = &output.findings[..] else { panic!("{:?}", output.findings) };
    assert_eq!((finding.rule.as_str(), finding.severity), ("new-pattern", Severity::Medium));
    assert!(
        finding.message.ends_with("web-<num> app[<num>]: fatal: the disk is on fire at <hex> (sector <num>)"),
        "{}",
        finding.message
    );
    let again = plugin.analyze(Lines::new().line(line.replace("12", "99"))).unwrap();
    assert!(again.findings.is_empty());
    assert!(told < 60, "{told} findings while most of the log was new");
}

#[test]
fn learning_makes_no_findings() {
    let (_host, mut plugin) = start("{}");
    for text in [AUTH, NGINX_ERROR, DPKG, MAKE] {
        assert!(plugin.analyze(Lines::new().text(text)).unwrap().findings.is_empty());
    }
}

/// The templates are in the state: a new instance without a snapshot knows them.
#[test]
fn what_was_learned_outlives_the_instance_and_its_snapshot() {
    let (host, mut plugin) = start(r#"{"learning": {"records": 100, "time": "1s"}}"#);
    plugin.analyze(Lines::new().text(AUTH)).unwrap();
    let known = plugin.plugin().miner().patterns();
    assert_eq!(host.state_entries(), known + 1);

    let mut restarted = plugin.restart().unwrap();
    assert_eq!(restarted.plugin().miner().patterns(), known);
    assert!(restarted.analyze(Lines::new().text(AUTH)).unwrap().findings.is_empty());

    let mut bare = host.start::<LogPatterns>(r#"{"learning": {"records": 100, "time": "1s"}}"#).unwrap();
    let output = bare.analyze(Lines::new().text(AUTH)).unwrap();
    assert!(output.findings.is_empty(), "{:?}", output.findings);
    assert_eq!(bare.plugin().miner().patterns(), known);
}

#[test]
fn a_snapshot_makes_an_equal_instance() {
    let (_host, mut plugin) = start("{}");
    plugin.analyze(Lines::new().text(NGINX_ERROR)).unwrap();
    let before = plugin.snapshot().unwrap();
    let after = plugin.restart().unwrap().snapshot().unwrap();
    assert_eq!(before.len(), after.len());
}

fn jumps(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.rule == "rate-jump").collect()
}

#[test]
fn a_pattern_whose_rate_jumps_is_found_and_one_whose_rate_does_not_is_not() {
    let (host, mut plugin) = start(LEARNED);
    let mut found = Vec::new();
    for minute in 0..30_u32 {
        let timeouts = if minute == 25 { 400 } else { 5 + minute % 3 };
        let mut lines = Lines::new();
        for n in 0..timeouts {
            lines = lines.line(format!("upstream timed out after {n} ms"));
        }
        for n in 0..40 {
            lines = lines.line(format!("request {n} served"));
        }
        found.extend(
            jumps(&plugin.analyze(lines).unwrap().findings).into_iter().cloned().map(|f| (minute, f)),
        );
        host.advance(Duration::from_secs(60));
    }
    let [(minute, finding)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((*minute, finding.severity), (25, Severity::Medium));
    assert!(finding.message.contains("upstream timed out after <num> ms"));
}

#[test]
fn times_in_the_lines_count_where_they_are_told() {
    let (_host, mut plugin) = start(LEARNED);
    let mut lines = Lines::new();
    for minute in 0..30 {
        for n in 0..(if minute == 20 { 100 } else { 4 }) {
            lines = lines.line(format!("2026-11-20T10:{minute:02}:00Z request {n} failed"));
        }
    }
    assert_eq!(jumps(&plugin.analyze(lines).unwrap().findings).len(), 1);
}

#[test]
fn a_flood_of_new_patterns_is_bounded() {
    let (host, mut plugin) =
        start(r#"{"learning": {"records": 1, "time": "0s"}, "max_patterns": 50, "max_counted": 10}"#);
    let word = |n: u32| n.to_string().bytes().map(|b| char::from(b - b'0' + b'a')).collect::<String>();
    let lines: Vec<String> = (0..3000).map(|n| format!("{0} {0}{0} {0}{0}{0}", word(n))).collect();
    let output = plugin.analyze(Lines::new().lines(&lines)).unwrap();
    assert_eq!(output.findings.len(), 30);
    assert_eq!(
        output.counter("log_patterns_founded_total", &[]),
        output.counter("log_patterns_suppressed_total", &[]) + 31.0
    );
    assert_eq!(output.counter("log_pattern_records_total", &[]), 3000.0);
    assert!(output.counters.iter().filter(|c| c.name == "log_pattern_records_total").count() <= 11);
    assert!(host.state_entries() <= 51);
    assert_eq!(plugin.plugin().miner().patterns(), 50);
}

#[test]
fn records_without_text_are_passed_over() {
    let (_host, mut plugin) = start("{}");
    let output = plugin.analyze(Lines::new().lines(&["", "  ", "\t"])).unwrap();
    assert_eq!(output.counter("log_pattern_records_total", &[]), 0.0);
}
