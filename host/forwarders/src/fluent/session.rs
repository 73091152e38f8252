//! A connection to the receiver: TCP, TLS and the handshake, and then chunks with their acknowledgements.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::config::Config;
use super::handshake::{Identity, shown};
use super::wire::{self, Message};
use crate::{Link, SendError};
use picket_http::tls;

/// What TCP and TLS have in common.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection over which chunks can be sent.
pub(super) struct Session {
    stream: Box<dyn Stream>,
    /// What came and is no whole message yet; never more than [`wire::MAX_MESSAGE`].
    received: Vec<u8>,
    /// Where it leads to, for messages.
    to: String,
    /// How the receiver calls itself; empty without a handshake.
    pub(super) hostname: String,
    /// The receiver allows more than one chunk.
    keepalive: bool,
    used: Instant,
    /// What may be the matter when the receiver hangs up; nothing once it has acknowledged a chunk.
    advice: &'static str,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It has nothing to do with the chunk: there is no connection, or the receiver wants something else.
    Elsewhere(SendError),
    /// A chunk was handed over, in part at least, and nobody knows what became of it.
    Unanswered(String),
}

/// After a longer rest something between us and the receiver may have forgotten the connection without a word, and
/// then a chunk would wait for its time-out.
const MAX_REST: Duration = Duration::from_secs(30);

impl Session {
    /// Connects, and goes through the handshake if a key is configured.
    pub(super) async fn open(config: &Config, link: &Link) -> Result<Self, SendError> {
        let identity = identity(config, link)?;
        let deadline = Instant::now() + config.patience();
        let mut session = Self {
            stream: connect(config, deadline).await?,
            received: Vec::new(),
            to: config.address.to_string(),
            hostname: String::new(),
            keepalive: true,
            used: Instant::now(),
            advice: match (&config.tls, &identity) {
                (None, _) => "; if it expects TLS, set `tls`",
                (Some(_), None) => "; if it expects a shared key, set `shared_key_file`",
                (Some(_), Some(_)) => "",
            },
        };
        if let Some(identity) = identity {
            session.shake_hands(&identity, deadline).await?;
        }
        Ok(session)
    }

    /// Itself, if another chunk may be sent over it: it has not rested for long, the receiver has not closed it and
    /// has nothing to say.
    pub(super) async fn if_fit(mut self) -> Option<Self> {
        let mut byte = [0];
        let is_quiet = tokio::select! {
            biased;
            _ = self.stream.read(&mut byte) => false,
            () = std::future::ready(()) => true,
        };
        let is_fit = is_quiet && self.received.is_empty() && self.keepalive && self.used.elapsed() < MAX_REST;
        is_fit.then_some(self)
    }

    /// Hands over a chunk and waits until it is acknowledged.
    pub(super) async fn hand_over(
        &mut self,
        chunk: &[u8],
        id: &str,
        patience: Duration,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + patience;
        let written = async {
            self.stream.write_all(chunk).await?;
            self.stream.flush().await
        };
        let answer = match within(deadline, written).await {
            None => {
                let reason = format!("{} did not take a chunk within {patience:?}", self.to);
                return Err(Failure::Unanswered(reason));
            }
            Some(Err(error)) if !hung_up(&error) => Some(Err(broken(&self.to, &error))),
            // What the receiver said before it hung up tells more.
            Some(_) => within(deadline, self.message()).await,
        };
        let to = &self.to;
        match answer {
            Some(Ok(Message::Ack(ack))) if ack == id.as_bytes() => {
                self.used = Instant::now();
                self.advice = "";
                Ok(())
            }
            Some(Ok(Message::Helo { .. })) => Err(Failure::Elsewhere(SendError::unusable(format!(
                "{to} asks for a shared key, and none is configured; set `shared_key_file` or `shared_key_env`"
            )))),
            Some(Ok(Message::Ack(ack))) => {
                let ack = shown(&ack);
                Err(Failure::Unanswered(format!("{to} acknowledged another chunk than it was sent: {ack}")))
            }
            Some(Ok(Message::Pong { .. })) => {
                Err(Failure::Unanswered(format!("{to} answered a chunk with a part of the handshake")))
            }
            Some(Err(SendError::Later { reason, .. })) => Err(Failure::Unanswered(reason)),
            Some(Err(error)) => Err(Failure::Elsewhere(error)),
            None => Err(Failure::Unanswered(format!(
                "{to} did not acknowledge a chunk within {patience:?}; it must be told to acknowledge, and to take \
                 chunks of a megabyte"
            ))),
        }
    }

