//! All silences of the agent: in memory for evaluations, in the state store for the next start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::check::{self, Mistake};
use super::matcher::Test;
use super::record::{self, Unreadable};
use super::{NewSilence, Phase, Silence};
use crate::model::{Digest, Label};
use crate::state::{State, StateError};

/// Silences that are kept, ended ones among them, which make room for new ones: each alert of a node can have one
/// of its own.
pub const MAX_SILENCES: usize = 1000;
/// Regular expressions of all silences that have not ended. Those that people write take some 10 KiB each, and the
/// largest that are taken 1 MiB.
pub const MAX_PATTERNS: usize = 200;
/// How long a silence is kept after its end, in nanoseconds: five days, as in the Alertmanager, so that whoever comes
/// back on Monday sees what was silent.
const KEPT: u64 = 5 * 86_400 * 1_000_000_000;
/// The beginning of the state's names for silences.
const NAME: &str = "silence/";

/// See the module's description. Clones share the same.
#[derive(Clone)]
pub struct Silences {
    inner: Arc<Inner>,
}

struct Inner {
    state: State,
    /// One change at a time. Evaluations do not wait for it, nor for the state store.
    changes: Mutex<()>,
    kept: RwLock<Kept>,
}

/// By id.
type Kept = BTreeMap<String, Arc<Ready>>;

/// A silence with its matchers ready. One that has ended has none: it takes no room for them, and does not count
/// again when the clock is set back.
struct Ready {
    silence: Silence,
    tests: Option<Vec<Test>>,
}

/// The silences that count at a time.
#[derive(Clone, Default)]
pub struct Active(Vec<Arc<Ready>>);

/// Why a silence was not made or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// What is wanted is wrong.
    #[error("the silence cannot be used: {0}")]
    Bad(#[from] Mistake),
    /// There are too many.
    #[error("there are {MAX_SILENCES} silences that have not ended; expire some")]
    Full,
    /// There are too many regular expressions.
    #[error(
        "silences have {MAX_PATTERNS} regular expressions together, which are all that may be; expire some, or use `=`"
    )]
    TooManyPatterns,
    /// There is none with this id.
    #[error("there is no silence `{0}`; `picket alerts silence list` shows all that there are")]
    Unknown(String),
    /// The state store does not take it.
    #[error("the silence cannot be stored now, try again: {0}")]
    NotStored(String),
}

impl From<StateError> for SilenceError {
    fn from(error: StateError) -> Self {
        Self::NotStored(error.to_string())
    }
}

