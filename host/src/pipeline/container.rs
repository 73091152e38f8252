//! A container on disk and everything in it, at any depth: what it may bring, and when all of it is judged.
//!
//! Whoever makes a container may be hostile, and a member may be a container again. So one account is kept
//! for the file on disk, and all that comes out of it counts there.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::spool::SpoolFile;
use super::work::{Opened, ScanTicket};

/// Bytes of one member: as large as a file that is scanned by default.
pub const MAX_MEMBER_BYTES: u64 = 100 << 20;
/// Bytes of all members, nested ones included. A node has this much room on its disk for a while.
pub const MAX_BYTES: u64 = 1 << 30;
/// Members, nested ones included. Large packages have some thousands.
pub const MAX_MEMBERS: u64 = 10_000;
/// Bytes of all members' paths: they wait in memory.
pub const MAX_PATH_BYTES: u64 = 4 << 20;
/// How deep containers lie in containers. Beyond it nobody hides anything but from scanners.
pub const MAX_DEPTH: u32 = 8;
/// How many times as large as the file on disk its members may be together, once they are larger than
/// `RATIO_FREE`: text packs to a twentieth, and what packs much better was made to.
pub const MAX_RATIO: u64 = 250;
/// Up to so many bytes any ratio is fine.
const RATIO_FREE: u64 = 16 << 20;
/// How long opening a container and all that lie in it may take: neither a plugin that gives a byte at a time
/// nor a file with ten thousand slow ones in it keeps a thread for hours.
pub const MAX_TIME: Duration = Duration::from_secs(60);

/// A bound that a container met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    MemberBytes,
    Bytes,
    Members,
    PathBytes,
    Depth,
    Ratio,
    Time,
}

impl Bound {
    /// A word for the metrics' label `bound`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::MemberBytes => "member-bytes",
            Self::Bytes => "bytes",
            Self::Members => "members",
            Self::PathBytes => "path-bytes",
            Self::Depth => "depth",
            Self::Ratio => "ratio",
            Self::Time => "time",
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemberBytes => write!(f, "a member has more than {MAX_MEMBER_BYTES} bytes"),
            Self::Bytes => write!(f, "its members have more than {MAX_BYTES} bytes"),
            Self::Members => write!(f, "it has more than {MAX_MEMBERS} members"),
            Self::PathBytes => write!(f, "its members' paths have more than {MAX_PATH_BYTES} bytes"),
            Self::Depth => write!(f, "it lies in {MAX_DEPTH} containers already"),
            Self::Ratio => write!(f, "its members are more than {MAX_RATIO} times as large as the file"),
            Self::Time => write!(f, "opening it and what lies in it takes longer than {MAX_TIME:?}"),
        }
    }
}

/// The account of one container on disk. Everything that came out of it holds a handle; when the last one
/// is dropped, all of it is judged, or will be tried again.
#[derive(Debug)]
pub struct Container {
    /// Of the file on disk.
    size: u64,
    members: AtomicU64,
    paths: AtomicU64,
    bytes: AtomicU64,
    /// Nanoseconds that opening it has taken.
    time: AtomicU64,
    failed: AtomicBool,
    ticket: Mutex<Option<ScanTicket>>,
}

/// What one attempt to open a container took of the account.
#[derive(Debug, Default)]
pub(super) struct Taken {
    members: u64,
    paths: u64,
    bytes: u64,
    time: u64,
}

/// Where a member comes from, and where it lies.
#[derive(Debug)]
pub struct Spooled {
    /// On disk as long as this lives.
    pub file: SpoolFile,
    /// In how many containers it lies.
    pub depth: u32,
    /// The outermost one.
    pub container: Arc<Container>,
}

impl Container {
    /// An account for a file on disk. The ticket is finished when everything in it is judged.
    pub(super) fn new(size: u64, ticket: ScanTicket) -> Self {
        Self {
            size,
            members: AtomicU64::new(0),
            paths: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            time: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            ticket: Mutex::new(Some(ticket)),
        }
    }

    /// Something in it was not judged: the file on disk has to come again.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// It turned out to be no container: what would be noted when all of it is judged.
    pub(super) fn take_record(&self) -> Option<Opened> {
        let mut ticket = self.ticket.lock().unwrap_or_else(PoisonError::into_inner);
        ticket.as_mut().and_then(ScanTicket::take_record)
    }

    /// Another member, with a path of so many bytes.
    pub(super) fn member(&self, path_bytes: usize, taken: &mut Taken) -> Result<(), Bound> {
        count(&self.members, 1, MAX_MEMBERS, Bound::Members)?;
        taken.members += 1;
        count(&self.paths, path_bytes as u64, MAX_PATH_BYTES, Bound::PathBytes)?;
        taken.paths += path_bytes as u64;
        Ok(())
    }

