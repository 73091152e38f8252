//! One change of the plugin table: all or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use picket_sandbox::Kind;

use super::candidate::{self, Brings, Candidate, Rejection};
use super::config::Plugin;
use super::slot::{Ready, Slot};
use super::staged::Staged;
use super::{Lifecycle, Rejections, Wanted, active_name};
use crate::alerts::Alerts;
use crate::model::{Digest, LifecycleEvent};
use crate::pipeline::generation::Surroundings;
use crate::pipeline::lane::lane;
use crate::pipeline::matcher::MatchError;
use crate::pipeline::plugin_state::PluginState;
use crate::pipeline::route::{Route, SourceRoutes, Takes};
use crate::pipeline::worker::{Start, Worker};

/// How long a removed plugin may take to finish what waits for it.
const REMOVAL: Duration = Duration::from_secs(30);

/// A plugin without a predecessor: it serves as soon as it has a thread.
struct Fresh {
    candidate: Candidate,
    surroundings: Surroundings,
}

impl Lifecycle {
    /// Brings the table to what is wanted at the start of the agent: every plugin by itself, so that
    /// one bad one does not keep the others out. A plugin whose wanted generation is bad starts with the
    /// one that served last.
    pub fn start(&mut self, wanted: &Wanted<'_>) -> Result<(), Rejections> {
        self.sources = wanted.sources.clone();
        let mut rejections = Vec::new();
        for plugin in wanted.plugins.values() {
            let change = self.stage(plugin, wanted).and_then(|staged| match staged {
                Some(staged) => self.change_together(vec![staged], wanted).map_err(|mut all| all.remove(0).1),
                None => Ok(()),
            });
            if let Err(rejection) = change {
                rejections.push((plugin.name.clone(), rejection.to_string()));
                self.fall_back(plugin, wanted);
            }
        }
        self.update_routes();
        if rejections.is_empty() { Ok(()) } else { Err(Rejections(rejections)) }
    }

    /// Brings the table to what is wanted: all plugins that differ change together, or none does.
    pub fn change(&mut self, wanted: &Wanted<'_>) -> Result<(), Rejections> {
        let mut staged = Vec::new();
        let mut rejections = Vec::new();
        for plugin in wanted.plugins.values() {
            match self.stage(plugin, wanted) {
                Ok(new) => staged.extend(new),
                Err(rejection) => rejections.push((plugin.name.clone(), rejection)),
            }
        }
        if let Some((culprit, _)) = rejections.first() {
            for other in &staged {
                let rejection = Rejection::Together(culprit.clone());
                self.statuses.rejected(&other.plugin, Some(other.digest), &rejection);
            }
        } else if let Err(failed) = self.change_together(staged, wanted) {
            rejections = failed;
        }
        if rejections.is_empty() {
            self.sources = wanted.sources.clone();
            self.remove_unwanted(wanted.plugins);
            self.update_routes();
            return Ok(());
        }
        Err(Rejections(rejections.into_iter().map(|(plugin, reason)| (plugin, reason.to_string())).collect()))
    }

    /// Makes a candidate of every plugin and gives up on it: what would be rejected, and why.
    pub fn try_all(&mut self, wanted: &Wanted<'_>) -> Vec<(String, Rejection)> {
        let mut rejections = Vec::new();
        for plugin in wanted.plugins.values() {
            let staged = Staged::read(plugin).map_err(Rejection::from);
            if let Err(rejection) = staged.and_then(|staged| self.candidate(Arc::new(staged), wanted)) {
                rejections.push((plugin.name.clone(), rejection));
            }
        }
        rejections
    }

    /// Reads what a plugin consists of; none when just that serves already, or was refused already.
    fn stage(&mut self, plugin: &Plugin, wanted: &Wanted<'_>) -> Result<Option<Arc<Staged>>, Rejection> {
        let staged = Staged::read(plugin).map_err(|error| {
            let rejection = Rejection::from(error);
            self.note(&plugin.name, None, &rejection);
            rejection
        })?;
        if self.refused.get(&plugin.name) == Some(&staged.digest) {
            return Ok(None);
        }
        let serves = self.table.get(&plugin.name).map(|slot| slot.generation.clone());
        match serves {
            Some(generation) if generation.origin.generation == staged.digest => {
                candidate::suits(&generation, &brings(plugin, wanted.sources))?;
                self.refused.remove(&plugin.name);
                self.statuses.settled(&plugin.name);
                Ok(None)
            }
            _ => Ok(Some(Arc::new(staged))),
        }
    }

