//! The rules component over a store of its own, at a time that is told to it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use picket_sandbox::{
    Answer, Assets, CallError, Component, ConfigProblem, ConfigureError, Grants, Instance, Limits, LinkError,
    Linked, QueryError, QueryTime, SeriesGrant, SeriesReader, Services, Setup, TracingLog,
};
use picket_series::{Refused, Store};
use prometheus::Registry;

use crate::alerts::{self, ActiveAlert, ActiveAlerts, Alerts, Evaluation, LeftOut, RuleError, Silences};
use crate::model::{Digest, Sample};
use crate::pipeline::evaluated::Evaluated;
use crate::pipeline::live::{LiveSeries, Owner};
use crate::pipeline::query::ANSWER_BYTES;
use crate::pipeline::worker::recorded::Recorded;
use crate::state::{MemoryTable, State, StateError};

/// The plugin's name in log lines and in the view of its alerts.
const PLUGIN: &str = "promql-rules";
/// How long one call may take here, also within a node's bounds: nobody else waits for it, a person can interrupt, and
/// this machine may be slower or busier than the node.
const CALL_DEADLINE: Duration = Duration::from_secs(120);
/// Memory of the instance without a node's bounds: within the budget that the engine has for all of them.
const MEMORY: u64 = 384 << 20;
/// What one call may return.
const OUTPUT: u64 = 64 << 20;
/// Samples that one call may ask for: a week by 15 s of a hundred series, many times over.
const SERIES_SAMPLES: u64 = 20_000_000;
/// Alerts of one rule, and of all of them.
const ALERTS: u32 = 100_000;
/// Label sets that rules may record.
const LABEL_SETS: u32 = 1_000_000;
/// Series of the store: ten times a large node's.
const MAX_SERIES: usize = 1_000_000;
/// Bytes of the store. They are taken when they are needed only.
const MAX_SERIES_BYTES: u64 = 2 << 30;
/// What the component's own configuration on a node bounds, so that it counts here too.
const BOUNDS: [&str; 3] = ["max_samples", "max_alerts", "max_output"];
/// Longer than any test: nothing is too old.
const MAX_AGE: Duration = Duration::from_secs(400 * 366 * 24 * 3600);

/// Makes what guests read a store through.
pub type Reader = fn(Arc<Store>) -> Arc<dyn SeriesReader>;

/// The rules component, linked, to be tried any number of times.
#[derive(Clone)]
pub struct RulesComponent {
    linked: Linked,
    reader: Reader,
    limits: Limits,
    /// Alerts of all rules.
    max_alerts: usize,
    /// What its configuration says unless whoever tries rules says something else.
    bounds: BTreeMap<String, serde_json::Value>,
}

impl RulesComponent {
    /// Links a component with all that can be granted, and bounds far above a node's.
    pub fn new(component: &Component, reader: Reader) -> Result<Self, RulesError> {
        // It has no state here: what it were to keep in one would be another node's.
        let grants = Grants { state: Some(0), series: SeriesGrant::All };
        let linked = component.link(PLUGIN, &grants)?;
        Ok(Self { linked, reader, limits: limits(), max_alerts: ALERTS as usize, bounds: BTreeMap::new() })
    }

    /// Within the bounds that it has on a node, so that what passes here does so there: its limits, but for those of
    /// time, and what its configuration there bounds.
    pub fn within(self, limits: &Limits, config: &serde_json::Value) -> Self {
        let bound = |key: &str| Some((key.to_owned(), config.get(key)?.clone()));
        let limits = Limits {
            call_deadline: CALL_DEADLINE,
            configure_deadline: CALL_DEADLINE,
            // One instance evaluates rules and answers expressions here. What rules return is bounded by the
            // component's own `max_output`.
            output_bytes: limits.output_bytes.max(ANSWER_BYTES),
            ..limits.clone()
        };
        let max_alerts = alerts::Config::default().max_alerts;
        Self { limits, max_alerts, bounds: BOUNDS.into_iter().filter_map(bound).collect(), ..self }
    }
}

