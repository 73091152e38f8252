//! Opening a folder: the tables of all segments are read, then the logs are replayed. What is damaged is set aside or
//! passed over and counted; nothing but a newer version's file keeps the store from starting.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, LOG_HEAD, LOG_MAGIC, LOG_VERSION, Room, remove, roll_at};
use crate::chunk::Damaged;
use crate::config::Config;
use crate::error::OpenError;
use crate::inner::Inner;
use crate::labels::is_canonical;
use crate::log::{Entries, Entry};
use crate::segment::{Segment, Segments, Unreadable, check_head};

/// Bytes of one batch at most: twice what the writer lets wait.
const MAX_BATCH: u32 = 64 << 20;
/// No time is as far from zero, in milliseconds: ten thousand years.
const MAX_TIME: i64 = 1 << 49;

/// What was found in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Series with samples that are young enough.
    pub series: usize,
    /// Segments that can be read.
    pub segments: usize,
    /// Samples that were in logs only.
    pub log_samples: u64,
    /// Segments that were set aside, and logs that are read up to a damage. The end of a log that a crash has cut counts
    /// too.
    pub damaged: u64,
    /// Series that were left out, because there are more than may be.
    pub refused_series: u64,
}

/// The folder's content as it is taken in.
struct Recovery<'a> {
    config: &'a Config,
    inner: Inner,
    /// Places by the ids in the files.
    places: HashMap<u64, usize>,
    /// Labels of series in a log that have not begun yet.
    declared: HashMap<u64, Vec<(String, String)>>,
    horizon: i64,
    found: Recovered,
}