    /// Makes candidates of everything staged; if all are ready, they serve.
    fn change_together(
        &mut self,
        staged: Vec<Arc<Staged>>,
        wanted: &Wanted<'_>,
    ) -> Result<(), Vec<(String, Rejection)>> {
        let mut candidates = Vec::new();
        let mut rejections = Vec::new();
        for staged in &staged {
            match self.candidate(staged.clone(), wanted) {
                Ok(candidate) => candidates.push(candidate),
                Err(rejection) => rejections.push((staged.clone(), rejection)),
            }
        }
        let mut ready = Vec::new();
        let mut fresh = Vec::new();
        if rejections.is_empty() {
            for candidate in candidates {
                let staged = candidate.staged.clone();
                match self.make_ready(candidate, &mut ready, &mut fresh) {
                    Ok(()) => {}
                    Err(rejection) => {
                        rejections.push((staged, rejection));
                        break;
                    }
                }
            }
        }
        if !rejections.is_empty() {
            // Dropping what is ready gives it up.
            return Err(self.reject(&staged, rejections));
        }
        for (name, ready, (generation, section)) in ready {
            let Some(slot) = self.table.get_mut(&name) else { continue };
            ready.serve();
            slot.serves(generation, section);
            self.activated(&name);
        }
        for fresh in fresh {
            self.spawn(fresh, wanted);
        }
        self.update_routes();
        Ok(())
    }

    fn candidate(&mut self, staged: Arc<Staged>, wanted: &Wanted<'_>) -> Result<Candidate, Rejection> {
        let surroundings = self.surroundings(&staged.plugin);
        let candidate = candidate::build(staged, &self.deps.compiler, &surroundings, wanted.locate)?;
        candidate::suits(&candidate.generation, &brings(&candidate.staged.section, wanted.sources))?;
        Ok(candidate)
    }

    fn surroundings(&self, plugin: &str) -> Surroundings {
        match self.table.get(plugin) {
            Some(slot) => slot.surroundings.clone(),
            None => Surroundings {
                log: self.deps.log.clone(),
                state: Arc::new(PluginState::new(self.deps.state.clone(), plugin)),
                series: self.deps.series.clone(),
            },
        }
    }

