//! One plugin's thread: takes work from its lane, calls the guest, commits what comes back.
//!
//! The thread owns the instance; nobody else ever calls it. Work is taken in rounds, each ended
//! by one commit; a swap comes between two rounds, and a round that is not committed is processed again by
//! whoever serves then, so every record is processed exactly once, by exactly one generation.
//!
//! The parts: `call` calls the guest, `records` runs rounds, `scan`, `unpack` and `evaluate` the other kinds of
//! work, `schedule` knows when groups of rules are due, `recorded` which series rules make, `groups` shows rules, `wall`
//! tells the time of evaluations, `swap` exchanges generations, `land` commits, `thread` and `anew` are about threads
//! that panic. What to do after a failure is decided by `round` and `circuit`.

mod anew;
mod call;
mod evaluate;
mod groups;
mod land;
pub(crate) mod recorded;
mod records;
mod scan;
mod schedule;
mod swap;
mod thread;
mod unpack;
mod wall;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use picket_sandbox::Instance;

use super::batch::Gather;
use super::circuit::{Change, Circuit, Patience, State as CircuitState};
use super::commit::Committer;
use super::control::{Control, Ending, Prepare};
use super::events;
use super::generation::{Generation, Surroundings};
use super::lane::{LaneReceiver, UNSETTLED, Wake};
use super::live::LiveSeries;
use super::metrics::{PluginMeter, WorkerMetrics};
use super::plugin_metrics::PluginMetrics;
use super::results::Results;
use super::round::Round;
use super::spool::Spool;
use super::work::Work;
use crate::alerts::{Alerts, PluginRules, Rules, Told};
use crate::model::{Block, Digest, EventId, LifecycleEvent, Notice, Origin, Sample, now_nanos};
use crate::tap::Taps;

pub use super::events::{Event, Place};
pub use anew::Anew;
pub use thread::spawn;

/// Notices that wait for a commit: beyond so many, commits have failed for long, and the log has them all.
const MAX_NOTICES: usize = 64;
/// A checkpoint without results waits this long for company before it is committed alone.
const LONE_CHECKPOINT: Duration = Duration::from_secs(1);

/// Puts committed samples where guests can read them.
pub type SampleStore = Arc<dyn Fn(&[&Sample]) + Send + Sync>;

/// What the worker shares with the rest of the agent.
#[derive(Clone)]
pub struct Shared {
    /// The way to the journal.
    pub committer: Committer,
    /// Where committed samples go besides.
    pub samples: SampleStore,
    /// Series that are live, so that each that ends is told to end.
    pub live: LiveSeries,
    /// Where members of containers wait to be scanned.
    pub spool: Spool,
    /// What plugins count.
    pub plugin_metrics: PluginMetrics,
    /// What workers count.
    pub metrics: WorkerMetrics,
    /// What happens to generations, for the lifecycle.
    pub events: Sender<Event>,
    /// Where people see what plugins commit.
    pub taps: Taps,
    /// Where people see rules.
    pub rules: Rules,
}

/// A generation that gave way and comes back if its successor's first call fails.
struct Previous {
    generation: Arc<Generation>,
    instance: Option<Instance>,
}

/// See the module's description.
pub struct Worker {
    lane: LaneReceiver<Work, Control>,
    shared: Shared,
    surroundings: Surroundings,
    meter: PluginMeter,
    generation: Arc<Generation>,
    /// None after a failure: the next call makes a fresh one.
    instance: Option<Instance>,
    previous: Option<Previous>,
    circuit: Circuit,
    round: Option<Round>,
    results: Results,
    /// For the journal whatever becomes of the results: of another generation, or made again.
    notices: Vec<Notice>,
    /// The last block of streams in which nothing was wanted since the last commit.
    lone_checkpoints: BTreeMap<Digest, Arc<Block>>,
    lone_since: Option<Instant>,
    /// Records that no interest matched, by stream, since the last batch.
    passed_over: BTreeMap<Digest, u64>,
    /// After a failed commit, or when the agent could not serve a call: not before this moment.
    not_before: Option<Instant>,
    commit_failures: u32,
    stalls: u32,
    alerts: Alerts,
    /// Which rules fail, and which have more alerts than are followed, as far as the log has it.
    errors_told: Told,
    left_out_told: Told,
    /// What is shown of its rules.
    rules: PluginRules,
    schedule: schedule::Schedule,
    wall: wall::Wall,
    /// What the last evaluations recorded.
    recorded: recorded::Recorded,
    /// Whether alerts of groups that the generation does not have are still to be ended.
    retire_due: bool,
    /// Whether a group was evaluated since work was taken: they take turns.
    evaluated: bool,
    /// Until the rest is over that follows when the thread before this one ended by a panic.
    anew: Option<Anew>,
    last_snapshot: Instant,
    /// Whether the instance was called since its last snapshot.
    touched: bool,
    stopping: Option<Sender<()>>,
    /// Whether the plugin does not come back.
    removed: bool,
    gather: Gather,
}

