//! `tap` shows what passes a source, a plugin or a forwarder, as it passes, and holds up nothing.

use std::thread;

use picket_tests::{Node, Ran, guest, until};
use serde_json::Value;

const NODE: &str = r#"
[sources.numbers]
kind = "file"
include = ["{dir}/logs/*.log"]
start = "beginning"

[sources.machine]
kind = "host"

[plugins.good]
sources = ["numbers"]
grants.state = "1MiB"
"#;

fn node() -> Node {
    Node::builder().install(&guest("ledger_one"), "good").file("logs/numbers.log", "1\n").config(NODE).start()
}

/// Runs a tap that ends after some lines, and lets records come until it has.
fn tapped(node: &Node, number: &mut u64, line: &str) -> Ran {
    thread::scope(|scope| {
        let tap = scope.spawn(|| node.cli(line));
        until("the tap has seen enough", || {
            *number += 1;
            node.append("logs/numbers.log", format!("{number}\n").as_bytes());
            tap.is_finished().then_some(())
        });
        tap.join().unwrap()
    })
}

/// The lines that are no account of what was dropped.
fn lines(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.get("dropped").is_none()).collect()
}

#[test]
fn each_part_of_the_way_shows_what_passes_it() {
    let mut node = node();
    let mut number = 1;
    let records = lines(&tapped(&node, &mut number, "tap source numbers --count 2 --output json"));
    assert_eq!(records.len(), 2, "{records:?}");
    for record in &records {
        assert_eq!((&record["point"], &record["name"]), (&"source".into(), &"numbers".into()));
        assert_eq!(record["stream"], node.path("logs/numbers.log").to_str().unwrap());
        let offset = usize::try_from(record["offset"].as_u64().unwrap()).unwrap();
        let text = std::fs::read_to_string(node.path("logs/numbers.log")).unwrap();
        assert_eq!(text[offset..].lines().next(), record["text"].as_str(), "{record}");
    }
    let frames = lines(&tapped(&node, &mut number, "tap plugin good --count 1 --output json"));
    assert_eq!((&frames[0]["point"], &frames[0]["kind"]), (&"plugin".into(), &"finding".into()));
    assert!(frames[0]["text"].as_str().unwrap().contains("batch"), "{frames:?}");

    let sent = lines(&tapped(&node, &mut number, "tap forwarder results --count 1 --output json"));
    assert_eq!((&sent[0]["point"], &sent[0]["outcome"]), (&"forwarder".into(), &"accepted".into()));

    let text = tapped(&node, &mut number, "tap source numbers --count 1");
    text.expect(0, &["source numbers", "logs/numbers.log:"]);
    assert!(node.stop().success());
}

#[test]
fn a_tap_ends_with_the_agent_and_does_not_hold_it_up() {
    let mut node = node();
    let socket = node.path("picket.sock");
    let waiting = thread::spawn({
        let config = node.path("picket.toml");
        move || {
            let config = ["--config".to_owned(), config.display().to_string()];
            let mut command = std::process::Command::new(picket_tests::picket());
            // Nothing passes any more: no record comes.
            command.args(["tap", "forwarder", "results"]).args(config).output().unwrap()
        }
    });
    until("the tap is open", || {
        let open = "picket_api_requests_total{route=\"/api/v1/tap\",status=\"200\"}";
        (node.metric(open) >= 1.0).then_some(())
    });
    assert!(node.stop().success());
    let ended = waiting.join().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("has stopped"), "{ended:?}");
    assert!(!socket.exists());
}

#[test]
fn what_cannot_be_tapped_is_told() {
    let node = node();
    for (line, says) in [
        ("tap source number", "did you mean `numbers`?"),
        ("tap source machine", "kind `host`"),
        ("tap plugin godo", "did you mean `good`?"),
        ("tap forwarder elsewhere", "there is no forwarder `elsewhere`"),
    ] {
        let ran = node.cli(line);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(says), "`{says}` is missing in {ran:?}");
    }
    assert_eq!(node.cli("tap source numbers --limit 0").code, Some(2));
    let refused = node.get_over_tcp("/api/v1/tap?source=numbers").unwrap();
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("Unix socket"), "{}", refused.body);
}
