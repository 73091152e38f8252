//! Capability `clock`: the time. Never waits.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::component::{HasSelf, Linker};

use super::HostState;
use crate::bindings::clock;
use crate::call::monotonic;

/// There is nothing to keep: clocks are the machine's.
#[derive(Debug, Default)]
pub(crate) struct ClockContext;

impl clock::Host for ClockContext {
    fn now(&mut self) -> wasmtime::Result<u64> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        Ok(monotonic())
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    clock::add_to_linker::<_, HasSelf<ClockContext>>(linker, |host| &mut host.clock)
}
