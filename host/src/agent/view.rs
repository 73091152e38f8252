//! What the API shows, gathered from the parts when somebody asks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use picket_journal::Tail;
use picket_sandbox::Engine;

use super::alert_view::AlertShown;
use super::control::{Control, NotLoaded, Reloaded};
use super::core::Core;
use super::daemon::Parts;
use super::found;
use super::lookups;
use super::retract::Retractions;
use crate::alerts::{self, ActiveAlert, NewSilence, RuleGroup, SilenceError};
use crate::api::dto::{self, Time};
use crate::api::prometheus::view::{Found, Lookup, LookupError, Metadata};
use crate::api::{FindingQuery, FindingsError, RetractError, RetractQuery, TapError, View};
use crate::archive::Searcher;
use crate::config::{Checked, Code, Problem};
use crate::lifecycle::{Active, PluginState, PluginStatus, Statuses};
use crate::model::{Label, now_nanos};
use crate::pipeline::commit::Health;
use crate::pipeline::metrics::WorkerMetrics;
use crate::pipeline::query::{AskError, Pending, Queries, Question};
use crate::state::State;
use crate::tap::{NoTap, Point, Tapped, Taps, Way};

/// Handles on everything that is shown.
pub(super) struct Shown {
    statuses: Statuses,
    state: State,
    series: Arc<picket_series::Store>,
    engine: Arc<Engine>,
    alerts: AlertShown,
    queries: Arc<Queries>,
    workers: WorkerMetrics,
    tail: Tail,
    health: Health,
    taps: Taps,
    retractions: Retractions,
    parts: Arc<Mutex<Option<Parts>>>,
    facts: Mutex<Facts>,
}

/// What changes over the agent's life.
struct Facts {
    started: Option<u64>,
    stopping: bool,
    data_dir: String,
    listen: Option<SocketAddr>,
    config: dto::ConfigStatus,
}

impl Shown {
    /// Before the agent has started.
    pub(super) fn new(checked: &Checked, core: &Core, parts: Arc<Mutex<Option<Parts>>>) -> Self {
        let facts = Facts {
            started: None,
            stopping: false,
            data_dir: checked.data_dir.display().to_string(),
            listen: None,
            config: dto::ConfigStatus::default(),
        };
        let shown = Self {
            statuses: core.lifecycle.statuses(),
            state: core.state.clone(),
            series: core.series.clone(),
            engine: core.engine.clone(),
            alerts: AlertShown::new(core),
            queries: core.queries.clone(),
            workers: core.workers.clone(),
            tail: core.committer.tail(),
            health: core.committer.health(),
            taps: core.taps.clone(),
            retractions: Retractions::new(core.retractor.clone()),
            parts,
            facts: Mutex::new(facts),
        };
        shown.configured(checked);
        shown
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything runs.
    pub(super) fn started(&self, listen: Option<SocketAddr>) {
        let mut facts = self.facts();
        facts.started = Some(now_nanos());
        facts.listen = listen;
    }

    /// The agent is about to stop.
    pub(super) fn stopping(&self) {
        self.facts().stopping = true;
    }

    /// Another configuration is active.
    pub(super) fn configured(&self, checked: &Checked) {
        let mut facts = self.facts();
        facts.config.files = checked.files().map(|file| file.display().to_string()).collect();
        facts.config.generation += 1;
        facts.config.loaded = Time(now_nanos());
    }

    /// What the last reload came to.
    pub(super) fn reloaded(&self, outcome: &Reloaded) {
        self.facts().config.last_error = outcome.as_ref().err().map(ToString::to_string);
    }

    fn parts<T>(&self, with: impl FnOnce(&Parts) -> T) -> Option<T> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(with)
    }

    fn counts(&self, status: &PluginStatus) -> dto::PluginCounts {
        let counts = self.workers.counts(&status.name);
        let active = status.active.as_ref();
        dto::PluginCounts {
            records: counts.records,
            scans: counts.scans,
            log_lines_dropped: active.map_or(0, Active::log_lines_dropped),
            waiting_bytes: active.map_or(0, Active::waiting_bytes),
            passed_over: counts.passed_over,
            findings: counts.findings,
            failures: counts.failures,
            cpu_seconds: counts.cpu_seconds,
            memory_bytes: counts.memory_bytes,
            state_bytes: self.state.plugin_bytes(&status.name).unwrap_or(0),
        }
    }