/// Everything a new worker starts with.
pub struct Start {
    /// Where its work comes from.
    pub lane: LaneReceiver<Work, Control>,
    /// The rest of the agent.
    pub shared: Shared,
    /// What its instances may ask for.
    pub surroundings: Surroundings,
    /// What it serves first.
    pub generation: Arc<Generation>,
    /// What serves again if that one's first call fails.
    pub previous: Option<Arc<Generation>>,
    /// Ready to be called. Without one the first call makes it, with the memory that was stored last.
    pub instance: Option<Instance>,
    /// When it rests.
    pub patience: Patience,
    /// Alerts as they were when the agent stopped.
    pub alerts: Alerts,
    /// Why there is another thread, if it follows one that panicked.
    pub anew: Option<Anew>,
}

impl Worker {
    /// Makes a worker; [`spawn`] runs it on a thread of its own.
    fn new(start: Start) -> Self {
        let origin = &start.generation.origin;
        let mut meter = start.shared.metrics.plugin(&origin.plugin);
        meter.serves(&origin.generation);
        meter.circuit(false);
        if start.previous.is_none() {
            start.lane.set_interest(start.generation.interest.id);
        }
        let rules = start.shared.rules.plugin(&origin.plugin);
        let mut alerts = start.alerts;
        let told = groups::of(&start.generation);
        alerts.set_up(&told);
        rules.set_up(told);
        let first = match start.previous {
            Some(_) => schedule::AFTER_EXCHANGE,
            None => schedule::AFTER_START,
        };
        Self {
            rules,
            wall: wall::Wall::default(),
            schedule: schedule::Schedule::new(&start.generation.setup.groups, Instant::now(), first),
            lane: start.lane,
            shared: start.shared,
            surroundings: start.surroundings,
            meter,
            generation: start.generation,
            instance: start.instance,
            retire_due: start.previous.is_none(),
            previous: start.previous.map(|generation| Previous { generation, instance: None }),
            circuit: Circuit::new(start.patience),
            round: None,
            results: Results::default(),
            notices: Vec::new(),
            lone_checkpoints: BTreeMap::new(),
            lone_since: None,
            passed_over: BTreeMap::new(),
            not_before: None,
            commit_failures: 0,
            stalls: 0,
            alerts,
            errors_told: Told::default(),
            left_out_told: Told::default(),
            recorded: recorded::Recorded::default(),
            evaluated: false,
            anew: start.anew,
            last_snapshot: Instant::now(),
            touched: false,
            stopping: None,
            removed: false,
            gather: Gather::default(),
        }
    }

    /// Works until it is stopped.
    fn run(mut self) {
        if let Err(error) = lower_priority() {
            tracing::debug!(%error, "The plugin's thread keeps the normal priority.");
        }
        self.rest_at_first();
        loop {
            let now = Instant::now();
            let (deadline, only_control) = self.next_wake(now);
            match self.lane.next(deadline, only_control) {
                Wake::Control(Control::Prepare(prepare)) => self.exchange(*prepare),
                Wake::Control(Control::Stop { ending, done }) => {
                    if ending == Ending::AtOnce {
                        return;
                    }
                    self.removed = ending == Ending::Removed;
                    self.stopping = Some(done);
                }
                Wake::Work(work) => self.take(work),
                Wake::Timeout if self.drained() => break,
                Wake::Timeout => {}
            }
            self.go_on();
        }
        self.last_words();
    }

    /// When to wake up at the latest, and whether work has to wait.
    fn next_wake(&mut self, now: Instant) -> (Option<Instant>, bool) {
        let rests_until = match self.circuit.state(now) {
            CircuitState::Open(until) => Some(until),
            CircuitState::Closed | CircuitState::HalfOpen => self.not_before.filter(|until| *until > now),
        };
        if rests_until.is_some() {
            // A plugin that is stopped while it rests does not keep the agent waiting.
            return (if self.stopping.is_some() { Some(now) } else { rests_until }, true);
        }
        if self.round.is_some() {
            return (Some(now), true);
        }
        if self.stopping.is_some() {
            return (Some(now), false);
        }
        let due = self.schedule.next_due();
        if !self.evaluated && due.is_some_and(|due| due <= now) {
            // Work that never ends does not keep rules from being evaluated.
            return (Some(now), true);
        }
        let lone = self.lone_since.map(|since| since + LONE_CHECKPOINT);
        (lone.into_iter().chain(due).chain(self.snapshot_at()).min(), false)
    }

