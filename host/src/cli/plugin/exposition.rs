//! Metrics as text, as Prometheus' exporters show them
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>): input for alert
//! rules on the bench. Comments and types are passed over; histograms are read as the series they are.

use anyhow::{Context as _, bail};

/// One line: a series and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// The metric's name.
    pub(super) name: String,
    /// In the order of the line.
    pub(super) labels: Vec<(String, String)>,
    /// The value.
    pub(super) value: f64,
    /// Unix time in nanoseconds, if the line has one.
    pub(super) time: Option<u64>,
}

/// Reads a text; the error names the line.
pub(super) fn parse(text: &str) -> anyhow::Result<Vec<Line>> {
    let is_line = |(_, line): &(usize, &str)| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    text.lines()
        .enumerate()
        .filter(is_line)
        .map(|(number, line)| read(line.trim()).with_context(|| format!("line {}", number + 1)))
        .collect()
}

/// Reads a series without a value: its name, and its labels by name.
pub(super) fn series(text: &str) -> anyhow::Result<(String, Vec<(String, String)>)> {
    let Line { name, mut labels, time, .. } = read(&format!("{} 0", text.trim()))?;
    if time.is_some() {
        bail!("a name and labels are expected, nothing behind them");
    }
    labels.sort();
    Ok((name, labels))
}

fn read(line: &str) -> anyhow::Result<Line> {
    let name_end = line.find(|c: char| c == '{' || c.is_whitespace()).context("a value is missing")?;
    let (name, mut rest) = line.split_at(name_end);
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(valid) {
        bail!("`{}` is no name of a metric", name.chars().take(80).collect::<String>());
    }
    let mut labels = Vec::new();
    rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start();
        while !rest.starts_with('}') {
            let (label, behind) = rest.split_once('=').context("behind a label's name stands `=`")?;
            let (value, behind) = quoted(behind.trim_start())?;
            labels.push((label.trim().to_owned(), value));
            rest = behind.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        rest = &rest[1..];
    }
    let mut words = rest.split_whitespace();
    let value = words.next().context("a value is missing")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().with_context(|| format!("`{number}` is no number"))?,
    };
    let millis =
        words.next().map(str::parse::<u64>).transpose().context("the time is no number of milliseconds")?;
    Ok(Line {
        name: name.to_owned(),
        labels,
        value,
        time: millis.map(|millis| millis.saturating_mul(1_000_000)),
    })
}

fn quoted(text: &str) -> anyhow::Result<(String, &str)> {
    let inside = text.strip_prefix('"').context("a label's value stands in quotes")?;
    let mut value = String::new();
    let mut characters = inside.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &inside[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            other => value.push(other),
        }
    }
    bail!("the closing quote of a label's value is missing")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_read_as_exporters_write_them() {
        let text = "# TYPE up gauge\nup 1\n\nhttp_total{code=\"200\", path=\"/a\\\"b\\\\\",} 3e2 1700000000000\nx{} +Inf\n";
        let lines = parse(text).unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!((lines[0].name.as_str(), lines[0].value, lines[0].time), ("up", 1.0, None));
        assert_eq!(lines[1].labels, [("code".into(), "200".into()), ("path".into(), "/a\"b\\".into())]);
        assert_eq!(lines[1].time, Some(1_700_000_000_000_000_000));
        assert_eq!(lines[2].value, f64::INFINITY);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, says) in [
            ("up 1\nup", "line 2"),
            ("1up 3", "no name"),
            ("up{a=b} 1", "quotes"),
            ("up{a=\"b} 1", "closing quote"),
            ("up one", "no number"),
            ("up{a", "`=`"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_series_is_a_name_and_labels_and_nothing_else() {
        let (name, labels) = series("a_total{y=\"2\",x=\"1\"}").unwrap();
        assert_eq!((name.as_str(), labels.len(), labels[0].0.as_str()), ("a_total", 2, "x"));
        assert_eq!(series("up").unwrap(), ("up".into(), vec![]));
        assert!(series("up 1").is_err());
        assert!(series("").is_err());
        assert!(series("up{a").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}|[a-z{}=\",\\\\ 0-9\n]{0,60}") {
            let _ = parse(&text);
        }
    }
}
