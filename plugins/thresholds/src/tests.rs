//! The plugin as the agent runs it, through the SDK's test host.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use picket_sdk::testing::{Host, Running};
use picket_sdk::{ActiveAlert, ConfigError, RuleResult};

use crate::Thresholds;

const DEFAULT_PACK: &str = include_str!("../packs/default.toml");

/// A host with one pack.
fn with_pack(pack: &str) -> Host {
    let host = Host::new();
    host.asset("test.toml", pack);
    host
}

fn start(host: &Host) -> Running<Thresholds> {
    host.start("{}").unwrap()
}

/// The alerts of all groups: rule, severity, value.
fn holding(plugin: &mut Running<Thresholds>) -> Vec<(String, String, f64)> {
    let held = alerts(plugin).into_iter();
    held.map(|alert| (label(&alert, "alertname"), label(&alert, "severity"), alert.value)).collect()
}

fn alerts(plugin: &mut Running<Thresholds>) -> Vec<ActiveAlert> {
    let results = results(plugin).into_iter();
    results
        .flat_map(|result| result.outcome.unwrap_or_else(|error| panic!("{}: {error}", result.rule)).alerts)
        .collect()
}

fn results(plugin: &mut Running<Thresholds>) -> Vec<RuleResult> {
    let groups: Vec<String> = plugin.groups().iter().map(|(name, _)| name.clone()).collect();
    groups.iter().flat_map(|group| plugin.evaluate(group).unwrap()).collect()
}

fn label(alert: &ActiveAlert, name: &str) -> String {
    alert.labels.iter().find(|label| label.name == name).map(|label| label.value.clone()).unwrap_or_default()
}

fn annotation<'a>(alert: &'a ActiveAlert, name: &str) -> &'a str {
    alert.annotations.iter().find(|label| label.name == name).map_or("", |label| label.value.as_str())
}

/// Samples of a counter that grows by `per_second`, one each 15 s over the last ten minutes.
fn counter(host: &Host, name: &str, labels: &[(&str, &str)], per_second: f64) {
    for step in 0..=40_u32 {
        let time = host.now() - u64::from(40 - step) * 15_000_000_000;
        host.sample(name, labels, time, f64::from(step) * 15.0 * per_second);
    }
}

fn gauge(host: &Host, name: &str, labels: &[(&str, &str)], value: f64) {
    host.sample(name, labels, host.now(), value);
}

/// The names and severities of what the default pack says of a host.
fn default_pack(prepare: impl FnOnce(&Host)) -> Vec<String> {
    let host = with_pack(DEFAULT_PACK);
    prepare(&host);
    let held = holding(&mut start(&host)).into_iter();
    held.map(|(rule, severity, _)| format!("{rule} {severity}")).collect()
}

#[test]
fn the_default_pack_holds_nothing_where_there_are_no_series() {
    assert_eq!(default_pack(|_| {}), [""; 0]);
}

