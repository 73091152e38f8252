//! `picket rules test`: promtool's unit tests of rules, unchanged, with the component that the agent runs.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use picket_promtest::{TestGroup, UnitTests, unit_tests};
use regex::Regex;
use serde_json::{Value, json};

use super::super::Failure;
use super::super::exit::FAILED;
use super::super::global::Global;
use super::super::output::{self, Output, Paint};
use super::component::ComponentChoice;
use super::files;
use super::problems::problems;
use super::verdict;
use crate::rules::{Harness, RulesComponent, RulesError, unit};
use crate::telemetry::escape;

/// Of `picket rules test`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Files of unit tests in promtool's format.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run only the tests whose name matches this regular expression.
    #[arg(long, value_name = "PATTERN")]
    run: Option<Regex>,
    #[command(flatten)]
    component: ComponentChoice,
}

/// How a file went.
#[derive(Debug, Default)]
struct Tried {
    file: String,
    /// What kept its tests from being run at all.
    problems: Vec<String>,
    /// Each test that ran and its failures.
    tests: Vec<(TestGroup, Vec<unit::Failure>)>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<(), Failure> {
    let found = arguments.component.find(global)?;
    let mut all = Vec::new();
    for file in &arguments.files {
        let tried = try_file(&found.component, file, arguments.run.as_ref())?;
        if global.output == Output::Text {
            tried.show(global.paint())?;
        }
        all.push(tried);
    }
    if global.output == Output::Json {
        output::json(&json!({ "files": all.iter().map(Tried::json).collect::<Vec<_>>() }))?;
    }
    match all.iter().all(Tried::passed) {
        true => Ok(()),
        false => Err(Failure::Said(FAILED)),
    }
}

fn try_file(component: &RulesComponent, file: &Path, only: Option<&Regex>) -> anyhow::Result<Tried> {
    let mut tried = Tried { file: file.to_string_lossy().into_owned(), ..Tried::default() };
    let text =
        files::read(file).and_then(|text| String::from_utf8(text).context("the file is no UTF-8 text"));
    let tests = match text.map(|text| unit_tests(&text)) {
        Ok(Ok(tests)) => tests,
        Ok(Err(error)) => {
            tried.problems.push(format!("{}:{error}", tried.file));
            return Ok(tried);
        }
        Err(error) => {
            tried.problems.push(format!("{error:#}"));
            return Ok(tried);
        }
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let folder = if folder == Path::new("") { Path::new(".") } else { folder };
    match try_tests(component, folder, &tests, only, &mut tried) {
        Err(Stop::Refused(problem)) => {
            tried.problems.extend(problems(&problem).iter().map(ToString::to_string));
        }
        Err(Stop::Failed(error)) => return Err(error),
        Ok(()) => {}
    }
    Ok(tried)
}

/// Why a file's tests were not all run.
enum Stop {
    /// A rule file is refused.
    Refused(Box<picket_sandbox::ConfigProblem>),
    /// Anything else; the verb cannot go on.
    Failed(anyhow::Error),
}

impl From<RulesError> for Stop {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Refused(problem) => Self::Refused(Box::new(problem)),
            error => Self::Failed(error.into()),
        }
    }
}

fn try_tests(
    component: &RulesComponent,
    folder: &Path,
    tests: &UnitTests,
    only: Option<&Regex>,
    tried: &mut Tried,
) -> Result<(), Stop> {
    let mut rule_files = Vec::new();
    for pattern in &tests.rule_files {
        let found = files::matching(pattern, folder).map_err(Stop::Failed)?;
        if found.is_empty() {
            eprintln!("  WARNING: no file match pattern {}", escape(pattern));
        }
        rule_files.extend(found);
    }
    rule_files.dedup();
    let assets = files::assets(&rule_files).map_err(Stop::Failed)?;
    // What is wrong with the rules is told once, and not for each test.
    drop(Harness::new(component, assets.clone(), &json!({}))?);
    for test in &tests.tests {
        let name = test.name.as_deref().unwrap_or_default();
        if only.is_some_and(|only| !only.is_match(name)) {
            continue;
        }
        let failures = unit::run(component, &assets, tests, test)?;
        tried.tests.push((test.clone(), failures));
    }
    Ok(())
}

impl Tried {
    fn passed(&self) -> bool {
        self.problems.is_empty() && self.tests.iter().all(|(_, failures)| failures.is_empty())
    }

    /// As promtool has it: what is well goes to standard output, what is not to standard error.
    fn show(&self, paint: Paint) -> std::io::Result<()> {
        output::text(&format!("Unit Testing:  {}\n", escape(&self.file)))?;
        if self.passed() {
            return output::text(&format!("  {}\n\n", paint.good("SUCCESS")));
        }
        eprint!("{}", self.failed(paint));
        output::text("\n")
    }

    fn failed(&self, paint: Paint) -> String {
        let mut text = format!("  {}:\n", paint.bad("FAILED"));
        for problem in &self.problems {
            text += &format!("    {}\n", escape(problem));
        }
        for (test, failures) in self.tests.iter().filter(|(_, failures)| !failures.is_empty()) {
            let name = test.name.as_deref().map_or_else(|| format!("line {}", test.line), str::to_owned);
            text += &format!("    name: {}\n", paint.bold(&escape(&name)));
            text.extend(failures.iter().map(|failure| verdict::show(failure, paint)));
        }
        text
    }

    fn json(&self) -> Value {
        let test = |(test, failures): &(TestGroup, Vec<unit::Failure>)| {
            json!({
                "name": test.name,
                "line": test.line,
                "passed": failures.is_empty(),
                "failures": failures.iter().map(verdict::json).collect::<Vec<_>>(),
            })
        };
        let tests: Vec<Value> = self.tests.iter().map(test).collect();
        json!({ "file": self.file, "passed": self.passed(), "problems": self.problems, "tests": tests })
    }
}
