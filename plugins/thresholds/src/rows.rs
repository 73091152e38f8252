//! Rows: what the steps of a rule hand to each other.

use std::collections::BTreeMap;

/// Labels by name, without the metric's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Labels(BTreeMap<String, String>);

/// Labels and a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) labels: Labels,
    pub(crate) value: f64,
}

impl Labels {
    pub(crate) fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The value of a label; the empty one when it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Only these labels, as far as they are there.
    pub(crate) fn only(&self, names: &[String]) -> Self {
        let kept = names.iter().filter_map(|name| self.0.get_key_value(name));
        Self(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Whether it has all labels of the other.
    fn has_all(&self, other: &Self) -> bool {
        other.0.iter().all(|(name, value)| self.0.get(name) == Some(value))
    }
}

/// Rows with the same values of some labels, put together.
pub(crate) fn group(rows: Vec<Row>, by: &[String], combine: impl Fn(&[f64]) -> f64) -> Vec<Row> {
    let mut groups: BTreeMap<Labels, Vec<f64>> = BTreeMap::new();
    for row in rows {
        groups.entry(row.labels.only(by)).or_default().push(row.value);
    }
    groups.into_iter().map(|(labels, values)| Row { labels, value: combine(&values) }).collect()
}

/// Pairs each row on the left with the row on the right whose labels it all has; of several with the one
/// that has most. Rows without a partner, and results that are no number, are left out: nothing can be
/// said of them.
pub(crate) fn join(left: Vec<Row>, right: &[Row], combine: impl Fn(f64, f64) -> f64) -> Vec<Row> {
    // Most pairs have the same labels, or the right side has one row.
    let exact: BTreeMap<&Labels, f64> = right.iter().map(|row| (&row.labels, row.value)).collect();
    let partner = |labels: &Labels| {
        exact.get(labels).copied().or_else(|| {
            let fitting = right.iter().filter(|row| labels.has_all(&row.labels));
            fitting.max_by_key(|row| row.labels.0.len()).map(|row| row.value)
        })
    };
    let pairs = left.into_iter().filter_map(|row| {
        let value = combine(row.value, partner(&row.labels)?);
        Some(Row { labels: row.labels, value })
    });
    pairs.filter(|row| row.value.is_finite()).collect()
}
