//! What can be set about the choice of results.

use std::collections::{BTreeMap, BTreeSet};

use picket_model::{FrameKind, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use picket_relabel::Rule;

/// `[forwarders.NAME.select]`: which results are sent, and under which labels.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which kinds, of `finding`, `verdict`, `alert`, `evidence`, `notice`, `sample` and `retraction`; by default
    /// all that the receiver can take. Who includes findings or verdicts should include `retraction`, which takes
    /// wrong ones back.
    pub include: BTreeSet<FrameKind>,
    /// What is less severe is left out: findings; verdicts, of which `malicious` counts as `high`, `suspicious`
    /// as `medium`, `skipped` as `low` and `clean` as `info`; and alerts by their label `severity`: one of these
    /// words, or one that rules for Prometheus use, such as `page` (`critical`), `error` (`high`) and `warning`
    /// (`medium`). Alerts without a word that is known are sent, and so are retractions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Severity>,
    /// Only what these plugins made. Samples do not tell who made them and are sent: use `relabel` for them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub plugins: BTreeSet<String>,
    /// Only findings, verdicts and evidence of these sources. What has no source behind it is sent.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub sources: BTreeSet<String>,
    /// Labels that all samples, alerts and findings get that do not have them, before `relabel`; at most 32.
    pub labels: BTreeMap<String, String>,
    /// Rules that change labels, and keep or drop results by them, as Prometheus' `relabel_config`; at most 64. They
    /// see the labels of samples (with `__name__`) and of alerts and the attributes of findings, and of all
    /// results, where they exist, `__kind__`, `__plugin__`, `__generation__`, `__severity__`, `__rule__`,
    /// `__group__`, `__source__`, `__stream__`, `__state__` and `__verdict__`. Labels that begin with `__` are
    /// taken away afterwards, `__name__` excepted. To `source_labels` a finding's attribute must have a label's
    /// name; others can be given one with `labelmap`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relabel: Vec<Rule>,
}
