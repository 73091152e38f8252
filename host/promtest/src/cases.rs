//! One evaluation of a `.test` file with what is expected of it.

use picket_pattern::MAX_COMPILED_BYTES;
use regex::Regex;

use crate::duration::parse_duration;
use crate::places::{NotationError, SyntaxError};
use crate::scan::Cursor;
use crate::series::{Labels, series};
use crate::values::{Point, values};

/// An expression, when it is evaluated, and what is expected.
#[derive(Debug, Clone)]
pub struct Case {
    /// The line of its `eval`, counted from 1.
    pub line: usize,
    /// The expression.
    pub expression: String,
    /// Milliseconds of Unix time.
    pub time: Time,
    /// What is expected.
    pub expected: Expected,
}

/// When an expression is evaluated, in milliseconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// Once.
    Instant(i64),
    /// At every step from the start on, the end included when a step meets it.
    Range {
        /// The first time.
        start: i64,
        /// The last time at most.
        end: i64,
        /// More than zero.
        step: i64,
    },
}

/// What is expected of an evaluation.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Its result.
    pub results: Results,
    /// It fails; with patterns for the message, all of which have to match.
    pub fail: Option<Vec<Pattern>>,
    /// The order of an instant vector counts.
    pub ordered: bool,
    /// What is said beside the result.
    pub warnings: Annotation,
    /// Likewise.
    pub infos: Annotation,
}

/// The result that is expected.
#[derive(Debug, Clone, Default)]
pub enum Results {
    /// Nothing.
    #[default]
    Empty,
    /// A number.
    Scalar(f64),
    /// A string.
    Text(String),
    /// A matrix as the result of an instant query, with samples at every step of its own range.
    Matrix {
        /// The time of the first sample and the time between two, in milliseconds.
        from: i64,
        /// More than zero.
        step: i64,
        /// The rows.
        rows: Vec<(Labels, Vec<Point>)>,
    },
    /// Series: of an instant vector with one sample each, of a range with one for each step.
    Series(Vec<(Labels, Vec<Point>)>),
}

/// What is expected of the warnings or of the infos.
#[derive(Debug, Clone, Default)]
pub enum Annotation {
    /// Nobody cares.
    #[default]
    Any,
    /// None.
    None,
    /// One at least; each pattern matches one, and one of the patterns matches each. No pattern: anything will do.
    Some(Vec<Pattern>),
}

/// A message that is expected.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// Word for word.
    Text(String),
    /// By a regular expression, somewhere in it.
    Regex(Regex),
}

impl Pattern {
    /// Whether a message is one of these.
    pub fn matches(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message == text,
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Regex(regex) => write!(f, "/{regex}/"),
        }
    }
}

impl Expected {
    /// What the old forms `eval_fail`, `eval_warn`, `eval_info` and `eval_ordered` say.
    pub(crate) fn of_suffix(suffix: &str) -> Option<Self> {
        let mut expected = Self::default();
        match suffix {
            "" => {}
            "fail" => expected.fail = Some(Vec::new()),
            "warn" => expected.warnings = Annotation::Some(Vec::new()),
            "info" => expected.infos = Annotation::Some(Vec::new()),
            "ordered" => expected.ordered = true,
            _ => return None,
        }
        Some(expected)
    }

    /// Reads one line below an `eval`; true when no more can follow.
    pub(crate) fn line(&mut self, line: &str) -> Result<bool, NotationError> {
        if let Some(rest) = word(line, "expect") {
            self.expect(line, rest)?;
            return Ok(false);
        }
        let olds: [(&str, Make); 2] = [("expected_fail_message", text), ("expected_fail_regexp", regex)];
        for (name, make) in olds {
            if let Some(rest) = word(line, name) {
                let pattern =
                    make(rest).map_err(|message| NotationError::at(line, name.len() + 1, message))?;
                self.fail.get_or_insert_default().push(pattern);
                return Ok(false);
            }
        }
        if let Some(number) = number(line) {
            self.results = Results::Scalar(number);
            return Ok(true);
        }
        let mut cursor = Cursor::new(line);
        let row = (series(&mut cursor)?, values(&mut cursor)?);
        match &mut self.results {
            Results::Series(rows) | Results::Matrix { rows, .. } => rows.push(row),
            _ => self.results = Results::Series(vec![row]),
        }
        Ok(false)
    }

    /// What stands behind `expect`.
    fn expect(&mut self, line: &str, rest: &str) -> Result<(), NotationError> {
        let wrong = |message: String| NotationError::at(line, line.len() - rest.len(), message);
        if let Some(rest) = word(rest, "string") {
            self.results = Results::Text(Cursor::new(rest).quoted()?);
            return Ok(());
        }
        if let Some(rest) = word(rest, "range").and_then(|rest| word(rest, "vector")) {
            let (from, _, step) = range(rest).map_err(wrong)?;
            self.results = Results::Matrix { from, step, rows: Vec::new() };
            return Ok(());
        }
        let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let pattern = pattern(rest.trim()).map_err(wrong)?;
        match kind {
            "fail" => self.fail.get_or_insert_default().extend(pattern),
            "warn" => self.warnings.add(pattern),
            "info" => self.infos.add(pattern),
            "no_warn" if pattern.is_none() => self.warnings = Annotation::None,
            "no_info" if pattern.is_none() => self.infos = Annotation::None,
            "ordered" if pattern.is_none() => self.ordered = true,
            _ => return Err(wrong(format!("`expect {kind}` is not known, or has no pattern"))),
        }
        Ok(())
    }
}

