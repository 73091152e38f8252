//! Quantiles of histograms, by linear interpolation within the bucket that holds the quantile: what
//! Prometheus' `histogram_quantile` does for classic histograms.

use std::collections::BTreeMap;

use crate::rows::{Labels, Row};

/// The quantile of each histogram in rows of `_bucket` series: those that have the same labels but `le`,
/// or the same values of the labels in `by`.
pub(crate) fn quantile(quantile: f64, rows: Vec<Row>, by: Option<&[String]>) -> Vec<Row> {
    let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let Some(bound) = bound(row.labels.get("le")) else { continue };
        let labels = by.map_or_else(|| row.labels.clone().without("le"), |by| row.labels.only(by));
        histograms.entry(labels).or_default().push((bound, row.value));
    }
    let found = histograms.into_iter().filter_map(|(labels, buckets)| {
        let value = of_buckets(quantile, buckets)?;
        Some(Row { labels, value })
    });
    found.collect()
}

fn bound(le: &str) -> Option<f64> {
    let bound: f64 = le.parse().ok()?;
    (!bound.is_nan()).then_some(bound)
}

/// The quantile of cumulative buckets. None without observations, or without the bucket `+Inf`.
fn of_buckets(quantile: f64, mut buckets: Vec<(f64, f64)>) -> Option<f64> {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Several series may have the same bound when `by` puts histograms together.
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (bound, count) in buckets {
        match merged.last_mut() {
            Some(last) if last.0 == bound => last.1 += count,
            _ => merged.push((bound, count)),
        }
    }
    let (last, total) = *merged.last()?;
    if last != f64::INFINITY || total <= 0.0 {
        return None;
    }
    let rank = quantile * total;
    let index = merged.iter().position(|(_, count)| *count >= rank)?;
    let (upper, count) = merged[index];
    let (lower, below) = match index {
        0 => (0.0, 0.0),
        _ => merged[index - 1],
    };
    if upper == f64::INFINITY {
        // Beyond the last bound nothing is known but that it is beyond it.
        return (index > 0).then_some(lower);
    }
    if index == 0 && upper <= 0.0 {
        return Some(upper);
    }
    let within = if count > below { (rank - below) / (count - below) } else { 1.0 };
    Some(lower + (upper - lower) * within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(q: f64, buckets: &[(f64, f64)], expected: Option<f64>) {
        assert_eq!(of_buckets(q, buckets.to_vec()), expected, "{q} of {buckets:?}");
    }

    #[test]
    fn quantiles_lie_within_their_bucket() {
        let inf = f64::INFINITY;
        let buckets = [(0.1, 50.0), (0.5, 90.0), (1.0, 100.0), (inf, 100.0)];
        check(0.5, &buckets, Some(0.1));
        check(0.25, &buckets, Some(0.05));
        check(0.95, &buckets, Some(0.75));
        check(1.0, &buckets, Some(1.0));
        check(0.99, &[(0.1, 1.0), (inf, 100.0)], Some(0.1));
        check(0.5, &[(inf, 100.0)], None);
        check(0.5, &[(0.1, 0.0), (inf, 0.0)], None);
        check(0.5, &[(0.1, 5.0)], None);
        check(0.5, &[], None);
        check(0.5, &[(inf, 2.0), (1.0, 1.0), (1.0, 1.0), (inf, 2.0)], Some(1.0));
    }
}
