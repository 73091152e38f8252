//! `picket config …`: the reference and the schema of the configuration, made from its types.

use clap::Subcommand;

use super::Failure;
use super::output;
use crate::config::reference;

/// What is written to standard output.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Every setting with its default, as Markdown.
    Reference,
    /// The JSON schema of the configuration, for editors.
    Schema,
}

pub(super) fn run(verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::Reference => output::text(&reference::markdown())?,
        Verb::Schema => output::json(&reference::schema())?,
    }
    Ok(())
}
