//! The node as a data source: Prometheus' own tool and plain requests ask it for expressions, series and rules.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use picket_tests::servers::{Server, need};
use picket_tests::{Node, NodeBuilder, Response, picket, plugin, until};
use serde_json::{Value, json};

const NODE: &str = r#"
[sources.host]
kind = "host"
interval = "1s"

[plugins.promql-rules]
assets = "{dir}/rules.yml"
grants.series = true
"#;

const RULES: &str = r#"
groups:
  - name: node
    interval: 1s
    rules:
      - record: node:load1:sum
        expr: sum(node_load1)
      - alert: Always
        expr: vector(7) > 1
        labels: { severity: low }
        annotations: { summary: "{{ $value }} is more than one" }
"#;

fn builder() -> NodeBuilder {
    Node::builder().install(&plugin("promql-rules"), "promql-rules").file("rules.yml", RULES).config(NODE)
}

/// A node that has measured itself.
fn node() -> Node {
    let node = builder().start();
    until("the host is measured", || {
        let found = data(&get(&node, "query?query=count(node_load1)"));
        found["result"].as_array().is_some_and(|rows| !rows.is_empty()).then_some(())
    });
    node
}

/// Asks over TCP, as Grafana would.
fn get(node: &Node, rest: &str) -> Response {
    node.get_over_tcp(&format!("/prometheus/api/v1/{rest}")).expect("the API answers")
}

/// The data of a good answer.
fn data(answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut json = answer.json();
    assert_eq!(json["status"], "success");
    json["data"].take()
}

/// The HTTP status, the sort and the words of an error.
fn error(answer: &Response) -> (u16, String, String) {
    let json = answer.json();
    assert_eq!(json["status"], "error", "{json}");
    let word = |key: &str| json[key].as_str().unwrap().to_owned();
    (answer.status, word("errorType"), word("error"))
}

/// Runs `promtool query VERB URL …`; its output when it succeeds, else what it complains of.
fn promtool(node: &Node, verb: &str, options: &[&str], rest: &[&str]) -> Result<String, String> {
    let url = format!("http://{}/prometheus", node.address().unwrap());
    let ran =
        Command::new("promtool").args(["query", verb]).args(options).arg(url).args(rest).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if ran.status.success() { Ok(text(&ran.stdout)) } else { Err(text(&ran.stderr)) }
}

#[test]
fn promtool_reads_from_a_node_as_from_prometheus() {
    if !need(&[Server::Prometheus]) {
        return;
    }
    let mut node = node();
    let found = promtool(&node, "instant", &[], &["label_replace(vector(1+1), \"a\", \"b\", \"\", \"\")"]);
    assert!(found.unwrap().contains("{a=\"b\"} => 2 @["));
    let range = ["--start=1700000000", "--end=1700000060", "--step=30s"];
    let found = promtool(&node, "range", &range, &["time()"]).unwrap();
    for point in ["1700000000 @[1700000000]", "1700000030 @[1700000030]", "1700000060 @[1700000060]"] {
        assert!(found.contains(point), "{found}");
    }
    let found = promtool(&node, "series", &["--match=node_load1", "--match={__name__=\"node_load5\"}"], &[]);
    let found = found.unwrap();
    assert!(
        found.contains("__name__=\"node_load1\"") && found.contains("__name__=\"node_load5\""),
        "{found}"
    );
    let found = promtool(&node, "labels", &[], &["__name__"]).unwrap();
    assert!(found.lines().any(|line| line == "node_load1"), "{found}");
    let complaint = promtool(&node, "instant", &[], &["sum(node_load1"]).unwrap_err();
    assert!(complaint.contains("bad_data"), "{complaint}");
    assert!(node.stop().success());
}

#[test]
fn what_is_wrong_with_a_query_is_told_as_by_prometheus() {
    let mut node = node();
    let (status, sort, words) = error(&get(&node, "query?query=sum(up%20by"));
    assert_eq!((status, sort.as_str()), (400, "bad_data"));
    assert!(words.starts_with("invalid parameter \"query\": 1:"), "the place is told: {words}");
    let (status, sort, words) = error(&get(&node, "query_range?query=1&start=0&end=100000&step=1"));
    assert_eq!((status, sort.as_str()), (400, "bad_data"));
    assert!(words.contains("11,000 points"), "{words}");
    let (status, sort, _) = error(&get(&node, "query?query=up&time=yesterday"));
    assert_eq!((status, sort.as_str()), (400, "bad_data"));
    let (status, sort, _) = error(&get(&node, "series"));
    assert_eq!((status, sort.as_str()), (400, "bad_data"));
    assert!(node.stop().success());
}

#[test]
fn parameters_may_come_in_a_form() {
    let mut node = node();
    let answer = node.post_over_tcp("/prometheus/api/v1/query", "query=1%2B1&time=1700000000.5").unwrap();
    assert_eq!(data(&answer), json!({ "resultType": "scalar", "result": [1700000000.5, "2"] }));
    let answer = node.post_over_tcp("/prometheus/api/v1/series", "match[]=node_load1").unwrap();
    assert_eq!(data(&answer)[0]["__name__"], "node_load1");
    let answer = node.post_over_tcp("/prometheus/api/v1/rules", "").unwrap();
    assert_eq!(answer.status, 405, "only what may be long is sent so");
    assert!(node.stop().success());
}

