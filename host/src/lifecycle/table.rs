//! What stands in the plugin table: plugins get their thread, are routed to, and leave.
//!
//! Whether a generation may come to serve is decided in `change`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use picket_sandbox::Kind;

use super::candidate::{Brings, Candidate};
use super::config::Plugin;
use super::slot::{self, Slot};
use super::{Lifecycle, Wanted};
use crate::alerts::Alerts;
use crate::model::{LifecycleEvent, now_nanos};
use crate::pipeline::carrier::Carrier;
use crate::pipeline::control::Ending;
use crate::pipeline::lane::lane;
use crate::pipeline::live::Owner;
use crate::pipeline::matcher::MatchError;
use crate::pipeline::route::{Route, SourceRoutes, Takes};
use crate::pipeline::worker::{self, Start};

/// How long a removed plugin may take to finish what waits for it.
const REMOVAL: Duration = Duration::from_secs(30);

impl Lifecycle {
    /// Starts the thread of a plugin without a predecessor: it serves as soon as it has one.
    pub(super) fn spawn(&mut self, candidate: Candidate, wanted: &Wanted<'_>) {
        let Candidate { staged, generation, instance, surroundings } = candidate;
        let name = staged.plugin.clone();
        let (sender, receiver) = lane(name.clone(), slot::queue(&staged.section));
        let alerts = self.alerts(&name);
        let thread = worker::spawn(Start {
            lane: receiver,
            shared: self.deps.shared.clone(),
            surroundings: surroundings.clone(),
            generation: generation.clone(),
            previous: None,
            instance: Some(instance),
            patience: wanted.patience,
            alerts,
            anew: None,
        });
        match thread {
            Ok(thread) => {
                let made = (generation, staged.section.clone());
                let slot = Slot::new(made, surroundings, sender, thread, wanted.patience);
                self.table.insert(name.clone(), slot);
                self.activated(&name);
                self.remember(&name, staged.digest);
            }
            Err(error) => {
                tracing::error!(plugin = name, %error, "The plugin has no thread and does not serve.")
            }
        }
    }

    /// The plugin's alerts as they were when it last served.
    pub(super) fn alerts(&self, plugin: &str) -> Alerts {
        let stored = self.deps.state.alerts(plugin).unwrap_or_else(|error| {
            tracing::error!(plugin, %error, "Stored alerts cannot be read; they begin anew.");
            Vec::new()
        });
        let deps = &self.deps.alerts;
        let (alerts, errors) =
            Alerts::restore(plugin, stored, deps.config, &deps.active, &deps.silences, &deps.metrics);
        for error in errors {
            tracing::error!(plugin, %error, "A stored alert cannot be read; it begins anew.");
        }
        alerts
    }

    pub(super) fn activated(&mut self, name: &str) {
        let Some(slot) = self.table.get(name) else { return };
        self.statuses.active(slot);
        self.engines.serves(slot.generation(), &slot.surroundings);
        self.deps.metrics.activated(name);
        tracing::info!(
            plugin = name, generation = slot.generation().origin.generation.short(),
            version = slot.generation().version, event = ?LifecycleEvent::Active, "A generation serves."
        );
    }

    pub(super) fn remove_unwanted(&mut self, wanted: &BTreeMap<String, Plugin>) {
        let gone: Vec<String> =
            self.table.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        for name in gone {
            let Some(slot) = self.table.remove(&name) else { continue };
            self.engines.gone(&name);
            self.update_routes();
            // If its thread panicked, that is logged there.
            let _ = slot.drain(Ending::Removed).wait(Instant::now() + REMOVAL);
            self.statuses.removed(&name);
            self.deps.shared.plugin_metrics.forget(&name);
            self.deps.shared.metrics.forget(&name);
            self.end_series(&name);
            tracing::info!(plugin = name, "The plugin was removed; it has finished its work.");
        }
        self.statuses.retain(wanted);
    }

    /// What a plugin made samples of has ended: it is not there any more.
    fn end_series(&self, name: &str) {
        let shared = &self.deps.shared;
        let ended = shared.live.ended(&Owner::Plugin(name.to_owned()), now_nanos());
        if ended.is_empty() {
            return;
        }
        (shared.samples)(&ended.iter().collect::<Vec<_>>());
        // What is lost is in the log; receivers take these series for ended after some minutes.
        let _ = Carrier::new(shared.committer.clone()).carry(name, ended);
    }

    /// Routes to every plugin, for a run without sources.
    pub fn all_routes(&self) -> Result<SourceRoutes, MatchError> {
        SourceRoutes::new(self.table.iter().map(|(name, slot)| route(name, slot)).collect())
    }

    /// Tells the sources whom they feed.
    pub(super) fn update_routes(&mut self) {
        let mut routes: BTreeMap<String, Vec<Route>> =
            self.sources.keys().map(|source| (source.clone(), Vec::new())).collect();
        for (name, slot) in &self.table {
            for source in &slot.section().sources {
                routes.entry(source.clone()).or_default().push(route(name, slot));
            }
        }
        if let Err(error) = self.deps.router.set_all(routes.into_iter().collect()) {
            tracing::error!(%error, "The literals of all plugins together cannot be searched for; the former routes stay.");
        }
    }
}

fn route(name: &str, slot: &Slot) -> Route {
    let is = |kind| slot.generation().kinds.contains(&kind);
    Route {
        takes: Takes { scan: is(Kind::Scanner), unpack: is(Kind::Unpacker) },
        plugin: name.to_owned(),
        generation: slot.generation().origin.generation,
        interest: slot.generation().interest.clone(),
        lane: Arc::new(slot.lane.clone()),
    }
}

/// What the sources bring that a plugin names.
pub(super) fn brings(plugin: &Plugin, sources: &BTreeMap<String, Brings>) -> Vec<(String, Brings)> {
    let brings = |name: &String| sources.get(name).map(|brings| (name.clone(), *brings));
    plugin.sources.iter().filter_map(brings).collect()
}
