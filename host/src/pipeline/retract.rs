//! Takes results back that were committed: they become retractions, which every receiver gets behind what they take
//! back.
//!
//! It does not choose results, and does not look whether they exist or were taken back before.

use prometheus::{IntCounterVec, Opts, Registry};

use super::commit::{Commit, CommitError, Committer};
use crate::model::{
    Digest, EventId, Frame, MAX_RETRACTION_REASON_BYTES, MAX_RETRACTS, Origin, RetractedBy, Retraction,
    now_nanos,
};

/// Retractions in one commit: some 360 KiB, which is far below the bound of a record, and little to wait for.
const MAX_RETRACTIONS: usize = 20;

/// Commits retractions. Clones are the same one.
#[derive(Clone)]
pub struct Retractor {
    committer: Committer,
    retracted: IntCounterVec,
}

impl Retractor {
    /// Makes and registers its metric. Fails when one of that name is registered already.
    pub fn new(committer: Committer, registry: &Registry) -> Result<Self, prometheus::Error> {
        let what = "Findings and verdicts that were taken back.";
        let retracted = IntCounterVec::new(Opts::new("picket_retracted_results_total", what), &["plugin"])?;
        registry.register(Box::new(retracted.clone()))?;
        Ok(Self { committer, retracted })
    }

    /// Takes results of one generation back. Blocks until that is durable, and returns the id of the last retraction;
    /// none when there was nothing to take back. A reason that is too long is cut.
    ///
    /// After an error some may have been taken back; to take them back again does no harm.
    pub fn retract(
        &self,
        ids: &[EventId],
        origin: &Origin,
        by: RetractedBy,
        reason: &str,
    ) -> Result<Option<EventId>, CommitError> {
        let mut last = None;
        for ids in ids.chunks(MAX_RETRACTS * MAX_RETRACTIONS) {
            let retractions = retractions(ids, origin, by, reason, now_nanos());
            last = retractions.last().map(|retraction| retraction.id);
            // Alone in their commit: an older agent cannot read what stands beside them.
            let frames = retractions.into_iter().map(Frame::Retraction).collect();
            self.committer.commit(Commit { frames, writes: Vec::new() })?;
            self.retracted.with_label_values(&[&origin.plugin]).inc_by(ids.len() as u64);
        }
        Ok(last)
    }
}

/// The retractions of results, each within its bounds.
fn retractions(
    ids: &[EventId],
    origin: &Origin,
    by: RetractedBy,
    reason: &str,
    time: u64,
) -> Vec<Retraction> {
    let reason = &reason[..reason.floor_char_boundary(MAX_RETRACTION_REASON_BYTES)];
    let retraction = |ids: &[EventId]| {
        let about = Digest::of_parts(ids.iter().map(|id| &id.0[..]));
        Retraction {
            id: EventId::derive(&about, time, &origin.generation, 0),
            time,
            origin: origin.clone(),
            by,
            reason: reason.to_owned(),
            retracts: ids.to_vec(),
        }
    };
    ids.chunks(MAX_RETRACTS).map(retraction).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<EventId> {
        (0..count as u128).map(|number| EventId(number.to_be_bytes())).collect()
    }

    fn made(ids: &[EventId], reason: &str) -> Vec<Retraction> {
        let origin = Origin { plugin: "p".into(), generation: Digest::of(b"g") };
        retractions(ids, &origin, RetractedBy::Agent, reason, 7)
    }

    #[test]
    fn each_id_stands_in_one_retraction_and_none_is_too_large() {
        for count in [0, 1, MAX_RETRACTS, MAX_RETRACTS + 1, 3 * MAX_RETRACTS] {
            let made = made(&ids(count), "r");
            assert_eq!(made.len(), count.div_ceil(MAX_RETRACTS));
            assert!(made.iter().all(|retraction| retraction.retracts.len() <= MAX_RETRACTS));
            let all: Vec<EventId> = made.iter().flat_map(|retraction| retraction.retracts.clone()).collect();
            assert_eq!(all, ids(count));
            let mut names: Vec<EventId> = made.iter().map(|retraction| retraction.id).collect();
            names.dedup();
            assert_eq!(names.len(), made.len());
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reason = |text: &str| made(&ids(1), text).remove(0).reason;
        let long = "ä".repeat(MAX_RETRACTION_REASON_BYTES);
        assert_eq!(reason(&long), "ä".repeat(MAX_RETRACTION_REASON_BYTES / 2));
        assert_eq!(reason(&format!("a{long}")).len(), MAX_RETRACTION_REASON_BYTES - 1);
    }
}
