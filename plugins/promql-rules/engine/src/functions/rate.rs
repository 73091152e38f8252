//! How fast counters and gauges change over a window.
//!
//! `rate`, `increase` and `delta` extrapolate to the edges of the window where samples come near them, as described
//! in Prometheus' documentation; `irate` and `idelta` look at the last two samples only.

use super::over_time::Window;

/// The difference between last and first sample, extrapolated to the window. For a counter each decrease is a
/// restart from zero.
pub(crate) fn extrapolated(window: &Window<'_>, is_counter: bool, per_second: bool) -> Option<f64> {
    let (times, values) = (window.times, window.values);
    let last = times.len().checked_sub(1).filter(|&last| last > 0)?;
    let mut result = values[last] - values[0];
    if is_counter {
        result += values.windows(2).filter(|pair| pair[1] < pair[0]).map(|pair| pair[0]).sum::<f64>();
    }
    let mut to_start = seconds(times[0] - window.start_ms);
    let mut to_end = seconds(window.end_ms - times[last]);
    let sampled = seconds(times[last] - times[0]);
    let average = sampled / last as f64;
    // A gap of up to a tenth more than the average is no gap: the series goes on to the edge.
    let threshold = average * 1.1;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if is_counter && result > 0.0 && values[0] >= 0.0 {
        // No counter was below zero: it cannot have begun before its line through zero.
        to_start = to_start.min(sampled * (values[0] / result));
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if per_second {
        factor /= seconds(window.range_ms);
    }
    Some(result * factor)
}

/// The difference between the last two samples; per second and with restarts for a counter.
pub(crate) fn instant(window: &Window<'_>, is_counter: bool) -> Option<f64> {
    let &[.., before, last] = window.values else { return None };
    let &[.., before_ms, last_ms] = window.times else { return None };
    let difference = if is_counter && last < before { last } else { last - before };
    Some(if is_counter { difference / seconds(last_ms - before_ms) } else { difference })
}

fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn window<'a>(times: &'a [i64], values: &'a [f64]) -> Window<'a> {
        Window { times, values, start_ms: 0, end_ms: 60_000, time_ms: 60_000, range_ms: 60_000 }
    }

    #[test]
    fn a_counter_that_restarts_goes_on_growing() {
        let times = [15_000, 30_000, 45_000, 60_000];
        let increase = extrapolated(&window(&times, &[10.0, 20.0, 5.0, 15.0]), true, false).unwrap();
        assert!((increase - 25.0 * 60.0 / 45.0).abs() < 1e-9);
    }

    #[test]
    fn a_counter_is_not_extrapolated_below_zero() {
        let increase = extrapolated(&window(&[10_000, 20_000], &[0.0, 10.0]), true, false).unwrap();
        assert_eq!(increase, 10.0 * (10.0 + 5.0) / 10.0);
    }

    #[test]
    fn one_sample_has_no_rate() {
        assert_eq!(extrapolated(&window(&[1], &[1.0]), true, true), None);
        assert_eq!(instant(&window(&[1], &[1.0]), true), None);
    }
}
