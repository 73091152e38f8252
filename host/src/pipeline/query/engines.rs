//! Who can be asked: the plugins that export `query`, each with the generation that serves.
//!
//! The lifecycle writes it whenever another generation comes to serve; questions read it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use picket_sandbox::Kind;

use super::AskError;
use crate::pipeline::generation::{Generation, Surroundings};

/// A plugin that can be asked.
#[derive(Clone)]
pub(super) struct Engine {
    pub(super) generation: Arc<Generation>,
    pub(super) surroundings: Surroundings,
}

/// All of them by name; clones share them.
#[derive(Clone, Default)]
pub struct Engines(Arc<Mutex<BTreeMap<String, Engine>>>);

impl Engines {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Engine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A generation serves. It is asked when it exports `query`.
    pub fn serves(&self, generation: &Arc<Generation>, surroundings: &Surroundings) {
        let plugin = &generation.origin.plugin;
        if !generation.kinds.contains(&Kind::Query) {
            self.gone(plugin);
            return;
        }
        // The worker's own view holds writes that are not committed, and reports failures to the worker.
        let state = Arc::new(surroundings.state.beside());
        let surroundings = Surroundings { state, ..surroundings.clone() };
        self.lock().insert(plugin.clone(), Engine { generation: generation.clone(), surroundings });
    }

    /// No generation of this plugin serves any more.
    pub fn gone(&self, plugin: &str) {
        self.lock().remove(plugin);
    }

    /// Nobody can be asked any more.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Whether this very generation still serves.
    pub(super) fn is_current(&self, engine: &Engine) -> bool {
        let serves = self.lock();
        let current = serves.get(&engine.generation.origin.plugin);
        current.is_some_and(|current| Arc::ptr_eq(&current.generation, &engine.generation))
    }

    /// Who answers: the plugin of this name, or the first there is.
    pub(super) fn choose(&self, wanted: Option<&str>) -> Result<Engine, AskError> {
        let engines = self.lock();
        let found = match wanted {
            Some(name) => engines.get(name),
            None => engines.values().next(),
        };
        found.cloned().ok_or_else(|| {
            AskError::NoEngine(match wanted {
                Some(name) if !engines.is_empty() => {
                    let others: Vec<&str> = engines.keys().map(String::as_str).collect();
                    format!(
                        "`api.query_engine` names `{name}`, which does not answer expressions; {} could",
                        others.join(", ")
                    )
                }
                _ => "no plugin that answers expressions serves: install `promql-rules.wasm` in `plugin_dir` and \
                      add `[plugins.promql-rules]` with `grants.series = true`, or look at `picket status` for \
                      why it was rejected"
                    .to_owned(),
            })
        })
    }
}
