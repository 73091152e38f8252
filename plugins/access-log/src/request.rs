//! One request as an access log tells it, and the number formats of such logs.
//!
//! Everything borrows from the line: parsing allocates nothing.

/// A parsed line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request<'a> {
    /// The client's address or name as logged; empty when the line does not tell it.
    pub client: &'a [u8],
    /// The method, as an index into [`METHODS`].
    pub method: usize,
    /// What was asked for, as logged, with its query; empty when the line does not tell it.
    pub target: &'a [u8],
    /// The status code, 0 to 999.
    pub status: u16,
    /// The response's size in bytes, as far as the log counts it.
    pub bytes: u64,
    /// How long the request took, in seconds, where the line has it.
    pub seconds: Option<f64>,
    /// How long the upstream servers took, in seconds, where the line has it.
    pub upstream: Option<f64>,
    /// When it was logged, in Unix seconds, where the line tells it in a known format.
    pub time: Option<u64>,
}

impl Request<'_> {
    /// A request of which nothing is known.
    pub(crate) const EMPTY: Self = Self {
        client: b"",
        method: OTHER_METHOD,
        target: b"",
        status: 0,
        bytes: 0,
        seconds: None,
        upstream: None,
        time: None,
    };
}

/// The methods that have a label value of their own (RFC 9110, RFC 5789). What clients make up is
/// `other`, so that they cannot make up label values.
pub const METHODS: [&str; 10] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "other"];

/// The index of `other`.
const OTHER_METHOD: usize = METHODS.len() - 1;

/// The index of a method's name.
pub(crate) fn method(name: &[u8]) -> usize {
    match name {
        b"GET" => 0,
        b"HEAD" => 1,
        b"POST" => 2,
        b"PUT" => 3,
        b"DELETE" => 4,
        b"PATCH" => 5,
        b"OPTIONS" => 6,
        b"CONNECT" => 7,
        b"TRACE" => 8,
        _ => OTHER_METHOD,
    }
}

/// Method and target of a request line such as `GET /index.html HTTP/1.1`.
pub(crate) fn request_line(line: &[u8]) -> (usize, &[u8]) {
    // Methods are short; whoever sends a long one is no browser.
    let Some(space) = line.iter().take(16).position(|&byte| byte == b' ') else {
        return (method(line), b"");
    };
    let target = &line[space + 1..];
    let end = memchr::memchr(b' ', target).unwrap_or(target.len());
    (method(&line[..space]), &target[..end])
}

/// A whole number; none when it is anything else.
pub(crate) fn integer(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number.checked_mul(10)?.checked_add(u64::from(digit))).flatten()
    })
}

/// A status code: three digits, or Traefik's `0` for a client that went away.
pub(crate) fn status(digits: &[u8]) -> Option<u16> {
    integer(digits).filter(|&status| status < 1000).map(|status| status as u16)
}

/// A decimal number that is not negative, or several with commas or colons between them (nginx logs one
/// time for each upstream server that it tried), which are added up. `-` and the like are none.
pub(crate) fn decimal(text: &[u8]) -> Option<f64> {
    if let Some(number) = one_decimal(text) {
        return Some(number);
    }
    let parts = text.split(|byte| b",: ".contains(byte)).filter(|part| !part.is_empty());
    parts.filter_map(one_decimal).reduce(|sum, part| sum + part)
}

fn one_decimal(text: &[u8]) -> Option<f64> {
    let point = memchr::memchr(b'.', text);
    let (whole, fraction) = point.map_or((text, &b""[..]), |point| (&text[..point], &text[point + 1..]));
    // Up to 15 digits are exact in a double, and so is the power of ten below them.
    if whole.len() + fraction.len() <= 15
        && let Some(digits) = integer(whole)
    {
        match (integer(fraction), point) {
            (Some(part), _) => return Some(digits as f64 + part as f64 / POWERS[fraction.len()]),
            (None, None) => return Some(digits as f64),
            (None, Some(_)) => {}
        }
    }
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// Powers of ten that doubles hold exactly.
const POWERS: [f64; 16] =
    [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<f64>) {
        let found = decimal(text.as_bytes());
        match (found, expected) {
            (Some(found), Some(expected)) => {
                assert!((found - expected).abs() <= 1e-12 * expected, "{text}: {found}")
            }
            _ => assert_eq!(found, expected, "{text}"),
        }
    }

    #[test]
    fn times_are_decimals_or_lists_of_them() {
        check("0.000", Some(0.0));
        check("12.345", Some(12.345));
        check("7", Some(7.0));
        check("0.00004378", Some(0.000_043_78));
        check("4.378e-05", Some(0.000_043_78));
        check("1795193262.77812345678", Some(1_795_193_262.778_123_4));
        check("0.010, 0.020", Some(0.03));
        check("0.010 : 0.020, -", Some(0.03));
        for none in ["", "-", "-, -", ".", "-1.0", "NaN", "inf", "x"] {
            check(none, None);
        }
    }

    #[test]
    fn made_up_methods_share_one_label() {
        assert_eq!(METHODS[request_line(b"PATCH /a?b=c HTTP/1.1").0], "PATCH");
        assert_eq!(request_line(b"GET /a b HTTP/1.1").1, b"/a");
        assert_eq!(METHODS[request_line(b"GET").0], "GET");
        assert_eq!(METHODS[request_line(b"PROPFIND / HTTP/1.1").0], "other");
        assert_eq!(METHODS[request_line(&[b'G'; 100]).0], "other");
    }

    #[test]
    fn whole_numbers_do_not_overflow() {
        assert_eq!(integer(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(integer(b"18446744073709551616"), None);
        assert_eq!(integer(b""), None);
        assert_eq!(integer(b"1a"), None);
        assert_eq!(status(b"1000"), None);
    }
}
