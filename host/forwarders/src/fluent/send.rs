//! Hands over the parts of a batch, one chunk each, and goes on with the rest after a failure.

use std::time::{Duration, Instant};

use picket_http::Compression;
use picket_model::{Digest, FrameKind};

use super::config::{Config, Unfit};
use super::encode;
use super::session::{Failure, Session};
use crate::progress::Progress;
use crate::{Batch, Forwarder, Link, SendError, Sent};

/// The most that a chunk's events take, uncompressed; a single event that is larger goes alone. Receivers limit
/// chunks, and some take quadratic time over them.
const MAX_CHUNK: usize = 1_000_000;

/// After so many tries without an answer it is found out whether the chunk is at fault.
const MAX_SILENCES: u32 = 3;

/// So often in a row a single event must be found at fault, so that a network that now and then breaks a connection
/// does not cost one.
const MAX_TRIALS: u32 = 3;

/// How long `probe` waits for the answer to an empty chunk.
const PROBE_WAIT: Duration = Duration::from_secs(5);

/// The `fluent` forwarder's hands.
pub struct FluentForwarder {
    config: Config,
    link: Link,
    /// The connection, between two chunks.
    session: Option<Session>,
    /// Of the batch that is on its way.
    progress: Option<Progress<Place>>,
    /// How often in a row the next part was handed over without an answer.
    silences: u32,
}

/// Which events may be in one chunk: those of a kind, but none from before a retraction with one from behind it, so
/// that a retraction comes after all that it takes back.
type Place = (usize, FrameKind);

/// Tells the places of frames that are asked for in their order.
fn places() -> impl FnMut(FrameKind) -> Place {
    let (mut turns, mut retracts) = (0, false);
    move |kind| {
        turns += usize::from((kind == FrameKind::Retraction) != retracts);
        retracts = kind == FrameKind::Retraction;
        (turns, kind)
    }
}

impl FluentForwarder {
    /// Reads and opens nothing yet.
    pub fn new(config: Config, link: &Link) -> Result<Self, Unfit> {
        config.check()?;
        Ok(Self { config, link: link.clone(), session: None, progress: None, silences: 0 })
    }

    /// Sends the next part, or makes it smaller. False when nothing is left.
    fn step(&mut self, batch: &Batch, progress: &mut Progress<Place>) -> Result<bool, SendError> {
        let Some(part) = progress.next() else { return Ok(false) };
        let entries = encode::entries(&part.frames(batch));
        let ((_, kind), size) = (part.to, part.frames.len());
        if entries.len() > MAX_CHUNK && size > 1 {
            return Ok(progress.split());
        }
        let id = encode::chunk_id(&batch.id, &part.frames);
        let chunk = encode::chunk(&self.tag(kind), &entries, size, &id, self.config.compression);
        let is_suspect = self.silences >= MAX_SILENCES;
        if is_suspect {
            self.try_nothing()?;
        }
        match self.hand_over(&chunk, &id, self.config.patience()) {
            Ok(()) => {
                // What is suspected stays so for the rest of the batch: its halves need not be tried as often.
                self.silences = if is_suspect { MAX_SILENCES } else { 0 };
                progress.accepted(None);
            }
            Err(Failure::Elsewhere(error)) => return Err(error),
            Err(Failure::Unanswered(reason)) => {
                if is_suspect {
                    self.try_nothing()?;
                }
                self.silences += 1;
                if !is_suspect || !self.convict(size, &reason, progress) {
                    return Err(SendError::later(reason));
                }
            }
        }
        Ok(true)
    }

    /// The next part is what the receiver does not take: it acknowledges an empty chunk before and after it. A half of
    /// the part may do, which is found out in the same way; a single event is refused. False when it is to be tried
    /// again before that.
    fn convict(&mut self, size: usize, reason: &str, progress: &mut Progress<Place>) -> bool {
        if progress.split() {
            let receiver = &self.config.address;
            tracing::warn!(%receiver, "a chunk of {size} events is halved: only others are acknowledged: {reason}");
        } else if self.silences < MAX_SILENCES + MAX_TRIALS {
            return false;
        } else {
            let advice = "it may be larger than the receiver's limit for chunks";
            progress.refused(&format!("never acknowledged, though others are: {advice}; at last {reason}"));
        }
        self.silences = MAX_SILENCES;
        true
    }

