//! A receiver on loopback that decodes what it gets and answers as a script says; and one that takes samples by
//! the rules of Prometheus.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::runtime::Handle;

use super::super::message::{Label, WriteRequest};

/// A request that came.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) request: WriteRequest,
}

/// What is answered.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// A status and a text.
    Says(u16, String),
    /// 429 with `Retry-After`, in seconds.
    Busy(u32),
    /// Nothing: the connection breaks.
    Lost,
}

type Script = Box<dyn FnMut(&Received) -> Reply + Send>;

/// The receiver; it lives as long as the runtime.
pub(super) struct Receiver {
    pub(super) port: u16,
    pub(super) received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    pub(super) fn start(runtime: &Handle, script: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let received = Arc::new(Mutex::new(Vec::new()));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = received.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, kept) = (script.clone(), kept.clone());
                let service = service_fn(move |request| answer(request, script.clone(), kept.clone()));
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { port, received }
    }

    /// The numbers of samples of the requests so far.
    pub(super) fn sizes(&self) -> Vec<usize> {
        let samples =
            |received: &Received| received.request.timeseries.iter().map(|series| series.samples.len()).sum();
        self.received.lock().unwrap().iter().map(samples).collect()
    }
}

async fn answer(
    request: Request<Incoming>,
    script: Arc<Mutex<Script>>,
    kept: Arc<Mutex<Vec<Received>>>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let plain = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    let request = WriteRequest::decode(plain.as_slice()).unwrap();
    let received = Received { headers: head.headers, body, request };
    let reply = script.lock().unwrap()(&received);
    kept.lock().unwrap().push(received);
    let response = Response::builder();
    match reply {
        Reply::Says(status, text) => Ok(response.status(status).body(Full::from(text)).unwrap()),
        Reply::Busy(seconds) => {
            Ok(response.status(429).header("retry-after", seconds).body(Full::default()).unwrap())
        }
        Reply::Lost => Err(std::io::Error::other("lost")),
    }
}

/// Everything is fine.
pub(super) fn accepted() -> Reply {
    Reply::Says(204, String::new())
}

/// Takes samples as Prometheus does: a request as a whole or not at all, the samples of a series in order only, and
/// none that is an hour older than the newest of all.
#[derive(Debug, Default)]
pub(super) struct Prometheus {
    pub(super) stored: BTreeMap<Vec<Label>, Vec<(i64, u64)>>,
    newest: i64,
}

impl Prometheus {
    pub(super) fn write(&mut self, request: &WriteRequest) -> Reply {
        let floor = self.newest - 3_600_000;
        let (mut stored, mut newest) = (self.stored.clone(), self.newest);
        for series in &request.timeseries {
            assert!(series.samples.is_sorted_by(|left, right| left.timestamp < right.timestamp));
            assert!(series.labels.is_sorted_by(|left, right| left.name < right.name));
            let own = stored.entry(series.labels.clone()).or_default();
            for sample in &series.samples {
                let new = (sample.timestamp, sample.value.to_bits());
                let refused = match own.last() {
                    _ if new.0 < floor => "out of bounds",
                    Some(last) if *last == new => continue,
                    Some(last) if last.0 == new.0 => "duplicate sample for timestamp",
                    Some(last) if last.0 > new.0 => "out of order sample",
                    _ => {
                        own.push(new);
                        newest = newest.max(new.0);
                        continue;
                    }
                };
                return Reply::Says(400, format!("{refused}\n"));
            }
        }
        (self.stored, self.newest) = (stored, newest);
        accepted()
    }
}
