//! An operator takes back what a plugin got wrong: every receiver learns which of its results that were, after them.

use picket_tests::servers::{Fluent, Hook, Otlp, Server, need};
use picket_tests::upstream::Meter;
use picket_tests::{Node, until};
use serde_json::Value;

use crate::upstream::QUICK;

const RETRACT: &str = "findings retract --plugin meter --rule number --reason wrong-rule --output json";

/// Waits until so many findings can be searched.
fn until_archived(node: &Node, count: usize) -> Vec<Value> {
    until("the findings can be searched", || {
        let found = node.get("/api/v1/findings")?.json()["findings"].as_array()?.clone();
        (found.len() == count).then_some(found)
    })
}

fn ids(of: &[Value]) -> Vec<String> {
    let mut ids: Vec<String> = of.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// What a retraction names, sorted.
fn named(list: &Value) -> Vec<String> {
    let mut ids: Vec<String> =
        list.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// Takes the findings back and returns the retraction as the `file` forwarder wrote it, behind all findings.
fn taken_back(node: &Node, count: u64) -> Value {
    let report = node.cli(RETRACT).json();
    assert_eq!((&report["retracted"], &report["archived"]), (&count.into(), &true.into()), "{report}");
    let rows = node.until_rows("the retraction is in the file", 1, |row| row["kind"] == "retraction");
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows[0].clone()
}

#[test]
fn findings_that_were_taken_back_are_marked_and_stay_so_over_a_restart() {
    let meter = Meter::new(0, 1);
    let mut node = meter.node().config("").start();
    meter.pour(&node, 1..=3, 3);
    let found = until_archived(&node, 3);

    let dry = node.cli(&format!("{RETRACT} --dry-run")).json();
    assert_eq!((&dry["retracted"], &dry["already"], &dry["dry_run"]), (&3.into(), &0.into(), &true.into()));
    assert_eq!(dry["examples"].as_array().unwrap().len(), 3, "{dry}");
    assert_eq!(node.cli("findings --retracted --output json").json()["findings"], Value::Array(vec![]));

    let row = taken_back(&node, 3);
    assert_eq!(
        (&row["plugin"], &row["by"], &row["reason"]),
        (&"meter".into(), &"operator".into(), &"wrong-rule".into())
    );
    assert_eq!(row["generation"], found[0]["generation"]);
    assert_eq!(named(&row["retracts"]), ids(&found));
    let all = node.rows();
    let at = |row: &Value| all.iter().position(|other| other["id"] == row["id"]).unwrap();
    assert!(found.iter().all(|finding| at(finding) < at(&row)), "it stands behind what it takes back");

    // What comes later stands.
    meter.pour(&node, 4..=4, 1);
    until_archived(&node, 4);
    for _ in 0..2 {
        let marked = node.cli("findings --output json").json()["findings"].clone();
        let reasons: Vec<&str> = marked
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|finding| finding["retracted"]["reason"].as_str())
            .collect();
        assert_eq!(reasons, ["wrong-rule"; 3], "{marked}");
        let only = node.cli("findings --retracted --output json").json();
        assert_eq!(ids(only["findings"].as_array().unwrap()), ids(&found));
        node.cli("findings").expect(0, &["taken back by the operator", "wrong-rule"]);
        assert!(node.stop().success());
        node.start();
    }
    assert!(node.stop().success());
}

#[test]
fn taking_back_twice_takes_back_once() {
    let meter = Meter::new(0, 1);
    let mut node = meter.node().config("").start();
    meter.pour(&node, 1..=3, 3);
    until_archived(&node, 3);
    taken_back(&node, 3);
    let again = node.cli(RETRACT).json();
    assert_eq!((&again["retracted"], &again["already"]), (&0.into(), &3.into()), "{again}");
    node.cli("findings retract --plugin meter --reason r").expect(0, &["Nothing that stands", "3 had been"]);
    node.cli("findings retract --plugin nobody --reason r").expect(0, &["Nothing that stands matches."]);
    let retractions = node.until_rows("one retraction", 1, |row| row["kind"] == "retraction");
    assert_eq!(retractions.len(), 1);
    assert_eq!(node.metric("picket_retracted_results_total{plugin=\"meter\"}"), 3.0);
    assert_eq!(node.cli("findings retract --plugin meter").code, Some(2), "without a reason");
    assert!(node.stop().success());
}

#[test]
fn a_webhook_gets_it_signed_and_a_chat_in_a_few_words_whatever_the_severity() {
    let (hook, chat) = (Hook::start(), Hook::start());
    let config = format!(
        "[forwarders.hook]\nkind = \"webhook\"\nurl = \"{}\"\nsecret_file = \"{{dir}}/key\"\n{QUICK}\
         [forwarders.chat]\nkind = \"webhook\"\nformat = \"slack\"\nurl = \"{}\"\n{QUICK}\
         select.min_severity = \"critical\"\n",
        hook.url(),
        chat.url()
    );
    let meter = Meter::new(0, 1);
    let mut node = meter.node().file("key", "between us\n").config(&config).start();
    meter.pour(&node, 1..=2, 2);
    let found = until_archived(&node, 2);
    until("the findings arrive", || (hook.requests().len() >= 2).then_some(()));
    taken_back(&node, 2);
    until("the retraction arrives", || (hook.requests().len() >= 3).then_some(()));
    let last = hook.requests()[2].clone();
    let body = last.json();
    assert_eq!(body["type"], "picket.retraction");
    assert_eq!(named(&body["data"]["retracts"]), ids(&found));
    assert_eq!(Some(last.headers["webhook-id"].as_str()), body["data"]["id"].as_str());
    assert!(last.headers["webhook-signature"].starts_with("v1,"));
    let text =
        until("the chat is told", || Some(chat.requests().first()?.json()["text"].as_str()?.to_owned()));
    assert!(
        text.contains("[RETRACTED] 2 results of meter were taken back") && text.contains("wrong-rule"),
        "{text}"
    );
    assert!(node.stop().success());
}

#[test]
fn a_forward_server_gets_it_under_its_own_tag_behind_the_findings() {
    if !need(&[Server::Fluent]) {
        return;
    }
    let fluent = Fluent::start();
    let config = format!("[forwarders.fluent]\nkind = \"fluent\"\naddress = \"{}\"\n", fluent.address());
    let meter = Meter::new(0, 1);
    let mut node = meter.node().config(&config).start();
    meter.pour(&node, 1..=3, 1);
    let found = until_archived(&node, 3);
    taken_back(&node, 3);
    let of = |tag: &str| {
        fluent.events().into_iter().enumerate().filter(|(_, event)| event["tag"] == tag).collect::<Vec<_>>()
    };
    let (at, retraction) = until("the retraction arrives", || of("picket.retraction").pop());
    assert_eq!(named(&retraction["record"]["retracts"]), ids(&found));
    let findings = of("picket.finding");
    assert_eq!(findings.len(), 3);
    assert!(findings.iter().all(|(place, _)| *place < at), "{findings:?}");
    assert!(node.stop().success());
}

#[test]
fn an_otlp_receiver_gets_it_as_a_log_record_that_names_their_uids() {
    if !need(&[Server::Otlp]) {
        return;
    }
    let otlp = Otlp::start();
    let config = format!("[forwarders.otlp]\nkind = \"otlp\"\nurl = \"{}\"\n{QUICK}", otlp.web().url());
    let meter = Meter::new(0, 1);
    let mut node = meter.node().config(&config).start();
    meter.pour(&node, 1..=3, 1);
    let found = until_archived(&node, 3);
    taken_back(&node, 3);
    let of = |name: &str| {
        otlp.logs().into_iter().enumerate().filter(|(_, log)| log["event_name"] == name).collect::<Vec<_>>()
    };
    let (at, retraction) = until("the retraction arrives", || of("picket.retraction").pop());
    assert_eq!(named(&retraction["attributes"]["picket.retraction.uids"]), ids(&found));
    assert_eq!((&retraction["body"], &retraction["severity_number"]), (&"wrong-rule".into(), &9.into()));
    let findings = of("picket.finding");
    assert_eq!(findings.len(), 3);
    assert!(findings.iter().all(|(place, _)| *place < at), "{findings:?}");
    assert!(node.stop().success());
}
