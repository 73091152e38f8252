//! Lines and smoothed curves through the samples of a window.

use super::over_time::Window;
use crate::numbers::Sum;

/// Slope per second and value at a time of the line through the samples with the least squares.
pub(crate) fn regression(window: &Window<'_>, at_ms: i64) -> Option<(f64, f64)> {
    let first = *window.values.first().filter(|_| window.values.len() > 1)?;
    if window.values.iter().all(|&value| value == first) {
        // Exact, and without a division of nothing by nothing.
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let [mut x, mut y, mut xy, mut xx] = [Sum::default(); 4];
    for (&time, &value) in window.times.iter().zip(window.values) {
        let second = (time - at_ms) as f64 / 1_000.0;
        x.add(second);
        y.add(value);
        xy.add(second * value);
        xx.add(second * second);
    }
    let count = window.values.len() as f64;
    let [x, y, xy, xx] = [x, y, xy, xx].map(|sum| sum.sum + sum.lost);
    let slope = (xy - x * y / count) / (xx - x * x / count);
    Some((slope, y / count - slope * x / count))
}

/// The last value of the samples smoothed with their trend: Holt's linear method (1957).
pub(crate) fn smoothing(window: &Window<'_>, smoothing: f64, trend: f64) -> Option<f64> {
    let &[first, second, ..] = window.values else { return None };
    let mut level = first;
    let mut slope = second - first;
    let mut before = None;
    for &value in &window.values[1..] {
        if let Some(before) = before {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        before = Some(level);
        level = smoothing * value + (1.0 - smoothing) * (level + slope);
    }
    Some(level)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_line_is_found_exactly() {
        let times = [0, 1_000, 2_000];
        let window = |values| Window {
            times: &times,
            values,
            start_ms: -1,
            end_ms: 2_000,
            time_ms: 2_000,
            range_ms: 2_001,
        };
        assert_eq!(regression(&window(&[1.0, 3.0, 5.0]), 2_000).unwrap(), (2.0, 5.0));
        assert_eq!(regression(&window(&[4.0, 4.0, 4.0]), 2_000).unwrap(), (0.0, 4.0));
        assert_eq!(smoothing(&window(&[1.0, 3.0, 5.0]), 0.5, 0.5).unwrap(), 5.0);
    }
}
