//! Rounds of records: calls of `analyze`, and what a failed one leads to.

use super::call::Failure;
use super::{Place, Previous, Worker};
use crate::model::{Digest, EventId, Evidence, Frame, now_nanos};
use crate::pipeline::batch::selected;
use crate::pipeline::lane::Delivery;
use crate::pipeline::results::{EVIDENCE_BYTES, FULL_ROUND_BYTES, MAX_ROUND_BYTES, Results};
use crate::pipeline::round::{Blame, Piece, Round};
use crate::pipeline::work::Work;
use picket_sandbox::{BatchRef, CallError, LabelRef};

/// Deliveries that wait are taken together up to this size: what one call can take in at most.
const ROUND_BYTES: usize = 1 << 20;
/// And up to this number, so that a failed commit repeats little.
const ROUND_DELIVERIES: usize = 16;
/// Streams of which it is remembered how much was passed over: more than a node writes to in an hour.
const PASSED_OVER_STREAMS: usize = 10_000;

impl Worker {
    /// Starts a round with a delivery and what waits behind it, so that many small ones share a commit.
    pub(super) fn begin_round(&mut self, first: Delivery) {
        let mut bytes = 0;
        let mut next = Some(first);
        let mut deliveries = Vec::new();
        while let Some(delivery) = next.take() {
            bytes += delivery.block.data.len();
            deliveries.extend(self.wanted(delivery));
            if bytes < ROUND_BYTES && deliveries.len() < ROUND_DELIVERIES {
                let more = self.lane.next_if(|work| matches!(work, Work::Records(_)));
                next = more
                    .and_then(|work| if let Work::Records(delivery) = work { Some(delivery) } else { None });
            }
        }
        if !deliveries.is_empty() {
            self.round = Some(Round::new(deliveries, |work| selected(&work.block, &work.selection)));
        }
    }

    /// Passes a delivery on, or notes its checkpoint when no record of it is wanted.
    fn wanted(&mut self, mut delivery: Delivery) -> Option<Delivery> {
        if delivery.interest != self.generation.interest.id {
            // It waited while another generation came: its literals are others.
            delivery.selection = self.generation.interest.select(&delivery.block);
            delivery.interest = self.generation.interest.id;
        }
        let stream = delivery.block.stream.id;
        let wanted = delivery.selection.len(&delivery.block);
        let passed = (delivery.block.records.len() - wanted) as u64 + delivery.passed_over;
        self.meter.passed_over(passed);
        self.pass_over(stream, passed);
        // Before its first call has worked, the generation may give way to one that wants it.
        if wanted == 0 && self.previous.is_none() {
            self.lone_since.get_or_insert_with(std::time::Instant::now);
            self.lone_checkpoints.insert(stream, delivery.block);
            return None;
        }
        Some(delivery)
    }

    /// Remembers for the stream's next batch how many records came before it. It is a statistic: of a stream
    /// in which nothing is ever wanted it may be lost.
    fn pass_over(&mut self, stream: Digest, records: u64) {
        if self.passed_over.len() >= PASSED_OVER_STREAMS && !self.passed_over.contains_key(&stream) {
            // Ordered by digest: whichever comes first is any of them.
            self.passed_over.pop_first();
        }
        *self.passed_over.entry(stream).or_default() += records;
    }

    /// The next call of the round in hand, or its commit.
    pub(super) fn step(&mut self) {
        let Some(mut round) = self.round.take() else { return };
        let Some(piece) = round.next() else { return self.land(round) };
        if self.results.bytes >= FULL_ROUND_BYTES && round.is_between_deliveries() {
            return self.land(round);
        }
        let outcome = self.analyze(&round.deliveries()[piece.delivery], piece);
        match outcome {
            Ok(()) => {
                round.succeeded();
                self.round = Some(round);
                self.proven();
            }
            Err(failure) => self.failed(round, &failure),
        }
    }

    /// Calls the guest with the records of a piece and takes its report in.
    fn analyze(&mut self, delivery: &Delivery, piece: &Piece) -> Result<(), Failure> {
        let mut gather = std::mem::take(&mut self.gather);
        gather.fill(&delivery.block, &delivery.selection, &piece.records);
        let stream = &delivery.block.stream;
        let labels: Vec<_> = stream.labels.iter().map(|(name, value)| LabelRef { name, value }).collect();
        let batch = BatchRef {
            source: &stream.source,
            stream: &stream.name,
            labels: &labels,
            data: &gather.data,
            ends: &gather.ends,
            times: &gather.times,
            hits: &gather.hits,
            passed_over: self.passed_over.get(&stream.id).copied().unwrap_or(0),
            columns: &[],
        };
        let outcome = self.call(piece.records.len(), |instance| instance.analyze(&batch));
        self.gather = gather;
        let output = outcome?;
        self.passed_over.remove(&stream.id);
        let origin = &self.generation.origin;
        let mut results = Results::default();
        results.report(origin, &delivery.block, &piece.records, output.value);
        results.state_writes(&origin.plugin, &output.writes);
        if self.results.bytes + results.bytes > MAX_ROUND_BYTES {
            let what = format!("more than {MAX_ROUND_BYTES} bytes of results for one delivery of records");
            let error = CallError::Report { what };
            self.discard(&error);
            return Err(Failure::Call(error));
        }
        self.surroundings.state.keep(&output.writes);
        self.results.append(results);
        Ok(())
    }

    fn failed(&mut self, mut round: Round, failure: &Failure) {
        let reason = failure.to_string();
        if let Some(previous) = self.previous.take() {
            self.revert(previous, round, failure);
            return;
        }
        match failure {
            Failure::Stalled(_) => self.stalled(&reason),
            Failure::Call(_) => {
                if let Blame::Record(delivery, record) = round.failed() {
                    let place = self.keep_evidence(&round.deliveries()[delivery], record, &reason);
                    self.blame(place, &reason);
                }
            }
        }
        self.round = Some(round);
    }

    /// The former generation serves again, from the start of the round.
    fn revert(&mut self, previous: Previous, mut round: Round, failure: &Failure) {
        super::swap::put_back(self, previous, failure);
        let interest = self.generation.interest.clone();
        round.reselect(|work| {
            work.selection = interest.select(&work.block);
            work.interest = interest.id;
        });
        round.restart(|work| selected(&work.block, &work.selection));
        self.round = Some(round);
    }

    fn keep_evidence(&mut self, delivery: &Delivery, record: u32, reason: &str) -> Place {
        let block = &delivery.block;
        let bytes = block.bytes(record as usize);
        let offset = block.records[record as usize].offset;
        let origin = self.generation.origin.clone();
        let stream = &block.stream;
        let (source, name, digest) = (stream.source.clone(), stream.name.clone(), Digest::of(bytes));
        let place = Place { source, stream: name, offset, digest };
        self.results.push(Frame::Evidence(Evidence {
            id: EventId::derive(&block.stream.id, offset, &origin.generation, u32::MAX),
            time: now_nanos(),
            origin,
            source: block.stream.source.clone(),
            stream: block.stream.name.clone(),
            offset,
            digest,
            record: bytes[..bytes.len().min(EVIDENCE_BYTES)].to_vec(),
            reason: reason.to_owned(),
        }));
        place
    }
}