    /// More bytes of a member.
    pub(super) fn content(&self, bytes: usize, taken: &mut Taken) -> Result<(), Bound> {
        let ratio = self.size.saturating_mul(MAX_RATIO).max(RATIO_FREE);
        let (limit, bound) =
            if ratio < MAX_BYTES { (ratio, Bound::Ratio) } else { (MAX_BYTES, Bound::Bytes) };
        count(&self.bytes, bytes as u64, limit, bound)?;
        taken.bytes += bytes as u64;
        Ok(())
    }

    /// Whether there is time for an attempt to go on that has taken so long.
    pub(super) fn time(&self, attempt: Duration) -> Result<(), Bound> {
        let before = Duration::from_nanos(self.time.load(Ordering::Relaxed));
        if before + attempt < MAX_TIME { Ok(()) } else { Err(Bound::Time) }
    }

    /// An attempt has ended after so long.
    pub(super) fn took(&self, attempt: Duration, taken: &mut Taken) {
        taken.time = u64::try_from(attempt.as_nanos()).unwrap_or(u64::MAX);
        self.time.fetch_add(taken.time, Ordering::Relaxed);
    }

    /// Forgets what one attempt took: it is made once more from its beginning.
    pub(super) fn give_back(&self, taken: &Taken) {
        self.members.fetch_sub(taken.members, Ordering::Relaxed);
        self.paths.fetch_sub(taken.paths, Ordering::Relaxed);
        self.bytes.fetch_sub(taken.bytes, Ordering::Relaxed);
        self.time.fetch_sub(taken.time, Ordering::Relaxed);
    }
}

fn count(counter: &AtomicU64, more: u64, limit: u64, bound: Bound) -> Result<(), Bound> {
    let fits = |sum: u64| sum.checked_add(more).filter(|sum| *sum <= limit);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).map(|_| ()).map_err(|_| bound)
}

impl Drop for Container {
    fn drop(&mut self) {
        let ticket = self.ticket.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // A ticket that is dropped says that the file has to come again.
        match ticket {
            Some(ticket) if !*self.failed.get_mut() => ticket.finish(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::pipeline::work::ScanDone;
    use crossbeam_channel::{Receiver, unbounded};

    fn container(size: u64) -> (Arc<Container>, Receiver<ScanDone>) {
        let (sender, receiver) = unbounded();
        (Arc::new(Container::new(size, ScanTicket::new("p".into(), "a.zip".into(), sender))), receiver)
    }

    #[test]
    fn each_bound_is_met_and_an_attempt_gives_back_what_it_took() {
        let mut taken = Taken::default();
        let (small, _done) = container(10);
        small.content(RATIO_FREE as usize, &mut taken).unwrap();
        assert_eq!(small.content(1, &mut taken), Err(Bound::Ratio));
        small.give_back(&taken);
        small.content(1, &mut Taken::default()).unwrap();

        let (large, _done) = container(MAX_BYTES);
        large.content(MAX_BYTES as usize, &mut Taken::default()).unwrap();
        assert_eq!(large.content(1, &mut Taken::default()), Err(Bound::Bytes));
        large.member(MAX_PATH_BYTES as usize, &mut Taken::default()).unwrap();
        assert_eq!(large.member(1, &mut Taken::default()), Err(Bound::PathBytes));
        for _ in 2..MAX_MEMBERS {
            large.member(0, &mut Taken::default()).unwrap();
        }
        assert_eq!(large.member(0, &mut Taken::default()), Err(Bound::Members));
    }

    #[test]
    fn the_time_of_all_that_lies_in_a_file_counts_together() {
        let (container, _done) = container(1);
        let (most, rest) = (MAX_TIME - Duration::from_secs(1), Duration::from_millis(999));
        let mut taken = Taken::default();
        container.time(most).unwrap();
        container.took(most, &mut taken);
        container.time(rest).unwrap();
        assert_eq!(container.time(Duration::from_secs(1)), Err(Bound::Time));
        container.give_back(&taken);
        container.time(most).unwrap();
    }

    #[test]
    fn a_file_is_done_when_everything_in_it_is_judged() {
        let (judged, done) = container(1);
        let member = judged.clone();
        drop(judged);
        assert!(done.is_empty(), "a member is still to be judged");
        drop(member);
        assert!(done.recv().unwrap().committed);

        let (failed, done) = container(1);
        failed.fail();
        drop(failed);
        assert!(!done.recv().unwrap().committed);
    }
}
