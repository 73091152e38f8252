//! A running component, and the calls into it.
//!
//! An instance stays warm from call to call and belongs to one thread at a time. After any error it
//! is gone: its store is dropped at once, and every further call answers
//! [`CallError::Discarded`]. Nothing that a failed call did remains.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime::{Store, UpdateDeadline};

use crate::bindings::{alert_rule, analyzer, lifecycle, query, scanner, unpacker};
use crate::budget::Limiter;
use crate::call::{Deadline, Stopwatch};
use crate::capability::{
    HostState,
    assets::AssetsContext,
    clock::ClockContext,
    log::LogContext,
    objects::{Object, ObjectsContext},
    series::SeriesContext,
    state::StateContext,
    wasi::WasiContext,
};
use crate::error::{Circumstances, MESSAGE_BYTES, Violation, classify};
use crate::report::{Checker, check_rules, check_scan};
use crate::{
    BatchRef, CallError, ConfigProblem, ConfigureError, Engine, Kind, Limits, Linked, ObjectReader, Report,
    RuleResult, ScanReport, Services, Setup, StateWrite, keys, text,
};

/// Bytes that the host takes from a guest at once in a host call, whatever `output_bytes` says: a
/// value for `state` with its key, and a batch of selectors.
const HOST_CALL_BYTES: u64 = 1 << 20;
/// What the host's own types of a result weigh, against the bytes that are counted as output.
const OUTPUT_FACTOR: u64 = 2;
/// Bytes of what `configure` returns: 20,000 rules of usual length. Once in an instance's life, so it is
/// apart from the limit of daily calls.
const SETUP_BYTES: u64 = 32 << 20;
/// Bytes of what a plugin says of its configuration: ten problems of a rule file, each with the expression.
const PROBLEM_BYTES: usize = 8 << 10;
/// Bytes of a plugin's version.
const VERSION_BYTES: usize = 64;

/// What a successful call gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Output<T> {
    /// The result, checked.
    pub value: T,
    /// What the call wrote to `state`, by key: to be committed with the result.
    pub writes: Vec<StateWrite>,
    /// CPU time of the call, the guest's and that of the host calls it made. Of a call shorter than a
    /// tick it may be the time on the wall.
    pub cpu: Duration,
}

/// A running component.
pub struct Instance {
    /// None once a call has failed.
    live: Option<Live>,
    engine: Arc<Engine>,
    linked: Linked,
    limits: Limits,
    /// Bytes of memory when it was last looked at.
    memory: u64,
    /// Of all calls that succeeded.
    cpu: Duration,
}

/// The store and the functions of its exports.
pub(crate) struct Live {
    pub(crate) store: Store<HostState>,
    functions: Functions,
}

struct Functions {
    lifecycle: lifecycle::Guest,
    analyzer: Option<analyzer::Guest>,
    scanner: Option<scanner::Guest>,
    unpacker: Option<unpacker::Guest>,
    alert_rule: Option<alert_rule::Guest>,
    query: Option<query::Guest>,
}

