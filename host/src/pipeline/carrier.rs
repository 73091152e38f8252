//! Commits samples that nobody makes again, without ever waiting for long: while commits do not work, what cannot be
//! handed in is given up, and whoever made it goes on. While nobody takes samples none is committed, and none is lost.
//!
//! Does not put samples into the series store.

use std::time::{Duration, Instant};

use super::commit::{Commit, Committer, Submitted};
use crate::model::{Frame, Sample};

/// How long all commits of one call may take together.
const PATIENCE: Duration = Duration::from_secs(1);
/// Text of the samples of one commit: far below the journal's largest record.
const PIECE_BYTES: usize = 4 << 20;
/// What a sample takes beside its text.
const SAMPLE_BYTES: usize = 64;

/// See the module's description.
pub struct Carrier {
    committer: Committer,
    /// Handed in and not answered, with the number of its samples. No more is handed in meanwhile.
    pending: Option<(Submitted, usize)>,
}

impl Carrier {
    /// Nothing is on its way.
    pub fn new(committer: Committer) -> Self {
        Self { committer, pending: None }
    }

    /// Commits samples, and says how many were found not to be committed: of these, and of former ones that were
    /// not answered then. `what` names them in the log.
    pub fn carry(&mut self, what: &str, samples: Vec<Sample>) -> usize {
        let until = Instant::now() + PATIENCE;
        let samples = if self.committer.samples_wanted().get() { samples } else { Vec::new() };
        let mut lost = 0;
        for samples in pieces(samples) {
            let count = samples.len();
            lost += self.settle(what, until);
            if self.pending.is_some() {
                tracing::error!(
                    what,
                    "Samples are lost for upstream: those before them are not committed yet."
                );
                lost += count;
                continue;
            }
            let frames = samples.into_iter().map(Frame::Sample).collect();
            match self.committer.submit(Commit { frames, writes: Vec::new() }) {
                Ok(submitted) => self.pending = Some((submitted, count)),
                Err(error) => lost += failed(what, &error, count),
            }
        }
        lost + self.settle(what, until)
    }

    /// Waits for what is on its way. Says how many samples are lost.
    fn settle(&mut self, what: &str, until: Instant) -> usize {
        let Some((submitted, count)) = self.pending.take() else { return 0 };
        match submitted.wait(until) {
            Some(Ok(_)) => 0,
            Some(Err(error)) => failed(what, &error, count),
            None => {
                self.pending = Some((submitted, count));
                0
            }
        }
    }
}

fn failed(what: &str, error: &dyn std::fmt::Display, count: usize) -> usize {
    tracing::error!(what, %error, "Samples cannot be committed; they are lost for upstream.");
    count
}

/// What fits into one commit each, in order.
fn pieces(samples: Vec<Sample>) -> Vec<Vec<Sample>> {
    let mut pieces: Vec<Vec<Sample>> = Vec::new();
    let mut left = 0;
    for sample in samples {
        let labels = sample.labels.iter().map(|label| label.name.len() + label.value.len() + 16);
        let bytes = SAMPLE_BYTES + sample.name.len() + labels.sum::<usize>();
        match pieces.last_mut() {
            Some(piece) if bytes <= left => piece.push(sample),
            _ => {
                left = PIECE_BYTES;
                pieces.push(vec![sample]);
            }
        }
        left = left.saturating_sub(bytes);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Label;

    #[test]
    fn pieces_keep_the_order_and_their_bound() {
        let sample = |number: u64| {
            let labels = vec![Label { name: "l".into(), value: "x".repeat(1 << 20) }];
            Sample { name: "n".into(), labels, time: number, value: 1.0 }
        };
        let found = pieces((0..7).map(sample).collect());
        let times: Vec<Vec<u64>> =
            found.iter().map(|piece| piece.iter().map(|sample| sample.time).collect()).collect();
        assert_eq!(times, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
        assert!(pieces(Vec::new()).is_empty());
    }
}
