//! Serves the routes on the listeners, within bounds: connections at once, the size of a request's head,
//! the time a client may take.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse as _;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, watch};

use super::config::Endpoints;
use super::listener::{self, Accept, ListenError};
use super::metrics::Metrics;
use super::patience::Patient;
use super::problem::{Code, Problem};
use super::prometheus as data_source;
use super::reload::Reloads;
use super::routes::{Shared, router};
use super::view::View;

/// A request's head holds a path and a few headers.
const MAX_HEAD: usize = 32 << 10;
/// Threads for answers that read files.
const BLOCKING_THREADS: usize = 8;
/// How long answers under way may take after the stop.
const FINISH: Duration = Duration::from_secs(2);

/// The API cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener cannot be made.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There are no threads.
    #[error("the API's threads cannot be started: {0}")]
    Threads(#[source] std::io::Error),
}

/// The running API. [`stop`](Server::stop) it before what its view shows.
pub struct Server {
    runtime: Runtime,
    view: Arc<dyn View>,
    stop: watch::Sender<bool>,
    address: Option<SocketAddr>,
}

/// Starts listening. What the registry holds is shown under `/metrics`.
pub fn start(
    endpoints: &Endpoints,
    view: Arc<dyn View>,
    registry: prometheus::Registry,
    metrics: Metrics,
) -> Result<Server, StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("picket-api")
        .worker_threads(1)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(StartError::Threads)?;
    let (stop, stopped) = watch::channel(false);
    let shared = Shared {
        view: view.clone(),
        registry,
        metrics,
        reloads: Arc::new(Reloads::default()),
        timeout: endpoints.timeout,
        query_timeout: endpoints.query_timeout,
        room: data_source::Room::default(),
    };
    let bounds = Bounds { timeout: endpoints.timeout, stopped };
    let (tcp, unix) = runtime.block_on(async {
        let tcp = match endpoints.listen {
            Some(address) => Some(listener::tcp(address).await?),
            None => None,
        };
        Ok::<_, ListenError>((tcp, listener::unix(&endpoints.socket)?))
    })?;
    let address = tcp.as_ref().and_then(|listener| listener.local_addr().ok());
    if let Some(tcp) = tcp {
        runtime.spawn(accept(tcp, shared.clone(), bounds.clone(), endpoints.connections));
    }
    runtime.spawn(accept(unix, shared, bounds, endpoints.connections));
    Ok(Server { runtime, view, stop, address })
}

impl Server {
    /// The address of the loopback listener: the real port when port 0 was configured.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Takes no more requests, lets those under way finish for a moment, and removes the socket.
    pub fn stop(self) {
        // They have no end of their own.
        self.view.end_taps();
        self.stop.send_replace(true);
        self.runtime.block_on(async {
            let _ = tokio::time::timeout(FINISH, self.stop.closed()).await;
        });
        self.runtime.shutdown_timeout(FINISH);
    }
}

/// What every connection gets.
#[derive(Clone)]
struct Bounds {
    timeout: Duration,
    /// Becomes true at the stop. Every task holds a clone, so that the sender sees when all are done.
    stopped: watch::Receiver<bool>,
}

/// How long to wait before accepting again when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Bounds {
    async fn stopped(&mut self) {
        // An error means that the sender is gone, which is a stop too.
        let _ = self.stopped.wait_for(|&stopped| stopped).await;
    }
}

/// Accepts connections until the stop.
async fn accept<A: Accept>(listener: A, shared: Shared, mut bounds: Bounds, connections: usize) {
    let open = shared.metrics.connections.with_label_values(&[A::NAME]);
    let stalled = shared.metrics.stalled.clone();
    let router = router(shared, A::ACCESS);
    let room = Arc::new(Semaphore::new(connections));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = bounds.stopped() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "The API could not accept a connection; it goes on trying.");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let is_trusted = A::is_trusted(&stream);
        let stream = Patient::new(stream, bounds.timeout, stalled.clone());
        let router = if is_trusted { router.clone() } else { refusal() };
        let (bounds, open) = (bounds.clone(), open.clone());
        tokio::spawn(async move {
            open.inc();
            serve(stream, router, bounds).await;
            open.dec();
            drop(permit);
        });
    }
}

/// Answers those who got to the socket without being root or the agent's own user.
fn refusal() -> Router {
    Router::new().fallback(|| async {
        Problem::new(Code::Forbidden, "only root and the agent's own user may use this socket")
            .into_response()
    })
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send, router: Router, mut bounds: Bounds) {
    let service = TowerToHyperService::new(router);
    let mut http = hyper::server::conn::http1::Builder::new();
    // The header timeout also closes connections that idle between two requests.
    http.timer(TokioTimer::new()).header_read_timeout(bounds.timeout).max_buf_size(MAX_HEAD);
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Errors are the client's: it broke off, or spoke no HTTP.
        _ = connection.as_mut() => return,
        () = bounds.stopped() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
