//! One change of the plugin table: all or nothing.
//!
//! What is wanted is looked at, what differs becomes candidates, and all of them come to serve or none
//! does. What was rejected before and is still wanted is not tried again, and what changed with
//! it stays held. How a plugin gets its thread is told in `table`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::candidate::{self, Candidate, Rejection};
use super::config::Plugin;
use super::passing::Again;
use super::refusals::{Culprit, Identity};
use super::slot::{Made, Ready};
use super::staged::Staged;
use super::table::brings;
use super::{Lifecycle, NotChanged, Rejections, Wanted};
use crate::model::Digest;
use crate::pipeline::generation::Surroundings;
use crate::pipeline::plugin_state::PluginState;

/// What a look at a wanted plugin came to.
struct Looked {
    plugin: String,
    identity: Identity,
    look: Look,
}

enum Look {
    /// Just that serves.
    Serves,
    /// Something else serves, or nothing.
    Differs(Arc<Staged>),
    /// It cannot come to serve, or must not serve on like this.
    Bad(Rejection),
}

/// A plugin that keeps a change from being made.
struct Guilty {
    plugin: String,
    identity: Identity,
    rejection: Rejection,
}

/// Candidates on their way, by what they wait for.
#[derive(Default)]
struct Coming {
    /// Those with a predecessor: the word that they serve.
    ready: Vec<(String, Ready, Made)>,
    /// Those without one: a thread.
    fresh: Vec<Candidate>,
}

impl Lifecycle {
    /// Brings the table to what is wanted at the start of the agent: every plugin by itself, so that
    /// one bad one does not keep the others out. A plugin whose wanted generation is bad starts with the
    /// one that served last.
    pub fn start(&mut self, wanted: &Wanted<'_>) -> Result<(), Rejections> {
        self.sources = wanted.sources.clone();
        let mut rejections = Vec::new();
        for plugin in wanted.plugins.values() {
            let Looked { plugin, identity, look } = self.look(plugin, wanted);
            let rejection = match look {
                Look::Serves => None,
                Look::Bad(rejection) => Some(rejection),
                Look::Differs(staged) => {
                    let changed = self.change_together(&[staged], wanted);
                    changed.err().and_then(|all| all.into_iter().next()).map(|(_, rejection)| rejection)
                }
            };
            if let Some(rejection) = rejection {
                self.fall_back(&plugin, identity.generation, wanted);
                self.note(&plugin, identity.generation, &rejection);
                self.transient |= rejection.is_transient();
                self.refusals.note_one(&plugin, identity, &rejection);
                rejections.push((plugin, rejection.to_string()));
            }
        }
        self.configured(wanted.plugins);
        self.forget_unwanted(wanted.plugins);
        self.delete_unused();
        self.update_routes();
        if rejections.is_empty() { Ok(()) } else { Err(Rejections(rejections)) }
    }

