//! Gives a plugin its input, one function for each kind, as the agent would: records in batches, a file by
//! its content, metrics through a store of series. Gathers what comes back.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use picket_sandbox::{BatchRef, Instance, ObjectInfo, ObjectReader, ReadError, Setup};

use super::bench::Memory;
use super::exposition;
use super::returned::{MemberShown, Returned};
use crate::model::{Block, Digest, Record, Span, Stream, now_nanos};
use crate::pipeline::batch::{Gather, selected};
use crate::pipeline::interest::Interest;
use crate::pipeline::work::ScanTarget;
use crate::sources::directory::{self, examine};

/// A batch has at most so many bytes of records, as in the agent.
const BATCH_BYTES: usize = 1 << 20;

/// And a line fits in half of one.
const LINE_BYTES: u64 = BATCH_BYTES as u64 / 2;

/// Members of one container. More than people look at, and a bound for an unpacker that never ends.
const MEMBERS: usize = 10_000;

/// Bytes of all members of one container: they are held in memory.
const MEMBER_BYTES: usize = 256 << 20;

/// Bytes asked for in one read of a member.
const READ_BYTES: u32 = 256 << 10;

/// A configured instance and what it returned so far.
pub(super) struct Feed {
    pub(super) instance: Instance,
    pub(super) setup: Setup,
    pub(super) state: Arc<Memory>,
    pub(super) series: Arc<picket_series::Store>,
    pub(super) returned: Returned,
}

/// Metrics and the time at which they are evaluated.
pub(super) struct Metrics {
    pub(super) lines: Vec<exposition::Line>,
    /// Unix time in nanoseconds.
    pub(super) now: u64,
}

impl Metrics {
    /// As an exporter shows them; those without a time are of now.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        Ok(Self { lines: exposition::parse(&fs::read_to_string(file)?)?, now: now_nanos() })
    }

    /// At even times, the last of each series now.
    pub(super) fn at_even_times(series: &BTreeMap<String, Vec<f64>>, interval: Span) -> anyhow::Result<Self> {
        let now = now_nanos();
        let step = u64::try_from(interval.0.as_nanos()).unwrap_or(u64::MAX);
        let mut lines = Vec::new();
        for (text, values) in series {
            let (name, labels) = exposition::series(text)?;
            for (back, value) in (0..).zip(values.iter().rev()) {
                let time = now.saturating_sub(step.saturating_mul(back));
                let (name, labels) = (name.clone(), labels.clone());
                lines.push(exposition::Line { name, labels, value: *value, time: Some(time) });
            }
        }
        // The store takes the samples of a series in the order of their times.
        lines.reverse();
        Ok(Self { lines, now })
    }
}

impl Feed {
    /// Gives records to an analyzer; `name` is what it is told as their file.
    pub(super) fn analyze(&mut self, name: &str, mut records: impl Records) -> anyhow::Result<()> {
        let wanted = &self.setup.interest;
        let interest = Interest::new(wanted.literals.clone(), wanted.ignore_ascii_case)?;
        let id = Digest::of(name.as_bytes());
        let stream = Stream { source: "test".into(), id, name: name.to_owned(), labels: Vec::new() };
        let stream = Arc::new(stream);
        let mut gather = Gather::default();
        let mut passed_over = 0;
        while let Some(block) = records.next_block(&stream)? {
            let selection = interest.select(&block);
            let wanted = selected(&block, &selection);
            passed_over += (block.records.len() - wanted.len()) as u64;
            if wanted.is_empty() {
                continue;
            }
            gather.fill(&block, &selection, &wanted);
            self.batch(&block, &wanted, &gather, std::mem::take(&mut passed_over))?;
        }
        self.returned.passed_over += passed_over;
        Ok(())
    }

    fn batch(
        &mut self,
        block: &Block,
        wanted: &[u32],
        gather: &Gather,
        passed_over: u64,
    ) -> anyhow::Result<()> {
        let batch = BatchRef {
            source: &block.stream.source,
            stream: &block.stream.name,
            labels: &[],
            data: &gather.data,
            ends: &gather.ends,
            times: &gather.times,
            hits: &gather.hits,
            passed_over,
            columns: &[],
        };
        self.returned.given += wanted.len() as u64;
        self.returned.passed_over += passed_over;
        let output = self.instance.analyze(&batch)?;
        self.state.commit(&output.writes);
        self.returned.state_writes += output.writes.len() as u64;
        self.returned.cpu_seconds += output.cpu.as_secs_f64();
        self.returned.report(output.value, |record| {
            let index = wanted.get(record as usize).copied().unwrap_or_default();
            String::from_utf8_lossy(block.bytes(index as usize)).into_owned()
        });
        Ok(())
    }