    /// Whether the receiver acknowledges anything at all. If it does not, the next part is not to blame.
    fn try_nothing(&mut self) -> Result<(), SendError> {
        self.hand_over_nothing(self.config.patience()).map_err(|failure| match failure {
            Failure::Elsewhere(error) => error,
            Failure::Unanswered(reason) => {
                self.silences = 0;
                SendError::later(reason)
            }
        })
    }

    /// Hands over a chunk without events, which leaves nothing there.
    fn hand_over_nothing(&mut self, patience: Duration) -> Result<(), Failure> {
        let id = encode::chunk_id(&Digest::of(self.link.node.as_bytes()), &[]);
        let tag = self.tag(FrameKind::Notice);
        let chunk = encode::chunk(&tag, &[], 0, &id, Compression::None);
        self.hand_over(&chunk, &id, patience)
    }

    /// Hands over a chunk, on the connection that there is or on a new one. The connection is kept only when the
    /// chunk was acknowledged.
    fn hand_over(&mut self, chunk: &[u8], id: &str, patience: Duration) -> Result<(), Failure> {
        let kept = self.session.take();
        let (config, link) = (&self.config, &self.link);
        let session = link.runtime.block_on(async {
            let work = async {
                let kept = match kept {
                    Some(session) => session.if_fit().await,
                    None => None,
                };
                let mut session = match kept {
                    Some(session) => session,
                    None => Session::open(config, link).await.map_err(Failure::Elsewhere)?,
                };
                let begun = Instant::now();
                session.hand_over(chunk, id, patience).await?;
                link.answered(begun.elapsed());
                Ok(session)
            };
            tokio::select! {
                biased;
                done = work => done,
                () = link.stopped() => Err(Failure::Elsewhere(SendError::later("the agent stops"))),
            }
        })?;
        self.session = Some(session);
        Ok(())
    }

    fn tag(&self, kind: FrameKind) -> String {
        format!("{}.{}", self.config.tag, kind.word())
    }
}

impl Forwarder for FluentForwarder {
    fn wants(&self, kind: FrameKind) -> bool {
        self.config.includes(kind)
    }

    fn send(&mut self, batch: &Batch) -> Result<Sent, SendError> {
        let known = self.progress.take().filter(|progress| progress.is_of(batch));
        let mut progress = known.unwrap_or_else(|| {
            self.silences = 0;
            Progress::new(batch, places())
        });
        loop {
            match self.step(batch, &mut progress) {
                Ok(true) => {}
                Ok(false) => return Ok(progress.sent()),
                Err(error) => {
                    self.progress = Some(progress);
                    return Err(error);
                }
            }
        }
    }

    fn probe(&mut self) -> Result<String, SendError> {
        self.session = None;
        let (config, link) = (&self.config, &self.link);
        let session = link.runtime.block_on(async {
            tokio::select! {
                biased;
                opened = Session::open(config, link) => opened,
                () = link.stopped() => Err(SendError::later("the agent stops")),
            }
        })?;
        let found = match session.hostname.as_str() {
            "" => "a receiver that asks for no key".to_owned(),
            hostname => format!("`{hostname}`, which knows the shared key"),
        };
        // Without a key only an answer, or a HELO, shows that it speaks the protocol.
        self.session = Some(session);
        match self.hand_over_nothing(PROBE_WAIT.min(self.config.patience())) {
            Ok(()) => Ok(found),
            Err(Failure::Elsewhere(error)) => Err(error),
            Err(Failure::Unanswered(reason)) => Err(SendError::later(reason)),
        }
    }
}
