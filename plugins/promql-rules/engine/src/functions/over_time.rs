//! Functions of the samples in a window.

use super::{rate, trend};
use crate::numbers::{Mean, Sum, quantile};

/// The samples of one series that a range selector sees at one time; never none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
    /// The window's edges: after `start_ms` up to `end_ms`.
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    /// The time of the evaluation, without `offset` and `@`.
    pub(crate) time_ms: i64,
    pub(crate) range_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverTime {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    Smoothing,
    Avg,
    Count,
    First,
    Last,
    Mad,
    Max,
    Min,
    Present,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    Changes,
    Resets,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMax,
    TimeOfMin,
}

/// The function of this name.
pub(crate) fn lookup(name: &str) -> Option<OverTime> {
    use OverTime as O;
    Some(match name {
        "rate" => O::Rate,
        "increase" => O::Increase,
        "delta" => O::Delta,
        "irate" => O::Irate,
        "idelta" => O::Idelta,
        "deriv" => O::Deriv,
        "predict_linear" => O::PredictLinear,
        "double_exponential_smoothing" => O::Smoothing,
        "avg_over_time" => O::Avg,
        "count_over_time" => O::Count,
        "first_over_time" => O::First,
        "last_over_time" => O::Last,
        "mad_over_time" => O::Mad,
        "max_over_time" => O::Max,
        "min_over_time" => O::Min,
        "present_over_time" => O::Present,
        "quantile_over_time" => O::Quantile,
        "stddev_over_time" => O::Stddev,
        "stdvar_over_time" => O::Stdvar,
        "sum_over_time" => O::Sum,
        "changes" => O::Changes,
        "resets" => O::Resets,
        "ts_of_first_over_time" => O::TimeOfFirst,
        "ts_of_last_over_time" => O::TimeOfLast,
        "ts_of_max_over_time" => O::TimeOfMax,
        "ts_of_min_over_time" => O::TimeOfMin,
        _ => return None,
    })
}

impl OverTime {
    /// Whether the result is still the metric, and not something computed from it.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }

    /// The function's value, with its scalar arguments in their order. Absent when there are too few samples.
    pub(crate) fn apply(self, window: &Window<'_>, arguments: &[f64]) -> Option<f64> {
        let argument = |index: usize| arguments.get(index).copied().unwrap_or(f64::NAN);
        let values = window.values;
        Some(match self {
            Self::Rate => return rate::extrapolated(window, true, true),
            Self::Increase => return rate::extrapolated(window, true, false),
            Self::Delta => return rate::extrapolated(window, false, false),
            Self::Irate => return rate::instant(window, true),
            Self::Idelta => return rate::instant(window, false),
            Self::Deriv => trend::regression(window, window.times[0])?.0,
            Self::PredictLinear => {
                let (slope, now) = trend::regression(window, window.time_ms)?;
                slope * argument(0) + now
            }
            Self::Smoothing => return trend::smoothing(window, argument(0), argument(1)),
            Self::Avg => folded(values, Mean::default(), Mean::add).value(),
            Self::Count => values.len() as f64,
            Self::First => values[0],
            Self::Last => values[values.len() - 1],
            Self::Mad => deviation_from_median(values),
            Self::Max => values[extreme(values, |value, max| value > max)],
            Self::Min => values[extreme(values, |value, min| value < min)],
            Self::Present => 1.0,
            Self::Quantile => quantile(argument(0), &mut values.to_vec()),
            Self::Stddev => variance(values).sqrt(),
            Self::Stdvar => variance(values),
            Self::Sum => folded(values, Sum::default(), Sum::add).total(),
            Self::Changes => pairs(values, |a, b| a != b && !(a.is_nan() && b.is_nan())),
            Self::Resets => pairs(values, |a, b| b < a),
            Self::TimeOfFirst => seconds(window.times[0]),
            Self::TimeOfLast => seconds(window.times[window.times.len() - 1]),
            Self::TimeOfMax => seconds(window.times[extreme(values, |value, max| value >= max)]),
            Self::TimeOfMin => seconds(window.times[extreme(values, |value, min| value <= min)]),
        })
    }
}

fn folded<A>(values: &[f64], mut state: A, add: fn(&mut A, f64)) -> A {
    values.iter().for_each(|&value| add(&mut state, value));
    state
}

/// Index of the value that beats the others; any number beats NaN.
fn extreme(values: &[f64], beats: fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (index, &value) in values.iter().enumerate() {
        if beats(value, values[best]) || values[best].is_nan() {
            best = index;
        }
    }
    best
}

/// How many neighbours stand in this relation.
fn pairs(values: &[f64], counts: fn(f64, f64) -> bool) -> f64 {
    values.windows(2).filter(|pair| counts(pair[0], pair[1])).count() as f64
}

/// The median of the distances from the median.
fn deviation_from_median(values: &[f64]) -> f64 {
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let mut values = values.to_vec();
    let median = quantile(0.5, &mut values);
    values.iter_mut().for_each(|value| *value = (*value - median).abs());
    quantile(0.5, &mut values)
}

/// Welford's running variance (1962) over exact sums.
fn variance(values: &[f64]) -> f64 {
    let (mut mean, mut squares) = (Sum::default(), Sum::default());
    for (index, &value) in values.iter().enumerate() {
        let distance = value - (mean.sum + mean.lost);
        mean.add(distance / (index + 1) as f64);
        squares.add(distance * (value - (mean.sum + mean.lost)));
    }
    (squares.sum + squares.lost) / values.len() as f64
}

fn seconds(time_ms: i64) -> f64 {
    time_ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(op: OverTime, values: &[f64]) -> Option<f64> {
        let times: Vec<i64> = (1..=values.len() as i64).map(|n| n * 1_000).collect();
        let window =
            Window { times: &times, values, start_ms: 0, end_ms: 9_000, time_ms: 9_000, range_ms: 9_000 };
        op.apply(&window, &[0.5])
    }

    #[test]
    fn each_looks_at_the_window() {
        let values = [1.0, 3.0, 2.0, 2.0];
        let cases = [
            (OverTime::Avg, 2.0),
            (OverTime::Sum, 8.0),
            (OverTime::Min, 1.0),
            (OverTime::Max, 3.0),
            (OverTime::Count, 4.0),
            (OverTime::Stdvar, 0.5),
            (OverTime::Changes, 2.0),
            (OverTime::Resets, 1.0),
            (OverTime::Mad, 0.5),
            (OverTime::Quantile, 2.0),
            (OverTime::TimeOfMax, 2.0),
            (OverTime::TimeOfMin, 1.0),
            (OverTime::First, 1.0),
            (OverTime::Last, 2.0),
        ];
        for (op, want) in cases {
            assert_eq!(of(op, &values), Some(want), "{op:?}");
        }
    }

    #[test]
    fn a_number_beats_what_is_none() {
        assert_eq!(of(OverTime::Max, &[f64::NAN, 1.0]), Some(1.0));
        assert_eq!(of(OverTime::Min, &[f64::NAN, 1.0]), Some(1.0));
    }
}
