//! What the API says, as data. The agent fills it, the CLI reads it back; a field's name here is what
//! users see, so it may be added but not changed.

mod alert;
mod finding;
mod plugin;
mod reload;
mod retract;
mod silence;
mod status;
mod time;

pub use alert::{AlertView, Alerts};
pub use finding::{FindingView, Findings, Pairs, RetractedView};
pub use plugin::{Blame, Circuit, GenerationView, PluginCounts, PluginState, PluginView, Plugins, Rejection};
pub use reload::{ConfigProblem, Outcome, ReloadReport, ReloadedPlugin};
pub use retract::{RetractExample, RetractReport, RetractRequest};
pub use silence::{SilenceView, Silences, WantedSilence};
pub use status::{
    ConfigStatus, ForwarderStatus, Forwarders, JournalStatus, MemoryStatus, RulesStatus, SeriesStatus,
    SourceProblem, SourceStatus, Status,
};
pub use time::Time;
