//! Mends a lane whose end was damaged, before anything new comes into it. The files themselves were cut back to what
//! is whole when the lane was opened.

use picket_journal::{JournalError, Position, Tail};

use super::lane::{Writer, persistently};
use super::{Metrics, OpenError};
use crate::model::Lane;
use crate::pipeline::commit;

/// The end of a lane was damaged: frames up to `known` were in it. Those that the journal of commits still has come
/// again under the numbers that they had, so that who has had them passes them over. Without all of them,
/// nothing that comes gets a number that another frame had: readers miss the whole of the damaged end, and may
/// get some of it again.
pub(super) fn end(tail: &Tail, writer: &mut Writer, known: u64, metrics: &Metrics) -> Result<(), OpenError> {
    let lane = writer.lane();
    let missing = known - writer.next();
    let failed = |source| OpenError::Journal { lane, source };
    let again = frames_behind(tail, lane, writer.written()).map_err(failed)?;
    if again.is_some_and(|again| again >= missing) {
        tracing::warn!(
            lane = lane.name(),
            frames = missing,
            "The end of the lane was damaged; it is made again from the journal."
        );
        return Ok(());
    }
    tracing::error!(
        lane = lane.name(),
        frames = missing,
        "The end of the lane was damaged, and the journal does not have all of it any more."
    );
    metrics.gap(lane);
    writer.skip_to(known);
    Ok(())
}

/// How many frames of a lane the journal has behind a position; none when it does not have all of them.
fn frames_behind(tail: &Tail, lane: Lane, from: Position) -> Result<Option<u64>, JournalError> {
    if from.segment.max(1) < tail.first().segment {
        return Ok(None);
    }
    let damaged = tail.damage().bytes;
    let (mut reader, mut frames) = (tail.reader(from), 0);
    while let Some(entry) = persistently(&mut reader)? {
        let Ok(packed) = commit::packed(&entry.payload) else { return Ok(None) };
        frames += u64::from(packed[lane.index()].count);
    }
    Ok((tail.damage().bytes == damaged).then_some(frames))
}
