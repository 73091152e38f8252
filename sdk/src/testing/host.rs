//! The host of a test thread: what the capabilities answer on targets other than wasm.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

use super::running::Running;
use super::samples::Samples;
use crate::bindings::imports::picket::plugin::assets::{Asset, AssetError};
use crate::log::Level;
use crate::types::Label;
use crate::{ConfigError, Plugin, Timestamp};

/// 2024-01-01T00:00:00Z: where a test's clock begins, so that no test depends on the real one.
const START: Timestamp = 1_704_067_200_000_000_000;

/// The state quota of a test that sets none.
const QUOTA: u64 = 16 << 20;

/// A line that the plugin logged.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Its level.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Its fields.
    pub fields: Vec<Label>,
}

/// A host for the plugin under test. There is one for each thread; a new one forgets the old.
#[derive(Debug)]
pub struct Host {
    /// The host lives in the thread.
    _not_send: PhantomData<*const ()>,
}

#[derive(Debug)]
pub(super) struct Inner {
    now: Timestamp,
    monotonic: Duration,
    log: Vec<LogLine>,
    assets: BTreeMap<String, Vec<u8>>,
    pub(super) state: Table,
    quota: u64,
    /// Why the state is unavailable.
    broken: Option<String>,
    pub(super) samples: Samples,
}

/// Keys with their values and when they expire.
pub(super) type Table = BTreeMap<Vec<u8>, (Vec<u8>, Option<Timestamp>)>;

impl Inner {
    fn new() -> Self {
        Self {
            now: START,
            monotonic: Duration::ZERO,
            log: Vec::new(),
            assets: BTreeMap::new(),
            state: Table::new(),
            quota: QUOTA,
            broken: None,
            samples: Samples::default(),
        }
    }
}

thread_local! {
    static HOST: RefCell<Inner> = RefCell::new(Inner::new());
}

pub(super) fn with<T>(f: impl FnOnce(&mut Inner) -> T) -> T {
    HOST.with_borrow_mut(f)
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    /// A fresh host: no assets, no state, no series, and a clock that stands at
    /// 2024-01-01T00:00:00Z.
    pub fn new() -> Self {
        with(|host| *host = Inner::new());
        Self { _not_send: PhantomData }
    }

    /// Configures a plugin with a JSON object, as the agent does when it loads a generation.
    pub fn start<P: Plugin>(&self, config: impl ToString) -> Result<Running<P>, ConfigError> {
        Running::start(config.to_string())
    }

    /// Adds an asset, or replaces it.
    pub fn asset(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        with(|host| host.assets.insert(name.to_owned(), content.as_ref().to_vec()));
        self
    }

    /// Adds a sample to the series store. `labels` are those besides the name.
    pub fn sample(&self, name: &str, labels: &[(&str, &str)], time: Timestamp, value: f64) -> &Self {
        with(|host| host.samples.add(name, labels, time, value));
        self
    }

    /// Sets the state's quota in bytes.
    pub fn state_quota(&self, bytes: u64) -> &Self {
        with(|host| host.quota = bytes);
        self
    }

    /// From now on the state is unavailable, for this reason.
    pub fn break_state(&self, reason: &str) -> &Self {
        with(|host| host.broken = Some(reason.to_owned()));
        self
    }

    /// How many entries the plugin's state holds now.
    pub fn state_entries(&self) -> usize {
        with(|host| live(host).count())
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        now()
    }

    /// Sets the wall clock.
    pub fn set_time(&self, now: Timestamp) -> &Self {
        with(|host| host.now = now);
        self
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) -> &Self {
        with(|host| {
            host.now += crate::plugin::nanos(by);
            host.monotonic += by;
        });
        self
    }

    /// What the plugin logged so far.
    pub fn log(&self) -> Vec<LogLine> {
        with(|host| host.log.clone())
    }
}

pub(crate) fn log(level: Level, message: &str, fields: Vec<Label>) {
    with(|host| host.log.push(LogLine { level, message: message.to_owned(), fields }));
}

pub(crate) fn now() -> Timestamp {
    with(|host| host.now)
}

