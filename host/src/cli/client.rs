//! Asks the running agent over its Unix socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::Failure;
use super::global::Global;
use crate::api::config::SOCKET;
use crate::api::problem::Problem;
use crate::config::{self, paths};

/// Answers are lists with a limit; nothing near it ever comes.
const MAX_ANSWER: usize = 256 << 20;
/// The agent's own bound is shorter.
const PATIENCE: Duration = Duration::from_secs(60);

/// The agent behind a socket.
pub(super) struct Client {
    socket: PathBuf,
}

impl Client {
    /// The agent of the given socket, else of the configuration.
    pub(super) fn new(global: &Global, socket: Option<&Path>) -> Result<Self, Failure> {
        let socket = match socket {
            Some(socket) => socket.to_owned(),
            None => match global.load() {
                Ok(checked) => checked.api.socket,
                // The agent runs on with the last good one, and tells what is wrong with this one.
                Err(problems) => match config::socket(&global.options()) {
                    Some(socket) => socket,
                    // Who names a configuration means that one. Without one, a machine may have none.
                    None if global.config.is_some() => return Err(problems.into()),
                    None => paths::data_dir().join(SOCKET),
                },
            },
        };
        Ok(Self { socket })
    }

    /// Asks for a path with its query and reads the answer.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = async { tokio::time::timeout(PATIENCE, self.ask(path)).await };
        let (status, body) = runtime.block_on(asked).map_err(|_| {
            anyhow!(
                "the agent at {} did not answer within {PATIENCE:?}; look at its log",
                self.socket.display()
            )
        })??;
        if !status.is_success() {
            match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => bail!("{}: {}", problem.title, problem.detail),
                Err(_) => bail!("the agent at {} answers {status}", self.socket.display()),
            }
        }
        serde_json::from_slice(&body).with_context(|| {
            format!("the agent at {} answers what this version of picket does not understand; is it another version?", self.socket.display())
        })
    }

    async fn ask(&self, path: &str) -> anyhow::Result<(hyper::StatusCode, Bytes)> {
        let stream =
            UnixStream::connect(&self.socket).await.map_err(|error| no_agent(&self.socket, &error))?;
        let broken = || format!("the agent at {} broke off; look at its log", self.socket.display());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.with_context(broken)?;
        let driver = tokio::spawn(connection);
        let request =
            hyper::Request::get(path).header(hyper::header::HOST, "picket").body(Empty::<Bytes>::new())?;
        let answer = sender.send_request(request).await.with_context(broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| anyhow!(error)).with_context(broken)?.to_bytes();
        driver.abort();
        Ok((status, body))
    }
}

fn no_agent(socket: &Path, error: &io::Error) -> anyhow::Error {
    let socket = socket.display();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => anyhow!(
            "no agent runs at {socket}; start one with `picket run`, or name the configuration of another with --config"
        ),
        io::ErrorKind::PermissionDenied => {
            anyhow!("{socket} is closed to you; ask as root or as the user that the agent runs as")
        }
        _ => anyhow!("the agent at {socket} cannot be asked: {error}"),
    }
}

/// A value for a query, with everything but letters, digits and `-._~` as `%XX` (RFC 3986).
pub(super) fn encode(value: &str) -> String {
    value.bytes().fold(String::with_capacity(value.len()), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    })
}
