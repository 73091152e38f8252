//! What is wrong is told once and clearly, with the place and the remedy; `check` ends with 78; an agent that
//! runs goes on with what was good.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use picket_tests::{Node, NodeBuilder, findings, guest, hostile, plugin, until};

const GOOD: &str = r#"
[sources.numbers]
kind = "file"
include = ["{dir}/logs/*.log"]
start = "beginning"

[plugins.good]
sources = ["numbers"]
grants.state = "1MiB"
"#;

/// A plugin that is wrong in some way, or is configured wrongly, beside one that is good.
struct Case {
    /// The bytes of its component.
    component: Vec<u8>,
    /// Its configuration; `{dir}` is the node's folder.
    config: &'static str,
    /// What every account of it names: the file or the place, what is wrong, the remedy.
    says: &'static [&'static str],
}

fn bytes(path: PathBuf) -> Vec<u8> {
    fs::read(path).unwrap()
}

fn node() -> NodeBuilder {
    Node::builder().install(&guest("ledger_one"), "good").file("logs/numbers.log", "1\n")
}

/// The good plugin goes on: another record gets its result.
fn goes_on(node: &Node) {
    let done = findings(&node.rows(), "batch").len();
    let last = fs::read_to_string(node.path("logs/numbers.log")).unwrap().lines().count();
    node.append("logs/numbers.log", format!("{}\n", last + 1).as_bytes());
    until("the good plugin goes on", || (findings(&node.rows(), "batch").len() > done).then_some(()));
    assert_eq!(node.get("/healthz").unwrap().status, 200);
    assert_eq!(node.get("/readyz").unwrap().status, 200);
}

/// `check` before anything runs, a start with it, and its arrival in a running agent.
fn check(case: &Case) {
    let says = |what: &str, text: &str| {
        for part in case.says {
            assert!(text.contains(part), "`{part}` is missing in {what}:\n{text}");
        }
    };
    let bad = format!("{GOOD}\n[plugins.bad]\n{}", case.config);
    let mut node = node().file("plugins/bad.wasm", &case.component).config(&bad).build();

    let checked = node.cli("check");
    assert_eq!(checked.code, Some(78), "{checked:?}");
    says("check", &checked.stderr);
    let problems = node.cli("check --output json").json()["problems"].as_array().unwrap().clone();
    assert_eq!(problems.len(), 1, "one clear error: {problems:?}");

    node.start();
    node.until_rows("the good plugin serves from the start", 1, |row| row["rule"] == "batch");
    says("the status", &node.plugin_status("bad")["rejected"]["reason"].to_string().replace("\\\"", "\""));
    says("the log", &node.log());
    assert!(node.metric("picket_generations_rejected_total") >= 1.0);
    goes_on(&node);

    // It leaves, and comes again while the agent runs.
    fs::remove_file(node.path("plugins/bad.wasm")).unwrap();
    node.configure(GOOD);
    assert_eq!(node.reload().status, 200);
    fs::write(node.path("plugins/bad.wasm"), &case.component).unwrap();
    node.configure(&bad);
    let answer = node.reload();
    assert_ne!(answer.status, 200, "{}", answer.body);
    says("the answer to a reload", &answer.body.replace("\\\"", "\""));
    goes_on(&node);
    assert!(node.stop().success());
}

fn component(name: &str, component: Vec<u8>, says: &'static [&'static str]) {
    println!("{name}");
    check(&Case { component, config: "", says });
}

#[test]
fn files_that_are_no_components_are_named() {
    component("a text", b"#!/bin/sh\n".to_vec(), &["plugins/bad.wasm", "not WebAssembly"]);
    component(
        "a core module",
        b"\0asm\x01\0\0\0".to_vec(),
        &["plugins/bad.wasm", "core WebAssembly module", "wasm32-wasip2"],
    );
    let mut cut = bytes(guest("ledger_two"));
    cut.truncate(cut.len() / 2);
    component("a truncated component", cut, &["plugins/bad.wasm", "cut off after"]);
    let mut damaged = bytes(guest("ledger_two"));
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    component("a malformed component", damaged, &["plugins/bad.wasm"]);
}

#[test]
fn components_of_unknown_kinds_and_versions_are_named() {
    component("unknown kind", bytes(hostile("unknown-kind")), &["plugins/bad.wasm", "telepath"]);
    component("newer version", bytes(hostile("later-version")), &["plugins/bad.wasm", "0.2.0", "0.1"]);
}

#[test]
fn what_is_not_granted_is_named_with_the_line_that_would_grant_it() {
    check(&Case {
        component: bytes(guest("watcher")),
        config: "sources = [\"numbers\"]",
        says: &["series", "plugins.bad.grants", "series = true"],
    });
}

#[test]
fn a_plugins_own_settings_are_named_by_their_place() {
    check(&Case {
        component: bytes(plugin("access-log")),
        config: "sources = [\"numbers\"]\n[plugins.bad.config.burst]\nmin_erors = 3",
        says: &["picket.toml:", "burst.min_erors", "min_errors"],
    });
    check(&Case {
        component: bytes(plugin("access-log")),
        config: "sources = [\"numbers\"]\n[plugins.bad.config.burst]\nmin_errors = \"many\"",
        says: &["picket.toml:", "burst.min_errors", "many"],
    });
}

#[test]
fn an_asset_that_does_not_parse_is_named_with_its_line() {
    let rules =
        "[[rules]]\nname = \"A\"\nexpr = 'a'\nwarning = 1\n[[rules]]\nname = \"B\"\nwarning = \"high\"\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("own.toml"), rules).unwrap();
    let config = format!("assets = \"{}\"\ngrants.series = true", folder.path().display());
    check(&Case {
        component: bytes(plugin("thresholds")),
        config: Box::leak(config.into_boxed_str()),
        says: &["own.toml", "rules.1."],
    });
}

