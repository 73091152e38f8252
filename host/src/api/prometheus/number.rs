//! Numbers as Go writes them, because that is how clients of Prometheus' API compare and show them.
//!
//! Values are text in that API: JSON has no infinities. Positional notation with the shortest digits that
//! read back (Go's `strconv.FormatFloat` with `'f'` and precision -1), and an exponent below 1e-6 and from
//! 1e21 on, as encoding/json has it.

use std::io::{self, Write};

/// A sample's value, without quotes.
pub(super) fn write_value(out: &mut impl Write, value: f64) -> io::Result<()> {
    let size = value.abs();
    if !value.is_finite() {
        write_special(out, value)
    } else if size != 0.0 && !(1e-6..1e21).contains(&size) {
        write_exponent(out, value)
    } else {
        write!(out, "{value}")
    }
}

/// A value with an exponent whatever its size (Go's `'e'`), as `alerts` and `rules` give it.
pub(super) fn with_exponent(value: f64) -> String {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ =
        if value.is_finite() { write_exponent(&mut text, value) } else { write_special(&mut text, value) };
    String::from_utf8_lossy(&text).into_owned()
}

/// A time in seconds: whole ones without a fraction, others with three digits.
pub(super) fn write_seconds(out: &mut impl Write, nanos: u64) -> io::Result<()> {
    let millis = nanos / 1_000_000;
    write!(out, "{}", millis / 1000)?;
    match millis % 1000 {
        0 => Ok(()),
        rest => write!(out, ".{rest:03}"),
    }
}

fn write_special(out: &mut impl Write, value: f64) -> io::Result<()> {
    out.write_all(match value {
        value if value.is_nan() => b"NaN",
        value if value > 0.0 => b"+Inf",
        _ => b"-Inf",
    })
}

/// Go gives the exponent a sign and two digits at least.
fn write_exponent(out: &mut impl Write, value: f64) -> io::Result<()> {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    write!(out, "{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn value(value: f64) -> String {
        let mut text = Vec::new();
        write_value(&mut text, value).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn values_look_as_go_writes_them() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (1.0 / 3.0, "0.3333333333333333"),
            (123_456_789.0, "123456789"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (1e-6, "0.000001"),
            (9.5e-7, "9.5e-07"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(value(number), expected);
        }
    }

    #[test]
    fn alerts_have_their_value_with_an_exponent() {
        for (number, expected) in
            [(1.0, "1e+00"), (0.0, "0e+00"), (0.25, "2.5e-01"), (12345.0, "1.2345e+04"), (f64::NAN, "NaN")]
        {
            assert_eq!(with_exponent(number), expected);
        }
    }

    #[test]
    fn times_have_milliseconds_where_there_are_some() {
        for (nanos, expected) in [
            (0, "0"),
            (1_435_781_451_781_000_000, "1435781451.781"),
            (1_435_781_451_000_000_000, "1435781451"),
            (1_100_000_000, "1.100"),
            (1_001_999_999, "1.001"),
        ] {
            let mut text = Vec::new();
            write_seconds(&mut text, nanos).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn every_number_reads_back(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            let back: f64 = value(number).parse().unwrap();
            prop_assert!(back.to_bits() == bits || (back.is_nan() && number.is_nan()));
            let back: f64 = with_exponent(number).parse().unwrap();
            prop_assert!(back == number || (back.is_nan() && number.is_nan()));
        }
    }
}
