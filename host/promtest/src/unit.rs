//! promtool's unit tests of rules: what `promtool test rules` reads, strict about keys that are not known.

use std::collections::BTreeMap;

use crate::duration::parse_duration;
use crate::places::{NotationError, SyntaxError};
use crate::series::{Labels, parse_series};
use crate::values::{MAX_FILE_POINTS, Point, left, parse_values};
use crate::yaml::{Node, Value, parse};

/// The interval of evaluations when a file names none.
const EVALUATION_INTERVAL: i64 = 60_000;

/// A file of unit tests. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitTests {
    /// Rule files, which may hold `*`; relative ones count from the file's folder.
    pub rule_files: Vec<String>,
    /// Between two evaluations of all groups, whatever their own intervals are. More than zero.
    pub evaluation_interval: i64,
    /// Names of groups that are evaluated in this order, before all others.
    pub group_eval_order: Vec<String>,
    /// A sample may be the next float beside the expected one.
    pub fuzzy_compare: bool,
    /// The tests, each with data of its own.
    pub tests: Vec<TestGroup>,
}

/// Series, and what the rules make of them.
#[derive(Debug, Clone, PartialEq)]
pub struct TestGroup {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// Its name for people.
    pub name: Option<String>,
    /// Between two samples of the input. More than zero.
    pub interval: i64,
    /// The time of the first samples and evaluations, Unix time; not negative.
    pub start: i64,
    /// The input.
    pub series: Vec<(Labels, Vec<Point>)>,
    /// Alerts that are to fire.
    pub alerts: Vec<AlertCase>,
    /// Expressions and what they are to give.
    pub expressions: Vec<ExpressionCase>,
    /// For templates.
    pub external_labels: Labels,
    /// For templates.
    pub external_url: String,
}

/// The alerts of one name that fire at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertCase {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// Behind the start of its test.
    pub eval_time: i64,
    /// The name.
    pub alertname: String,
    /// The alerts; none when none is to fire.
    pub expected: Vec<ExpectedAlert>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedAlert {
    /// Without `alertname`.
    pub labels: BTreeMap<String, String>,
    /// Text for people.
    pub annotations: BTreeMap<String, String>,
}

/// The value of an expression at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpressionCase {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// The expression.
    pub expression: String,
    /// Behind the start of its test.
    pub eval_time: i64,
    /// The samples, in any order; a native histogram, which is not read any further, has no value.
    pub expected: Vec<(Labels, Option<f64>)>,
}

/// Reads a file.
pub fn unit_tests(text: &str) -> Result<UnitTests, SyntaxError> {
    let root = parse(text)?;
    let mut fields = Fields::of(&root, "the file")?;
    let interval =
        fields.duration("evaluation_interval")?.filter(|it| *it > 0).unwrap_or(EVALUATION_INTERVAL);
    let mut tests = UnitTests {
        rule_files: fields.texts("rule_files")?,
        evaluation_interval: interval,
        group_eval_order: fields.texts("group_eval_order")?,
        fuzzy_compare: fields.truth("fuzzy_compare")?,
        tests: Vec::new(),
    };
    let mut room = MAX_FILE_POINTS;
    for node in fields.list("tests")? {
        tests.tests.push(test(node, interval, &mut room)?);
    }
    fields.end()?;
    Ok(tests)
}

/// `room` is how many samples the file may still have.
fn test(node: &Node, evaluation_interval: i64, room: &mut usize) -> Result<TestGroup, SyntaxError> {
    let mut fields = Fields::of(node, "a test")?;
    let mut test = TestGroup {
        line: node.line,
        name: fields.text("name")?.filter(|name| !name.is_empty()),
        interval: fields.duration("interval")?.filter(|it| *it > 0).unwrap_or(evaluation_interval),
        start: fields.get("start_timestamp").map(start).transpose()?.unwrap_or(0),
        series: Vec::new(),
        alerts: Vec::new(),
        expressions: Vec::new(),
        external_labels: fields.map("external_labels")?,
        external_url: fields.text("external_url")?.unwrap_or_default(),
    };
    for node in fields.list("input_series")? {
        let (labels, points) = input(node)?;
        *room = left(*room, &points).map_err(|message| node.error(message))?;
        test.series.push((labels, points));
    }
    for node in fields.list("alert_rule_test")? {
        test.alerts.push(alert_case(node)?);
    }
    for node in fields.list("promql_expr_test")? {
        test.expressions.push(expression_case(node)?);
    }
    fields.end()?;
    Ok(test)
}