    /// Whether a stopping worker has nothing left that it could do now.
    fn drained(&mut self) -> bool {
        self.stopping.is_some() && (self.round.is_none() || self.rests(Instant::now()))
    }

    fn rests(&mut self, now: Instant) -> bool {
        matches!(self.circuit.state(now), CircuitState::Open(_))
            || self.not_before.is_some_and(|until| until > now)
    }

    fn take(&mut self, work: Work) {
        self.evaluated = false;
        match work {
            Work::Records(delivery) => self.begin_round(delivery),
            Work::Scan(job) => self.scan(job),
            Work::Unpack(job) => self.unpack(job),
        }
    }

    /// One step of what is in hand: a call, a commit, an evaluation.
    fn go_on(&mut self) {
        let now = Instant::now();
        if self.rests(now) {
            return;
        }
        self.rested();
        if self.round.is_some() {
            self.step();
            return;
        }
        // A series that a group of another name goes on with is no end.
        if self.retire_due && self.schedule.all_began() {
            self.retire_due = !self.retire_groups();
            if self.retire_due {
                // What a refused commit waits for holds for the next one too.
                return;
            }
        }
        self.settle_lone_checkpoints(now);
        self.evaluate_due(now);
    }

    /// Snapshot and last checkpoints before the thread ends.
    fn last_words(&mut self) {
        if self.round.is_none() {
            if self.removed {
                self.retire_all();
            }
            self.flush();
        }
        if let Some(done) = self.stopping.take() {
            // Nobody waits any more: the agent stops without this plugin.
            let _ = done.send(());
        }
    }

    /// A call of the generation worked.
    fn proven(&mut self) {
        self.stalls = 0;
        if self.previous.take().is_some() {
            self.lane.set_interest(self.generation.interest.id);
            self.retire_due = true;
            self.tell(Event::Proven(self.generation.origin.clone()));
        }
        if self.circuit.success() == Change::Closed {
            self.meter.circuit(false);
            self.notice(LifecycleEvent::CircuitClosed, String::new());
            self.tell(Event::Circuit { origin: self.generation.origin.clone(), open: None });
        }
    }

    /// A record, a file or a group failed for good.
    fn blame(&mut self, place: Place, error: &str) {
        let origin = self.generation.origin.clone();
        self.meter.blamed();
        tracing::warn!(
            plugin = origin.plugin,
            generation = origin.generation.short(),
            stream = place.stream,
            offset = place.offset,
            reason = error,
            "The plugin cannot process this; it is kept as evidence and passed over."
        );
        self.tell(Event::Blamed { origin, place, reason: error.to_owned() });
        self.count_failure(error);
    }

    fn count_failure(&mut self, error: &str) {
        if let Change::Opened(pause) = self.circuit.failure(Instant::now(), jitter()) {
            let origin = self.generation.origin.clone();
            self.meter.circuit(true);
            self.notice(LifecycleEvent::CircuitOpened, error.to_owned());
            // The next commit may be a long rest away.
            self.commit_notices();
            tracing::error!(
                plugin = origin.plugin,
                generation = origin.generation.short(),
                reason = error,
                pause_seconds = pause.as_secs_f64(),
                "The plugin failed too often in a row and rests; its sources keep its place."
            );
            self.tell(Event::Circuit { origin, open: Some((self.circuit.failures(), pause)) });
        }
    }

    /// Counts what the generation logged and was refused since the last time.
    fn count_used(&mut self) {
        let used = self.generation.linked.counts();
        self.meter.generation_used(&self.generation.origin.generation, used);
    }

    fn notice(&mut self, event: LifecycleEvent, reason: String) {
        self.notice_of(self.generation.origin.clone(), event, reason);
    }

    fn notice_of(&mut self, origin: Origin, event: LifecycleEvent, reason: String) {
        let time = now_nanos();
        let id = EventId::derive(&origin.generation, time, &origin.generation, event as u32);
        if self.notices.len() < MAX_NOTICES {
            self.notices.push(Notice { id, time, origin, event, reason });
        }
    }

    fn tell(&self, event: Event) {
        if !events::tell(&self.shared.events, event) {
            self.meter.untold();
        }
    }

    fn exchange(&mut self, prepare: Prepare) {
        swap::exchange(self, prepare);
    }
}

/// Plugins give way to everything else on the node.
fn lower_priority() -> rustix::io::Result<()> {
    const NICE: i32 = 10;
    rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE)
}

/// A number from 0 to 1 that differs between plugins that fail together.
fn jitter() -> f64 {
    f64::from(now_nanos() as u32 % 1024) / 1023.0
}

/// Waits for the lifecycle's word, however it comes.
fn decided(decision: &Receiver<()>) -> bool {
    decision.recv().is_ok()
}