pub(crate) fn monotonic() -> Duration {
    with(|host| host.monotonic)
}

pub(crate) fn asset_list() -> Vec<Asset> {
    with(|host| {
        host.assets
            .iter()
            .map(|(name, content)| Asset { name: name.clone(), size: content.len() as u64 })
            .collect()
    })
}

pub(crate) fn asset_read(name: &str, offset: u64, len: u32) -> Result<Vec<u8>, AssetError> {
    with(|host| {
        let content = host.assets.get(name).ok_or(AssetError::NotFound)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let end = start.saturating_add(len as usize).min(content.len());
        Ok(content[start..end].to_vec())
    })
}

fn live(host: &Inner) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
    let now = host.now;
    host.state
        .iter()
        .filter(move |(_, (_, expires))| expires.is_none_or(|expires| expires > now))
        .map(|(key, (value, _))| (key, value))
}

pub(crate) mod state {
    //! The state of the test, with the WIT's bounds.
    use super::{live, with};
    use crate::bindings::imports::picket::plugin::state::{Entry, StateError};

    const KEY_BYTES: u32 = 512;
    const VALUE_BYTES: u32 = 256 << 10;
    const SCAN_ENTRIES: usize = 1000;
    const SCAN_BYTES: usize = 1 << 20;

    pub(crate) fn get(key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        check_key(key)?;
        check_whole()?;
        Ok(with(|host| live(host).find(|(have, _)| *have == key).map(|(_, value)| value.clone())))
    }

    pub(crate) fn set(key: &[u8], value: &[u8], ttl: Option<u64>) -> Result<(), StateError> {
        check_key(key)?;
        if value.len() > VALUE_BYTES as usize {
            return Err(StateError::ValueTooLong(VALUE_BYTES));
        }
        check_whole()?;
        with(|host| {
            let others: usize =
                live(host).filter(|(have, _)| *have != key).map(|(k, v)| k.len() + v.len()).sum();
            if (others + key.len() + value.len()) as u64 > host.quota {
                return Err(StateError::QuotaExceeded(host.quota));
            }
            let expires = ttl.map(|ttl| host.now.saturating_add(ttl));
            host.state.insert(key.to_vec(), (value.to_vec(), expires));
            Ok(())
        })
    }

    pub(crate) fn delete(key: &[u8]) -> Result<(), StateError> {
        check_key(key)?;
        check_whole()?;
        with(|host| host.state.remove(key));
        Ok(())
    }

    pub(crate) fn scan(prefix: &[u8], after: Option<&[u8]>, limit: u32) -> Result<Vec<Entry>, StateError> {
        check_whole()?;
        let limit = SCAN_ENTRIES.min(limit as usize);
        with(|host| {
            let mut bytes = 0;
            let entries = live(host)
                .filter(|(key, _)| {
                    key.starts_with(prefix) && after.is_none_or(|after| key.as_slice() > after)
                })
                .take(limit)
                .take_while(|(key, value)| {
                    let first = bytes == 0;
                    bytes += key.len() + value.len();
                    first || bytes <= SCAN_BYTES
                });
            Ok(entries.map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect())
        })
    }

    fn check_whole() -> Result<(), StateError> {
        with(|host| host.broken.clone()).map_or(Ok(()), |reason| Err(StateError::Unavailable(reason)))
    }

    fn check_key(key: &[u8]) -> Result<(), StateError> {
        match key.len() {
            0 => Err(StateError::KeyLength(KEY_BYTES)),
            len if len > KEY_BYTES as usize => Err(StateError::KeyLength(KEY_BYTES)),
            _ => Ok(()),
        }
    }
}

pub(crate) mod series {
    //! The series of the test.
    use super::with;
    use crate::bindings::imports::picket::plugin::series::{Request, Selection, SeriesError};
    use crate::types::Label;

    pub(crate) fn select(requests: &[Request]) -> Result<Selection, SeriesError> {
        with(|host| host.samples.select(requests))
    }

    pub(crate) fn labels(series: &[u64]) -> Result<Vec<Vec<Label>>, SeriesError> {
        with(|host| host.samples.labels(series))
    }
}
