//! End to end: what real programs wrote goes in, and what an operator should be told comes out, through the
//! built components of the first-party plugins.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use picket_tests::{Node, Ran, findings, of_kind, plugin, sample, until};
use serde_json::Value;

const NODE: &str = r#"
[sources.web]
kind = "file"
include = ["{dir}/logs/nginx*.log"]
start = "beginning"

[sources.logins]
kind = "file"
include = ["{dir}/logs/auth*.log", "{dir}/logs/sshd.log"]
start = "beginning"

[sources.uploads]
kind = "directory"
include = ["{dir}/files/**"]

[plugins.access-log]
sources = ["web"]
# The storms in the samples are smaller than those that the default is for.
config.scan.min_errors = 20

[plugins.auth-guard]
sources = ["logins"]
grants.state = "16MiB"

[plugins.file-guard]
sources = ["uploads"]
config.no_programs = ["{dir}/files/inbox/**"]
"#;

/// A node with the first-party plugins and nothing to read yet.
fn node() -> Node {
    ["access-log", "auth-guard", "file-guard"]
        .iter()
        .fold(Node::builder(), |node, name| node.install(&plugin(name), name))
        .config(NODE)
        .start()
}

/// A sample becomes a log of the node, as a program would write it.
fn write(node: &Node, name: &str) {
    node.append(&format!("logs/{name}"), &fs::read(sample(name)).unwrap());
}

/// The findings of a rule, as the values of one attribute.
fn told(node: &Node, rule: &str, attribute: &str) -> BTreeSet<String> {
    let found = findings(&node.rows(), rule);
    found.iter().filter_map(|finding| finding["attributes"][attribute].as_str().map(str::to_owned)).collect()
}

/// Waits until all bytes of the logs were read by everybody.
fn until_read(node: &Node) {
    until("the logs are read", || {
        let status = node.get("/api/v1/status")?.json();
        let sources = status["sources"].as_array()?.iter().filter(|source| source["kind"] == "file");
        let mut lags =
            sources.flat_map(|source| source["lag_bytes"].as_object().cloned().unwrap_or_default());
        lags.all(|(_, lag)| lag == 0).then_some(())
    });
}

#[test]
fn real_web_logs_lead_to_the_findings_that_they_hold() {
    let mut node = node();
    for name in ["nginx-access.log", "nginx-access-json.log", "nginx-error.log"] {
        write(&node, name);
    }
    node.until_rows("the scanning clients are found", 2, |row| row["rule"] == "scanning-client");
    node.until_rows("the bursts are found", 2, |row| row["rule"] == "burst-5xx");
    until_read(&node);
    assert!(node.stop().success());

    // Not 192.0.2.11, whose page lacks its icon.
    let clients = ["127.0.0.66", "198.51.100.23"].map(str::to_owned);
    assert_eq!(told(&node, "scanning-client", "client"), BTreeSet::from(clients));
    let bursts = findings(&node.rows(), "burst-5xx");
    let streams: BTreeSet<_> = bursts.iter().map(|burst| burst["stream"].as_str().unwrap()).collect();
    assert_eq!(streams.len(), 2, "{bursts:?}");
    assert!(bursts.iter().all(|burst| burst["severity"] == "high" && burst["plugin"] == "access-log"));
}

