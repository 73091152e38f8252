//! Quantiles and fractions of classic histograms.
//!
//! Within a bucket the observations are taken as spread evenly; the lowest one begins at zero when it ends above.

/// The count of observations up to a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) bound: f64,
    pub(crate) count: f64,
}

/// Where counts went down although they must not, and were raised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Raised {
    pub(crate) min_bound: f64,
    pub(crate) max_bound: f64,
    pub(crate) max_difference: f64,
}

/// Counts that differ by less than this part of them are the same but for rounding.
const TOLERANCE: f64 = 1e-12;

/// The quantile of the observations.
pub(crate) fn quantile(q: f64, buckets: Vec<Bucket>) -> (f64, Option<Raised>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    let Some(mut buckets) = whole(buckets) else { return (f64::NAN, None) };
    let raised = raise(&mut buckets);
    (quantile_of(q, &buckets), raised)
}

fn quantile_of(q: f64, buckets: &[Bucket]) -> f64 {
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * observations;
    let found = buckets[..last]
        .partition_point(|bucket| bucket.count < rank || bucket.count.is_nan() || rank.is_nan());
    if found == last {
        return buckets[last - 1].bound;
    }
    let Bucket { bound: end, mut count } = buckets[found];
    if found == 0 && end <= 0.0 {
        return end;
    }
    let mut begin = 0.0;
    if found > 0 {
        begin = buckets[found - 1].bound;
        count -= buckets[found - 1].count;
        rank -= buckets[found - 1].count;
    }
    begin + (end - begin) * (rank / count)
}

/// The part of the observations between two values.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: Vec<Bucket>) -> f64 {
    let Some(buckets) = whole(buckets) else { return f64::NAN };
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let below = |value: f64| rank_of(value, &buckets).filter(|&rank| rank <= count).unwrap_or(count);
    (below(upper) - below(lower)) / count
}

/// How many observations lie below a value. None when it lies above all buckets.
fn rank_of(value: f64, buckets: &[Bucket]) -> Option<f64> {
    let mut begin = if buckets[0].bound <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let mut rank = 0.0;
    for &Bucket { bound, count } in buckets {
        if begin >= value {
            return Some(rank);
        }
        if bound > value {
            // Nothing is known within a bucket without a lower end.
            let part = (value - begin) / (bound - begin);
            return Some(if begin == f64::NEG_INFINITY { count } else { rank + (count - rank) * part });
        }
        (begin, rank) = (bound, count);
    }
    None
}

/// The buckets in their order, one for each bound. None when the last is not the one for all observations.
fn whole(mut buckets: Vec<Bucket>) -> Option<Vec<Bucket>> {
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    buckets.last().filter(|bucket| bucket.bound == f64::INFINITY)?;
    let mut joined: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match joined.last_mut() {
            Some(last) if last.bound == bucket.bound => last.count += bucket.count,
            _ => joined.push(bucket),
        }
    }
    Some(joined)
}

/// Raises counts that are below the one before.
fn raise(buckets: &mut [Bucket]) -> Option<Raised> {
    let mut raised: Option<Raised> = None;
    let mut before = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if count == before {
            continue;
        }
        if is_rounding(before, count) {
            bucket.count = before;
        } else if count < before {
            bucket.count = before;
            let known = raised.get_or_insert(Raised {
                min_bound: f64::INFINITY,
                max_bound: f64::NEG_INFINITY,
                max_difference: 0.0,
            });
            known.min_bound = known.min_bound.min(bucket.bound);
            known.max_bound = known.max_bound.max(bucket.bound);
            known.max_difference = known.max_difference.max(before - count);
        } else {
            before = count;
        }
    }
    raised
}

fn is_rounding(a: f64, b: f64) -> bool {
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || a.abs() + b.abs() < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / (a.abs() + b.abs()).min(f64::MAX) < TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(counts: &[(f64, f64)]) -> Vec<Bucket> {
        counts.iter().map(|&(bound, count)| Bucket { bound, count }).collect()
    }

    #[test]
    fn a_quantile_lies_within_its_bucket() {
        let counts = [(f64::INFINITY, 10.0), (1.0, 4.0), (2.0, 8.0)];
        assert_eq!(quantile(0.2, buckets(&counts)), (0.5, None));
        assert_eq!(quantile(0.6, buckets(&counts)), (1.5, None));
        assert_eq!(quantile(0.9, buckets(&counts)), (2.0, None));
        assert!(quantile(0.5, buckets(&counts[1..])).0.is_nan());
    }

    #[test]
    fn counts_that_go_down_are_raised_and_reported() {
        let (value, raised) = quantile(1.0, buckets(&[(1.0, 4.0), (2.0, 2.0), (f64::INFINITY, 4.0)]));
        assert_eq!(value, 1.0);
        assert_eq!(raised, Some(Raised { min_bound: 2.0, max_bound: 2.0, max_difference: 2.0 }));
    }

    #[test]
    fn a_fraction_counts_what_lies_between() {
        let counts = [(1.0, 4.0), (2.0, 8.0), (f64::INFINITY, 10.0)];
        assert_eq!(fraction(0.5, 1.5, buckets(&counts)), 0.4);
        assert_eq!(fraction(-1.0, f64::INFINITY, buckets(&counts)), 1.0);
        assert_eq!(fraction(2.0, 1.0, buckets(&counts)), 0.0);
    }
}
