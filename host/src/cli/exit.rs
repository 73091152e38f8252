//! How a verb ends: the exit code and the last message.

use std::process::ExitCode;

use super::output::Output;
use crate::config::Problems;
use crate::telemetry::escape;

/// Something failed.
pub(super) const FAILED: u8 = 1;
/// The command line is wrong.
pub(super) const USAGE: u8 = 2;
/// A part of the agent has ended by a bug (`EX_SOFTWARE`).
pub(super) const BUG: u8 = 70;
/// The configuration cannot be used (`EX_CONFIG`).
pub(super) const CONFIG: u8 = 78;

/// Why a verb did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line asks for something impossible.
    #[error("{0}")]
    Usage(String),
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(#[from] Problems),
    /// The agent had to stop because a part of it has ended by a bug.
    #[error("{0}")]
    Bug(crate::agent::Lost),
    /// Anything else.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// All was said already.
    #[error("")]
    Said(u8),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// Shows a failure and gives its exit code.
pub(super) fn code(done: Result<(), Failure>, output: Output) -> ExitCode {
    let failure = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    let code = match &failure {
        Failure::Usage(_) => USAGE,
        Failure::Config(_) => CONFIG,
        Failure::Bug(_) => BUG,
        Failure::Failed(error) if is_broken_pipe(error) => return ExitCode::SUCCESS,
        Failure::Failed(_) => FAILED,
        Failure::Said(code) => *code,
    };
    match (&failure, output) {
        (Failure::Said(_), _) => {}
        (Failure::Config(problems), Output::Json) => {
            eprintln!("{}", serde_json::json!({ "problems": problems }));
        }
        (failure, Output::Json) => eprintln!("{}", serde_json::json!({ "error": failure.to_string() })),
        // Problems escape what comes from outside themselves, and stand on several lines.
        (Failure::Config(problems), Output::Text) => eprintln!("{problems}"),
        (failure, Output::Text) => {
            for (index, line) in failure.to_string().lines().enumerate() {
                eprintln!("{}{}", if index == 0 { "error: " } else { "       " }, escape(line));
            }
        }
    }
    ExitCode::from(code)
}

/// The reader of our output has seen enough (`picket findings | head`): no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}