/// Why rules cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The component asks for what nothing grants.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The component refuses a rule file, or its configuration.
    #[error(transparent)]
    Refused(#[from] ConfigProblem),
    /// The component failed.
    #[error("the rules component failed: {0}")]
    Call(#[from] CallError),
    /// A sample is not taken.
    #[error("the series `{series}` cannot have this sample: {refused}")]
    Sample {
        /// The metric's name.
        series: String,
        /// The store's reason.
        refused: Refused,
    },
    /// The state in memory cannot be made, which is a bug.
    #[error("the harness cannot be made: {0}")]
    State(#[from] StateError),
    /// The counters cannot be made, which is a bug.
    #[error("the harness cannot be made: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl From<ConfigureError> for RulesError {
    fn from(error: ConfigureError) -> Self {
        match error {
            ConfigureError::Refused(problem) => Self::Refused(problem),
            ConfigureError::Call(error) => Self::Call(error),
        }
    }
}

/// See the module's description. Times are Unix time in nanoseconds.
pub struct Harness {
    component: RulesComponent,
    assets: Arc<Assets>,
    config: String,
    setup: Setup,
    /// None after a failed call: the next one makes a fresh one.
    instance: Option<Instance>,
    store: Arc<Store>,
    clock: Arc<AtomicU64>,
    alerts: Alerts,
    view: ActiveAlerts,
    recorded: Recorded,
    live: LiveSeries,
    generation: Digest,
    /// The steady clock at the first evaluation, and that evaluation's time.
    begin: Option<(Instant, u64)>,
}

impl Harness {
    /// Configures the component with rule files, by the names that messages call them. [`RulesError::Refused`]
    /// says what is wrong with one of them.
    pub fn new(
        component: &RulesComponent,
        files: BTreeMap<String, Vec<u8>>,
        config: &serde_json::Value,
    ) -> Result<Self, RulesError> {
        let registry = Registry::new();
        let view = ActiveAlerts::default();
        let bounds = alerts::Config { max_alerts: component.max_alerts, ..alerts::Config::default() };
        let metrics = alerts::Metrics::new(&registry)?;
        // Nobody silences anything here, and nothing was stored before.
        let silences = Silences::open(State::with_table(Arc::new(MemoryTable::new(0)))?, 0)?;
        let (alerts, _) = Alerts::restore(PLUGIN, Vec::new(), bounds, &view, &silences, &metrics);
        let clock = Arc::new(AtomicU64::new(0));
        let mut harness = Self {
            component: component.clone(),
            config: completed(config, &files, &component.bounds),
            assets: Arc::new(Assets::new(files)),
            setup: Setup::default(),
            instance: None,
            store: empty_store(&clock)?,
            clock,
            alerts,
            view,
            recorded: Recorded::default(),
            live: LiveSeries::new(&registry)?,
            generation: Digest::of(b"tried"),
            begin: None,
        };
        let (instance, setup) = harness.configured()?;
        harness.instance = Some(instance);
        harness.setup = setup;
        Ok(harness)
    }

    /// What the component says of its rule files.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Forgets all samples. Alerts stay.
    pub fn clear(&mut self) -> Result<(), RulesError> {
        // An instance may remember series by their ids, which a new store gives anew.
        self.instance = None;
        self.clock.store(0, Ordering::Relaxed);
        self.store = empty_store(&self.clock)?;
        Ok(())
    }

    /// Stores a sample; the clock is then not before it. Samples of a series come in the order of their times.
    pub fn append<'a>(
        &mut self,
        name: &'a str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        time: u64,
        value: f64,
    ) -> Result<(), RulesError> {
        self.clock.fetch_max(time, Ordering::Relaxed);
        let appended = self.store.append(name, labels, time, value);
        appended.map(drop).map_err(|refused| RulesError::Sample { series: name.to_owned(), refused })
    }

    /// Evaluates a group of the setup. Times of evaluations do not fall. Gives the rules that failed, whose alerts
    /// keep their state, and those with more alerts than are followed.
    pub fn evaluate(&mut self, group: &str, time: u64) -> Result<Vec<RuleError>, RulesError> {
        self.clock.fetch_max(time, Ordering::Relaxed);
        let output = self.call(|instance| instance.evaluate(group, time))?;
        let Evaluated { rules, mut samples, lag, made } = Evaluated::of(output.value, time, &self.live);
        let next = self.recorded.next(group, made).behind(lag);
        samples.extend(self.live.markers(&owner(), next.ended(), next.ended_at(time)));
        self.keep(&samples, time);
        self.recorded.accept(next);
        let interval = self.setup.groups.iter().find(|known| known.name == group).map(|known| known.interval);
        let evaluation = Evaluation {
            group: group.to_owned(),
            time,
            instant: self.instant(time),
            interval: interval.map_or(0, |interval| u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX)),
            results: rules,
        };
        let mut change = self.alerts.evaluate(&self.generation, &evaluation);
        change.errors.extend(change.left_out.into_iter().map(|left_out| self.too_many(left_out)));
        self.alerts.accept(change.accept);
        self.keep(&change.samples, time);
        Ok(change.errors)
    }

    fn too_many(&self, LeftOut { group, rule, alerts }: LeftOut) -> RuleError {
        let most = self.alerts.most();
        let reason = format!("{alerts} of its alerts are not followed: all rules have {most} alerts at most");
        RuleError { group, rule, reason }
    }

    /// Evaluates an expression. The inner error is about the expression.
    pub fn query(
        &mut self,
        expression: &str,
        time: QueryTime,
    ) -> Result<Result<Answer, QueryError>, RulesError> {
        let now = match time {
            QueryTime::Instant(at) => at,
            QueryTime::Range { end, .. } => end,
        };
        self.clock.fetch_max(now, Ordering::Relaxed);
        Ok(self.call(|instance| instance.query(expression, time))?.value)
    }

    /// The alerts that are pending or firing after the last evaluations.
    pub fn active(&self) -> Vec<ActiveAlert> {
        self.view.list()
    }

    /// Calls the instance, or a fresh one when the last call has failed.
    fn call<T>(&mut self, call: impl FnOnce(&mut Instance) -> Result<T, CallError>) -> Result<T, RulesError> {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.configured()?.0,
        };
        let outcome = call(&mut instance);
        self.instance = Some(instance).filter(Instance::is_live);
        Ok(outcome?)
    }

    fn configured(&self) -> Result<(Instance, Setup), RulesError> {
        let services = Services {
            plugin: PLUGIN.to_owned(),
            generation: self.generation.short(),
            log: Arc::new(TracingLog),
            state: None,
            series: Some((self.component.reader)(Arc::clone(&self.store))),
            assets: Arc::clone(&self.assets),
        };
        let mut instance = self.component.linked.instantiate(&services, &self.component.limits)?;
        let setup = instance.configure(&self.config)?;
        Ok((instance, setup))
    }

    /// What recording rules and alerts leave in the store. A sample that is refused is passed over: the agent's
    /// store would refuse it too.
    fn keep(&mut self, samples: &[Sample], now: u64) {
        for sample in samples {
            let labels = sample.labels.iter().map(|label| (label.name.as_str(), label.value.as_str()));
            if let Err(refused) = self.store.append(&sample.name, labels, sample.time, sample.value) {
                tracing::warn!(series = sample.name, %refused, "A recorded sample was not stored.");
            }
        }
        self.live.made(&owner(), samples, now);
    }

    /// The steady clock goes as the evaluations' times do.
    fn instant(&mut self, time: u64) -> Instant {
        let (begin, first) = *self.begin.get_or_insert_with(|| (Instant::now(), time));
        begin + Duration::from_nanos(time.saturating_sub(first))
    }
}