    /// Gives a file to a scanner.
    pub(super) fn scan(&mut self, object: Arc<FileObject>) -> anyhow::Result<()> {
        let path = object.info.path.clone();
        self.returned.given += 1;
        let output = self.instance.scan(object)?;
        self.state.commit(&output.writes);
        self.returned.state_writes += output.writes.len() as u64;
        self.returned.cpu_seconds += output.cpu.as_secs_f64();
        self.returned.scanned(path, output.value);
        Ok(())
    }

    /// Gives a file to an unpacker and pulls all its members out.
    pub(super) fn unpack(&mut self, object: Arc<FileObject>) -> anyhow::Result<()> {
        self.returned.given += 1;
        let Some(mut container) = self.instance.unpack(object)? else {
            self.returned.container = Some(false);
            return Ok(());
        };
        self.returned.container = Some(true);
        let mut left = MEMBER_BYTES;
        while let Some(member) = container.next_member()? {
            ensure!(self.returned.members.len() < MEMBERS, "the container has more than {MEMBERS} members");
            let mut content = Vec::new();
            loop {
                let chunk = container.read(READ_BYTES)?;
                if chunk.is_empty() {
                    break;
                }
                left = left.checked_sub(chunk.len()).with_context(|| {
                    format!(
                        "the members hold more than {MEMBER_BYTES} bytes; `{}` is one of them",
                        member.path
                    )
                })?;
                content.extend_from_slice(&chunk);
            }
            self.returned.members.push(MemberShown::new(member.path, content));
        }
        Ok(())
    }

    /// Gives metrics to an alert rule and evaluates all its groups once.
    pub(super) fn evaluate(&mut self, metrics: &Metrics) -> anyhow::Result<()> {
        for line in &metrics.lines {
            let labels = line.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let time = line.time.unwrap_or(metrics.now);
            self.series
                .append(&line.name, labels, time, line.value)
                .with_context(|| format!("`{}` is not taken", line.name))?;
            self.returned.given += 1;
        }
        for group in &self.setup.groups {
            let output = self.instance.evaluate(&group.name, metrics.now)?;
            self.state.commit(&output.writes);
            self.returned.state_writes += output.writes.len() as u64;
            self.returned.cpu_seconds += output.cpu.as_secs_f64();
            self.returned.rules(&group.name, output.value);
        }
        Ok(())
    }
}

/// Where records come from.
pub(super) trait Records {
    /// The next ones, up to the size of a batch; none at the end.
    fn next_block(&mut self, stream: &Arc<Stream>) -> anyhow::Result<Option<Block>>;
}

/// The lines of an input.
pub(super) struct Lines<R> {
    input: R,
    /// How far it was read.
    offset: u64,
}

/// Records that may hold line ends, such as joined stack traces.
pub(super) struct Texts<'a>(
    /// What is left of them.
    pub(super) &'a [String],
);

impl Records for Texts<'_> {
    fn next_block(&mut self, stream: &Arc<Stream>) -> anyhow::Result<Option<Block>> {
        let mut block =
            Block { stream: stream.clone(), data: Vec::new(), records: Vec::new(), checkpoint: Vec::new() };
        let time = now_nanos();
        while let Some((text, rest)) = self.0.split_first() {
            ensure!(text.len() < LINE_BYTES as usize, "a record is longer than {LINE_BYTES} bytes");
            if block.data.len() + text.len() > BATCH_BYTES {
                break;
            }
            let start = block.data.len() as u32;
            block.data.extend_from_slice(text.as_bytes());
            let end = block.data.len() as u32;
            block.records.push(Record { start, end, offset: u64::from(start), time });
            self.0 = rest;
        }
        Ok(Some(block).filter(|block| !block.records.is_empty()))
    }
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, offset: 0 }
    }
}

