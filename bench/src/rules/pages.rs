//! Pages of metrics, in the text format 0.0.4, as a target has them at a moment.

use std::fmt::Write as _;

use super::families::{FAMILIES, Kind, Place, SERIES};

/// What all targets' pages have in common, made once.
pub(super) struct Pages {
    seed: u64,
    lines: Vec<Line>,
}

/// A series: what stands before its value. The first of a metric has the metric's description too.
struct Line {
    text: String,
    kind: Kind,
}

impl Pages {
    /// Prepares them.
    pub(super) fn new(seed: u64) -> Self {
        let mut lines = Vec::with_capacity(SERIES as usize);
        for family in FAMILIES {
            let sets = family.sets();
            for number in 0..family.metrics {
                let metric = family.metric(number);
                let kind = if matches!(family.kind, Kind::Counter(..)) { "counter" } else { "gauge" };
                let mut head = format!("# HELP {metric} As a usual node has it.\n# TYPE {metric} {kind}\n");
                for set in &sets {
                    // Cannot fail: it is a text.
                    let _ = match set.is_empty() {
                        true => write!(head, "{metric} "),
                        false => write!(head, "{metric}{{{set}}} "),
                    };
                    lines.push(Line { text: std::mem::take(&mut head), kind: family.kind });
                }
            }
        }
        Self { seed, lines }
    }

    /// The page of a target, so many seconds after the start.
    pub(super) fn page(&self, target: u32, seconds: f64) -> String {
        let mut page = String::with_capacity(80 * self.lines.len());
        for (series, line) in (0..).zip(&self.lines) {
            page.push_str(&line.text);
            Place { seed: self.seed, target, series }.write(line.kind, seconds, &mut page);
            page.push('\n');
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_stands_on_a_line_below_its_type() {
        let pages = Pages::new(1);
        let page = pages.page(0, 30.0);
        assert_eq!(page.lines().filter(|line| !line.starts_with('#')).count(), SERIES as usize);
        assert!(page.starts_with("# HELP node_cpu_seconds_total "), "{page}");
        assert!(page.contains("\n# TYPE queue_length gauge\nqueue_length{queue=\"queue-0\"} "), "{page}");
        assert_eq!(page, pages.page(0, 30.0));
        assert_ne!(page, pages.page(1, 30.0));
        assert_ne!(page, pages.page(0, 45.0));
    }
}
