//! The one wasmtime engine of a process: how code is compiled and run, the ticker, the memory budget.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Config, WasmFeatures};

use crate::budget::Budget;
use crate::ticker::{Running, Ticker};

/// Frames of a trap's backtrace. Enough to find the place, and recursion does not fill the log.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not zero");
/// Stack of a guest. A thread that runs guests needs this and room for the host's own frames:
/// Rust's default of 2 MiB is comfortable.
const WASM_STACK: usize = 512 << 10;
/// Bounds of `EngineConfig::tick`: below, the ticker itself costs time; above, containment is late.
const TICK: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// Proposals that are switched off. Threads and asynchronous components are not compiled in at all.
const UNUSED: WasmFeatures = WasmFeatures::MEMORY64
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::GC)
    .union(WasmFeatures::GC_TYPES);

/// How the engine runs guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// How often a running guest looks at the clock: a deadline is noticed at most this much late.
    /// 1 ms to 100 ms, clamped. Default 5 ms.
    pub tick: Duration,
    /// Bytes of linear memory and tables that all guests of the process may have together. Default
    /// 512 MiB.
    pub memory_budget: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { tick: Duration::from_millis(5), memory_budget: 512 << 20 }
    }
}

/// The engine cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// wasmtime refuses the configuration on this machine.
    #[error("WebAssembly cannot run on this machine: {0}")]
    Unsupported(String),
    /// The system refuses another thread.
    #[error("the thread that watches deadlines cannot be started: {0}")]
    Ticker(#[source] std::io::Error),
}

/// Runs components. One for each process: components, budget and ticker belong to it.
pub struct Engine {
    // Must be dropped before `inner`, which the ticker's thread has a handle of.
    ticker: Ticker,
    inner: wasmtime::Engine,
    budget: Arc<Budget>,
}

impl Engine {
    /// Makes the engine and starts its ticker, which sleeps until a guest runs.
    pub fn new(config: EngineConfig) -> Result<Arc<Self>, EngineError> {
        let inner = new_inner()?;
        let tick = config.tick.clamp(TICK.0, TICK.1);
        let ticker = Ticker::start(inner.clone(), tick).map_err(EngineError::Ticker)?;
        Ok(Arc::new(Self { ticker, inner, budget: Arc::new(Budget::new(config.memory_budget)) }))
    }

    /// Bytes of linear memory and tables that guests have now.
    pub fn memory_used(&self) -> u64 {
        self.budget.used()
    }

    /// Bytes of linear memory and tables that guests may have.
    pub fn memory_budget(&self) -> u64 {
        self.budget.limit()
    }

    pub(crate) fn inner(&self) -> &wasmtime::Engine {
        &self.inner
    }

    pub(crate) fn budget(&self) -> Arc<Budget> {
        self.budget.clone()
    }

    pub(crate) fn running(&self) -> Running<'_> {
        self.ticker.running()
    }
}

/// wasmtime's engine as every process of the agent makes it: code compiled by one of them runs in
/// the others.
pub(crate) fn new_inner() -> Result<wasmtime::Engine, EngineError> {
    wasmtime::Engine::new(&config()).map_err(|error| EngineError::Unsupported(format!("{error:#}")))
}

/// Names everything that compiled code depends on: wasmtime's version, the configuration, the
/// machine's instruction set.
pub(crate) fn compatibility(engine: &wasmtime::Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn config() -> Config {
    let mut config = Config::new();
    config
        // Interrupts guests by wall clock; costs a tenth of their speed, as fuel would.
        .epoch_interruption(true)
        // On by default; makes calls three times dearer and gives guests async they have no use for.
        .concurrency_support(false)
        .max_wasm_stack(WASM_STACK)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        // What no plugin needs stays off: less code that a hostile one can reach. SIMD stays on.
        .wasm_features(UNUSED, false);
    // Memory reservation stays at its 4 GiB: with less, every access is checked and guests run at
    // half their speed.
    config
}
