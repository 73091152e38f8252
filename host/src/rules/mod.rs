//! Rules that are tried without an agent: checked, tested over written series, replayed over samples that the
//! node has kept.
//!
//! The component runs in the real sandbox, and the life of its alerts is the agent's own ([`crate::alerts`]): only
//! the clock is another, which goes as the test says, and the store of series is one in memory that begins empty.
//! So a rule that passes here behaves like that on a node. Nothing is committed or sent, and nobody is asked what
//! time it is.
//!
//! [`Harness`] is the component with its store; `unit` runs promtool's unit tests in it, `script` Prometheus' own
//! `.test` files, `replay` goes through retained samples, and `timeline` keeps what became of each alert.

mod harness;
pub mod replay;
pub mod script;
pub mod timeline;
pub mod unit;

pub use harness::{Harness, Reader, RulesComponent, RulesError};
