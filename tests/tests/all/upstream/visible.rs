//! What an operator sees of a receiver that is away, and of one that is there.

use picket_tests::servers::{Flaky, Hook, Nobody};
use picket_tests::upstream::{Meter, forwarder_status, of_forwarder, until_reached};
use picket_tests::{Node, until};

use super::QUICK;

/// Every metric of a forwarder.
const METRICS: [&str; 9] = [
    "queued_bytes",
    "queued_frames",
    "oldest_seconds",
    "sent_frames_total",
    "retries_total",
    "refused_frames_total",
    "dropped_frames_total",
    "circuit_open",
    "round_trip_seconds_bucket",
];

/// Whether the page of metrics has a series of a forwarder.
fn has_metric(node: &Node, name: &str, metric: &str) -> bool {
    let page = node.get("/metrics").unwrap().body;
    let (series, label) = (format!("picket_forwarder_{metric}{{"), format!("forwarder=\"{name}\""));
    page.lines().any(|line| line.starts_with(&series) && line.contains(&label))
}

#[test]
fn a_receiver_that_is_away_is_seen_with_what_waits_and_why() {
    let (nobody, hook) = (Nobody::reserve(), Hook::start());
    let away = nobody.address();
    let config = format!(
        "[forwarders.away]\nkind = \"webhook\"\nurl = \"http://{away}\"\n{QUICK}\
         [forwarders.there]\nkind = \"webhook\"\nurl = \"{}\"\n{QUICK}",
        hook.url()
    );
    let meter = Meter::new(0, 1);
    let mut node = meter.node().config(&config).start();
    meter.pour(&node, 1..=10, 10);
    until("the circuit opens", || (of_forwarder(&node, "away", "circuit_open") == 1).then_some(()));
    let status = until("the API shows it", || {
        let status = forwarder_status(&node, "away")?;
        (status["circuit_open"] == true && status["oldest_seconds"].as_f64()? > 0.0).then_some(status)
    });
    assert!(status["queued_frames"].as_u64().unwrap() >= 10, "{status}");
    assert!(status["queued_bytes"].as_u64().unwrap() > 0, "{status}");
    assert_eq!(status["kind"], "webhook");
    assert_eq!(status["sent_frames"], 0, "{status}");
    let error = status["error"].as_str().unwrap();
    assert!(error.contains(&away.to_string()), "it names the receiver: {error}");

    let shown = until("`picket status` shows it", || {
        let shown = node.cli("status").stdout;
        shown.contains("tried only now and then").then_some(shown)
    });
    let of_away = shown.lines().find(|line| line.contains("away (webhook)")).unwrap();
    assert!(of_away.contains("results wait") && of_away.contains("the oldest for"), "{shown}");
    assert!(shown.contains(&away.to_string()), "{shown}");
    assert_eq!(node.get("/readyz").unwrap().status, 200, "the agent does its work");
    let json = node.cli("status --output json").json();
    let listed = json["status"]["forwarders"].as_array().unwrap();
    assert!(listed.iter().any(|forwarder| forwarder["name"] == "away" && forwarder["circuit_open"] == true));

    until_reached("events", 10, || of_forwarder(&node, "there", "sent_frames_total"));
    for metric in METRICS {
        assert!(has_metric(&node, "there", metric), "picket_forwarder_{metric} is missing");
    }
    assert!(of_forwarder(&node, "away", "retries_total") >= 5);
    assert_eq!(of_forwarder(&node, "there", "circuit_open"), 0);
    let answers = node.metric("picket_forwarder_round_trip_seconds_count{forwarder=\"there\"}");
    assert_eq!(answers, 10.0, "each request has its answer's time");
    assert!(node.stop().success());
}

#[test]
fn a_receiver_that_comes_back_closes_the_circuit() {
    let hook = Hook::start();
    let flaky = Flaky::http(hook.address());
    flaky.refuse();
    let config = format!("[forwarders.hook]\nkind = \"webhook\"\nurl = \"{}\"\n{QUICK}", flaky.url());
    let meter = Meter::new(0, 1);
    let mut node = meter.node().config(&config).start();
    meter.pour(&node, 1..=5, 5);
    until("the circuit opens", || (of_forwarder(&node, "hook", "circuit_open") == 1).then_some(()));
    flaky.allow();
    until_reached("events", 5, || hook.requests().len() as u64);
    until("nothing is told any more", || {
        let status = forwarder_status(&node, "hook")?;
        let open = status["circuit_open"] == true;
        (!open && status["error"].is_null() && status["queued_frames"] == 0).then_some(())
    });
    assert_eq!(of_forwarder(&node, "hook", "circuit_open"), 0);
    assert!(node.stop().success());
}