    /// Brings the table to what is wanted: all plugins that differ change together, or none does. Plugins
    /// that stand refused hold back what changed with them, and nothing else. `Ok` means that the rest
    /// of the configuration may follow; what still stands refused is told by [`refused`](Self::refused).
    pub fn change(&mut self, wanted: &Wanted<'_>) -> Result<(), NotChanged> {
        let looked: Vec<Looked> = wanted.plugins.values().map(|plugin| self.look(plugin, wanted)).collect();
        if !(wanted.rests)() {
            return Err(NotChanged::Moved);
        }
        self.transient = false;
        let identities =
            looked.iter().map(|looked| (looked.plugin.clone(), looked.identity.clone())).collect();
        self.refusals.review(&identities, wanted.asked, wanted.active.is_some());
        let (staged, mut guilty) = self.sort(looked, wanted);
        if guilty.is_empty()
            && let Err(rejections) = self.change_together(&staged, wanted)
        {
            let of = |(name, rejection): (String, Rejection)| {
                let identity = identities.get(&name).cloned()?;
                Some(Guilty { plugin: name, identity, rejection })
            };
            guilty = rejections.into_iter().filter_map(of).collect();
        }
        if !guilty.is_empty() {
            return Err(self.reject(&staged, guilty, wanted.active.is_some()).into());
        }
        if self.refusals.holds_configuration().is_some() {
            return Err(Rejections(self.refusals.standing()).into());
        }
        self.sources = wanted.sources.clone();
        self.remove_unwanted(wanted.plugins);
        self.configured(wanted.plugins);
        self.forget_unwanted(wanted.plugins);
        self.delete_unused();
        self.update_routes();
        Ok(())
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

    /// Reads what a plugin consists of and compares it with what serves.
    fn look(&self, section: &Plugin, wanted: &Wanted<'_>) -> Looked {
        let plugin = section.name.clone();
        let mut identity = Identity { generation: None, brings: brings(section, wanted.sources) };
        let staged = match Staged::read(section) {
            Ok(staged) => staged,
            Err(error) => return Looked { plugin, identity, look: Look::Bad(error.into()) },
        };
        identity.generation = Some(staged.digest);
        let serves = self.table.get(&plugin).map(|slot| slot.generation());
        let look = match serves {
            Some(generation) if generation.origin.generation == staged.digest => {
                candidate::suits(generation, &identity.brings).map_or_else(Look::Bad, |()| Look::Serves)
            }
            _ => Look::Differs(Arc::new(staged)),
        };
        Looked { plugin, identity, look }
    }

    /// What is new and may be tried, and who is newly to blame. The rest stays as it is.
    fn sort(&mut self, looked: Vec<Looked>, wanted: &Wanted<'_>) -> (Vec<Arc<Staged>>, Vec<Guilty>) {
        let mut staged = Vec::new();
        let mut guilty = Vec::new();
        for Looked { plugin, identity, look } in looked {
            match look {
                Look::Serves => self.statuses.settled(&plugin),
                Look::Bad(rejection) if self.refusals.blames(&plugin, Some(&rejection.to_string())) => {
                    self.note(&plugin, identity.generation, &rejection)
                }
                Look::Bad(rejection) => guilty.push(Guilty { plugin, identity, rejection }),
                Look::Differs(_) if self.refusals.blames(&plugin, None) => {}
                Look::Differs(new) => match self.held(&new, wanted) {
                    Some(culprit) => self.note(&plugin, Some(new.digest), &Rejection::Together(culprit)),
                    None => staged.push(new),
                },
            }
        }
        (staged, guilty)
    }

    /// Because of whom a plugin may not change, if it may not: it changed with a culprit, or it is part of a
    /// configuration that is held back.
    fn held(&self, staged: &Staged, wanted: &Wanted<'_>) -> Option<String> {
        let section = |active: &BTreeMap<String, Plugin>| active.get(&staged.plugin) == Some(&staged.section);
        let with_configuration = wanted.active.is_some_and(|active| !section(active));
        let configuration = || self.refusals.holds_configuration().filter(|_| with_configuration);
        self.refusals.holds(&staged.plugin).or_else(configuration)
    }

    /// Makes candidates of everything staged; if all are ready, they serve.
    pub(super) fn change_together(
        &mut self,
        staged: &[Arc<Staged>],
        wanted: &Wanted<'_>,
    ) -> Result<(), Vec<(String, Rejection)>> {
        let mut candidates = Vec::new();
        let mut rejections = Vec::new();
        for staged in staged {
            match self.candidate(staged.clone(), wanted) {
                Ok(candidate) => candidates.push(candidate),
                Err(rejection) => rejections.push((staged.plugin.clone(), rejection)),
            }
        }
        if !rejections.is_empty() {
            return Err(rejections);
        }
        let mut coming = Coming::default();
        for candidate in candidates {
            let plugin = candidate.staged.plugin.clone();
            // Dropping what is ready gives it up.
            self.make_ready(candidate, &mut coming).map_err(|rejection| vec![(plugin, rejection)])?;
        }
        for (name, ready, made) in coming.ready {
            let Some(slot) = self.table.get_mut(&name) else { continue };
            ready.serve();
            slot.serves(made);
            self.activated(&name);
        }
        for candidate in coming.fresh {
            self.spawn(candidate, wanted);
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

    fn make_ready(&mut self, candidate: Candidate, coming: &mut Coming) -> Result<(), Rejection> {
        if let Err(error) = self.deps.store.save(&candidate.staged) {
            tracing::warn!(plugin = candidate.staged.plugin, %error, "The generation cannot be kept for a restart.");
        }
        let name = candidate.staged.plugin.clone();
        match self.table.get(&name) {
            Some(slot) => {
                let (word, made) = slot.prepare(candidate)?;
                coming.ready.push((name, word, made));
            }
            None => {
                self.may_come_back(&name)?;
                coming.fresh.push(remembering(candidate)?);
            }
        }
        Ok(())
    }

    /// Notes who is to blame, and that the others are held back.
    fn reject(&mut self, staged: &[Arc<Staged>], guilty: Vec<Guilty>, configuration: bool) -> Rejections {
        let culprit = guilty.first().map(|guilty| guilty.plugin.clone()).unwrap_or_default();
        self.transient = guilty.iter().all(|guilty| guilty.rejection.is_transient());
        let mut held = BTreeSet::new();
        for staged in staged.iter().filter(|staged| guilty.iter().all(|one| one.plugin != staged.plugin)) {
            self.note(&staged.plugin, Some(staged.digest), &Rejection::Together(culprit.clone()));
            held.insert(staged.plugin.clone());
        }
        let mut culprits = BTreeMap::new();
        let mut passing = Vec::new();
        for Guilty { plugin, identity, rejection } in guilty {
            self.note(&plugin, identity.generation, &rejection);
            let (reason, again) = (rejection.to_string(), rejection.again());
            if again == Again::Soon {
                held.insert(plugin.clone());
                passing.push((plugin, reason));
            } else {
                culprits.insert(plugin, Culprit { identity, reason, again });
            }
        }
        self.refusals.note(culprits, held, configuration);
        Rejections(self.refusals.standing().into_iter().chain(passing).collect())
    }

    /// Tells about a rejection: log, metric, API.
    fn note(&mut self, plugin: &str, generation: Option<Digest>, rejection: &Rejection) {
        let serves = self.table.get(plugin).map_or_else(
            || "nothing serves in its place".to_owned(),
            |slot| format!("generation {} serves on", slot.generation().origin.generation.short()),
        );
        if self.statuses.rejected(plugin, generation, rejection) {
            self.deps.metrics.rejected(plugin, rejection);
            let generation = generation.map(|digest| digest.short()).unwrap_or_default();
            tracing::error!(plugin, generation, serves, reason = %rejection, "A new generation was rejected.");
        }
    }
}

/// Gives a candidate without a live predecessor the memory that was stored last.
fn remembering(mut candidate: Candidate) -> Result<Candidate, Rejection> {
    let (bytes, version) = candidate.surroundings.state.snapshot().map_err(Rejection::Snapshot)?;
    if !bytes.is_empty() {
        candidate.instance.restore(&bytes, &version).map_err(|error| {
            let reason = format!("`restore` of the stored snapshot failed: {error}");
            match error {
                picket_sandbox::CallError::Budget { .. } => Rejection::Snapshot(reason),
                _ => Rejection::Restore(reason),
            }
        })?;
    }
    Ok(candidate)
}
