//! Hands alerts to all Alertmanagers, and makes one result of their answers.

use std::ops::Range;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::encode::{self, Alert};
use crate::SendError;
use picket_http::{Answer, Client, NoAnswer, Request, Url};

/// The most alerts of one request: 5000 were seen to be taken, but a proxy may have a bound on bytes.
const MAX_REQUEST: usize = 1000;

/// How many requests of a delivery to one peer may be halved to find what it refuses alone. Enough for some twenty bad
/// alerts; without a bound a peer that refuses everything would get two requests for each alert. Beyond it what is
/// refused together counts as refused.
const MAX_HALVINGS: u32 = 200;

/// One Alertmanager.
struct Peer {
    alerts: Url,
    status: Url,
    /// It did not take what it was sent last.
    is_away: bool,
    /// It has not got everything since it was away.
    is_behind: bool,
    /// It wants to be left alone until then.
    not_before: Option<Instant>,
}

/// All of them.
pub(super) struct Peers {
    client: Client,
    peers: Vec<Peer>,
}

/// What is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Some changes: peers that were away are left out while another one is there.
    Changes,
    /// All that is known.
    Everything,
}

/// An alert that no peer would have: its place, and why.
pub(super) type Bad = (usize, String);

/// What a peer made of a request.
enum Verdict {
    Accepted,
    /// At least one alert is bad, the reason says why. What it did with the others depends.
    Refused(String),
    /// The same, or the peer lets us not in at all: a firewall before it may dislike the content of one alert. Its
    /// answer to no alert at all tells which; the error is for the second case.
    Doubtful(String, SendError),
    Failed(SendError),
}

impl Peers {
    /// With their pages for alerts and for their version.
    pub(super) fn new(client: Client, pages: Vec<(Url, Url)>) -> Self {
        let peer =
            |(alerts, status)| Peer { alerts, status, is_away: false, is_behind: false, not_before: None };
        Self { client, peers: pages.into_iter().map(peer).collect() }
    }

    /// Hands alerts to every peer. One that takes them is enough; the bad ones are those that none took.
    pub(super) fn deliver(&mut self, alerts: &[Alert], what: What) -> Result<Vec<Bad>, SendError> {
        let chosen = self.chosen(what)?;
        let mut results: Vec<Result<Vec<Bad>, SendError>> = chosen.iter().map(|_| Ok(Vec::new())).collect();
        let mut refused: Vec<Vec<(Range<usize>, String)>> = vec![Vec::new(); chosen.len()];
        let places: Vec<usize> = (0..alerts.len()).collect();
        for places in places.chunks(MAX_REQUEST) {
            let range = places[0]..places[places.len() - 1] + 1;
            // Those that failed get nothing more of this.
            let going: Vec<usize> = (0..chosen.len()).filter(|at| results[*at].is_ok()).collect();
            let body = encode::body(&alerts[range.clone()]);
            let request = |at: &usize| request(&self.peers[chosen[*at]].alerts, body.clone());
            let answers = self.client.post_all(going.iter().map(request).collect());
            for (at, answer) in going.into_iter().zip(answers) {
                match verdict(&self.peers[chosen[at]], answer) {
                    Verdict::Accepted => {}
                    Verdict::Failed(error) => results[at] = Err(error),
                    Verdict::Refused(said) | Verdict::Doubtful(said, _) => {
                        refused[at].push((range.clone(), said));
                    }
                }
            }
        }
        // Last, so that a peer that takes everything waits for none that does not.
        for (at, refused) in refused.into_iter().enumerate() {
            if results[at].is_ok() {
                results[at] = self.settle(&self.peers[chosen[at]], alerts, refused);
            }
        }
        for (at, result) in chosen.into_iter().zip(&results) {
            self.peers[at].note(result.as_ref().err(), what);
        }
        merged(results)
    }

    /// Whether a peer came back that does not know everything.
    pub(super) fn has_one_behind(&self) -> bool {
        self.peers.iter().any(|peer| peer.is_behind && !peer.is_away)
    }

