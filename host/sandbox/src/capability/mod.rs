//! What guests can ask of the host: one file for each interface of `wit/capabilities.wit`, all of
//! one shape: the context that an instance holds, the trait behind it that the agent implements,
//! the host functions, and how they are added to a linker.
//!
//! Every host function decides whether what it does not like is an error that the guest sees or a
//! violation that ends it, and clamps every number it is given by a named bound.

pub(crate) mod assets;
pub(crate) mod clock;
pub(crate) mod log;
pub(crate) mod objects;
pub(crate) mod series;
pub(crate) mod state;
pub(crate) mod wasi;

use wasmtime::component::Linker;

use crate::bindings;
use crate::budget::Limiter;
use crate::call::{Deadline, Stopwatch};

/// What an instance's store holds: the limits and a context for each capability. Those that are not
/// granted are there, but not linked, so no guest reaches them.
pub(crate) struct HostState {
    pub(crate) limiter: Limiter,
    pub(crate) deadline: Deadline,
    pub(crate) stopwatch: Stopwatch,
    pub(crate) log: log::LogContext,
    pub(crate) clock: clock::ClockContext,
    pub(crate) assets: assets::AssetsContext,
    pub(crate) state: state::StateContext,
    pub(crate) series: series::SeriesContext,
    pub(crate) objects: objects::ObjectsContext,
    pub(crate) wasi: wasi::WasiContext,
}

impl bindings::types::Host for HostState {}

/// Adds what every component gets.
pub(crate) fn add_always(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    type Whole = wasmtime::component::HasSelf<HostState>;
    bindings::types::add_to_linker::<_, Whole>(linker, |host| host)?;
    log::add_to_linker(linker)?;
    clock::add_to_linker(linker)?;
    assets::add_to_linker(linker)?;
    objects::add_to_linker(linker)?;
    wasi::add_to_linker(linker)
}
