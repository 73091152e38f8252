//! Where records, files and samples come from. Sources know routes and checkpoints; they do not know
//! plugins, the journal or forwarders.

mod anew;
mod mistake;
mod open;
mod probe;
mod run;
mod sink;

pub mod directory;
pub mod file;
pub mod host;
pub mod prometheus;

pub mod glob;
pub mod watch;

pub mod metrics;
pub mod status;

pub use directory::source::ScanLog;
pub use probe::Probed;
pub use run::{Checkpoints, CheckpointsUnreadable, ConfigError, Deps, SourceConfig, Sources, StartError};
pub use sink::{NotCommitted, SampleSink};
pub use status::{Problem, SourceStatus};
