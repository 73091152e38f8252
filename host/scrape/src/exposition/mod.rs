//! What a target's page says, in the text exposition format 0.0.4 of Prometheus ("Exposition formats", Prometheus
//! documentation) or in OpenMetrics 1.0 ("OpenMetrics, a cloud-native, highly scalable metrics protocol").
//!
//! Names are of letters, digits, `_` and `:`. The quoted names of Prometheus 3, which may be any text, are refused:
//! neither the series store nor most receivers take them, and a target sends them only to who asks for them. Exemplars
//! are read and left out. Values and texts borrow from the page, unless they hold escapes.

mod cursor;
mod line;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// The most labels of a sample: what relabelling rules can make of one.
pub const MAX_LABELS: usize = 256;
/// The longest name of a metric or a label: four times what the series store takes.
pub const MAX_NAME_BYTES: usize = 1 << 10;
/// The longest value of a label: room for a statement or a command line, which rules may cut or drop.
pub const MAX_VALUE_BYTES: usize = 64 << 10;
/// Of a text of `# HELP`, which is a sentence, so many bytes are read at most: four times what the series store keeps.
/// What is longer is cut, since no sample depends on it.
pub const MAX_HELP_BYTES: usize = 4 << 10;

/// How a page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text exposition format, 0.0.4.
    Text,
    /// OpenMetrics, 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that a `Content-Type` names. Without one, and for any kind of text, it is the text format, as
    /// exporters say many things there; none for what is no text.
    pub fn of(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/openmetrics-text" => Some(Self::OpenMetrics),
            "" => Some(Self::Text),
            text if text.starts_with("text/") => Some(Self::Text),
            _ => None,
        }
    }
}

/// What a metric is. The text format has the first five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
    /// Quantiles.
    Summary,
    /// Nobody knows: `untyped` or `unknown`.
    Unknown,
    /// Buckets that go up and down.
    GaugeHistogram,
    /// Labels that say something; always 1.
    Info,
    /// States of which some hold.
    StateSet,
}

impl Kind {
    /// Its word in Prometheus' API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Unknown => "unknown",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }
}

/// A sample as it stands on the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// Names and values in the order of the page, those with empty values among them. No name stands twice.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// The value; any NaN is the ordinary one.
    pub value: f64,
    /// Unix time in milliseconds, where the page says one.
    pub time_ms: Option<i64>,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    /// `# TYPE`.
    Kind {
        /// The family's name.
        family: &'a str,
        /// What it is.
        kind: Kind,
    },
    /// `# HELP`.
    Help {
        /// The family's name.
        family: &'a str,
        /// What it means; cut at [`MAX_HELP_BYTES`].
        text: Cow<'a, str>,
    },
    /// `# UNIT`, of OpenMetrics.
    Unit {
        /// The family's name.
        family: &'a str,
        /// The unit, which ends the name.
        unit: &'a str,
    },
    /// A sample.
    Sample(Sample<'a>),
}

/// A page that is not in its format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes are no text.
    #[error("is no UTF-8 text")]
    NoText,
    /// Something else stands where a part should.
    #[error("{expected} is expected, and `{found}` stands there")]
    Expected {
        /// The part.
        expected: &'static str,
        /// The beginning of what is there.
        found: String,
    },
    /// The line ends before a part.
    #[error("ends where {expected} is expected")]
    Ends {
        /// The part.
        expected: &'static str,
    },
    /// A name in quotes.
    #[error("has a quoted name; only names of letters, digits, `_` and `:` are supported")]
    QuotedName,
    /// A label twice.
    #[error("has the label `{name}` twice")]
    LabelTwice {
        /// Its name.
        name: String,
    },
    /// The metric's name among the labels.
    #[error("has a label `__name__`, which is what the metric's name is kept under")]
    NameLabel,
    /// No number.
    #[error("`{text}` is no number")]
    Number {
        /// The beginning of what is there.
        text: String,
    },
    /// No time.
    #[error("`{text}` is no time; it is a number of {unit} since 1970")]
    Time {
        /// The beginning of what is there.
        text: String,
        /// Milliseconds or seconds.
        unit: &'static str,
    },
    /// No type.
    #[error("`{word}` is no type of a metric")]
    Kind {
        /// The beginning of the word.
        word: String,
    },
    /// The unit is no part of the name.
    #[error("the name does not end with its unit `{unit}`")]
    Unit {
        /// The beginning of the unit.
        unit: String,
    },
    /// Something is larger than it may be.
    #[error("{what} has more than {most}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its bound, with the unit.
        most: &'static str,
    },
    /// What is wrong cannot be told without quoting what must not be shown. No parser says it; who knows the secrets does.
    #[error(
        "is malformed; it is not quoted, since a password, a token or a header of the request stands in it"
    )]
    Secret,
    /// OpenMetrics without its end: the page was cut off.
    #[error("the page ends without `# EOF`")]
    NoEnd,
    /// OpenMetrics beyond its end.
    #[error("something stands behind `# EOF`")]
    BehindEnd,
}

impl Fault {
    /// Whether the message has something of the page in it.
    pub fn is_quote(&self) -> bool {
        match self {
            Self::Expected { .. }
            | Self::LabelTwice { .. }
            | Self::Number { .. }
            | Self::Time { .. }
            | Self::Kind { .. }
            | Self::Unit { .. } => true,
            Self::NoText
            | Self::Ends { .. }
            | Self::QuotedName
            | Self::NameLabel
            | Self::TooLarge { .. }
            | Self::Secret
            | Self::NoEnd
            | Self::BehindEnd => false,
        }
    }
}

/// Goes through a page line by line. After an error there is nothing more.
#[derive(Debug, Clone)]
pub struct Parser<'a> {
    format: Format,
    rest: &'a str,
    line: usize,
    /// `# EOF` was there, or an error.
    is_over: bool,
}

impl<'a> Parser<'a> {
    /// A page in a format, which must be UTF-8 throughout.
    pub fn new(format: Format, page: &'a [u8]) -> Result<Self, ParseError> {
        match std::str::from_utf8(page) {
            Ok(rest) => Ok(Self { format, rest, line: 0, is_over: false }),
            Err(error) => {
                let line = 1 + memchr::memchr_iter(b'\n', &page[..error.valid_up_to()]).count();
                Err(ParseError { line, fault: Fault::NoText })
            }
        }
    }

    fn next_line(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        let (line, rest) = match memchr::memchr(b'\n', self.rest.as_bytes()) {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, ""),
        };
        self.rest = rest;
        Some(line)
    }

    fn entry(&mut self) -> Result<Option<Entry<'a>>, Fault> {
        while let Some(line) = self.next_line() {
            let entry = match self.format {
                Format::Text => line::text(line)?,
                Format::OpenMetrics if line == "# EOF" => {
                    self.is_over = true;
                    return if self.rest.is_empty() { Ok(None) } else { Err(Fault::BehindEnd) };
                }
                Format::OpenMetrics => Some(line::open_metrics(line)?),
            };
            if entry.is_some() {
                return Ok(entry);
            }
        }
        match self.format {
            Format::Text => Ok(None),
            Format::OpenMetrics => {
                self.line += 1;
                Err(Fault::NoEnd)
            }
        }
    }
}

impl<'a> Iterator for Parser<'a> {
    type Item = Result<Entry<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let entry = self.entry();
        self.is_over |= !matches!(entry, Ok(Some(_)));
        entry.map_err(|fault| ParseError { line: self.line, fault }).transpose()
    }
}
