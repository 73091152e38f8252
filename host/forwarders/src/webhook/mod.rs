//! The `webhook` forwarder: results as HTTP requests, in JSON, as text for chat services, or by a template.
//!
//! Each event is posted once, in the order of the journal, to the first route that its severity fits. What was
//! accepted is remembered while its batch is tried again, so that a receiver that fails in the middle of one
//! gets no event a second time unless its answer was lost. It keeps nothing across restarts.
//!
//! A chat service's URL is a password: whoever has it can post. One that comes from a file or a variable never
//! stands in a message or a log.

pub mod encode;
pub mod sign;
pub mod slack;
pub mod template;

mod config;
mod send;
mod target;
mod text;

pub use config::{BATCH, Config, ConfigError, Format, MAX_ROUTES, Route, SLACK_BATCH};
pub use send::WebhookForwarder;

#[cfg(test)]
mod tests;
