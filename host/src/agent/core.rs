//! The parts that every run of plugins needs, a daemon's as well as a one-shot's: state, journal, commit,
//! series store, sandbox and the plugin table. Starts them in order and stops them in the reverse order.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use crossbeam_channel::Receiver;
use picket_journal::Journal;
use picket_sandbox::{Compiler, CompilerConfig, Engine, EngineConfig, TracingLog};
use picket_series::Store as SeriesStore;
use prometheus::Registry;

use super::series::StoreReader;
use super::{compiler_metrics, own_metrics};
use crate::alerts;
use crate::config::Checked;
use crate::lifecycle::{self, AlertDeps, Deps, Lifecycle, trusted};
use crate::model::{Sample, now_nanos};
use crate::pipeline::commit::{self, CommitThread, Committer};
use crate::pipeline::events;
use crate::pipeline::live::LiveSeries;
use crate::pipeline::metrics::WorkerMetrics;
use crate::pipeline::plugin_metrics::PluginMetrics;
use crate::pipeline::query::{self, Queries};
use crate::pipeline::retract::Retractor;
use crate::pipeline::route::Router;
use crate::pipeline::spool::Spool;
use crate::pipeline::worker;
use crate::sources::SourceConfig;
use crate::state::State;
use crate::tap::Taps;

/// The interval at which deadlines of guests are checked: a call is stopped at most this much late.
const TICK: Duration = Duration::from_millis(5);

/// How long the expression that is evaluated at the end may go on. Nobody waits for its answer any more.
const LAST_QUERY: Duration = Duration::from_secs(2);

/// See the module's description.
pub(super) struct Core {
    pub(super) registry: Registry,
    pub(super) state: State,
    pub(super) committer: Committer,
    pub(super) series: Arc<SeriesStore>,
    pub(super) live: LiveSeries,
    pub(super) router: Arc<Router>,
    pub(super) active_alerts: alerts::ActiveAlerts,
    pub(super) silences: alerts::Silences,
    /// The rules of all plugins, for the API.
    pub(super) rules: alerts::Rules,
    pub(super) lifecycle: Lifecycle,
    /// What workers tell the lifecycle; the control loop hands it over.
    pub(super) heard: Receiver<worker::Event>,
    pub(super) engine: Arc<Engine>,
    pub(super) workers: WorkerMetrics,
    /// Takes results back.
    pub(super) retractor: Retractor,
    /// Where people see what passes.
    pub(super) taps: Taps,
    /// Where expressions are asked.
    pub(super) queries: Arc<Queries>,
    commit_thread: CommitThread,
}

/// Where things are kept.
pub(super) struct Folders {
    /// State, journal, generations.
    pub(super) data: PathBuf,
    /// Compiled components.
    pub(super) cache: PathBuf,
}

impl Core {
    /// Opens the data folder, repairs what a crash left, and is ready to take plugins.
    pub(super) fn start(checked: &Checked, folders: &Folders, registry: Registry) -> anyhow::Result<Self> {
        make_private(&folders.data)?;
        // What is in it is believed, so nobody else may have put it there. The compiler judges its folder.
        trusted::judge_private(&folders.data)?;
        make_private(&folders.cache)?;
        // First of all, because it holds the lock against a second agent.
        let state = State::open(&folders.data.join("state"), checked.state.cache.0)?;
        let commits = commit::Config { segment_bytes: checked.journal.segment_bytes, ..Default::default() };
        let folder = folders.data.join("journal");
        let (journal, repair) = Journal::open(Arc::new(picket_journal::RealFs), &folder, commits.journal())?;
        if !repair.is_clean() {
            tracing::warn!(
                ?repair,
                "The journal was repaired. After a crash, what was cut off had never been acknowledged; after \
                 damage by the disk it may have been."
            );
        }
        let metrics = commit::Metrics::new(&registry)?;
        metrics.journal_repaired(&repair);
        let (committer, commit_thread) = commit::start(journal, state.clone(), commits, metrics)?;

        let series = Arc::new(open_series(checked, &folders.data.join("series"), &registry)?);
        let engine = Engine::new(EngineConfig { tick: TICK, memory_budget: checked.agent.memory.0 })?;
        let compiler = Arc::new(compiler(checked, folders, engine.clone())?);
        compiler_metrics::register(&registry, compiler.clone())?;
        let active_alerts = alerts::ActiveAlerts::default();
        let silences = alerts::Silences::open(state.clone(), now_nanos())?;
        let rules = alerts::Rules::new(alerts::GroupMetrics::new(&registry)?);
        let (events, heard) = events::events();
        let workers = WorkerMetrics::new(&registry)?;
        let retractor = Retractor::new(committer.clone(), &registry)?;
        let live = LiveSeries::new(&registry)?;
        let taps = Taps::default();
        let shared = worker::Shared {
            committer: committer.clone(),
            samples: samples_into(series.clone()),
            live: live.clone(),
            spool: Spool::open(&folders.data.join("spool"), &registry)?,
            plugin_metrics: PluginMetrics::new(&registry)?,
            metrics: workers.clone(),
            events,
            taps: taps.clone(),
            rules: rules.clone(),
        };
        let router = Arc::new(Router::tapped(taps.clone()));
        let lifecycle = Lifecycle::new(Deps {
            compiler,
            shared,
            state: state.clone(),
            store: lifecycle::Store::open(&folders.data.join("generations"))?,
            router: router.clone(),
            log: Arc::new(TracingLog),
            series: Arc::new(StoreReader(series.clone())),
            alerts: AlertDeps {
                config: alerts::Config { grace: grace(checked), ..Default::default() },
                active: active_alerts.clone(),
                silences: silences.clone(),
                metrics: alerts::Metrics::new(&registry)?,
            },
            metrics: lifecycle::Metrics::new(&registry)?,
        });
        let asking =
            query::Config { timeout: checked.api.query_timeout, engine: checked.api.query_engine.clone() };
        let queries = Queries::new(lifecycle.engines(), asking, query::Metrics::new(&registry)?);
        Ok(Self {
            registry,
            state,
            committer,
            series,
            live,
            router,
            active_alerts,
            silences,
            rules,
            lifecycle,
            heard,
            engine,
            workers,
            retractor,
            taps,
            queries,
            commit_thread,
        })
    }

