//! How Prometheus writes floats, and its exact sums.

/// As Go's `%g`: the shortest form that reads back the same, with an exponent when that is below -4 or above 20.
pub(crate) fn general(value: f64) -> String {
    if let Some(word) = special(value) {
        return word.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// All digits and no exponent, as `count_values` writes a value into a label.
pub(crate) fn plain(value: f64) -> String {
    special(value).map_or_else(|| value.to_string(), str::to_owned)
}

/// As OpenMetrics wants the value of `le` and `quantile`: never without a point or an exponent.
pub(crate) fn open_metrics(value: f64) -> String {
    let text = general(value);
    if special(value).is_some() || text.contains(['.', 'e']) { text } else { text + ".0" }
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        v if v.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// A sum that carries the digits each addition loses (Kahan's summation in Neumaier's form, 1974).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    pub(crate) sum: f64,
    pub(crate) lost: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        if sum.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.lost += (self.sum - sum) + value;
        } else {
            self.lost += (value - sum) + self.sum;
        }
        self.sum = sum;
    }

    pub(crate) fn total(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.lost }
    }
}

/// A mean over an exact sum. When the sum would overflow, it goes on with a running mean instead.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Mean {
    sum: Sum,
    count: f64,
    running: bool,
}

impl Mean {
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.running {
            let mut sum = self.sum;
            if self.count == 1.0 {
                sum.sum = value;
            } else {
                sum.add(value);
            }
            if self.count == 1.0 || !sum.sum.is_infinite() {
                self.sum = sum;
                return;
            }
            self.running = true;
            self.sum.sum /= self.count - 1.0;
            self.sum.lost /= self.count - 1.0;
        }
        let weight = (self.count - 1.0) / self.count;
        self.sum.sum *= weight;
        self.sum.lost *= weight;
        self.sum.add(value / self.count);
    }

    pub(crate) fn value(self) -> f64 {
        let count = if self.running { 1.0 } else { self.count };
        self.sum.sum / count + self.sum.lost / count
    }
}

/// The quantile of some values, with a weighted mean between two of them. Sorts the values, NaN first.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| {
        b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal))
    });
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor().max(0.0) as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn floats_are_written_as_in_go() {
        let cases = [
            (1.0, "1"),
            (0.1, "0.1"),
            (1e21, "1e+21"),
            (1e-5, "1e-05"),
            (-2.5e-7, "-2.5e-07"),
            (1e20, "100000000000000000000"),
        ];
        for (value, want) in cases {
            assert_eq!(general(value), want);
        }
        assert_eq!(open_metrics(1.0), "1.0");
        assert_eq!(open_metrics(0.5), "0.5");
        assert_eq!(plain(f64::INFINITY), "+Inf");
    }

    #[test]
    fn a_sum_keeps_what_a_large_value_would_swallow() {
        let mut sum = Sum::default();
        [1.0, 1e100, 1.0, -1e100].into_iter().for_each(|value| sum.add(value));
        assert_eq!(sum.total(), 2.0);
    }

    #[test]
    fn a_mean_of_huge_values_does_not_overflow() {
        let mut mean = Mean::default();
        (0..4).for_each(|_| mean.add(f64::MAX));
        assert!((mean.value() / f64::MAX - 1.0).abs() < 1e-15);
    }

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0]), 2.0);
        assert_eq!(quantile(1.0, &mut [3.0, 1.0, f64::NAN]), 3.0);
        assert!(quantile(0.5, &mut []).is_nan());
    }
}
