//! A receiver for tests: a real HTTP server on loopback that answers as it is told and remembers what it got.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::Link;

/// One runtime for all tests, as the agent has one for all forwarders.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be started")
});

/// What a forwarder under test works with, on a node called `node-1`.
pub(crate) fn link() -> Link {
    let (_, stop) = watch::channel(None);
    Link::new(RUNTIME.handle().clone(), "node-1", stop)
}

/// A request that came in.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

/// The server; it ends with the process.
pub(crate) struct Server {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.to_owned() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl Seen {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }
}

impl Server {
    /// Answers each request, given with its number from 0; none breaks the connection off instead.
    pub(crate) fn start(answer: impl Fn(&Seen, usize) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("loopback has a port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, noted) = (Arc::new(answer), Arc::clone(&seen));
        let numbers = Arc::new(AtomicUsize::new(0));
        RUNTIME.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, noted, numbers) =
                    (Arc::clone(&answer), Arc::clone(&noted), Arc::clone(&numbers));
                let serve = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let (answer, noted, numbers) =
                        (Arc::clone(&answer), Arc::clone(&noted), Arc::clone(&numbers));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                        let path = head.uri.path().to_owned();
                        let seen = Seen { method: head.method, path, headers: head.headers, body };
                        noted.lock().expect("no test panics in here").push(seen.clone());
                        let reply = answer(&seen, numbers.fetch_add(1, Ordering::Relaxed))
                            .ok_or("broken off on purpose")?;
                        let mut response = Response::builder().status(reply.status);
                        for (name, value) in reply.headers {
                            response = response.header(name, value);
                        }
                        Ok::<_, &str>(
                            response.body(Full::new(Bytes::from(reply.body))).expect("a fine response"),
                        )
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
            Ok::<(), Infallible>(())
        });
        Self { address, seen }
    }

    /// Answers always the same.
    pub(crate) fn always(reply: Reply) -> Self {
        Self::start(move |_, _| Some(reply.clone()))
    }

    /// A URL of it with this path.
    pub(crate) fn url(&self, path: &str) -> picket_http::Url {
        format!("http://{}{path}", self.address).parse().expect("a URL")
    }

    /// What came in so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panics in here").clone()
    }

    /// The same, forgotten afterwards.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().expect("no test panics in here"))
    }
}

/// A URL where nobody listens.
pub(crate) fn nowhere(path: &str) -> picket_http::Url {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    let address = socket.local_addr().expect("a bound socket has an address");
    drop(socket);
    format!("http://{address}{path}").parse().expect("a URL")
}

/// The forwarders of a kind that `docs/forwarders.md` shows, without the key `kind`.
pub(crate) fn documented(kind: &str) -> Vec<toml::Table> {
    let document = include_str!("../../../../docs/forwarders.md");
    let blocks = document.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    let tables =
        blocks.flat_map(|block| match block.parse::<toml::Table>().expect("TOML").remove("forwarders") {
            Some(toml::Value::Table(forwarders)) => forwarders,
            other => panic!("no forwarders in {block}: {other:?}"),
        });
    tables
        .filter_map(|(_, table)| table.as_table().cloned())
        .filter_map(|mut table| (table.remove("kind")?.as_str() == Some(kind)).then_some(table))
        .collect()
}
