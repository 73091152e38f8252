//! A component whose imports are checked and linked: what all instances of one generation are made
//! from, and what they share.

use std::sync::Arc;

use wasmtime::component::{InstancePre, Linker};

use crate::accounts::{Counters, Counts, LabelSets};
use crate::bindings::{alert_rule, analyzer, lifecycle, query, scanner, unpacker};
use crate::capability::{self, HostState, log::LogRate};
use crate::error::MESSAGE_BYTES;
use crate::{
    Assets, CallError, Component, Engine, Grants, Instance, Kind, Limits, LinkError, LogSink, SeriesGrant,
    SeriesReader, StateReader, text,
};

/// What the agent does for an instance.
#[derive(Clone)]
pub struct Services {
    /// The plugin's name in the configuration, for log lines.
    pub plugin: String,
    /// The generation's digest or a part of it, for log lines.
    pub generation: String,
    /// Where log lines go.
    pub log: Arc<dyn LogSink>,
    /// The plugin's committed state. Without it, a granted `state` answers that it is unavailable.
    pub state: Option<Arc<dyn StateReader>>,
    /// The node's samples. Without it, a granted `series` has no samples.
    pub series: Option<Arc<dyn SeriesReader>>,
    /// The generation's files.
    pub assets: Arc<Assets>,
}

/// Where the exports of a component are.
#[derive(Clone)]
pub(crate) struct Exports {
    pub(crate) lifecycle: lifecycle::GuestIndices,
    pub(crate) analyzer: Option<analyzer::GuestIndices>,
    pub(crate) scanner: Option<scanner::GuestIndices>,
    pub(crate) unpacker: Option<unpacker::GuestIndices>,
    pub(crate) alert_rule: Option<alert_rule::GuestIndices>,
    pub(crate) query: Option<query::GuestIndices>,
}

/// A linked component: one for each generation. Clones share the generation's accounts.
#[derive(Clone)]
pub struct Linked {
    pub(crate) component: Component,
    pub(crate) pre: InstancePre<HostState>,
    pub(crate) exports: Exports,
    pub(crate) state_quota: u64,
    pub(crate) series_grant: SeriesGrant,
    pub(crate) sets: Arc<LabelSets>,
    pub(crate) log_rate: Arc<LogRate>,
    pub(crate) counters: Arc<Counters>,
}

impl Linked {
    pub(crate) fn new(component: &Component, grants: &Grants) -> Result<Self, LinkError> {
        let mismatch = |error: wasmtime::Error| LinkError::Mismatch {
            what: text::message(&format!("{error:#}"), MESSAGE_BYTES),
        };
        let linker = linker(component.engine(), grants).map_err(mismatch)?;
        let pre = linker.instantiate_pre(component.code()).map_err(mismatch)?;
        let exports = Exports::find(&pre, component.kinds()).map_err(mismatch)?;
        Ok(Self {
            component: component.clone(),
            pre,
            exports,
            state_quota: grants.state.unwrap_or(0),
            series_grant: grants.series.clone(),
            sets: Arc::default(),
            log_rate: Arc::new(LogRate::new()),
            counters: Arc::default(),
        })
    }

    /// Makes an instance. Runs the component's own start functions, under `configure_deadline`.
    pub fn instantiate(&self, services: &Services, limits: &Limits) -> Result<Instance, CallError> {
        Instance::new(self, services, limits)
    }

    /// The component that was linked.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// The metric label sets that this generation has reported.
    pub fn label_sets(&self) -> &LabelSets {
        &self.sets
    }

    /// What all instances of this generation did so far.
    pub fn counts(&self) -> Counts {
        Counts::read(&self.counters)
    }
}

impl Exports {
    fn find(pre: &InstancePre<HostState>, kinds: &[Kind]) -> wasmtime::Result<Self> {
        let is = |kind| kinds.contains(&kind);
        Ok(Self {
            lifecycle: lifecycle::GuestIndices::new(pre)?,
            analyzer: is(Kind::Analyzer).then(|| analyzer::GuestIndices::new(pre)).transpose()?,
            scanner: is(Kind::Scanner).then(|| scanner::GuestIndices::new(pre)).transpose()?,
            unpacker: is(Kind::Unpacker).then(|| unpacker::GuestIndices::new(pre)).transpose()?,
            alert_rule: is(Kind::AlertRule).then(|| alert_rule::GuestIndices::new(pre)).transpose()?,
            query: is(Kind::Query).then(|| query::GuestIndices::new(pre)).transpose()?,
        })
    }
}

/// Everything that is always there, and what is granted.
fn linker(engine: &Engine, grants: &Grants) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine.inner());
    capability::add_always(&mut linker)?;
    if grants.state.is_some() {
        capability::state::add_to_linker(&mut linker)?;
    }
    if grants.series != SeriesGrant::None {
        capability::series::add_to_linker(&mut linker)?;
    }
    Ok(linker)
}
