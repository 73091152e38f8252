//! The exchange of generations at a batch boundary.
//!
//! A candidate comes configured. Here it gets the memory of the generation that serves; if it
//! takes it, the lifecycle decides (several plugins may change together), and only then
//! it serves. The former generation stays at hand until the candidate's first call has succeeded.

use std::sync::Arc;
use std::time::Instant;

use picket_sandbox::CallError;

use super::call::Failure;
use super::schedule::{AFTER_EXCHANGE, Schedule};
use super::{Event, Previous, UNSETTLED, Worker, decided, groups};
use crate::model::LifecycleEvent;
use crate::pipeline::batch::selected;
use crate::pipeline::control::{NotReady, Prepare};
use crate::pipeline::results::Results;

/// Takes a candidate in, or answers why not.
pub(super) fn exchange(worker: &mut Worker, mut prepare: Prepare) {
    finish_round(worker);
    let outcome = carry_over(worker, &mut prepare);
    let accepted = outcome.is_ok();
    // If nobody hears the answer, nobody will decide for the candidate either.
    let _ = prepare.ready.send(outcome);
    if accepted && decided(&prepare.decision) {
        serve(worker, prepare);
    }
}

/// In-flight work ends on the old generation, unless it rests and cannot go on.
fn finish_round(worker: &mut Worker) {
    while worker.round.is_some() && !worker.rests(Instant::now()) {
        worker.step();
    }
}

/// Gives the serving instance's memory to the candidate; without a live instance, the stored snapshot.
fn carry_over(worker: &mut Worker, prepare: &mut Prepare) -> Result<(), NotReady> {
    let live = worker.instance.as_mut().map(|instance| instance.snapshot());
    let (bytes, version) = match live {
        Some(Ok(bytes)) => (bytes, worker.generation.version.clone()),
        Some(Err(error)) => {
            worker.discard(&error);
            worker.surroundings.state.snapshot().map_err(NotReady::NotNow)?
        }
        None => worker.surroundings.state.snapshot().map_err(NotReady::NotNow)?,
    };
    if bytes.is_empty() {
        return Ok(());
    }
    prepare.instance.restore(&bytes, &version).map_err(|error| {
        let reason = format!("`restore` failed: {error}");
        match error {
            CallError::Budget { .. } => NotReady::NotNow(reason),
            _ => NotReady::Refused(reason),
        }
    })
}

fn serve(worker: &mut Worker, prepare: Prepare) {
    let generation = std::mem::replace(&mut worker.generation, prepare.generation);
    let instance = worker.instance.replace(prepare.instance);
    // Only the last generation that worked is worth coming back to.
    if worker.previous.is_none() {
        worker.previous = Some(Previous { generation, instance });
    }
    worker.circuit.reset();
    worker.meter.circuit(false);
    worker.not_before = None;
    worker.lane.set_interest(UNSETTLED);
    take_over(worker);
    // Without groups no evaluation shows that it works; what groups of before left ends all the same.
    worker.retire_due |= worker.schedule.groups().is_empty();
    worker.notice(LifecycleEvent::Active, String::new());
}

/// The former generation serves again, as it was at the swap.
pub(super) fn put_back(worker: &mut Worker, previous: Previous, failure: &Failure) {
    let (reason, passes) = (failure.to_string(), matches!(failure, Failure::Stalled(_)));
    let refused = std::mem::replace(&mut worker.generation, previous.generation);
    worker.instance = previous.instance;
    worker.lane.set_interest(worker.generation.interest.id);
    tracing::error!(
        plugin = refused.origin.plugin,
        generation = refused.origin.generation.short(),
        reason,
        "The first call of the new generation failed; the former one serves again."
    );
    take_over(worker);
    worker.notice_of(refused.origin.clone(), LifecycleEvent::Rejected, reason.clone());
    let serves = worker.generation.origin.generation;
    worker.tell(Event::Reverted { refused: refused.origin.clone(), serves, reason, passes });
}

/// What follows from another generation serving, whichever it is.
fn take_over(worker: &mut Worker) {
    worker.results = Results::default();
    worker.surroundings.state.forget_pending();
    worker.meter.serves(&worker.generation.origin.generation);
    let schedule = Schedule::new(&worker.generation.setup.groups, Instant::now(), AFTER_EXCHANGE);
    worker.schedule = schedule.after(&worker.schedule);
    let told = groups::of(&worker.generation);
    worker.alerts.set_up(&told);
    worker.rules.set_up(told);
    let interest = Arc::clone(&worker.generation.interest);
    if let Some(round) = &mut worker.round {
        round.reselect(|work| {
            work.selection = interest.select(&work.block);
            work.interest = interest.id;
        });
        round.restart(|work| selected(&work.block, &work.selection));
    }
}