    fn plugin(&self, status: PluginStatus) -> dto::PluginView {
        let counts = self.counts(&status);
        let active = status.active;
        dto::PluginView {
            kinds: active.as_ref().map(|active| active.kinds.clone()).unwrap_or_default(),
            sources: active.as_ref().map(|active| active.sources.clone()).unwrap_or_default(),
            state: match status.state {
                PluginState::Active => dto::PluginState::Active,
                PluginState::Resting => dto::PluginState::Resting,
                PluginState::Ended => dto::PluginState::Ended,
                PluginState::Rejected => dto::PluginState::Rejected,
            },
            active: active.map(|active| dto::GenerationView {
                digest: active.generation,
                component: active.component,
                file: active.file.display().to_string(),
                version: active.version,
                since: Time(active.since),
            }),
            rejected: status.rejected.map(|rejected| dto::Rejection {
                generation: rejected.generation,
                step: rejected.step.to_owned(),
                reason: rejected.reason,
                time: Time(rejected.time),
            }),
            circuit: dto::Circuit {
                open: status.rests_until.is_some(),
                failures: status.failures,
                until: status.rests_until.map(Time),
            },
            counts,
            blame: status.blame.map(|blame| dto::Blame {
                generation: blame.origin.generation,
                digest: blame.place.digest,
                source: blame.place.source,
                stream: blame.place.stream,
                offset: blame.place.offset,
                reason: blame.reason,
                time: Time(blame.time),
            }),
            name: status.name,
        }
    }
}

/// The API's view of the agent.
pub(super) struct AgentView {
    shown: Arc<Shown>,
    control: Control,
}

impl AgentView {
    pub(super) fn new(shown: Arc<Shown>, control: Control) -> Self {
        Self { shown, control }
    }

    /// For searches outside of the lock: a reload and the stop need it too, and a search may take long. None when the
    /// agent stops.
    fn searcher(&self) -> Option<Searcher> {
        self.shown.parts(|parts| parts.archive.searcher())
    }

    /// The points of a part of the way, with the kinds of sources.
    fn points(&self, way: Way) -> Result<Vec<(String, String)>, TapError> {
        let plugins = || self.shown.statuses.all().into_iter().map(|plugin| (plugin.name, String::new()));
        let points = self.shown.parts(|parts| match way {
            Way::Source => {
                parts.sources.names().into_iter().map(|(name, kind)| (name, kind.to_owned())).collect()
            }
            Way::Plugin => plugins().collect(),
            Way::Forwarder => {
                parts.forwarders.status().into_iter().map(|it| (it.name, it.kind.to_owned())).collect()
            }
        });
        points.ok_or_else(|| TapError::Unavailable(NoTap::Stopping.to_string()))
    }
}

impl View for AgentView {
    fn is_started(&self) -> bool {
        self.shown.facts().started.is_some()
    }

    fn ready(&self) -> Result<(), String> {
        let facts = self.shown.facts();
        if facts.stopping {
            return Err("the agent is stopping".to_owned());
        }
        if facts.started.is_none() {
            return Err("the agent is starting".to_owned());
        }
        drop(facts);
        if let Some(trouble) = self.shown.health.trouble() {
            return Err(format!("results cannot be committed: {trouble}"));
        }
        self.shown.state.check_room().map_err(|error| error.to_string())
    }