    /// Answers `HELO`, and checks that the receiver knows the key as well.
    async fn shake_hands(&mut self, identity: &Identity, deadline: Instant) -> Result<(), SendError> {
        let to = self.to.clone();
        let helo = within(deadline, self.message()).await.ok_or_else(|| {
            SendError::unusable(format!(
                "{to} did not ask for the shared key in time; if it is up, configure the key there as well, or remove \
                 `shared_key_file` and `shared_key_env` here"
            ))
        })??;
        let Message::Helo { nonce, auth, keepalive } = helo else {
            return Err(SendError::unusable(format!("{to} did not begin the handshake with HELO")));
        };
        let salt = salt(&to)?;
        let ping = identity.ping(&salt, &nonce, &auth);
        let answer = async {
            self.stream.write_all(&ping).await.map_err(|error| broken(&to, &error))?;
            self.stream.flush().await.map_err(|error| broken(&to, &error))?;
            self.message().await
        };
        let answer = within(deadline, answer).await;
        let pong = answer.ok_or_else(|| SendError::later(format!("{to} did not answer PING in time")))??;
        let denied = |denied| SendError::unusable(format!("{to}: {denied}"));
        self.hostname = identity.verify(&salt, &nonce, &pong).map_err(denied)?;
        self.keepalive = keepalive;
        Ok(())
    }

    /// The receiver's next message.
    async fn message(&mut self) -> Result<Message, SendError> {
        loop {
            let found = wire::message(&self.received).map_err(|alien| {
                SendError::unusable(format!(
                    "{} sent {alien}; check `address`, and `tls`, which must be set here if it is set there",
                    self.to
                ))
            })?;
            if let Some((message, taken)) = found {
                self.received.drain(..taken);
                return Ok(message);
            }
            let mut more = [0; 512];
            let room = more.len().min(wire::MAX_MESSAGE - self.received.len());
            match self.stream.read(&mut more[..room]).await {
                Ok(0) => {
                    let reason = format!("{} closed the connection{}", self.to, self.advice);
                    return Err(SendError::later(reason));
                }
                Ok(read) => self.received.extend_from_slice(&more[..read]),
                Err(error) => return Err(broken(&self.to, &error)),
            }
        }
    }
}

/// TCP, and TLS where it is configured.
async fn connect(config: &Config, deadline: Instant) -> Result<Box<dyn Stream>, SendError> {
    let to = &config.address;
    let tcp = within(deadline, TcpStream::connect((to.host.as_str(), to.port))).await;
    let tcp = match tcp {
        Some(Ok(tcp)) => tcp,
        Some(Err(error)) => return Err(SendError::later(format!("cannot connect to {to}: {error}"))),
        None => {
            return Err(SendError::later(format!("cannot connect to {to} within {:?}", config.patience())));
        }
    };
    // An acknowledgement is waited for after each chunk: its last segment must not wait for more.
    tcp.set_nodelay(true).map_err(|error| SendError::later(format!("cannot set up {to}: {error}")))?;
    let Some(wanted) = &config.tls else { return Ok(Box::new(tcp)) };
    let unusable = |error: tls::TlsError| SendError::unusable(error.to_string());
    let settings = tls::client_config(wanted).map_err(unusable)?;
    let name = tls::server_name(wanted, &to.host).map_err(unusable)?;
    match within(deadline, TlsConnector::from(settings).connect(name, tcp)).await {
        Some(Ok(stream)) => Ok(Box::new(stream)),
        Some(Err(error)) => Err(match broken(&to.to_string(), &error) {
            SendError::Later { reason, .. } => {
                SendError::later(format!("{reason}; if it does not expect TLS, remove `tls`"))
            }
            unusable => unusable,
        }),
        None => Err(SendError::later(format!("TLS with {to} took longer than {:?}", config.patience()))),
    }
}

/// Who we are, from what the files hold now; none when no key is configured.
fn identity(config: &Config, link: &Link) -> Result<Option<Identity>, SendError> {
    let unusable = |error: picket_http::secret::SecretError| SendError::unusable(error.to_string());
    let Some(key) = config.shared_key().map_err(unusable)? else { return Ok(None) };
    Ok(Some(Identity::new(&link.node, key, config.user().map_err(unusable)?)))
}

/// 128 random bits in hexadecimal.
fn salt(to: &str) -> Result<String, SendError> {
    let mut bytes = [0; 16];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| {
        SendError::later(format!("no handshake with {to}: this system gives no random numbers"))
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A connection ended. What TLS says of it is told as something to be put right: a receiver that wants a certificate
/// says so only after the handshake.
fn broken(to: &str, error: &io::Error) -> SendError {
    match tls::explained(error) {
        Some(cause) => SendError::unusable(format!("TLS with {to} failed: {cause}")),
        None => SendError::later(format!("{to} broke off: {error}")),
    }
}

/// The receiver hung up on us; it may have said why before.
fn hung_up(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// The result, or none when it took too long.
async fn within<T>(deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at(deadline.into(), work).await.ok()
}
