//! Posts requests, and decides by the answers what is sent next.

use std::time::Instant;

use bytes::Bytes;
use picket_model::{FrameKind, now_nanos};

use super::config::Config;
use super::encode;
use super::judge::{self, Meaning};
use super::metadata::{FAMILIES, Metadata};
use super::progress::{Progress, Times};
use crate::{Batch, Forwarder, Link, SendError, Sent};
use picket_http::{Client, ClientError, Request, Url};

/// After so many answers that sound final but ask for a repeat a request is halved: the first ones may have been
/// about something that passes.
const FINAL_ATTEMPTS: u32 = 5;
/// An empty request, compressed. Receivers accept it and store nothing.
const EMPTY: [u8; 1] = [0];

/// The `remote_write` forwarder.
pub struct RemoteWrite {
    client: Client,
    link: Link,
    url: Url,
    /// The URL for messages: without its query, which may hold a token.
    place: String,
    shards: usize,
    samples: usize,
    metadata: Metadata,
    /// The batch that was begun.
    progress: Option<Progress>,
    /// Unix time in milliseconds: what is older may have been handed over before a crash.
    started: i64,
    /// A request that was halved for its final words was refused alone with them: they are meant.
    final_words_are_meant: bool,
}

impl RemoteWrite {
    /// Reads certificates and secrets; connects to nothing. Numbers out of their bounds are brought within them.
    pub fn new(config: &Config, link: &Link) -> Result<Self, ClientError> {
        Ok(Self {
            client: Client::new(&config.http, link)?,
            link: link.clone(),
            url: config.url.clone(),
            place: config.url.shown(),
            shards: config.clamped_shards(),
            samples: config.clamped_samples(),
            metadata: Metadata::every(config.metadata_interval.0),
            progress: None,
            started: now_ms(),
            final_words_are_meant: false,
        })
    }

    fn request(&self, body: impl Into<Bytes>) -> Request {
        let headers = [
            ("content-encoding", "snappy"),
            ("content-type", "application/x-protobuf"),
            ("x-prometheus-remote-write-version", "0.1.0"),
        ];
        let headers = headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        Request { url: self.url.clone(), headers, body: body.into() }
    }

    fn times(&self) -> Times {
        Times { started: self.started, now: now_ms() }
    }

    /// Posts until nothing of the batch is left, or something fails.
    fn go_on(&mut self, progress: &mut Progress) -> Result<(), SendError> {
        // Whether the receiver takes requests was found out in this call.
        let mut probed = false;
        loop {
            let shards = progress.waiting();
            if shards.is_empty() {
                return Ok(());
            }
            let posts = shards.iter().map(|shard| self.request(progress.body(*shard))).collect();
            let answers = self.client.post_all(posts);
            let mut failed = None;
            let mut refused = Vec::new();
            for (shard, answer) in shards.into_iter().zip(answers) {
                match self.take(progress, shard, answer, &mut probed) {
                    Ok(None) => {}
                    Ok(Some(reason)) => refused.push((shard, reason)),
                    Err(error) => failed = Some(judge::worse(failed, error)),
                }
            }
            if !refused.is_empty() && !probed {
                match self.try_empty() {
                    Ok(()) => probed = true,
                    Err(error) => return Err(judge::worse(failed, error)),
                }
            }
            for (shard, reason) in refused {
                progress.refused(shard, &reason, self.times());
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
    }

    /// Takes an answer to the next request of a shard; the reason when something in it was refused.
    fn take(
        &mut self,
        progress: &mut Progress,
        shard: usize,
        answer: Result<picket_http::Answer, picket_http::NoAnswer>,
        probed: &mut bool,
    ) -> Result<Option<String>, SendError> {
        match judge::answer(answer, &self.place) {
            Meaning::Accepted => {
                progress.accepted(shard);
                Ok(None)
            }
            Meaning::Later(error) => Err(error),
            Meaning::Unsure(error) => {
                progress.next(shard).unsure = true;
                Err(error)
            }
            Meaning::FinalWords(error, reason) => {
                let request = progress.next(shard);
                request.failures = request.failures.saturating_add(1);
                if request.failures < FINAL_ATTEMPTS && !self.final_words_are_meant {
                    return Err(error);
                }
                self.final_words_are_meant |= progress.refused(shard, &reason, self.times());
                Ok(None)
            }
            Meaning::Refused(reason) => Ok(Some(reason)),
            Meaning::Unusable(reason) => {
                // A password may have changed since the last probe.
                *probed = false;
                Ok(Some(reason))
            }
        }
    }

    /// Whether an empty request is accepted. If it is, a refusal is about the content of a request.
    fn try_empty(&self) -> Result<(), SendError> {
        let answer = self.client.post(self.request(Bytes::from_static(&EMPTY)));
        match judge::answer(answer, &self.place) {
            Meaning::Accepted => Ok(()),
            Meaning::Later(error) | Meaning::Unsure(error) | Meaning::FinalWords(error, _) => Err(error),
            Meaning::Refused(said) | Meaning::Unusable(said) => Err(judge::unusable(&self.place, &said)),
        }
    }

    /// Tells what metrics are, when it is time. Nothing depends on it, so a failure only waits for the next time.
    fn describe(&mut self) {
        let link = &self.link;
        let due = self.metadata.due(Instant::now(), || link.descriptions());
        for families in due.chunks(FAMILIES) {
            let answer = self.client.post(self.request(encode::metadata(families)));
            if let Meaning::Later(error) | Meaning::Unsure(error) = judge::answer(answer, &self.place) {
                tracing::debug!(%error, "What metrics mean was not sent; it is sent again later.");
                return;
            }
        }
    }
}

impl Forwarder for RemoteWrite {
    fn wants(&self, kind: FrameKind) -> bool {
        kind == FrameKind::Sample
    }

    fn send(&mut self, batch: &Batch) -> Result<Sent, SendError> {
        let mut progress = match self.progress.take() {
            Some(progress) if progress.is_of(batch) => progress,
            _ => {
                let table = encode::table(&batch.frames, now_ms());
                Progress::new(batch, table, self.shards, self.samples, self.started)
            }
        };
        if let Err(error) = self.go_on(&mut progress) {
            self.progress = Some(progress);
            return Err(error);
        }
        self.describe();
        Ok(Sent { refused: progress.into_refused(), ..Sent::default() })
    }

    fn probe(&mut self) -> Result<String, SendError> {
        self.try_empty().map(|()| "takes remote write 1.0".to_owned())
    }
}

/// By the wall clock.
fn now_ms() -> i64 {
    i64::try_from(now_nanos() / 1_000_000).unwrap_or(i64::MAX)
}