/// How a call is bounded.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// With the setting that says so.
    deadline: (Duration, &'static str),
    /// Bytes, with the setting that says so.
    output: (u64, &'static str),
    writable: bool,
}

impl Bounds {
    /// For calls whose results are not committed, so that their writes would be lost.
    pub(crate) fn without_writes(self) -> Self {
        Self { writable: false, ..self }
    }

    /// For a caller who waits for less than the setting allows.
    pub(crate) fn within(self, time: Duration) -> Self {
        let (limit, key) = self.deadline;
        Self { deadline: (limit.min(time), key), ..self }
    }
}

impl Instance {
    pub(crate) fn new(linked: &Linked, services: &Services, limits: &Limits) -> Result<Self, CallError> {
        let engine = linked.component.engine().clone();
        let mut store = new_store(&engine, linked, services, limits);
        store.data().deadline.set(limits.configure_deadline);
        let functions = {
            let _running = engine.running();
            Functions::load(&mut store, linked)
        };
        let stderr = store.data_mut().wasi.finish();
        let functions = functions.map_err(|error| {
            let deadline = (limits.configure_deadline, keys::CONFIGURE_DEADLINE);
            let output = (limits.output_bytes, keys::OUTPUT);
            classify(&error, Circumstances { deadline, output, stderr })
        })?;
        let memory = store.data().limiter.memory();
        let live = Some(Live { store, functions });
        Ok(Self { live, engine, linked: linked.clone(), limits: limits.clone(), memory, cpu: Duration::ZERO })
    }

    /// Configures the plugin: the first call into an instance. `json` is a JSON object.
    pub fn configure(&mut self, json: &str) -> Result<Setup, ConfigureError> {
        let bounds = self.slow((SETUP_BYTES, "the bound of a setup"));
        let call =
            |live: &mut Live| Ok(Ok(live.functions.lifecycle.call_configure(&mut live.store, json)?));
        match self.call(bounds, 0, call, |_, setup| Ok(setup))?.value {
            Ok(setup) => Setup::check(setup).map_err(|error| ConfigureError::Call(self.discard(error))),
            Err(problem) => {
                self.live = None;
                Err(ConfigureError::Refused(ConfigProblem {
                    key: text::message(&problem.key, MESSAGE_BYTES),
                    asset: problem.asset.map(|asset| text::message(&asset, MESSAGE_BYTES)),
                    line: problem.line,
                    column: problem.column,
                    message: text::message(&problem.message, PROBLEM_BYTES),
                }))
            }
        }
    }

    /// Hands over a batch of records.
    pub fn analyze(&mut self, batch: &BatchRef<'_>) -> Result<Output<Report>, CallError> {
        self.expect_kind(Kind::Analyzer, |live| live.functions.analyzer.is_some())?;
        let call = |live: &mut Live| {
            let analyzer = live.functions.analyzer.as_ref().ok_or_else(missing)?;
            analyzer.call_analyze(&mut live.store, batch.clone())
        };
        let check = |checker: &mut Checker<'_>, report| checker.report(report);
        self.call(self.quick(), batch.ends.len(), call, check)
    }

    /// Scans one object. It is readable during the call only.
    pub fn scan(&mut self, object: Arc<dyn ObjectReader>) -> Result<Output<ScanReport>, CallError> {
        self.expect_kind(Kind::Scanner, |live| live.functions.scanner.is_some())?;
        let call = |live: &mut Live| {
            let scanner = live.functions.scanner.as_ref().ok_or_else(missing)?;
            let own: Resource<Object> = live.store.data_mut().objects.push(object)?;
            let lent = Resource::new_borrow(own.rep());
            let result = scanner.call_scan(&mut live.store, lent)?;
            live.store.data_mut().objects.take_back(own)?;
            Ok(result)
        };
        self.call(self.quick(), 0, call, check_scan)
    }

    /// Evaluates one of the groups that `configure` named, at a time in Unix nanoseconds.
    pub fn evaluate(&mut self, group: &str, time: u64) -> Result<Output<Vec<RuleResult>>, CallError> {
        self.expect_kind(Kind::AlertRule, |live| live.functions.alert_rule.is_some())?;
        let call = |live: &mut Live| {
            let rule = live.functions.alert_rule.as_ref().ok_or_else(missing)?;
            rule.call_evaluate(&mut live.store, group, time)
        };
        self.call(self.quick(), 0, call, check_rules)
    }

    /// The memory worth keeping; empty when there is none.
    pub fn snapshot(&mut self) -> Result<Vec<u8>, CallError> {
        let bounds = self.slow((self.limits.snapshot_bytes, keys::SNAPSHOT));
        let call = |live: &mut Live| live.functions.lifecycle.call_snapshot(&mut live.store);
        let limit = self.limits.snapshot_bytes;
        let check = |_: &mut Checker<'_>, bytes: Vec<u8>| {
            let fits = bytes.len() as u64 <= limit;
            if fits { Ok(bytes) } else { Err(CallError::Output { limit, key: keys::SNAPSHOT }) }
        };
        Ok(self.call(bounds, 0, call, check)?.value)
    }

    /// Gives back a snapshot, after `configure` and before any other call.
    pub fn restore(&mut self, state: &[u8], from_version: &str) -> Result<(), CallError> {
        let bounds = self.slow((self.limits.output_bytes, keys::OUTPUT));
        let call =
            |live: &mut Live| live.functions.lifecycle.call_restore(&mut live.store, state, from_version);
        self.call(bounds, 0, call, |_, ()| Ok(()))?;
        Ok(())
    }

    /// The plugin's own version, at most 64 bytes.
    pub fn plugin_version(&mut self) -> Result<String, CallError> {
        let bounds = self.quick().without_writes();
        let call = |live: &mut Live| Ok(Ok(live.functions.lifecycle.call_plugin_version(&mut live.store)?));
        let check = |_: &mut Checker<'_>, version: String| {
            if version.len() > VERSION_BYTES || version.chars().any(char::is_control) {
                let what = format!("the plugin's version is not a line of at most {VERSION_BYTES} bytes");
                return Err(CallError::Report { what });
            }
            Ok(version)
        };
        Ok(self.call(bounds, 0, call, check)?.value)
    }

    /// Bytes of linear memory after the last call. Memory never shrinks: this is the high-water
    /// mark. It keeps its last value when the instance is gone.
    pub fn memory_bytes(&self) -> u64 {
        self.memory
    }

    /// CPU time of all calls that succeeded, as [`Output::cpu`] counts it.
    pub fn cpu(&self) -> Duration {
        self.cpu
    }

    /// Whether no call has failed yet.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// What was linked to make this instance.
    pub fn linked(&self) -> &Linked {
        &self.linked
    }

    /// Bounds of the calls that do the daily work.
    pub(crate) fn quick(&self) -> Bounds {
        let deadline = (self.limits.call_deadline, keys::CALL_DEADLINE);
        Bounds { deadline, output: (self.limits.output_bytes, keys::OUTPUT), writable: true }
    }

    fn slow(&self, output: (u64, &'static str)) -> Bounds {
        let deadline = (self.limits.configure_deadline, keys::CONFIGURE_DEADLINE);
        Bounds { deadline, output, writable: false }
    }

    pub(crate) fn expect_kind(&self, kind: Kind, has: fn(&Live) -> bool) -> Result<(), CallError> {
        match &self.live {
            Some(live) if !has(live) => Err(CallError::NoSuchKind(kind)),
            Some(_) => Ok(()),
            None => Err(CallError::Discarded),
        }
    }

    /// Throws the instance away because of an error, which is handed through.
    pub(crate) fn discard(&mut self, error: CallError) -> CallError {
        self.live = None;
        error
    }

    /// Makes one call within its bounds and checks what it returns. Any error discards the instance.
    pub(crate) fn call<T, U>(
        &mut self,
        bounds: Bounds,
        records: usize,
        call: impl FnOnce(&mut Live) -> wasmtime::Result<Result<T, String>>,
        check: impl FnOnce(&mut Checker<'_>, T) -> Result<U, CallError>,
    ) -> Result<Output<U>, CallError> {
        let live = self.live.as_mut().ok_or(CallError::Discarded)?;
        let result = {
            let _running = self.engine.running();
            live.enter(bounds, call)
        };
        self.memory = live.store.data().limiter.memory();
        let checked = result.and_then(|(value, cpu)| {
            let mut checker = Checker::new(&self.limits, &self.linked.sets, &self.linked.counters, records);
            let value = check(&mut checker, value)?;
            self.cpu += cpu;
            Ok(Output { value, writes: live.store.data_mut().state.take_writes(), cpu })
        });
        checked.map_err(|error| self.discard(error))
    }
}

impl Functions {
    /// Instantiates in the store and looks up the exports there.
    fn load(store: &mut Store<HostState>, linked: &Linked) -> wasmtime::Result<Self> {
        let instance = linked.pre.instantiate(&mut *store)?;
        let exports = &linked.exports;
        Ok(Self {
            lifecycle: exports.lifecycle.load(&mut *store, &instance)?,
            analyzer: exports.analyzer.as_ref().map(|it| it.load(&mut *store, &instance)).transpose()?,
            scanner: exports.scanner.as_ref().map(|it| it.load(&mut *store, &instance)).transpose()?,
            unpacker: exports.unpacker.as_ref().map(|it| it.load(&mut *store, &instance)).transpose()?,
            alert_rule: exports.alert_rule.as_ref().map(|it| it.load(&mut *store, &instance)).transpose()?,
            query: exports.query.as_ref().map(|it| it.load(&mut *store, &instance)).transpose()?,
        })
    }
}

impl Live {
    pub(crate) fn query(&self) -> wasmtime::Result<query::Guest> {
        self.functions.query.clone().ok_or_else(missing)
    }

    pub(crate) fn unpacker(&self) -> wasmtime::Result<unpacker::Guest> {
        self.functions.unpacker.clone().ok_or_else(missing)
    }

    fn enter<T>(
        &mut self,
        bounds: Bounds,
        call: impl FnOnce(&mut Self) -> wasmtime::Result<Result<T, String>>,
    ) -> Result<(T, Duration), CallError> {
        let host = self.store.data_mut();
        host.state.begin(bounds.writable);
        host.wasi.begin();
        let now = host.deadline.set(bounds.deadline.0);
        host.stopwatch.start(now);
        self.store.set_epoch_deadline(1);
        self.store.set_hostcall_fuel(fuel(bounds.output.0));
        let result = call(self);
        let host = self.store.data_mut();
        let cpu = host.stopwatch.stop();
        let stderr = host.wasi.finish();
        match result {
            Ok(Ok(value)) => Ok((value, cpu)),
            Ok(Err(words)) => Err(CallError::Guest(text::message(&words, MESSAGE_BYTES))),
            Err(error) => {
                let Bounds { deadline, output, .. } = bounds;
                Err(classify(&error, Circumstances { deadline, output, stderr }))
            }
        }
    }
}

/// Bytes that may come from the guest in one result or one host call.
fn fuel(output: u64) -> usize {
    let bytes = output.saturating_mul(OUTPUT_FACTOR).max(HOST_CALL_BYTES);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The kind was looked for before the call.
fn missing() -> wasmtime::Error {
    wasmtime::Error::msg("the component does not export this kind")
}

fn new_store(engine: &Engine, linked: &Linked, services: &Services, limits: &Limits) -> Store<HostState> {
    let deadline = Deadline::default();
    let shared = (linked.log_rate.clone(), linked.counters.clone());
    let log = LogContext::new(&services.plugin, &services.generation, services.log.clone(), shared, limits);
    let host = HostState {
        limiter: Limiter::new(engine.budget(), limits),
        clock: ClockContext,
        assets: AssetsContext::new(services.assets.clone()),
        state: StateContext::new(
            services.state.clone(),
            linked.state_quota,
            limits.state_write_bytes,
            deadline.clone(),
            linked.counters.clone(),
        ),
        series: SeriesContext::new(
            services.series.clone(),
            linked.series_grant.clone(),
            limits.series_samples,
            deadline.clone(),
            linked.counters.clone(),
        ),
        objects: ObjectsContext::new(deadline.clone()),
        wasi: WasiContext::new(log.clone()),
        log,
        deadline,
        stopwatch: Stopwatch::default(),
    };
    let mut store = Store::new(engine.inner(), host);
    store.limiter(|host| &mut host.limiter);
    store.set_max_component_handles(limits.handles as usize);
    store.set_hostcall_fuel(fuel(limits.output_bytes));
    store.epoch_deadline_callback(|mut store| {
        store.data_mut().stopwatch.tick();
        if store.data().deadline.passed() {
            return Err(wasmtime::Error::new(Violation::Deadline));
        }
        Ok(UpdateDeadline::Continue(1))
    });
    // Must be set before the component's start functions run: a new store's deadline has passed.
    store.set_epoch_deadline(1);
    store
}