    fn status(&self) -> dto::Status {
        let shown = &self.shown;
        let mut plugins = BTreeMap::new();
        for status in shown.statuses.all() {
            let state = match status.state {
                PluginState::Active => "active",
                PluginState::Resting => "resting",
                PluginState::Ended => "ended",
                PluginState::Rejected => "rejected",
            };
            *plugins.entry(state.to_owned()).or_default() += 1;
        }
        let (sources, forwarders) =
            shown.parts(|parts| (sources(parts), forwarders(parts))).unwrap_or_default();
        let size = shown.series.size();
        let not_ready = self.ready().err();
        let facts = shown.facts();
        dto::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: Time(facts.started.unwrap_or(0)),
            not_ready,
            data_dir: facts.data_dir.clone(),
            config: facts.config.clone(),
            plugins,
            sources,
            forwarders,
            journal: dto::JournalStatus {
                bytes: shown.tail.bytes_after(shown.tail.first()),
                end: shown.tail.durable_end().to_string(),
                error: shown.health.trouble(),
            },
            series: dto::SeriesStatus { series: size.series as u64, samples: size.samples },
            rules: rules(&shown.alerts.rules()),
            memory: dto::MemoryStatus {
                used_bytes: shown.engine.memory_used(),
                limit_bytes: shown.engine.memory_budget(),
            },
        }
    }

    fn plugins(&self) -> dto::Plugins {
        dto::Plugins {
            plugins: self.shown.statuses.all().into_iter().map(|status| self.shown.plugin(status)).collect(),
        }
    }

    fn findings(&self, query: &FindingQuery, deadline: Instant) -> Result<dto::Findings, FindingsError> {
        let searcher =
            self.searcher().ok_or_else(|| FindingsError::Unreadable("the agent is stopping".to_owned()))?;
        found::findings(&searcher, query, deadline)
    }

    fn retract(&self, query: &RetractQuery, deadline: Instant) -> Result<dto::RetractReport, RetractError> {
        let searcher =
            self.searcher().ok_or_else(|| RetractError::Unavailable("the agent is stopping".to_owned()))?;
        self.shown.retractions.retract(&searcher, query, deadline)
    }

    fn alerts(&self) -> Vec<dto::AlertView> {
        self.shown.alerts.alerts()
    }

    fn rules(&self) -> Vec<RuleGroup> {
        self.shown.alerts.rules()
    }

    fn silences(&self) -> dto::Silences {
        dto::Silences { silences: self.shown.alerts.silences() }
    }

    fn add_silence(&self, wanted: NewSilence) -> Result<dto::SilenceView, SilenceError> {
        self.shown.alerts.add_silence(wanted)
    }

    fn expire_silence(&self, id: &str) -> Result<dto::SilenceView, SilenceError> {
        self.shown.alerts.expire_silence(id)
    }

    fn reload(&self) -> dto::ReloadReport {
        let before: BTreeMap<_, _> =
            self.shown.statuses.all().into_iter().map(|status| (status.name.clone(), status)).collect();
        let outcome = self.control.reload();
        let after = self.shown.statuses.all();
        let mut plugins: Vec<_> =
            after.iter().map(|status| reloaded(before.get(&status.name), status)).collect();
        let gone = before.keys().filter(|name| !after.iter().any(|status| status.name == **name));
        plugins.extend(gone.map(|name| dto::ReloadedPlugin {
            plugin: name.clone(),
            outcome: dto::Outcome::Removed,
            active: None,
            reason: None,
        }));
        let problems = match outcome {
            Ok(()) | Err(NotLoaded::Plugins(_)) => Vec::new(),
            Err(NotLoaded::Config(problems)) => problems.0.iter().map(config_problem).collect(),
            Err(other @ (NotLoaded::Part(_) | NotLoaded::Unrest(_) | NotLoaded::Stopping)) => {
                vec![config_problem(&Problem::new(Code::BadValue, other.to_string()))]
            }
        };
        dto::ReloadReport { problems, plugins }
    }

    fn tap(&self, point: &Point, limit: u32) -> Result<Tapped, TapError> {
        super::points::check(point, &self.points(point.way)?)?;
        self.shown.taps.open(point.clone(), limit).map_err(|error| match error {
            NoTap::TooMany => TapError::Busy(error.to_string()),
            NoTap::Stopping => TapError::Unavailable(error.to_string()),
        })
    }

    fn end_taps(&self) {
        self.shown.taps.end();
    }

    fn ask(&self, question: Question) -> Result<Pending, AskError> {
        self.shown.queries.ask(question)
    }

    fn series(&self, lookup: &Lookup, deadline: Instant) -> Result<Found<Vec<Label>>, LookupError> {
        lookups::series(&self.shown.series, lookup, deadline)
    }

    fn label_names(&self, lookup: &Lookup, deadline: Instant) -> Result<Found<String>, LookupError> {
        lookups::label_names(&self.shown.series, lookup, deadline)
    }

    fn label_values(
        &self,
        name: &str,
        lookup: &Lookup,
        deadline: Instant,
    ) -> Result<Found<String>, LookupError> {
        lookups::label_values(&self.shown.series, name, lookup, deadline)
    }

    fn metadata(&self) -> Vec<Metadata> {
        lookups::metadata(&self.shown.series)
    }

    fn rule_alerts(&self) -> Vec<ActiveAlert> {
        self.shown.alerts.active()
    }
}

