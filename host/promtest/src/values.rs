//! The samples of a series, one for each step: `1 2+3x4 _ _x2 stale NaN -Inf {{sum:1}}`.

use crate::compare::STALE;
use crate::places::NotationError;
use crate::scan::Cursor;

/// Points that one series may have: a week of seconds. More is a slip of the keyboard.
pub const MAX_POINTS: usize = 700_000;

/// Points that all series of one file may have together, 160 MB of them: a few lines can spell billions.
pub const MAX_FILE_POINTS: usize = 10_000_000;

/// What is left of [`MAX_FILE_POINTS`] behind a series.
pub(crate) fn left(room: usize, points: &[Point]) -> Result<usize, String> {
    room.checked_sub(points.len())
        .ok_or_else(|| format!("the series of the file have more than {MAX_FILE_POINTS} samples together"))
}

/// What a series has at one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Point {
    /// A sample. A stale marker is one too, see [`crate::is_stale`].
    Value(f64),
    /// None.
    Gap,
    /// A native histogram, which is not read any further.
    Histogram,
}

/// Reads samples: `a`, `a+bxN` and `a-bxN` (N + 1 samples, each the one before and `b`), `axN` (N + 1 times
/// `a`), `_` (none), `_xN` (N times none), `stale`.
pub fn parse_values(text: &str) -> Result<Vec<Point>, NotationError> {
    values(&mut Cursor::new(text))
}

/// Reads samples up to the line's end.
pub(crate) fn values(cursor: &mut Cursor<'_>) -> Result<Vec<Point>, NotationError> {
    let mut points = Vec::new();
    cursor.skip_blanks();
    while !cursor.is_done() {
        let before = cursor.offset();
        item(cursor, &mut points)?;
        if cursor.peek().is_some_and(|next| !next.is_whitespace()) {
            return Err(cursor.at(before).error("no sample begins like this"));
        }
        cursor.skip_blanks();
    }
    Ok(points)
}

fn item(cursor: &mut Cursor<'_>, points: &mut Vec<Point>) -> Result<(), NotationError> {
    if cursor.take("_") {
        let times = times(cursor)?.unwrap_or(1);
        return repeat(cursor, points, times, |_| Point::Gap);
    }
    if cursor.take("stale") {
        return repeat(cursor, points, 1, |_| Point::Value(STALE));
    }
    if cursor.rest().starts_with("{{") {
        histogram(cursor)?;
        let _ = (cursor.take("+") || cursor.take("-")) && cursor.rest().starts_with("{{") && {
            histogram(cursor)?;
            true
        };
        let count = times(cursor)?.map_or(1, |times| times + 1);
        return repeat(cursor, points, count, |_| Point::Histogram);
    }
    let first = signed(cursor)?;
    let step = match cursor.peek() {
        Some('+' | '-') => Some(signed(cursor)?),
        _ => None,
    };
    let count = match (times(cursor)?, step) {
        (Some(times), _) => times + 1,
        (None, None) => 1,
        (None, Some(_)) => return Err(cursor.error("`x` and a number of steps are expected here")),
    };
    // Added up one by one, as Prometheus does: the rounding is part of the notation.
    let (mut next, step) = (first, step.unwrap_or(0.0));
    repeat(cursor, points, count, |_| {
        let value = next;
        next += step;
        Point::Value(value)
    })
}

/// `x` and a number.
fn times(cursor: &mut Cursor<'_>) -> Result<Option<usize>, NotationError> {
    if !cursor.take("x") {
        return Ok(None);
    }
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    match digits.parse() {
        Ok(times) if times < MAX_POINTS => Ok(Some(times)),
        Ok(_) => Err(too_many(cursor)),
        Err(_) if digits.is_empty() => Err(cursor.error("a number is expected behind `x`")),
        Err(_) => Err(too_many(cursor)),
    }
}

fn repeat(
    cursor: &Cursor<'_>,
    points: &mut Vec<Point>,
    count: usize,
    point: impl FnMut(usize) -> Point,
) -> Result<(), NotationError> {
    if points.len() + count > MAX_POINTS {
        return Err(too_many(cursor));
    }
    points.extend((0..count).map(point));
    Ok(())
}

fn too_many(cursor: &Cursor<'_>) -> NotationError {
    cursor.error(format!("the series has more than {MAX_POINTS} samples"))
}

