//! Posts the parts of a batch, one request each, and goes on with the rest after a failure.

use std::time::Duration;

use bytes::Bytes;
use picket_http::Compression;
use picket_model::FrameKind;

use super::answer::{self, Meaning, PROTOBUF};
use super::config::Config;
use super::encode::{self, Context, Signal};
use crate::progress::Progress;
use crate::{Batch, Forwarder, Link, SendError, Sent};
use picket_http::gzip;
use picket_http::{Answer, Client, ClientError, NoAnswer, Request, Url};

/// A request is made smaller before it is sent when its body, uncompressed, is larger: proxies before collectors
/// often take a few megabytes, collectors 20 MiB.
const MAX_REQUEST: usize = 4 << 20;

/// The `otlp` forwarder's hands.
pub struct OtlpForwarder {
    config: Config,
    link: Link,
    client: Client,
    context: Context,
    /// Of the batch that is on its way.
    progress: Option<Progress<Signal>>,
    /// The last warning of the receiver's.
    warned: Option<String>,
}

/// The forwarder cannot be made as configured.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// The URL has no room for a path.
    #[error("`url`: {0}")]
    Url(#[from] picket_http::UrlError),
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl OtlpForwarder {
    /// Reads certificates and secrets; connects to nothing.
    pub fn new(config: Config, link: &Link) -> Result<Self, Unfit> {
        for signal in [Signal::Logs, Signal::Metrics] {
            config.url.join(signal.path())?;
        }
        let client = Client::new(&config.http, link)?;
        let context = Context::new(&link.node, &config.resource);
        Ok(Self { config, link: link.clone(), client, context, progress: None, warned: None })
    }

    fn url(&self, signal: Signal) -> Url {
        self.config.url.join(signal.path()).expect("`new` has tried it")
    }

    /// Posts a body, compressed as configured.
    fn post(&self, signal: Signal, body: Vec<u8>) -> Result<Answer, NoAnswer> {
        let mut headers = vec![("content-type", PROTOBUF.to_owned())];
        let body = match self.config.compression {
            Compression::Gzip => {
                headers.push(("content-encoding", "gzip".to_owned()));
                gzip(&body)
            }
            Compression::None => body,
        };
        self.client.post(Request { url: self.url(signal), headers, body: Bytes::from(body) })
    }

    /// Sends the next part, or makes it smaller. False when nothing is left.
    fn step(&mut self, batch: &Batch, progress: &mut Progress<Signal>) -> Result<bool, SendError> {
        let Some(part) = progress.next() else { return Ok(false) };
        let signal = part.to;
        let descriptions = if signal == Signal::Metrics { self.link.descriptions() } else { Vec::new() };
        let frames = part.frames(batch);
        // Encoding takes longer than looking: what is much too large is not encoded at each size.
        if encode::least_size(&frames) > MAX_REQUEST && progress.split() {
            return Ok(true);
        }
        let body = self.context.request(signal, &frames, &descriptions);
        if body.len() > MAX_REQUEST && progress.split() {
            return Ok(true);
        }
        match answer::meaning(signal, &self.post(signal, body)?) {
            Meaning::Accepted { refused, warning } => {
                self.warn(signal, warning);
                progress.accepted(refused);
            }
            Meaning::TooLarge(_) if progress.split() => {}
            Meaning::TooLarge(said) => progress.refused(&said),
            Meaning::Later { said, after } => return Err(self.later(signal, &said, after)),
            // As long as the receiver takes nothing, whatever it is, nothing is refused. The halves are other requests:
            // the one that failed is not sent again, which OTLP forbids.
            Meaning::Doubtful(said) => {
                self.try_empty(signal)?;
                if !progress.halve() {
                    progress.refused(&said);
                }
            }
        }
        Ok(true)
    }

    fn later(&self, signal: Signal, said: &str, after: Option<Duration>) -> SendError {
        SendError::Later { reason: format!("{} answered {said}", self.url(signal).shown()), after }
    }

    /// Tells the operator what a receiver has to say about what it accepted, once for each word of it.
    fn warn(&mut self, signal: Signal, warning: Option<String>) {
        if let Some(warning) = warning.filter(|warning| self.warned.as_ref() != Some(warning)) {
            tracing::warn!(
                url = self.url(signal).shown(),
                "the receiver accepted results with a warning: {warning}"
            );
            self.warned = Some(warning);
        }
    }

    /// An empty request leaves nothing there and should be answered with success (OTLP specification).
    fn try_empty(&self, signal: Signal) -> Result<(), SendError> {
        let answer = self.post(signal, Vec::new())?;
        match answer::meaning(signal, &answer) {
            Meaning::Accepted { .. } => Ok(()),
            Meaning::Later { said, after } => Err(self.later(signal, &said, after)),
            // The server has a fault of its own, which may pass.
            Meaning::Doubtful(said) if matches!(answer.status, 408 | 425 | 500..600) => {
                Err(self.later(signal, &said, answer.retry_after))
            }
            Meaning::TooLarge(said) | Meaning::Doubtful(said) => {
                let url = self.url(signal).shown();
                Err(SendError::unusable(format!("{url} answered {said}: {}", remedy(&answer))))
            }
        }
    }
}

/// What an operator can do about an answer.
fn remedy(answer: &Answer) -> &'static str {
    match answer.status {
        400 if answer.wants_tls() => "write `https://` in `url`",
        200..=299 => {
            "something before the receiver answers in its place; check `url`, the proxy and the network"
        }
        300..=399 => "redirections are not followed; put the address that it leads to into `url`",
        401 | 403 => "check the credentials in `http`",
        404 | 405 => "check `url`; `/v1/logs` and `/v1/metrics` are put behind it",
        407 => "check the proxy and its credentials",
        415 => "the receiver must take OTLP as protobuf over HTTP; its port for that is usually 4318",
        _ => "check that an OTLP receiver listens at `url`",
    }
}

impl Forwarder for OtlpForwarder {
    fn wants(&self, kind: FrameKind) -> bool {
        self.config.includes(kind)
    }

    fn send(&mut self, batch: &Batch) -> Result<Sent, SendError> {
        let known = self.progress.take().filter(|progress| progress.is_of(batch));
        let mut progress = known.unwrap_or_else(|| Progress::new(batch, Signal::of));
        loop {
            // A batch may take hundreds of requests.
            if self.link.is_stopped() {
                self.progress = Some(progress);
                return Err(SendError::later("the agent stops"));
            }
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
        use FrameKind::{Alert, Evidence, Finding, Notice, Retraction, Sample, Verdict};
        let mut taken = Vec::new();
        if [Finding, Verdict, Alert, Evidence, Notice, Retraction].into_iter().any(|kind| self.wants(kind)) {
            self.try_empty(Signal::Logs)?;
            taken.push("logs");
        }
        if self.wants(Sample) {
            self.try_empty(Signal::Metrics)?;
            taken.push("metrics");
        }
        Ok(format!("an OTLP receiver that takes {}", taken.join(" and ")))
    }
}