pub(super) fn config_problem(problem: &Problem) -> dto::ConfigProblem {
    dto::ConfigProblem {
        code: problem.code.to_string(),
        message: problem.message.clone(),
        place: problem.place.as_ref().map(ToString::to_string),
        key: problem.key.clone(),
        help: problem.help.clone(),
    }
}

fn reloaded(before: Option<&PluginStatus>, now: &PluginStatus) -> dto::ReloadedPlugin {
    let active = now.active.as_ref().map(|active| active.generation);
    let former = before.and_then(|before| before.active.as_ref()).map(|active| active.generation);
    let outcome = match (&now.rejected, former) {
        (Some(_), _) => dto::Outcome::Rejected,
        (None, None) => dto::Outcome::Added,
        (None, former) if former == active => dto::Outcome::Unchanged,
        (None, Some(_)) => dto::Outcome::Swapped,
    };
    let reason = now.rejected.as_ref().map(|rejected| rejected.reason.clone());
    dto::ReloadedPlugin { plugin: now.name.clone(), outcome, active, reason }
}

fn rules(groups: &[RuleGroup]) -> dto::RulesStatus {
    let of_groups = || groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    let failing = || of_groups().filter(|(_, rule)| rule.health == alerts::Health::Err);
    let told = |(group, rule): (&RuleGroup, &alerts::Rule)| {
        let why = rule.last_error.as_deref().unwrap_or_default();
        format!("`{}` of group `{}`: {why}", rule.name, group.name)
    };
    dto::RulesStatus {
        groups: groups.len() as u64,
        rules: of_groups().count() as u64,
        failing: failing().count() as u64,
        error: failing().next().map(told),
    }
}

fn sources(parts: &Parts) -> Vec<dto::SourceStatus> {
    let problem = |problem: crate::sources::Problem| dto::SourceProblem {
        path: problem.path.display().to_string(),
        error: problem.error,
        remedy: problem.remedy,
    };
    let source = |source: crate::sources::SourceStatus| dto::SourceStatus {
        name: source.name,
        kind: source.kind,
        streams: source.streams as u64,
        lag_bytes: source.lag_bytes,
        problems: source.problems.into_iter().map(problem).collect(),
    };
    parts.sources.status().into_iter().map(source).collect()
}

fn forwarders(parts: &Parts) -> Vec<dto::ForwarderStatus> {
    let forwarder = |forwarder: crate::forwarders::ForwarderStatus| dto::ForwarderStatus {
        name: forwarder.name,
        kind: forwarder.kind.to_owned(),
        queued_bytes: forwarder.drain.queued_bytes,
        queued_frames: forwarder.drain.queued_frames,
        oldest_seconds: forwarder.drain.oldest_seconds,
        sent_frames: forwarder.drain.sent_frames,
        refused_frames: forwarder.drain.refused_frames,
        dropped_frames: forwarder.drain.dropped_frames,
        circuit_open: forwarder.drain.circuit_open,
        refused_file: forwarder.refused_file.map(|path| path.display().to_string()),
        error: forwarder.drain.error,
    };
    parts.forwarders.status().into_iter().map(forwarder).collect()
}
