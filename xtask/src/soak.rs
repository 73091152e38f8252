//! Runs the long forms of the tests with their full counts and writes what came out into SOAK.md.
//!
//! With `PICKET_SOAK=1` the scenarios of the integration tests take their full counts. One that has shown
//! what it is to show appends a line of JSON, a [`Line`], to the file that `PICKET_SOAK_RESULTS` names.
//! Those lines become the table; a scenario that failed has no line, and makes this verb fail. The long forms take
//! hours together: some of them can be run by themselves, so each row says of which commit it is.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::workspace::{Workspace, cargo};
use crate::{bench::machine, counts, guest, progress, servers, test};

/// What to soak.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names of scenarios; only tests that hold one of them run, and only their rows of SOAK.md are written anew.
    filters: Vec<String>,
}

/// What a scenario writes when it has passed.
#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Line {
    /// What was shown.
    name: String,
    /// How often, and what was measured on the way: `{"swaps": "50", "longest swap": "12.5 ms"}`.
    figures: Map<String, Value>,
}

/// Where the long tests are, and which of a package's tests they are.
const SUITES: &[(&str, &str)] = &[
    ("picket-tests", ""),
    ("picket-journal", "no_history_loses_repeats_or_reorders_a_durable_record"),
    ("picket", "pipeline::commit::tests::model"),
    ("picket-fuzz", "soak"),
];

/// Runs the suites one after the other and renders the table.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let built = guest::Built::for_tests(workspace)?;
    let results = workspace.target.join("soak.jsonl");
    if results.exists() {
        fs::remove_file(&results)?;
    }
    let mut failed = Vec::new();
    for (what, mut command) in commands(workspace, &arguments.filters) {
        command.env("PICKET_SOAK", "1").env("PICKET_SOAK_RESULTS", &results);
        // What is left out is not shown.
        command.env(servers::SERVERS, "required");
        built.name_to(&mut command);
        counts::set(&mut command, true);
        if let Err(error) = progress::run(&format!("the long tests of {what}"), &mut command) {
            eprintln!("error: {error:#}");
            failed.push(what);
        }
    }
    let lines = read(&results)?;
    let file = workspace.root.join("SOAK.md");
    let kept = if arguments.filters.is_empty() { Vec::new() } else { rows(&fs::read_to_string(&file)?) };
    let made = machine::commit(&workspace.root);
    let table = render(&joined(kept, &lines, &made), &machine::describe(&workspace.root));
    println!("{table}");
    ensure!(failed.is_empty(), "long tests failed in {}; SOAK.md is left alone", failed.join(", "));
    ensure!(!lines.is_empty(), "no scenario has written a line; is a filter misspelt?");
    fs::write(file, table).context("cannot write SOAK.md")
}

/// What to run, one test at a time: a scenario measures time and memory of its own.
fn commands(workspace: &Workspace, filters: &[String]) -> Vec<(String, Command)> {
    let command = |args: &[&str]| {
        let mut command = cargo();
        command.current_dir(&workspace.root).args(args);
        command
    };
    if test::has_nextest() {
        // The whole workspace resolves to one set of features, and serves what `cargo xtask test` built.
        let mut run = command(&["nextest", "run", "--workspace", "--profile", "soak"]);
        run.args(["--no-fail-fast", "--no-capture"]);
        run.args(test::NOT_NATIVE).arg("--filterset").arg(expression()).args(filters);
        return vec![("the workspace".to_owned(), run)];
    }
    let suite = |(package, tests): &(&str, &str)| {
        let mut run =
            command(&["test", "--package", package, "--no-fail-fast", "--lib", "--bins", "--tests", "--"]);
        run.args(["--test-threads=1", "--nocapture"]);
        match filters.is_empty() {
            true => run.args(Some(tests).filter(|tests| !tests.is_empty())),
            false => run.args(filters),
        };
        ((*package).to_owned(), run)
    };
    SUITES.iter().map(suite).collect()
}

/// The suites in the words of cargo-nextest.
fn expression() -> String {
    let suite = |(package, tests): &(&str, &str)| match *tests {
        "" => format!("package({package})"),
        tests => format!("(package({package}) & test({tests}))"),
    };
    SUITES.iter().map(suite).collect::<Vec<_>>().join(" | ")
}

fn read(path: &Path) -> Result<Vec<Line>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path)?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{}: `{line}`", path.display())))
        .collect()
}

/// A row of the table: what was shown, the figures, the commit.
type Row = [String; 3];

/// The rows of a table that was written before.
fn rows(text: &str) -> Vec<Row> {
    let row = |line: &str| {
        let cells: Vec<String> =
            line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").map(str::to_owned).collect();
        cells.try_into().ok()
    };
    text.lines().skip_while(|line| !line.starts_with("|---")).skip(1).filter_map(row).collect()
}

/// Rows of before, each replaced by the one of its name that was made now, and behind them what is new.
fn joined(mut rows: Vec<Row>, lines: &[Line], made: &str) -> Vec<Row> {
    for line in lines {
        let figures: Vec<String> =
            line.figures.iter().map(|(name, value)| format!("{name}: {}", plain(value))).collect();
        let row = [line.name.clone(), figures.join("; "), made.to_owned()];
        match rows.iter_mut().find(|row| row[0] == line.name) {
            Some(old) => *old = row,
            None => rows.push(row),
        }
    }
    rows
}

fn render(rows: &[Row], machine: &str) -> String {
    let mut text = String::from(
        "# Soak\n\nThe long forms of the tests, with their full counts. Written by `cargo xtask soak`.\n\n",
    );
    let _ = writeln!(text, "{machine}\n\n| shown | figures | commit |\n|---|---|---|");
    for [name, figures, commit] in rows {
        let _ = writeln!(text, "| {name} | {figures} | {commit} |");
    }
    text
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lines_become_rows_and_replace_those_of_their_names() {
        let line = r#"{"name":"every record once","figures":{"records":"200,000","swaps":50}}"#;
        let lines: Vec<Line> = vec![serde_json::from_str(line).unwrap()];
        let old = render(
            &joined(vec![["another".into(), "times: 7".into(), "abc".into()]], &lines, "def"),
            "On a machine.",
        );
        let row = "| every record once | records: 200,000; swaps: 50 | def |";
        assert!(old.lines().any(|line| line == row), "{old}");
        assert!(old.contains("\nOn a machine.\n"));
        let again = joined(rows(&old), &lines, "123");
        assert_eq!(again.len(), 2);
        assert_eq!((&*again[0][2], &*again[1][2]), ("abc", "123"));
    }
}
