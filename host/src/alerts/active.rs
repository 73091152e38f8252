//! The alerts that are pending or firing now, for who wants to look: API, CLI, status page.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::record::{Alert, Identity};
use crate::model::{AlertState, Digest, Label};

/// The alerts of one plugin. Its [`super::Alerts`] writes them; viewers read.
pub(super) type Shared = Arc<RwLock<BTreeMap<Identity, Alert>>>;

/// An alert as a viewer sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActiveAlert {
    /// The plugin.
    pub plugin: String,
    /// The generation that last found that it holds.
    pub generation: Digest,
    /// The rule group.
    pub group: String,
    /// The rule.
    pub rule: String,
    /// Pending or firing.
    pub state: AlertState,
    /// Its identity together with the rule, sorted by name.
    pub labels: Vec<Label>,
    /// Text for people.
    pub annotations: Vec<Label>,
    /// The value of the last evaluation at which it held.
    pub value: f64,
    /// Since when it has held: Unix time in nanoseconds.
    pub active_since: u64,
}

/// A view of all plugins' alerts. Clones show the same.
#[derive(Clone, Default)]
pub struct ActiveAlerts {
    plugins: Arc<RwLock<BTreeMap<String, Shared>>>,
}

impl ActiveAlerts {
    /// All of them, by plugin, group, rule and labels.
    pub fn list(&self) -> Vec<ActiveAlert> {
        let plugins = self.plugins.read().unwrap_or_else(PoisonError::into_inner);
        let mut list = Vec::new();
        for (plugin, alerts) in plugins.iter() {
            let alerts = alerts.read().unwrap_or_else(PoisonError::into_inner);
            list.extend(alerts.iter().map(|(identity, alert)| shown(plugin, identity, alert)));
        }
        list
    }

    pub(super) fn attach(&self, plugin: &str, alerts: Shared) {
        let mut plugins = self.plugins.write().unwrap_or_else(PoisonError::into_inner);
        plugins.insert(plugin.to_owned(), alerts);
    }

    /// Forgets the plugin, unless another keeper of the same name has taken its place.
    pub(super) fn detach(&self, plugin: &str, alerts: &Shared) {
        let mut plugins = self.plugins.write().unwrap_or_else(PoisonError::into_inner);
        if plugins.get(plugin).is_some_and(|present| Arc::ptr_eq(present, alerts)) {
            plugins.remove(plugin);
        }
    }
}

fn shown(plugin: &str, identity: &Identity, alert: &Alert) -> ActiveAlert {
    ActiveAlert {
        plugin: plugin.to_owned(),
        generation: alert.generation,
        group: identity.group.clone(),
        rule: identity.rule.clone(),
        state: alert.life.state(),
        labels: identity.labels.clone(),
        annotations: alert.annotations.clone(),
        value: alert.value,
        active_since: alert.active_since,
    }
}
