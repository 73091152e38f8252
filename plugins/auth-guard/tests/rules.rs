//! Cases that the samples do not have.
#![allow(clippy::unwrap_used, reason = "tests")]

use auth_guard::AuthGuard;
use picket_sdk::Severity;
use picket_sdk::testing::{Host, Lines};
use proptest::prelude::*;

/// The rules that a log makes speak, with their severities.
fn check(lines: &[String], expected: &[(&str, Severity)]) {
    let host = Host::new();
    let mut plugin = host.start::<AuthGuard>("{}").unwrap();
    let output = plugin.analyze(Lines::new().lines(lines)).unwrap();
    let found: Vec<_> = output.findings.iter().map(|f| (f.rule.as_str(), f.severity)).collect();
    assert_eq!(found, expected, "{lines:#?}");
}

fn failed(user: &str, address: &str, port: usize) -> String {
    format!("sshd[{port}]: Failed password for {user} from {address} port {port} ssh2")
}

#[test]
fn a_success_of_an_attacker_is_critical() {
    let mut lines: Vec<String> = (0..10).map(|n| failed("bob", "192.0.2.1", 1000 + n)).collect();
    lines.push("sshd[9]: Accepted password for bob from 192.0.2.1 port 2000 ssh2".to_owned());
    check(&lines, &[("brute-force", Severity::Medium), ("login-after-failures", Severity::Critical)]);
}

#[test]
fn a_mistyped_password_is_nothing() {
    let lines = [
        failed("bob", "192.0.2.1", 1),
        "sshd[1]: Accepted password for bob from 192.0.2.1 port 1 ssh2".to_owned(),
    ];
    check(&lines, &[]);
}

#[test]
fn guessing_from_many_addresses_is_found_by_the_user() {
    let lines: Vec<String> =
        (0..30).map(|n| failed("bob", &format!("192.0.2.{}", n % 12), 1000 + n)).collect();
    check(&lines, &[("distributed-guessing", Severity::Low)]);
}

#[test]
fn connections_without_passwords_count_too() {
    let lines: Vec<String> = (1..=10)
        .flat_map(|n| {
            [
                format!("sshd[{n}]: Invalid user admin from 2001:db8::{n} port 5{n}"),
                format!(
                    "sshd[{n}]: Connection closed by invalid user admin 2001:db8::{n} port 5{n} [preauth]"
                ),
            ]
        })
        .collect();
    check(&lines, &[("brute-force", Severity::Medium)]);
    check(&lines[..18], &[]);
}

#[test]
fn su_after_failures_and_a_second_root_are_found() {
    let failed = "su[7]: FAILED SU (to root) bob on pts/0".to_owned();
    let lines = [
        failed.clone(),
        failed.clone(),
        failed,
        "su[8]: (to root) bob on pts/0".to_owned(),
        "useradd[9]: new user: name=toor, UID=0, GID=0, home=/root, shell=/bin/sh, from=none".to_owned(),
        "login[9]: ROOT LOGIN  on '/dev/tty1'".to_owned(),
        "sshd[9]: pam_faillock(sshd:auth): Consecutive login failures for user bob account temporarily locked".to_owned(),
    ];
    check(
        &lines,
        &[
            ("su-failures", Severity::Medium),
            ("login-after-failures", Severity::High),
            ("account-created", Severity::Critical),
            ("root-login", Severity::Medium),
            ("account-locked", Severity::Medium),
        ],
    );
}

#[test]
fn failures_of_other_programs_are_found_through_pam() {
    let line = "vsftpd: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=bob rhost=192.0.2.9  user=bob";
    check(&vec![line.to_owned(); 10], &[("brute-force", Severity::Medium)]);
}

#[test]
fn a_time_from_the_future_does_not_blind_the_plugin() {
    let ahead =
        "<86>1 2500-01-01T00:00:00Z web-1 sshd 1 - - Failed password for bob from 192.0.2.1 port 1 ssh2";
    let mut lines = vec![ahead.to_owned()];
    lines.extend((0..9).map(|n| failed("bob", "192.0.2.1", 1000 + n)));
    check(&lines, &[("brute-force", Severity::Medium)]);
}

/// One call makes fewer findings than the host takes, however many attackers there are.
#[test]
fn a_flood_of_attackers_does_not_fail_the_call() {
    let host = Host::new();
    let mut plugin = host.start::<AuthGuard>(r#"{"brute_force": {"failures": 1}}"#).unwrap();
    let lines: Vec<String> =
        (0..1500).map(|n| failed("bob", &format!("10.0.{}.{}", n / 250, n % 250), n + 1)).collect();
    let output = plugin.analyze(Lines::new().lines(&lines)).unwrap();
    assert_eq!(output.findings.len(), 900);
    assert!(output.counter("auth_findings_suppressed_total", &[]) >= 600.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_lines_make_the_plugin_fail(
        lines in proptest::collection::vec(
            prop_oneof![
                "(sshd|sudo|su|login)\\[[0-9]{1,6}\\]: (Failed password for|Invalid user|Accepted password for|Disconnecting|FAILED SU \\(to) [ -~é]{0,60}",
                "[ -~]{0,80}COMMAND=[ -~]{0,20}",
                "sshd: (Failed password for|Accepted password for) [a-z ]{0,50} from [0-9a-f.:]{2,20} port [0-9]{1,7}.{0,9}",
            ],
            1..40,
        ),
    ) {
        let host = Host::new();
        let mut plugin = host.start::<AuthGuard>("{}").unwrap();
        prop_assert!(plugin.analyze(Lines::new().lines(&lines)).is_ok());
    }
}