    #[expect(
        clippy::type_complexity,
        reason = "the two lists exist only between this function and its caller"
    )]
    fn make_ready(
        &mut self,
        candidate: Candidate,
        ready: &mut Vec<(String, Ready, (Arc<crate::pipeline::generation::Generation>, Plugin))>,
        fresh: &mut Vec<Fresh>,
    ) -> Result<(), Rejection> {
        if let Err(error) = self.deps.store.save(&candidate.staged) {
            tracing::warn!(plugin = candidate.staged.plugin, %error, "The generation cannot be kept for a restart.");
        }
        let name = candidate.staged.plugin.clone();
        match self.table.get(&name) {
            Some(slot) => {
                let (word, serves) = slot.prepare(candidate)?;
                ready.push((name, word, serves));
            }
            None => {
                let surroundings = self.surroundings(&name);
                fresh.push(Fresh { candidate: remembering(candidate, &surroundings)?, surroundings });
            }
        }
        Ok(())
    }

    /// Notes who is to blame, and that the others were held back.
    fn reject(
        &mut self,
        all: &[Arc<Staged>],
        guilty: Vec<(Arc<Staged>, Rejection)>,
    ) -> Vec<(String, Rejection)> {
        let culprit = guilty.first().map(|(staged, _)| staged.plugin.clone()).unwrap_or_default();
        for staged in all {
            match guilty.iter().find(|(one, _)| one.plugin == staged.plugin) {
                Some((_, rejection)) => {
                    if !matches!(rejection, Rejection::Busy(_)) {
                        self.refused.insert(staged.plugin.clone(), staged.digest);
                    }
                    self.note(&staged.plugin, Some(staged.digest), rejection);
                }
                None => self.note(&staged.plugin, Some(staged.digest), &Rejection::Together(culprit.clone())),
            }
        }
        guilty.into_iter().map(|(staged, rejection)| (staged.plugin.clone(), rejection)).collect()
    }

    /// Tells about a rejection: log, metric, API.
    fn note(&mut self, plugin: &str, generation: Option<Digest>, rejection: &Rejection) {
        let serves = self.table.get(plugin).map_or_else(
            || "nothing serves in its place".to_owned(),
            |slot| format!("generation {} serves on", slot.generation.origin.generation.short()),
        );
        if self.statuses.rejected(plugin, generation, rejection) {
            self.deps.metrics.rejected(plugin, rejection);
            let generation = generation.map(|digest| digest.short()).unwrap_or_default();
            tracing::error!(plugin, generation, serves, reason = %rejection, "A new generation was rejected.");
        }
    }

    /// Serves the generation that served before the last stop, since the wanted one is bad.
    fn fall_back(&mut self, plugin: &Plugin, wanted: &Wanted<'_>) {
        let stored = match self.deps.state.meta_get(&active_name(&plugin.name)) {
            Ok(Some(digest)) => digest,
            Ok(None) => return,
            Err(error) => {
                return tracing::error!(plugin = plugin.name, %error, "The last generation is unknown.");
            }
        };
        let Ok(digest) = <[u8; 32]>::try_from(stored.as_slice()) else { return };
        if self.refused.get(&plugin.name) == Some(&Digest(digest)) {
            return;
        }
        let outcome =
            self.deps.store.load(&Digest(digest)).map_err(|error| error.to_string()).and_then(|staged| {
                let refused = self.refused.get(&plugin.name).copied();
                let changed = self.change_together(vec![Arc::new(staged)], wanted);
                self.refused.extend(refused.map(|digest| (plugin.name.clone(), digest)));
                changed.map_err(|all| all.into_iter().map(|(_, reason)| reason.to_string()).collect())
            });
        match outcome {
            Ok(()) => tracing::warn!(
                plugin = plugin.name,
                generation = Digest(digest).short(),
                "The generation that served before the last stop serves, because the wanted one was rejected."
            ),
            Err(error) => {
                tracing::error!(plugin = plugin.name, error, "The last generation cannot be served either.")
            }
        }
    }

    /// Starts a plugin's thread.
    fn spawn(&mut self, fresh: Fresh, wanted: &Wanted<'_>) {
        let Fresh { candidate, surroundings } = fresh;
        let Candidate { staged, generation, instance } = candidate;
        let name = staged.plugin.clone();
        let queue = usize::try_from(staged.section.limits.queue.0).unwrap_or(usize::MAX);
        let (sender, receiver) = lane(name.clone(), queue);
        let alerts = self.alerts(&name);
        let worker = Worker::new(Start {
            lane: receiver,
            shared: self.deps.shared.clone(),
            surroundings: surroundings.clone(),
            generation: generation.clone(),
            instance,
            patience: wanted.patience,
            alerts,
        });
        let thread = std::thread::Builder::new().name(format!("plugin {name}")).spawn(move || worker.run());
        match thread {
            Ok(thread) => {
                let slot = Slot::new((generation, staged.section.clone()), surroundings, sender, thread);
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
    fn alerts(&self, plugin: &str) -> Alerts {
        let stored = self.deps.state.alerts(plugin).unwrap_or_else(|error| {
            tracing::error!(plugin, %error, "Stored alerts cannot be read; they begin anew.");
            Vec::new()
        });
        let deps = &self.deps.alerts;
        let (alerts, errors) = Alerts::restore(plugin, stored, deps.config, &deps.active, &deps.metrics);
        for error in errors {
            tracing::error!(plugin, %error, "A stored alert cannot be read; it begins anew.");
        }
        alerts
    }

    fn activated(&mut self, name: &str) {
        let Some(slot) = self.table.get(name) else { return };
        self.refused.remove(name);
        self.statuses.active(slot);
        self.deps.metrics.activated(name);
        tracing::info!(
            plugin = name, generation = slot.generation.origin.generation.short(),
            version = slot.generation.version, event = ?LifecycleEvent::Active, "A generation serves."
        );
    }

    fn remove_unwanted(&mut self, wanted: &BTreeMap<String, Plugin>) {
        let gone: Vec<String> =
            self.table.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        for name in gone {
            let Some(slot) = self.table.remove(&name) else { continue };
            self.update_routes();
            slot.drain().wait(Instant::now() + REMOVAL);
            self.statuses.removed(&name);
            self.deps.shared.plugin_metrics.forget(&name);
            self.deps.shared.metrics.forget(&name);
            self.refused.remove(&name);
            tracing::info!(plugin = name, "The plugin was removed; it has finished its work.");
        }
        self.statuses.retain(wanted);
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
            for source in &slot.section.sources {
                routes.entry(source.clone()).or_default().push(route(name, slot));
            }
        }
        if let Err(error) = self.deps.router.set_all(routes.into_iter().collect()) {
            tracing::error!(%error, "The literals of all plugins together cannot be searched for; the former routes stay.");
        }
    }
}

fn route(name: &str, slot: &Slot) -> Route {
    let is = |kind| slot.generation.kinds.contains(&kind);
    Route {
        takes: Takes { scan: is(Kind::Scanner), unpack: is(Kind::Unpacker) },
        plugin: name.to_owned(),
        generation: slot.generation.origin.generation,
        interest: slot.generation.interest.clone(),
        lane: Arc::new(slot.lane.clone()),
    }
}

fn brings(plugin: &Plugin, sources: &BTreeMap<String, Brings>) -> Vec<(String, Brings)> {
    let brings = |name: &String| sources.get(name).map(|brings| (name.clone(), *brings));
    plugin.sources.iter().filter_map(brings).collect()
}

/// Gives a candidate without a live predecessor the memory that was stored last.
fn remembering(mut candidate: Candidate, surroundings: &Surroundings) -> Result<Candidate, Rejection> {
    let (bytes, version) = surroundings.state.snapshot().map_err(Rejection::Restore)?;
    if !bytes.is_empty() {
        candidate.instance.restore(&bytes, &version).map_err(|error| {
            Rejection::Restore(format!("`restore` of the stored snapshot failed: {error}"))
        })?;
    }
    Ok(candidate)
}
