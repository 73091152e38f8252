//! What the API shows of alerts, silences and rules, and how silences are changed through it.

use super::core::Core;
use crate::alerts::{ActiveAlert, ActiveAlerts, NewSilence, RuleGroup, Rules, SilenceError, Silences};
use crate::api::dto::{AlertView, Pairs, SilenceView, Time};
use crate::model::now_nanos;

/// Handles on them.
pub(super) struct AlertShown {
    active: ActiveAlerts,
    silences: Silences,
    rules: Rules,
}

impl AlertShown {
    pub(super) fn new(core: &Core) -> Self {
        Self {
            active: core.active_alerts.clone(),
            silences: core.silences.clone(),
            rules: core.rules.clone(),
        }
    }

    /// Alerts that are pending or firing, with the silences that they are under now: their events follow at the
    /// next evaluation.
    pub(super) fn alerts(&self) -> Vec<AlertView> {
        let silences = self.silences.active(now_nanos());
        let view = |alert: ActiveAlert| AlertView {
            silenced_by: silences.first_of(&alert.labels).map(str::to_owned),
            plugin: alert.plugin,
            generation: alert.generation,
            group: alert.group,
            rule: alert.rule,
            state: alert.state,
            labels: Pairs(alert.labels),
            annotations: Pairs(alert.annotations),
            value: Some(alert.value).filter(|value| value.is_finite()),
            active_since: Time(alert.active_since),
        };
        self.active.list().into_iter().map(view).collect()
    }

    /// The same as their rules know them.
    pub(super) fn active(&self) -> Vec<ActiveAlert> {
        self.active.list()
    }

    pub(super) fn rules(&self) -> Vec<RuleGroup> {
        self.rules.list()
    }

    pub(super) fn silences(&self) -> Vec<SilenceView> {
        let now = now_nanos();
        self.silences.list().into_iter().map(|silence| SilenceView::of(silence, now)).collect()
    }

    pub(super) fn add_silence(&self, wanted: NewSilence) -> Result<SilenceView, SilenceError> {
        let now = now_nanos();
        let made = self.silences.add(wanted, now)?;
        tracing::info!(
            id = made.id,
            by = made.what.created_by,
            comment = made.what.comment,
            "A silence was made."
        );
        Ok(SilenceView::of(made, now))
    }

    pub(super) fn expire_silence(&self, id: &str) -> Result<SilenceView, SilenceError> {
        let now = now_nanos();
        let ended = self.silences.expire(id, now)?;
        tracing::info!(id, "A silence was ended.");
        Ok(SilenceView::of(ended, now))
    }
}
