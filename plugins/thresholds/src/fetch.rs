//! The samples for a group: each selector with its window once, in one call.

use std::collections::BTreeMap;

use picket_sdk::series::{self, LabelCache, Request, Selection};
use picket_sdk::{Span, Timestamp};

use crate::expr::Leaf;
use crate::rows::Labels;
use crate::rule::Rule;

/// Samples of one series.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) times: Vec<Timestamp>,
    pub(crate) values: Vec<f64>,
}

/// What every selector of a group brought, or why it brought nothing.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) time: Timestamp,
    leaves: BTreeMap<(String, Span), Result<Vec<Series>, String>>,
}

impl Fetched {
    /// The series of a selector over its window.
    pub(crate) fn series(&self, leaf: Leaf<'_>) -> Result<&[Series], String> {
        match self.leaves.get(&(leaf.selector.to_string(), leaf.window)) {
            Some(Ok(series)) => Ok(series),
            Some(Err(error)) => Err(error.clone()),
            None => Err(format!("`{}` was not fetched", leaf.selector)),
        }
    }
}

/// Fetches what the rules need.
pub(crate) fn fetch(rules: &[Rule], labels: &mut LabelCache, time: Timestamp) -> Fetched {
    let mut leaves = Vec::new();
    for rule in rules {
        rule.expr.leaves(&mut leaves);
    }
    let key = |leaf: &Leaf<'_>| (leaf.selector.to_string(), leaf.window);
    let wanted: BTreeMap<_, _> = leaves.into_iter().map(|leaf| (key(&leaf), leaf)).collect();
    let (keys, leaves): (Vec<_>, Vec<Leaf<'_>>) = wanted.into_iter().unzip();
    // One call for all. If one selector is bad (an expression that does not compile, too many
    // samples), each for itself, so that the others' rules go on.
    let series = match select(&leaves, labels, time) {
        Ok(series) => series.into_iter().map(Ok).collect(),
        Err(_) => leaves.iter().map(|leaf| one(leaf, labels, time)).collect::<Vec<_>>(),
    };
    Fetched { time, leaves: keys.into_iter().zip(series).collect() }
}

fn one(leaf: &Leaf<'_>, labels: &mut LabelCache, time: Timestamp) -> Result<Vec<Series>, String> {
    let mut series =
        select(&[*leaf], labels, time).map_err(|error| format!("`{}`: {error}", leaf.selector))?;
    Ok(series.pop().unwrap_or_default())
}

/// The series of each leaf.
fn select(
    leaves: &[Leaf<'_>],
    labels: &mut LabelCache,
    time: Timestamp,
) -> picket_sdk::Result<Vec<Vec<Series>>> {
    let request = |leaf: &Leaf<'_>| {
        // A window does not hold its own beginning.
        let start = time.saturating_sub(leaf.window.as_nanos()).saturating_add(1);
        series::request(leaf.selector.matchers().to_vec(), start, time)
    };
    let requests: Vec<Request> = leaves.iter().map(request).collect();
    let selection = series::select(&requests)?;
    labels.fill(&selection)?;
    Ok(leaves.iter().enumerate().map(|(index, leaf)| rows(index, leaf, &selection, labels)).collect())
}

fn rows(index: usize, leaf: &Leaf<'_>, selection: &Selection, labels: &LabelCache) -> Vec<Series> {
    let row = |row: series::Row<'_>| {
        let pairs = labels.of(row.id).iter().filter_map(|label| match label.name.as_str() {
            // Where the selector does not fix the metric, its name tells rows apart.
            "__name__" => (!leaf.selector.names_one_metric()).then_some(("metric", label.value.as_str())),
            name => Some((name, label.value.as_str())),
        });
        Series { labels: Labels::new(pairs), times: row.times.to_vec(), values: row.values.to_vec() }
    };
    selection.rows(index).map(row).collect()
}
