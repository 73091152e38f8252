//! The plugin on logs that real programs wrote (`tests/samples`, whose README says what happened there).
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use auth_guard::AuthGuard;
use auth_guard::parse::{Kind, parse_event, parse_line};
use picket_sdk::testing::{Host, Lines, Output, Running};
use picket_sdk::{Finding, Severity};

const AUTH: &str = include_str!("../../../tests/samples/auth.log");
const AUTH_ISO: &str = include_str!("../../../tests/samples/auth-iso.log");
const AUTH_5424: &str = include_str!("../../../tests/samples/auth-5424.log");
const SSHD: &str = include_str!("../../../tests/samples/sshd.log");

/// A host whose clock stands where the sample ends, and the plugin on it.
fn start(config: &str) -> (Host, Running<AuthGuard>) {
    let host = Host::new();
    let last = AUTH_ISO.lines().last().unwrap();
    host.set_time(parse_line(last, 0, 0).unwrap().time);
    let plugin = host.start(config).unwrap();
    (host, plugin)
}

fn analyze(text: &str, config: &str) -> Output {
    let (_host, mut plugin) = start(config);
    plugin.analyze(Lines::new().text(text)).unwrap()
}

/// The findings as `rule severity address user`, sorted.
fn summary(output: &Output) -> Vec<String> {
    let line = |finding: &Finding| {
        let severity = format!("{:?}", finding.severity).to_lowercase();
        format!("{} {severity} {} {}", finding.rule, finding.get("address"), finding.get("user"))
    };
    let mut lines: Vec<String> = output.findings.iter().map(line).collect();
    lines.sort();
    lines
}

/// What everybody's `sshd` lines lead to, whatever their framing. The user is the one whose attempt made
/// the threshold, which differs from run to run where attempts ran side by side.
fn check_sshd(output: &Output) {
    let found = |rule: &str, address: &str| -> Vec<&Finding> {
        output.findings.iter().filter(|f| f.rule == rule && f.get("address") == address).collect()
    };
    let [brute] = found("brute-force", "198.51.100.23")[..] else { panic!("{:?}", summary(output)) };
    assert_eq!(brute.get("failures"), "10");
    assert_eq!(brute.get("service"), "sshd");
    let [spray] = found("password-spray", "203.0.113.9")[..] else { panic!("{:?}", summary(output)) };
    assert_eq!(spray.get("users").split(' ').count(), 8);
    let [intruder] = found("login-after-failures", "192.0.2.66")[..] else { panic!("{:?}", summary(output)) };
    assert_eq!((intruder.get("user"), intruder.get("failures")), ("deploy", "8"));
    assert_eq!(intruder.severity, Severity::High);
    assert_eq!(found("attempts-exhausted", "198.51.100.24").len(), 1);
    assert_eq!(found("root-login", "192.0.2.10").len(), 1);
    for innocent in ["192.0.2.11", "192.0.2.12", "192.0.2.13", "2001:db8::/64"] {
        assert!(output.findings.iter().all(|f| f.get("address") != innocent), "{:?}", summary(output));
    }
}

#[test]
fn the_attacks_in_a_real_log_are_found_in_each_framing() {
    let classic = analyze(AUTH, "{}");
    check_sshd(&classic);
    for (name, text) in [("iso", AUTH_ISO), ("5424", AUTH_5424)] {
        let other = analyze(text, "{}");
        assert_eq!(summary(&other), summary(&classic), "{name}");
    }
}

