//! From what was measured to the rows of the report. Pure.

use super::Load;
use super::compare::Found;
use super::files::GROUP;
use super::subject::{CONFIGURE, PLUGIN_MEMORY, Side, Subject};
use crate::counterpart::MISSING;
use crate::series::Series;

const BENCH: &str = "rules";

/// What was measured of one of them.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    side: Side,
    has_rules: bool,
    /// CPU time in an interval, in seconds: one for each round, as all that follow.
    pub(super) cpu: Vec<f64>,
    /// Mean resident memory, in bytes.
    pub(super) resident: Vec<f64>,
    /// How long the last evaluation of all groups took, in seconds; empty without rules.
    pub(super) duration: Vec<f64>,
    /// The most resident memory, in bytes.
    pub(super) peak: f64,
    /// Evaluations that were left out.
    pub(super) late: f64,
    /// Series that it holds, its own included.
    pub(super) series: f64,
}

impl Measured {
    /// Nothing yet.
    pub(super) fn new(subject: &Subject) -> Self {
        Self::of(subject.side, subject.has_rules)
    }

    fn of(side: Side, has_rules: bool) -> Self {
        let (cpu, resident, duration) = (Vec::new(), Vec::new(), Vec::new());
        Self { side, has_rules, cpu, resident, duration, peak: 0.0, late: 0.0, series: 0.0 }
    }
}

/// A figure of what was measured.
#[derive(Debug, Clone, Copy)]
enum Figure {
    Cpu,
    Memory,
    Duration,
}

/// Two rows, one for each side.
struct Case {
    name: &'static str,
    figure: Figure,
    has_rules: bool,
    /// What the agent is to need of what Prometheus does, at most.
    aim: &'static str,
}

const CASES: [Case; 5] = [
    case("scraping and rules, CPU in an interval", Figure::Cpu, true, "1.0"),
    case("scraping and rules, resident memory", Figure::Memory, true, "0.25"),
    case("one evaluation of all rules", Figure::Duration, true, ""),
    case("scraping alone, CPU in an interval", Figure::Cpu, false, ""),
    case("scraping alone, resident memory", Figure::Memory, false, ""),
];
/// What is left of the first when the fourth is taken away.
const PART: Case = case("the rules' part, CPU in an interval", Figure::Cpu, true, "");

const fn case(name: &'static str, figure: Figure, has_rules: bool, aim: &'static str) -> Case {
    Case { name, figure, has_rules, aim }
}

/// The rows: what the whole costs, and what its parts do.
pub(super) fn rows(load: &Load, all: &[Measured], found: &Found) -> Vec<Series> {
    let of = |side, has_rules| all.iter().find(|one| one.side == side && one.has_rules == has_rules);
    let sides = [Side::Picket, Side::Prometheus];
    let mut rows = Vec::new();
    for case in &CASES {
        rows.extend(sides.map(|side| row(case, side, of(side, case.has_rules))));
    }
    rows.extend(sides.map(|side| {
        let part = of(side, true).zip(of(side, false)).map(|(whole, scraping)| {
            let cpu = whole.cpu.iter().zip(&scraping.cpu).map(|(whole, scraping)| whole - scraping);
            Measured { cpu: cpu.collect(), ..Measured::of(side, true) }
        });
        row(&PART, side, part.as_ref())
    }));
    for (row, note) in rows.iter_mut().zip(notes(load, all, found)) {
        // What is missing has a note already.
        if row.note.is_empty() {
            row.note = note;
        }
    }
    rows
}

fn row(case: &Case, side: Side, measured: Option<&Measured>) -> Series {
    let unit = if matches!(case.figure, Figure::Memory) { "MB" } else { "s" };
    let mut row = Series::new(BENCH, case.name, side.name(), unit);
    row = match side {
        Side::Picket => row.aim(case.aim),
        Side::Prometheus => row.reference(),
    };
    let Some(measured) = measured else { return row.note(MISSING) };
    match case.figure {
        Figure::Cpu => row.values.clone_from(&measured.cpu),
        Figure::Duration => row.values.clone_from(&measured.duration),
        Figure::Memory => {
            row.values = measured.resident.iter().map(|bytes| bytes / 1e6).collect();
            row.peak_bytes.push(measured.peak);
        }
    }
    row
}

