//! Floating-point numbers as Go's `fmt` and `strconv` print them.

/// `%e` with so many digits behind the point, or as many as it takes.
pub(super) fn e(value: f64, precision: Option<usize>) -> String {
    special(value).unwrap_or_else(|| {
        let text = match precision {
            Some(precision) => format!("{value:.precision$e}"),
            None => format!("{value:e}"),
        };
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        format!("{digits}e{sign}{exponent:0>2}")
    })
}

/// `%f` with so many digits behind the point, or as many as it takes.
pub(super) fn f(value: f64, precision: Option<usize>) -> String {
    special(value).unwrap_or_else(|| match precision {
        Some(precision) => format!("{value:.precision$}"),
        None => format!("{value}"),
    })
}

/// `%g` with so many significant digits, or as many as it takes: `%e` for exponents below -4 or not below the
/// precision (6 when there is none), else `%f`, without trailing zeros.
pub(super) fn g(value: f64, precision: Option<usize>) -> String {
    if let Some(text) = special(value) {
        return text;
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".to_owned() } else { "0".to_owned() };
    }
    let precision = precision.map(|precision| precision.max(1));
    let text = match precision {
        Some(precision) => format!("{value:.*e}", precision - 1),
        None => format!("{value:e}"),
    };
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    let significant = digits.bytes().filter(u8::is_ascii_digit).count();
    let largest = precision.map_or(6, |precision| i32::try_from(precision).unwrap_or(i32::MAX));
    if exponent < -4 || exponent >= largest {
        return e(value, Some(significant - 1));
    }
    let behind = i32::try_from(significant).unwrap_or(i32::MAX) - 1 - exponent;
    let rounded: f64 = text.parse().unwrap_or(value);
    f(rounded, Some(usize::try_from(behind).unwrap_or(0)))
}

fn special(value: f64) -> Option<String> {
    match value {
        value if value.is_nan() => Some("NaN".to_owned()),
        f64::INFINITY => Some("+Inf".to_owned()),
        f64::NEG_INFINITY => Some("-Inf".to_owned()),
        _ => None,
    }
}
