//! Unit tests of plugins with plain `cargo test`: an in-process host that answers the capabilities
//! and calls the plugin in the order in which the agent does.
//!
//! It is no sandbox: it measures neither time nor memory. It does refuse what the agent would refuse
//! in a report, take back the state writes of a call that failed, and hand over only the records
//! that the interest asks for. Each test thread has a host of its own.
//!
//! ```
//! use picket_sdk::{Analyzer, Batch, ConfigError, NoConfig, Plugin, Report, Result, Setup};
//! use picket_sdk::testing::{self, Host};
//!
//! struct Lines;
//!
//! impl Plugin for Lines {
//!     type Config = NoConfig;
//!     fn new(_: NoConfig, _: &mut Setup) -> Result<Self, ConfigError> {
//!         Ok(Self)
//!     }
//! }
//!
//! impl Analyzer for Lines {
//!     fn analyze(&mut self, batch: &Batch, report: &mut Report) -> Result<()> {
//!         report.counter("lines_total", &[]).add(batch.len() as u64);
//!         Ok(())
//!     }
//! }
//!
//! let host = Host::new();
//! let mut plugin = host.start::<Lines>("{}").unwrap();
//! let output = plugin.analyze(testing::batch(&["one", "two"])).unwrap();
//! assert_eq!(output.counter("lines_total", &[]), 2.0);
//! ```

mod batch;
mod check;
pub(crate) mod host;
mod object;
mod output;
mod running;
mod samples;

pub use batch::{Lines, batch};
pub use host::{Host, LogLine};
pub use object::Object;
pub use output::Output;
pub use running::{CallError, Content, Running};