/// What to know about the first rows, in their order.
fn notes(load: &Load, all: &[Measured], found: &Found) -> [String; 6] {
    let with_rules: Vec<&Measured> = all.iter().filter(|one| one.has_rules).collect();
    let said = |what: &dyn Fn(&Measured) -> f64| {
        let each: Vec<String> =
            with_rules.iter().map(|one| format!("{} {:.0}", one.side.name(), what(one))).collect();
        each.join(", ")
    };
    let whole = format!(
        "{} rules in {} groups over {} series of {} targets, scraped and evaluated each {} s; a value is the mean of \
         {} intervals. Present in the end, alike on both sides: {} series and {} firing alerts. Series held, their \
         own included: {}. Evaluations of a group that were left out: {}",
        load.rules,
        load.rules / GROUP,
        load.series,
        load.targets(),
        load.interval,
        super::ROUND,
        found.series,
        found.firing.len(),
        said(&|one| one.series),
        said(&|one| one.late),
    );
    let limits = format!(
        "raised above their defaults: `series.max_series` to {}, and the plugin's `limits.memory` to {PLUGIN_MEMORY} \
         and `limits.configure_deadline` to {CONFIGURE}; a value is the mean of a round",
        load.max_series()
    );
    let calls = "the calls into the sandbox; the life of alerts and the commit come after them".to_owned();
    let appended = "with the samples appended; its groups are spread over the interval".to_owned();
    [whole, String::new(), limits, String::new(), calls, appended]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const LOAD: Load = Load { rules: 1000, series: 10_000, interval: 5 };

    fn measured(side: Side, has_rules: bool, cpu: f64) -> Measured {
        let duration = if has_rules { vec![0.5] } else { vec![] };
        let resident = vec![2e6];
        Measured { cpu: vec![cpu], resident, duration, peak: 3e6, ..Measured::of(side, has_rules) }
    }

    fn found() -> Found {
        Found { series: 10_700, firing: ["a".to_owned()].into() }
    }

    #[test]
    fn each_case_has_both_sides_and_the_parts_add_up() {
        let all = [
            measured(Side::Picket, true, 1.5),
            measured(Side::Prometheus, true, 3.0),
            measured(Side::Picket, false, 0.5),
            measured(Side::Prometheus, false, 1.0),
        ];
        let rows = rows(&LOAD, &all, &found());
        assert_eq!(rows.len(), 12);
        assert!(
            rows.iter().all(|row| row.reference == (row.subject == "prometheus") && row.values.len() == 1)
        );
        let part = |subject: &str| {
            let row = rows.iter().find(|row| row.case.starts_with("the rules'") && row.subject == subject);
            row.unwrap().values[0]
        };
        assert_eq!((part("picket"), part("prometheus")), (1.0, 2.0));
        assert_eq!((rows[2].values[0], rows[2].peak_bytes[0], rows[2].aim), (2.0, 3e6, "0.25"));
        assert!(rows[0].note.contains("10700 series and 1 firing alerts"), "{}", rows[0].note);
        assert!(rows[2].note.contains("`series.max_series` to 15000"), "{}", rows[2].note);
    }

    #[test]
    fn a_counterpart_that_is_missing_has_rows_without_values() {
        let all = [measured(Side::Picket, true, 1.5), measured(Side::Picket, false, 0.5)];
        let rows = rows(&LOAD, &all, &found());
        assert_eq!((rows[1].values.len(), rows[1].note.as_str()), (0, MISSING));
        assert_eq!(rows[0].values, [1.5]);
    }
}
