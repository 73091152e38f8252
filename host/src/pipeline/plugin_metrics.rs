//! Counters and histograms that plugins report, as Prometheus metrics of the agent.
//!
//! A report says what was added in one call; the sums live here, for as long as the agent runs, over
//! all generations of a plugin. The sandbox has bounded the label sets and checked the names before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// Something to add to a plugin's metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// A counter grew.
    Counter(Series, f64),
    /// A histogram got observations: bounds, counts by bucket (one more than bounds), sum.
    Histogram(Series, Vec<f64>, Vec<u64>, f64),
}

/// A metric's name and labels, sorted by name.
pub type Series = (String, Vec<(String, String)>);

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Counter(f64),
    Histogram { bounds: Vec<f64>, counts: Vec<u64>, sum: f64 },
}

/// By metric name, then by plugin and labels: the order of the exposition.
type Values = BTreeMap<String, Family>;

/// Whose it is, and the labels.
type Owned = (String, Vec<(String, String)>);

/// All values of one name.
type Family = BTreeMap<Owned, Value>;

/// The sums of all plugins. Clones share them.
#[derive(Debug, Clone)]
pub struct PluginMetrics {
    values: Arc<Mutex<Values>>,
    desc: Desc,
}

impl PluginMetrics {
    /// Registers the collector.
    pub fn new(registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        // The registry wants a description at registration; the families come at each gathering.
        let help = "Counters and histograms of plugins".to_owned();
        let desc = Desc::new("picket_plugin_reported".to_owned(), help, vec![], Default::default())?;
        let metrics = Self { values: Arc::default(), desc };
        registry.register(Box::new(metrics.clone()))?;
        Ok(metrics)
    }

    /// Adds what a committed call reported.
    pub fn add(&self, plugin: &str, deltas: Vec<Delta>) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        for delta in deltas {
            match delta {
                Delta::Counter((name, labels), delta) => {
                    let family = values.entry(name).or_default();
                    let value = family.entry((plugin.to_owned(), labels)).or_insert(Value::Counter(0.0));
                    if let Value::Counter(sum) = value {
                        *sum += delta;
                    }
                }
                Delta::Histogram((name, labels), bounds, counts, sum) => {
                    let family = values.entry(name).or_default();
                    add_histogram(family.entry((plugin.to_owned(), labels)), bounds, &counts, sum);
                }
            }
        }
    }

    /// Forgets a plugin that was removed.
    pub fn forget(&self, plugin: &str) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        for family in values.values_mut() {
            family.retain(|(owner, _), _| owner != plugin);
        }
        values.retain(|_, family| !family.is_empty());
    }
}

type Entry<'a> = std::collections::btree_map::Entry<'a, Owned, Value>;

/// A new generation may bring other bounds: then the histogram starts anew.
fn add_histogram(entry: Entry<'_>, bounds: Vec<f64>, new: &[u64], new_sum: f64) {
    let empty = || Value::Histogram { counts: vec![0; bounds.len() + 1], bounds: bounds.clone(), sum: 0.0 };
    let value = entry.or_insert_with(empty);
    if !matches!(value, Value::Histogram { bounds: known, .. } if *known == bounds) {
        *value = empty();
    }
    if let Value::Histogram { counts, sum, .. } = value {
        counts.iter_mut().zip(new).for_each(|(count, new)| *count += new);
        *sum += new_sum;
    }
}

impl Collector for PluginMetrics {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.iter().map(|(name, family)| expose(name, family)).collect()
    }
}

fn expose(name: &str, family: &Family) -> MetricFamily {
    let mut exposed = MetricFamily::default();
    exposed.set_name(format!("picket_plugin_{name}"));
    exposed.set_help("Reported by a plugin.".to_owned());
    // A name is a counter or a histogram by its first value; plugins that disagree are left out.
    let counter = matches!(family.values().next(), Some(Value::Counter(_)));
    exposed.set_field_type(if counter { MetricType::COUNTER } else { MetricType::HISTOGRAM });
    let metrics = family.iter().filter_map(|((plugin, labels), value)| {
        let mut metric = Metric::default();
        metric.set_label(label_pairs(plugin, labels));
        match value {
            Value::Counter(sum) if counter => {
                let mut value = Counter::default();
                value.set_value(*sum);
                metric.set_counter(value);
            }
            Value::Histogram { bounds, counts, sum } if !counter => {
                metric.set_histogram(histogram(bounds, counts, *sum));
            }
            _ => return None,
        }
        Some(metric)
    });
    exposed.set_metric(metrics.collect());
    exposed
}

fn label_pairs(plugin: &str, labels: &[(String, String)]) -> Vec<LabelPair> {
    let plugin = ("plugin".to_owned(), plugin.to_owned());
    // `plugin` says who reports; a plugin cannot claim to be another one.
    let labels = labels.iter().filter(|(name, _)| name != "plugin").cloned();
    std::iter::once(plugin)
        .chain(labels)
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name);
            pair.set_value(value);
            pair
        })
        .collect()
}

fn histogram(bounds: &[f64], counts: &[u64], sum: f64) -> Histogram {
    let mut total = 0;
    let mut buckets = Vec::with_capacity(bounds.len());
    for (bound, count) in bounds.iter().zip(counts) {
        total += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(total);
        buckets.push(bucket);
    }
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets);
    histogram.set_sample_count(counts.iter().sum());
    histogram.set_sample_sum(sum);
    histogram
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reports_add_up_by_plugin_and_labels() {
        let registry = prometheus::Registry::new();
        let metrics = PluginMetrics::new(&registry).unwrap();
        let requests =
            |status: &str| ("requests_total".to_owned(), vec![("status".to_owned(), status.to_owned())]);
        metrics.add("a", vec![Delta::Counter(requests("200"), 2.0), Delta::Counter(requests("500"), 1.0)]);
        metrics.add("a", vec![Delta::Counter(requests("200"), 3.0)]);
        let took = ("took_seconds".to_owned(), vec![]);
        metrics.add("b", vec![Delta::Histogram(took.clone(), vec![0.1, 1.0], vec![1, 2, 3], 9.0)]);
        metrics.add("b", vec![Delta::Histogram(took, vec![0.1, 1.0], vec![1, 0, 0], 0.05)]);
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "picket_plugin_requests_total{plugin=\"a\",status=\"200\"} 5",
            "picket_plugin_requests_total{plugin=\"a\",status=\"500\"} 1",
            "picket_plugin_took_seconds_bucket{plugin=\"b\",le=\"1\"} 4",
            "picket_plugin_took_seconds_bucket{plugin=\"b\",le=\"+Inf\"} 7",
            "picket_plugin_took_seconds_count{plugin=\"b\"} 7",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        metrics.forget("a");
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(!text.contains("requests_total"));
    }
}