fn input(node: &Node) -> Result<(Labels, Vec<Point>), SyntaxError> {
    let mut fields = Fields::of(node, "a series")?;
    let series = fields.needed("series")?;
    let labels = parse_series(&scalar(series)?).map_err(within(series, "the series"))?;
    let points = match fields.get("values") {
        Some(values) => parse_values(&scalar(values)?).map_err(within(values, "the values"))?,
        None => Vec::new(),
    };
    fields.end()?;
    Ok((labels, points))
}

fn alert_case(node: &Node) -> Result<AlertCase, SyntaxError> {
    let mut fields = Fields::of(node, "an alert_rule_test")?;
    let eval_time = fields.duration("eval_time")?.unwrap_or(0);
    let alertname = scalar(fields.needed("alertname")?)?;
    let mut expected = Vec::new();
    for node in fields.list("exp_alerts")? {
        let mut fields = Fields::of(node, "an expected alert")?;
        let alert =
            ExpectedAlert { labels: fields.map("exp_labels")?, annotations: fields.map("exp_annotations")? };
        fields.end()?;
        expected.push(alert);
    }
    fields.end()?;
    Ok(AlertCase { line: node.line, eval_time, alertname, expected })
}

fn expression_case(node: &Node) -> Result<ExpressionCase, SyntaxError> {
    let mut fields = Fields::of(node, "a promql_expr_test")?;
    let expression = scalar(fields.needed("expr")?)?;
    let eval_time = fields.duration("eval_time")?.unwrap_or(0);
    let mut expected = Vec::new();
    for node in fields.list("exp_samples")? {
        let mut fields = Fields::of(node, "an expected sample")?;
        let labels = match fields.get("labels") {
            Some(node) if !scalar(node)?.trim().is_empty() => {
                parse_series(&scalar(node)?).map_err(within(node, "the labels"))?
            }
            _ => Labels::new(),
        };
        let value = fields.get("value").map(number).transpose()?.unwrap_or(0.0);
        let is_histogram = fields.text("histogram")?.is_some_and(|text| !text.is_empty());
        fields.end()?;
        expected.push((labels, (!is_histogram).then_some(value)));
    }
    fields.end()?;
    Ok(ExpressionCase { line: node.line, expression, eval_time, expected })
}

/// The entries of a mapping, each taken once.
struct Fields<'a> {
    node: &'a Node,
    what: &'static str,
    entries: Vec<(&'a Node, &'a Node)>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    fn of(node: &'a Node, what: &'static str) -> Result<Self, SyntaxError> {
        let entries = match &node.value {
            Value::Map(entries) => entries.iter().map(|(key, value)| (key, value)).collect(),
            Value::Null => Vec::new(),
            _ => return Err(node.error(format!("{what} is a mapping of keys to values"))),
        };
        Ok(Self { node, what, entries, known: Vec::new() })
    }

    /// The value of a key, unless it is null.
    fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        let index = self.entries.iter().position(|(known, _)| known.key() == key)?;
        let (_, value) = self.entries.swap_remove(index);
        (value.value != Value::Null).then_some(value)
    }

    fn needed(&mut self, key: &'static str) -> Result<&'a Node, SyntaxError> {
        let missing = self.node.error(format!("{} needs the key `{key}`", self.what));
        self.get(key).ok_or(missing)
    }

    fn text(&mut self, key: &'static str) -> Result<Option<String>, SyntaxError> {
        self.get(key).map(scalar).transpose()
    }

    fn truth(&mut self, key: &'static str) -> Result<bool, SyntaxError> {
        let Some(node) = self.get(key) else { return Ok(false) };
        match scalar(node)?.to_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            other => Err(node.error(format!("`{other}` is neither `true` nor `false`"))),
        }
    }

    /// Milliseconds.
    fn duration(&mut self, key: &'static str) -> Result<Option<i64>, SyntaxError> {
        let Some(node) = self.get(key) else { return Ok(None) };
        let millis = parse_duration(&scalar(node)?).map_err(|error| node.error(error.to_string()))?;
        Ok(Some(millis))
    }

    fn list(&mut self, key: &'static str) -> Result<&'a [Node], SyntaxError> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Node { value: Value::List(list), .. }) => Ok(list),
            Some(node) => Err(node.error(format!("`{key}` is a list"))),
        }
    }

    fn texts(&mut self, key: &'static str) -> Result<Vec<String>, SyntaxError> {
        self.list(key)?.iter().map(scalar).collect()
    }

    fn map(&mut self, key: &'static str) -> Result<BTreeMap<String, String>, SyntaxError> {
        match self.get(key) {
            None => Ok(BTreeMap::new()),
            Some(Node { value: Value::Map(entries), .. }) => {
                entries.iter().map(|(key, value)| Ok((scalar(key)?, scalar(value)?))).collect()
            }
            Some(node) => Err(node.error(format!("`{key}` is a mapping of names to values"))),
        }
    }

    /// Complains about keys that nobody took.
    fn end(self) -> Result<(), SyntaxError> {
        match self.entries.iter().min_by_key(|(key, _)| (key.line, key.column)) {
            None => Ok(()),
            Some((key, _)) => {
                let known = self.known.join("`, `");
                Err(key.error(format!("{} has no key `{}`; it has `{known}`", self.what, key.key())))
            }
        }
    }
}

