//! What travels in a lane: records, or a file to scan or to open with the ticket that tells when it is done.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::Sender;

use super::container::{Container, Spooled};
use super::lane::Delivery;
use crate::model::{Day, Digest, Record};
use crate::state::Write;

/// What a small piece of work counts for in a lane, in bytes: its own structures.
const OVERHEAD: usize = 256;
/// What a file to scan counts for in a lane. Its bytes are not in memory, but an open file is dear
/// too: a lane of 4 MiB then holds at most 64 of them.
const SCAN_BYTES: usize = 64 << 10;

/// Work for a plugin.
#[derive(Debug)]
pub enum Work {
    /// Records for an analyzer.
    Records(Delivery),
    /// A file for a scanner.
    Scan(ScanJob),
    /// A file for an unpacker.
    Unpack(UnpackJob),
}

impl Work {
    /// What it counts for in a lane, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Records(delivery) => {
                let block = &delivery.block;
                block.data.len() + block.records.len() * size_of::<Record>() + OVERHEAD
            }
            Self::Scan(_) | Self::Unpack(_) => SCAN_BYTES,
        }
    }
}

/// A file to scan by one plugin.
#[derive(Debug)]
pub struct ScanJob {
    /// Shared with the other scanners that get it.
    pub target: Arc<ScanTarget>,
    /// To be finished when the verdict is committed.
    pub ticket: ScanTicket,
}

/// A file that one plugin is to open if it is a container.
#[derive(Debug)]
pub struct UnpackJob {
    /// Shared with the scanners that get it.
    pub target: Arc<ScanTarget>,
    /// To be finished when everything in it is judged.
    pub ticket: ScanTicket,
    /// Where its members go.
    pub members: Sender<Member>,
}

/// A member of a container, to be scanned like a file.
#[derive(Debug)]
pub struct Member {
    /// The container's path, `!/`, and the path inside. Never a path on disk.
    pub path: PathBuf,
    /// Where it lies.
    pub spooled: Spooled,
}

/// What tells that a file is unchanged without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatKey {
    /// `st_dev`.
    pub device: u64,
    /// `st_ino`.
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// Unix time in nanoseconds at which the content changed last.
    pub modified: i128,
    /// Unix time in nanoseconds at which the inode changed last; it cannot be set back by a program.
    pub changed: i128,
}

impl StatKey {
    /// Of a file's metadata.
    pub fn of(metadata: &Metadata) -> Self {
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// As a fixed-length key for a store.
    pub fn to_bytes(&self) -> [u8; 56] {
        let mut bytes = [0; 56];
        bytes[..8].copy_from_slice(&self.device.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.inode.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.size.to_be_bytes());
        bytes[24..40].copy_from_slice(&self.modified.to_be_bytes());
        bytes[40..].copy_from_slice(&self.changed.to_be_bytes());
        bytes
    }
}

/// A file, opened for reading, and what is known of it. It is only read by position, so that several
/// scanners can share it.
#[derive(Debug)]
pub struct ScanTarget {
    /// Name of the `directory` source; empty in one-shot scans.
    pub source: String,
    /// Where it was found.
    pub path: PathBuf,
    /// The open file; a regular one.
    pub file: File,
    /// What a verdict on it holds for: path, content, permission bits and owner. A scan with the same
    /// key and the same generation need not be done again.
    pub key: Digest,
    /// What its open file looked like before it was read for its digest: as long as it still does, the
    /// content is the one that `info` tells of.
    pub stat: StatKey,
    /// What was known when it was opened and read for its digest.
    pub info: ScanInfo,
    /// None for a file that was found on disk.
    pub spooled: Option<Arc<Spooled>>,
}

impl ScanTarget {
    /// In how many containers it lies.
    pub fn depth(&self) -> u32 {
        self.spooled.as_ref().map_or(0, |spooled| spooled.depth)
    }
}

/// What is known of a file before it is scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanInfo {
    /// In bytes.
    pub size: u64,
    /// Unix time in nanoseconds; the nearest that can be told, for times before 1970 and after 2554.
    pub modified: u64,
    /// `st_mode` of POSIX: type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Of the whole content.
    pub sha256: Digest,
    /// By the first bytes, never by the name.
    pub media_type: String,
}

/// How a scan ended, for the source that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanDone {
    /// Which plugin.
    pub plugin: String,
    /// Which file.
    pub path: PathBuf,
    /// Whether the verdict is committed; else the file is scanned again later.
    pub committed: bool,
    /// Whether the file was to be opened, not to be scanned.
    pub unpacked: bool,
    /// For what lies in a container, its [`ScanTarget::key`]: a container may hold several members of one
    /// name. Its path is none on disk.
    pub member: Option<Digest>,
    /// What the source has to note if all of it was judged.
    pub record: Option<Opened>,
}

