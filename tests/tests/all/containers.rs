//! What lies in containers is scanned like files, and a hostile container costs no more than its bounds.

use std::collections::BTreeSet;
use std::fs;

use picket_tests::{Node, NodeBuilder, findings, guest, hostile, of_kind, until};
use serde_json::Value;

const SCAN: &str = r#"
[sources.files]
kind = "directory"
include = ["{dir}/files/**"]
settle = "10ms"
rescan = "1s"

[plugins.pack]
sources = ["files"]

[plugins.needle]
sources = ["files"]
"#;

fn builder() -> NodeBuilder {
    Node::builder().install(&guest("pack"), "pack").install(&guest("needle"), "needle").config(SCAN)
}

/// An `ar` archive.
fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for (name, content) in members {
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, content.len());
        archive.extend(header.as_bytes());
        archive.extend(*content);
        archive.extend((content.len() % 2 == 1).then_some(b'\n'));
    }
    archive
}

/// Where the word was found, below the node's folder `files`.
fn found(node: &Node) -> BTreeSet<String> {
    let folder = format!("{}/", node.path("files").display());
    let stream = |finding: &Value| finding["stream"].as_str().unwrap().replace(&folder, "");
    findings(&node.rows(), "needle").iter().map(stream).collect()
}

/// The verdicts of the unpacker.
fn opened(node: &Node, path: &str) -> Vec<Value> {
    let path = node.path("files").join(path).display().to_string();
    let is_it = |row: &Value| row["plugin"] == "pack" && row["path"] == path;
    of_kind(&node.rows(), "verdict").into_iter().filter(is_it).collect()
}

fn until_opened(node: &Node, path: &str) -> Value {
    until("the container has its verdict", || opened(node, path).pop())
}

fn until_spool_is_empty(node: &Node) {
    let empty = || fs::read_dir(node.path("data/spool")).unwrap().next().is_none().then_some(());
    until("nothing is left in the spool folder", empty);
}

fn nested() -> Vec<u8> {
    let inner = ar(&[("good.txt", b"fine"), ("bad.txt", b"evil, and wicked")]);
    ar(&[("inner.a", &inner), ("../../../esc", b"evil")])
}

#[test]
fn members_are_scanned_and_named_behind_their_containers() {
    let mut node = builder().file("files/outer.a", nested()).start();
    let everything: BTreeSet<_> =
        ["outer.a!/inner.a!/bad.txt", "outer.a!/../../../esc"].map(str::to_owned).into();
    until("both words are found", || (found(&node) == everything).then_some(()));
    let deep = findings(&node.rows(), "needle").into_iter().find(|row| row["attributes"]["depth"] == "2");
    assert!(deep.is_some(), "{:?}", node.rows());
    let verdict = until_opened(&node, "outer.a");
    assert_eq!(
        (&verdict["verdict"], verdict["reason"].as_str().unwrap().contains("2 members")),
        (&"clean".into(), true)
    );
    until_spool_is_empty(&node);
    assert!(!node.path("esc").exists() && !node.path("data/esc").exists(), "a member's path is no path");

    // Everything in it is judged: neither a walk nor a restart does anything again.
    let passed_over = |node: &Node| node.metric("picket_source_skipped_files_total");
    let walked = passed_over(&node);
    until("it is passed over by a whole walk", || (passed_over(&node) >= walked + 2.0).then_some(()));
    let before = of_kind(&node.rows(), "verdict").len();
    assert!(node.stop().success());
    node.start();
    until("the file is passed over", || (passed_over(&node) > 0.0).then_some(()));
    assert_eq!(of_kind(&node.rows(), "verdict").len(), before);

    // Another generation of the scanner judges what is in it anew.
    node.configure(&format!("{SCAN}\n[plugins.needle.config]\nword = \"wicked\"\n"));
    assert_eq!(node.reload().status, 200);
    until("the new word is found in the inner archive", || {
        let wicked = |row: &Value| row["stream"].as_str().unwrap().ends_with("inner.a!/bad.txt");
        (findings(&node.rows(), "needle").iter().filter(|row| wicked(row)).count() == 2).then_some(())
    });
}

/// The classic way past a scanner: a harmless member, and a hostile one of the same name behind it.
#[test]
fn members_of_one_name_are_all_scanned() {
    let twice = ar(&[("report", b"fine"), ("report", b"evil"), ("other", b"fine"), ("/report", b"evil too")]);
    let node = builder().file("files/twice.a", twice).start();
    node.until_rows("both hostile ones are found", 2, |row| {
        row["kind"] == "finding" && row["stream"].as_str().unwrap().ends_with("twice.a!/report")
    });
    node.until_rows("each has its verdict", 4, |row| {
        row["kind"] == "verdict" && row["plugin"] == "needle" && row["path"].as_str().unwrap().contains("!/")
    });
    until_spool_is_empty(&node);
}