#[test]
fn rules_and_alerts_are_shown_with_their_health() {
    let mut node = node();
    let rules = until("the rules were evaluated", || {
        let groups = data(&get(&node, "rules"))["groups"].clone();
        let group = groups.as_array()?.iter().find(|group| group["name"] == "node")?;
        let rules = group["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] == "ok").then_some(rules)
    });
    assert_eq!((&rules[0]["type"], &rules[0]["name"]), (&json!("recording"), &json!("node:load1:sum")));
    assert_eq!((&rules[1]["type"], &rules[1]["query"]), (&json!("alerting"), &json!("vector(7) > 1")));
    until("the alert fires", || {
        let alerts = data(&get(&node, "alerts"))["alerts"].clone();
        let alert = alerts.as_array()?.first()?.clone();
        let is_so = alert["state"] == "firing" && alert["value"] == "7e+00";
        (is_so && alert["annotations"]["summary"] == "7 is more than one").then_some(())
    });
    let of_type = data(&get(&node, "rules?type=record"))["groups"][0]["rules"].clone();
    assert_eq!(of_type.as_array().unwrap().len(), 1);
    until("what is recorded can be asked for", || {
        let found = data(&get(&node, "query?query=node:load1:sum"))["result"].clone();
        found.as_array()?.first().map(drop)
    });
    assert!(node.stop().success());
}

/// Looks sixty times at 86,400 points at each of 10,999 points of time: a quarter of an hour of work.
fn heavy() -> String {
    let sum = vec!["quantile_over_time(0.5,vector(1)[1d:1s])"; 60].join("%2B");
    format!("query_range?query={sum}&start=1700000000&end=1700010998&step=1")
}

#[test]
fn a_query_ends_at_its_timeout() {
    let mut node = node();
    let (status, sort, words) = error(&get(&node, &format!("{}&timeout=1s", heavy())));
    assert_eq!((status, sort.as_str()), (503, "timeout"), "{words}");
    assert_eq!(data(&get(&node, "query?query=1"))["result"][1], "1", "the next one is answered");
    assert!(node.stop().success());
}

/// The times at which the group was evaluated, while something goes on.
fn evaluated_while(node: &Node, goes_on: impl Fn() -> bool) -> BTreeSet<String> {
    let mut times = BTreeSet::new();
    while goes_on() {
        let rules = data(&get(node, "rules"));
        times.extend(rules["groups"][0]["lastEvaluation"].as_str().map(str::to_owned));
        thread::sleep(Duration::from_millis(100));
    }
    times
}

#[test]
fn rules_are_evaluated_while_a_heavy_query_runs() {
    let longer = [("PICKET_API__QUERY_TIMEOUT", "15s")];
    let mut node = builder().program(picket().to_str().unwrap(), &longer).start();
    thread::scope(|scope| {
        let heavy = scope.spawn(|| get(&node, &heavy()));
        let times = evaluated_while(&node, || !heavy.is_finished());
        // The groups' interval is one second.
        assert!(times.len() >= 3, "{times:?}");
        let (status, sort, _) = error(&heavy.join().unwrap());
        assert_eq!((status, sort.as_str()), (503, "timeout"));
    });
    assert!(node.stop().success());
}

#[test]
fn a_query_is_answered_by_the_rules_plugin_that_serves() {
    let mut node = Node::builder().config("[sources.host]\nkind = \"host\"").start();
    let (status, sort, words) = error(&get(&node, "query?query=1"));
    assert_eq!((status, sort.as_str()), (503, "unavailable"));
    assert!(words.contains("promql-rules"), "{words}");
    fs::write(node.path("rules.yml"), RULES).unwrap();
    node.install(&plugin("promql-rules"), "promql-rules");
    node.configure(NODE);
    assert_eq!(node.reload().status, 200);
    assert_eq!(data(&get(&node, "query?query=1"))["result"][1], "1");
    node.configure("[sources.host]\nkind = \"host\"");
    assert_eq!(node.reload().status, 200);
    assert_eq!(get(&node, "query?query=1").status, 503);
    assert!(node.stop().success());
}

#[test]
fn a_node_tells_clients_what_it_is() {
    let mut node = node();
    let info = data(&get(&node, "status/buildinfo"));
    assert!(info["revision"].as_str().unwrap().starts_with("picket-"), "{info}");
    for path in ["/prometheus/-/healthy", "/prometheus/-/ready"] {
        assert_eq!(node.get_over_tcp(path).unwrap().status, 200);
    }
    assert_eq!(data(&get(&node, "query_exemplars?query=up")), json!([]));
    let names = data(&get(&node, "labels?match[]=node_load1"));
    assert!(names.as_array().unwrap().contains(&json!("__name__")), "{names}");
    assert!(node.stop().success());
}
