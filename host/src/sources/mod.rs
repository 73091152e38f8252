//! Where records, files and samples come from. Sources know routes and checkpoints; they do not know
//! plugins, the journal or forwarders.

mod anew;
mod mistake;
mod open;
mod probe;
mod run;

pub mod directory;
pub mod file;
pub mod host;

pub mod glob;
pub mod watch;

pub mod metrics;
pub mod status;

pub use directory::source::ScanLog;
pub use host::source::{NotCommitted, SampleSink};
pub use probe::Probed;
pub use run::{Checkpoints, CheckpointsUnreadable, ConfigError, Deps, SourceConfig, Sources, StartError};
pub use status::{Problem, SourceStatus};
