//! Which series the last scrape of a target had, so that those that the next one has no more get a stale marker.

use std::collections::HashMap;

use picket_model::{Label, Sample};

/// How much later than the last sample a marker is at least, in nanoseconds: receivers count in milliseconds.
const STEP: u64 = 1_000_000;
/// Stands between names and values: no byte of UTF-8.
const BETWEEN: u8 = 0xff;

/// The series of one target, by the bytes that name them: for 100,000 series with usual labels some 20 MB.
#[derive(Debug, Default)]
pub struct Series {
    known: HashMap<Box<[u8]>, Seen>,
    round: u32,
    /// When the target was last scraped, Unix time in nanoseconds; zero when it never was.
    last: u64,
    /// What metadata was last told of, as a digest.
    pub(crate) described: u64,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    round: u32,
    /// Samples with times of their own end by themselves: their target says when they are, and it may say nothing
    /// for as long as it likes.
    ends: bool,
}

impl Series {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// A scrape begins.
    pub(crate) fn begin(&mut self, time: u64) {
        self.round = self.round.wrapping_add(1);
        self.last = time;
    }

    /// The scrape has this series. `ends` tells whether a marker is due when the next one has it no more.
    pub(crate) fn see(&mut self, key: Box<[u8]>, ends: bool) -> Sight {
        let now = Seen { round: self.round, ends };
        match self.known.insert(key, now) {
            None => Sight::New,
            Some(before) if before.round == self.round => Sight::Again,
            Some(_) => Sight::Known,
        }
    }

    /// The scrape is over: the markers of what it did not have.
    pub(crate) fn gone(&mut self) -> Vec<Sample> {
        let (round, time) = (self.round, self.last);
        let mut markers = Vec::new();
        self.known.retain(|key, seen| {
            if seen.round != round && seen.ends {
                markers.push(marker(key, time));
            }
            seen.round == round
        });
        markers
    }

    /// The target is gone: the markers of all its series, those about the scrape among them. `now` is Unix time in
    /// nanoseconds.
    pub fn end(&mut self, labels: &[Label], now: u64) -> Vec<Sample> {
        if self.last == 0 {
            return Vec::new();
        }
        self.last = now.max(self.last.saturating_add(STEP));
        self.round = self.round.wrapping_add(1);
        let mut markers = self.gone();
        let about = crate::round::ABOUT.iter();
        markers.extend(about.map(|name| Sample::stale((*name).to_owned(), labels.to_vec(), self.last)));
        self.last = 0;
        markers
    }
}

/// How a series of a scrape is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The scrape before had it not.
    New,
    /// It had.
    Known,
    /// This one had it already.
    Again,
}

/// The bytes that name a series; `labels` are sorted.
pub(crate) fn key(name: &str, labels: &[Label]) -> Box<[u8]> {
    let size =
        name.len() + labels.iter().map(|label| label.name.len() + label.value.len() + 2).sum::<usize>();
    let mut key = Vec::with_capacity(size);
    key.extend_from_slice(name.as_bytes());
    for label in labels {
        key.push(BETWEEN);
        key.extend_from_slice(label.name.as_bytes());
        key.push(BETWEEN);
        key.extend_from_slice(label.value.as_bytes());
    }
    key.into_boxed_slice()
}

fn marker(key: &[u8], time: u64) -> Sample {
    let mut texts = key.split(|byte| *byte == BETWEEN).map(|text| String::from_utf8_lossy(text).into_owned());
    let name = texts.next().unwrap_or_default();
    let mut labels = Vec::new();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        labels.push(Label { name, value });
    }
    Sample::stale(name, labels, time)
}
