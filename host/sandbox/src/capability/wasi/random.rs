//! WASI's randomness: `wasmtime-wasi`'s own, in pieces of a bounded size.

use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

use super::WasiContext;
use crate::error::Violation;

/// Bytes of one request. Seeds and keys need a few dozen.
const MAX_BYTES: u64 = 64 << 10;

fn check(len: u64) -> wasmtime::Result<()> {
    if len <= MAX_BYTES {
        return Ok(());
    }
    Err(wasmtime::Error::new(Violation::Misuse("more than 64 KiB of random bytes were asked for at once")))
}

impl random::Host for WasiContext {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        check(len)?;
        random::Host::get_random_bytes(&mut self.random, len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        random::Host::get_random_u64(&mut self.random)
    }
}

impl insecure::Host for WasiContext {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        check(len)?;
        insecure::Host::get_insecure_random_bytes(&mut self.random, len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        insecure::Host::get_insecure_random_u64(&mut self.random)
    }
}

impl insecure_seed::Host for WasiContext {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        insecure_seed::Host::insecure_seed(&mut self.random)
    }
}
