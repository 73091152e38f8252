//! The thread that answers, and the instance that it keeps warm.
//!
//! One question after the other, in the order in which they came. One whose caller has gone, or whose time
//! is over before its turn, is not evaluated.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use picket_sandbox::{CallError, Instance, Limits, QueryError};
use tokio::sync::oneshot;

use super::engines::{Engine, Engines};
use super::{ANSWER_BYTES, AskError, Metrics, Outcome, Question, WAITING};
use crate::pipeline::generation;

/// An instance that nobody has asked for so long is thrown away: it holds a second copy of all rules.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// How often an instance that nobody asks is looked at: so long it may outlive its generation.
const LOOK: Duration = Duration::from_secs(10);

/// A question on its way.
pub(super) struct Job {
    pub(super) question: Question,
    pub(super) engine: Engine,
    pub(super) answer: oneshot::Sender<Outcome>,
}

/// The running thread.
pub(super) struct Thread {
    pub(super) jobs: Sender<Job>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
    handle: JoinHandle<()>,
}

impl Thread {
    /// Lets it finish what it evaluates, at most so long.
    pub(super) fn stop(self, patience: Duration) {
        drop(self.jobs);
        if self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("A query is still evaluated and left behind; nobody waits for its answer.");
            return;
        }
        // A panic is in the log.
        let _ = self.handle.join();
    }
}

/// Starts the thread. No expression is evaluated for longer than `timeout`.
pub(super) fn spawn(engines: Engines, timeout: Duration, metrics: Metrics) -> io::Result<Thread> {
    let (jobs, waiting) = bounded(WAITING);
    let (lives, ended) = bounded(0);
    let handle = Builder::new().name("queries".to_owned()).spawn(move || {
        // Dropped at the end, also at that of a panic.
        let _lives: Sender<()> = lives;
        Answering { engines, timeout, metrics, warm: None }.run(&waiting);
    })?;
    Ok(Thread { jobs, ended, handle })
}

struct Answering {
    engines: Engines,
    timeout: Duration,
    metrics: Metrics,
    warm: Option<Warm>,
}

/// An instance that is ready to be asked.
struct Warm {
    engine: Engine,
    instance: Instance,
    used: Instant,
}

impl Answering {
    fn run(mut self, waiting: &Receiver<Job>) {
        loop {
            let next = match self.warm {
                Some(_) => waiting.recv_timeout(LOOK),
                None => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(job) => self.take(job),
                Err(RecvTimeoutError::Timeout) => self.tidy(Instant::now()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.discard();
    }

    fn take(&mut self, job: Job) {
        if job.answer.is_closed() {
            self.metrics.count("gone");
            return;
        }
        let started = Instant::now();
        let outcome = self.answer(job.engine, &job.question);
        self.metrics.took(started.elapsed());
        self.metrics.count(outcome.as_ref().map_or_else(AskError::outcome, |_| "success"));
        self.metrics.memory(self.warm.as_ref().map_or(0, |warm| warm.instance.memory_bytes()));
        // Whoever asked may have gone in the meantime.
        let _ = job.answer.send(outcome);
    }

    fn answer(&mut self, engine: Engine, question: &Question) -> Outcome {
        let plugin = engine.generation.origin.plugin.clone();
        let left = |now: Instant| question.deadline.saturating_duration_since(now);
        if left(Instant::now()).is_zero() {
            return Err(AskError::Late);
        }
        let warm = self.warm_up(engine)?;
        let within = left(Instant::now());
        if within.is_zero() {
            return Err(AskError::Late);
        }
        let called = warm.instance.query_within(&question.expression, question.time, within);
        warm.used = Instant::now();
        match called {
            Ok(output) => output.value.map_err(|error| match error {
                QueryError::BadExpression(words) => AskError::BadExpression(words),
                // In the words of Prometheus' engine.
                QueryError::Failed(words) if words.starts_with("query timed out") => AskError::Late,
                QueryError::Failed(words) => AskError::Failed(words),
            }),
            Err(error) => {
                self.discard();
                Err(broken(plugin, &error))
            }
        }
    }

    /// The instance of the generation that is asked, made when there is none.
    fn warm_up(&mut self, engine: Engine) -> Result<&mut Warm, AskError> {
        let fits = |warm: &Warm| Arc::ptr_eq(&warm.engine.generation, &engine.generation);
        // Another generation's is dropped here, before the next one is made, so that there are never two.
        let kept = self.warm.take().filter(fits);
        let warm = match kept {
            Some(warm) => warm,
            None => self.make(engine)?,
        };
        Ok(self.warm.insert(warm))
    }

    fn make(&self, engine: Engine) -> Result<Warm, AskError> {
        let of = &engine.generation;
        let limits = Limits {
            call_deadline: self.timeout,
            output_bytes: of.limits.output_bytes.max(ANSWER_BYTES),
            ..of.limits.clone()
        };
        let made = generation::instance(
            &of.origin,
            &of.linked,
            &of.config,
            &of.assets,
            &limits,
            &engine.surroundings,
        );
        let (instance, _) = made.map_err(|error| AskError::NoInstance {
            plugin: of.origin.plugin.clone(),
            reason: error.to_string(),
        })?;
        Ok(Warm { engine, instance, used: Instant::now() })
    }

    /// Throws the instance away when nobody needs it.
    fn tidy(&mut self, now: Instant) {
        let needed = self.warm.as_ref().is_some_and(|warm| {
            now.saturating_duration_since(warm.used) < IDLE && self.engines.is_current(&warm.engine)
        });
        if !needed {
            self.discard();
        }
    }

    fn discard(&mut self) {
        self.warm = None;
        self.metrics.memory(0);
    }
}

fn broken(plugin: String, error: &CallError) -> AskError {
    match error {
        CallError::Deadline { .. } => AskError::Late,
        CallError::Budget { .. } => AskError::NoInstance { plugin, reason: error.to_string() },
        _ => AskError::Broken { plugin, reason: error.to_string() },
    }
}
