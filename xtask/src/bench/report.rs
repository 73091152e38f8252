//! Turns the figures into tables. Pure: figures in, Markdown out.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Values of one subject in one case of a measure, as `picket-bench` prints them.
#[derive(Debug, Clone, Deserialize, PartialEq)]
pub(super) struct Series {
    /// The measure: `pipeline`.
    pub bench: String,
    /// What is measured, in words: `2 % of the lines match`.
    pub case: String,
    /// Who does it: `picket`, `grep -E`.
    pub subject: String,
    /// The unit of the values.
    pub unit: String,
    /// Whether the others are set in relation to this one.
    #[serde(default)]
    pub reference: bool,
    /// One for each round.
    #[serde(default)]
    pub values: Vec<f64>,
    /// CPU time of each round, user and system, in seconds; empty where it makes no sense.
    #[serde(default)]
    pub cpu_seconds: Vec<f64>,
    /// Peak resident memory of each round, in bytes; empty where it makes no sense.
    #[serde(default)]
    pub peak_bytes: Vec<f64>,
    /// What was aimed at, in words; empty when there is no aim.
    #[serde(default)]
    pub aim: String,
    /// Why there are no values, or what to know about them.
    #[serde(default)]
    pub note: String,
}

impl Series {
    /// Reads one line.
    pub(super) fn parse(line: &str) -> Result<Self> {
        serde_json::from_str(line).with_context(|| format!("picket-bench printed `{line}`"))
    }
}

/// What each measure is about.
const ABOUT: &[(&str, &str)] = &[
    ("boundary", "Crossing between host and guest: what a call costs before anybody has done any work."),
    ("analyze", "Each analyzer over the same mixed logs, in the sandbox and as native code."),
    (
        "pipeline",
        "A file of mixed access and syslog lines: read, matched, analysed, committed, and written out as NDJSON \
         by the agent; matched and written out by the others.",
    ),
    ("swap", "From the end of the coalescing window to the first record by the new generation."),
    ("idle", "The agent with five and with ten plugins loaded and nothing to do."),
    (
        "rules",
        "Prometheus rule files over the series of scraped targets: six of ten rules alert on thresholds, two on rates \
         and ratios over 20 scrapes, two record; most select ten series, some a hundred and more. The agent and \
         Prometheus have the same files and the same targets at the same time, each once with the rules and once \
         without, all side by side. CPU and memory are those of the whole processes with their children.",
    ),
];

/// What stands above all sections of the page.
const HEAD: &str = "# Benchmarks\n\nWritten by `cargo xtask bench`, each section by the run that it names.\n\n\
    Each measure but `rules` runs several times in turn with its counterparts (A B A B), on input from a seeded \
    generator. Spread is lowest to highest. CPU time is user and system together, memory the peak of the resident \
    set; both are medians. The ratio is to the row marked with `=`.\n";

/// The page with the section of each measure that was run in place of its former one. Sections come in the order of
/// `names`; one that has no such name is left out.
pub(super) fn page(former: &str, new: &[(&str, String)], names: &[&str]) -> String {
    let kept = |name: &str| {
        let section = former.split("\n## ").skip(1).find(|section| section.lines().next() == Some(name));
        section.map(|section| format!("## {section}"))
    };
    let mut text = HEAD.to_owned();
    for name in names {
        let fresh = new.iter().find(|(known, _)| known == name).map(|(_, section)| section.clone());
        if let Some(section) = fresh.or_else(|| kept(name)) {
            let _ = write!(text, "\n{}\n", section.trim_end());
        }
    }
    text
}

