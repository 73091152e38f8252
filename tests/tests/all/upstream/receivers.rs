//! Each kind of forwarder before its receiver: what was committed here stands there.

use picket_tests::servers::{Alertmanager, Fluent, Otlp, Prometheus, Server, Tls, need};
use picket_tests::upstream::Meter;
use picket_tests::{Node, plugin, until};
use serde_json::Value;

use super::QUICK;

/// This machine's name, as the agent knows it.
fn node_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

const HOST: &str = "[sources.host]\nkind = \"host\"\ninterval = \"1s\"\n";

#[test]
fn metrics_of_the_host_are_in_prometheus_under_this_node() {
    if !need(&[Server::Prometheus]) {
        return;
    }
    let prometheus = Prometheus::start();
    let url = prometheus.write_url();
    let config = format!("{HOST}[forwarders.prometheus]\nkind = \"remote_write\"\nurl = \"{url}\"\n{QUICK}");
    let mut node = Node::builder().config(&config).start();
    for metric in ["node_load1", "node_memory_MemTotal_bytes", "node_filefd_allocated"] {
        let found = until(&format!("{metric} is there"), || {
            let found = prometheus.query(metric, None);
            (!found.as_array()?.is_empty()).then_some(found)
        });
        assert_eq!(found[0]["metric"]["instance"], node_name().as_str(), "{found}");
    }
    until("they come again and again", || (prometheus.count("node_load1") >= 3).then_some(()));
    assert!(node.stop().success());
}

#[test]
fn relabelling_drops_and_renames_series_and_adds_labels() {
    if !need(&[Server::Prometheus]) {
        return;
    }
    let prometheus = Prometheus::start();
    let url = prometheus.write_url();
    let config = format!(
        "{HOST}[forwarders.prometheus]\nkind = \"remote_write\"\nurl = \"{url}\"\n{QUICK}\
         [forwarders.prometheus.select]\nlabels = {{ site = \"x\", instance = \"renamed\" }}\n\
         relabel = [\n\
           {{ source_labels = [\"__name__\"], regex = \"node_load5\", action = \"drop\" }},\n\
           {{ source_labels = [\"__name__\"], regex = \"node_load(1)\", target_label = \"__name__\", \
              replacement = \"load_of_$1\" }},\n\
         ]\n"
    );
    let mut node = Node::builder().config(&config).start();
    let found = until("the renamed series is there", || {
        let found = prometheus.query("load_of_1", None);
        (!found.as_array()?.is_empty()).then_some(found)
    });
    assert_eq!(
        (&found[0]["metric"]["site"], &found[0]["metric"]["instance"]),
        (&"x".into(), &"renamed".into())
    );
    until("what no rule names is there", || (prometheus.count("node_load15") > 0).then_some(()));
    assert_eq!((prometheus.count("node_load1"), prometheus.count("node_load5")), (0, 0));
    assert!(node.stop().success());
}

/// One rule over the levels that the meter is told.
const RULES: &str = "interval = \"1s\"\n[[rules]]\nname = \"Level\"\nexpr = 'meter_level'\ncritical = 1\n\
                     [rules.annotations]\nsummary = \"It stands at {{value}}.\"\n";

#[test]
fn an_alert_fires_and_is_resolved_at_the_alertmanager() {
    if !need(&[Server::Alertmanager]) {
        return;
    }
    let alertmanager = Alertmanager::start();
    let url = alertmanager.web().url();
    let config = format!(
        "[plugins.thresholds]\nassets = \"{{dir}}/levels.toml\"\ngrants.series = true\n\
         [forwarders.am]\nkind = \"alertmanager\"\nurls = [\"{url}\"]\n{QUICK}"
    );
    let meter = Meter::new(0, 1);
    let node = meter.node().install(&plugin("thresholds"), "thresholds").file("levels.toml", RULES);
    let mut node = node.config(&config).start();
    node.append("logs/numbers.log", b"1 level 5\n");
    let firing = || alertmanager.alerts(&["alertname=\"Level\""]);
    let alerts = until("it fires there", || Some(firing()).filter(|alerts| !alerts.is_empty()));
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["labels"]["severity"], "critical");
    assert_eq!(alerts[0]["labels"]["instance"], node_name().as_str());
    assert_eq!(alerts[0]["annotations"]["summary"], "It stands at 5.");
    let query = alertmanager.amtool(&["alert", "query", "--output", "json", "alertname=Level"]);
    assert_eq!(query.json()[0]["labels"]["alertname"], "Level", "{query:?}");
    let notified = |status: &str| {
        let found = alertmanager.notifications();
        found.iter().any(|alert| alert["status"] == status && alert["labels"]["alertname"] == "Level")
    };
    until("people are told that it fires", || notified("firing").then_some(()));

    node.append("logs/numbers.log", b"2 level 0\n");
    until("people are told that it is resolved", || notified("resolved").then_some(()));
    assert!(firing().is_empty());
    assert!(node.stop().success());
}

