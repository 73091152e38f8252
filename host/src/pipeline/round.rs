//! The deliveries that one commit will cover, and the search for a record that breaks the plugin.
//!
//! A round holds pieces of work still to be done, the next one last. A piece that fails is tried once
//! more as a whole on a fresh instance; one that fails again is cut in half, and so on, until a
//! single record is to blame. The round can rest at any moment (while a circuit is open) and go on, or
//! start over (after a failed commit, or for another generation): nothing of it is committed before it
//! is done.
//!
//! Decides only what to call next. The calls, their results and the commit are the worker's.

use super::lane::Delivery;

/// Some records of one delivery, to be handed over in one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Index of the delivery in the round.
    pub delivery: usize,
    /// Indexes of records in the delivery's block, rising, at least one.
    pub records: Vec<u32>,
    /// Whether it (or the whole that it was cut from) already had its second try.
    retried: bool,
}

/// What has to follow the failure of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Blame {
    /// Nothing yet: smaller or repeated pieces will tell.
    Unknown,
    /// One record, by delivery and index in its block: keep it as evidence and go on.
    Record(usize, u32),
}

/// Deliveries in hand.
#[derive(Debug, Default)]
pub(crate) struct Round {
    deliveries: Vec<Delivery>,
    /// The next piece is the last one.
    todo: Vec<Piece>,
}

impl Round {
    /// Takes deliveries in; `select` names the records of each that the plugin wants.
    pub(crate) fn new(deliveries: Vec<Delivery>, select: impl FnMut(&Delivery) -> Vec<u32>) -> Self {
        let mut round = Self { deliveries, todo: Vec::new() };
        round.restart(select);
        round
    }

    /// Forgets all progress, as if the deliveries had just come in.
    pub(crate) fn restart(&mut self, mut select: impl FnMut(&Delivery) -> Vec<u32>) {
        self.todo = self
            .deliveries
            .iter()
            .enumerate()
            .map(|(delivery, work)| Piece { delivery, records: select(work), retried: false })
            .filter(|piece| !piece.records.is_empty())
            .collect();
        self.todo.reverse();
    }

    /// Changes what is selected of each delivery; [`restart`](Self::restart) has to follow.
    pub(crate) fn reselect(&mut self, change: impl FnMut(&mut Delivery)) {
        self.deliveries.iter_mut().for_each(change);
    }

    /// The deliveries, in the order they came.
    pub(crate) fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    /// Whether nothing has been done yet of the delivery that comes next, and one before it is finished.
    pub(crate) fn is_between_deliveries(&self) -> bool {
        self.todo.last().is_some_and(|piece| piece.delivery > 0 && !piece.retried)
    }

    /// Takes out the deliveries of which nothing is left to do.
    pub(crate) fn take_finished(&mut self) -> Vec<Delivery> {
        let finished = self.todo.last().map_or(self.deliveries.len(), |piece| piece.delivery);
        self.todo.iter_mut().for_each(|piece| piece.delivery -= finished);
        self.deliveries.drain(..finished).collect()
    }

    /// Puts deliveries back in front; [`restart`](Self::restart) has to follow.
    pub(crate) fn put_back(&mut self, mut finished: Vec<Delivery>) {
        finished.append(&mut self.deliveries);
        self.deliveries = finished;
    }

    /// The piece to call next; none when the round is done and can be committed.
    pub(crate) fn next(&self) -> Option<&Piece> {
        self.todo.last()
    }

    /// The piece that was next succeeded.
    pub(crate) fn succeeded(&mut self) {
        self.todo.pop();
    }

    /// The piece that was next failed.
    pub(crate) fn failed(&mut self) -> Blame {
        let Some(mut piece) = self.todo.pop() else { return Blame::Unknown };
        if !piece.retried {
            piece.retried = true;
            self.todo.push(piece);
            return Blame::Unknown;
        }
        if let [record] = piece.records[..] {
            return Blame::Record(piece.delivery, record);
        }
        let right = piece.records.split_off(piece.records.len() / 2);
        self.todo.push(Piece { delivery: piece.delivery, records: right, retried: true });
        self.todo.push(piece);
        Blame::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Block, Digest, Record, Selection, Stream};
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    /// A record, by its delivery and its index there.
    type Named = (usize, u32);

