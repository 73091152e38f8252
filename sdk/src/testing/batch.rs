//! Batches for tests.

use super::host;
use crate::Timestamp;
use crate::bindings::analyzer_kind::exports::picket::plugin::analyzer as wit;
use crate::types::Label;

/// Records of one stream, all of the test clock's time: what a source `test` would read.
pub fn batch<L: AsRef<[u8]>>(lines: &[L]) -> Lines {
    Lines::new().lines(lines)
}

/// A batch in the making.
#[derive(Debug, Clone)]
pub struct Lines {
    pub(super) wit: wit::Batch,
    time: Timestamp,
}

impl Default for Lines {
    fn default() -> Self {
        Self::new()
    }
}

impl Lines {
    /// A batch without records, of the stream `/var/log/test.log` of the source `test`.
    pub fn new() -> Self {
        let wit = wit::Batch {
            source: "test".to_owned(),
            stream: "/var/log/test.log".to_owned(),
            labels: Vec::new(),
            data: Vec::new(),
            ends: Vec::new(),
            times: Vec::new(),
            hits: Vec::new(),
            passed_over: 0,
            columns: Vec::new(),
        };
        Self { wit, time: host::now() }
    }

    /// Names the source and the stream.
    #[must_use]
    pub fn from(mut self, source: &str, stream: &str) -> Self {
        self.wit.source = source.to_owned();
        self.wit.stream = stream.to_owned();
        self
    }

    /// Adds a label of the stream.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.wit.labels.push(Label::new(name, value));
        self
    }

    /// Sets the time of the records that are added from here on.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = time;
        self
    }

    /// Adds a record.
    #[must_use]
    pub fn line(mut self, line: impl AsRef<[u8]>) -> Self {
        self.push(line.as_ref(), self.time);
        self
    }

    /// Adds records.
    #[must_use]
    pub fn lines<L: AsRef<[u8]>>(mut self, lines: &[L]) -> Self {
        for line in lines {
            self.push(line.as_ref(), self.time);
        }
        self
    }

    /// Adds the lines of a text, such as a sample file.
    #[must_use]
    pub fn text(mut self, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        for line in text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n') {
            self.push(line.strip_suffix(b"\r").unwrap_or(line), self.time);
        }
        self
    }

    /// Adds a field of structured records: one value for each record that the batch has by now.
    #[must_use]
    pub fn column<V: AsRef<[u8]>>(mut self, name: &str, values: &[V]) -> Self {
        assert_eq!(values.len(), self.wit.ends.len(), "column `{name}` needs one value for each record");
        let mut column = wit::Column { name: name.to_owned(), data: Vec::new(), ends: Vec::new() };
        for value in values {
            column.data.extend_from_slice(value.as_ref());
            column.ends.push(column.data.len() as u32);
        }
        self.wit.columns.push(column);
        self
    }

    fn push(&mut self, line: &[u8], time: Timestamp) {
        self.wit.data.extend_from_slice(line);
        self.wit.ends.push(self.wit.data.len() as u32);
        self.wit.times.push(time);
    }

    /// Only what the host would hand to a plugin with this interest.
    pub(super) fn selected(self, literals: &[Vec<u8>], ignore_ascii_case: bool) -> Self {
        let time = self.time;
        Self { wit: self.select(literals, ignore_ascii_case), time }
    }

    /// What the host would hand to a plugin with this interest.
    pub(super) fn select(self, literals: &[Vec<u8>], ignore_ascii_case: bool) -> wit::Batch {
        if literals.is_empty() {
            return self.wit;
        }
        let all = self.wit;
        let mut kept = wit::Batch {
            data: Vec::new(),
            ends: Vec::new(),
            times: Vec::new(),
            columns: all
                .columns
                .iter()
                .map(|c| wit::Column { name: c.name.clone(), data: vec![], ends: vec![] })
                .collect(),
            ..all.clone()
        };
        for index in 0..all.ends.len() {
            let bytes = part(&all.data, &all.ends, index);
            let hits =
                literals.iter().enumerate().filter(|(_, literal)| holds(bytes, literal, ignore_ascii_case));
            let before = kept.hits.len();
            let record = kept.ends.len() as u32;
            kept.hits.extend(hits.map(|(literal, _)| wit::Hit { record, literal: literal as u32 }));
            if kept.hits.len() == before {
                kept.passed_over += 1;
                continue;
            }
            kept.data.extend_from_slice(bytes);
            kept.ends.push(kept.data.len() as u32);
            kept.times.push(all.times[index]);
            for (column, from) in kept.columns.iter_mut().zip(&all.columns) {
                column.data.extend_from_slice(part(&from.data, &from.ends, index));
                column.ends.push(column.data.len() as u32);
            }
        }
        kept
    }
}

fn part<'a>(data: &'a [u8], ends: &[u32], index: usize) -> &'a [u8] {
    let start = index.checked_sub(1).map_or(0, |before| ends[before] as usize);
    &data[start..ends[index] as usize]
}

fn holds(bytes: &[u8], literal: &[u8], ignore_ascii_case: bool) -> bool {
    bytes.windows(literal.len()).any(|window| match ignore_ascii_case {
        true => window.eq_ignore_ascii_case(literal),
        false => window == literal,
    })
}
