//! Which rejections pass by themselves: the machine was short of something, or something was in the way,
//! and the very same generation may serve a moment later.
//!
//! Decides nothing about when to try again: that is the control loop's.

use std::io;

use picket_sandbox::{CallError, CompileError, ConfigureError};

use super::Rejection;
use super::staged::StageError;
use super::trusted::TrustError;
use crate::pipeline::generation::InstanceError;

/// When a refused generation is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Soon: the cause passes by itself.
    Soon,
    /// When somebody asks for a reload: it ran out of time or memory, which may have been the machine's
    /// fault or its own.
    WhenAsked,
    /// When it has changed.
    WhenChanged,
}

impl Rejection {
    /// Whether the cause passes by itself, so that the same generation is tried again without anybody's
    /// doing.
    pub fn is_transient(&self) -> bool {
        self.again() == Again::Soon
    }

    pub(super) fn again(&self) -> Again {
        match self {
            Self::Busy(_) | Self::Snapshot(_) | Self::FirstCallStalled(_) => Again::Soon,
            Self::Stage(error) => staging(error),
            Self::Compile { source, .. } => compiling(source),
            Self::Configure { source: ConfigureError::Call(error), .. } => calling(error),
            Self::Instance(InstanceError::Configure(ConfigureError::Call(error))) => calling(error),
            Self::Instance(InstanceError::Instantiate(error) | InstanceError::Restore(error)) => {
                calling(error)
            }
            Self::Instance(InstanceError::Snapshot(_)) => Again::Soon,
            Self::Instance(InstanceError::Configure(ConfigureError::Refused(_)))
            | Self::Configure { source: ConfigureError::Refused(_), .. }
            | Self::Link { .. }
            | Self::Unsuitable(_)
            | Self::Interest(_)
            | Self::Restore(_)
            | Self::FirstCall(_)
            | Self::Together(_) => Again::WhenChanged,
        }
    }
}

fn staging(error: &StageError) -> Again {
    match error {
        StageError::Untrusted(TrustError::Changing { .. }) => Again::Soon,
        StageError::Untrusted(TrustError::Unreadable { source, .. }) | StageError::Folder { source, .. } => {
            reading(source)
        }
        StageError::Untrusted(_) | StageError::TooManyAssets { .. } => Again::WhenChanged,
    }
}

/// What is not there or not allowed shows as a change once it is mended; a disk or a table of open files
/// that recovers does not.
fn reading(error: &io::Error) -> Again {
    use rustix::io::Errno;
    let passing = [
        Errno::AGAIN,
        Errno::INTR,
        Errno::IO,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::STALE,
        Errno::TIMEDOUT,
    ];
    match Errno::from_io_error(error) {
        Some(errno) if passing.contains(&errno) => Again::Soon,
        _ => Again::WhenChanged,
    }
}

fn compiling(error: &CompileError) -> Again {
    match error {
        CompileError::Start { .. } | CompileError::Cache(_) => Again::Soon,
        CompileError::Time { .. } | CompileError::Memory { .. } | CompileError::Crashed { .. } => {
            Again::WhenAsked
        }
        _ => Again::WhenChanged,
    }
}

fn calling(error: &CallError) -> Again {
    match error {
        CallError::Budget { .. } => Again::Soon,
        CallError::Deadline { .. } => Again::WhenAsked,
        _ => Again::WhenChanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::time::Duration;

    fn compile(source: CompileError) -> Rejection {
        Rejection::Compile { path: "a.wasm".into(), source }
    }

    fn unreadable(error: rustix::io::Errno) -> Rejection {
        let source = io::Error::from_raw_os_error(error.raw_os_error());
        StageError::from(TrustError::Unreadable { path: PathBuf::from("a.wasm"), source }).into()
    }

    #[test]
    fn what_the_machine_was_short_of_passes_by_itself() {
        let budget = CallError::Budget { limit: 3, used: 2, wanted: 2 };
        let start =
            CompileError::Start { program: "/picket".into(), source: io::ErrorKind::WouldBlock.into() };
        let changing = TrustError::Changing { path: "a.wasm".into() };
        for rejection in [
            Rejection::Busy(Duration::from_secs(1)),
            Rejection::Snapshot("behind".into()),
            InstanceError::Instantiate(budget.clone()).into(),
            Rejection::Configure { place: String::new(), source: budget.into() },
            compile(start),
            Rejection::FirstCallStalled("the memory of all plugins is used up".into()),
            StageError::from(changing).into(),
            unreadable(rustix::io::Errno::MFILE),
        ] {
            assert!(rejection.is_transient(), "{rejection}");
        }
    }

    #[test]
    fn what_ran_out_of_its_own_bound_is_tried_again_on_request_only() {
        for source in [
            CompileError::Time { limit: Duration::from_secs(1) },
            CompileError::Memory { limit: 1 },
            CompileError::Crashed { status: "signal: 9".into(), message: String::new() },
        ] {
            assert_eq!(compile(source).again(), Again::WhenAsked);
        }
    }

    #[test]
    fn what_a_plugin_is_to_blame_for_waits_for_a_change() {
        for rejection in [
            Rejection::Unsuitable("no records".into()),
            Rejection::Restore("no".into()),
            Rejection::FirstCall("trap".into()),
            compile(CompileError::Invalid { what: "no".into() }),
            unreadable(rustix::io::Errno::NOENT),
            unreadable(rustix::io::Errno::ACCESS),
        ] {
            assert_eq!(rejection.again(), Again::WhenChanged, "{rejection}");
        }
    }
}