/// The rows of the file forwarder that are findings of the meter.
fn rows(node: &Node, findings: usize) -> Vec<Value> {
    node.until_rows("they are in the file", findings, |row| row["rule"] == "number")
}

#[test]
fn a_finding_is_a_log_record_and_a_sample_a_data_point_at_an_otlp_receiver() {
    if !need(&[Server::Otlp]) {
        return;
    }
    let otlp = Otlp::start();
    let url = otlp.web().url();
    let meter = Meter::new(2, 1);
    let config = format!("[forwarders.otlp]\nkind = \"otlp\"\nurl = \"{url}\"\n{QUICK}");
    let mut node = meter.node().config(&config).start();
    meter.pour(&node, 1..=3, 1);
    let rows = rows(&node, 3);
    let is_finding = |log: &Value| log["event_name"] == "picket.finding";
    let found = |log: &Value| log["attributes"]["log.record.uid"].clone();
    let logs = until("the findings arrive", || {
        let logs: Vec<_> = otlp.logs().into_iter().filter(is_finding).collect();
        (logs.len() >= 3).then_some(logs)
    });
    for (row, log) in rows.iter().zip(&logs) {
        assert_eq!(found(log), row["id"], "{log}");
        assert_eq!((&log["time"], &log["body"]), (&row["time"], &row["message"]), "{log}");
        assert_eq!(log["severity_number"], 17, "{log}");
        assert_eq!(log["attributes"]["security_rule.name"], "number");
        assert_eq!(log["attributes"]["picket.finding.attributes.number"], row["attributes"]["number"]);
        assert_eq!(log["resource"]["service.name"], "picket");
        assert_eq!(log["resource"]["host.name"], node_name().as_str());
    }
    let values = until("the samples arrive", || {
        let points: Vec<_> = otlp.points().into_iter().filter(|point| point["name"] == "meter").collect();
        let values: Vec<_> = points.iter().filter_map(|point| point["as_double"].as_f64()).collect();
        (values.len() >= 6).then_some(values)
    });
    assert_eq!(values[..6], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(node.stop().success());
}

#[test]
fn findings_reach_a_forward_server_with_shared_key_and_tls() {
    if !need(&[Server::Fluent, Server::Tls]) {
        return;
    }
    let tls = Tls::make();
    let fluent = Fluent::builder().shared_key("between us").tls(&tls).start();
    let config = format!(
        "[forwarders.fluent]\nkind = \"fluent\"\naddress = \"{}\"\nshared_key_file = \"{{dir}}/key\"\n\
         tls = {{ ca_file = \"{}\" }}\nselect.include = [\"finding\"]\n",
        fluent.address(),
        tls.authority().display()
    );
    let meter = Meter::new(0, 1);
    let mut node = meter.node().file("key", "between us\n").config(&config).start();
    meter.pour(&node, 1..=100, 25);
    fluent.until_count(100);
    let rows = rows(&node, 100);
    let events = fluent.events();
    assert_eq!(events.len(), 100, "nothing came twice");
    for (event, row) in events.iter().zip(&rows) {
        assert_eq!((&event["tag"], &event["record"]["id"]), (&"picket.finding".into(), &row["id"]));
        assert_eq!(event["record"]["attributes"]["number"], row["attributes"]["number"]);
        assert_eq!(event["mode"], "CompressedPackedForward");
    }
    assert!(!fluent.authenticated().is_empty() && fluent.refused().is_empty());
    assert!(fluent.messages().iter().all(|message| message["acked"] == true));
    assert!(node.stop().success());
}