#[test]
fn lines_of_sshd_without_any_framing_are_read() {
    let output = analyze(SSHD, "{}");
    check_sshd(&output);
    let others: Vec<_> = output.findings.iter().filter(|f| f.get("service") != "sshd").collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn privilege_changes_in_a_real_log_are_found() {
    let output = analyze(AUTH, "{}");
    let of = |service: &str| -> Vec<String> {
        let chosen = output.findings.iter().filter(|f| f.get("service") == service);
        chosen.map(|f| format!("{} {}", f.rule, f.get("user"))).collect()
    };
    assert_eq!(
        of("sudo"),
        ["first-sudo alice", "first-sudo deploy", "sudo-failures alice", "sudo-denied bob"]
    );
    assert_eq!(of("su"), ["su-failures bob"]);
    assert_eq!(of("account").iter().filter(|f| f.starts_with("account-created")).count(), 4);
    let joined: Vec<_> = of("account").into_iter().filter(|f| f.starts_with("privileged-group")).collect();
    assert_eq!(joined, ["privileged-group alice", "privileged-group deploy"]);
    // Two wrong passwords and an unknown user at the console are no attack by default.
    assert_eq!(of("login"), [""; 0]);
    let strict = analyze(AUTH, r#"{"login": {"failures": 3}}"#);
    assert!(strict.rules().contains(&"login-failures"));
}

#[test]
fn events_of_a_real_log_are_counted_once() {
    let output = analyze(AUTH, "{}");
    let count = |labels: &[(&str, &str)]| output.counter("auth_events_total", labels);
    let matching = |piece: &str| AUTH.lines().filter(|line| line.contains(piece)).count() as f64;
    let sshd = |method, outcome| count(&[("service", "sshd"), ("method", method), ("outcome", outcome)]);
    assert_eq!(sshd("password", "failure"), matching(": Failed password for "));
    assert_eq!(sshd("password", "success"), matching(": Accepted password for "));
    assert_eq!(sshd("publickey", "success"), matching(": Accepted publickey for "));
    assert_eq!(sshd("keyboard-interactive", "failure"), matching("error: PAM: Authentication failure for "));
    assert_eq!(count(&[("service", "sudo"), ("outcome", "failure")]), 9.0);
    assert_eq!(count(&[("service", "su"), ("outcome", "failure")]), matching("FAILED SU"));
    assert_eq!(count(&[("service", "login"), ("outcome", "failure")]), 3.0);
    assert_eq!(count(&[("service", "login"), ("outcome", "success")]), 1.0);
}

/// The host hands over only lines with a literal of the interest; none that tells an event may be left.
#[test]
fn no_event_of_a_real_log_escapes_the_interest() {
    let mut events = 0;
    for text in [AUTH, AUTH_ISO, AUTH_5424, SSHD] {
        for line in text.lines() {
            if parse_event(&parse_line(line, u64::MAX / 2, 0).unwrap()).is_some() {
                events += 1;
                assert!(
                    auth_guard::interest::LITERALS.iter().any(|literal| line.contains(literal)),
                    "{line}"
                );
            }
        }
    }
    assert!(events > 800, "{events}");
}

/// Windows live in the state: an attack that goes on while the agent restarts is still one attack.
#[test]
fn a_restart_between_any_two_batches_changes_nothing() {
    let whole = analyze(AUTH, "{}");
    let (_host, mut plugin) = start("{}");
    let lines: Vec<&str> = AUTH.lines().collect();
    let mut findings = Vec::new();
    for batch in lines.chunks(7) {
        findings.extend(plugin.analyze(Lines::new().lines(batch)).unwrap().findings.clone());
        plugin = plugin.restart().unwrap();
    }
    let rules: Vec<String> =
        findings.iter().map(|f| format!("{} {} {}", f.rule, f.get("address"), f.get("user"))).collect();
    let expected: Vec<String> =
        whole.findings.iter().map(|f| format!("{} {} {}", f.rule, f.get("address"), f.get("user"))).collect();
    assert_eq!(rules, expected);
}

#[test]
fn a_rule_can_be_turned_off_or_made_graver_and_a_network_be_ignored() {
    let output = analyze(
        AUTH,
        r#"{"severity": {"first-sudo": "off", "brute-force": "critical"}, "ignore": {"addresses": ["203.0.113.0/24"], "users": ["deploy"]}}"#,
    );
    assert!(!output.rules().contains(&"first-sudo"));
    assert!(!output.rules().contains(&"password-spray"));
    assert!(!output.rules().contains(&"login-after-failures"));
    let brute = output.findings.iter().find(|f| f.rule == "brute-force").unwrap();
    assert_eq!(brute.severity, Severity::Critical);
}

#[test]
fn memory_of_a_first_sudo_ends_after_the_configured_days() {
    let (host, mut plugin) = start(r#"{"sudo": {"remember_days": 30}}"#);
    let line = "sudo: alice : TTY=pts/0 ; PWD=/srv ; USER=root ; COMMAND=/usr/bin/id";
    let mut first = |days: u64| {
        host.advance(Duration::from_secs(days * 86_400));
        plugin.analyze(Lines::new().line(line)).unwrap().rules() == ["first-sudo"]
    };
    assert!(first(0));
    assert!(!first(20));
    assert!(!first(20), "used meanwhile");
    assert!(first(31));
}

#[test]
fn wrong_configuration_names_its_key() {
    let check =
        |config: &str, key: &str| assert_eq!(Host::new().start::<AuthGuard>(config).unwrap_err().key, key);
    check(r#"{"brute_force": {"window": "soon"}}"#, "brute_force.window");
    check(r#"{"brute_force": {"windows": "1h"}}"#, "brute_force.windows");
    check(r#"{"severity": {"brute-force": "loud"}}"#, "severity.brute-force");
    check(r#"{"ignore": {"addresses": ["home"]}}"#, "ignore.addresses.0");
}

#[test]
fn every_kind_of_event_has_an_outcome_that_is_a_label() {
    for kind in [Kind::Failure, Kind::Echo, Kind::Refused, Kind::Locked, Kind::Probe, Kind::Success] {
        assert!(kind.outcome().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    }
}
