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
mod ended;
mod kept;
mod metrics;
mod passing;
mod refusals;
mod removed;
mod served;
mod slot;
mod status;
mod table;

pub mod watch;

pub use candidate::{Brings, Rejection};
pub(crate) use candidate::{grants, limits};
pub use metrics::Metrics;
pub(crate) use staged::MAX_COMPONENT_BYTES;
pub use staged::{StageError, Staged};
pub use status::{Active, Blame, PluginState, PluginStatus, Rejected, Statuses};
pub use store::{Store, StoreError};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use picket_sandbox::{Compiler, LogSink, SeriesReader};

use self::config::Plugin;
use self::refusals::{Identity, Refusals};
use self::removed::Removed;
use self::slot::Slot;
use crate::alerts;
use crate::model::{Digest, Origin, now_nanos};
use crate::pipeline::circuit::Patience;
use crate::pipeline::control::Ending;
use crate::pipeline::query::Engines;
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
#[derive(Clone)]
pub struct AlertDeps {
    /// Their bounds.
    pub config: alerts::Config,
    /// What the API shows.
    pub active: alerts::ActiveAlerts,
    /// What silences them.
    pub silences: alerts::Silences,
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
    /// The plugins of the configuration that is active, if that is another one.
    pub active: Option<&'a BTreeMap<String, Plugin>>,
    /// Whether somebody asks: what ran out of time or memory is then tried again.
    pub asked: bool,
    /// Whether all files look as they did when they were found at rest.
    pub rests: &'a dyn Fn() -> bool,
}

/// The plugin table, and how it changes.
pub struct Lifecycle {
    deps: Deps,
    table: BTreeMap<String, Slot>,
    statuses: Statuses,
    /// Who can be asked expressions.
    engines: Engines,
    /// What failed by its own fault: it is not tried again until it changes.
    refusals: Refusals,
    /// See [`is_transient`](Lifecycle::is_transient).
    transient: bool,
    sources: BTreeMap<String, Brings>,
    removed: Removed,
}

/// Some wanted generations were rejected; what served before serves on.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|(plugin, reason)| format!("plugin `{plugin}`: {reason}")).collect::<Vec<_>>().join("\n"))]
pub struct Rejections(pub Vec<(String, String)>);

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// Candidates were rejected.
    #[error(transparent)]
    Rejected(#[from] Rejections),
    /// Files changed while they were read: what was read may be half of one and half of another state.
    #[error("files changed while they were read")]
    Moved,
}

impl Lifecycle {
    /// An empty table.
    pub fn new(deps: Deps) -> Self {
        let (state, committer) = (deps.state.clone(), deps.shared.committer.clone());
        Self {
            removed: Removed::new(state, committer, deps.alerts.clone()),
            deps,
            table: BTreeMap::new(),
            statuses: Statuses::default(),
            engines: Engines::default(),
            refusals: Refusals::default(),
            transient: false,
            sources: BTreeMap::new(),
        }
    }

    /// What the API shows; a handle that stays current.
    pub fn statuses(&self) -> Statuses {
        self.statuses.clone()
    }

    /// Who can be asked expressions; a handle that stays current.
    pub fn engines(&self) -> Engines {
        self.engines.clone()
    }

    /// Files and folders whose change may make a new generation.
    pub fn paths(plugins: &BTreeMap<String, Plugin>) -> Vec<PathBuf> {
        let component = plugins.values().map(|plugin| plugin.component.clone());
        component.chain(plugins.values().filter_map(|plugin| plugin.assets.clone())).collect()
    }

    /// Whether the last change failed only for reasons that pass by themselves, or there was no thread for a
    /// plugin, so that it is worth trying again with the same files.
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// Wanted generations that stand refused, with their reasons.
    pub fn refused(&self) -> Result<(), Rejections> {
        let standing = self.refusals.standing();
        if standing.is_empty() { Ok(()) } else { Err(Rejections(standing)) }
    }

    /// Takes in what a worker tells.
    pub fn heard(&mut self, event: Event) {
        match event {
            Event::Proven(origin) => self.proven(&origin),
            Event::Reverted { refused, serves, reason, passes } => {
                let rejection = match passes {
                    true => Rejection::FirstCallStalled(reason),
                    false => Rejection::FirstCall(reason),
                };
                self.reverted(&refused, &serves, &rejection);
            }
            Event::Circuit { origin, open } => {
                // The circuit of a generation that gave way since says nothing of the one that serves.
                if self.table.get(&origin.plugin).is_some_and(|slot| slot.is_served_by(&origin)) {
                    self.statuses.circuit(&origin.plugin, open);
                }
            }
            Event::Ended { plugin, reason } => self.ended(&plugin, reason),
            Event::Blamed { origin, place, reason } => {
                self.statuses.blamed(Blame { origin, place, reason, time: now_nanos() })
            }
        }
    }

    /// The first call of a generation worked: it is the one to come back to after a restart.
    fn proven(&mut self, origin: &Origin) {
        let Some(slot) = self.table.get_mut(&origin.plugin) else { return };
        slot.proven(&origin.generation);
        self.remember(&origin.plugin, origin.generation);
        self.delete_unused();
        self.statuses.proven(origin);
    }

    /// The first call of a generation failed, and the worker went back to another one.
    fn reverted(&mut self, refused: &Origin, serves: &Digest, rejection: &Rejection) {
        let Some(slot) = self.table.get_mut(&refused.plugin) else { return };
        self.deps.metrics.rejected(&refused.plugin, rejection);
        let brings = table::brings(slot.section(), &self.sources);
        if !slot.reverted(&refused.generation, serves) {
            // Another generation came in the meantime; what it is worth will show by itself.
            return;
        }
        self.statuses.active(slot);
        self.engines.serves(slot.generation(), &slot.surroundings);
        self.statuses.rejected(&refused.plugin, Some(refused.generation), rejection);
        let identity = Identity { generation: Some(refused.generation), brings };
        self.refusals.note_one(&refused.plugin, identity, rejection);
        self.transient |= rejection.is_transient();
        self.update_routes();
    }

    /// Stops all plugins: each finishes what it holds, up to a deadline. Their statuses stay readable. Gives
    /// the names of those whose thread had panicked.
    pub fn drain(&mut self, deadline: Duration) -> Vec<String> {
        let table = std::mem::take(&mut self.table);
        self.engines.clear();
        self.update_routes();
        let stopping: Vec<_> = table.into_values().map(|slot| slot.drain(Ending::Drained)).collect();
        let until = std::time::Instant::now() + deadline;
        stopping.into_iter().filter_map(|drained| drained.wait(until).err()).collect()
    }
}