impl Annotation {
    fn add(&mut self, pattern: Option<Pattern>) {
        match self {
            Self::Some(patterns) => patterns.extend(pattern),
            _ => *self = Self::Some(pattern.into_iter().collect()),
        }
    }

    /// What is wrong with the messages that came; none when they are as expected.
    pub fn mismatch(&self, messages: &[String]) -> Option<String> {
        match self {
            Self::Any => None,
            Self::None => {
                (!messages.is_empty()).then(|| format!("none was expected, there is `{}`", messages[0]))
            }
            Self::Some(_) if messages.is_empty() => Some("one was expected, there is none".to_owned()),
            Self::Some(patterns) if patterns.is_empty() => None,
            Self::Some(patterns) => {
                let missing = patterns.iter().find(|pattern| !messages.iter().any(|it| pattern.matches(it)));
                let extra = messages.iter().find(|message| !patterns.iter().any(|it| it.matches(message)));
                match (missing, extra) {
                    (Some(pattern), _) => {
                        Some(format!("{pattern} was expected, there is `{}`", messages.join("`, `")))
                    }
                    (None, Some(message)) => Some(format!("`{message}` was not expected")),
                    (None, None) => None,
                }
            }
        }
    }
}

/// Makes a pattern of a text.
type Make = fn(&str) -> Result<Pattern, String>;

fn text(text: &str) -> Result<Pattern, String> {
    Ok(Pattern::Text(text.trim().to_owned()))
}

fn regex(text: &str) -> Result<Pattern, String> {
    let built = picket_pattern::search(text.trim(), MAX_COMPILED_BYTES);
    built.map(Pattern::Regex).map_err(|error| error.to_string())
}

/// `msg: TEXT`, `regex: PATTERN`, or nothing.
fn pattern(rest: &str) -> Result<Option<Pattern>, String> {
    match rest.split_once(':') {
        _ if rest.is_empty() => Ok(None),
        Some(("msg", message)) => text(message).map(Some),
        Some(("regex", pattern)) => regex(pattern).map(Some),
        _ => Err("`msg: TEXT` or `regex: PATTERN` is expected here".to_owned()),
    }
}

/// What stands behind a word and blanks.
pub(crate) fn word<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(word)?;
    rest.starts_with(char::is_whitespace).then(|| rest.trim_start())
}

/// A scalar as a result: a Go number, hexadecimal too.
fn number(line: &str) -> Option<f64> {
    let (sign, digits) = match line.as_bytes().first()? {
        b'-' => (-1.0, &line[1..]),
        b'+' => (1.0, &line[1..]),
        _ => (1.0, line),
    };
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let value = match hexadecimal {
        Some(digits) => u64::from_str_radix(digits, 16).ok()? as f64,
        None if digits.starts_with(['+', '-']) => return None,
        None if digits.eq_ignore_ascii_case("infinity") => return None,
        None => digits.parse().ok()?,
    };
    Some(sign * value)
}

/// `from A to B step C`, in milliseconds.
pub(crate) fn range(text: &str) -> Result<(i64, i64, i64), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let ["from", from, "to", to, "step", step] = words[..] else {
        return Err("`from START to END step STEP` is expected here".to_owned());
    };
    let millis = |text| parse_duration(text).map_err(|error| error.to_string());
    let (from, to, step) = (millis(from)?, millis(to)?, millis(step)?);
    match (to < from, step == 0) {
        (true, _) => Err("the range ends before it begins".to_owned()),
        (_, true) => Err("the step of a range cannot be zero".to_owned()),
        _ => Ok((from, to, step)),
    }
}

/// Reads the line that begins an evaluation; its expectations follow.
pub(crate) fn head(line: &str, number: usize) -> Result<Case, SyntaxError> {
    let wrong = |message: String| SyntaxError { line: number, column: 1, message };
    let usage = || {
        wrong(
            "`eval instant [at TIME] EXPRESSION` or `eval range from A to B step C EXPRESSION` is expected"
                .into(),
        )
    };
    let (first, rest) = line.split_once(char::is_whitespace).ok_or_else(usage)?;
    let suffix = first.get(4..).unwrap_or_default();
    let suffix = suffix.strip_prefix('_').unwrap_or(suffix).to_lowercase();
    let expected = Expected::of_suffix(&suffix).ok_or_else(usage)?;
    let rest = rest.trim_start();
    let (time, expression) = match (word(rest, "instant"), word(rest, "range")) {
        (Some(rest), _) => instant(rest),
        (_, Some(rest)) => behind_range(rest),
        _ => return Err(usage()),
    }
    .map_err(wrong)?;
    if expression.is_empty() {
        return Err(usage());
    }
    Ok(Case { line: number, expression: expression.to_owned(), time, expected })
}

fn instant(rest: &str) -> Result<(Time, &str), String> {
    let Some(rest) = word(rest, "at") else { return Ok((Time::Instant(0), rest)) };
    let (time, expression) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    Ok((Time::Instant(parse_duration(time).map_err(|error| error.to_string())?), expression.trim()))
}

fn behind_range(rest: &str) -> Result<(Time, &str), String> {
    // Six words, then the expression.
    let mut expression = rest;
    for _ in 0..6 {
        expression = expression.trim_start();
        expression = expression.find(char::is_whitespace).map_or("", |end| &expression[end..]);
    }
    let (start, end, step) = range(&rest[..rest.len() - expression.len()])?;
    Ok((Time::Range { start, end, step }, expression.trim()))
}
