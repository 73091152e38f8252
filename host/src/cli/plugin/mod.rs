//! `picket plugin …`: what the author of a plugin needs.

pub(in crate::cli) mod bench;
mod build;
mod cases;
mod compare;
mod exposition;
mod feed;
mod inspect;
mod new;
mod returned;
mod test;

use clap::Subcommand;

use super::Failure;
use super::global::Global;

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Begin a plugin: a project that builds and passes its own tests.
    New(new::Arguments),
    /// Build a plugin's component.
    Build(build::Arguments),
    /// Show what a component is and what it asks for.
    Inspect(inspect::Arguments),
    /// Run a plugin's own tests, and its component in the sandbox over an input.
    Test(test::Arguments),
}

pub(super) fn run(global: &Global, verb: &Verb) -> Result<(), Failure> {
    match verb {
        Verb::New(arguments) => new::run(global, arguments),
        Verb::Build(arguments) => build::run(global, arguments),
        Verb::Inspect(arguments) => inspect::run(global, arguments),
        Verb::Test(arguments) => test::run(global, arguments),
    }
}
