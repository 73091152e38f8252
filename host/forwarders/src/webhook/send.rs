//! Posts events one after another, and remembers what became of each until its batch is done.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use bytes::Bytes;
use picket_model::{Digest, Frame, FrameKind, now_nanos};

use super::config::{Config, ConfigError, Format};
use super::sign::{SignError, Signer};
use super::target::{Target, Targets};
use super::template::Template;
use super::{encode, slack};
use crate::{Batch, Forwarder, Link, Refused, SendError, Sent};
use picket_http::secret::Secret;
use picket_http::{Answer, Client, NoAnswer, Request, Url};

/// After so many tries in a row that all got 403 an event is refused: a firewall before the receiver may dislike what
/// is in it. With the waits of an open circuit that takes some minutes, so that a person who renews a password in that
/// time loses nothing, and an hour costs a few events.
const FORBIDDEN_TRIES: u32 = 20;

/// The `webhook` forwarder's hands.
pub struct WebhookForwarder {
    config: Config,
    link: Link,
    client: Client,
    kinds: BTreeSet<FrameKind>,
    targets: Targets,
    signer: Option<Signer>,
    /// As HTTP has it: in small letters.
    signature_header: Option<&'static str>,
    shape: Shape,
    memory: Memory,
}

/// How a body is made.
enum Shape {
    Json,
    Slack,
    Template { template: Box<Template>, content_type: String },
}

/// What became of the frames of the batch that is being tried.
#[derive(Default)]
struct Memory {
    batch: Option<Digest>,
    /// By their place and the receiver's number; without a reason they were accepted.
    done: BTreeMap<(usize, usize), Option<String>>,
    /// How often in a row requests were answered with 403, by the receiver's number and their ids.
    forbidden: BTreeMap<(usize, String), u32>,
    /// Each event goes by itself: together they were refused.
    is_apart: bool,
}

/// One request to be made.
struct Message {
    /// Places in the batch.
    frames: Vec<usize>,
    /// The receiver's number.
    target: usize,
    id: String,
    body: Bytes,
}

/// What a receiver made of it.
enum Outcome {
    Accepted,
    Refused(String),
    /// 403: the receiver does not let us in, or a firewall dislikes the content.
    Forbidden(String, SendError),
    Failed(SendError),
}

impl WebhookForwarder {
    /// Reads secrets, certificates and the template; connects to nothing.
    pub fn new(config: &Config, link: &Link) -> Result<Self, ConfigError> {
        let kinds = config.kinds();
        if kinds.contains(&FrameKind::Sample) {
            return Err(ConfigError::Samples);
        }
        Ok(Self {
            link: link.clone(),
            client: Client::new(&config.http, link)?,
            kinds,
            targets: Targets::read(config)?,
            signer: signer(config)?,
            signature_header: config.signature_header.as_deref().map(header).transpose()?,
            shape: shape(config)?,
            memory: Memory::default(),
            config: config.clone(),
        })
    }

    /// Requests for what is not done yet. What the template fails for is done.
    fn messages(&mut self, frames: &[Frame]) -> VecDeque<Message> {
        let mut by_target: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, frame) in frames.iter().enumerate() {
            for target in self.receivers(frame) {
                if !self.memory.done.contains_key(&(at, target)) {
                    by_target.entry(target).or_default().push(at);
                }
            }
        }
        let mut messages = VecDeque::new();
        for (target, places) in by_target {
            if self.memory.is_apart {
                messages.extend(places.into_iter().flat_map(|at| self.made(frames, target, vec![at])));
            } else {
                messages.extend(self.made(frames, target, places));
            }
        }
        messages
    }

    /// The numbers of those that an event is for.
    fn receivers(&self, frame: &Frame) -> Range<usize> {
        match frame {
            // How bad the results were that it takes back, and so who has them, it does not tell.
            Frame::Retraction(_) => 0..self.targets.count(),
            _ if !encode::is_wanted(frame, &self.config.verdicts) => 0..0,
            _ => self.targets.number_for(encode::severity(frame)).map_or(0..0, |at| at..at + 1),
        }
    }

    /// Requests to one receiver.
    fn made(&mut self, frames: &[Frame], target: usize, places: Vec<usize>) -> Vec<Message> {
        let message = |places: Vec<usize>, body| {
            let id = encode::id(places.iter().map(|at| &frames[*at]));
            Message { frames: places, target, id, body }
        };
        if let Shape::Slack = self.shape {
            let text = |at: &usize| slack::text(&frames[*at], &self.link.node);
            let joined = slack::join(&places.iter().map(text).collect::<Vec<_>>());
            let message = |(numbers, text): (Vec<usize>, String)| {
                message(numbers.iter().map(|number| places[*number]).collect(), slack::body(&text))
            };
            return joined.into_iter().map(message).collect();
        }
        let mut messages = Vec::new();
        for at in places {
            let body = match &self.shape {
                Shape::Template { template, .. } => template.render(&frames[at], &self.link.node),
                Shape::Json | Shape::Slack => Ok(encode::json(&frames[at])),
            };
            match body {
                Ok(body) => messages.push(message(vec![at], body)),
                Err(error) => _ = self.memory.done.insert((at, target), Some(error.to_string())),
            }
        }
        messages
    }

    fn post(&self, message: &Message) -> Outcome {
        let target = self.targets.get(message.target);
        let mut headers = vec![("content-type", self.content_type().to_owned())];
        if let Some(signer) = &self.signer {
            let timestamp = now_nanos() / 1_000_000_000;
            headers.push(("webhook-signature", signer.standard(&message.id, timestamp, &message.body)));
            headers.push(("webhook-timestamp", timestamp.to_string()));
            if let Some(name) = self.signature_header {
                headers.push((name, signer.of_body(&message.body)));
            }
        }
        headers.push(("webhook-id", message.id.clone()));
        let request = Request { url: target.url.clone(), headers, body: message.body.clone() };
        outcome(target, self.client.post(request))
    }

    fn content_type(&self) -> &str {
        match &self.shape {
            Shape::Template { content_type, .. } => content_type,
            Shape::Json | Shape::Slack => "application/json",
        }
    }

    fn look_at(&self, target: &Target) -> Result<String, SendError> {
        let place = target.root();
        let none = |none: NoAnswer| SendError::from(none);
        if self.shape.is_slack() && target.url.host() == "hooks.slack.com" {
            // Slack's own answer to a message without a text shows that the URL is good, and posts nothing.
            let headers = vec![("content-type", "application/json".to_owned())];
            let request = Request { url: target.url.clone(), headers, body: Bytes::from_static(b"{}") };
            return match outcome(target, self.client.post(request)) {
                Outcome::Accepted | Outcome::Refused(_) => Ok(format!("{place} knows the URL")),
                Outcome::Forbidden(_, error) | Outcome::Failed(error) => Err(error),
            };
        }
        let root: Url = place.parse().map_err(|_| SendError::unusable(format!("{place} is no URL")))?;
        let answer = self.client.get(&root).map_err(none)?;
        Ok(format!(
            "{place} is there (HTTP {}); nothing was posted, so the path was not tried",
            answer.status
        ))
    }
}

