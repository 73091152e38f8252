//! The agent's own log and metrics. What the agent says about itself, not what plugins find.

mod config;
mod escape;
mod level;
mod lines;
mod log;
mod metrics;
mod panics;
mod process;

pub use config::{Format, LogConfig};
pub use escape::escape;
pub use level::{LevelError, parse_level};
pub use lines::{Line, lines};
pub use log::{LogError, start_log};
pub use metrics::{ReloadMetrics, registered, registry};
pub use panics::{log_panics, panic_message};
