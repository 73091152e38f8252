//! `picket rules check`: what is wrong with rule files, with the verdicts and exit codes of `promtool check rules`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use picket_sandbox::Group;
use serde::Serialize;

use super::super::Failure;
use super::super::exit::FAILED;
use super::super::global::Global;
use super::super::output::{self, Output, Paint};
use super::component::ComponentChoice;
use super::files;
use super::problems::{Problem, problems};
use crate::rules::{Harness, RulesComponent, RulesError};
use crate::telemetry::escape;

/// Only duplicates were found, and they are fatal: promtool's code for that.
const LINT: u8 = 3;

/// Of `picket rules check`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Rule files, or folders with rule files below them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// End with 3 when rules of a file are duplicates of each other. Without it they are told, and that is all.
    #[arg(long)]
    lint_fatal: bool,
    #[command(flatten)]
    component: ComponentChoice,
}

/// What was found in a file.
#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    /// How many rules it has; none when something is wrong.
    rules: Option<usize>,
    problems: Vec<Problem>,
    duplicates: Vec<Duplicate>,
}

/// Two rules that make the same series.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Duplicate {
    metric: String,
    labels: BTreeMap<String, String>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let found = arguments.component.find(global)?;
    let mut all = Vec::new();
    for file in files::listed(&arguments.files)? {
        let checked = check(&found.component, &file)?;
        if global.output == Output::Text {
            checked.show(global.paint())?;
        }
        all.push(checked);
    }
    if global.output == Output::Json {
        output::json(&serde_json::json!({ "files": all }))?;
    }
    if all.iter().any(|checked| !checked.problems.is_empty()) {
        return Err(Failure::Said(FAILED));
    }
    match arguments.lint_fatal && all.iter().any(|checked| !checked.duplicates.is_empty()) {
        true => Err(Failure::Said(LINT)),
        false => Ok(()),
    }
}

fn check(component: &RulesComponent, file: &Path) -> anyhow::Result<Checked> {
    let name = file.to_string_lossy().into_owned();
    let mut checked =
        Checked { file: name.clone(), rules: None, problems: Vec::new(), duplicates: Vec::new() };
    let content = match files::read(file) {
        Ok(content) => content,
        Err(error) => {
            checked.problems.push(Problem { place: String::new(), message: format!("{error:#}") });
            return Ok(checked);
        }
    };
    match Harness::new(component, [(name.clone(), content)].into(), &serde_json::json!({})) {
        Ok(harness) => {
            // A component may have groups of its own.
            let groups: Vec<&Group> =
                harness.setup().groups.iter().filter(|group| group.file == name).collect();
            checked.rules = Some(groups.iter().map(|group| group.rules.len()).sum());
            checked.duplicates = duplicates(&groups);
        }
        Err(RulesError::Refused(problem)) => checked.problems = problems(&problem),
        Err(error) => return Err(error.into()),
    }
    Ok(checked)
}

/// Rules of the same name with the same labels, each once.
fn duplicates(groups: &[&Group]) -> Vec<Duplicate> {
    let mut counts: BTreeMap<(String, BTreeMap<String, String>), usize> = BTreeMap::new();
    for rule in groups.iter().flat_map(|group| &group.rules) {
        let labels = rule.labels.iter().map(|label| (label.name.clone(), label.value.clone()));
        *counts.entry((rule.name.clone(), labels.collect())).or_default() += 1;
    }
    let repeated = counts.into_iter().filter(|(_, count)| *count > 1);
    repeated.map(|((metric, labels), _)| Duplicate { metric, labels }).collect()
}

impl Checked {
    /// As promtool has it: what is well goes to standard output, what is not to standard error.
    fn show(&self, paint: Paint) -> std::io::Result<()> {
        output::text(&format!("Checking {}\n", escape(&self.file)))?;
        match self.rules {
            Some(rules) if self.duplicates.is_empty() => {
                output::text(&format!("  {}: {rules} rules found\n", paint.good("SUCCESS")))?;
            }
            _ => eprintln!("  FAILED:"),
        }
        self.problems.iter().for_each(|problem| eprintln!("{}", escape(&problem.to_string())));
        if !self.duplicates.is_empty() {
            eprintln!("{} duplicate rule(s) found.", self.duplicates.len());
            for duplicate in &self.duplicates {
                eprintln!("Metric: {}\nLabel(s):", escape(&duplicate.metric));
                for (name, value) in &duplicate.labels {
                    eprintln!("\t{}: {}", escape(name), escape(value));
                }
            }
            eprintln!("Might cause inconsistency while recording expressions");
        }
        output::text("\n")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use picket_sandbox::{Label, Rule, RuleKind};

    #[test]
    fn rules_of_one_name_and_the_same_labels_are_duplicates() {
        let rule = |name: &str, severity: &str| Rule {
            id: String::new(),
            name: name.to_owned(),
            kind: RuleKind::Alert,
            expression: String::new(),
            hold_for: Duration::ZERO,
            keep_firing_for: Duration::ZERO,
            labels: vec![Label { name: "severity".into(), value: severity.into() }],
            annotations: Vec::new(),
        };
        let group = |rules| Group {
            name: String::new(),
            file: String::new(),
            interval: Duration::from_secs(60),
            limit: 0,
            rules,
        };
        let first = group(vec![rule("a", "low"), rule("a", "high"), rule("b", "low")]);
        let second = group(vec![rule("a", "low"), rule("a", "low")]);
        let found = duplicates(&[&first, &second]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].metric.as_str(), found[0].labels["severity"].as_str()), ("a", "low"));
    }
}
