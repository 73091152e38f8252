//! WASI's clocks: they tell the time, and nobody can wait for it.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};

use super::WasiContext;
use crate::call;
use crate::error::Violation;

fn waited<T>(function: &'static str) -> wasmtime::Result<T> {
    Err(wasmtime::Error::new(Violation::Waited(function)))
}

impl monotonic_clock::Host for WasiContext {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(call::monotonic())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        waited("wasi:clocks/monotonic-clock#subscribe-instant")
    }

    fn subscribe_duration(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        waited("wasi:clocks/monotonic-clock#subscribe-duration")
    }
}

impl wall_clock::Host for WasiContext {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(wall_clock::Datetime { seconds: since.as_secs(), nanoseconds: since.subsec_nanos() })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}
