//! One call of the guest, and whose fault it is when it fails.
//!
//! What the agent could not give (an instance, memory within the budget of all plugins, the state) says
//! nothing about the plugin or about what it was given: the work is kept and tried again after a pause. Any
//! other failure is the call's. What follows from one is decided by who asked for the call.

use std::time::{Duration, Instant};

use super::Worker;
use crate::pipeline::generation::InstanceError;
use picket_sandbox::{CallError, Instance, Output};

/// After a failure that passes by itself: the first pause, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Why a call has no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The plugin failed on what it was given.
    Call(CallError),
    /// The agent could not serve the plugin, for this reason.
    Stalled(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call(error) => error.fmt(f),
            Self::Stalled(reason) => f.write_str(reason),
        }
    }
}

impl Worker {
    /// Calls the live instance, or a fresh one with the last stored snapshot. After a failure the instance
    /// is gone. `records` is how many are handed over, for the metrics.
    pub(super) fn call<T>(
        &mut self,
        records: usize,
        call: impl FnOnce(&mut Instance) -> Result<Output<T>, CallError>,
    ) -> Result<Output<T>, Failure> {
        // What an earlier call met is not this one's.
        drop(self.surroundings.state.take_failure());
        let started = Instant::now();
        let outcome = match self.instance() {
            Ok(instance) => call(instance),
            Err(error) => {
                self.meter.failed("instance");
                return Err(Failure::Stalled(error.to_string()));
            }
        };
        self.meter.called(started.elapsed(), records);
        match outcome {
            Ok(output) => {
                let memory = self.instance.as_ref().map_or(0, Instance::memory_bytes);
                self.meter.used(output.cpu, memory);
                self.touched = true;
                Ok(output)
            }
            Err(error) => {
                self.discard(&error);
                Err(match self.surroundings.state.take_failure() {
                    Some(reason) => Failure::Stalled(format!("the state cannot be read: {reason}")),
                    None if matches!(error, CallError::Budget { .. }) => Failure::Stalled(error.to_string()),
                    None => Failure::Call(error),
                })
            }
        }
    }

    /// The live instance, or a fresh one with the last stored snapshot.
    pub(super) fn instance(&mut self) -> Result<&mut Instance, InstanceError> {
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.generation.revive(&self.surroundings)?,
        };
        Ok(self.instance.insert(instance))
    }

    /// Counts a failed call and throws the instance away.
    pub(super) fn discard(&mut self, error: &CallError) {
        self.meter.failed(error.reason());
        error.limit().inspect(|limit| self.meter.met(limit));
        self.instance = None;
        self.count_used();
    }

    /// The agent could not serve the plugin: it pauses, and rests when that goes on. Nothing is blamed.
    pub(super) fn stalled(&mut self, reason: &str) {
        self.instance = None;
        let pause = pause_after(self.stalls);
        self.stalls += 1;
        self.not_before = Some(Instant::now() + pause);
        tracing::warn!(
            plugin = self.generation.origin.plugin,
            generation = self.generation.origin.generation.short(),
            reason,
            pause_seconds = pause.as_secs_f64(),
            "The plugin cannot be called now; its work is kept and tried again after a pause."
        );
        self.count_failure(reason);
    }
}

/// How long to wait after so many failures in a row.
pub(super) fn pause_after(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}