/// The section of a measure, from its series. `made` says by which run on which machine.
pub(super) fn section(name: &str, series: &[Series], made: &str) -> String {
    let mut text = format!("## {name}\n\n");
    if let Some((_, about)) = ABOUT.iter().find(|(known, _)| *known == name) {
        let _ = writeln!(text, "{about}\n");
    }
    let _ = writeln!(text, "{made}\n");
    text.push_str("| case | subject | median | spread | CPU time | peak memory | ratio | aim |\n");
    text.push_str("|---|---|---:|---:|---:|---:|---:|---|\n");
    let of_bench: Vec<&Series> = series.iter().filter(|one| one.bench == name).collect();
    for one in &of_bench {
        row(&mut text, one, &of_bench);
    }
    for one in of_bench.iter().filter(|one| !one.note.is_empty()) {
        let _ = write!(text, "\n{}, {}: {}\n", one.case, one.subject, one.note);
    }
    text
}

fn row(text: &mut String, one: &Series, all: &[&Series]) {
    let Some(middle) = median(&one.values) else {
        let _ = writeln!(text, "| {} | {} | not measured | | | | | {} |", one.case, one.subject, one.aim);
        return;
    };
    let reference = all.iter().find(|other| other.reference && other.case == one.case);
    let ratio = match reference.and_then(|other| median(&other.values)) {
        _ if one.reference => "=".to_owned(),
        Some(base) if base > 0.0 => format!("{:.2}", middle / base),
        _ => String::new(),
    };
    let low = one.values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = one.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let cpu = median(&one.cpu_seconds).map_or(String::new(), |value| format!("{value:.2} s"));
    let peak = median(&one.peak_bytes).map_or(String::new(), |value| format!("{:.1} MB", value / 1e6));
    let _ = writeln!(
        text,
        "| {} | {} | {} {} | {} to {} | {cpu} | {peak} | {ratio} | {} |",
        one.case,
        one.subject,
        number(middle),
        one.unit,
        number(low),
        number(high),
        one.aim
    );
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        return Some(sorted[middle]);
    }
    Some((sorted.get(middle)? + sorted[middle - 1]) / 2.0)
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        size if size > 0.0 => format!("{value:.4}"),
        _ => "0".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn rows_are_set_in_relation_to_the_reference() {
        let lines = [
            r#"{"bench":"pipeline","case":"a","subject":"picket","unit":"MB/CPU s","values":[300,420,410],
                "cpu_seconds":[0.5],"peak_bytes":[41000000],"aim":"400"}"#,
            r#"{"bench":"pipeline","case":"a","subject":"grep -E","unit":"MB/CPU s","values":[820],"reference":true}"#,
            r#"{"bench":"pipeline","case":"a","subject":"mtail","unit":"MB/CPU s","note":"the package is missing"}"#,
        ];
        let series: Vec<_> = lines.iter().map(|line| Series::parse(line).unwrap()).collect();
        let text = section("pipeline", &series, "Made on a machine.");
        for expected in [
            "| a | picket | 410 MB/CPU s | 300 to 420 | 0.50 s | 41.0 MB | 0.50 | 400 |",
            "| a | grep -E | 820 MB/CPU s | 820 to 820 |  |  | = |  |",
            "Made on a machine.",
            "| a | mtail | not measured | | | | |  |",
            "a, mtail: the package is missing",
        ] {
            assert!(text.lines().any(|line| line == expected), "`{expected}` is not in\n{text}");
        }
    }

    #[test]
    fn a_measure_that_was_not_run_keeps_its_section() {
        let names = ["a", "b", "c"];
        let first = page("", &[("c", "## c\n\nthree\n".into()), ("a", "## a\n\none\n".into())], &names);
        assert_eq!(first, format!("{HEAD}\n## a\n\none\n\n## c\n\nthree\n"));
        let second = page(&first, &[("a", "## a\n\nother\n".into()), ("b", "## b\n\ntwo\n".into())], &names);
        assert_eq!(second, format!("{HEAD}\n## a\n\nother\n\n## b\n\ntwo\n\n## c\n\nthree\n"));
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[5.0]), Some(5.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn numbers_keep_three_digits() {
        for (value, expected) in
            [(412.6, "413"), (12.34, "12.3"), (1.234, "1.23"), (0.0123, "0.0123"), (0.0, "0")]
        {
            assert_eq!(number(value), expected);
        }
    }
}