/// That everything in a container is judged, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The unpacker.
    pub plugin: String,
    /// Its generation.
    pub generation: Digest,
    /// The container: see [`ScanTarget::key`].
    pub key: Digest,
    /// The generations that judged its members.
    pub by: Digest,
}

impl Opened {
    /// How it is noted, with the day of its use: beside what the same plugin notes as a scanner.
    pub fn write(&self, used: Day) -> Write {
        Write::Scanned {
            plugin: self.plugin.clone(),
            generation: self.generation,
            content: self.content(),
            value: Some(self.by.0.to_vec()),
            used,
        }
    }

    /// Under which content it is noted.
    pub fn content(&self) -> Digest {
        Digest::of_parts([b"opened", &self.key.0[..]])
    }
}

/// Tells the source how its file's scan ended. Dropping it says that no verdict was committed.
#[derive(Debug)]
pub struct ScanTicket {
    done: Option<(ScanDone, Sender<ScanDone>)>,
    container: Option<Arc<Container>>,
}

impl ScanTicket {
    /// A ticket that reports to `sender`.
    pub fn new(plugin: String, path: PathBuf, sender: Sender<ScanDone>) -> Self {
        let done = ScanDone { plugin, path, committed: false, unpacked: false, member: None, record: None };
        Self { done: Some((done, sender)), container: None }
    }

    /// The same for the opening of a container; `record` is noted when everything in it is judged.
    pub fn unpacking(mut self, record: Option<Opened>) -> Self {
        if let Some((done, _)) = &mut self.done {
            done.unpacked = true;
            done.record = record;
        }
        self
    }

    /// The same for what lies in a container: without a verdict the container has to come again.
    pub fn within(mut self, target: &ScanTarget) -> Self {
        if let (Some(spooled), Some((done, _))) = (&target.spooled, &mut self.done) {
            self.container = Some(spooled.container.clone());
            done.member = Some(target.key);
        }
        self
    }

    /// What would be noted; it is not, then.
    pub fn take_record(&mut self) -> Option<Opened> {
        self.done.as_mut().and_then(|(done, _)| done.record.take())
    }

    /// The verdict is committed.
    pub fn finish(mut self) {
        if let Some((done, _)) = &mut self.done {
            done.committed = true;
        }
    }
}

impl Drop for ScanTicket {
    fn drop(&mut self) {
        if let Some((done, sender)) = self.done.take() {
            if let (Some(container), false) = (&self.container, done.committed) {
                container.fail();
            }
            // The source may be gone; then nobody waits.
            let _ = sender.send(done);
        }
    }
}

/// Containers for the tests of those who get their members.
#[cfg(test)]
pub(crate) mod stand_in {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use crossbeam_channel::Receiver;

    use super::*;
    use crate::pipeline::spool::Spool;

    /// A spool folder, and containers without a plugin that opens them.
    pub(crate) struct Containers {
        folder: tempfile::TempDir,
        spool: Spool,
    }

    impl Containers {
        pub(crate) fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let spool = Spool::open(&folder.path().join("spool"), &prometheus::Registry::new()).unwrap();
            Self { folder, spool }
        }

        /// A container with these members, and where it is told how it ended.
        pub(crate) fn with(
            &self,
            path: &str,
            members: &[(&str, &[u8])],
        ) -> (Receiver<ScanDone>, Vec<Member>) {
            let (sender, receiver) = crossbeam_channel::unbounded();
            let ticket = ScanTicket::new("unpacker".into(), path.into(), sender).unpacking(None);
            (receiver, self.opened(path, ticket, members))
        }

        /// What an unpacker takes out of a container whose ticket it has.
        pub(crate) fn opened(
            &self,
            path: &str,
            ticket: ScanTicket,
            members: &[(&str, &[u8])],
        ) -> Vec<Member> {
            let container = Arc::new(Container::new(1 << 20, ticket));
            let member = |(name, content): &(&str, &[u8])| {
                let mut writing = self.spool.create().unwrap();
                writing.write(content).unwrap();
                let spooled = Spooled { file: writing.finish(), depth: 1, container: container.clone() };
                Member { path: format!("{path}!/{name}").into(), spooled }
            };
            members.iter().map(member).collect()
        }

        /// How many members lie in the spool folder.
        pub(crate) fn spooled(&self) -> usize {
            std::fs::read_dir(self.folder.path().join("spool")).unwrap().count()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_tells_whether_the_verdict_was_committed() {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let ticket = |path: &str| ScanTicket::new("p".into(), path.into(), sender.clone());
        ticket("a").finish();
        drop(ticket("b"));
        let told: Vec<bool> = receiver.try_iter().map(|done| done.committed).collect();
        assert_eq!(told, [true, false]);
    }
}
