//! How far a batch has come. It outlives failures, so that what was accepted is not sent again.

use std::collections::VecDeque;

use picket_model::Digest;

use super::encode::{self, Table};
use super::judge;
use super::message::Label;
use super::shard::{self, Request, Round};
use crate::{Batch, Refused};

/// How many requests may be spent on a batch to find what is refused alone. Enough for 100 bad samples anywhere in
/// it, or for each sample of two full requests; without a bound a receiver that refuses everything would get
/// two requests for each sample. Beyond it requests are refused as a whole. What may be there already and is refused
/// for its order has a bound of its own: see [`Progress::may_halve`].
pub(super) const MAX_HALVINGS: u32 = 1000;

/// A batch on its way.
#[derive(Debug, PartialEq)]
pub(super) struct Progress {
    id: Digest,
    series: Vec<Vec<Label>>,
    rounds: VecDeque<Round>,
    refused: Vec<Refused>,
    halvings: u32,
    /// Halvings of requests that are refused for their order and may be there already.
    halvings_for_order: usize,
    /// How many samples the batch has.
    points: usize,
    /// A sample of this time was refused alone for its age, in these words.
    too_old: Option<(i64, String)>,
}

/// Times by which a refusal is judged: Unix time in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// What is older may have been handed over before a crash.
    pub(super) started: i64,
    pub(super) now: i64,
}

impl Progress {
    pub(super) fn new(batch: &Batch, table: Table, shards: usize, samples: usize, started: i64) -> Self {
        let rounds = shard::rounds(&table, shards, samples, started);
        Self {
            id: batch.id,
            series: table.series,
            rounds,
            refused: table.refused,
            halvings: 0,
            halvings_for_order: 0,
            points: table.points.len(),
            too_old: None,
        }
    }

    pub(super) fn is_of(&self, batch: &Batch) -> bool {
        self.id == batch.id
    }

    /// The shards that have something to send in this round, which goes on until none has.
    pub(super) fn waiting(&mut self) -> Vec<usize> {
        self.leave_out_too_old();
        while let Some(round) = self.rounds.front() {
            let waiting: Vec<usize> = (0..round.len()).filter(|shard| !round[*shard].is_empty()).collect();
            if !waiting.is_empty() {
                return waiting;
            }
            self.rounds.pop_front();
        }
        Vec::new()
    }

    /// The body of the request that is next in a shard's line.
    pub(super) fn body(&self, shard: usize) -> Vec<u8> {
        let request = self.rounds.front().and_then(|round| round[shard].front());
        encode::body(&self.series, &request.expect("the shard is a waiting one").points)
    }

    /// The request that is next in a shard's line.
    pub(super) fn next(&mut self, shard: usize) -> &mut Request {
        self.rounds
            .front_mut()
            .and_then(|round| round[shard].front_mut())
            .expect("the shard is a waiting one")
    }

    /// The next request of a shard is there.
    pub(super) fn accepted(&mut self, shard: usize) {
        self.take(shard);
    }

    /// The next request of a shard was refused: halves it, or counts it as refused, or as accepted when it is
    /// refused for its order and may be there already. Samples from before the start may be there.
    /// Says whether it counted as refused, that is, whether nothing can be tried any more.
    pub(super) fn refused(&mut self, shard: usize, reason: &str, times: Times) -> bool {
        let request = self.take(shard);
        let may_be_there = request.unsure || request.points.iter().all(|point| point.time < times.started);
        let is_repeat = may_be_there && judge::is_about_order(reason);
        if let Some((first, second)) = request.halves()
            && self.may_halve(is_repeat)
        {
            let line = self.rounds.front_mut().map(|round| &mut round[shard]).expect("its request was there");
            line.push_front(second);
            line.push_front(first);
            return false;
        }
        if is_repeat && request.points.len() == 1 {
            return false;
        }
        // Less old than a round it is, whatever the words say: all that is older would go with it.
        let is_old = |time: i64| time < times.now.saturating_sub(shard::ROUND_MS);
        if let [point] = request.points[..]
            && is_old(point.time)
            && judge::is_about_age(reason)
        {
            let newest = self.too_old.as_ref().map_or(i64::MIN, |(time, _)| *time);
            self.too_old = Some((point.time.max(newest), reason.to_owned()));
        }
        let others = request.points.len() - 1;
        let reason = match others {
            0 => reason.to_owned(),
            _ => format!(
                "{reason} (to a request with {others} other samples; too many were refused to try each alone)"
            ),
        };
        let refused =
            request.points.iter().map(|point| Refused { frame: point.frame, reason: reason.clone() });
        self.refused.extend(refused);
        true
    }

    /// Whether one more request may be halved, which counts. After a crash every sample of a batch may be a repeat, and
    /// finding that out takes one halving less than there are samples: it must not use up what bad ones need. Twice as
    /// many are a guard.
    fn may_halve(&mut self, is_repeat: bool) -> bool {
        if is_repeat {
            self.halvings_for_order += 1;
            return self.halvings_for_order <= 2 * self.points;
        }
        self.halvings = self.halvings.saturating_add(1);
        self.halvings <= MAX_HALVINGS
    }

    /// What was refused, in the order of the batch.
    pub(super) fn into_refused(mut self) -> Vec<Refused> {
        self.refused.sort_by_key(|refused| refused.frame);
        self.refused
    }

    /// What is as old as a sample that was too old, or older, needs no request of its own: after a long outage that
    /// is most of a batch, and hundreds of series have samples of the same few times.
    fn leave_out_too_old(&mut self) {
        let Some((until, reason)) = self.too_old.take() else { return };
        for line in self.rounds.iter_mut().flatten() {
            for request in line.iter_mut() {
                let old = request.points.extract_if(.., |point| point.time <= until);
                self.refused.extend(old.map(|point| Refused { frame: point.frame, reason: reason.clone() }));
            }
            line.retain(|request| !request.points.is_empty());
        }
    }

    fn take(&mut self, shard: usize) -> Request {
        let line = self.rounds.front_mut().map(|round| &mut round[shard]);
        line.and_then(VecDeque::pop_front).expect("the shard is a waiting one")
    }
}