/// The configuration itself: nothing can be run with it, and what runs keeps the last good one.
fn refused(config: &str, says: &[&str]) {
    let mut node = node().config(&format!("{GOOD}\n{config}")).build();
    for verb in ["check", "run"] {
        let ran = node.cli(verb);
        assert_eq!(ran.code, Some(78), "{ran:?}");
        for part in says {
            assert!(ran.stderr.contains(part), "`{part}` is missing in\n{}", ran.stderr);
        }
    }
    node.configure(GOOD);
    node.start();
    node.configure(&format!("{GOOD}\n{config}"));
    let answer = node.reload();
    assert_ne!(answer.status, 200, "{}", answer.body);
    goes_on(&node);
    assert_eq!(node.cli("status").code, Some(0));
    assert!(node.cli("status").stdout.contains("was not loaded"), "{}", node.cli("status").stdout);
    assert!(node.stop().success());
}

#[test]
fn an_unknown_key_and_a_wrong_type_are_named_by_line() {
    refused("[supervision]\nfailres = 3", &["picket.toml:", "supervision.failres", "`failures`"]);
    refused(
        "[sources.more]\nkind = \"file\"\ninclude = 7",
        &["picket.toml:", "sources.more.include", "list"],
    );
}

#[test]
fn a_source_that_cannot_be_read_is_named_with_the_remedy() {
    let config = format!(
        "{GOOD}\n[sources.bad]\nkind = \"file\"\ninclude = [\"{{dir}}/picket.toml/*.log\"]\n\
         [plugins.two]\ncomponent = \"good.wasm\"\nsources = [\"bad\"]\ngrants.state = \"1MiB\""
    );
    let mut node = node().config(&config).build();
    let checked = node.cli("check");
    assert_eq!(checked.code, Some(78), "{checked:?}");
    for part in ["source `bad`", "picket.toml is no folder", "include = ["] {
        assert!(checked.stderr.contains(part), "`{part}` is missing in\n{}", checked.stderr);
    }
    node.start();
    until("the status shows it", || node.cli("status").stdout.contains("is no folder").then_some(()));
    goes_on(&node);
}

#[test]
fn a_data_folder_that_is_not_this_agents_is_refused() {
    let mut first = node().config(GOOD).start();
    let mut second = node().config(GOOD).build();
    let shared = fs::read_to_string(second.path("picket.toml")).unwrap();
    let data = |node: &Node| format!("data_dir = \"{}\"", node.path("data").display());
    fs::write(second.path("picket.toml"), shared.replace(&data(&second), &data(&first))).unwrap();
    for verb in ["check", "run"] {
        let ran = second.cli(verb);
        assert_eq!(ran.code, Some(78), "{ran:?}");
        for part in ["held by another agent", &first.pid().to_string(), "data_dir"] {
            assert!(ran.stderr.contains(part), "`{part}` is missing in\n{}", ran.stderr);
        }
    }
    goes_on(&first);
    assert!(first.stop().success());
    second.kill();
}

#[test]
fn a_data_folder_that_others_can_write_is_refused() {
    let mut node = node().config(GOOD).start();
    assert!(node.stop().success());
    for folder in ["data/generations", "data"] {
        fs::set_permissions(node.path(folder), fs::Permissions::from_mode(0o777)).unwrap();
        for verb in ["check", "run"] {
            let ran = node.cli(verb);
            assert_eq!(ran.code, Some(78), "{ran:?}");
            for part in [node.path(folder).to_str().unwrap(), "mode 0777", "chmod go-w", "data_dir"] {
                assert!(ran.stderr.contains(part), "`{part}` is missing in\n{}", ran.stderr);
            }
        }
        fs::set_permissions(node.path(folder), fs::Permissions::from_mode(0o700)).unwrap();
    }
    assert_eq!(node.cli("check").code, Some(0));
}

#[test]
fn a_data_folder_of_a_newer_version_is_refused() {
    let mut node = node().config(GOOD).start();
    goes_on(&node);
    assert!(node.stop().success());
    let segment = fs::read_dir(node.path("data/journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "journal"))
        .unwrap();
    let mut content = fs::read(&segment).unwrap();
    // The format's version and its checksum; see the documentation of the journal's crate.
    content[8..12].copy_from_slice(&9u32.to_le_bytes());
    let crc = crc32fast::hash(&content[..12]);
    content[12..16].copy_from_slice(&crc.to_le_bytes());
    fs::write(&segment, &content).unwrap();
    for verb in ["check", "run"] {
        let ran = node.cli(verb);
        assert_eq!(ran.code, Some(78), "{ran:?}");
        for part in [segment.to_str().unwrap(), "format version 9", "newer version"] {
            assert!(ran.stderr.contains(part), "`{part}` is missing in\n{}", ran.stderr);
        }
    }
    assert_eq!(fs::read(&segment).unwrap(), content, "nothing was changed");
}

#[test]
fn a_data_folder_that_cannot_be_made_is_named() {
    let node = node().config(GOOD).build();
    let text = fs::read_to_string(node.path("picket.toml")).unwrap();
    fs::write(node.path("picket.toml"), text.replace("/data\"", "/picket.toml/data\"")).unwrap();
    let checked = node.cli("check");
    assert_eq!(checked.code, Some(78), "{checked:?}");
    assert!(checked.stderr.contains("data_dir") && checked.stderr.contains("picket.toml"), "{checked:?}");
}
