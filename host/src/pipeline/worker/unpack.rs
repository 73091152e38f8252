//! Opening containers: the host pulls members out of the plugin and spools them; the source that brought
//! the container takes them from there and gives them to scanners like files.
//!
//! Everything is bounded by the account of the file on disk (`container`). What a bound keeps out is
//! counted and told in the container's verdict; what came out before is scanned all the same.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use picket_sandbox::{CallError, Instance, Unpacking};

use super::call::Failure;
use super::{Place, Worker};
use crate::model::{Day, EventId, Frame, VerdictKind, now_nanos};
use crate::pipeline::container::{Bound, Container, MAX_DEPTH, MAX_MEMBER_BYTES, Spooled, Taken};
use crate::pipeline::object::FileObject;
use crate::pipeline::spool::{Spool, SpoolError, SpoolFile};
use crate::pipeline::work::{Member, ScanTarget, ScanTicket, UnpackJob};

/// Bytes that are asked for at once: what the sandbox gives at most.
const CHUNK: u32 = 256 << 10;

/// The number of the container's verdict among the events about a file; a scanner's is 0.
const VERDICT_NUMBER: u32 = u32::MAX - 1;

/// What one attempt to open a container gave.
#[derive(Default)]
struct Pulled {
    members: Vec<(String, SpoolFile)>,
    /// Whether the plugin knows the container.
    opened: bool,
    /// Members that are too large to be scanned.
    too_large: u64,
    /// The bound that ended it.
    bound: Option<Bound>,
    broken: Option<Broken>,
    taken: Taken,
}

/// Why an attempt ended early.
enum Broken {
    /// The plugin failed.
    Call(CallError),
    /// The plugin says that something is wrong with the container: an answer like any other.
    Container(String),
    /// The agent could not serve the plugin.
    Stalled(String),
    /// The file changed while it was read.
    Changed,
    /// There is no room for a member now.
    Spool(SpoolError),
    /// The plugin is to be stopped or exchanged, which need not wait for a large container.
    Interrupted,
}

/// What an attempt needs beside the instance.
struct Attempt<'a> {
    spool: Spool,
    container: &'a Container,
    started: Instant,
    interrupted: Box<dyn Fn() -> bool>,
}

/// What ends the pulling of members.
enum End {
    Bound(Bound),
    Broken(Broken),
}

impl From<Bound> for End {
    fn from(bound: Bound) -> Self {
        Self::Bound(bound)
    }
}

impl From<CallError> for End {
    fn from(error: CallError) -> Self {
        Self::Broken(match error {
            // The memory of all plugins together says nothing about this one.
            CallError::Budget { .. } => Broken::Stalled(error.to_string()),
            CallError::Guest(_) => Broken::Container(error.to_string()),
            _ => Broken::Call(error),
        })
    }
}

impl From<SpoolError> for End {
    fn from(error: SpoolError) -> Self {
        Self::Broken(Broken::Spool(error))
    }
}

impl Worker {
    /// Opens a file if it is a container; a failed attempt is made once more on a fresh instance.
    pub(super) fn unpack(&mut self, job: UnpackJob) {
        let UnpackJob { target, ticket, members } = job;
        let (container, nested) = account(&target, ticket);
        let mut pulled = self.pull(&target, &container);
        if let Some(Broken::Call(error)) = &pulled.broken {
            self.discard(error);
            if let Some(previous) = self.previous.take() {
                super::swap::put_back(self, previous, &Failure::Call(error.clone()));
            }
            container.give_back(&pulled.taken);
            // What it spooled goes first, to make room.
            drop(std::mem::take(&mut pulled));
            pulled = self.pull(&target, &container);
        }
        match &pulled.broken {
            Some(Broken::Spool(error)) => {
                tracing::warn!(
                    plugin = self.generation.origin.plugin, path = %target.path.display(), %error,
                    "A container cannot be opened now; it is tried again later."
                );
                return container.fail();
            }
            Some(Broken::Stalled(reason)) => {
                container.fail();
                return self.stalled(reason);
            }
            Some(Broken::Interrupted | Broken::Changed) => return container.fail(),
            Some(Broken::Call(error)) => self.discard(error),
            // The instance that said so is gone, as after any error of a call; that is no failure.
            Some(Broken::Container(_)) => self.instance = None,
            None => self.proven(),
        }
        if !pulled.opened && pulled.broken.is_none() {
            match nested {
                // Of the file on disk that it lies in, the other members are still to be judged.
                Some(ticket) => ticket.finish(),
                None => self.is_no_container(&container),
            }
            return;
        }
        self.take_pulled(&target, &pulled);
        let blame = self.evidence_of(&target, &pulled);
        if self.commit().is_err() {
            return container.fail();
        }
        for (path, file) in pulled.members {
            let spooled = Spooled { file, depth: target.depth() + 1, container: container.clone() };
            // The source is gone only when the agent stops; it opens the container again then.
            let _ = members.send(Member { path: inside(&target.path, &path), spooled });
        }
        nested.into_iter().for_each(ScanTicket::finish);
        if let Some((place, reason)) = blame {
            self.blame(place, &reason);
        }
    }

    /// Nothing to tell; that it need not be opened again is noted with the next commit.
    fn is_no_container(&mut self, container: &Container) {
        if let Some(record) = container.take_record() {
            self.results.write(record.write(Day::of(now_nanos())));
        }
    }