/// What the plugin has counted of sshd's failed passwords.
fn failed_passwords(node: &Node) -> f64 {
    let text = node.get("/metrics").map(|answer| answer.body).unwrap_or_default();
    let labels = ["service=\"sshd\"", "method=\"password\"", "outcome=\"failure\""];
    text.lines()
        .filter(|line| line.starts_with("picket_plugin_auth_events_total{"))
        .filter(|line| labels.iter().all(|label| line.contains(label)))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

#[test]
fn real_login_logs_lead_to_the_findings_that_they_hold() {
    let mut node = node();
    write(&node, "auth-iso.log");
    node.until_rows("the break-in is found", 1, |row| row["rule"] == "login-after-failures");
    until_read(&node);
    let lines = fs::read_to_string(sample("auth-iso.log")).unwrap();
    let failures =
        lines.lines().filter(|line| line.contains("sshd[") && line.contains("Failed password for"));
    let failures = failures.count() as f64;
    until("every failed password is counted, once", || (failed_passwords(&node) == failures).then_some(()));
    until("the archive has it", || {
        let archived = node.cli("findings --plugin auth-guard --severity high --output json");
        archived.stdout.contains("login-after-failures").then_some(())
    });
    assert!(node.stop().success());

    let guessers = ["198.51.100.23", "198.51.100.24", "203.0.113.9"].map(str::to_owned);
    assert_eq!(told(&node, "brute-force", "address"), BTreeSet::from(guessers));
    assert_eq!(told(&node, "password-spray", "address"), BTreeSet::from(["203.0.113.9".to_owned()]));
    let rows = node.rows();
    let breach = &findings(&rows, "login-after-failures")[0];
    assert_eq!(breach["attributes"]["user"], "deploy");
    assert_eq!(breach["attributes"]["address"], "192.0.2.66");
    assert_eq!(breach["source"], "logins");
    let offset = usize::try_from(breach["offset"].as_u64().unwrap()).unwrap();
    let record = breach["record"].as_str().unwrap();
    assert!(lines[offset..].starts_with(record), "the finding points at its line");
    assert_eq!(told(&node, "sudo-denied", "user"), BTreeSet::from(["bob".to_owned()]));
}

/// Files as they lie in an upload folder; what `file-guard` thinks of each.
const FILES: [(&str, &str); 7] = [
    ("note.txt", "clean"),
    ("page.pdf", "clean"),
    ("archive.zip", "clean"),
    ("holiday.jpg", "suspicious"),
    ("invoice.pdf.exe", "suspicious"),
    ("shell.gif", "suspicious"),
    ("picture-zip.png", "suspicious"),
];

/// The newest verdict for a file.
fn verdict<'a>(rows: &'a [Value], path: &std::path::Path) -> Option<&'a Value> {
    rows.iter().rev().find(|row| row["kind"] == "verdict" && row["path"] == path.to_str().unwrap())
}

#[test]
fn files_that_appear_are_scanned_and_unchanged_ones_are_not_scanned_again() {
    let mut node = node();
    for (name, _) in FILES {
        fs::copy(sample("files").join(name), node.path("files").join(name)).unwrap();
    }
    until("every file has its verdict", || {
        let rows = node.rows();
        let has = |name: &str| verdict(&rows, &node.path("files").join(name)).is_some();
        FILES.iter().all(|(name, _)| has(name)).then_some(())
    });
    for (name, expected) in FILES {
        let rows = node.rows();
        let found = verdict(&rows, &node.path("files").join(name)).unwrap();
        assert_eq!(found["verdict"], expected, "{found}");
    }
    assert!(node.stop().success());

    // After a restart only what is new is scanned.
    let before = of_kind(&node.rows(), "verdict").len();
    node.start();
    let tool = node.path("files/helper");
    fs::copy(sample("files").join("program"), &tool).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o4755)).unwrap();
    node.until_rows("the new file has its verdict", 1, |row| {
        row["kind"] == "verdict" && row["path"] == tool.to_str().unwrap() && row["verdict"] == "suspicious"
    });
    assert!(node.stop().success());
    let again: Vec<_> = of_kind(&node.rows(), "verdict")[before..]
        .iter()
        .filter(|row| row["path"] != tool.to_str().unwrap())
        .cloned()
        .collect();
    assert!(again.is_empty(), "scanned again without a change: {again:?}");
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn one_shot_runs_need_no_configuration_and_no_agent() {
    let scan = picket_tests::run(&["scan", "--output", "json", "--verbose"], &[sample("files")]);
    assert_eq!(scan.code, Some(0), "{scan:?}");
    let rows = lines(&scan);
    for (name, expected) in FILES {
        assert_eq!(verdict(&rows, &sample("files").join(name)).unwrap()["verdict"], expected, "{name}");
    }
    let fails = picket_tests::run(&["scan", "--fail-on", "suspicious"], &[sample("files")]);
    assert_eq!(fails.code, Some(1), "{fails:?}");
    assert!(fails.stdout.contains("invoice.pdf.exe") && !fails.stdout.contains("note.txt"), "{fails:?}");

    let logs = [sample("auth.log"), sample("nginx-access.log")];
    let analyze = picket_tests::run(&["analyze", "--output", "json"], &logs);
    assert_eq!(analyze.code, Some(0), "{analyze:?}");
    let rows = lines(&analyze);
    for rule in ["brute-force", "login-after-failures", "scanning-client", "burst-5xx"] {
        assert!(!findings(&rows, rule).is_empty(), "no `{rule}` among {} rows", rows.len());
    }
    let text = picket_tests::run(&["analyze"], &logs);
    assert!(text.stderr.contains("2 files") && text.stdout.contains("198.51.100.23"), "{text:?}");
}
