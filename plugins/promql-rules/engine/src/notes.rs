//! Warnings and infos about a query's answer, in Prometheus' words.

use crate::limits::MAX_NOTES;
use crate::numbers::general;
use crate::position::Position;

/// What was noted while a query ran. The same text is kept once, with the place of its first occurrence.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    warnings: Vec<Note>,
    infos: Vec<Note>,
}

#[derive(Debug)]
struct Note {
    text: String,
    place: Position,
    fixed: Option<Fixed>,
}

/// Buckets of classic histograms whose counts went down where they must not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fixed {
    pub(crate) min_time_ms: i64,
    pub(crate) max_time_ms: i64,
    pub(crate) min_bucket: f64,
    pub(crate) max_bucket: f64,
    pub(crate) max_difference: f64,
    pub(crate) samples: u64,
}

impl Notes {
    pub(crate) fn invalid_quantile(&mut self, quantile: f64, place: Position) {
        let got = general(quantile);
        self.warn(format!("quantile value should be between 0 and 1, got {got}"), place);
    }

    pub(crate) fn invalid_ratio(&mut self, ratio: f64, capped: f64, place: Position) {
        let (got, to) = (general(ratio), general(capped));
        self.warn(format!("ratio value should be between -1 and 1, got {got}, capping to {to}"), place);
    }

    pub(crate) fn bad_bucket_label(&mut self, metric: &str, value: &str, place: Position) {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {value:?}");
        self.warn(text + &of_metric(metric), place);
    }

    pub(crate) fn sort_in_range_query(&mut self, place: Position) {
        let text = "sort is ineffective for range queries since results are always ordered by labels";
        self.warn(text.to_owned(), place);
    }

    pub(crate) fn possible_non_counter(&mut self, metric: &str, place: Position) {
        let text =
            "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:".to_owned();
        push(&mut self.infos, format!("PromQL info: {text} {metric:?}"), place, None);
    }

    pub(crate) fn forced_monotonicity(&mut self, metric: &str, fixed: Fixed, place: Position) {
        let text = "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        push(&mut self.infos, text.to_owned() + &of_metric(metric), place, Some(fixed));
    }

    /// The warnings and the infos with line and column, which count from one.
    pub(crate) fn finish(self, text: &str) -> (Vec<String>, Vec<String>) {
        let render = |notes: Vec<Note>| notes.into_iter().map(|note| note.render(text)).collect();
        (render(self.warnings), render(self.infos))
    }

    fn warn(&mut self, text: String, place: Position) {
        push(&mut self.warnings, format!("PromQL warning: {text}"), place, None);
    }
}

fn push(notes: &mut Vec<Note>, text: String, place: Position, fixed: Option<Fixed>) {
    if let Some(known) = notes.iter_mut().find(|note| note.text == text) {
        if let (Some(known), Some(new)) = (&mut known.fixed, fixed) {
            known.merge(new);
        }
    } else if notes.len() < MAX_NOTES {
        notes.push(Note { text, place, fixed });
    }
}

fn of_metric(metric: &str) -> String {
    if metric.is_empty() { String::new() } else { format!(" for metric name {metric:?}") }
}

/// As Go's `%.2g`.
fn two_digits(value: f64) -> String {
    general(format!("{value:.1e}").parse().unwrap_or(value))
}

impl Fixed {
    fn merge(&mut self, other: Self) {
        self.min_time_ms = self.min_time_ms.min(other.min_time_ms);
        self.max_time_ms = self.max_time_ms.max(other.max_time_ms);
        self.min_bucket = self.min_bucket.min(other.min_bucket);
        self.max_bucket = self.max_bucket.max(other.max_bucket);
        self.max_difference = self.max_difference.max(other.max_difference);
        self.samples += other.samples;
    }
}

impl Note {
    fn render(self, text: &str) -> String {
        let (line, column) = self.place.line_and_column(text);
        let detail = self.fixed.map_or_else(String::new, |fixed| {
            format!(
                ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                general(fixed.min_bucket),
                general(fixed.max_bucket),
                two_digits(fixed.max_difference),
                fixed.samples,
                crate::calendar::rfc3339(fixed.min_time_ms),
                crate::calendar::rfc3339(fixed.max_time_ms),
            )
        });
        format!("{}{detail} ({line}:{column})", self.text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_note_is_kept_once_with_its_first_place() {
        let mut notes = Notes::default();
        notes.invalid_quantile(1.5, Position(3));
        notes.invalid_quantile(1.5, Position(9));
        let (warnings, infos) = notes.finish("a\n b");
        assert_eq!(warnings, ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (2:2)"]);
        assert!(infos.is_empty());
    }

    #[test]
    fn there_is_a_bound_on_notes() {
        let mut notes = Notes::default();
        (0..MAX_NOTES + 5).for_each(|n| notes.possible_non_counter(&n.to_string(), Position(0)));
        assert_eq!(notes.finish("").1.len(), MAX_NOTES);
    }
}
