//! When two floats count as the same.

/// Prometheus' stale marker: a NaN of its own, by which a series ends.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// How far apart, as a share of their size, two numbers of a `.test` file may be.
const EPSILON: f64 = 1e-6;

/// Whether it is the stale marker, and not just any NaN.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

/// As `.test` files compare: by a relative difference of one in a million. NaN equals NaN, but a stale marker
/// only itself.
pub fn almost_equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// As promtool's `fuzzy_compare` has it: the same number or a neighbour of it.
pub fn next_to(a: f64, b: f64) -> bool {
    a == b || a.next_up() == b || a.next_down() == b || (a.is_nan() && b.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_numbers_are_almost_equal() {
        for (a, b, equal) in [
            (1.0, 1.0, true),
            (1.0, 1.000_000_5, true),
            (1.0, 1.000_01, false),
            (0.0, 1e-300, false),
            (0.0, -0.0, true),
            (f64::NAN, f64::NAN, true),
            (f64::NAN, STALE, false),
            (STALE, STALE, true),
            (f64::NAN, 1.0, false),
            (f64::INFINITY, f64::INFINITY, true),
            (f64::INFINITY, f64::NEG_INFINITY, false),
            (f64::INFINITY, f64::MAX, false),
        ] {
            assert_eq!(almost_equal(a, b), equal, "{a} {b}");
            assert_eq!(almost_equal(b, a), equal, "{b} {a}");
        }
    }

    #[test]
    fn a_neighbour_is_the_next_float_and_no_other() {
        let sum = 0.1 + 0.2;
        assert!(sum != 0.3 && next_to(sum, 0.3) && next_to(0.3, sum));
        assert!(!next_to(0.3, 0.300_000_1));
    }
}
