//! Prometheus rule files over scraped series, by the agent and by Prometheus: the same files, the same targets, at
//! the same time, and both once more without the rules, so that the costs of scraping and of rules are told apart.
//!
//! All run side by side and not in turn: what the machine does meanwhile meets all of them, and the minutes until
//! the windows of rates are full pass once. In the end the same alerts have to fire on both sides.

mod compare;
mod families;
mod files;
mod pages;
mod rows;
mod subject;
mod targets;
mod tree;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;

use crate::Setting;
use crate::series::Series;
use rows::Measured;
use subject::{Punctuality, Side, Subject, late};

/// Intervals before it is measured: until the windows of rates are full, and alerts that wait have fired.
const WARM_UP: u32 = files::WINDOW + 4;
/// Intervals of a round.
const ROUND: u32 = 4;
/// How often resident memory is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How much is evaluated.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Rules, in whole hundreds. Each hundred is a group, and the agent measures a hundred groups one by one.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=10_000))]
    rules: u32,
    /// Series on the pages of all targets, in whole ten thousands.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(10_000..=500_000))]
    series: u32,
    /// Seconds between two scrapes of a target and between two evaluations of a rule. A round takes four of
    /// them, and what comes before the first round two dozen.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(2..=60))]
    interval: u32,
}

impl Load {
    fn targets(&self) -> u32 {
        self.series / families::SERIES
    }

    fn racks(&self) -> u32 {
        targets::racks(self.targets())
    }

    /// Half as many again: those that rules record, those of alerts, the agent's own.
    fn max_series(&self) -> u32 {
        self.series / 2 * 3
    }
}

/// Where the files are that both sides read.
struct Files {
    /// Of everything.
    folder: PathBuf,
    /// The folder of the rule files.
    rules: PathBuf,
    /// The list of targets.
    targets: PathBuf,
}

impl Files {
    /// Writes them anew, and begins to serve what is scraped.
    fn new(setting: &Setting) -> Result<Self> {
        let Load { rules, series, interval } = setting.load;
        ensure!(rules.is_multiple_of(files::GROUP), "--rules is a number of whole hundreds");
        ensure!(series.is_multiple_of(10_000), "--series is a number of whole ten thousands");
        let folder = setting.folder.join("rules");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let folder = fs::canonicalize(folder)?;
        let made = Self { rules: folder.join("rules"), targets: folder.join("targets.json"), folder };
        let racks = setting.load.racks();
        files::write(&made.rules, rules, racks, interval)?;
        let address = targets::serve(pages::Pages::new(setting.seed))?;
        fs::write(&made.targets, targets::list(address, setting.load.targets(), racks))?;
        Ok(made)
    }
}

/// Measures all of them at once.
pub(crate) fn measure(setting: &Setting) -> Result<Vec<Series>> {
    let interval = setting.load.interval;
    let files = Files::new(setting)?;
    let subjects = start(setting, &files)?;
    eprintln!("    warming up for {} s", WARM_UP * interval);
    watch(&subjects, WARM_UP * interval)?;
    let before = punctuality(&subjects)?;
    let mut measured: Vec<Measured> = subjects.iter().map(Measured::new).collect();
    for round in 0..setting.rounds {
        eprintln!("    round {} of {}", round + 1, setting.rounds);
        one_round(&subjects, &mut measured, interval)?;
    }
    let after = punctuality(&subjects)?;
    for (at, (subject, measured)) in subjects.iter().zip(&mut measured).enumerate() {
        measured.late = late(before[at], after[at], interval);
        measured.peak = subject.peak()?;
        measured.series = subject.metric(subject.side.series_metric())?;
        // Also when the comparison fails.
        eprintln!("    {measured:?}");
    }
    let with_rules: Vec<&Subject> = subjects.iter().filter(|subject| subject.has_rules).collect();
    let found = compare::same(&with_rules, setting.load.racks())?;
    let rows = rows::rows(&setting.load, &measured, &found);
    subjects.into_iter().try_for_each(Subject::stop)?;
    Ok(rows)
}

/// Those with the rules first.
fn start(setting: &Setting, files: &Files) -> Result<Vec<Subject>> {
    let prometheus =
        setting.counterpart.iter().find(|counterpart| counterpart.name == Side::Prometheus.name());
    let root = prometheus.and_then(|counterpart| counterpart.root.as_deref());
    let mut subjects = Vec::new();
    for has_rules in [true, false] {
        subjects.push(Subject::picket(setting, files, has_rules)?);
        if let Some(root) = root {
            subjects.push(Subject::prometheus(root, setting, files, has_rules)?);
        }
    }
    Ok(subjects)
}

/// Waits; the mean resident memory of each meanwhile. Fails when one has ended.
fn watch(subjects: &[Subject], seconds: u32) -> Result<Vec<f64>> {
    let end = Instant::now() + Duration::from_secs(u64::from(seconds));
    let mut sums = vec![0.0; subjects.len()];
    let mut looks = 0.0;
    loop {
        for (sum, subject) in sums.iter_mut().zip(subjects) {
            *sum += subject.resident()?;
        }
        looks += 1.0;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(sums.into_iter().map(|sum| sum / looks).collect());
        }
        std::thread::sleep(left.min(LOOK));
    }
}

/// One value of each figure for each subject.
fn one_round(subjects: &[Subject], measured: &mut [Measured], interval: u32) -> Result<()> {
    let begun = Instant::now();
    let before = subjects.iter().map(Subject::cpu).collect::<Result<Vec<f64>>>()?;
    let resident = watch(subjects, ROUND * interval)?;
    let after = subjects.iter().map(Subject::cpu).collect::<Result<Vec<f64>>>()?;
    let intervals = begun.elapsed().as_secs_f64() / f64::from(interval);
    for (at, (subject, measured)) in subjects.iter().zip(measured).enumerate() {
        measured.cpu.push((after[at] - before[at]) / intervals);
        measured.resident.push(resident[at]);
        if subject.has_rules {
            measured.duration.push(subject.metric(subject.side.duration_metric())?);
        }
    }
    Ok(())
}

fn punctuality(subjects: &[Subject]) -> Result<Vec<Punctuality>> {
    subjects.iter().map(Subject::punctuality).collect()
}