/// A configuration for exactly these rule files, whatever they are called, without the component's own rules, and
/// with as much time as a call has here and the bounds of a node. What it says itself of packs, times and bounds counts.
fn completed(
    config: &serde_json::Value,
    files: &BTreeMap<String, Vec<u8>>,
    bounds: &BTreeMap<String, serde_json::Value>,
) -> String {
    let mut config = config.as_object().cloned().unwrap_or_default();
    let names: Vec<&String> = files.keys().collect();
    config.insert("files".to_owned(), serde_json::json!(names));
    let time = format!("{}s", CALL_DEADLINE.as_secs() / 2);
    for (key, value) in [
        ("packs", serde_json::json!([])),
        ("rule_timeout", serde_json::json!(time)),
        ("group_timeout", serde_json::json!(time)),
        ("query_timeout", serde_json::json!(time)),
    ] {
        config.entry(key).or_insert(value);
    }
    for (key, value) in bounds {
        config.entry(key.clone()).or_insert_with(|| value.clone());
    }
    serde_json::Value::Object(config).to_string()
}

fn owner() -> Owner {
    Owner::Plugin(PLUGIN.to_owned())
}

fn empty_store(clock: &Arc<AtomicU64>) -> Result<Arc<Store>, RulesError> {
    let config = picket_series::Config {
        max_series: MAX_SERIES,
        max_bytes: MAX_SERIES_BYTES,
        max_age: MAX_AGE,
        ..picket_series::Config::default()
    };
    let clock = Arc::clone(clock);
    let now = Arc::new(move || clock.load(Ordering::Relaxed));
    Ok(Arc::new(Store::new(config, now, picket_series::Metrics::new(&Registry::new())?)))
}

fn limits() -> Limits {
    Limits {
        memory: MEMORY,
        call_deadline: CALL_DEADLINE,
        configure_deadline: CALL_DEADLINE,
        output_bytes: OUTPUT,
        metric_label_sets: LABEL_SETS,
        alerts: ALERTS,
        series_samples: SERIES_SAMPLES,
        ..Limits::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_component_reads_the_files_that_are_tried_and_no_others() {
        let files = BTreeMap::from([("a.rules.txt".to_owned(), Vec::new())]);
        let bounds = ["max_alerts", "max_samples"].map(|key| (key.to_owned(), serde_json::json!(7)));
        let own = serde_json::json!({ "files": ["x"], "rule_timeout": "1s", "max_samples": 9 });
        let config = completed(&own, &files, &bounds.into());
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["files"], serde_json::json!(["a.rules.txt"]));
        assert_eq!(
            (config["packs"].as_array().unwrap().len(), config["rule_timeout"].as_str()),
            (0, Some("1s"))
        );
        assert_eq!(config["group_timeout"], "60s");
        assert_eq!((&config["max_alerts"], &config["max_samples"]), (&7.into(), &9.into()));
    }
}