/// It fails on its first file and rests from then on; what is put aside for it is no business of the others.
#[test]
fn a_scanner_that_rests_holds_no_other_up() {
    let config = format!(
        "{SCAN}
[plugins.stuck]
sources = [\"files\"]
config.mode = \"again\"
limits.queue = \"1MiB\"
limits.call_deadline = \"100ms\"
[supervision]
failures = 1
rest = \"1h\"
longest_rest = \"1h\""
    );
    let node = Node::builder()
        .install(&guest("pack"), "pack")
        .install(&guest("needle"), "needle")
        .install(&hostile("scanning"), "stuck")
        .config(&config)
        .file("files/0", "evil")
        .start();
    until("it rests", || (node.plugin_status("stuck")["circuit"]["open"] == true).then_some(()));
    let names: Vec<String> = (1..=60).map(|number| format!("{number}")).collect();
    let members: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"evil"[..])).collect();
    node.append("files/members.a", &ar(&members));
    names.iter().for_each(|name| node.append(&format!("files/{name}"), b"evil"));
    until("the other scanner finds all", || (found(&node).len() == 121).then_some(()));
    assert!(node.metric("picket_source_put_aside_total") > 80.0);
}

#[test]
fn a_one_shot_scan_looks_into_containers() {
    let node = builder().file("files/outer.a", nested()).build();
    let ran = node.cli(&format!("scan --output json {}", node.path("files").display()));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for path in ["outer.a!/inner.a!/bad.txt", "outer.a!/../../../esc"] {
        assert!(ran.stdout.contains(path), "{path} in {}", ran.stdout);
    }
}

#[test]
fn a_container_without_end_is_left_at_its_bound_and_what_came_out_is_scanned() {
    let mut large = b"!bytes".to_vec();
    large.resize(500_000, b' ');
    let node = builder()
        .file("files/members", "!members")
        .file("files/small", "!bytes")
        .file("files/large", large)
        .start();
    for (path, why) in [
        ("members", "paths have more than"),
        ("small", "times as large as the file"),
        ("large", "a member has more than"),
    ] {
        let verdict = until_opened(&node, path);
        assert_eq!(verdict["verdict"], "skipped");
        assert!(verdict["reason"].as_str().unwrap().contains(why), "{verdict}");
    }
    until("the member behind the one without end is found", || {
        found(&node).contains("large!/second").then_some(())
    });
    until("the members up to the bound are found", || (found(&node).len() > 1_000).then_some(()));
    assert!(found(&node).len() < 1_100);
    for bound in ["path-bytes", "ratio", "member-bytes"] {
        let series = format!("picket_plugin_container_bounds_met_total{{bound=\"{bound}\",plugin=\"pack\"}}");
        let metrics = node.get("/metrics").unwrap().body;
        assert!(metrics.contains(&format!("{series} 1")), "{series} in {metrics}");
    }
    until_spool_is_empty(&node);
}

#[test]
fn containers_in_containers_are_opened_so_deep_and_no_deeper() {
    let mut archive = ar(&[("core", b"evil")]);
    for _ in 0..12 {
        archive = ar(&[("note", b"evil"), ("next.a", &archive)]);
    }
    let node = builder().file("files/0.a", archive).start();
    let deepest = format!("0.a{}", "!/next.a".repeat(8));
    let verdict = until_opened(&node, &deepest);
    assert_eq!(verdict["verdict"], "skipped");
    assert!(verdict["reason"].as_str().unwrap().contains("8 containers"), "{verdict}");
    until("the note in each that was opened is found", || (found(&node).len() == 8).then_some(()));
    until_spool_is_empty(&node);
    assert!(found(&node).iter().all(|path| path.ends_with("!/note")), "{:?}", found(&node));
}

#[test]
fn a_container_that_breaks_off_or_breaks_the_plugin_gives_what_came_before() {
    let node = builder().file("files/cut", "!broken").file("files/trap", "!trap").start();
    let cut = until_opened(&node, "cut");
    assert!(cut["reason"].as_str().unwrap().contains("in the middle of a member"), "{cut}");
    let trap = until_opened(&node, "trap");
    assert!(trap["reason"].as_str().unwrap().contains("told to trap"), "{trap}");
    let both = BTreeSet::from(["cut!/first", "trap!/first"].map(str::to_owned));
    until("the first member of both is scanned", || (found(&node) == both).then_some(()));
    let evidence = node.until_rows("the one that traps is evidence", 1, |row| row["kind"] == "evidence");
    assert!(evidence[0]["stream"].as_str().unwrap().ends_with("files/trap"));
    // Other files go on.
    node.append("files/later.a", &ar(&[("late", b"evil")]));
    until("a later archive is opened", || found(&node).contains("later.a!/late").then_some(()));
    assert_eq!(of_kind(&node.rows(), "evidence").len(), 1);
}