impl Silences {
    /// Takes up what is stored. What cannot be read is logged and left out. `now` is Unix time in nanoseconds.
    pub fn open(state: State, now: u64) -> Result<Self, StateError> {
        let mut kept = Kept::new();
        for (name, bytes) in state.meta_scan(NAME)? {
            match read(&bytes, now) {
                Ok(ready) => _ = kept.insert(ready.silence.id.clone(), Arc::new(ready)),
                Err(error) => {
                    tracing::error!(name, %error, "A stored silence cannot be read and does not count.");
                    if matches!(error, Unreadable::Damaged(_)) {
                        state.meta_delete(&name)?;
                    }
                }
            }
        }
        let inner = Inner { state, changes: Mutex::default(), kept: RwLock::new(kept) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// All that are kept, those that end last first.
    pub fn list(&self) -> Vec<Silence> {
        let mut list: Vec<Silence> = self.read().values().map(|ready| ready.silence.clone()).collect();
        list.sort_by(|one, other| (other.what.ends_at, &one.id).cmp(&(one.what.ends_at, &other.id)));
        list
    }

    /// Those that count at a time, Unix time in nanoseconds.
    pub fn active(&self, now: u64) -> Active {
        let kept = self.read();
        let counts = |ready: &&Arc<Ready>| ready.silence.what.phase(now) == Phase::Active;
        let mut active: Vec<Arc<Ready>> = kept.values().filter(counts).cloned().collect();
        active.sort_by_key(|ready| std::cmp::Reverse(ready.silence.what.ends_at));
        Active(active)
    }

    /// Keeps a new one, `now` being Unix time in nanoseconds.
    pub fn add(&self, wanted: NewSilence, now: u64) -> Result<Silence, SilenceError> {
        let tests = check::checked(&wanted, now)?;
        let _change = self.change();
        self.check_patterns(&wanted, now)?;
        self.make_room(now)?;
        let silence = Silence { id: self.new_id(&wanted, now), what: wanted };
        self.put(Ready { silence: silence.clone(), tests: Some(tests) })?;
        Ok(silence)
    }

    /// Ends one now. One that has ended stays as it is.
    pub fn expire(&self, id: &str, now: u64) -> Result<Silence, SilenceError> {
        let _change = self.change();
        let found = self.read().get(id).map(|ready| ready.silence.clone());
        let mut silence = found.ok_or_else(|| SilenceError::Unknown(id.chars().take(80).collect()))?;
        if silence.what.phase(now) == Phase::Expired {
            return Ok(silence);
        }
        silence.what.starts_at = silence.what.starts_at.min(now);
        silence.what.ends_at = now;
        self.put(Ready { silence: silence.clone(), tests: None })?;
        Ok(silence)
    }

    /// Forgets those that ended long ago. Says how many.
    pub fn sweep(&self, now: u64) -> Result<usize, StateError> {
        let _change = self.change();
        let is_old = |ready: &&Arc<Ready>| now.saturating_sub(ready.silence.what.ends_at) > KEPT;
        let old: Vec<String> =
            self.read().values().filter(is_old).map(|ready| ready.silence.id.clone()).collect();
        old.iter().try_for_each(|id| self.forget(id))?;
        Ok(old.len())
    }

    fn check_patterns(&self, wanted: &NewSilence, now: u64) -> Result<(), SilenceError> {
        let patterns =
            |what: &NewSilence| what.matchers.iter().filter(|matcher| matcher.op.is_pattern()).count();
        let kept = self.read();
        let live =
            kept.values().map(|ready| &ready.silence.what).filter(|it| it.phase(now) != Phase::Expired);
        match live.map(patterns).sum::<usize>() + patterns(wanted) > MAX_PATTERNS {
            true => Err(SilenceError::TooManyPatterns),
            false => Ok(()),
        }
    }

    /// The one that ended first goes.
    fn make_room(&self, now: u64) -> Result<(), SilenceError> {
        let oldest = {
            let kept = self.read();
            if kept.len() < MAX_SILENCES {
                return Ok(());
            }
            let ended = kept.values().map(|ready| &ready.silence);
            let ended = ended.filter(|silence| silence.what.phase(now) == Phase::Expired);
            ended.min_by_key(|silence| silence.what.ends_at).map(|silence| silence.id.clone())
        };
        self.forget(&oldest.ok_or(SilenceError::Full)?)?;
        Ok(())
    }

    fn new_id(&self, wanted: &NewSilence, now: u64) -> String {
        let kept = self.read();
        let bytes = record::encode(&Silence { id: String::new(), what: wanted.clone() });
        let id = |number: u64| {
            let digest = Digest::of_parts([&bytes[..], &now.to_le_bytes(), &number.to_le_bytes()]);
            digest.to_string()[..16].to_owned()
        };
        (0..).map(id).find(|id| !kept.contains_key(id)).unwrap_or_default()
    }

    fn put(&self, ready: Ready) -> Result<(), SilenceError> {
        let id = ready.silence.id.clone();
        self.inner.state.meta_put(&format!("{NAME}{id}"), record::encode(&ready.silence))?;
        self.write().insert(id, Arc::new(ready));
        if let Err(error) = self.inner.state.sync() {
            tracing::warn!(%error, "A change of a silence is lost if the machine loses power within some seconds.");
        }
        Ok(())
    }

    fn forget(&self, id: &str) -> Result<(), StateError> {
        self.inner.state.meta_delete(&format!("{NAME}{id}"))?;
        self.write().remove(id);
        Ok(())
    }

    // A panic under a lock leaves a silence in or out, never half of one.
    fn change(&self) -> MutexGuard<'_, ()> {
        self.inner.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.inner.kept.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Kept> {
        self.inner.kept.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Active {
    /// The id of the silence of an alert: of several, that of the one that ends last.
    pub fn first_of(&self, labels: &[Label]) -> Option<&str> {
        let holds = |ready: &&Arc<Ready>| {
            ready.tests.as_ref().is_some_and(|tests| tests.iter().all(|test| test.holds(labels)))
        };
        self.0.iter().find(holds).map(|ready| ready.silence.id.as_str())
    }
}

fn read(bytes: &[u8], now: u64) -> Result<Ready, Unreadable> {
    let silence = record::decode(bytes)?;
    let tests = match silence.what.phase(now) {
        Phase::Expired => None,
        Phase::Pending | Phase::Active => {
            let tests = check::tests(&silence.what);
            Some(tests.map_err(|mistake| Unreadable::Damaged(mistake.to_string()))?)
        }
    };
    Ok(Ready { silence, tests })
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
