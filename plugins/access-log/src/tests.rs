//! The plugin as the agent runs it, through the SDK's test host.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use picket_sdk::Severity;
use picket_sdk::testing::{self, Host, Lines, Running};

use crate::AccessLog;

/// 2026-11-20T16:48:00Z, in nanoseconds.
const START: u64 = 1_795_193_280_000_000_000;

/// What nginx 1.22 wrote (see `text::tests`), with the second, the status and the client to be set.
fn line(second: u64, client: &str, status: u16, path: &str) -> String {
    format!(
        r#"{client} - - [20/Nov/2026:16:{:02}:{:02} +0000] "GET {path} HTTP/1.1" {status} 6 "-" "curl/7.88.1""#,
        48 + second / 60,
        second % 60
    )
}

fn start(config: &str) -> (Host, Running<AccessLog>) {
    let host = Host::new();
    host.set_time(START + 3_600_000_000_000);
    let plugin = host.start::<AccessLog>(config).unwrap();
    (host, plugin)
}

#[test]
fn requests_are_counted_by_source_status_and_method() {
    let (_host, mut plugin) = start("{}");
    let lines = [
        line(0, "192.0.2.1", 200, "/"),
        line(0, "192.0.2.1", 204, "/"),
        line(0, "192.0.2.1", 404, "/"),
        "no access log line".to_owned(),
        r#"{"status":500,"request":{"method":"POST"},"size":100,"duration":0.02}"#.to_owned(),
    ];
    for _ in 0..2 {
        let output = plugin.analyze(testing::batch(&lines).from("nginx", "/a")).unwrap();
        let requests = |status, method| {
            output.counter("requests_total", &[("source", "nginx"), ("status", status), ("method", method)])
        };
        assert_eq!(
            (requests("2xx", "GET"), requests("4xx", "GET"), requests("5xx", "POST")),
            (2.0, 1.0, 1.0)
        );
        assert_eq!(output.counter("requests_total", &[]), 4.0);
        assert_eq!(output.counter("response_bytes_total", &[]), 118.0);
        assert_eq!(output.counter("unparsed_lines_total", &[]), 1.0);
        assert_eq!(output.observations("request_duration_seconds", &[("source", "nginx")]), 1);
        assert_eq!(output.observations("upstream_duration_seconds", &[]), 0);
    }
}

