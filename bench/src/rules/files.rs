//! Rule files in Prometheus' format, generated: both sides read the same ones.
//!
//! A file for each rack, in groups of [`GROUP`] rules, in each of which a fifth record, a fifth alert on rates and
//! ratios over [`WINDOW`] scrapes, and the others on thresholds. Every expression keeps the label `rack`, by which
//! series are counted in the end.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::targets::rack;

/// Rules in a group.
pub(super) const GROUP: u32 = 100;
/// Rules of a group that record, and as many alert on rates.
const FIFTH: u32 = GROUP / 5;
/// The window of a rate, in intervals of scraping: five minutes at the usual 15 seconds.
pub(super) const WINDOW: u32 = 20;
/// Above every rate that is not hot, also of all CPUs or disks of a target together, and below each that is.
const RATE: u32 = 4000;

/// A rule that is made: its place decides what it is.
struct Rule {
    rack: String,
    /// Among those of its sort in its rack.
    index: u32,
    /// Seconds between two scrapes.
    interval: u32,
}

/// Writes the files for so many rules, whole groups of them.
pub(super) fn write(folder: &Path, rules: u32, racks: u32, interval: u32) -> Result<()> {
    fs::create_dir_all(folder)?;
    let groups = rules / GROUP;
    for number in 0..racks.min(groups) {
        let path = folder.join(format!("{}.yml", rack(number)));
        let text = file(number, groups, racks, interval);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The file of a rack. Groups are dealt out to the racks in turn.
fn file(number: u32, groups: u32, racks: u32, interval: u32) -> String {
    let mut text = String::from("groups:\n");
    for part in 0..groups.saturating_sub(number).div_ceil(racks) {
        // Cannot fail: it is a text.
        let _ = writeln!(text, "- name: {}-{part}\n  rules:", rack(number));
        for place in 0..GROUP {
            let rule =
                |count: u32, place: u32| Rule { rack: rack(number), index: part * count + place, interval };
            text += &match place {
                _ if place < FIFTH => rule(FIFTH, place).recording(),
                _ if place < 2 * FIFTH => rule(FIFTH, place - FIFTH).rate(),
                _ => rule(GROUP - 2 * FIFTH, place - 2 * FIFTH).threshold(),
            };
        }
    }
    text
}

impl Rule {
    /// `rate(METRIC{LABELS,rack="…"}[5m])`.
    fn rate_of(&self, metric: &str, labels: &str) -> String {
        let Self { rack, interval, .. } = self;
        format!("rate({metric}{{{labels}rack=\"{rack}\"}}[{}s])", WINDOW * interval)
    }

    fn recording(&self) -> String {
        let Self { rack, index, .. } = self;
        let number = index / 4;
        let (record, expression) = match index % 4 {
            0 => {
                let metric = format!("node_network_{}_total", number % 16);
                let rate = self.rate_of(&metric, &format!("device=\"device-{}\",", number % 10));
                (format!("rack:{metric}:rate"), format!("sum by (rack) ({rate})"))
            }
            1 => {
                let metric = format!("node_disk_{}_total", number % 12);
                let rate = self.rate_of(&metric, &format!("device=\"device-{}\",", number % 8));
                (format!("instance:{metric}:rate"), format!("sum by (rack, instance) ({rate})"))
            }
            2 => {
                let metric = format!("node_filesystem_{}", number % 6);
                (format!("rack:{metric}:avg"), format!("avg by (rack) ({metric}{{rack=\"{rack}\"}})"))
            }
            _ => {
                let metric = format!("node_memory_{}", number % 50);
                (format!("rack:{metric}:max"), format!("max by (rack) ({metric}{{rack=\"{rack}\"}})"))
            }
        };
        format!("  - record: {record}\n    expr: '{expression}'\n    labels: {{part: '{index}'}}\n")
    }

    fn rate(&self) -> String {
        let number = self.index / 4;
        let summed = |rate: &str| format!("sum by (rack, instance) ({rate})");
        let expression = match self.index % 4 {
            0 => {
                let metric = format!("node_network_{}_total", number % 16);
                format!("{} > {RATE}", self.rate_of(&metric, &format!("device=\"device-{}\",", number % 10)))
            }
            1 if number.is_multiple_of(2) => {
                let rate =
                    self.rate_of("node_cpu_seconds_total", &format!("mode=\"mode-{}\",", number / 2 % 8));
                format!("{} > {RATE}", summed(&rate))
            }
            1 => {
                let metric = format!("node_disk_{}_total", number % 12);
                let rate = self.rate_of(&metric, &format!("device!=\"device-{}\",", number % 8));
                format!("{} > {RATE}", summed(&rate))
            }
            2 => {
                let handler = format!("handler=\"handler-{}\",", number % 10);
                let errors = summed(&self.rate_of("http_request_errors_total", &handler));
                let requests = summed(&self.rate_of("http_requests_total", &handler));
                format!("{errors} / {requests} > 0.05")
            }
            _ => {
                let metric = format!("node_netstat_{}_total", number % 44);
                format!("{} > {RATE}", self.rate_of(&metric, ""))
            }
        };
        self.alert("Rate", &expression, "critical")
    }

    fn threshold(&self) -> String {
        let Self { rack, index, .. } = self;
        let rest = index / 5;
        let selector = match index % 5 {
            // Of twenty rules one looks at all mount points of a rack, and one at all targets.
            _ if index % 20 == 19 => format!("node_filesystem_{}{{rack=\"{rack}\"}}", rest % 6),
            _ if index % 20 == 9 => format!("node_memory_{}", rest % 50),
            0 => {
                let (metric, mountpoint) = (rest % 6, rest / 6 % 12);
                format!("node_filesystem_{metric}{{mountpoint=\"mountpoint-{mountpoint}\",rack=\"{rack}\"}}")
            }
            1 => format!("node_memory_{}{{rack=\"{rack}\"}}", rest % 50),
            2 => format!("queue_length{{queue=\"queue-{}\",rack=\"{rack}\"}}", rest % 30),
            3 => {
                let (metric, sensor) = (rest % 5, rest / 5 % 10);
                format!("node_hwmon_{metric}{{sensor=\"sensor-{sensor}\",rack=\"{rack}\"}}")
            }
            _ => format!("node_sockstat_{}{{rack=\"{rack}\"}}", rest % 50),
        };
        let (severity, level) = [("warning", 80), ("critical", 90)][(index / 2 % 2) as usize];
        self.alert("High", &format!("{selector} > {level}"), severity)
    }

    /// Every other one waits for two evaluations.
    fn alert(&self, what: &str, expression: &str, severity: &str) -> String {
        let Self { rack, index, interval } = self;
        let wait = if index % 2 == 1 { format!("    for: {}s\n", 2 * interval) } else { String::new() };
        format!(
            "  - alert: {what}{index}\n    expr: '{expression}'\n{wait}    \
             labels: {{severity: {severity}, owner: {rack}}}\n    annotations:\n      \
             summary: '{what} on {{{{ $labels.instance }}}}'\n      \
             description: 'It is {{{{ $value | humanize }}}} on {{{{ $labels.instance }}}} in \
             {{{{ $labels.rack }}}}.'\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_has_its_mixture_and_each_rule_its_place() {
        let file = file(0, 20, 10, 15);
        let count = |text: &str| file.matches(text).count();
        assert_eq!((count("- name: rack-0-"), count("- record: "), count("- alert: ")), (2, 40, 160));
        assert_eq!((count("- alert: Rate"), count("[300s]")), (40, 70));
        assert_eq!(count("    for: 30s\n"), 80);
        let first = "  - alert: High0\n    expr: 'node_filesystem_0{mountpoint=\"mountpoint-0\",rack=\"rack-0\"} > 80'\n    \
                     labels: {severity: warning, owner: rack-0}\n    annotations:\n      \
                     summary: 'High on {{ $labels.instance }}'\n";
        assert!(file.contains(first), "{file}");
    }

    #[test]
    fn no_two_rules_of_a_file_are_called_alike() {
        let file = file(3, 100, 10, 15);
        let mut alerts: Vec<&str> = file.lines().filter(|line| line.contains("- alert: ")).collect();
        let all = alerts.len();
        alerts.sort_unstable();
        alerts.dedup();
        assert_eq!((all, alerts.len()), (800, 800));
    }

    #[test]
    fn groups_are_shared_out_among_the_racks() {
        let groups = |number| file(number, 13, 10, 15).matches("- name: ").count();
        assert_eq!([0, 2, 3, 9].map(groups), [2, 2, 1, 1]);
    }
}
