//! Single lines of both formats.

use super::cursor::{Cursor, beginning, unescaped};
use super::{Entry, Fault, Kind, MAX_HELP_BYTES, Sample};

/// A line of the text format; none when it says nothing.
pub(super) fn text(line: &str) -> Result<Option<Entry<'_>>, Fault> {
    let mut cursor = Cursor { rest: line.trim_matches([' ', '\t']) };
    if cursor.rest.is_empty() {
        return Ok(None);
    }
    if cursor.eat('#') {
        return text_comment(cursor);
    }
    let mut sample = series(&mut cursor)?;
    cursor.skip_blanks();
    sample.value = number(cursor.word())?;
    cursor.skip_blanks();
    if !cursor.rest.is_empty() {
        let word = cursor.word();
        let time = word.parse().map_err(|_| Fault::Time { text: beginning(word), unit: "milliseconds" })?;
        sample.time_ms = Some(time);
        cursor.skip_blanks();
    }
    match cursor.rest {
        "" => Ok(Some(Entry::Sample(sample))),
        _ => Err(cursor.fault("the end of the line")),
    }
}

/// What stands behind `#`. What is neither help nor a type is for people.
fn text_comment(mut cursor: Cursor<'_>) -> Result<Option<Entry<'_>>, Fault> {
    if !cursor.rest.starts_with([' ', '\t']) {
        return Ok(None);
    }
    cursor.skip_blanks();
    let word = cursor.word();
    if !matches!(word, "HELP" | "TYPE") {
        return Ok(None);
    }
    cursor.skip_blanks();
    let family = cursor.metric_name()?;
    if !cursor.rest.is_empty() && !cursor.rest.starts_with([' ', '\t']) {
        return Err(cursor.fault("a blank"));
    }
    cursor.skip_blanks();
    let entry = match word {
        "HELP" => help(family, cursor.rest),
        _ => Entry::Kind { family, kind: text_kind(cursor.rest)? },
    };
    Ok(Some(entry))
}

fn text_kind(word: &str) -> Result<Kind, Fault> {
    match word {
        "counter" => Ok(Kind::Counter),
        "gauge" => Ok(Kind::Gauge),
        "histogram" => Ok(Kind::Histogram),
        "summary" => Ok(Kind::Summary),
        "untyped" | "unknown" => Ok(Kind::Unknown),
        _ => Err(Fault::Kind { word: beginning(word) }),
    }
}

fn help<'a>(family: &'a str, text: &'a str) -> Entry<'a> {
    Entry::Help { family, text: unescaped(cut(text)) }
}

/// As much of a help text as is read, without half an escape at its end.
fn cut(text: &str) -> &str {
    if text.len() <= MAX_HELP_BYTES {
        return text;
    }
    let text = &text[..text.floor_char_boundary(MAX_HELP_BYTES)];
    let backslashes = text.bytes().rev().take_while(|byte| *byte == b'\\').count();
    &text[..text.len() - backslashes % 2]
}

/// A line of OpenMetrics that is not its end. Between parts there is one blank.
pub(super) fn open_metrics(line: &str) -> Result<Entry<'_>, Fault> {
    let mut cursor = Cursor { rest: line };
    if cursor.eat('#') {
        return metadata(cursor);
    }
    let mut sample = series(&mut cursor)?;
    cursor.expect(' ', "a blank")?;
    sample.value = number(cursor.word())?;
    if !cursor.rest.is_empty() && !cursor.rest.starts_with(" # ") {
        cursor.expect(' ', "a blank")?;
        sample.time_ms = Some(seconds(cursor.word())?);
    }
    if !cursor.rest.is_empty() {
        exemplar(&mut cursor)?;
    }
    Ok(Entry::Sample(sample))
}

