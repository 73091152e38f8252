//! Functions of one value, and of a date.

use crate::ast::{Arithmetic, Comparison};
use crate::calendar::Date;

/// The function from one float to another of this name.
pub(crate) fn map(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sgn" => sign,
        "rad" => f64::to_radians,
        "deg" => f64::to_degrees,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        _ => return None,
    })
}

/// The part of a date of this name.
pub(crate) fn date(name: &str) -> Option<fn(Date) -> i64> {
    Some(match name {
        "year" => |date| date.year,
        "month" => |date| date.month,
        "day_of_month" => |date| date.day,
        "day_of_week" => Date::weekday,
        "day_of_year" => Date::day_of_year,
        "days_in_month" => Date::days_in_month,
        "hour" => Date::hour,
        "minute" => Date::minute,
        _ => return None,
    })
}

/// Zero and NaN keep their value.
fn sign(value: f64) -> f64 {
    if value == 0.0 || value.is_nan() { value } else { value.signum() }
}

/// The nearest multiple; half-way goes up.
pub(crate) fn round(value: f64, nearest: f64) -> f64 {
    // The inverse has fewer digits in the usual cases such as 0.1.
    let inverse = 1.0 / nearest;
    (value * inverse + 0.5).floor() / inverse
}

/// NaN as a bound gives NaN.
pub(crate) fn clamp(value: f64, min: f64, max: f64) -> f64 {
    at_least(at_most(value, max), min)
}

/// The smaller one, NaN when either is.
pub(crate) fn at_most(value: f64, max: f64) -> f64 {
    if value.is_nan() || max.is_nan() { f64::NAN } else { value.min(max) }
}

/// The larger one, NaN when either is.
pub(crate) fn at_least(value: f64, min: f64) -> f64 {
    if value.is_nan() || min.is_nan() { f64::NAN } else { value.max(min) }
}

impl Arithmetic {
    pub(crate) fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
            Self::Modulo => left % right,
            Self::Power => left.powf(right),
            Self::Atan2 => left.atan2(right),
        }
    }
}

impl Comparison {
    pub(crate) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::Less => left < right,
            Self::GreaterOrEqual => left >= right,
            Self::LessOrEqual => left <= right,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_goes_up_at_the_half() {
        assert_eq!(round(2.5, 1.0), 3.0);
        assert_eq!(round(-2.5, 1.0), -2.0);
        assert_eq!(round(0.17, 0.1), 0.2);
    }

    #[test]
    fn a_bound_that_is_no_number_gives_none() {
        assert!(clamp(1.0, f64::NAN, 2.0).is_nan());
        assert_eq!(clamp(3.0, 0.0, 2.0), 2.0);
    }

    #[test]
    fn the_sign_of_zero_is_zero() {
        assert_eq!(sign(0.0), 0.0);
        assert_eq!(sign(-3.0), -1.0);
    }
}