#[test]
fn the_default_pack_knows_the_machine() {
    let cpu = |busy: f64| {
        default_pack(|host| {
            for cpu in ["0", "1"] {
                counter(host, "node_cpu_seconds_total", &[("cpu", cpu), ("mode", "idle")], 1.0 - busy - 0.05);
                counter(host, "node_cpu_seconds_total", &[("cpu", cpu), ("mode", "iowait")], 0.05);
                counter(host, "node_cpu_seconds_total", &[("cpu", cpu), ("mode", "user")], busy);
            }
        })
    };
    assert_eq!(cpu(0.65), [""; 0]);
    assert_eq!(cpu(0.72), ["CpuUsage warning"]);
    assert_eq!(cpu(0.82), ["CpuUsage warning", "CpuAbove80 warning"]);
    assert_eq!(cpu(0.90), ["CpuUsage warning", "CpuUsage critical", "CpuAbove80 warning"]);

    let memory = |used: f64| {
        default_pack(|host| {
            gauge(host, "node_memory_MemTotal_bytes", &[], 16e9);
            gauge(host, "node_memory_MemAvailable_bytes", &[], 16e9 * (1.0 - used));
        })
    };
    assert_eq!(memory(0.70), [""; 0]);
    assert_eq!(memory(0.80), ["MemoryUsage warning"]);
    assert_eq!(memory(0.95), ["MemoryUsage warning", "MemoryUsage critical", "MemoryAbove85 warning"]);

    let disk = |used: f64, fstype: &str| {
        default_pack(|host| {
            let labels = [("device", "/dev/sda1"), ("mountpoint", "/"), ("fstype", fstype)];
            gauge(host, "node_filesystem_size_bytes", &labels, 100e9);
            gauge(host, "node_filesystem_avail_bytes", &labels, 100e9 * (1.0 - used));
        })
    };
    assert_eq!(disk(0.85, "ext4"), ["DiskUsage warning"]);
    assert_eq!(disk(0.92, "ext4"), ["DiskUsage warning", "DiskUsage critical"]);
    assert_eq!(disk(0.96, "ext4"), ["DiskUsage warning", "DiskUsage critical", "DiskAlmostFull critical"]);
    assert_eq!(disk(0.99, "tmpfs"), [""; 0]);

    let network = |device: &str, megabits: f64| {
        default_pack(|host| {
            counter(host, "node_network_receive_bytes_total", &[("device", device)], megabits * 1e6 / 8.0);
            counter(host, "node_network_transmit_bytes_total", &[("device", device)], 1e6);
        })
    };
    assert_eq!(network("eth0", 600.0), ["NetworkReceive warning"]);
    assert_eq!(network("eth0", 900.0), ["NetworkReceive warning", "NetworkReceive critical"]);
    assert_eq!(network("lo", 900.0), [""; 0]);
}

#[test]
fn the_default_pack_knows_requests() {
    let requests = |rate: f64, failing: f64| {
        default_pack(|host| {
            let of = |status| {
                [("plugin", "access-log"), ("source", "nginx"), ("status", status), ("method", "GET")]
            };
            counter(host, "picket_plugin_requests_total", &of("2xx"), rate * (1.0 - failing));
            counter(host, "picket_plugin_requests_total", &of("5xx"), rate * failing);
        })
    };
    assert_eq!(requests(100.0, 0.005), [""; 0]);
    assert_eq!(requests(100.0, 0.02), ["ErrorRatio warning"]);
    assert_eq!(requests(100.0, 0.08), ["ErrorRatio warning", "ErrorRatio critical"]);
    assert_eq!(requests(12_000.0, 0.0), ["RequestRate warning"]);
    assert_eq!(requests(20_000.0, 0.0), ["RequestRate warning", "RequestRate critical"]);

    // All requests in one bucket of a histogram.
    let latency = |family: &str, bound: &str, seconds: f64| {
        default_pack(|host| {
            let labels = [("job", "web"), ("instance", "a"), ("source", "nginx")];
            for le in ["0.1", "0.6", "1.2", "+Inf"] {
                let below = le == "+Inf" || le.parse::<f64>().unwrap() >= bound.parse().unwrap();
                let labels = [&labels[..], &[("le", le)]].concat();
                counter(host, &format!("{family}_bucket"), &labels, if below { 100.0 } else { 0.0 });
            }
            counter(host, &format!("{family}_sum"), &labels, 100.0 * seconds);
            counter(host, &format!("{family}_count"), &labels, 100.0);
        })
    };
    assert_eq!(latency("http_request_duration_seconds", "0.1", 0.05), [""; 0]);
    assert_eq!(latency("http_request_duration_seconds", "0.6", 0.3), ["HttpSlowRequests warning"]);
    assert_eq!(
        latency("picket_plugin_request_duration_seconds", "1.2", 0.9),
        ["SlowRequests warning", "SlowRequests critical", "ResponseTime warning"]
    );
}

