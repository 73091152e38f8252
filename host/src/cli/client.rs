//! Asks the running agent over its Unix socket.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::Failure;
use super::global::Global;
use crate::api::config::SOCKET;
use crate::api::problem::Problem;
use crate::config::{self, paths};

/// Answers are lists with a limit; nothing near it ever comes.
const MAX_ANSWER: usize = 256 << 20;
/// A line of a tap has 1 KiB of text, each byte of which may be written as six.
const MAX_LINE: usize = 64 << 10;
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
        self.answer(Request::get(path).body(Full::default())?)
    }

    /// Posts JSON to a path and reads the answer.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str, json: &impl Serialize) -> anyhow::Result<T> {
        let body = Full::new(serde_json::to_vec(json)?.into());
        self.answer(Request::post(path).header(CONTENT_TYPE, "application/json").body(body)?)
    }

    /// Has the agent take away what a path names, and reads the answer.
    pub(super) fn delete<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.answer(Request::delete(path).body(Full::default())?)
    }

    fn answer<T: DeserializeOwned>(&self, request: Request<Full<Bytes>>) -> anyhow::Result<T> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = async { tokio::time::timeout(PATIENCE, self.ask(request)).await };
        let (status, body) = runtime.block_on(asked).map_err(|_| self.late())??;
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        serde_json::from_slice(&body).with_context(|| {
            format!("the agent at {} answers what this version of picket does not understand; is it another version?", self.socket.display())
        })
    }

    /// Asks for lines that come one by one and hands each out, without its line end, until `each` wants no more.
    /// An error when the agent ends them.
    pub(super) fn lines(
        &self,
        path: &str,
        each: impl FnMut(&[u8]) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.read_lines(path, each))
    }

    async fn read_lines(
        &self,
        path: &str,
        mut each: impl FnMut(&[u8]) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<()> {
        let request = Request::get(path).body(Full::default())?;
        let asked = tokio::time::timeout(PATIENCE, self.open(request)).await;
        let (answer, _connection) = asked.map_err(|_| self.late())??;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut waiting: Vec<u8> = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.with_context(|| self.broken())?;
            waiting.extend_from_slice(&frame.into_data().unwrap_or_default());
            while status.is_success()
                && let Some(end) = waiting.iter().position(|byte| *byte == b'\n')
            {
                let line: Vec<u8> = waiting.drain(..=end).collect();
                if each(&line[..end])?.is_break() {
                    return Ok(());
                }
            }
            if waiting.len() > MAX_LINE {
                bail!("the agent at {} sends a line without an end", self.socket.display());
            }
        }
        match status.is_success() {
            true => Err(anyhow!("the agent at {} has stopped", self.socket.display())),
            false => Err(self.refused(status, &waiting)),
        }
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(hyper::StatusCode, Bytes)> {
        let (answer, connection) = self.open(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| anyhow!(error)).with_context(|| self.broken())?.to_bytes();
        drop(connection);
        Ok((status, body))
    }

    /// Sends a request; the answer's head, and what its body comes through.
    async fn open(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> anyhow::Result<(hyper::Response<Incoming>, Connection)> {
        let stream =
            UnixStream::connect(&self.socket).await.map_err(|error| no_agent(&self.socket, &error))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.with_context(|| self.broken())?;
        let driver = tokio::spawn(connection);
        request.headers_mut().insert(HOST, HeaderValue::from_static("picket"));
        let answer = sender.send_request(request).await.with_context(|| self.broken())?;
        Ok((answer, Connection { _sender: sender, driver }))
    }

    fn refused(&self, status: hyper::StatusCode, body: &[u8]) -> anyhow::Error {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => anyhow!("{}: {}", problem.title, problem.detail),
            Err(_) => anyhow!("the agent at {} answers {status}", self.socket.display()),
        }
    }

    fn broken(&self) -> String {
        format!("the agent at {} broke off; look at its log", self.socket.display())
    }

    fn late(&self) -> anyhow::Error {
        anyhow!("the agent at {} did not answer within {PATIENCE:?}; look at its log", self.socket.display())
    }
}

/// A connection to the agent, closed when it is dropped.
struct Connection {
    _sender: http1::SendRequest<Full<Bytes>>,
    driver: JoinHandle<hyper::Result<()>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
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
