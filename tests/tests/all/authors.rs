//! What the author of a plugin does, from `picket plugin new` to a new build that a running agent takes over.

use picket_tests::{Node, Project, until};

/// A new project builds and passes its own tests, native ones and those in the sandbox, at once.
fn check(kind: &str, name: &str, cases: usize) -> Project {
    let project = Project::new(kind, name);
    project.picket("plugin build").expect(0, &[&format!("{name}.wasm (")]);
    project.picket("plugin inspect").expect(2, &[]);
    let exports = format!("    picket:plugin/{kind}@0.1.0\n");
    project
        .picket(&format!("plugin inspect {name}.wasm"))
        .expect(0, &[&format!("kinds: {kind}\n"), "exports:\n", &exports, "picket:plugin/types@0.1.0"]);
    project.picket("plugin test").expect(0, &[&format!("{cases} of {cases} cases passed")]);
    project
}

#[test]
fn a_new_analyzer_passes_its_tests_and_a_wrong_expectation_is_shown_with_its_line() {
    let project = check("analyzer", "my-words", 2);
    project.cargo("test --quiet").expect(0, &["2 passed"]);
    project.edit("plugin.toml", "{ rule = \"word\", ", "{ rule = \"wrod\", ");
    project.picket("plugin test --component-only").expect(
        1,
        &[
            "FAILED a record with a word is reported (plugin.toml:9)\n",
            "  plugin.toml:13: findings[0].rule\n    expected: wrod\n    got:      word\n",
            "passed a configuration without words is refused\n",
        ],
    );
    project.edit(
        "src/lib.rs",
        "assert_eq!(output.rules(), [\"word\"]);",
        "assert_eq!(output.rules(), [\"\"]);",
    );
    let ran = project.picket("plugin test");
    ran.expect(1, &[]);
    assert!(ran.stderr.contains("the plugin's own tests failed"), "{}", ran.stderr);
}

#[test]
fn a_new_scanner_passes_its_tests() {
    let project = check("scanner", "long-lines", 3);
    let verdict = "suspicious /srv/file  A script has a line of 18 bytes.";
    project
        .picket("plugin test --component-only --output json")
        .expect(0, &["\"passed\": true", "long-line"]);
    std::fs::write(project.path().join("x.sh"), format!("#!/bin/sh\n{}\n", "x".repeat(100_001))).unwrap();
    project
        .picket("plugin test long-lines.wasm --input x.sh")
        .expect(0, &["suspicious", "x.sh", "100001 bytes"]);
    project.picket("scan . --plugin long-lines.wasm --fail-on suspicious").expect(1, &["suspicious", "x.sh"]);
    project.edit("plugin.toml", "expect.verdict = \"suspicious\"", "expect.verdict = \"clean\"");
    let ran = project.picket("plugin test --component-only");
    ran.expect(1, &["expected: clean\n    got:      suspicious\n"]);
    assert!(!ran.stdout.contains(verdict), "only what differs is shown: {}", ran.stdout);
}

#[test]
fn a_new_unpacker_passes_its_tests() {
    let project = check("unpacker", "open-ar", 4);
    let archive = "!<arch>\na.txt/          0           0     0     644     3         `\nodd\n";
    std::fs::write(project.path().join("x.a"), archive).unwrap();
    project.picket("plugin test open-ar.wasm --input x.a").expect(0, &["member a.txt  3 B"]);
    project.edit("plugin.toml", "text = \"odd\"", "text = \"even\"");
    project
        .picket("plugin test --component-only")
        .expect(1, &["members[0].text\n    expected: even\n    got:      odd\n"]);
}

#[test]
fn a_new_alert_rule_passes_its_tests() {
    let project = check("alert-rule", "fills-up", 2);
    project.edit("plugin.toml", "value = 0.25", "value = 0.5");
    project
        .picket("plugin test --component-only")
        .expect(1, &["alerts[0].value\n    expected: 0.5\n    got:      0.25\n"]);
    project.edit("plugin.toml", "series = true", "series = false");
    project.picket("plugin test --component-only").expect(
        1,
        &["`picket:plugin/series`, which is not granted", "plugins.fills-up.grants.series = true"],
    );
}

#[test]
fn a_running_agent_takes_over_what_the_author_builds() {
    let project = Project::new("analyzer", "live-words");
    project.picket("plugin build").expect(0, &[]);
    let config = format!(
        "[sources.lines]\nkind = \"file\"\ninclude = [\"{{dir}}/logs/*.log\"]\nstart = \"beginning\"\n\n\
         [plugins.live-words]\nsources = [\"lines\"]\ncomponent = \"{}\"\n",
        project.component().display()
    );
    let mut node = Node::builder().config(&config).start();
    let active = |node: &Node| node.plugin_status("live-words")["active"]["digest"].clone();
    let message = |node: &Node, count: usize| {
        let rows = node.until_rows("the record is reported", count, |row| row["rule"] == "word");
        rows[count - 1]["message"].as_str().unwrap_or_default().to_owned()
    };
    node.append("logs/a.log", b"kernel: panic\n");
    assert_eq!(message(&node, 1), "A record holds `panic`.");

    let first = active(&node);
    project.edit("src/lib.rs", "A record holds `{word}`.", "Somebody wrote `{word}`.");
    project.picket("plugin build").expect(0, &[]);
    until("the new build serves", || (active(&node) != first).then_some(()));
    node.append("logs/a.log", b"kernel: panic again\n");
    assert_eq!(message(&node, 2), "Somebody wrote `panic`.");

    let second = active(&node);
    project.edit("src/lib.rs", "fn analyze(", "fn analyse(");
    let ran = project.picket("plugin build");
    ran.expect(1, &[]);
    assert!(ran.stderr.contains("cargo ended with"), "{}", ran.stderr);
    node.append("logs/a.log", b"kernel: panic once more\n");
    assert_eq!(message(&node, 3), "Somebody wrote `panic`.");
    assert_eq!(active(&node), second, "what does not build changes nothing");
    assert!(node.stop().success());
}