#[test]
fn the_default_pack_knows_queues_tasks_and_services() {
    let queue =
        |length: f64| default_pack(|host| gauge(host, "mail_queue_length", &[("job", "mail")], length));
    assert_eq!(queue(900.0), [""; 0]);
    assert_eq!(queue(1500.0), ["QueueLength warning"]);
    assert_eq!(queue(6000.0), ["QueueLength warning", "QueueLength critical"]);

    let tasks = |failing: f64| {
        default_pack(|host| {
            counter(host, "worker_tasks_total", &[("job", "w")], 1.0);
            counter(host, "worker_tasks_failed_total", &[("job", "w")], failing);
        })
    };
    assert_eq!(tasks(0.05), [""; 0]);
    assert_eq!(tasks(0.2), ["TaskFailures warning"]);

    assert_eq!(default_pack(|host| gauge(host, "up", &[("job", "db")], 0.0)), ["ServiceDown critical"]);
    assert_eq!(default_pack(|host| gauge(host, "up", &[("job", "db")], 1.0)), [""; 0]);

    let expires = |days: f64| {
        default_pack(|host| {
            gauge(
                host,
                "probe_ssl_earliest_cert_expiry",
                &[("instance", "a")],
                host.now() as f64 / 1e9 + days * 86_400.0,
            );
        })
    };
    assert_eq!(expires(8.0), [""; 0]);
    assert_eq!(expires(6.0), ["CertificateExpires warning"]);
    assert_eq!(expires(-1.0), ["CertificateExpires warning", "CertificateExpires critical"]);
}

#[test]
fn the_default_pack_knows_the_agent() {
    let failures = |share: f64| {
        default_pack(|host| {
            counter(host, "picket_plugin_calls_total", &[("plugin", "a")], 10.0);
            counter(
                host,
                "picket_plugin_failures_total",
                &[("plugin", "a"), ("reason", "trap")],
                10.0 * share / 2.0,
            );
            counter(
                host,
                "picket_plugin_failures_total",
                &[("plugin", "a"), ("reason", "deadline")],
                10.0 * share / 2.0,
            );
        })
    };
    assert_eq!(failures(0.04), [""; 0]);
    assert_eq!(failures(0.06), ["PluginFailures warning"]);
    let circuit = default_pack(|host| gauge(host, "picket_plugin_circuit_open", &[("plugin", "a")], 1.0));
    assert_eq!(circuit, ["PluginCircuitOpen critical"]);
    let dropped =
        default_pack(|host| counter(host, "picket_source_dropped_records_total", &[("reason", "lag")], 0.1));
    assert_eq!(dropped, ["RecordsDropped critical"]);
}

#[test]
fn the_default_pack_knows_forwarders() {
    let to_a = ("forwarder", "a");
    let waiting =
        |seconds| default_pack(|host| gauge(host, "picket_forwarder_oldest_seconds", &[to_a], seconds));
    assert_eq!(waiting(599.0), [""; 0]);
    assert_eq!(waiting(601.0), ["ForwarderBehind warning"]);
    assert_eq!(waiting(3601.0), ["ForwarderBehind warning", "ForwarderBehind critical"]);
    let dropped = |per_second| {
        let labels = [to_a, ("reason", "expelled")];
        default_pack(|host| {
            counter(host, "picket_forwarder_dropped_frames_total", &labels, per_second);
        })
    };
    assert_eq!(dropped(0.0), [""; 0]);
    assert_eq!(dropped(0.1), ["ResultsDropped critical"]);
    let refused = default_pack(|host| counter(host, "picket_forwarder_refused_frames_total", &[to_a], 0.1));
    assert_eq!(refused, ["ResultsRefused warning"]);
}

#[test]
fn every_rule_of_the_default_pack_cites_a_duty_and_has_a_summary() {
    let host = with_pack(DEFAULT_PACK);
    for rule in start(&host).plugin().groups.values().flatten() {
        let names: Vec<&str> = rule.annotations.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["summary", "reason"], "{}", rule.name);
    }
}

