//! The targets. Whoever adds a parser of outside bytes adds one here.

mod agent;
mod api;
mod journal;
mod plugins;
mod promtest;
mod rules;
mod scrape;
mod series;
mod sources;
mod upstream;

use crate::Target;

/// All of them.
pub const TARGETS: &[Target] = &[
    journal::SEGMENT,
    journal::OPEN,
    series::LOG,
    series::SEGMENT,
    agent::COMMIT,
    agent::CONFIG,
    agent::SELECTOR,
    agent::UNITS,
    agent::ESCAPE,
    api::PARAMETERS,
    sources::FRAMING,
    sources::ASSEMBLER,
    sources::CHECKPOINT,
    scrape::EXPOSITION,
    scrape::TARGETS,
    upstream::LANE,
    upstream::CURSOR,
    upstream::RELABEL,
    upstream::TEMPLATE,
    upstream::FORWARD,
    upstream::ANSWER,
    upstream::ENCODE,
    plugins::ACCESS_LOG,
    plugins::AUTH_GUARD,
    rules::FILES,
    rules::TEMPLATES,
    rules::PROMQL,
    promtest::SERIES,
    promtest::SCRIPT,
    promtest::UNIT_TESTS,
];