    /// Tries each peer without leaving anything there.
    pub(super) fn probe(&self) -> Result<String, SendError> {
        let mut found = Vec::new();
        let mut failed = None;
        for peer in &self.peers {
            match self.look_at(peer) {
                Ok(version) => found.push(format!("{}: {version}", place(&peer.alerts))),
                Err(error) => {
                    found.push(error.to_string());
                    failed.get_or_insert(matches!(error, SendError::Unusable { .. }));
                }
            }
        }
        match failed {
            None => Ok(found.join("; ")),
            Some(true) => Err(SendError::unusable(found.join("; "))),
            Some(false) => Err(SendError::later(found.join("; "))),
        }
    }

    fn look_at(&self, peer: &Peer) -> Result<String, SendError> {
        self.accepts_nothing(peer)?;
        let version = self.client.get(&peer.status).ok().and_then(|answer| {
            let status: Value = serde_json::from_slice(&answer.body).ok()?;
            let version = status["versionInfo"]["version"].as_str()?;
            Some(version.chars().take(40).flat_map(char::escape_debug).collect::<String>())
        });
        Ok(match version {
            Some(version) => format!("Alertmanager {version}"),
            None => "takes alerts, but does not tell its version".to_owned(),
        })
    }

    /// Posts no alert at all, which only something that is no Alertmanager, or does not let us in, refuses.
    fn accepts_nothing(&self, peer: &Peer) -> Result<(), SendError> {
        match verdict(peer, self.client.post(request(&peer.alerts, encode::body([])))) {
            Verdict::Accepted => Ok(()),
            Verdict::Failed(error) | Verdict::Doubtful(_, error) => Err(error),
            Verdict::Refused(said) => Err(SendError::unusable(format!(
                "{} refuses an empty list of alerts ({said}); check `urls`: is it an Alertmanager, and is the \
                 scheme right?",
                place(&peer.alerts)
            ))),
        }
    }

    /// To whom this goes.
    fn chosen(&self, what: What) -> Result<Vec<usize>, SendError> {
        let now = Instant::now();
        let wait = |peer: &Peer| peer.not_before.and_then(|until| until.checked_duration_since(now));
        let ready: Vec<usize> = (0..self.peers.len()).filter(|at| wait(&self.peers[*at]).is_none()).collect();
        if ready.is_empty() {
            let after =
                self.peers.iter().filter_map(wait).min().map(|wait| wait.max(Duration::from_millis(1)));
            let reason = "every Alertmanager has asked to be left alone for a while".to_owned();
            return Err(SendError::Later { reason, after });
        }
        let there: Vec<usize> = ready.iter().copied().filter(|at| !self.peers[*at].is_away).collect();
        Ok(if what == What::Everything || there.is_empty() { ready } else { there })
    }

    /// Which alerts of the ranges that a peer refused it will not have.
    fn settle(
        &self,
        peer: &Peer,
        alerts: &[Alert],
        mut refused: Vec<(Range<usize>, String)>,
    ) -> Result<Vec<Bad>, SendError> {
        if !refused.is_empty() {
            self.accepts_nothing(peer)?;
        }
        let mut bad = Vec::new();
        let (mut halvings, mut is_doubtful) = (0, false);
        while let Some((range, reason)) = refused.pop() {
            if range.len() == 1 || halvings == MAX_HALVINGS {
                let reason = with_others(reason, range.len() - 1);
                bad.extend(range.map(|at| (at, reason.clone())));
                continue;
            }
            halvings += 1;
            let middle = range.start + range.len() / 2;
            for half in [range.start..middle, middle..range.end] {
                let request = request(&peer.alerts, encode::body(&alerts[half.clone()]));
                match verdict(peer, self.client.post(request)) {
                    Verdict::Accepted => {}
                    Verdict::Refused(reason) => refused.push((half, reason)),
                    Verdict::Doubtful(reason, _) => {
                        is_doubtful = true;
                        refused.push((half, reason));
                    }
                    Verdict::Failed(error) => return Err(error),
                }
            }
        }
        if is_doubtful {
            // It may have ceased to let us in meanwhile.
            self.accepts_nothing(peer)?;
        }
        Ok(bad)
    }
}

