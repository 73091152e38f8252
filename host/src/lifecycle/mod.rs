//! The life of generations: from a changed file to an active plugin, or to a rejection with its reason.
//!
//! What is wanted (configuration and files) is compared with what serves, and what differs becomes
//! candidates. Candidates that changed together become active together: each is compiled, linked and
//! configured, each takes the memory of its predecessor at a batch boundary, and only when all of them are
//! ready they serve. If one fails, nothing changes, and the operator reads why.
//!
//! A [`Lifecycle`] is owned by the agent's control loop, which calls it from one thread. It does not
//! watch files, read the configuration or call plugins itself.

pub mod config;
pub mod selector;

mod staged;
mod store;
pub mod trusted;

mod candidate;
mod change;
mod metrics;
mod slot;
mod status;

pub mod watch;

pub use candidate::{Brings, Rejection};
pub(crate) use candidate::{grants, limits};
pub use metrics::Metrics;
pub use staged::{StageError, Staged};
pub use status::{Active, Blame, PluginState, PluginStatus, Rejected, Statuses};
pub use store::{Store, StoreError};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use picket_sandbox::{Compiler, LogSink, SeriesReader};

use self::config::Plugin;
use self::slot::Slot;
use crate::alerts;
use crate::model::{Digest, Origin, now_nanos};
use crate::pipeline::circuit::Patience;
use crate::pipeline::route::Router;
use crate::pipeline::worker::{self, Event};
use crate::state::State;

/// What the lifecycle needs of the agent.
pub struct Deps {
    /// Compiles components.
    pub compiler: Arc<Compiler>,
    /// What workers share.
    pub shared: worker::Shared,
    /// Snapshots, alerts and which generation served last.
    pub state: State,
    /// Generations on disk.
    pub store: Store,
    /// Routes of all sources.
    pub router: Arc<Router>,
    /// Where guests' log lines go.
    pub log: Arc<dyn LogSink>,
    /// Recent samples for guests.
    pub series: Arc<dyn SeriesReader>,
    /// What alert rules share.
    pub alerts: AlertDeps,
    /// What is counted here.
    pub metrics: Metrics,
}

/// What the alerts of all plugins share.
pub struct AlertDeps {
    /// Their bounds.
    pub config: alerts::Config,
    /// What the API shows.
    pub active: alerts::ActiveAlerts,
    /// What they count.
    pub metrics: alerts::Metrics,
}

/// What is wanted.
pub struct Wanted<'a> {
    /// The plugins by name.
    pub plugins: &'a BTreeMap<String, Plugin>,
    /// What each configured source brings.
    pub sources: &'a BTreeMap<String, Brings>,
    /// When plugins rest.
    pub patience: Patience,
    /// Where a setting was written, as `file:line`.
    pub locate: &'a dyn Fn(&str) -> Option<String>,
}

/// The plugin table, and how it changes.
pub struct Lifecycle {
    deps: Deps,
    table: BTreeMap<String, Slot>,
    statuses: Statuses,
    /// Generations that failed by their own fault; they are not tried again until they change.
    refused: BTreeMap<String, Digest>,
    sources: BTreeMap<String, Brings>,
}

/// Some wanted generations were rejected; what served before serves on.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|(plugin, reason)| format!("plugin `{plugin}`: {reason}")).collect::<Vec<_>>().join("\n"))]
pub struct Rejections(pub Vec<(String, String)>);

impl Lifecycle {
    /// An empty table.
    pub fn new(deps: Deps) -> Self {
        Self {
            deps,
            table: BTreeMap::new(),
            statuses: Statuses::default(),
            refused: BTreeMap::new(),
            sources: BTreeMap::new(),
        }
    }

    /// What the API shows; a handle that stays current.
    pub fn statuses(&self) -> Statuses {
        self.statuses.clone()
    }

    /// Files and folders whose change may make a new generation.
    pub fn paths(plugins: &BTreeMap<String, Plugin>) -> Vec<PathBuf> {
        let component = plugins.values().map(|plugin| plugin.component.clone());
        component.chain(plugins.values().filter_map(|plugin| plugin.assets.clone())).collect()
    }

    /// Takes in what a worker tells.
    pub fn heard(&mut self, event: Event) {
        match event {
            Event::Proven(origin) => self.proven(&origin),
            Event::Reverted { refused, reason } => self.reverted(&refused, &reason),
            Event::Circuit { origin, open } => self.statuses.circuit(&origin.plugin, open),
            Event::Blamed { origin, place, reason } => {
                self.statuses.blamed(Blame { origin, place, reason, time: now_nanos() })
            }
        }
    }

    /// The first call of a generation worked: it is the one to come back to after a restart.
    fn proven(&mut self, origin: &Origin) {
        self.remember(&origin.plugin, origin.generation);
        self.statuses.proven(origin);
    }

    fn reverted(&mut self, refused: &Origin, reason: &str) {
        let Some(slot) = self.table.get_mut(&refused.plugin) else { return };
        if slot.generation.origin.generation != refused.generation {
            return;
        }
        slot.put_back();
        let rejection = Rejection::FirstCall(reason.to_owned());
        self.refused.insert(refused.plugin.clone(), refused.generation);
        self.deps.metrics.rejected(&refused.plugin, &rejection);
        self.statuses.active(slot);
        self.statuses.rejected(&refused.plugin, Some(refused.generation), &rejection);
        self.update_routes();
    }

    /// Notes which generation served last, and deletes those that are no longer of use.
    fn remember(&self, plugin: &str, generation: Digest) {
        let name = active_name(plugin);
        if let Err(error) = self.deps.state.meta_put(&name, generation.0.to_vec()) {
            tracing::error!(plugin, %error, "The active generation cannot be noted; a restart may meet an older one.");
        }
        let kept = self.table.values().flat_map(Slot::generations).collect();
        if let Err(error) = self.deps.store.keep_only(&kept) {
            tracing::warn!(%error, "Old generations cannot be deleted.");
        }
    }

    /// Stops all plugins: each finishes what it holds, up to a deadline. Their statuses stay readable.
    pub fn drain(&mut self, deadline: Duration) {
        let table = std::mem::take(&mut self.table);
        self.update_routes();
        let stopping: Vec<_> = table.into_values().map(Slot::drain).collect();
        let until = std::time::Instant::now() + deadline;
        for drained in stopping {
            drained.wait(until);
        }
    }
}

/// The state's name for the generation of a plugin that served last.
fn active_name(plugin: &str) -> String {
    format!("generation/{plugin}")
}
