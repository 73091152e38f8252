//! The targets. Whoever adds a parser of outside bytes adds one here.

mod agent;
mod journal;
mod plugins;
mod sources;

use crate::Target;

/// All of them.
pub const TARGETS: &[Target] = &[
    journal::SEGMENT,
    journal::OPEN,
    agent::COMMIT,
    agent::CONFIG,
    agent::SELECTOR,
    agent::UNITS,
    agent::ESCAPE,
    sources::FRAMING,
    sources::ASSEMBLER,
    sources::CHECKPOINT,
    plugins::ACCESS_LOG,
    plugins::AUTH_GUARD,
];
