//! How much memory guests have: the agent-wide budget and the limits of one instance.
//!
//! wasmtime's own `StoreLimits` bound each memory and each table by itself, so a component of many
//! small ones would pass; here the sums of an instance are bounded. Only what guests grow is
//! counted: linear memories and tables, not the host's bookkeeping for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use crate::Limits;
use crate::error::Violation;

/// Memories in one instance. Each reserves 4 GiB of address space, so the count is bounded besides
/// the bytes; a component of one language runtime and one adapter has two.
const MAX_MEMORIES: usize = 8;
/// Tables in one instance: one for each core module and a few for the glue between them.
const MAX_TABLES: usize = 64;
/// What a table element costs the host.
const TABLE_ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

/// Memory that all guests of the agent share.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    fn take(&self, bytes: u64) -> Result<(), Violation> {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits) {
            Ok(_) => Ok(()),
            Err(used) => Err(Violation::Budget { limit: self.limit, used, wanted: bytes }),
        }
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Counts what one instance has and refuses what is above its limits or the agent's budget.
pub(crate) struct Limiter {
    budget: Arc<Budget>,
    memory_limit: u64,
    table_limit: u64,
    instances: usize,
    memory: u64,
    elements: u64,
    /// What the last growth added, to take it back when the system refuses it.
    last_growth: u64,
    last_elements: u64,
}

impl Limiter {
    pub(crate) fn new(budget: Arc<Budget>, limits: &Limits) -> Self {
        Self {
            budget,
            memory_limit: limits.memory,
            table_limit: limits.table_elements,
            instances: limits.instances as usize,
            memory: 0,
            elements: 0,
            last_growth: 0,
            last_elements: 0,
        }
    }

    /// Bytes of linear memory. Memories never shrink, so this is the high-water mark too.
    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current) as u64;
        let wanted = self.memory.saturating_add(growth);
        if wanted > self.memory_limit {
            return Err(wasmtime::Error::new(Violation::Memory { limit: self.memory_limit, wanted }));
        }
        self.budget.take(growth).map_err(wasmtime::Error::new)?;
        self.memory = wanted;
        self.last_growth = growth;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        // The guest sees -1, as WebAssembly has it; only what was counted is taken back.
        let growth = std::mem::take(&mut self.last_growth);
        self.memory -= growth;
        self.budget.give_back(growth);
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current) as u64;
        let wanted = self.elements.saturating_add(growth);
        if wanted > self.table_limit {
            return Err(wasmtime::Error::new(Violation::Tables { limit: self.table_limit, wanted }));
        }
        self.budget.take(growth * TABLE_ELEMENT_BYTES).map_err(wasmtime::Error::new)?;
        self.elements = wanted;
        self.last_elements = growth;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        let growth = std::mem::take(&mut self.last_elements);
        self.elements -= growth;
        self.budget.give_back(growth * TABLE_ELEMENT_BYTES);
        Ok(())
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.budget.give_back(self.memory + self.elements * TABLE_ELEMENT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const PAGE: usize = 64 << 10;

    fn limiter(budget: &Arc<Budget>) -> Limiter {
        let limits = Limits { memory: 4 * PAGE as u64, table_elements: 10, ..Limits::default() };
        Limiter::new(budget.clone(), &limits)
    }

    #[test]
    fn memories_are_bounded_by_their_sum() {
        let budget = Arc::new(Budget::new(1 << 30));
        let mut limiter = limiter(&budget);
        assert!(limiter.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(limiter.memory_growing(0, 2 * PAGE, None).unwrap());
        let error = limiter.memory_growing(2 * PAGE, 3 * PAGE, None).unwrap_err();
        let wanted = 5 * PAGE as u64;
        assert_eq!(
            error.downcast_ref::<Violation>(),
            Some(&Violation::Memory { limit: 4 * PAGE as u64, wanted })
        );
        assert_eq!(limiter.memory(), 4 * PAGE as u64);
        drop(limiter);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_growth_that_the_system_refused_is_not_counted() {
        let budget = Arc::new(Budget::new(1 << 30));
        let mut limiter = limiter(&budget);
        limiter.memory_growing(0, PAGE, None).unwrap();
        limiter.memory_growing(PAGE, 2 * PAGE, None).unwrap();
        limiter.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert_eq!((limiter.memory(), budget.used()), (PAGE as u64, PAGE as u64));
    }

    #[test]
    fn tables_are_bounded_by_their_sum() {
        let budget = Arc::new(Budget::new(1 << 30));
        let mut limiter = limiter(&budget);
        limiter.table_growing(0, 6, None).unwrap();
        let error = limiter.table_growing(0, 5, None).unwrap_err();
        assert_eq!(error.downcast_ref::<Violation>(), Some(&Violation::Tables { limit: 10, wanted: 11 }));
    }

    #[test]
    fn all_instances_share_the_budget() {
        let budget = Arc::new(Budget::new(3 * PAGE as u64));
        let mut one = limiter(&budget);
        let mut two = limiter(&budget);
        one.memory_growing(0, 2 * PAGE, None).unwrap();
        let error = two.memory_growing(0, 2 * PAGE, None).unwrap_err();
        assert!(matches!(error.downcast_ref::<Violation>(), Some(Violation::Budget { .. })));
        drop(one);
        assert!(two.memory_growing(0, 2 * PAGE, None).unwrap());
    }
}