/// Null counts as an empty text.
fn scalar(node: &Node) -> Result<String, SyntaxError> {
    match &node.value {
        Value::Scalar(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        _ => Err(node.error("one value is expected here, no list and no mapping")),
    }
}

fn number(node: &Node) -> Result<f64, SyntaxError> {
    let text = scalar(node)?;
    let value = match text.to_lowercase().as_str() {
        ".nan" => Some(f64::NAN),
        ".inf" | "+.inf" => Some(f64::INFINITY),
        "-.inf" => Some(f64::NEG_INFINITY),
        plain => match plain.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok().map(|number| number as f64),
            None => plain.replace('_', "").parse().ok(),
        },
    };
    value.ok_or_else(|| node.error(format!("`{text}` is no number")))
}

/// Unix seconds, or a time as RFC 3339 writes it.
fn start(node: &Node) -> Result<i64, SyntaxError> {
    let text = scalar(node)?;
    let wrong = || {
        node.error(format!(
            "`{text}` is no time since 1970: write Unix seconds or such as `2024-02-29T12:00:00Z`"
        ))
    };
    let seconds = text.parse::<f64>().ok().map(|seconds| (seconds * 1000.0).round());
    let millis = match seconds {
        Some(millis) => Some(millis).filter(|it| (0.0..=MAX_START).contains(it)).map(|it| it as i64),
        None => rfc3339(&text).filter(|millis| *millis >= 0),
    };
    millis.ok_or_else(wrong)
}

/// The year 2200, in milliseconds: nanoseconds still fit in 64 bits.
const MAX_START: f64 = 7_258_118_400_000.0;

/// Milliseconds of Unix time.
fn rfc3339(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-')?;
    let (clock, offset) = match time.strip_suffix(['Z', 'z']) {
        Some(clock) => (clock, 0),
        None => {
            let at = time.rfind(['+', '-'])?;
            let [hours, minutes] = numbers(time.get(at + 1..)?, ':')?;
            let sign = if time[at..].starts_with('-') { -1 } else { 1 };
            (&time[..at], sign * (hours * 60 + minutes) * 60_000)
        }
    };
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(whole, ':')?;
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let in_range = (1970..2200).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_fraction || !in_range || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let millis = format!("{fraction:0<3}").get(..3)?.parse::<i64>().ok()?;
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * 1000 + millis - offset)
}

fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let digits =
        |part: &str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|it| it.is_ascii_digit());
    let parts: Option<Vec<i64>> =
        text.split(separator).map(|part| part.parse().ok().filter(|_| digits(part))).collect();
    parts?.try_into().ok()
}

/// Days from 1970-01-01 on, in the Gregorian calendar (after H. Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// What is wrong within a value, at the value's place: only a plain value shows where in it.
fn within(node: &Node, what: &'static str) -> impl Fn(NotationError) -> SyntaxError {
    let (line, column) = (node.line, node.column);
    move |error| {
        let NotationError { column: at, message } = error;
        SyntaxError { line, column, message: format!("{what} cannot be read at character {at}: {message}") }
    }
}

#[cfg(test)]
mod tests;
