//! A receiver of webhooks: keeps what it is sent. Tests of the `webhook` forwarder and Alertmanager's
//! notifications come here. This is the one receiver that is the harness' own: it understands nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use serde_json::Value;

use super::http_server::{self, Cut, Gate};

/// A running receiver of webhooks.
pub struct Hook {
    gate: Gate,
    shared: Arc<Shared>,
}

struct Shared {
    status: AtomicU16,
    hooked: Mutex<Vec<Hooked>>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Hooked {
    /// The path with its query.
    pub path: String,
    /// The headers, their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body: the bytes that a signature is over.
    pub body: Vec<u8>,
    /// What was answered.
    pub status: u16,
}

impl Hooked {
    /// The body as JSON; panics when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.body)))
    }
}

impl Hook {
    /// One that answers 200 `ok`, as Slack does.
    pub fn start() -> Self {
        let shared = Arc::new(Shared { status: AtomicU16::new(200), hooked: Mutex::default() });
        let served = Arc::clone(&shared);
        let gate = Gate::open(Arc::new(move |stream| {
            let shared = Arc::clone(&served);
            Box::pin(async move {
                http_server::serve(stream, |request| keep(request, Arc::clone(&shared))).await;
            })
        }));
        Self { gate, shared }
    }

    /// The URL to send to: `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.gate.address())
    }

    /// Where it listens.
    pub fn address(&self) -> std::net::SocketAddr {
        self.gate.address()
    }

    /// Answers so from now on.
    pub fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// All requests so far, in order, whatever was answered.
    pub fn requests(&self) -> Vec<Hooked> {
        self.shared.hooked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn keep(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let status = shared.status.load(Ordering::SeqCst);
    let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let hooked = Hooked {
        path: head.uri.to_string(),
        headers: head.headers.iter().map(header).collect(),
        body: body.into(),
        status,
    };
    shared.hooked.lock().unwrap_or_else(PoisonError::into_inner).push(hooked);
    let answer = Response::builder().status(status).body(Full::from("ok"));
    Ok(answer.expect("a test's status is one"))
}
