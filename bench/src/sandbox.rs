//! A component in the sandbox, as the agent would have it, for measures without the agent around it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use picket_sandbox::{
    Assets, Compiler, CompilerConfig, Engine, EngineConfig, Entry, Grants, Instance, Limits, LogLine,
    LogSink, SeriesGrant, Services, StateReader, Unavailable,
};

/// The hidden verb that compiles a component.
pub(crate) const COMPILE_VERB: &str = "__compile";

/// Makes instances.
pub(crate) struct Sandbox {
    compiler: Compiler,
}

/// A log that nobody reads.
struct Silent;

impl LogSink for Silent {
    fn line(&self, _line: &LogLine<'_>) {}
}

/// A committed state with nothing in it.
struct Empty;

impl StateReader for Empty {
    fn get(&self, _key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(None)
    }

    fn scan(&self, _prefix: &[u8], _after: Option<&[u8]>, _limit: usize) -> Result<Vec<Entry>, Unavailable> {
        Ok(Vec::new())
    }

    fn bytes_used(&self) -> u64 {
        0
    }
}

impl Sandbox {
    /// With compiled code kept in a folder.
    pub(crate) fn new(cache: &Path) -> Result<Self> {
        let engine = Engine::new(EngineConfig::default())?;
        let program = std::env::current_exe()?;
        let config = CompilerConfig::new(cache.to_path_buf(), program, vec![COMPILE_VERB.into()]);
        Ok(Self { compiler: Compiler::new(engine, config)? })
    }

    /// Compiles a component, grants it everything, and configures an instance. Its bounds are wide: what
    /// is measured is the work, not how it is cut off.
    pub(crate) fn instance(&self, component: &Path, config: &str) -> Result<Instance> {
        let bytes = fs::read(component).with_context(|| format!("cannot read {}", component.display()))?;
        let component = self.compiler.compile(&bytes)?;
        let linked = component.link("bench", &Grants { state: Some(64 << 20), series: SeriesGrant::All })?;
        let services = Services {
            plugin: "bench".to_owned(),
            generation: "bench".to_owned(),
            log: Arc::new(Silent),
            state: Some(Arc::new(Empty)),
            series: None,
            assets: Arc::new(Assets::default()),
        };
        let limits = Limits {
            findings: 1_000_000,
            output_bytes: 64 << 20,
            metric_label_sets: 1_000_000,
            ..Limits::default()
        };
        let mut instance = linked.instantiate(&services, &limits)?;
        instance.configure(config)?;
        Ok(instance)
    }
}
