//! Reads the notation of `.test` files: series with their values, durations, and the blocks of a file.

use promql_engine::{Label, Labels, STALE_MARKER};

/// Series of a `load` or of what is expected.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) labels: Labels,
    /// One for each step, none for a gap. Native histograms are only noted.
    pub(crate) points: Vec<Option<Point>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Point {
    Float(f64),
    Native,
}

/// A block of a file: its first line's number, from one, and its lines.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) number: usize,
    pub(crate) lines: Vec<&'a str>,
}

/// The blocks between empty lines and comments.
pub(crate) fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            open = false;
        } else if open {
            blocks.last_mut().expect("a block is open").lines.push(line);
        } else {
            open = !line.eq_ignore_ascii_case("clear");
            blocks.push(Block { number: index + 1, lines: vec![line] });
        }
    }
    blocks
}

/// `name{label="value",…} points`, or `{"name",label="value"} points`.
pub(crate) fn line(text: &str) -> Option<Line> {
    let (mut labels, mut rest) = (Vec::new(), text);
    let name_end = rest.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(rest.len());
    if name_end > 0 {
        labels.push(Label::new("__name__", &rest[..name_end]));
    }
    rest = rest[name_end..].trim_start();
    if let Some(inner) = rest.strip_prefix('{').filter(|inner| !inner.starts_with('{')) {
        rest = inner;
        loop {
            rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            if let Some(behind) = rest.strip_prefix('}') {
                rest = behind;
                break;
            }
            rest = label(rest, &mut labels)?;
        }
    }
    Some(Line { labels: Labels::new(labels), points: points(rest)? })
}

fn label<'a>(text: &'a str, labels: &mut Vec<Label>) -> Option<&'a str> {
    let (name, rest) = if text.starts_with(['"', '\'']) {
        quoted(text)?
    } else {
        let end = text.find(['=', '}', ',', ' '])?;
        (text[..end].to_owned(), &text[end..])
    };
    match rest.trim_start().strip_prefix('=') {
        Some(rest) => {
            let (value, rest) = quoted(rest.trim_start())?;
            labels.push(Label::new(name, value));
            Some(rest)
        }
        None => {
            labels.push(Label::new("__name__", name));
            Some(rest)
        }
    }
}

/// A quoted text and what follows it.
pub(crate) fn quoted(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| "\"'`".contains(*c))?;
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => value.push(match chars.next()?.1 {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            c if c == quote => return Some((value, &text[index + 1..])),
            c => value.push(c),
        }
    }
    None
}

fn points(text: &str) -> Option<Vec<Option<Point>>> {
    let mut points = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = word_len(rest);
        point(&rest[..end], &mut points)?;
        rest = rest[end..].trim_start();
    }
    Some(points)
}

/// Up to the next blank that is not within braces.
fn word_len(text: &str) -> usize {
    let mut depth = 0i32;
    let mut is_end = |(_, c): &(usize, char)| {
        depth += i32::from(*c == '{') - i32::from(*c == '}');
        depth == 0 && c.is_whitespace()
    };
    text.char_indices().find(|at| is_end(at)).map_or(text.len(), |(index, _)| index)
}

fn point(word: &str, points: &mut Vec<Option<Point>>) -> Option<()> {
    if word.contains("{{") {
        let times = word.rsplit_once("}}")?.1.strip_prefix('x').map_or(Some(0), |n| n.parse().ok())?;
        points.extend(std::iter::repeat_n(Some(Point::Native), times + 1));
        return Some(());
    }
    let (base, times) = match word.rsplit_once('x') {
        Some((base, times)) => (base, Some(times.parse::<usize>().ok()?)),
        None => (word, None),
    };
    if base == "_" {
        points.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
        return Some(());
    }
    if base == "stale" {
        points.extend(std::iter::repeat_n(
            Some(Point::Float(f64::from_bits(STALE_MARKER))),
            times.unwrap_or(0) + 1,
        ));
        return Some(());
    }
    let Some(times) = times else {
        points.push(Some(Point::Float(base.parse().ok()?)));
        return Some(());
    };
    let (start, step) = match sign(base) {
        Some(at) => (base[..at].parse::<f64>().ok()?, signed(&base[at..])?),
        None => (base.parse().ok()?, 0.0),
    };
    // Each value is the one before plus the step, with the rounding that this has.
    let mut value = start;
    for _ in 0..=times {
        points.push(Some(Point::Float(value)));
        value += step;
    }
    Some(())
}

/// Where the step begins in `a+b`: a sign that is neither the first one nor an exponent's.
fn sign(base: &str) -> Option<usize> {
    let bytes = base.as_bytes();
    (1..bytes.len()).find(|&at| matches!(bytes[at], b'+' | b'-') && !matches!(bytes[at - 1], b'e' | b'E'))
}

fn signed(text: &str) -> Option<f64> {
    let value: f64 = text[1..].parse().ok()?;
    Some(if text.starts_with('-') { -value } else { value })
}

/// A duration in milliseconds.
pub(crate) fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    if let Ok(seconds) = rest.parse::<f64>() {
        let ms = (seconds * 1_000.0).round() as i64;
        return Some(if negative { -ms } else { ms });
    }
    let mut total = 0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..unit_at].parse().ok()?;
        let end = rest[unit_at..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| unit_at + at);
        total += number
            * match &rest[unit_at..end] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                "w" => 7 * 86_400_000,
                "y" => 365 * 86_400_000,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Some(if negative { -total } else { total })
}