impl<R: BufRead> Records for Lines<R> {
    fn next_block(&mut self, stream: &Arc<Stream>) -> anyhow::Result<Option<Block>> {
        let mut data = Vec::new();
        let mut records = Vec::new();
        let time = now_nanos();
        while data.len() < BATCH_BYTES / 2 {
            let start = data.len();
            let read = self.input.by_ref().take(LINE_BYTES).read_until(b'\n', &mut data)? as u64;
            if read == 0 {
                break;
            }
            ensure!(read < LINE_BYTES, "the line at byte {} is longer than {LINE_BYTES} bytes", self.offset);
            let line = data[start..].strip_suffix(b"\n").unwrap_or(&data[start..]);
            let end = start + line.strip_suffix(b"\r").unwrap_or(line).len();
            data.truncate(end);
            records.push(Record { start: start as u32, end: end as u32, offset: self.offset, time });
            self.offset += read;
        }
        let block = Block { stream: stream.clone(), data, records, checkpoint: Vec::new() };
        Ok(Some(block).filter(|block| !block.records.is_empty()))
    }
}

/// An open file with what the host tells of it.
pub(super) struct FileObject {
    target: ScanTarget,
    info: ObjectInfo,
}

impl FileObject {
    /// Opens a file and looks at it as a source would.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let path = std::path::absolute(path)?;
        let base = path.parent().unwrap_or(Path::new("/"));
        let bound = directory::Config::new(Vec::new()).max_file_bytes.0;
        let target = examine::open(base, &path, bound)?.examine("test", None, &mut || true)?;
        let known = &target.info;
        let info = ObjectInfo {
            path: path.to_string_lossy().into_owned(),
            size: known.size,
            modified: known.modified,
            mode: known.mode,
            uid: known.uid,
            gid: known.gid,
            sha256: known.sha256.to_string(),
            media_type: known.media_type.clone(),
            depth: 0,
        };
        Ok(Self { target, info })
    }

    /// A file with this content that has no name any more; the plugin is told another path and mode.
    pub(super) fn of_content(content: &[u8], path: &str, mode: u32) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder can be made")?;
        let file: PathBuf = folder.path().join("content");
        fs::write(&file, content)?;
        let mut object = Self::open(&file)?;
        path.clone_into(&mut object.info.path);
        object.info.mode = object.info.mode & !0o7777 | mode & 0o7777;
        Ok(object)
    }
}

impl ObjectReader for FileObject {
    fn info(&self) -> ObjectInfo {
        self.info.clone()
    }

    fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; len as usize];
        let read = self.target.file.read_at(&mut bytes, offset);
        bytes.truncate(read.map_err(|error| ReadError::Io(error.to_string()))?);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_content_is_a_file_with_the_path_and_the_mode_that_were_given() {
        let object = FileObject::of_content(b"#!/bin/sh\n", "/srv/x", 0o4755).unwrap();
        let info = object.info();
        assert_eq!((info.path.as_str(), info.mode, info.size), ("/srv/x", 0o104_755, 10));
        assert_eq!(info.media_type, "text/x-shellscript");
        assert_eq!(object.read(2, 4).unwrap(), b"/bin");
        assert_eq!(object.read(10, 4).unwrap(), b"");
    }

    #[test]
    fn values_end_now_and_rise_in_time() {
        let series = [("up{a=\"b\"}".to_owned(), vec![1.0, 2.0])].into();
        let metrics = Metrics::at_even_times(&series, Span::seconds(60)).unwrap();
        let found: Vec<_> = metrics.lines.iter().map(|line| (line.time.unwrap(), line.value)).collect();
        assert_eq!(found, [(metrics.now - 60_000_000_000, 1.0), (metrics.now, 2.0)]);
    }

    #[test]
    fn lines_end_as_on_unix_or_on_windows_and_the_last_may_have_no_end() {
        let stream = Stream { source: "s".into(), id: Digest::of(b""), name: "n".into(), labels: vec![] };
        let mut lines = Lines::new(&b"a\nb\r\n\nc"[..]);
        let block = lines.next_block(&Arc::new(stream)).unwrap().unwrap();
        let texts: Vec<&[u8]> = (0..block.records.len()).map(|index| block.bytes(index)).collect();
        assert_eq!(texts, [&b"a"[..], b"b", b"", b"c"]);
    }
}
