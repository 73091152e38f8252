//! The logs in `tests/samples`, which real servers wrote. What is expected is counted here with plain
//! text searches, so that the samples can be made anew.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use access_log::AccessLog;
use picket_sdk::testing::{Host, Lines, Output};

/// Far behind the samples' own times.
const LATER: u64 = 4_000_000_000_000_000_000;

fn analyze(name: &str) -> (String, Output) {
    let path = format!("{}/../../tests/samples/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let host = Host::new();
    host.set_time(LATER);
    // The storms in the samples are smaller than those that the default is for.
    let mut plugin = host.start::<AccessLog>(r#"{"scan": {"min_errors": 20}}"#).unwrap();
    let output = plugin.analyze(Lines::new().from("web", name).text(&text)).unwrap();
    (text, output)
}

/// Every line is read, and as many are 5xx as a search for `marks` finds.
fn check(name: &str, marks: &[&str]) -> Vec<String> {
    let (text, output) = analyze(name);
    let found = text.lines().filter(|line| marks.iter().any(|mark| line.contains(mark))).count();
    assert_eq!(output.counter("unparsed_lines_total", &[]), 0.0, "{name}");
    assert_eq!(output.counter("requests_total", &[]), text.lines().count() as f64, "{name}");
    assert_eq!(output.counter("requests_total", &[("status", "5xx")]), found as f64, "{name}");
    output.rules().into_iter().map(str::to_owned).collect()
}

#[test]
fn nginx_lines_are_read_and_judged() {
    let text = ["\" 500 ", "\" 502 ", "\" 503 ", "\" 504 "];
    let json = ["\"status\":500", "\"status\":502", "\"status\":503", "\"status\":504"];
    for (name, marks) in [("nginx-access.log", text), ("nginx-access-json.log", json)] {
        let rules = check(name, &marks);
        for rule in ["burst-5xx", "scanning-client"] {
            assert!(rules.iter().any(|found| found == rule), "{name}: {rules:?}");
        }
    }
    // A page whose icon is missing makes an ordinary visitor fail again and again.
    let (text, output) = analyze("nginx-access.log");
    let misses =
        |line: &&str| line.starts_with("192.0.2.11 ") && line.contains("/favicon.ico HTTP/1.1\" 404");
    assert!(text.lines().filter(misses).count() >= 30);
    let clients: Vec<&str> = output.findings.iter().map(|finding| finding.get("client")).collect();
    assert!(clients.contains(&"127.0.0.66") && !clients.contains(&"192.0.2.11"), "{clients:?}");
}

#[test]
fn apache_lines_are_read_and_judged() {
    for name in ["apache-common.log", "apache-combined.log"] {
        let rules = check(name, &["\" 500 ", "\" 502 ", "\" 503 "]);
        assert!(!rules.contains(&"burst-5xx".to_owned()), "{name}: {rules:?}");
        assert!(rules.contains(&"scanning-client".to_owned()), "{name}: {rules:?}");
    }
}

#[test]
fn latencies_are_observed_where_lines_have_them() {
    let (text, output) = analyze("nginx-access-json.log");
    assert_eq!(output.observations("request_duration_seconds", &[]), text.lines().count() as u64);
    let upstream = text.lines().filter(|line| !line.contains(r#""upstream_response_time":"""#)).count();
    assert_eq!(output.observations("upstream_duration_seconds", &[]), upstream as u64);
    assert_eq!(analyze("nginx-access.log").1.observations("request_duration_seconds", &[]), 0);
}

#[test]
fn other_logs_are_no_access_logs() {
    for name in ["syslog.log", "auth.log", "nginx-error.log", "apache-error.log"] {
        let (text, output) = analyze(name);
        assert_eq!(output.counter("unparsed_lines_total", &[]), text.lines().count() as f64, "{name}");
        assert!(output.findings.is_empty(), "{name}");
    }
}
