//! One `eval` of a file: what it expects, and whether the engine gives it.

use promql_engine::{Answer, EvalError, Labels, Options, ParseError, Query, Series, Value, parse};
use regex::Regex;

use crate::notation::{Block, Line, Point, duration, line, quoted};
use crate::store::Store;

pub(crate) enum Verdict {
    Passed,
    /// With the reason.
    LeftOut(String),
    Failed(String),
}

#[derive(Debug, Clone, Copy)]
enum When {
    Instant(i64),
    Range { start: i64, end: i64, step: i64 },
}

#[derive(Debug, Default)]
struct Expected {
    lines: Vec<Line>,
    scalar: Option<f64>,
    text: Option<String>,
    is_range_vector: Option<(i64, i64, i64)>,
    ordered: bool,
    /// What kind of note, and the text or the pattern that it must have.
    notes: Vec<(String, Option<Pattern>)>,
}

#[derive(Debug)]
enum Pattern {
    Text(String),
    Regex(Regex),
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Text(wanted) => text == wanted,
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Runs a block that begins with `eval`.
pub(crate) fn run(block: &Block<'_>, store: &mut Store, max_samples: usize) -> Verdict {
    let Some((when, expression, mut expected)) = command(block.lines[0]) else {
        return Verdict::LeftOut("the command is not understood".into());
    };
    let mut ended = false;
    for text in &block.lines[1..] {
        if !ended {
            match expect(text, &mut expected) {
                Some(ends) => ended = ends,
                None => return Verdict::LeftOut(format!("the line is not understood: {text}")),
            }
        }
    }
    if expected.lines.iter().any(|line| line.points.contains(&Some(Point::Native))) {
        return Verdict::LeftOut("native histograms are expected".into());
    }
    store.met_native = false;
    let options = Options { max_samples, ..Options::default() };
    let query = parse(&expression);
    let answer = match &query {
        Ok(query) => evaluate(query, when, &expected, store, &options),
        Err(error) => Err(Failure::Parse(error.clone())),
    };
    if store.met_native {
        return Verdict::LeftOut("native histograms are read".into());
    }
    let verdict = check(&answer, when, &expected);
    match (verdict, when, &query) {
        (Err(reason), _, _) => {
            let unsupported =
                matches!(&answer, Err(Failure::Parse(e)) if e.message.contains("not supported"));
            if unsupported {
                Verdict::LeftOut(reason)
            } else {
                Verdict::Failed(format!("{expression}: {reason}"))
            }
        }
        (Ok(()), When::Instant(time), Ok(query))
            if !pinned_holds(query, time, &expected, store, &options) =>
        {
            Verdict::Failed(format!("{expression}: with @ its value depends on the time of the evaluation"))
        }
        (Ok(()), When::Instant(time), Ok(query)) => {
            match as_range(query, time, &expected, &answer, store, &options) {
                Ok(()) => Verdict::Passed,
                Err(reason) => Verdict::Failed(format!("{expression}: as a range query: {reason}")),
            }
        }
        (Ok(()), _, _) => Verdict::Passed,
    }
}

#[derive(Debug)]
enum Failure {
    Parse(ParseError),
    Eval(EvalError),
}

impl Failure {
    fn text(&self) -> String {
        match self {
            Self::Parse(error) => error.to_string(),
            Self::Eval(error) => error.to_string(),
        }
    }
}

fn evaluate(
    query: &Query,
    when: When,
    expected: &Expected,
    store: &mut Store,
    options: &Options<'_>,
) -> Result<Answer, Failure> {
    let when = expected.is_range_vector.map_or(when, |(_, end, _)| When::Instant(end));
    match when {
        When::Instant(time) => query.instant(time, store, options),
        When::Range { start, end, step } => query.range(start, end, step, store, options),
    }
    .map_err(Failure::Eval)
}

fn command(text: &str) -> Option<(When, String, Expected)> {
    let mut expected = Expected::default();
    let instant =
        Regex::new(r"^(?i)eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(\S+)\s+)?(.+)$").ok()?;
    let range = Regex::new(
        r"^(?i)eval(?:_(fail|warn|info))?\s+range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.+)$",
    )
    .ok()?;
    let (when, kind, expression) = if let Some(found) = instant.captures(text) {
        let time = found.get(2).map_or(Some(0), |time| duration(time.as_str()))?;
        (When::Instant(time), found.get(1), found[3].to_owned())
    } else {
        let found = range.captures(text)?;
        let (start, end, step) = (duration(&found[2])?, duration(&found[3])?, duration(&found[4])?);
        (When::Range { start, end, step }, found.get(1), found[5].to_owned())
    };
    match kind.map(|kind| kind.as_str()) {
        Some("ordered") => expected.ordered = true,
        Some(kind) => expected.notes.push((kind.to_owned(), None)),
        None => {}
    }
    Some((when, expression, expected))
}

/// Takes one line of what is expected, and says whether it is the last one.
fn expect(text: &str, expected: &mut Expected) -> Option<bool> {
    if let Some(rest) = text.strip_prefix("expect ") {
        let rest = rest.trim();
        if let Some(text) = rest.strip_prefix("string ") {
            expected.text = Some(quoted(text.trim())?.0);
        } else if let Some(range) = rest.strip_prefix("range vector ") {
            let words: Vec<&str> = range.split_whitespace().collect();
            let [_, from, _, to, _, step] = words[..] else { return None };
            expected.is_range_vector = Some((duration(from)?, duration(to)?, duration(step)?));
        } else if rest == "ordered" {
            expected.ordered = true;
        } else {
            let (kind, pattern) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let pattern = match pattern.trim().split_once(':') {
                Some(("msg", text)) => Some(Pattern::Text(text.trim().to_owned())),
                Some(("regex", text)) => Some(Pattern::Regex(Regex::new(text.trim()).ok()?)),
                _ => None,
            };
            expected.notes.push((kind.to_owned(), pattern));
        }
        return Some(false);
    }
    if let Ok(value) = text.parse() {
        expected.scalar = Some(value);
        return Some(true);
    }
    expected.lines.push(line(text)?);
    Some(false)
}

fn check(answer: &Result<Answer, Failure>, when: When, expected: &Expected) -> Result<(), String> {
    let must_fail = expected.notes.iter().find(|(kind, _)| kind == "fail");
    let answer = match (answer, must_fail) {
        (Ok(_), Some(_)) => return Err("it must fail but has an answer".into()),
        (Err(failure), None) => return Err(failure.text()),
        (Err(failure), Some((_, pattern))) => {
            let text = failure.text();
            let fits = pattern.as_ref().is_none_or(|pattern| pattern.matches(&text));
            // The texts of parse errors are our own.
            let ok = fits || matches!(failure, Failure::Parse(_));
            return if ok { Ok(()) } else { Err(format!("it fails with {text:?}")) };
        }
        (Ok(answer), None) => answer,
    };
    check_notes(answer, expected)?;
    check_value(&answer.value, when, expected)
}

fn check_notes(answer: &Answer, expected: &Expected) -> Result<(), String> {
    for (kind, texts) in [("warn", &answer.warnings), ("info", &answer.infos)] {
        let wanted: Vec<_> = expected.notes.iter().filter(|(k, _)| k == kind).collect();
        if expected.notes.iter().any(|(k, _)| *k == format!("no_{kind}")) && !texts.is_empty() {
            return Err(format!("no {kind} expected, got {texts:?}"));
        }
        let fits =
            |pattern: &Option<Pattern>, text: &String| pattern.as_ref().is_none_or(|p| p.matches(text));
        if !wanted.iter().all(|(_, pattern)| texts.iter().any(|text| fits(pattern, text))) {
            return Err(format!("{kind} {wanted:?} expected, got {texts:?}"));
        }
        if !wanted.is_empty() && !texts.iter().all(|text| wanted.iter().any(|(_, p)| fits(p, text))) {
            return Err(format!("more than one {kind} expected: {texts:?}"));
        }
    }
    Ok(())
}

fn check_value(value: &Value, when: When, expected: &Expected) -> Result<(), String> {
    match (value, when) {
        (Value::Scalar { value, .. }, _) if expected.scalar.is_some_and(|want| equal(*value, want)) => Ok(()),
        (Value::Text { text, .. }, _) if expected.text.as_ref() == Some(text) => Ok(()),
        (Value::Vector(samples), _) if expected.scalar.is_none() => {
            let got: Vec<(&Labels, Vec<Option<f64>>)> =
                samples.iter().map(|sample| (&*sample.labels, vec![Some(sample.value)])).collect();
            compare(&got, &expected.lines, expected.ordered)
        }
        (Value::Matrix(series), when) => {
            let (start, end, step) = match (expected.is_range_vector, when) {
                (Some(range), _) => range,
                (None, When::Range { start, end, step }) => (start, end, step),
                (None, When::Instant(_)) => return Err("a range vector was not expected".into()),
            };
            let got: Vec<_> =
                series.iter().map(|series| (&*series.labels, grid(series, start, end, step))).collect();
            let mut lines = expected.lines.clone();
            if let Some(value) = expected.scalar {
                lines.push(Line { labels: Labels::default(), points: vec![Some(Point::Float(value))] });
            }
            compare(&got, &lines, false)
        }
        (value, _) => Err(format!("got {value:?}")),
    }
}

fn grid(series: &Series, start: i64, end: i64, step: i64) -> Vec<Option<f64>> {
    let mut points = Vec::new();
    let mut time = start;
    while time <= end {
        points.push(series.times.iter().position(|&t| t == time).map(|at| series.values[at]));
        time += step;
    }
    let placed = points.iter().flatten().count();
    // A sample between the steps must not go unseen.
    if placed < series.times.len() {
        points.push(Some(f64::NAN));
    }
    points
}

fn compare(got: &[(&Labels, Vec<Option<f64>>)], expected: &[Line], ordered: bool) -> Result<(), String> {
    if got.len() != expected.len() {
        return Err(format!("{} series expected, got {got:?}", expected.len()));
    }
    for (index, want) in expected.iter().enumerate() {
        let found = got.iter().position(|(labels, _)| **labels == want.labels);
        let Some(found) = found.filter(|&found| !ordered || found == index) else {
            return Err(format!("{} not found at its place, got {got:?}", want.labels));
        };
        let (_, values) = &got[found];
        for step in 0..values.len().max(want.points.len()) {
            let same = match (values.get(step).copied().flatten(), want.points.get(step).copied().flatten()) {
                (Some(got), Some(Point::Float(want))) => equal(got, want),
                (None, None) => true,
                _ => false,
            };
            if !same {
                return Err(format!("{}: expected {:?}, got {values:?}", want.labels, want.points));
            }
        }
    }
    Ok(())
}

/// Equal up to one part in a million.
fn equal(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < 1e-6
}

/// With `@` on each selector the time of the evaluation must not matter.
fn pinned_holds(
    query: &Query,
    time: i64,
    expected: &Expected,
    store: &mut Store,
    options: &Options<'_>,
) -> bool {
    let Some(pinned) = query.pinned(time).filter(|_| expected.is_range_vector.is_none()) else { return true };
    [-10 * time, 0, time / 5, time, 10 * time].into_iter().all(|at| {
        let answer = pinned.instant(at, store, options).map_err(Failure::Eval);
        check(&answer, When::Instant(at), expected).is_ok()
    })
}

/// The middle one of three steps around the time must give the same as the instant query.
fn as_range(
    query: &Query,
    time: i64,
    expected: &Expected,
    answer: &Result<Answer, Failure>,
    store: &mut Store,
    options: &Options<'_>,
) -> Result<(), String> {
    let of_query = ["start()", "end()", "range()", "step()"].iter().any(|name| query.text().contains(name));
    let Ok(Answer { value: Value::Scalar { .. } | Value::Vector(_), .. }) = answer else { return Ok(()) };
    if of_query || expected.is_range_vector.is_some() {
        return Ok(());
    }
    let range =
        query.range(time - 60_000, time + 60_000, 60_000, store, options).map_err(|e| e.to_string())?;
    if store.met_native {
        return Ok(());
    }
    let Value::Matrix(series) = range.value else { return Err("no matrix".into()) };
    let at_time: Vec<_> = series
        .iter()
        .filter_map(|series| {
            let at = series.times.iter().position(|&t| t == time)?;
            Some((&*series.labels, vec![Some(series.values[at])]))
        })
        .collect();
    let mut lines = expected.lines.clone();
    if let Some(value) = expected.scalar {
        lines.push(Line { labels: Labels::default(), points: vec![Some(Point::Float(value))] });
    }
    compare(&at_time, &lines, false)
}
