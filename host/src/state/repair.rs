//! What becomes of a damaged database: it is set aside, and a new one is filled from two files beside it.
//!
//! - `backup`: everything but what is remembered of files, as of a place of the journal, which is kept from there
//!   on. The commit thread writes it now and then.
//! - `facts`: the facts outside of commits, which no journal has, as of the last sync. It also says up to where
//!   commits were durable then: a database that has not got so far has lost some.
//!
//! What the journal has behind the backup is applied by the commit thread, as after any crash.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::database::{DATABASE, Database, wait_until_closed};
use super::sum::Sum;
use super::{StateError, dump, keys};

/// The file with the backup, in the state's folder.
pub(super) const BACKUP: &str = "backup";
/// The file with the facts.
pub(super) const FACTS: &str = "facts";
/// A folder that was set aside is called so, with the time behind it. One is kept, for people: a database may
/// be large, and repairs may come one after the other.
const ASIDE: &str = "db.damaged-";
/// Entries of so many bytes are put into the database at once.
const BATCH_BYTES: usize = 1 << 20;

/// Repairs of the state since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repairs {
    /// How often a damaged database was replaced.
    pub repairs: u64,
    /// How often there was no whole backup to fill it from: what came before the journal's beginning is lost.
    pub without_backup: u64,
    /// How often there were no whole facts: those of the backup are older, so that forwarders repeat results.
    pub without_facts: u64,
}

impl std::ops::AddAssign for Repairs {
    fn add_assign(&mut self, more: Self) {
        self.repairs += more.repairs;
        self.without_backup += more.without_backup;
        self.without_facts += more.without_facts;
    }
}

/// Gives a damaged database another name; one that was set aside before is removed.
pub(super) fn set_aside(dir: &Path) -> Result<(), StateError> {
    let folder = dir.join(DATABASE);
    if !folder.exists() {
        return Ok(());
    }
    if !wait_until_closed(&folder) {
        tracing::warn!(path = %folder.display(), "The damaged database is still held by this process.");
    }
    for old in earlier(dir).map_err(StateError::io("list", dir))? {
        fs::remove_dir_all(&old).map_err(StateError::io("remove", &old))?;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let aside = dir.join(format!("{ASIDE}{now}"));
    fs::rename(&folder, &aside).map_err(StateError::io("set aside", &folder))?;
    tracing::warn!(path = %aside.display(), "The damaged database was set aside; it can be removed.");
    Ok(())
}

fn earlier(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(ASIDE) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Makes a database and fills it. Until that is done it counts as damaged, so that a repair which is broken off
/// is begun again.
pub(super) fn refill(dir: &Path, cache_bytes: u64) -> Result<(Database, Repairs), StateError> {
    let (backup, facts) = (dir.join(BACKUP), dir.join(FACTS));
    let (has_backup, has_facts) = (dump::is_whole(&backup), dump::is_whole(&facts));
    let database = Database::open_unchecked(dir, cache_bytes)?;
    let filled = fill(&database, dir, has_backup.then_some(&*backup), has_facts.then_some(&*facts));
    if let Err(error) = filled {
        database.close();
        return Err(error);
    }
    if !has_backup {
        tracing::error!(
            "The state has no whole backup: checkpoints, alerts and what plugins keep are lost but for what the \
             journal still has. Sources begin again as they do without a checkpoint."
        );
    }
    if !has_facts {
        tracing::error!("The state has no whole facts: forwarders may repeat what they have sent.");
    }
    let repairs =
        Repairs { repairs: 1, without_backup: u64::from(!has_backup), without_facts: u64::from(!has_facts) };
    Ok((database, repairs))
}

fn fill(
    database: &Database,
    dir: &Path,
    backup: Option<&Path>,
    facts: Option<&Path>,
) -> Result<(), StateError> {
    // A try that found the disk full may have left something.
    database.caught(dir, |database| database.db.clear())?;
    let (mut batch, mut bytes, mut sum) = (sled::Batch::default(), 0, Sum::default());
    let mut put = |key: Vec<u8>, value: Vec<u8>| {
        sum.add(&key, &value);
        bytes += key.len() + value.len();
        batch.insert(key, value);
        if bytes < BATCH_BYTES {
            return Ok(());
        }
        bytes = 0;
        let full = std::mem::take(&mut batch);
        database.caught(dir, |database| database.db.apply_batch(full))
    };
    if let Some(backup) = backup {
        let newer_facts = facts.is_some();
        dump::read(backup, |key, value| match newer_facts && keys::is_fact(&key) {
            true => Ok(()),
            false => put(key, value),
        })?;
    }
    if let Some(facts) = facts {
        dump::read(facts, &mut put)?;
    }
    database.caught(dir, |database| database.begin_with(sum, batch))?;
    database.file.sync_data().map_err(StateError::io("sync the database in", dir))
}