#[test]
fn an_alert_says_what_it_is_about() {
    let host = with_pack(
        r#"
        [[rules]]
        name = "Full"
        reason = "runbook 7"
        expr = { percent-used = { free = 'free{fs!="none"}', total = 'total' } }
        unit = "percent"
        warning = { at = 80, for = "1m" }
        critical = 90
        for = "5m"
        keep_firing_for = "30s"
        labels = { team = "storage", place = "{{fs}}!" }
        annotations = { summary = "{{ fs }} is {{value}} full, above {{threshold}}{{nothing}}." }
        "#,
    );
    gauge(&host, "free", &[("fs", "/a"), ("team", "x"), ("severity", "y")], 12.5);
    gauge(&host, "total", &[("fs", "/a")], 100.0);
    gauge(&host, "free", &[("fs", "/b")], 12.5);
    let mut plugin = host.start::<Thresholds>(r#"{"labels": {"site": "eu"}}"#).unwrap();
    let alerts = alerts(&mut plugin);
    assert_eq!(alerts.len(), 1);
    let alert = &alerts[0];
    let mut labels: Vec<_> =
        alert.labels.iter().map(|label| (label.name.as_str(), label.value.as_str())).collect();
    labels.sort_unstable();
    assert_eq!(
        labels,
        [
            ("alertname", "Full"),
            ("fs", "/a"),
            ("place", "/a!"),
            ("severity", "warning"),
            ("site", "eu"),
            ("team", "storage"),
        ]
    );
    assert_eq!(annotation(alert, "summary"), "/a is 87.5 % full, above 80 %.");
    assert_eq!(annotation(alert, "reason"), "runbook 7");
    assert_eq!((alert.value, alert.for_, alert.keep_firing_for), (87.5, 60_000_000_000, 30_000_000_000));
}

#[test]
fn a_cleared_level_is_lower_than_the_one_that_raised_it_also_after_a_swap() {
    let host = with_pack("[[rules]]\nname = \"A\"\nexpr = 'a'\nwarning = { at = 80, clear = 70 }");
    let mut plugin = start(&host);
    let held = |plugin: &mut Running<Thresholds>, value| {
        host.advance(Duration::from_secs(15));
        gauge(&host, "a", &[], value);
        holding(plugin).len()
    };
    assert_eq!(held(&mut plugin, 75.0), 0);
    assert_eq!(held(&mut plugin, 81.0), 1);
    assert_eq!(held(&mut plugin, 75.0), 1);
    plugin = plugin.restart().unwrap();
    assert_eq!(held(&mut plugin, 75.0), 1);
    assert_eq!(held(&mut plugin, 69.0), 0);
    assert_eq!(held(&mut plugin, 75.0), 0);
}

#[test]
fn a_rule_that_fails_leaves_the_others_alone() {
    let host = with_pack(
        "[[rules]]\nname = \"Bad\"\nexpr = 'a{b=~\"(\"}'\nwarning = 1\n[[rules]]\nname = \"Good\"\nexpr = 'a'\nwarning = 1",
    );
    gauge(&host, "a", &[], 2.0);
    let results = results(&mut start(&host));
    let error = results[0].outcome.as_ref().unwrap_err();
    assert!(error.starts_with("`a{b=~\"(\"}`: selector 0 is refused"), "{error}");
    assert_eq!(results[1].outcome.as_ref().unwrap().alerts.len(), 1);
}

#[test]
fn more_alerts_than_the_host_takes_are_an_error() {
    let host = with_pack("[[rules]]\nname = \"A\"\nexpr = 'a'\nwarning = 1");
    for index in 0..1001 {
        gauge(&host, "a", &[("i", &index.to_string())], 2.0);
    }
    let error = results(&mut start(&host)).pop().unwrap().outcome.unwrap_err();
    assert!(error.starts_with("1001 alerts hold"), "{error}");
}

#[test]
fn a_series_that_stopped_no_longer_counts() {
    let host = with_pack("[[rules]]\nname = \"A\"\nexpr = 'a'\nwarning = 1");
    gauge(&host, "a", &[], 2.0);
    let mut plugin = start(&host);
    host.advance(Duration::from_secs(299));
    assert_eq!(holding(&mut plugin).len(), 1);
    host.advance(Duration::from_secs(2));
    assert_eq!(holding(&mut plugin).len(), 0);
}

/// The value of an expression over a counter `c` with a reset and a gauge `g` of 1, 2, 6.
fn value(expr: &str) -> Option<f64> {
    let host = with_pack(&format!("[[rules]]\nname = \"A\"\nexpr = {expr}\nbad = \"below\"\nwarning = 1e18"));
    for (age, counter, gauge) in [(120, 10.0, 1.0), (60, 40.0, 2.0), (0, 5.0, 6.0)] {
        let time = host.now() - age * 1_000_000_000;
        host.sample("c", &[("x", "1")], time, counter);
        host.sample("g", &[("x", "1"), ("y", "a")], time, gauge);
        host.sample("g", &[("x", "1"), ("y", "b")], time, gauge * 10.0);
    }
    let held = holding(&mut start(&host));
    assert!(held.len() <= 1, "{held:?}");
    held.first().map(|alert| alert.2)
}

#[test]
fn every_step_computes_what_it_says() {
    let window = r#"window = "5m""#;
    assert_eq!(value(&format!("{{ increase = {{ of = 'c', {window} }} }}")), Some(35.0));
    assert_eq!(value(&format!("{{ rate = {{ of = 'c', {window} }} }}")), Some(35.0 / 120.0));
    assert_eq!(value("{ rate = { of = 'c', window = \"30s\" } }"), None);
    assert_eq!(value(&format!("{{ mean = {{ of = 'g{{y=\"a\"}}', {window} }} }}")), Some(3.0));
    assert_eq!(value(&format!("{{ largest = {{ of = 'g{{y=\"a\"}}', {window} }} }}")), Some(6.0));
    assert_eq!(value(&format!("{{ smallest = {{ of = 'g{{y=\"a\"}}', {window} }} }}")), Some(1.0));
    assert_eq!(value("{ sum = { of = 'g' } }"), Some(66.0));
    assert_eq!(value("{ sum = { of = 'g', by = [\"x\"] } }"), Some(66.0));
    assert_eq!(value("{ average = { of = 'g' } }"), Some(33.0));
    assert_eq!(value("{ max = { of = 'g' } }"), Some(60.0));
    assert_eq!(value("{ min = { of = 'g' } }"), Some(6.0));
    assert_eq!(value("{ count = { of = 'g' } }"), Some(2.0));
    assert_eq!(value("{ ratio = { of = 'g{y=\"a\"}', to = { sum = { of = 'g' } } } }"), Some(6.0 / 66.0));
    assert_eq!(value("{ percent = { of = 'c', to = 50 } }"), Some(10.0));
    assert_eq!(value("{ difference = { of = 'g{y=\"a\"}', less = 'c' } }"), Some(1.0));
    assert_eq!(value("{ scale = { of = 'c', by = -2 } }"), Some(-10.0));
    assert_eq!(value("{ ratio = { of = 'c', to = 0 } }"), None);
    assert_eq!(value("{ ratio = { of = 'c', to = 'none' } }"), None);
}

fn refused(pack: &str, config: &str) -> ConfigError {
    with_pack(pack).start::<Thresholds>(config).unwrap_err()
}

#[test]
fn what_is_wrong_in_a_pack_is_told_by_asset_line_and_key() {
    let check = |pack: &str, line: u32, key: &str, message: &str| {
        let error = refused(pack, "{}");
        assert_eq!(
            (error.asset.as_deref(), error.line, error.key.as_str()),
            (Some("test.toml"), line, key),
            "{error}"
        );
        assert!(error.message.contains(message), "{error}");
    };
    let rule = "[[rules]]\nname = \"A\"\n";
    let with = |rest: &str| format!("{rule}{rest}");
    check("[[rules]\n", 1, "", "");
    check("intervall = \"1s\"", 1, "intervall", "expected `interval` or `rules`");
    check(&with("expr = 'a{'\nwarning = 1"), 3, "rules.0.expr", "a label name is expected at character 3");
    check(
        &with("expr = { rat = 1 }"),
        3,
        "rules.0.expr.rat",
        "unknown variant `rat`, expected one of `value`",
    );
    check(&with("expr = { value = 'a', age = 'b' }"), 3, "rules.0.expr", "a table holds one step");
    check(&with("expr = 'a'\nwarning = 1\nfor = \"5 minutes\""), 5, "rules.0.for", "is no length of time");
    check(&with("expr = 'a'\nwarning = { at = 1, klear = 2 }"), 4, "rules.0.warning.klear", "`klear`");
    check(&with("expr = 'a'\nwarning = { at = inf }"), 4, "", "a number that is not finite");
    check(&with("expr = 'a'"), 1, "rules.0.warning", "a rule needs a level");
    check(
        &with("expr = 'a'\nwarning = 5\ncritical = 4"),
        5,
        "rules.0.critical",
        "must not be reached before",
    );
    check(
        &with("expr = 'a'\nwarning = { at = 5, clear = 6 }"),
        4,
        "rules.0.warning",
        "must lie on the good side",
    );
    let text = "expr = 'a'\nwarning = 1\nannotations = { summary = \"{{x y}}\" }";
    check(&with(text), 5, "rules.0.annotations.summary", "is no placeholder");
    let twice = with(
        &with("expr = 'a'\nwarning = 1").replace(rule, "expr = 'a'\nwarning = 1\n[[rules]]\nname = \"A\"\n"),
    );
    check(&twice, 6, "rules.1.name", "there is another rule `A`");
    let long = "expr = { rate = { of = 'a', window = \"2d\" } }\nwarning = 1";
    check(&with(long), 3, "rules.0.expr", "between 1s and 1d");
}

#[test]
fn json_packs_are_read_as_well() {
    let host = Host::new();
    host.asset("a.json", r#"{"rules": [{"name": "A", "expr": "a", "warning": 1}]}"#);
    gauge(&host, "a", &[], 2.0);
    assert_eq!(holding(&mut start(&host)).len(), 1);
    host.asset("b.json", "{\n\"rules\": [\n{\"name\": 3}]}");
    let error = host.start::<Thresholds>("{}").unwrap_err();
    assert_eq!((error.asset.as_deref(), error.line, error.key.as_str()), (Some("b.json"), 0, "rules.0.name"));
}

#[test]
fn the_configuration_adds_replaces_and_disables() {
    let pack =
        "[[rules]]\nname = \"A\"\nexpr = 'a'\nwarning = 1\n[[rules]]\nname = \"B\"\nexpr = 'a'\nwarning = 1";
    let host = with_pack(pack);
    gauge(&host, "a", &[], 2.0);
    let config = r#"{"disable": ["B"], "rules": [
        {"name": "A", "expr": "a", "warning": 5},
        {"name": "C", "expr": {"value": "a"}, "warning": 1, "interval": "5m"}]}"#;
    let mut plugin = host.start::<Thresholds>(config).unwrap();
    assert_eq!(holding(&mut plugin), [("C".to_owned(), "warning".to_owned(), 2.0)]);
    let groups = plugin.groups().to_vec();
    let expected = [("config", 30), ("config every 5m", 300)];
    assert_eq!(groups, expected.map(|(name, seconds)| (name.to_owned(), Duration::from_secs(seconds))));

    let key = |config: &str| refused(pack, config).key;
    assert_eq!(key(r#"{"disable": ["D"]}"#), "disable");
    assert_eq!(key(r#"{"rules": [{"name": "", "expr": "a", "warning": 1}]}"#), "rules.0.name");
    assert_eq!(key(r#"{"rules": [{"name": "X", "expr": "a b", "warning": 1}]}"#), "rules.0.expr");
    assert_eq!(key(r#"{"interval": "0s"}"#), "interval");
    assert_eq!(
        key(r#"{"rules": [{"name": "X", "expr": "a", "warning": 1, "labels": {"severity": "x"}}]}"#),
        "rules.0.labels"
    );
    assert_eq!(refused(pack, r#"{"packs": ["none.toml"]}"#).asset.as_deref(), Some("none.toml"));
}

#[test]
fn the_default_pack_is_built_in_and_gives_way_to_others() {
    let rules = |host: &Host, config: &str| {
        let plugin = host.start::<Thresholds>(config).unwrap();
        plugin.plugin().groups.values().flatten().map(|rule| rule.name.clone()).collect::<Vec<_>>()
    };
    let of_the_pack = rules(&with_pack(DEFAULT_PACK), "{}");
    assert_eq!(rules(&Host::new(), "{}"), of_the_pack);
    assert_eq!(rules(&Host::new(), r#"{"default_pack": false}"#), [""; 0]);
    let own = with_pack("[[rules]]\nname = \"A\"\nexpr = 'a'\nwarning = 1");
    assert_eq!(rules(&own, "{}"), ["A"]);
    assert_eq!(rules(&own, r#"{"default_pack": true}"#).len(), of_the_pack.len() + 1);
}
