//! What one receiver refuses, or cannot take now, holds up nothing else.

use std::fs;

use picket_tests::servers::{Hook, Nobody, Prometheus, Server, need};
use picket_tests::upstream::{Meter, forwarder_status, of_forwarder, until_reached};
use picket_tests::{Node, until};
use serde_json::Value;

use super::{OF_METER, QUICK};

/// What a forwarder has set aside.
fn aside(node: &Node, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(node.path(&format!("data/refused/{name}.ndjson"))).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The metric, the status and the file tell of the one result that was refused.
fn is_told(node: &Node, name: &str) -> Value {
    until("the refusal is counted", || (of_forwarder(node, name, "refused_frames_total") == 1).then_some(()));
    let status = until("the status shows it", || {
        forwarder_status(node, name).filter(|status| status["refused_frames"] == 1)
    });
    let file = status["refused_file"].as_str().unwrap();
    assert!(file.ends_with(&format!("refused/{name}.ndjson")), "{file}");
    assert!(node.cli("status").stdout.contains(file), "people are told where it stands");
    let lines = aside(node, name);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(!lines[0]["reason"].as_str().unwrap().is_empty());
    lines[0].clone()
}

#[test]
fn a_sample_that_prometheus_never_takes_holds_up_no_other() {
    if !need(&[Server::Prometheus]) {
        return;
    }
    let prometheus = Prometheus::start();
    let url = prometheus.write_url();
    let config =
        format!("[forwarders.prometheus]\nkind = \"remote_write\"\nurl = \"{url}\"\n{QUICK}{OF_METER}");
    let meter = Meter::new(10, 5);
    let mut node = meter.node().config(&config).start();
    meter.pour(&node, 1..=50, 50);
    prometheus.until_count("meter", 500);
    // Two hours older than what Prometheus has, and in one batch with what it takes.
    let lines: String = (52..=100).map(|number| format!("{number}\n")).collect();
    node.append("logs/numbers.log", format!("51 old\n{lines}").as_bytes());
    prometheus.until_count("meter", 1000);
    assert_eq!(meter.check_samples(&prometheus.raw_samples("meter"), 100), 0);
    let refused = is_told(&node, "prometheus");
    assert_eq!(refused["frame"]["name"], "meter_old", "{refused}");
    assert_eq!(prometheus.count("meter_old"), 0);
    assert!(node.stop().success());
}

#[test]
fn an_event_that_a_webhook_refuses_is_set_aside_and_what_follows_goes_on() {
    let hook = Hook::start();
    let url = hook.url();
    let config = format!("[forwarders.hook]\nkind = \"webhook\"\nurl = \"{url}\"\n{QUICK}");
    let meter = Meter::new(0, 1);
    let mut node = meter.node().config(&config).start();
    hook.answer(422);
    meter.pour(&node, 1..=1, 1);
    let refused = is_told(&node, "hook");
    assert_eq!(refused["frame"]["attributes"]["number"], "1");
    hook.answer(200);
    let asked = hook.requests().len();
    meter.pour(&node, 2..=20, 5);
    until_reached("what follows", 19, || of_forwarder(&node, "hook", "sent_frames_total"));
    let number = |body: Value| body["data"]["attributes"]["number"].as_str().unwrap().to_owned();
    let got: Vec<_> = hook.requests()[asked..].iter().map(|request| number(request.json())).collect();
    assert_eq!(got, (2..=20).map(|number| number.to_string()).collect::<Vec<_>>(), "each once and in order");
    assert!(node.stop().success());
}

#[test]
fn one_receiver_that_is_away_delays_no_other() {
    let (nobody, hook) = (Nobody::reserve(), Hook::start());
    let config = format!(
        "[forwarders.away]\nkind = \"webhook\"\nurl = \"http://{}\"\n{QUICK}\
         [forwarders.silent]\nkind = \"remote_write\"\nurl = \"http://{}/api/v1/write\"\n{QUICK}\
         [forwarders.hook]\nkind = \"webhook\"\nurl = \"{}\"\n{QUICK}",
        nobody.address(),
        nobody.address(),
        hook.url()
    );
    let meter = Meter::new(10, 5);
    let mut node = meter.node().config(&config).start();
    for round in 0..5 {
        meter.pour(&node, round * 20 + 1..=round * 20 + 20, 20);
        // All of it arrives while two others fail again and again.
        until_reached("events", (round + 1) * 20, || hook.requests().len() as u64);
        node.until_rows("rows", usize::try_from((round + 1) * 20).unwrap(), |row| row["rule"] == "number");
    }
    for away in ["away", "silent"] {
        until("its error is told", || {
            forwarder_status(&node, away).filter(|status| status["error"].is_string())
        });
        assert_eq!(of_forwarder(&node, away, "sent_frames_total"), 0);
        until("what waits is shown", || (of_forwarder(&node, away, "queued_frames") >= 100).then_some(()));
    }
    assert_eq!(of_forwarder(&node, "hook", "queued_frames"), 0);
    assert!(node.stop().success());
}
