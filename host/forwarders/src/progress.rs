//! What is left of a batch that goes out in several requests: the parts that are still to be sent, and what was
//! refused of the others. It outlives a failed `send`, so that what was accepted is not sent again.

use std::collections::VecDeque;

use picket_model::{Digest, Frame, FrameKind};

use crate::{Batch, Refused, Sent, Unnamed};

/// How many requests for a batch may be halved because something in them was refused. Enough for some twenty bad
/// results anywhere in a batch; without a bound a receiver that refuses everything would get two requests for each
/// result. Beyond it a part is refused as a whole.
pub(crate) const MAX_HALVINGS: u32 = 200;

/// One request's worth of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part<K> {
    /// Where it goes.
    pub(crate) to: K,
    /// The places of its frames in the batch, ascending; at least one.
    pub(crate) frames: Vec<usize>,
}

/// A batch on its way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Progress<K> {
    id: Digest,
    left: VecDeque<Part<K>>,
    refused: Vec<Refused>,
    unnamed: Vec<Unnamed>,
    /// How often a part was halved for a refusal.
    halvings: u32,
}

impl<K: Copy + PartialEq> Part<K> {
    /// Its frames.
    pub(crate) fn frames<'a>(&self, batch: &'a Batch) -> Vec<&'a Frame> {
        self.frames.iter().filter_map(|at| batch.frames.get(*at)).collect()
    }
}

impl<K: Copy + PartialEq> Progress<K> {
    /// All of a batch, with one part for each place that its kinds go to, in the order in which they come first.
    /// `place` is asked once for each frame, in their order.
    pub(crate) fn new(batch: &Batch, mut place: impl FnMut(FrameKind) -> K) -> Self {
        let mut left: VecDeque<Part<K>> = VecDeque::new();
        for (at, frame) in batch.frames.iter().enumerate() {
            let to = place(frame.kind());
            match left.iter_mut().find(|part| part.to == to) {
                Some(part) => part.frames.push(at),
                None => left.push_back(Part { to, frames: vec![at] }),
            }
        }
        Self { id: batch.id, left, refused: Vec::new(), unnamed: Vec::new(), halvings: 0 }
    }

    /// Whether it is the progress of this batch.
    pub(crate) fn is_of(&self, batch: &Batch) -> bool {
        self.id == batch.id
    }

    /// The part that is next.
    pub(crate) fn next(&self) -> Option<&Part<K>> {
        self.left.front()
    }

    /// The next part was accepted, apart from what was refused of it.
    pub(crate) fn accepted(&mut self, refused: Option<Unnamed>) {
        if let Some(part) = self.left.pop_front() {
            let within =
                |refused: Unnamed| Unnamed { count: refused.count.min(part.frames.len()), ..refused };
            self.unnamed.extend(refused.map(within));
        }
    }

    /// The next part was refused as a whole.
    pub(crate) fn refused(&mut self, reason: &str) {
        let frames = self.left.pop_front().map(|part| part.frames).unwrap_or_default();
        let reason = match frames.len() {
            0 | 1 => reason.to_owned(),
            all => {
                let others = all - 1;
                format!(
                    "{reason} (to a request with {others} others; too many were refused to try each alone)"
                )
            }
        };
        self.refused.extend(frames.into_iter().map(|frame| Refused { frame, reason: reason.clone() }));
    }

    /// The next part is too large: its two halves take its place. False when it cannot be made smaller.
    pub(crate) fn split(&mut self) -> bool {
        let Some(first) = self.left.front_mut().filter(|part| part.frames.len() > 1) else { return false };
        let second = Part { to: first.to, frames: first.frames.split_off(first.frames.len() / 2) };
        self.left.insert(1, second);
        true
    }

    /// Something in the next part was refused: its two halves take its place. False when it is a single frame, or when
    /// there were too many halvings.
    pub(crate) fn halve(&mut self) -> bool {
        let halved = self.halvings < MAX_HALVINGS && self.split();
        self.halvings += u32::from(halved);
        halved
    }

    /// What became of the batch, once nothing is left.
    pub(crate) fn sent(mut self) -> Sent {
        self.refused.sort_by_key(|refused| refused.frame);
        Sent { note: None, refused: self.refused, refused_unnamed: self.unnamed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picket_model::Sample;

    fn batch(frames: usize) -> Batch {
        let sample = |time| Frame::Sample(Sample { name: "n".into(), labels: vec![], time, value: 0.0 });
        Batch { id: Digest::of(b"batch"), frames: (0..frames as u64).map(sample).collect() }
    }

    #[test]
    fn halves_keep_the_order_and_a_single_frame_stays_whole() {
        let batch = batch(5);
        let mut progress = Progress::new(&batch, |_| ());
        let mut seen = Vec::new();
        while let Some(part) = progress.next() {
            if part.frames.len() > 1 {
                assert!(progress.split());
                continue;
            }
            seen.extend(part.frames.clone());
            assert!(!progress.split());
            match seen.len() {
                2 => progress.refused("no"),
                3 => progress.accepted(Some(Unnamed { count: 9, reason: "some".into() })),
                _ => progress.accepted(None),
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
        let sent = progress.sent();
        assert_eq!(sent.refused, [Refused { frame: 1, reason: "no".into() }]);
        assert_eq!(sent.refused_unnamed, [Unnamed { count: 1, reason: "some".into() }]);
    }

    #[test]
    fn halvings_for_refusals_are_bounded() {
        let batch = batch(1000);
        let mut progress = Progress::new(&batch, |_| ());
        let mut requests = 0;
        while progress.next().is_some() {
            requests += 1;
            if !progress.halve() {
                progress.refused("no");
            }
        }
        assert_eq!(requests, 2 * MAX_HALVINGS + 1);
        let sent = progress.sent();
        assert_eq!(sent.refused.len(), 1000);
        assert_eq!(sent.refused[0].reason, "no");
        assert!(sent.refused[999].reason.contains("others; too many"), "{:?}", sent.refused[999]);
    }
}
