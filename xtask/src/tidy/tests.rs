//! Shows every check a tree that breaks its rule, and one that breaks none; then the repository.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

use super::rules::{FENCES, WALLS};
use super::{Problem, Tree, check};

/// The smallest tree that breaks no rule.
fn clean() -> Vec<(String, String)> {
    let manifest = |name: &str| format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n");
    let root = "//! Root.\n#![forbid(unsafe_code)]\n";
    [
        ("ARCHITECTURE.md", "`host/`, with `sources` and `model`, `xtask`.\n".to_owned()),
        ("host/Cargo.toml", manifest("picket")),
        ("host/src/lib.rs", root.to_owned()),
        ("host/src/model/mod.rs", "//! Words.\n".to_owned()),
        ("host/src/sources/mod.rs", "//! Sources.\nuse crate::model::Block;\n".to_owned()),
        ("xtask/Cargo.toml", manifest("xtask")),
        ("xtask/src/main.rs", root.to_owned()),
    ]
    .map(|(path, text)| (path.to_owned(), text))
    .into()
}

fn problems_with(files: &[(&str, &str)]) -> Vec<Problem> {
    let mut all = clean();
    for (path, text) in files {
        all.retain(|(present, _)| present != path);
        all.push(((*path).to_owned(), (*text).to_owned()));
    }
    check(&Tree::of(all))
}

/// One file, the rule it breaks, and the line.
const BROKEN: &[(&str, usize, &str, &str)] = &[
    ("fence", 2, "host/src/sources/mod.rs", "//! S.\nuse sled::Tree;\n"),
    ("fence", 2, "host/src/lib.rs", "//! L.\npub fn f(_: wasmtime::Engine) {}\n#![forbid(unsafe_code)]\n"),
    ("fence", 2, "host/src/sources/mod.rs", "//! S.\nuse crate::{model, agent};\n"),
    ("wall", 2, "host/src/sources/mod.rs", "//! S.\nuse super::forwarders;\n"),
    ("wall", 3, "host/src/telemetry/mod.rs", "//! T.\nuse crate::model::A;\nuse crate::sources::B;\n"),
    ("readable", 0, "host/src/lib.rs", "//! L.\n#![forbid(unsafe_code)]\nfn f( {\n"),
    ("header", 1, "host/src/model/mod.rs", "// No words.\n"),
    ("unwrap", 2, "host/src/model/mod.rs", "//! M.\nfn f(x: Option<u8>) -> u8 { x.unwrap() }\n"),
    ("unwrap", 2, "host/src/model/mod.rs", "//! M.\nfn f() { println!(\"{}\", g().unwrap()); }\n"),
    ("unsafe", 1, "host/src/lib.rs", "//! No forbid.\n"),
    ("unfinished", 2, "host/src/model/mod.rs", concat!("//! M.\n// TO", "DO: later\n")),
    ("machine-path", 1, "notes.md", concat!("see /ro", "ot/notes\n")),
    ("registry-host", 2, "deny.toml", concat!("[x]\nallow = \"https://crates", ".io\"\n")),
    ("lints", 0, "host/Cargo.toml", "[package]\nname = \"picket\"\n"),
    (
        "dependency",
        6,
        "host/Cargo.toml",
        "[package]\nname = \"picket\"\n[lints]\nworkspace = true\n[dependencies]\nserde = \"1\"\n",
    ),
    ("architecture", 1, "ARCHITECTURE.md", "`host` `sources` `model` `xtask` `host/src/gone.rs`\n"),
    ("architecture", 0, "ARCHITECTURE.md", "`host`, `model`, `xtask`.\n"),
    ("link", 2, "docs/a.md", "text\n[b](../b.md)\n"),
    ("capability", 3, "wit/capabilities.wit", "package a:b;\n\ninterface log {\n"),
];

#[test]
fn a_clean_tree_has_no_problem() {
    assert_eq!(problems_with(&[]), []);
}

#[test]
fn each_broken_rule_is_found_at_its_place() {
    for (rule, line, file, text) in BROKEN {
        let problems = problems_with(&[(file, text)]);
        let found = problems.iter().any(|p| p.rule == *rule && p.line == *line && p.file == *file);
        assert!(found, "[{rule}] {file}:{line} is not in {problems:#?}");
    }
}

#[test]
fn long_files_are_found_one_by_one_and_together() {
    let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(800));
    let problems = problems_with(&[("host/src/model/mod.rs", &long)]);
    assert!(problems.iter().any(|p| p.rule == "size" && p.file == "host/src/model/mod.rs"), "{problems:?}");
    let with_reason = long.replace("//! Long.", "//! Long because it is one table.");
    let problems = problems_with(&[("host/src/model/mod.rs", &with_reason)]);
    assert!(!problems.iter().any(|p| p.file == "host/src/model/mod.rs"), "{problems:?}");
    // All files together have no reason to give.
    assert!(
        problems.iter().any(|p| p.rule == "size" && p.message.contains("90th percentile")),
        "{problems:?}"
    );
}

#[test]
fn the_median_counts_no_tests() {
    let tested =
        format!("//! M.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() { x.unwrap(); }\n".repeat(900));
    assert_eq!(problems_with(&[("host/src/model/mod.rs", &tested)]), []);
    let long = format!("//! M.\n{}", "fn f() {}\n".repeat(200));
    let files =
        ["host/src/lib.rs", "host/src/model/mod.rs", "host/src/sources/mod.rs"].map(|file| (file, &*long));
    let problems = problems_with(&files);
    assert!(problems.iter().any(|p| p.message.contains("the median")), "{problems:?}");
}

#[test]
fn every_rule_has_a_sample_that_breaks_it() {
    let shown: BTreeSet<&str> = BROKEN.iter().map(|(rule, ..)| *rule).chain(["size"]).collect();
    let rules: BTreeSet<&str> = super::checks::ALL.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(shown, rules);
}

#[test]
fn each_fence_and_wall_is_enforced() {
    for fence in FENCES {
        let text = format!("//! S.\nuse {};\n", fence.path);
        let text = text.replace("picket::", "crate::");
        // A place inside no fence.
        let problems = problems_with(&[("host/src/lib.rs", &text)]);
        let found = problems.iter().any(|p| p.rule == "fence" && p.message.contains(fence.path));
        assert!(found, "{} is not fenced", fence.path);
    }
    for wall in WALLS {
        let file = format!("{}/src/probe.rs", wall.from.trim_end_matches('/'));
        let file = if wall.from.contains("/src/") { format!("{}/probe.rs", wall.from) } else { file };
        for path in wall.not {
            let problems = problems_with(&[(&file, &format!("//! P.\nuse ::{path}::X;\n"))]);
            assert!(problems.iter().any(|p| p.rule == "wall" && p.line == 2), "{file} may name {path}");
        }
    }
}

#[test]
fn paths_of_this_checkout_are_found() {
    let mut tree = Tree::of([("a.md".to_owned(), "cd /srv/checkout/x\n".to_owned())]);
    tree.machine_paths.push("/srv/checkout".to_owned());
    assert!(check(&tree).iter().any(|p| p.rule == "machine-path" && p.line == 1));
}

#[test]
fn the_repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let problems = check(&Tree::read(root).unwrap());
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", text.join("\n"));
}
