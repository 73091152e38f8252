//! WASI preview 2 in its empty form: what a default guest imports whether it uses it or not.
//!
//! There is randomness, an empty environment, clocks that tell the time, and stdout and stderr that
//! end in the log. There are no files, no network, no input, and nothing can be waited for: the
//! functions that wait end the guest at once, since no epoch interrupts the host's own code.
//!
//! The interfaces' types come from `wasmtime-wasi`; its implementations of streams and polling do
//! not, because they enter a tokio runtime to wait. No stream has any state of its own, so streams
//! are numbers and need no table that a guest could fill.

mod clocks;
mod command;
mod random;
mod streams;

use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::p2::bindings::{cli, clocks as wasi_clocks, io, random as wasi_random, sync};
use wasmtime_wasi::random::WasiRandomCtx;

use super::HostState;
use super::log::LogContext;
use streams::Lines;

/// The interfaces of WASI that components may import, in any version of 0.2.
pub(crate) const INTERFACES: [&str; 18] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// What an instance has of WASI.
pub(crate) struct WasiContext {
    log: LogContext,
    random: WasiRandomCtx,
    stdout: Lines,
    stderr: Lines,
}

impl WasiContext {
    pub(crate) fn new(log: LogContext) -> Self {
        Self { log, random: WasiRandomCtx::default(), stdout: Lines::default(), stderr: Lines::default() }
    }

    /// Begins a call: what an earlier one wrote to stderr is no explanation any more.
    pub(crate) fn begin(&mut self) {
        self.stderr.forget();
    }

    /// Writes unfinished lines to the log and gives the last ones of stderr, to explain a trap.
    pub(crate) fn finish(&mut self) -> String {
        self.flush();
        self.stderr.last()
    }
}

pub(crate) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    type Wasi = HasSelf<WasiContext>;
    fn wasi(host: &mut HostState) -> &mut WasiContext {
        &mut host.wasi
    }
    cli::environment::add_to_linker::<_, Wasi>(linker, wasi)?;
    cli::exit::add_to_linker::<_, Wasi>(linker, wasi)?;
    cli::stderr::add_to_linker::<_, Wasi>(linker, wasi)?;
    cli::stdin::add_to_linker::<_, Wasi>(linker, wasi)?;
    cli::stdout::add_to_linker::<_, Wasi>(linker, wasi)?;
    cli::terminal_input::add_to_linker::<_, Wasi>(linker, wasi)?;
    cli::terminal_output::add_to_linker::<_, Wasi>(linker, wasi)?;
    cli::terminal_stderr::add_to_linker::<_, Wasi>(linker, wasi)?;
    cli::terminal_stdin::add_to_linker::<_, Wasi>(linker, wasi)?;
    cli::terminal_stdout::add_to_linker::<_, Wasi>(linker, wasi)?;
    wasi_clocks::monotonic_clock::add_to_linker::<_, Wasi>(linker, wasi)?;
    wasi_clocks::wall_clock::add_to_linker::<_, Wasi>(linker, wasi)?;
    io::error::add_to_linker::<_, Wasi>(linker, wasi)?;
    sync::io::poll::add_to_linker::<_, Wasi>(linker, wasi)?;
    sync::io::streams::add_to_linker::<_, Wasi>(linker, wasi)?;
    wasi_random::insecure::add_to_linker::<_, Wasi>(linker, wasi)?;
    wasi_random::insecure_seed::add_to_linker::<_, Wasi>(linker, wasi)?;
    wasi_random::random::add_to_linker::<_, Wasi>(linker, wasi)
}