    /// A channel that is closed when the commit thread has ended.
    pub(super) fn commit_ended(&self) -> Receiver<Infallible> {
        self.commit_thread.ended()
    }

    /// Finishes what plugins hold. Sources have been stopped before.
    pub(super) fn stop_plugins(mut self, drain: Duration) -> Stopped {
        self.queries.stop(LAST_QUERY);
        // Whose thread had panicked is logged there; its sources read again what was not committed.
        let _ = self.lifecycle.drain(drain);
        Stopped { commit_thread: self.commit_thread }
    }
}

/// A core without plugins: what was committed can still be read.
pub(super) struct Stopped {
    commit_thread: CommitThread,
}

impl Stopped {
    /// Makes the state durable, so that the next start has nothing to do again.
    pub(super) fn close(self) -> anyhow::Result<()> {
        self.commit_thread
            .stop()
            .context("the state could not be made durable; the next start applies the journal again")
    }
}

fn compiler(checked: &Checked, folders: &Folders, engine: Arc<Engine>) -> anyhow::Result<Compiler> {
    // Stays right when the file on disk is replaced by a newer agent.
    let program = PathBuf::from("/proc/self/exe");
    let mut config = CompilerConfig::new(folders.cache.clone(), program, vec![super::COMPILE_VERB.into()]);
    config.memory = checked.compile.memory.0;
    config.time = checked.compile.time.0;
    config.component_bytes = checked.compile.component.0;
    Ok(Compiler::new(engine, config)?)
}

/// How long the store needs after a start until rules can judge by it: two samples of the slowest source of samples,
/// for rates, and an evaluation of rules at their usual 30 seconds.
fn grace(checked: &Checked) -> Duration {
    let intervals = checked.sources.values().filter_map(|source| match source {
        SourceConfig::Host(config) => Some(config.interval.0),
        SourceConfig::Prometheus(config) => Some(config.interval.0),
        _ => None,
    });
    intervals.max().unwrap_or(own_metrics::INTERVAL) * 2 + Duration::from_secs(30)
}

/// Damage there never keeps the agent from starting: what cannot be read is counted and told.
fn open_series(checked: &Checked, folder: &Path, registry: &Registry) -> anyhow::Result<SeriesStore> {
    let config = picket_series::Config {
        max_series: checked.series.max_series as usize,
        max_age: checked.series.max_age.0,
        max_bytes: checked.series.max_memory.0,
        max_disk_bytes: checked.series.max_disk.0,
        ..Default::default()
    };
    let metrics = picket_series::Metrics::new(registry)?;
    let (series, recovered) = SeriesStore::open(Some(folder), config, Arc::new(now_nanos), metrics)?;
    if recovered.damaged > 0 || recovered.refused_series > 0 {
        tracing::warn!(
            ?recovered,
            "Some recent samples could not be read again. After a crash these are the last seconds of them; the \
             agent goes on without."
        );
    }
    Ok(series)
}

/// Puts committed samples into the store. What it refuses is counted there.
fn samples_into(series: Arc<SeriesStore>) -> worker::SampleStore {
    Arc::new(move |samples: &[&Sample]| {
        for sample in samples {
            let labels = sample.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
            let _ = series.append(&sample.name, labels, sample.time, sample.value);
        }
    })
}

/// Makes a folder for the agent's user alone.
fn make_private(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
        let what =
            format!("cannot make {}: set `data_dir` to a folder the agent may write", folder.display());
        anyhow::Error::new(error).context(what)
    })
}
