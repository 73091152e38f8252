//! The end of a window: its chunks become a segment, and the log begins anew with what is younger.
//!
//! A segment is whole and synced under its name before a chunk in it counts as written, and the log before is deleted
//! only when the new one is whole and synced. A crash in between leaves both, which say the same.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::{
    Disk, GRACE, LOG_HEAD, Log, create, framed, log_head, log_name, remove, segment_name, sync_folder,
};
use crate::chunk;
use crate::log::Encoder;
use crate::memory::Memory;
use crate::segment::write::Writer;
use crate::segment::{Segment, Segments, Unreadable};

/// Bytes of one batch when a log is begun.
const BATCH: usize = 1 << 20;

impl Disk {
    /// Writes closed chunks as segments, one for each window. `all` closes also those whose window is not over.
    pub(super) fn roll(&mut self, memory: &Memory, now: i64, all: bool) -> io::Result<()> {
        let window = memory.config.window_ms();
        let ended = now - GRACE.min(window / 4);
        let windows: BTreeSet<i64> = {
            let mut inner = memory.write();
            for place in 0..inner.series.len() {
                let series = &mut inner.series[place];
                let grown = if all { series.close() } else { series.close_before(ended, window) };
                inner.grow(grown);
            }
            (inner.writing, inner.cut) = (true, false);
            let unwritten = inner.series.iter().flat_map(|series| series.unwritten());
            unwritten.map(|chunk| chunk.first.div_euclid(window)).collect()
        };
        let written = windows.iter().try_for_each(|number| self.write_segment(memory, number * window));
        memory.write().writing = false;
        written?;
        if all {
            memory.write().drop_written(i64::MAX);
        }
        self.renew_log(memory)
    }

    /// Writes the closed chunks of the window that begins at a time.
    fn write_segment(&mut self, memory: &Memory, from: i64) -> io::Result<()> {
        let window = memory.config.window_ms();
        let number = self.next_number();
        let path = self.folder.join(segment_name(number));
        let temporary = path.with_extension("tmp");
        let write = || -> io::Result<_> {
            let writer = std::cell::RefCell::new(Writer::new(create(&temporary)?));
            memory.each_slice(
                |inner, places| {
                    let mut writer = writer.borrow_mut();
                    for series in &inner.series[places] {
                        let chunks = series.unwritten();
                        let of_window =
                            chunks.filter(|chunk| chunk.first.div_euclid(window) * window == from);
                        writer.add(series, &inner.index, of_window);
                    }
                },
                || {
                    let mut writer = writer.borrow_mut();
                    self.room.take(writer.waiting())?;
                    writer.write()
                },
            )?;
            let next_id = memory.read().next_id;
            let entries = writer.into_inner().finish(next_id)?;
            fs::rename(&temporary, &path)?;
            sync_folder(&self.folder)?;
            Ok(entries)
        };
        let entries = write().inspect_err(|_| {
            // What is left of it is deleted at the next start at the latest.
            let _ = remove(&temporary);
            let _ = remove(&path);
        })?;
        let (segment, _) = Segment::open(&path, number).map_err(|unreadable| {
            // In no list, so nobody would count or delete it before the next start.
            let _ = remove(&path);
            match unreadable {
                Unreadable::Io(error) => error,
                _ => io::Error::new(io::ErrorKind::InvalidData, "a segment is not on disk as it was written"),
            }
        })?;
        let mut inner = memory.write();
        let list: Vec<_> = inner.segments.iter().cloned().chain([Arc::new(segment)]).collect();
        inner.segments = Arc::new(Segments::new(list));
        if inner.cut {
            // It is written again with what is younger, which then holds.
            return Ok(());
        }
        for entry in entries {
            if let Some(place) = inner.place(entry.id) {
                inner.series[place].wrote(entry.first, entry.last);
            }
        }
        Ok(())
    }

    /// Begins a log with what is in memory and in no segment, and deletes those before it.
    pub(super) fn renew_log(&mut self, memory: &Memory) -> io::Result<()> {
        let log = {
            let mut inner = memory.write();
            let log = inner.pending.begin();
            for series in &mut inner.series {
                series.declared = if series.has_unlogged() { log } else { 0 };
            }
            log
        };
        let number = self.next_number();
        let path = self.folder.join(log_name(number));
        let temporary = path.with_extension("tmp");
        let new = self.write_log(memory, log, &temporary).and_then(|(file, bytes)| {
            fs::rename(&temporary, &path)?;
            sync_folder(&self.folder)?;
            Ok(Log { path: path.clone(), file, bytes, begun: bytes, dirty: false })
        });
        let new = new.inspect_err(|_| {
            let _ = remove(&temporary);
            let _ = remove(&path);
        })?;
        let old = self.log.replace(new).map(|log| log.path);
        self.gap = false;
        self.old_logs.drain(..).chain(old).try_for_each(|path| remove(&path))
    }

    fn write_log(&self, memory: &Memory, log: u32, path: &Path) -> io::Result<(fs::File, u64)> {
        let mut file = create(path)?;
        // Not under the lock while the disk is written to.
        let next_id = memory.read().next_id;
        file.write_all(&log_head(next_id))?;
        let mut bytes = LOG_HEAD as u64;
        let encoder = std::cell::RefCell::new(Encoder::default());
        let mut write = |least: usize| {
            let mut encoder = encoder.borrow_mut();
            if encoder.len() <= least {
                return Ok(());
            }
            let batch = framed(&encoder.take());
            bytes += batch.len() as u64;
            self.room.take(batch.len())?;
            file.write_all(&batch)
        };
        memory.each_slice(
            |inner, places| {
                let mut encoder = encoder.borrow_mut();
                for series in inner.series[places].iter().filter(|series| series.declared == log) {
                    encoder.series(series, &inner.index);
                    for data in series.unlogged() {
                        // What was made in memory can be read.
                        let _ = chunk::decode(&data, |time, value| {
                            encoder.sample(series.id, time, value);
                            ControlFlow::Continue(())
                        });
                    }
                }
            },
            || write(BATCH),
        )?;
        write(0)?;
        file.sync_all()?;
        Ok((file, bytes))
    }
}