fn signed(cursor: &mut Cursor<'_>) -> Result<f64, NotationError> {
    let before = cursor.offset();
    let sign = match cursor.take("-") {
        true => -1.0,
        false => {
            let _ = cursor.take("+");
            1.0
        }
    };
    let number = unsigned(cursor);
    number.map(|number| sign * number).ok_or_else(|| cursor.at(before).error("a number is expected here"))
}

/// Digits, a fraction, an exponent; `Inf`; `NaN`.
fn unsigned(cursor: &mut Cursor<'_>) -> Option<f64> {
    let rest = cursor.rest();
    for (word, value) in [("inf", f64::INFINITY), ("nan", f64::NAN)] {
        let found = rest.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if found {
            let start = rest.get(..3)?;
            return cursor.take(start).then_some(value);
        }
    }
    let start = cursor.offset();
    cursor.take_while(|c| c.is_ascii_digit());
    if cursor.take(".") {
        cursor.take_while(|c| c.is_ascii_digit());
    }
    let mantissa = cursor.offset();
    if cursor.take("e") || cursor.take("E") {
        let _ = cursor.take("+") || cursor.take("-");
        if cursor.take_while(|c| c.is_ascii_digit()).is_empty() {
            *cursor = cursor.at(mantissa);
        }
    }
    let length = cursor.offset() - start;
    rest[..length].parse().ok()
}

/// From `{{` to `}}`.
fn histogram(cursor: &mut Cursor<'_>) -> Result<(), NotationError> {
    let Some(length) = cursor.rest().find("}}") else {
        return Err(cursor.error("the histogram's closing `}}` is missing"));
    };
    *cursor = cursor.at(cursor.offset() + length + 2);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::compare::is_stale;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        let show = |point: &Point| match point {
            Point::Value(value) if is_stale(*value) => "stale".to_owned(),
            Point::Value(value) => value.to_string(),
            Point::Gap => "_".to_owned(),
            Point::Histogram => "h".to_owned(),
        };
        parse_values(text).unwrap().iter().map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn samples_expand_as_prometheus_expands_them() {
        for (text, expected) in [
            ("", ""),
            ("1 -2 +3 .5 1e2 2E-1", "1 -2 3 0.5 100 0.2"),
            ("1+2x3", "1 3 5 7"),
            ("10-5x2 7", "10 5 0 7"),
            ("-1-2x1", "-1 -3"),
            ("3x2 4x0", "3 3 3 4"),
            ("0x3", "0 0 0 0"),
            ("_ 1 _x2", "_ 1 _ _"),
            ("stale NaN Inf -Inf +Inf inf", "stale NaN inf -inf inf inf"),
            ("{{sum:1 buckets:[1 2]}} {{}}x1 {{a:1}}+{{a:2}}x2", "h h h h h h"),
            ("1e1x1", "10 10"),
            ("0.1+0.1x2", "0.1 0.2 0.30000000000000004"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, column) in [
            ("1 two", 3),
            ("1+2", 4),
            ("1x", 3),
            ("1xx", 3),
            ("1+x2", 2),
            ("_y", 1),
            ("stalex2", 1),
            ("1,2", 1),
            ("1 {{sum:1", 3),
            ("1 - 2", 3),
        ] {
            assert_eq!(parse_values(text).unwrap_err().column, column, "{text}");
        }
    }

    #[test]
    fn an_expansion_is_bounded() {
        assert_eq!(parse_values(&format!("1x{}", MAX_POINTS - 1)).unwrap().len(), MAX_POINTS);
        for text in ["1x700000", "_x700001", "1x699999 1", "1x99999999999999999999999"] {
            let message = parse_values(text).unwrap_err().message;
            assert!(message.contains("more than 700000 samples"), "{text}: {message}");
        }
    }

    #[test]
    fn all_series_of_a_file_are_bounded_together() {
        let points = [Point::Gap; 3];
        assert_eq!((left(4, &points), left(3, &points)), (Ok(1), Ok(0)));
        assert!(left(2, &points).unwrap_err().contains("more than 10000000 samples together"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,30}|[0-9x+._ eINaf-]{0,30}") {
            let _ = parse_values(&text);
        }

        #[test]
        fn a_run_has_one_sample_more_than_steps(first in -1000..1000_i32, step in 0..100_i32, times in 0..50_usize) {
            let points = parse_values(&format!("{first}+{step}x{times}")).unwrap();
            let expected: Vec<_> = (0..=times).map(|n| Point::Value(f64::from(first + step * n as i32))).collect();
            prop_assert_eq!(points, expected);
        }
    }
}
