//! 5xx bursts: a sliding window over each stream, by the lines' own times.
//!
//! The window is a ring of up to 60 slots whose sums are kept, so that a line costs two additions
//! and the question "is this a burst?" a comparison. A stream is a file: virtual hosts with logs of
//! their own have windows of their own, and a busy site does not hide a broken one.

use std::collections::HashMap;

use picket_sdk::Finding;
use picket_sdk::Severity;
use serde::{Deserialize, Serialize};

use crate::config::Burst;

/// Streams that have a window. The one that was quiet longest leaves for a new one.
const STREAMS: usize = 256;

/// Slots of a window, at most: a second each for the default window of a minute.
const SLOTS: u64 = 60;

/// The windows of all streams.
#[derive(Debug)]
pub(crate) struct Bursts {
    config: Burst,
    width: u64,
    streams: HashMap<String, Window>,
}

/// The last requests of one stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Window {
    slots: Vec<Slot>,
    /// The number of the newest slot: Unix seconds by the slot's width.
    newest: u64,
    total: Slot,
    /// When it was last reported, in Unix seconds.
    reported: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Slot {
    requests: u64,
    errors: u64,
}

impl Bursts {
    pub(crate) fn new(config: Burst) -> Self {
        let width = config.window.0.as_secs().div_ceil(SLOTS).max(1);
        Self { config, width, streams: HashMap::new() }
    }

    fn slots(&self) -> usize {
        self.config.window.0.as_secs().div_ceil(self.width) as usize
    }

    /// The window of a stream.
    pub(crate) fn stream(&mut self, name: &str) -> Stream<'_> {
        let slots = self.slots();
        if !self.streams.contains_key(name) {
            if self.streams.len() >= STREAMS {
                let quietest = self.streams.iter().min_by_key(|(_, window)| window.newest);
                if let Some(name) = quietest.map(|(name, _)| name.clone()) {
                    self.streams.remove(&name);
                }
            }
            self.streams.insert(name.to_owned(), Window::new(slots));
        }
        let window = self.streams.get_mut(name).expect("it was inserted above");
        Stream { config: &self.config, width: self.width, window }
    }

    /// The windows, to hand them over.
    pub(crate) fn save(&self) -> HashMap<String, Window> {
        self.streams.clone()
    }

    /// Takes windows over; those of another length are dropped.
    pub(crate) fn load(&mut self, mut streams: HashMap<String, Window>) {
        let slots = self.slots();
        streams.retain(|_, window| window.slots.len() == slots);
        self.streams = streams;
    }
}

impl Window {
    fn new(slots: usize) -> Self {
        Self { slots: vec![Slot::default(); slots], newest: 0, total: Slot::default(), reported: None }
    }

    /// Counts a request in its slot. Lines that are older than the window count nowhere.
    #[inline]
    fn add(&mut self, slot: u64, error: bool) {
        let len = self.slots.len() as u64;
        if slot > self.newest {
            self.advance(slot);
        } else if slot + len <= self.newest {
            return;
        }
        let one = &mut self.slots[(slot % len) as usize];
        one.requests += 1;
        one.errors += u64::from(error);
        self.total.requests += 1;
        self.total.errors += u64::from(error);
    }

    #[cold]
    fn advance(&mut self, slot: u64) {
        let len = self.slots.len() as u64;
        for passed in 0..(slot - self.newest).min(len) {
            let old = std::mem::take(&mut self.slots[((slot - passed) % len) as usize]);
            self.total.requests -= old.requests;
            self.total.errors -= old.errors;
        }
        self.newest = slot;
    }
}

/// One stream's window with its thresholds.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    config: &'a Burst,
    width: u64,
    window: &'a mut Window,
}

impl Stream<'_> {
    /// Counts a request, and gives the finding that it completes.
    #[inline]
    pub(crate) fn add(&mut self, second: u64, error: bool) -> Option<Finding> {
        if !self.config.enabled {
            return None;
        }
        self.window.add(second / self.width, error);
        if error { self.finding(second) } else { None }
    }

    #[cold]
    fn finding(&mut self, second: u64) -> Option<Finding> {
        let Slot { requests, errors } = self.window.total;
        let ratio = errors as f64 / requests.max(1) as f64;
        let quiet = |reported| second >= reported + self.config.repeat_after.0.as_secs();
        if errors < self.config.min_errors
            || ratio < self.config.min_ratio
            || !self.window.reported.is_none_or(quiet)
        {
            return None;
        }
        self.window.reported = Some(second);
        let window = self.config.window;
        let message = format!("{errors} of {requests} requests within {window} failed with a 5xx status.");
        let finding = Finding::new("burst-5xx", Severity::High, message)
            .attribute("errors", errors)
            .attribute("requests", requests)
            .attribute("ratio", format!("{ratio:.3}"))
            .attribute("window", window);
        Some(finding)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use picket_sdk::Span;
    use proptest::prelude::*;

    use super::*;

    const START: u64 = 1_795_193_262;

    #[test]
    fn a_burst_needs_both_thresholds_and_is_reported_once() {
        let mut bursts = Bursts::new(Burst { min_errors: 3, min_ratio: 0.5, ..Burst::default() });
        let mut stream = bursts.stream("a");
        // Two of two: too few. Then three of eight: too small a share. Then four of eight.
        assert!(stream.add(START, true).is_none());
        assert!(stream.add(START, true).is_none());
        for _ in 0..4 {
            assert!(stream.add(START + 1, false).is_none());
        }
        assert!(stream.add(START + 2, true).is_none());
        let finding = stream.add(START + 3, true).unwrap();
        assert_eq!((finding.get("errors"), finding.get("requests")), ("4", "8"));
        assert!(stream.add(START + 4, true).is_none());
        // Five minutes later the old ones are out of the window, and new ones are reported again.
        assert!(stream.add(START + 303, true).is_none());
        assert!(stream.add(START + 303, true).is_none());
        assert!(stream.add(START + 303, true).is_some());
        // Another stream has a window of its own.
        assert!(bursts.stream("b").add(START + 303, true).is_none());
    }

    #[test]
    fn the_quietest_stream_leaves_for_a_new_one() {
        let mut bursts = Bursts::new(Burst::default());
        for index in 0..=STREAMS {
            bursts.stream(&index.to_string()).add(START + index as u64, false);
        }
        assert_eq!(bursts.streams.len(), STREAMS);
        assert!(!bursts.streams.contains_key("0"));
    }

    proptest! {
        /// The sums are those of a list of all requests.
        #[test]
        fn the_window_agrees_with_a_list(
            window in 1_u64..200,
            steps in prop::collection::vec((0_u64..40, 0_u64..90, any::<bool>()), 1..200),
        ) {
            let mut bursts = Bursts::new(Burst { window: Span::seconds(window), ..Burst::default() });
            let (width, slots) = (bursts.width, bursts.slots() as u64);
            let mut list: Vec<(u64, bool)> = Vec::new();
            let mut now = START;
            let mut newest = 0;
            for (step, back, error) in steps {
                now += step;
                let slot = (now - back) / width;
                newest = newest.max(slot);
                bursts.stream("a").add(now - back, error);
                if slot + slots > newest {
                    list.push((slot, error));
                }
                list.retain(|(slot, _)| slot + slots > newest);
            }
            let total = bursts.streams["a"].total;
            prop_assert_eq!(total.requests, list.len() as u64);
            prop_assert_eq!(total.errors, list.iter().filter(|(_, error)| *error).count() as u64);
        }
    }
}