/// Opens a folder. `now` is the clock in milliseconds.
pub(crate) fn open(folder: &Path, config: &Config, now: i64) -> Result<(Disk, Inner, Recovered), OpenError> {
    let unusable = |source| OpenError::Folder { folder: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(unusable)?;
    let (mut segments, mut logs) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(unusable)? {
        let path = entry.map_err(unusable)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let number = |prefix: &str| u64::from_str_radix(name.strip_prefix(prefix)?, 16).ok();
        if name.ends_with(".tmp") {
            // Kept by a failure, it is deleted at the next start.
            let _ = remove(&path);
        } else if let Some(number) = number("segment-") {
            segments.push((number, path));
        } else if let Some(number) = number("log-") {
            logs.push((number, path));
        }
    }
    segments.sort_unstable();
    logs.sort_unstable();
    let numbers = segments.iter().chain(&logs).map(|(number, _)| number.saturating_add(1));
    let next_number = numbers.max().unwrap_or(1);
    let horizon = now.saturating_sub(config.max_age_ms());
    let (inner, places, declared, found) = Default::default();
    let mut recovery = Recovery { config, inner, places, declared, horizon, found };
    let in_segments = recovery.segments(segments)?;
    for (number, path) in &logs {
        recovery.log(path, *number < in_segments)?;
    }
    let Recovery { mut inner, mut found, .. } = recovery;
    inner.put_in_order();
    inner.sweep(config, now);
    inner.pending.begin();
    found.series = inner.series.len();
    let disk = Disk {
        folder: folder.to_owned(),
        room: Room::new(folder.to_owned(), config.disk_reserve.clone()),
        log: None,
        old_logs: logs.into_iter().map(|(_, path)| path).collect(),
        next_number,
        roll_at: roll_at(now, config.window_ms()),
        synced: now,
        gap: false,
        failure: None,
    };
    Ok((disk, inner, found))
}

impl Recovery<'_> {
    /// Takes in segments. Returns the number of the last: what logs before it have of its time is in it.
    fn segments(&mut self, files: Vec<(u64, PathBuf)>) -> Result<u64, OpenError> {
        let mut list = Vec::new();
        let last = files.last().map_or(0, |(number, _)| *number);
        // The newest first: it says how a series goes on, and the others' labels need not be read again.
        for (number, path) in files.into_iter().rev() {
            match Segment::open(&path, number) {
                Ok((segment, table)) => {
                    self.inner.next_id = self.inner.next_id.max(segment.foot.next_id);
                    if !self.table(&table) {
                        self.found.damaged += 1;
                    }
                    list.push(Arc::new(segment));
                }
                Err(Unreadable::Newer(version)) => return Err(OpenError::Newer { path, version }),
                Err(Unreadable::Damaged) => {
                    self.found.damaged += 1;
                    // Kept for whoever wants to look at it; the one before it goes.
                    let aside = path.with_file_name("segment.damaged");
                    let _ = fs::rename(&path, aside);
                }
                Err(Unreadable::Io(_)) => self.found.damaged += 1,
            }
        }
        list.reverse();
        self.found.segments = list.len();
        self.inner.segments = Arc::new(Segments::new(list));
        Ok(last)
    }

    fn table(&mut self, table: &crate::segment::labels::Table) -> bool {
        let known: Vec<bool> =
            (0..table.count()).map(|at| table.entry(at).is_none_or(|entry| !self.is_new(&entry))).collect();
        let mut at = 0;
        let wanted = |_: &crate::segment::Entry| {
            at += 1;
            !known[at - 1]
        };
        table.each(wanted, |entry, labels| {
            if let Some(place) = self.begin(entry.id, labels) {
                let series = &mut self.inner.series[place];
                (series.begun, series.last, series.value) = (entry.first, entry.last, entry.value);
            }
        })
    }

    /// Whether an entry is of a series that is not known yet. If it is known, its beginning is noted.
    fn is_new(&mut self, entry: &crate::segment::Entry) -> bool {
        if let Some(place) = self.places.get(&entry.id) {
            let series = &mut self.inner.series[*place];
            series.begun = series.begun.min(entry.first);
            return false;
        }
        entry.last > self.horizon
    }

    fn begin(&mut self, id: u64, labels: &[(&str, &str)]) -> Option<usize> {
        if !is_canonical(labels) || id == u64::MAX || self.inner.find(labels).is_some() {
            return None;
        }
        if self.inner.series.len() >= self.config.max_series {
            self.found.refused_series += 1;
            return None;
        }
        self.inner.next_id = self.inner.next_id.max(id + 1);
        let place = self.inner.insert(id, labels);
        self.places.insert(id, place);
        Some(place)
    }

    /// Begins a series at its first sample that is young enough: of the others there may be more than the bound.
    fn begin_declared(&mut self, id: u64) -> Option<usize> {
        let labels = self.declared.remove(&id)?;
        let labels: Vec<_> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let place = self.begin(id, &labels).or_else(|| self.inner.find(&labels))?;
        self.places.insert(id, place);
        Some(place)
    }

    /// Replays a log. Of one that is `covered`, what segments have is passed over.
    fn log(&mut self, path: &Path, covered: bool) -> Result<(), OpenError> {
        let read = self.read_log(path, covered);
        self.declared.clear();
        match read {
            Ok(()) => {}
            Err(Unreadable::Newer(version)) => {
                return Err(OpenError::Newer { path: path.to_owned(), version });
            }
            Err(_) => self.found.damaged += 1,
        }
        Ok(())
    }

    fn read_log(&mut self, path: &Path, covered: bool) -> Result<(), Unreadable> {
        let file = File::open(path)?;
        let mut left = file.metadata()?.len();
        let mut file = BufReader::new(file);
        let mut head = [0; LOG_HEAD];
        file.read_exact(&mut head)?;
        let (first, next_id) = head.split_first_chunk().ok_or(Unreadable::Damaged)?;
        check_head(*first, LOG_MAGIC, LOG_VERSION)?;
        left -= LOG_HEAD as u64;
        // Not under the checksum: a wrong one would only skip ids, and one that is far too large is not believed.
        let next_id = u64::from_le_bytes(next_id.try_into().map_err(|_| Unreadable::Damaged)?);
        if next_id < 1 << 48 {
            self.inner.next_id = self.inner.next_id.max(next_id);
        }
        let mut batch = Vec::new();
        while left > 0 {
            read_batch(&mut file, &mut left, &mut batch)?;
            self.replay(&batch, covered).map_err(|Damaged| Unreadable::Damaged)?;
        }
        Ok(())
    }

    fn replay(&mut self, batch: &[u8], covered: bool) -> Result<(), Damaged> {
        let mut entries = Entries::new(batch);
        while let Some(entry) = entries.next()? {
            match entry {
                Entry::Series { id, labels } => {
                    if !self.places.contains_key(&id) {
                        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                        self.declared.insert(id, labels.into_iter().map(own).collect());
                    }
                }
                Entry::Sample { id, time, value } => self.sample(id, time, value, covered),
            }
        }
        Ok(())
    }

    fn sample(&mut self, id: u64, time: i64, value: f64, covered: bool) {
        if !(-MAX_TIME..MAX_TIME).contains(&time) {
            return;
        }
        // One that is too old begins nothing and is not kept, but what was ahead of the clock has left for it.
        let kept = time > self.horizon;
        let known = self.places.get(&id).copied();
        let Some(place) = known.or_else(|| kept.then(|| self.begin_declared(id))?) else { return };
        let series = &mut self.inner.series[place];
        if time <= series.last {
            let in_memory = series.memory_from() != i64::MAX;
            if (covered && !in_memory) || (series.last, series.value) == (time, value.to_bits()) {
                return;
            }
            let gone = series.cut(time);
            self.inner.forget(gone);
        }
        if kept {
            self.inner.push(self.config, place, time, value.to_bits());
            self.found.log_samples += 1;
        }
    }
}

fn read_batch(file: &mut impl io::Read, left: &mut u64, batch: &mut Vec<u8>) -> Result<(), Unreadable> {
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    *left = left.checked_sub(8).ok_or(Unreadable::Damaged)?;
    let [length, crc] = [&head[..4], &head[4..]]
        .map(|part| part.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
    *left = left.checked_sub(u64::from(length)).filter(|_| length <= MAX_BATCH).ok_or(Unreadable::Damaged)?;
    batch.resize(length as usize, 0);
    file.read_exact(batch)?;
    if crc32fast::hash(batch) == crc { Ok(()) } else { Err(Unreadable::Damaged) }
}