/// What stands behind `#`.
fn metadata(mut cursor: Cursor<'_>) -> Result<Entry<'_>, Fault> {
    cursor.expect(' ', "a blank")?;
    let before = cursor.rest;
    let word = cursor.word();
    if !matches!(word, "HELP" | "TYPE" | "UNIT") {
        return Err(Cursor { rest: before }.fault("`HELP`, `TYPE`, `UNIT` or `EOF`"));
    }
    cursor.expect(' ', "a blank")?;
    let family = cursor.metric_name()?;
    if !cursor.rest.is_empty() || word == "TYPE" {
        cursor.expect(' ', "a blank")?;
    }
    match word {
        "HELP" => Ok(help(family, cursor.rest)),
        "TYPE" => Ok(Entry::Kind { family, kind: open_metrics_kind(cursor.rest)? }),
        _ => unit(family, cursor.rest),
    }
}

fn open_metrics_kind(word: &str) -> Result<Kind, Fault> {
    match word {
        "gaugehistogram" => Ok(Kind::GaugeHistogram),
        "info" => Ok(Kind::Info),
        "stateset" => Ok(Kind::StateSet),
        "untyped" => Err(Fault::Kind { word: beginning(word) }),
        _ => text_kind(word),
    }
}

fn unit<'a>(family: &'a str, unit: &'a str) -> Result<Entry<'a>, Fault> {
    let fits = unit.is_empty() || family.strip_suffix(unit).is_some_and(|before| before.ends_with('_'));
    match fits {
        true => Ok(Entry::Unit { family, unit }),
        false => Err(Fault::Unit { unit: beginning(unit) }),
    }
}

/// An exemplar, which is left out.
fn exemplar(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    let behind = cursor.rest.strip_prefix(" # {");
    cursor.rest = behind.ok_or_else(|| cursor.fault("an exemplar or the end of the line"))?;
    cursor.labels()?;
    cursor.expect(' ', "a blank")?;
    number(cursor.word())?;
    if !cursor.rest.is_empty() {
        cursor.expect(' ', "a blank")?;
        seconds(cursor.word())?;
    }
    match cursor.rest {
        "" => Ok(()),
        _ => Err(cursor.fault("the end of the line")),
    }
}

/// A name with its labels; value and time are still to come.
fn series<'a>(cursor: &mut Cursor<'a>) -> Result<Sample<'a>, Fault> {
    // `{"a.name", …}`: the name stands among the labels when it has to be quoted.
    if cursor
        .rest
        .strip_prefix('{')
        .is_some_and(|inner| inner.trim_start_matches([' ', '\t']).starts_with('"'))
    {
        return Err(Fault::QuotedName);
    }
    let name = cursor.metric_name()?;
    let before = cursor.rest;
    cursor.skip_blanks();
    let labels = match cursor.eat('{') {
        true => cursor.labels()?,
        false => {
            cursor.rest = before;
            if !before.starts_with([' ', '\t']) {
                return Err(cursor.fault("`{` or a blank"));
            }
            Vec::new()
        }
    };
    Ok(Sample { name, labels, value: 0.0, time_ms: None })
}

fn number(word: &str) -> Result<f64, Fault> {
    let number: Result<f64, _> = word.parse();
    match number {
        // Whatever the sign: no page can say a stale marker.
        Ok(number) if number.is_nan() => Ok(f64::NAN),
        Ok(number) => Ok(number),
        Err(_) if word.is_empty() => Err(Fault::Ends { expected: "a value" }),
        Err(_) => Err(Fault::Number { text: beginning(word) }),
    }
}

/// Seconds as milliseconds.
fn seconds(word: &str) -> Result<i64, Fault> {
    let time = word.parse::<f64>().ok().map(|seconds| (seconds * 1000.0).round());
    match time {
        // Beyond 2^53 milliseconds are not whole any more.
        Some(time) if time.abs() < 9_007_199_254_740_992.0 => Ok(time as i64),
        _ => Err(Fault::Time { text: beginning(word), unit: "seconds" }),
    }
}
