//! A component on the bench: compiled and linked as the agent does it, for the verbs that look at one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use picket_sandbox::{
    Assets, Compiler, CompilerConfig, Component, Engine, EngineConfig, Entry, Instance, SeriesReader,
    Services, StateReader, StateWrite, TracingLog, Unavailable,
};

use super::super::oneshot;
use crate::agent::COMPILE_VERB;
use crate::lifecycle::{self, config::Plugin};
use crate::model::Digest;

/// A component and what can be told of it without running it.
pub(in crate::cli) struct Bench {
    pub(super) file: PathBuf,
    pub(in crate::cli) component: Component,
    pub(super) bytes: u64,
    pub(super) digest: Digest,
}

impl Bench {
    /// Reads and compiles a component.
    pub(in crate::cli) fn open(file: &Path) -> anyhow::Result<Self> {
        let shown = file.display();
        let bytes = std::fs::read(file).with_context(|| {
            format!("the component {shown} cannot be read; build it with `picket plugin build`")
        })?;
        let engine = Engine::new(EngineConfig::default())?;
        let program = std::env::current_exe().context("the program cannot find itself to compile with")?;
        let config = CompilerConfig::new(oneshot::cache(), program, vec![COMPILE_VERB.into()]);
        let component = Compiler::new(engine, config)?.compile(&bytes).with_context(|| shown.to_string())?;
        Ok(Self { file: file.to_owned(), component, bytes: bytes.len() as u64, digest: Digest::of(&bytes) })
    }

    /// The name that a configuration would give it.
    pub(super) fn name(&self) -> String {
        self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// An instance with what its section grants and allows it.
    pub(super) fn instance(
        &self,
        section: &Plugin,
        state: Arc<Memory>,
        series: Arc<dyn SeriesReader>,
        assets: Arc<Assets>,
    ) -> anyhow::Result<Instance> {
        let linked = self
            .component
            .link(&self.name(), &lifecycle::grants(&section.grants))
            .with_context(|| self.file.display().to_string())?;
        let services = Services {
            plugin: self.name(),
            generation: self.digest.short(),
            log: Arc::new(TracingLog),
            state: Some(state),
            series: Some(series),
            assets,
        };
        Ok(linked.instantiate(&services, &lifecycle::limits(&section.limits))?)
    }
}

/// Keys and their values.
type Values = BTreeMap<Vec<u8>, Vec<u8>>;

/// The state of a plugin on the bench.
#[derive(Default)]
pub(super) struct Memory(Mutex<Values>);

impl Memory {
    /// Makes what a call wrote durable for the next one, as a commit would.
    pub(super) fn commit(&self, writes: &[StateWrite]) {
        let mut values = self.values();
        for write in writes {
            match write {
                // Nothing expires within one run of a test.
                StateWrite::Set { key, value, expires: _ } => values.insert(key.clone(), value.clone()),
                StateWrite::Delete { key } => values.remove(key),
            };
        }
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateReader for Memory {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(self.values().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, Unavailable> {
        let values = self.values();
        let found = values
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after))
            .take(limit);
        Ok(found.map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect())
    }

    fn bytes_used(&self) -> u64 {
        self.values().iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }
}
