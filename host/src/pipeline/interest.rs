//! Which records a plugin wants: those that hold one of its literals.
//!
//! An interest is what a plugin's `configure` returned, checked and ready to use. How literals are
//! found is in [`super::matcher`]; which plugins a source feeds is in [`super::route`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::matcher::{MatchError, Matcher};
use crate::model::{Block, Selection};

/// What one plugin wants of the records of its sources.
#[derive(Debug)]
pub struct Interest {
    /// Unique in this process, so that a worker can tell whether a waiting selection was made by
    /// the interest that it has now.
    pub id: u64,
    /// A record is wanted when it holds one of these. With none, or with an empty one, every record
    /// is wanted, and no hits are told.
    pub literals: Vec<Vec<u8>>,
    /// Whether ASCII letters match in either case.
    pub ignore_ascii_case: bool,
    /// Finds the literals of this interest alone.
    alone: Matcher,
}

impl Interest {
    /// Checks the literals and builds their automaton. Fails when they are too many or too long.
    pub fn new(literals: Vec<Vec<u8>>, ignore_ascii_case: bool) -> Result<Arc<Self>, MatchError> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut interest = Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            literals,
            ignore_ascii_case,
            alone: Matcher::default(),
        };
        interest.alone = Matcher::new([&interest])?;
        Ok(Arc::new(interest))
    }

    /// Every record.
    pub fn everything() -> Arc<Self> {
        Self::new(Vec::new(), false).expect("no literals are never too many")
    }

    /// Whether every record is wanted.
    pub fn is_everything(&self) -> bool {
        self.literals.is_empty() || self.literals.iter().any(Vec::is_empty)
    }

    /// Selects for this plugin alone. For many plugins at once see
    /// [`SourceRoutes::select`](super::route::SourceRoutes::select).
    pub fn select(&self, block: &Block) -> Selection {
        let mut selections = self.alone.select(block, &[0]);
        selections.pop().map_or(Selection::All, |(_, selection)| selection)
    }
}
