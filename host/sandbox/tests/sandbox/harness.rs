//! One engine and one compiler for all tests, guests by name, and services in memory.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

use picket_sandbox::{
    Assets, BatchRef, CallError, Compiler, CompilerConfig, Component, Engine, EngineConfig, Entry, Grants,
    Instance, LabelRef, Limits, Linked, LogLine, LogSink, ObjectInfo, ObjectReader, Output, ReadError,
    Report, SeriesGrant, SeriesReader, Services, StateReader, StateWrite, Unavailable,
};

static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| Engine::new(EngineConfig::default()).unwrap());
static COMPILER: LazyLock<Compiler> = LazyLock::new(|| {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    Compiler::new(engine(), config(cache)).unwrap()
});

pub(crate) fn engine() -> Arc<Engine> {
    ENGINE.clone()
}

/// The compiler's bounds by default, with this crate's own child.
pub(crate) fn config(cache: PathBuf) -> CompilerConfig {
    CompilerConfig::new(cache, env!("CARGO_BIN_EXE_picket-compile").into(), Vec::new())
}

/// A guest's component, compiled.
pub(crate) fn component(guest: &str) -> Component {
    COMPILER.compile(&picket_guests_build::component(guest)).unwrap()
}

/// A linked guest and what the agent would do for it.
pub(crate) struct Plugin {
    pub(crate) linked: Linked,
    pub(crate) services: Services,
    pub(crate) limits: Limits,
    pub(crate) log: Arc<Log>,
    pub(crate) state: Arc<Store>,
}

impl Plugin {
    /// With every grant and the default limits.
    pub(crate) fn new(guest: &str) -> Self {
        Self::of(&component(guest))
    }

    pub(crate) fn of(component: &Component) -> Self {
        let grants = Grants { state: Some(16 << 20), series: SeriesGrant::All };
        Self::granted(component, &grants)
    }

    pub(crate) fn granted(component: &Component, grants: &Grants) -> Self {
        let linked = component.link("guest", grants).unwrap();
        let (log, state) = (Arc::<Log>::default(), Arc::<Store>::default());
        let services = Services {
            plugin: "guest".into(),
            generation: "0123456789ab".into(),
            log: log.clone(),
            state: Some(state.clone()),
            series: None,
            assets: Arc::default(),
        };
        Self { linked, services, limits: Limits::default(), log, state }
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub(crate) fn assets(mut self, files: &[(&str, &str)]) -> Self {
        let file = |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().to_vec());
        self.services.assets = Arc::new(Assets::new(files.iter().map(file).collect()));
        self
    }

    pub(crate) fn series(mut self, reader: Arc<dyn SeriesReader>) -> Self {
        self.services.series = Some(reader);
        self
    }

    pub(crate) fn instance(&self) -> Instance {
        self.linked.instantiate(&self.services, &self.limits).unwrap()
    }

    /// An instance that took this configuration.
    pub(crate) fn configured(&self, config: &str) -> Instance {
        let mut instance = self.instance();
        instance.configure(config).unwrap();
        instance
    }
}

/// A configuration of the guest `hostile`.
pub(crate) fn mode(mode: &str) -> String {
    format!(r#"{{"mode": "{mode}"}}"#)
}

/// Hands records to an analyzer.
pub(crate) fn analyze(instance: &mut Instance, records: &[&str]) -> Result<Output<Report>, CallError> {
    let data = records.concat().into_bytes();
    let mut end = 0;
    let end = |record: &&str| {
        end += record.len() as u32;
        end
    };
    let ends: Vec<_> = records.iter().map(end).collect();
    let times = vec![1; records.len()];
    instance.analyze(&BatchRef {
        source: "test",
        stream: "/var/log/test",
        labels: &[LabelRef { name: "pod", value: "p" }],
        data: &data,
        ends: &ends,
        times: &times,
        hits: &[],
        passed_over: 0,
        columns: &[],
    })
}

/// The messages of a report's findings.
pub(crate) fn messages(output: &Output<Report>) -> Vec<&str> {
    output.value.findings.iter().map(|finding| finding.message.as_str()).collect()
}

/// Log lines that came.
#[derive(Default)]
pub(crate) struct Log {
    lines: Mutex<Vec<String>>,
}

impl Log {
    /// Origin, level, message and fields of each line.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

impl LogSink for Log {
    fn line(&self, line: &LogLine<'_>) {
        assert_eq!((line.plugin, line.generation), ("guest", "0123456789ab"));
        let fields: Vec<_> = line.fields.iter().map(|it| format!("{}={}", it.name, it.value)).collect();
        let text = format!("{:?} {:?} {} [{}]", line.origin, line.level, line.message, fields.join(" "));
        self.lines.lock().unwrap().push(text);
    }
}

/// A plugin's committed state.
#[derive(Default)]
pub(crate) struct Store {
    entries: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// Entries that a page of a scan has at most.
    pub(crate) page: Mutex<Option<usize>>,
    pub(crate) broken: Mutex<bool>,
}

impl Store {
    pub(crate) fn commit(&self, writes: Vec<StateWrite>) {
        let mut entries = self.entries.lock().unwrap();
        for write in writes {
            match write {
                StateWrite::Set { key, value, .. } => entries.insert(key, value),
                StateWrite::Delete { key } => entries.remove(&key),
            };
        }
    }
}

impl StateReader for Store {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        if *self.broken.lock().unwrap() {
            return Err(Unavailable("the disk is gone".into()));
        }
        Ok(self.entries.lock().unwrap().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Entry>, Unavailable> {
        let limit = self.page.lock().unwrap().unwrap_or(limit).min(limit);
        let entries = self.entries.lock().unwrap();
        let behind = |key: &[u8]| after.is_none_or(|after| key > after);
        let wanted = entries.iter().filter(|(key, _)| key.starts_with(prefix) && behind(key));
        let entry = |(key, value): (&Vec<u8>, &Vec<u8>)| Entry { key: key.clone(), value: value.clone() };
        Ok(wanted.map(entry).take(limit).collect())
    }

    fn bytes_used(&self) -> u64 {
        self.entries.lock().unwrap().iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }
}

/// An object in memory.
pub(crate) struct Bytes {
    pub(crate) bytes: Vec<u8>,
    pub(crate) error: Option<ReadError>,
}

impl Bytes {
    pub(crate) fn object(bytes: impl Into<Vec<u8>>) -> Arc<dyn ObjectReader> {
        Arc::new(Self { bytes: bytes.into(), error: None })
    }
}

impl ObjectReader for Bytes {
    fn info(&self) -> ObjectInfo {
        ObjectInfo {
            path: "/srv/upload/a.bin".into(),
            size: self.bytes.len() as u64,
            modified: 7,
            mode: 0o100_644,
            uid: 1,
            gid: 2,
            sha256: "00".repeat(32),
            media_type: "application/octet-stream".into(),
            depth: 0,
        }
    }

    fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, ReadError> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None => {
                let start = (offset as usize).min(self.bytes.len());
                // More than asked for, to see that it is cut.
                let end = (start + len as usize + 1).min(self.bytes.len());
                Ok(self.bytes[start..end].to_vec())
            }
        }
    }
}