impl Forwarder for WebhookForwarder {
    fn wants(&self, kind: FrameKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Reads the secrets again: they may have been changed because of the failure.
    fn resume(&mut self, _note: &[u8]) -> Result<(), SendError> {
        let unusable = |error: ConfigError| SendError::unusable(error.to_string());
        self.targets = Targets::read(&self.config).map_err(|error| unusable(error.into()))?;
        self.signer = signer(&self.config).map_err(unusable)?;
        Ok(())
    }

    fn send(&mut self, batch: &Batch) -> Result<Sent, SendError> {
        if self.memory.batch != Some(batch.id) {
            self.memory = Memory { batch: Some(batch.id), ..Memory::default() };
        }
        let mut messages = self.messages(&batch.frames);
        let mut failures: BTreeMap<usize, SendError> = BTreeMap::new();
        while let Some(message) = messages.pop_front() {
            // What follows to the same receiver waits, so that its order holds; others get theirs.
            if failures.contains_key(&message.target) {
                continue;
            }
            match self.memory.seen(&message, self.post(&message)) {
                Outcome::Accepted => self.memory.note(&message, None),
                Outcome::Refused(_) if message.frames.len() > 1 => {
                    // One of them is bad: each by itself.
                    self.memory.is_apart = true;
                    for at in message.frames.into_iter().rev() {
                        for single in self.made(&batch.frames, message.target, vec![at]) {
                            messages.push_front(single);
                        }
                    }
                }
                Outcome::Refused(reason) => self.memory.note(&message, Some(reason)),
                Outcome::Forbidden(_, error) | Outcome::Failed(error) => {
                    _ = failures.insert(message.target, error)
                }
            }
        }
        if let Some(error) = worst(failures.into_values()) {
            return Err(error);
        }
        Ok(Sent { refused: std::mem::take(&mut self.memory).refused(), ..Sent::default() })
    }

    fn probe(&mut self) -> Result<String, SendError> {
        let found: Result<Vec<String>, SendError> =
            self.targets.all().map(|target| self.look_at(target)).collect();
        Ok(found?.join("; "))
    }
}

impl Memory {
    /// What an answer means, after those that came before it.
    fn seen(&mut self, message: &Message, outcome: Outcome) -> Outcome {
        let Outcome::Forbidden(said, error) = outcome else {
            self.forbidden.remove(&(message.target, message.id.clone()));
            return outcome;
        };
        let times = self.forbidden.entry((message.target, message.id.clone())).or_default();
        *times += 1;
        match *times < FORBIDDEN_TRIES {
            true => Outcome::Forbidden(said, error),
            false => Outcome::Refused(format!("{said} ({FORBIDDEN_TRIES} times in a row)")),
        }
    }

    fn note(&mut self, message: &Message, refused: Option<String>) {
        for at in &message.frames {
            self.done.insert((*at, message.target), refused.clone());
        }
    }