    fn delivery(records: u32) -> Delivery {
        let stream = Stream { source: "s".into(), name: "n".into(), labels: vec![], id: Digest::of(b"n") };
        let records =
            (0..records).map(|i| Record { start: i, end: i + 1, offset: u64::from(i), time: 0 }).collect();
        let block = Block { stream: Arc::new(stream), data: vec![b'x'; 1000], records, checkpoint: vec![] };
        Delivery { block: Arc::new(block), selection: Selection::All, interest: 0, passed_over: 0 }
    }

    fn all(delivery: &Delivery) -> Vec<u32> {
        (0..delivery.block.records.len() as u32).collect()
    }

    /// Runs a round against a plugin that fails whenever a poisonous record is in the call. Gives
    /// the records processed in order, those blamed, and the number of calls.
    fn run(lengths: &[u32], poison: &BTreeSet<(usize, u32)>) -> (Vec<Named>, BTreeSet<Named>, u32) {
        let mut round = Round::new(lengths.iter().map(|n| delivery(*n)).collect(), all);
        let (mut done, mut blamed, mut calls) = (Vec::new(), BTreeSet::new(), 0);
        while let Some(piece) = round.next() {
            calls += 1;
            let records: Vec<_> = piece.records.iter().map(|record| (piece.delivery, *record)).collect();
            if records.iter().any(|record| poison.contains(record)) {
                if let Blame::Record(delivery, record) = round.failed() {
                    blamed.insert((delivery, record));
                }
            } else {
                done.extend(records);
                round.succeeded();
            }
        }
        (done, blamed, calls)
    }

    #[test]
    fn one_bad_record_of_a_thousand_costs_itself_and_few_calls() {
        let poison = BTreeSet::from([(0, 617)]);
        let (done, blamed, calls) = run(&[1000], &poison);
        assert_eq!(done.len(), 999);
        assert_eq!(blamed, poison);
        assert!(calls <= 2 + 2 * 10, "{calls} calls");
    }

    #[test]
    fn a_delivery_without_wanted_records_needs_no_call() {
        let round = Round::new(vec![delivery(3)], |_| Vec::new());
        assert_eq!(round.next(), None);
        assert_eq!(round.deliveries().len(), 1);
    }

    #[test]
    fn what_is_finished_can_leave_before_the_rest() {
        let mut round = Round::new(vec![delivery(1), delivery(0), delivery(2), delivery(3)], all);
        assert!(!round.is_between_deliveries());
        round.succeeded();
        assert!(round.is_between_deliveries());
        let finished = round.take_finished();
        assert_eq!((finished.len(), round.deliveries().len()), (2, 2));
        assert_eq!(round.next().map(|piece| (piece.delivery, piece.records.len())), Some((0, 2)));
        // Half of a delivery must not leave: its checkpoint stands behind all of it.
        assert_eq!(round.failed(), Blame::Unknown);
        assert_eq!(round.failed(), Blame::Unknown);
        round.succeeded();
        assert!(!round.is_between_deliveries());
        round.put_back(finished);
        round.restart(all);
        assert_eq!(round.deliveries().len(), 4);
        assert_eq!(round.next().map(|piece| (piece.delivery, piece.records.len())), Some((0, 1)));
    }

    proptest! {
        #[test]
        fn every_good_record_is_processed_once_in_order_and_every_bad_one_blamed(
            lengths in prop::collection::vec(0u32..60, 1..5),
            poison in prop::collection::btree_set((0usize..5, 0u32..60), 0..12),
        ) {
            let poison: BTreeSet<_> = poison
                .into_iter()
                .filter(|(delivery, record)| lengths.get(*delivery).is_some_and(|n| record < n))
                .collect();
            let (done, blamed, _) = run(&lengths, &poison);
            let expected: Vec<_> = lengths
                .iter()
                .enumerate()
                .flat_map(|(delivery, n)| (0..*n).map(move |record| (delivery, record)))
                .filter(|record| !poison.contains(record))
                .collect();
            prop_assert_eq!(done, expected);
            prop_assert_eq!(blamed, poison);
        }
    }
}
