//! The metrics of a registry one by one, as `/metrics` shows them: same names, same labels, same values.
//!
//! For those who want the agent's own metrics as samples. Formats nothing and keeps nothing.

use prometheus::proto::{Histogram, Metric, MetricFamily, MetricType};

/// What would be one line of the exposition.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// With the ending `_bucket`, `_sum` or `_count` where the exposition has one.
    pub name: &'a str,
    /// With `le` where the exposition has it.
    pub labels: Vec<(&'a str, &'a str)>,
    /// The value.
    pub value: f64,
    /// Whether it only grows while the process lives, from zero.
    pub grows: bool,
}

/// Shows every line of some families, in the order of the exposition. Summaries, which the agent has none
/// of, are left out.
pub fn lines(families: &[MetricFamily], show: &mut dyn FnMut(&Line<'_>)) {
    for family in families {
        let kind = family.get_field_type();
        for metric in family.get_metric() {
            let one = |value, grows| Line { name: family.name(), labels: labels(metric), value, grows };
            match kind {
                MetricType::COUNTER => show(&one(metric.get_counter().get_value(), true)),
                MetricType::GAUGE => show(&one(metric.get_gauge().get_value(), false)),
                MetricType::HISTOGRAM => {
                    histogram(family.name(), labels(metric), metric.get_histogram(), show);
                }
                _ => {}
            }
        }
    }
}

fn labels(metric: &Metric) -> Vec<(&str, &str)> {
    metric.get_label().iter().map(|label| (label.name(), label.value())).collect()
}

fn histogram(name: &str, labels: Vec<(&str, &str)>, histogram: &Histogram, show: &mut dyn FnMut(&Line<'_>)) {
    let count = histogram.get_sample_count() as f64;
    let bucket = format!("{name}_bucket");
    let mut show_bucket = |bound: &str, value: f64| {
        let labels = labels.iter().copied().chain([("le", bound)]).collect();
        show(&Line { name: &bucket, labels, value, grows: true });
    };
    for one in histogram.get_bucket().iter().filter(|one| one.upper_bound().is_finite()) {
        show_bucket(&one.upper_bound().to_string(), one.cumulative_count() as f64);
    }
    show_bucket("+Inf", count);
    for (ending, value) in [("sum", histogram.get_sample_sum()), ("count", count)] {
        show(&Line { name: &format!("{name}_{ending}"), labels: labels.clone(), value, grows: true });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use prometheus::{Gauge, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

    #[test]
    fn each_line_is_the_one_that_the_exposition_shows() {
        let registry = Registry::new();
        let counter = IntCounterVec::new(Opts::new("c_total", "C."), &["b", "a"]).unwrap();
        counter.with_label_values(&["x", "y"]).inc_by(3);
        let options = HistogramOpts::new("h_seconds", "H.").buckets(vec![0.5, 1.0, 10.0]);
        let histogram = HistogramVec::new(options, &["p"]).unwrap();
        histogram.with_label_values(&["q"]).observe(0.7);
        let gauge = Gauge::new("g", "G.").unwrap();
        gauge.set(-1.5);
        registry.register(Box::new(counter)).unwrap();
        registry.register(Box::new(histogram)).unwrap();
        registry.register(Box::new(gauge)).unwrap();
        let families = registry.gather();
        let exposed = TextEncoder::new().encode_to_string(&families).unwrap();
        let exposed: Vec<&str> = exposed.lines().filter(|line| !line.starts_with('#')).collect();
        let (mut shown, mut growing) = (Vec::new(), 0);
        lines(&families, &mut |line| {
            let labels: Vec<_> =
                line.labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            shown.push(format!("{}{labels} {}", line.name, line.value));
            growing += usize::from(line.grows);
        });
        assert_eq!(shown, exposed);
        assert_eq!((shown.len(), growing), (8, 7), "all but the gauge grow");
    }
}