    fn pull(&mut self, target: &Arc<ScanTarget>, container: &Container) -> Pulled {
        let attempt = Attempt {
            spool: self.shared.spool.clone(),
            container,
            started: Instant::now(),
            interrupted: Box::new(self.lane.control_waits()),
        };
        let mut pulled = Pulled::default();
        let object = Arc::new(FileObject::new(target.clone()));
        // What an earlier call met is not this one's.
        drop(self.surroundings.state.take_failure());
        let before = self.instance.as_ref().map_or(Duration::ZERO, Instance::cpu);
        match self.open(object.clone(), target.depth(), &attempt, &mut pulled) {
            Ok(()) => {}
            Err(End::Bound(bound)) => pulled.bound = Some(bound),
            Err(End::Broken(broken)) => pulled.broken = Some(broken),
        }
        if let (Some(Broken::Call(_)), Some(reason)) =
            (&pulled.broken, self.surroundings.state.take_failure())
        {
            pulled.broken = Some(Broken::Stalled(format!("the state cannot be read: {reason}")));
        }
        if object.changed() || !object.still_same() {
            pulled.broken = Some(Broken::Changed);
        }
        container.took(attempt.started.elapsed(), &mut pulled.taken);
        self.meter.called(attempt.started.elapsed(), 0);
        if let Some(instance) = &self.instance {
            self.meter.used(instance.cpu().saturating_sub(before), instance.memory_bytes());
        }
        self.touched = true;
        pulled
    }

    fn open(
        &mut self,
        object: Arc<FileObject>,
        depth: u32,
        attempt: &Attempt<'_>,
        pulled: &mut Pulled,
    ) -> Result<(), End> {
        let instance = match self.instance() {
            Ok(instance) => instance,
            Err(error) => {
                self.meter.failed("instance");
                return Err(End::Broken(Broken::Stalled(error.to_string())));
            }
        };
        let Some(unpacking) = instance.unpack(object)? else {
            return Ok(());
        };
        pulled.opened = true;
        if depth >= MAX_DEPTH {
            return Err(Bound::Depth.into());
        }
        attempt.pull(unpacking, pulled)
    }

    /// The container's verdict, and what is counted.
    fn take_pulled(&mut self, target: &ScanTarget, pulled: &Pulled) {
        self.meter.unpacked(pulled.members.len() as u64);
        let too_large = (pulled.too_large > 0).then_some(Bound::MemberBytes);
        let bounds: Vec<Bound> = too_large.into_iter().chain(pulled.bound).collect();
        bounds.iter().for_each(|bound| self.meter.container_bound(bound.word()));
        let mut reasons: Vec<String> = bounds.iter().map(Bound::to_string).collect();
        match &pulled.broken {
            Some(Broken::Call(error)) => reasons.push(error.to_string()),
            Some(Broken::Container(words)) => reasons.push(words.clone()),
            _ => {}
        }
        let members = pulled.members.len();
        let (kind, reason) = match reasons.is_empty() {
            true => (VerdictKind::Clean, format!("a container; its {members} members are judged one by one")),
            false => (
                VerdictKind::Skipped,
                format!("only {members} of its members could be taken out: {}", reasons.join("; ")),
            ),
        };
        let mut verdict = self.verdict(target, kind, reason, now_nanos());
        verdict.id = EventId::derive(
            &super::scan::about(target),
            0,
            &self.generation.origin.generation,
            VERDICT_NUMBER,
        );
        self.results.push(Frame::Verdict(verdict));
    }

    /// A container that broke the plugin is evidence. One with which the plugin finds something wrong is
    /// none: people cut archives off all the time.
    fn evidence_of(&mut self, target: &ScanTarget, pulled: &Pulled) -> Option<(Place, String)> {
        let Some(Broken::Call(error)) = &pulled.broken else { return None };
        let reason = error.to_string();
        self.push_file_evidence(target, &reason);
        let (source, stream) = (target.source.clone(), target.path.to_string_lossy().into_owned());
        Some((Place { source, stream, offset: 0, digest: target.info.sha256 }, reason))
    }
}

/// The account that a container counts on, and the ticket of one that lies in another.
fn account(target: &ScanTarget, ticket: ScanTicket) -> (Arc<Container>, Option<ScanTicket>) {
    match &target.spooled {
        Some(spooled) => (spooled.container.clone(), Some(ticket)),
        None => (Arc::new(Container::new(target.info.size, ticket)), None),
    }
}

/// How a member is named: the container's path, `!/`, and the path inside, which is never used on disk.
fn inside(container: &Path, member: &str) -> PathBuf {
    let mut path = OsString::from(container);
    path.push("!/");
    path.push(member.trim_start_matches('/'));
    PathBuf::from(path)
}

impl Attempt<'_> {
    fn pull(&self, mut unpacking: Unpacking<'_>, pulled: &mut Pulled) -> Result<(), End> {
        while let Some(member) = unpacking.next_member()? {
            self.go_on()?;
            self.container.member(member.path.len(), &mut pulled.taken)?;
            let mut writing = self.spool.create()?;
            loop {
                let bytes = unpacking.read(CHUNK)?;
                self.go_on()?;
                if bytes.is_empty() {
                    pulled.members.push((member.path, writing.finish()));
                    break;
                }
                self.container.content(bytes.len(), &mut pulled.taken)?;
                if writing.bytes() + bytes.len() as u64 > MAX_MEMBER_BYTES {
                    pulled.too_large += 1;
                    break;
                }
                writing.write(&bytes)?;
            }
        }
        Ok(())
    }

    fn go_on(&self) -> Result<(), End> {
        match (self.interrupted)() {
            true => Err(End::Broken(Broken::Interrupted)),
            false => Ok(self.container.time(self.started.elapsed())?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_named_behind_its_container() {
        for (member, named) in [
            ("a/b.txt", "/srv/x.zip!/a/b.txt"),
            ("/etc/passwd", "/srv/x.zip!/etc/passwd"),
            ("../../etc/passwd", "/srv/x.zip!/../../etc/passwd"),
        ] {
            assert_eq!(inside(Path::new("/srv/x.zip"), member).as_os_str(), named);
        }
    }
}
