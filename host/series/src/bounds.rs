//! What a question may cost, and who looks whether its time is over.

use std::time::Instant;

use crate::error::{LookupError, SelectError};

/// How many steps of a question go between two looks at the clock.
const STEPS_BETWEEN_LOOKS: u32 = 256;

/// What a selection may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Samples in the answer; a series that two requests match counts twice.
    pub max_samples: u64,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

/// The time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Late;

impl From<Late> for SelectError {
    fn from(Late: Late) -> Self {
        Self::Deadline
    }
}

impl From<Late> for LookupError {
    fn from(Late: Late) -> Self {
        Self::Deadline
    }
}

/// Looks at the clock at the first and then at every so many steps.
pub(crate) struct Watch {
    deadline: Option<Instant>,
    steps: u32,
}

impl Watch {
    pub(crate) fn new(deadline: Option<Instant>) -> Self {
        Self { deadline, steps: 0 }
    }

    /// One step of work is next.
    pub(crate) fn look(&mut self) -> Result<(), Late> {
        let look = self.steps.is_multiple_of(STEPS_BETWEEN_LOOKS);
        self.steps = self.steps.wrapping_add(1);
        match self.deadline {
            Some(deadline) if look && Instant::now() >= deadline => Err(Late),
            _ => Ok(()),
        }
    }
}
