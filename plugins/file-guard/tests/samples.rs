//! The plugin on files that real programs made (`tests/samples/files`).
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::PathBuf;

use file_guard::FileGuard;
use picket_sdk::Verdict;
use picket_sdk::testing::{Host, Object};
use proptest::prelude::*;

fn sample(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/samples/files").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The verdict's word and the rules, for a file at a path.
fn scan(config: &str, object: &Object) -> (&'static str, Vec<String>) {
    let host = Host::new();
    let mut plugin = host.start::<FileGuard>(config).unwrap();
    let (verdict, output) = plugin.scan(object).unwrap();
    let word = match verdict {
        Verdict::Skipped(_) => "skipped",
        Verdict::Clean => "clean",
        Verdict::Suspicious(_) => "suspicious",
        Verdict::Malicious(_) => "malicious",
    };
    (word, output.rules().into_iter().map(str::to_owned).collect())
}

fn check(name: &str, verdict: &str, rules: &[&str]) {
    let object = Object::new(&format!("/srv/data/{name}"), sample(name));
    let (found, found_rules) = scan("{}", &object);
    assert_eq!(
        (found, found_rules.iter().map(String::as_str).collect::<Vec<_>>()),
        (verdict, rules.to_vec()),
        "{name}"
    );
}

#[test]
fn honest_files_are_clean() {
    for name in [
        "program",
        "program.exe",
        "tool.sh",
        "note.txt",
        "page.php",
        "page.html",
        "note.xml",
        "data.json",
        "picture.png",
        "picture.jpg",
        "picture.gif",
        "page.pdf",
        "page.ps",
        "archive.zip",
        "note.txt.gz",
        "archive.tar",
    ] {
        check(name, "clean", &[]);
    }
}

#[test]
fn names_that_lie_are_found() {
    check("invoice.pdf.exe", "suspicious", &["double-extension", "type-mismatch"]);
    check("holiday.jpg", "suspicious", &["type-mismatch"]);
    check("report.pdf", "suspicious", &["type-mismatch"]);
    check("readme.txt", "suspicious", &["type-mismatch"]);
    check("avatar.php.gif", "suspicious", &["double-extension", "type-mismatch"]);
    check(".hidden", "suspicious", &["hidden-program"]);
}

#[test]
fn files_within_files_are_found() {
    check("shell.gif", "suspicious", &["embedded-script"]);
    check("picture-zip.png", "suspicious", &["embedded-archive"]);
    check("page-elf.pdf", "suspicious", &["embedded-program"]);
    check("picture-pe.jpg", "suspicious", &["embedded-program"]);
}

#[test]
fn programs_are_found_where_none_belong() {
    let at = |path: &str, name: &str| scan("{}", &Object::new(path, sample(name)));
    assert_eq!(at("/tmp/x", "program"), ("suspicious", vec!["program".to_owned()]));
    assert_eq!(at("/var/www/shop/uploads/a.php", "page.php"), ("suspicious", vec!["script".to_owned()]));
    assert_eq!(at("/var/www/shop/a.php", "page.php"), ("clean", vec![]));
    let everywhere = r#"{"no_programs": ["**"], "actions": {"program": "malicious"}}"#;
    let object = Object::new("/opt/x", sample("program"));
    assert_eq!(scan(everywhere, &object), ("malicious", vec!["program".to_owned()]));
}

#[test]
fn dangerous_modes_are_found() {
    let with_mode = |path: &str, mode: u32| {
        let object = Object::new(path, sample("program")).with(|info| info.mode = 0o100_000 | mode);
        scan("{}", &object)
    };
    assert_eq!(with_mode("/usr/bin/sudo", 0o4755), ("clean", vec![]));
    assert_eq!(with_mode("/usr/bin/find", 0o4755), ("suspicious", vec!["set-id".to_owned()]));
    assert_eq!(with_mode("/usr/bin/find", 0o2755), ("suspicious", vec!["set-id".to_owned()]));
    assert_eq!(
        with_mode("/usr/bin/find", 0o2745),
        ("clean", vec![]),
        "no group execute: not a set-group-ID program"
    );
    assert_eq!(with_mode("/usr/bin/find", 0o757), ("clean", vec!["world-writable".to_owned()]));
}

#[test]
fn limits_and_the_configuration_are_obeyed() {
    let object = Object::new("/srv/data/holiday.jpg", sample("holiday.jpg"));
    assert_eq!(scan(r#"{"ignore": ["/srv/data/**"]}"#, &object), ("skipped", vec![]));
    assert_eq!(scan(r#"{"actions": {"type-mismatch": "off"}}"#, &object), ("clean", vec![]));
    assert_eq!(
        scan(r#"{"actions": {"type-mismatch": "report"}}"#, &object),
        ("clean", vec!["type-mismatch".to_owned()])
    );
    assert_eq!(
        scan(r#"{"max_size": "100B"}"#, &object),
        ("suspicious", vec!["type-mismatch".to_owned(), "too-large".to_owned()])
    );
    let picture = Object::new("/srv/data/a.jpg", sample("picture-pe.jpg"));
    assert_eq!(scan(r#"{"search": 0}"#, &picture), ("clean", vec![]));
    assert_eq!(scan(r#"{"search": "1KiB"}"#, &picture).0, "clean");
    let garbage = Object::new("/srv/data/a.pdf", [7_u8, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(scan("{}", &garbage), ("clean", vec!["type-unknown".to_owned()]));
}

#[test]
fn wrong_configuration_names_its_key() {
    let check =
        |config: &str, key: &str| assert_eq!(Host::new().start::<FileGuard>(config).unwrap_err().key, key);
    check(r#"{"max_size": "much"}"#, "max_size");
    check(r#"{"no_programs": ["/a", "/b/{c"]}"#, "no_programs.1");
    check(r#"{"actions": {"program": "delete"}}"#, "actions.program");
    check(r#"{"max_sise": 1}"#, "max_sise");
}

/// A program anywhere in a large picture is found, also where two pieces of it meet.
#[test]
fn what_lies_between_two_pieces_is_found() {
    let program = sample("program");
    for offset in [262_144 - 100, 262_144 - 64, 262_144 - 10, 262_144, 300_000] {
        let mut picture = sample("picture.png");
        picture.resize(offset, 0);
        picture.extend_from_slice(&program);
        let (verdict, rules) = scan("{}", &Object::new("/srv/data/a.png", &picture));
        assert_eq!((verdict, rules), ("suspicious", vec!["embedded-program".to_owned()]), "{offset}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn no_file_makes_the_plugin_fail(
        path in "/[a-z./]{0,20}[\\PC]{0,20}",
        name in proptest::sample::select(vec!["picture.gif", "page.pdf", "picture.png", "archive.zip", "program.exe"]),
        cut in any::<usize>(),
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        mode in any::<u32>(),
    ) {
        let mut content = sample(name);
        content.truncate(cut % (content.len() + 1));
        content.extend(noise);
        let host = Host::new();
        let mut plugin = host.start::<FileGuard>("{}").unwrap();
        prop_assert!(plugin.scan(&Object::new(&path, &content).with(|info| info.mode = mode)).is_ok());
    }
}