    /// What a receiver has refused; of what several have refused, what the first said.
    fn refused(self) -> Vec<Refused> {
        let refused =
            |((frame, _), reason): ((usize, usize), Option<String>)| Some(Refused { frame, reason: reason? });
        let mut refused: Vec<Refused> = self.done.into_iter().filter_map(refused).collect();
        refused.dedup_by_key(|refused| refused.frame);
        refused
    }
}

impl Shape {
    fn is_slack(&self) -> bool {
        matches!(self, Self::Slack)
    }
}

/// What a receiver's answer means. `Unusable` is what speaks of the URL or of us and not of the event.
fn outcome(target: &Target, answer: Result<Answer, NoAnswer>) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(none) => return Outcome::Failed(none.into()),
    };
    let place = &target.place;
    let said = target.said(&answer);
    let unusable = |what: &str| Outcome::Failed(SendError::unusable(format!("{place} {what} ({said})")));
    match answer.status {
        200..300 => Outcome::Accepted,
        300..400 => unusable("sends us elsewhere, which is not followed; set the URL that it names"),
        403 => {
            let what = "does not let us in, or does not take this event; check the URL and the credentials";
            Outcome::Forbidden(said.clone(), SendError::unusable(format!("{place} {what} ({said})")))
        }
        401 | 407 => unusable("does not let us in; check the URL and the credentials"),
        404 | 405 | 410 => unusable("is not, or no longer, a place to post to; set the receiver's new URL"),
        400 if speaks_tls(&answer) => unusable("speaks TLS; write `https://` in the URL"),
        408 | 425 | 429 | 0..200 | 500.. => Outcome::Failed(SendError::Later {
            reason: format!("{place} cannot take events now ({said})"),
            after: answer.retry_after,
        }),
        400..500 => Outcome::Refused(said),
    }
}

/// The words of Go's and nginx' servers for plain text where TLS was expected.
fn speaks_tls(answer: &Answer) -> bool {
    let said = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    ["http request to an https server", "plain http request was sent to https"]
        .iter()
        .any(|words| said.contains(words))
}

/// One error for all: what passes by itself goes first, with the longest wait that was asked for.
fn worst(errors: impl Iterator<Item = SendError>) -> Option<SendError> {
    errors.reduce(|one, other| match (one, other) {
        (SendError::Later { reason, after }, SendError::Later { reason: more, after: longer }) => {
            SendError::Later { reason: format!("{reason}; {more}"), after: after.max(longer) }
        }
        (SendError::Later { reason, after }, SendError::Unusable { reason: more })
        | (SendError::Unusable { reason: more }, SendError::Later { reason, after }) => {
            SendError::Later { reason: format!("{reason}; {more}"), after }
        }
        (one, other) => SendError::unusable(format!("{one}; {other}")),
    })
}

fn signer(config: &Config) -> Result<Option<Signer>, ConfigError> {
    let secret = match (&config.secret_file, &config.secret_env) {
        (Some(_), Some(_)) => return Err(SignError::TwoSecrets.into()),
        (Some(file), None) => Secret::from_file(file)?,
        (None, Some(variable)) => Secret::from_variable(variable)?,
        (None, None) if config.signature_header.is_some() => return Err(SignError::NoSecret.into()),
        (None, None) => return Ok(None),
    };
    Ok(Some(Signer::new(&secret)?))
}

/// The client wants names of headers that live as long as the process; this one does, for each time that a
/// forwarder is made from a configuration.
fn header(name: &str) -> Result<&'static str, SignError> {
    const TAKEN: [&str; 5] = ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "host"];
    let error = || SignError::Header(name.chars().take(100).collect());
    let parsed: hyper::header::HeaderName = name.parse().map_err(|_| error())?;
    match TAKEN.contains(&parsed.as_str()) || name.len() > 100 {
        true => Err(error()),
        false => Ok(parsed.as_str().to_owned().leak()),
    }
}

fn shape(config: &Config) -> Result<Shape, ConfigError> {
    let given = config.template.is_some() || config.template_file.is_some() || config.content_type.is_some();
    match config.format {
        Format::Template => {}
        Format::Json | Format::Slack if given => {
            return Err(ConfigError::Format(
                "`template`, `template_file` and `content_type` need `format = \"template\"`",
            ));
        }
        Format::Json => return Ok(Shape::Json),
        Format::Slack => return Ok(Shape::Slack),
    }
    let content_type = config.content_type.clone().unwrap_or_else(|| "application/json".to_owned());
    if content_type.parse::<hyper::header::HeaderValue>().is_err() {
        return Err(ConfigError::Format("`content_type` cannot be sent; write `application/json`, say"));
    }
    let (place, source) = match (&config.template, &config.template_file) {
        (Some(template), None) => ("`template`".to_owned(), template.clone()),
        (None, Some(file)) => {
            let unread = |cause| ConfigError::TemplateFile { file: file.clone(), cause };
            (file.display().to_string(), std::fs::read_to_string(file).map_err(unread)?)
        }
        _ => {
            return Err(ConfigError::Format(
                "`format = \"template\"` needs one of `template` and `template_file`",
            ));
        }
    };
    let template = Template::new(&place, source, &content_type)?;
    Ok(Shape::Template { template: Box::new(template), content_type })
}