#[test]
fn exact_codes_are_labels_if_asked_for() {
    let (_host, mut plugin) = start(r#"{"status_label": "code"}"#);
    let output = plugin.analyze(testing::batch(&[line(0, "192.0.2.1", 404, "/")])).unwrap();
    assert_eq!(output.counter("requests_total", &[("status", "404")]), 1.0);
}

#[test]
fn more_sources_than_labels_share_one() {
    let (_host, mut plugin) = start("{}");
    let mut others = 0.0;
    for index in 0..100 {
        let batch = Lines::new().from(&format!("s{index}"), "/a").line(line(0, "192.0.2.1", 200, "/"));
        others += plugin.analyze(batch).unwrap().counter("requests_total", &[("source", "other")]);
    }
    assert_eq!(others, 36.0);
}

#[test]
fn a_burst_names_its_record_its_stream_and_its_pod() {
    let (_host, mut plugin) = start(r#"{"burst": {"min_errors": 3, "window": "30s"}}"#);
    let mut lines: Vec<String> = (0..20).map(|second| line(second, "192.0.2.1", 200, "/")).collect();
    lines.extend((20..25).map(|second| line(second, "192.0.2.1", 502, "/")));
    let batch = testing::batch(&lines).from("nginx", "/log/site").label("pod", "web-1");
    let output = plugin.analyze(batch).unwrap();
    assert_eq!(output.rules(), ["burst-5xx"]);
    let finding = &output.findings[0];
    assert_eq!((finding.severity, finding.record), (Severity::High, Some(22)));
    assert_eq!(finding.time, Some(START + 22_000_000_000));
    assert_eq!((finding.get("stream"), finding.get("pod")), ("/log/site", "web-1"));
    assert_eq!(finding.message, "3 of 23 requests within 30s failed with a 5xx status.");
}

#[test]
fn a_scanning_client_is_found_over_several_streams() {
    let (_host, mut plugin) = start("{}");
    let lines: Vec<String> =
        (0..20).map(|index| line(1, "203.0.113.7", 404, &format!("/{index}.php"))).collect();
    assert!(plugin.analyze(testing::batch(&lines).from("nginx", "/a")).unwrap().findings.is_empty());
    let output = plugin.analyze(testing::batch(&lines).from("nginx", "/b")).unwrap();
    assert_eq!(output.rules(), ["scanning-client"]);
    assert_eq!(output.findings[0].get("client"), "203.0.113.7");
    assert_eq!(output.findings[0].get("stream"), "/b");
}

#[test]
fn the_windows_survive_a_swap() {
    let (_host, mut plugin) =
        start(r#"{"burst": {"min_errors": 4}, "scan": {"min_errors": 4, "min_targets": 1}}"#);
    let errors = |second| {
        let lines = [line(second, "192.0.2.1", 500, "/"), line(second, "192.0.2.1", 404, "/")];
        testing::batch(&lines)
    };
    for second in 0..3 {
        assert!(plugin.analyze(errors(second)).unwrap().findings.is_empty());
    }
    let mut plugin = plugin.restart().unwrap();
    assert_eq!(plugin.analyze(errors(3)).unwrap().rules(), ["burst-5xx", "scanning-client"]);
    // And what was reported before is not reported again after another one.
    let mut plugin = plugin.restart().unwrap();
    assert!(plugin.analyze(errors(4)).unwrap().findings.is_empty());
}

#[test]
fn a_line_from_the_far_future_does_not_empty_the_windows() {
    let (host, mut plugin) = start(r#"{"burst": {"min_errors": 4, "min_ratio": 0}}"#);
    host.set_time(START);
    let error = line(0, "192.0.2.1", 500, "/");
    let future = error.replace("2026", "2099");
    plugin.analyze(testing::batch(&[&error, &error, &future])).unwrap();
    host.advance(Duration::from_secs(1));
    // The line from the future counted as five minutes ahead, so the window has moved no further.
    let ahead = error.replace("16:48:00", "16:53:01");
    let output = plugin.analyze(testing::batch(&[&ahead, &ahead, &ahead])).unwrap();
    assert_eq!(output.rules(), ["burst-5xx"]);
}

#[test]
fn a_wrong_configuration_names_its_key() {
    let host = Host::new();
    let check = |config: &str, key: &str| {
        assert_eq!(host.start::<AccessLog>(config).unwrap_err().key, key, "{config}");
    };
    check(r#"{"burst": {"window": "soon"}}"#, "burst.window");
    check(r#"{"burst": {"window": "2h"}}"#, "burst.window");
    check(r#"{"burst": {"min_ratio": 5}}"#, "burst.min_ratio");
    check(r#"{"burst": {"limit": 5}}"#, "burst.limit");
    check(r#"{"scan": {"statuses": []}}"#, "scan.statuses");
    check(r#"{"scan": {"clients": 1}}"#, "scan.clients");
    check(r#"{"suffix": ["request-seconds", "minutes"]}"#, "suffix.1");
    check(r#"{"latency_bounds": [1, 0.5]}"#, "latency_bounds");
    check(r#"{"json": {"duration": {"t": "weeks"}}}"#, "json.duration.t");
    check(r#"{"format": "xml"}"#, "format");
}

#[test]
fn a_line_that_claims_to_have_sent_everything_does_not_drown_the_others() {
    let (_host, mut plugin) = start("{}");
    let honest = line(0, "192.0.2.1", 200, "/");
    let absurd =
        r#"192.0.2.1 - - [20/Nov/2026:16:48:00 +0000] "GET / HTTP/1.1" 200 18446744073709551615 "-" "-""#;
    let output = plugin.analyze(testing::batch(&[absurd, absurd, &honest])).unwrap();
    assert_eq!(output.counter("unparsed_lines_total", &[]), 0.0);
    let counted = output.counter("response_bytes_total", &[]);
    assert!(counted >= 2.0 * (1u64 << 44) as f64 && counted < 3.0 * (1u64 << 44) as f64, "{counted}");
}