/// A reason for alerts that were not tried alone.
fn with_others(reason: String, others: usize) -> String {
    match others {
        0 => reason,
        _ => format!(
            "{reason} (to a request with {others} other alerts; too many were refused to try each alone)"
        ),
    }
}

impl Peer {
    /// Tells of a peer that goes away or comes back, once each.
    fn note(&mut self, error: Option<&SendError>, what: What) {
        match error {
            Some(error) if !self.is_away => tracing::warn!(alertmanager = place(&self.alerts), %error,
                "An Alertmanager took no alerts; it gets the state of all alerts once it is there again."),
            None if self.is_away => {
                tracing::info!(alertmanager = place(&self.alerts), "The Alertmanager takes alerts again.");
            }
            _ => {}
        }
        self.is_away = error.is_some();
        self.is_behind = self.is_away || (self.is_behind && what == What::Changes);
        self.not_before = match error {
            Some(SendError::Later { after: Some(after), .. }) => Instant::now().checked_add(*after),
            _ => None,
        };
    }
}

fn request(url: &Url, body: bytes::Bytes) -> Request {
    Request { url: url.clone(), headers: vec![("content-type", "application/json".to_owned())], body }
}

/// Scheme, host and port, for messages.
fn place(url: &Url) -> String {
    let authority = url.uri().authority().map(|authority| authority.as_str()).unwrap_or_default();
    format!("{}://{authority}", url.uri().scheme_str().unwrap_or_default())
}

fn verdict(peer: &Peer, answer: Result<Answer, NoAnswer>) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(none) => return Verdict::Failed(none.into()),
    };
    let place = place(&peer.alerts);
    let said = said(&answer);
    let doubtful =
        |what: &str| Verdict::Doubtful(said.clone(), SendError::unusable(format!("{place} {what} ({said})")));
    match answer.status {
        200..300 => Verdict::Accepted,
        401 | 403 | 407 => doubtful("does not let us in; check the credentials in `http`"),
        300..400 | 404 | 405 => doubtful("has no API v2 for alerts there; check `urls`"),
        415 => doubtful("takes no JSON; check `urls`: is it an Alertmanager?"),
        408 | 425 | 429 | 0..200 | 500.. => Verdict::Failed(SendError::Later {
            reason: format!("{place} cannot take alerts now ({said})"),
            after: answer.retry_after,
        }),
        400..500 => Verdict::Refused(said),
    }
}

/// What the Alertmanager said: a text in JSON for an alert, an object with a `message` for a request.
fn said(answer: &Answer) -> String {
    let said = serde_json::from_slice(&answer.body).ok().and_then(|said: Value| match said {
        Value::String(text) => Some(text),
        other => Some(other.get("message")?.as_str()?.to_owned()),
    });
    match said {
        Some(text) => Answer { body: text.into_bytes(), ..answer.clone() }.said(),
        None => answer.said(),
    }
}

/// One peer is enough. What one took is not bad, though others refused it.
fn merged(results: Vec<Result<Vec<Bad>, SendError>>) -> Result<Vec<Bad>, SendError> {
    let (done, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    let mut done = done.into_iter().flatten();
    if let Some(mut bad) = done.next() {
        for other in done {
            bad.retain(|(at, _)| other.iter().any(|(place, _)| place == at));
        }
        bad.sort_unstable();
        return Ok(bad);
    }
    let errors: Vec<SendError> = failed.into_iter().filter_map(Result::err).collect();
    let reason = errors.iter().map(SendError::to_string).collect::<Vec<_>>().join("; ");
    let waits = errors.iter().filter_map(|error| match error {
        SendError::Later { after, .. } => Some(after.unwrap_or_default()),
        SendError::Unusable { .. } => None,
    });
    Err(match waits.min() {
        Some(after) => SendError::Later { reason, after: Some(after).filter(|after| !after.is_zero()) },
        None => SendError::unusable(reason),
    })
}
