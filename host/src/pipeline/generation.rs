//! One immutable generation of a plugin, linked and configured: what a worker serves.
//!
//! How a generation comes to be is told in `lifecycle`; this is what it is once all steps have succeeded.

use std::sync::Arc;
use std::time::Duration;

use picket_sandbox::{
    Assets, CallError, ConfigureError, Instance, Kind, Limits, Linked, LogSink, SeriesReader, Services, Setup,
};

use super::interest::Interest;
use super::plugin_state::PluginState;
use crate::model::Origin;

/// What a plugin's instances may ask of the agent. Lives as long as the plugin, over all generations.
#[derive(Clone)]
pub struct Surroundings {
    /// Where its log lines go.
    pub log: Arc<dyn LogSink>,
    /// Its key-value store.
    pub state: Arc<PluginState>,
    /// Recent samples.
    pub series: Arc<dyn SeriesReader>,
}

/// Why there is no instance.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// It cannot be made.
    #[error("{0}")]
    Instantiate(CallError),
    /// `configure` refuses or fails.
    #[error("{0}")]
    Configure(#[from] ConfigureError),
    /// The stored snapshot is refused.
    #[error("`restore` of the stored snapshot failed: {0}")]
    Restore(CallError),
    /// The stored snapshot cannot be read.
    #[error("the stored snapshot cannot be read: {0}")]
    Snapshot(String),
}

/// A generation that can serve.
pub struct Generation {
    /// Plugin and digest.
    pub origin: Origin,
    /// The plugin's own version.
    pub version: String,
    /// What it exports.
    pub kinds: Vec<Kind>,
    /// What `configure` asked for.
    pub setup: Setup,
    /// The records it wants.
    pub interest: Arc<Interest>,
    /// The time between two snapshots.
    pub snapshot_interval: Duration,
    /// The component with its granted imports.
    pub linked: Linked,
    /// Its configuration, a JSON object.
    pub config: String,
    /// Its own files.
    pub assets: Arc<Assets>,
    /// What each instance may use.
    pub limits: Limits,
}

impl Generation {
    /// A fresh instance, configured.
    pub fn instance(&self, surroundings: &Surroundings) -> Result<Instance, InstanceError> {
        instance(&self.origin, &self.linked, &self.config, &self.assets, &self.limits, surroundings)
            .map(|(instance, _)| instance)
    }

    /// A fresh instance with the memory of the last stored snapshot. A snapshot that is refused is left
    /// out: memory is a cache, and what is durable is in the state.
    pub fn revive(&self, surroundings: &Surroundings) -> Result<Instance, InstanceError> {
        let mut instance = self.instance(surroundings)?;
        let (bytes, version) = surroundings.state.snapshot().map_err(InstanceError::Snapshot)?;
        if bytes.is_empty() {
            return Ok(instance);
        }
        match instance.restore(&bytes, &version) {
            Ok(()) => Ok(instance),
            Err(error) => {
                tracing::warn!(
                    plugin = self.origin.plugin, %error,
                    "The stored snapshot is refused; the plugin goes on with an empty memory."
                );
                self.instance(surroundings)
            }
        }
    }
}

/// Makes and configures an instance; gives what it asked for too.
pub fn instance(
    origin: &Origin,
    linked: &Linked,
    config: &str,
    assets: &Arc<Assets>,
    limits: &Limits,
    surroundings: &Surroundings,
) -> Result<(Instance, Setup), InstanceError> {
    let services = Services {
        plugin: origin.plugin.clone(),
        generation: origin.generation.short(),
        log: surroundings.log.clone(),
        state: Some(surroundings.state.clone()),
        series: Some(surroundings.series.clone()),
        assets: assets.clone(),
    };
    let mut instance = linked.instantiate(&services, limits).map_err(InstanceError::Instantiate)?;
    let setup = instance.configure(config)?;
    Ok((instance, setup))
}
