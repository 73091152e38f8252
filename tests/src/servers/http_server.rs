//! A listener of the harness' own: on a port that can be shut and opened again, with HTTP over what it accepts.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::{JoinHandle, JoinSet};

use super::port::Port;

/// What is done with a connection.
pub(crate) type Serve = Arc<dyn Fn(TcpStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The connection is to be reset instead of an answer.
#[derive(Debug)]
pub(crate) struct Cut;

/// A port behind which connections are served, while it is open.
pub(crate) struct Gate {
    port: Port,
    serve: Serve,
    accepting: Mutex<Option<JoinHandle<Infallible>>>,
    runtime: Runtime,
}

impl Gate {
    /// An open one.
    pub(crate) fn open(serve: Serve) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread can be started");
        let gate = Self { port: Port::reserve(), serve, accepting: Mutex::default(), runtime };
        gate.reopen();
        gate
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Listens again; nothing happens when it does.
    pub(crate) fn reopen(&self) {
        let mut accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner);
        if accepting.is_some() {
            return;
        }
        let listener = self.runtime.block_on(TcpListener::bind(self.address()));
        let listener = listener.expect("the port is held for this");
        *accepting = Some(self.runtime.spawn(accept(listener, Arc::clone(&self.serve))));
    }

    /// Closes all connections and refuses new ones, as when a server has ended. Returns when it is so.
    pub(crate) fn shut(&self) {
        let mut accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = accepting.take() {
            task.abort();
            // Its only end is that it was aborted.
            let _ = self.runtime.block_on(task);
        }
    }
}

/// Takes connections until it is aborted, and they with it.
async fn accept(listener: TcpListener, serve: Serve) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves HTTP/1.1 over a connection until it ends or an answer is [`Cut`].
pub(crate) async fn serve<Answer>(stream: TcpStream, answer: impl Fn(Request<Incoming>) -> Answer)
where
    Answer: Future<Output = Result<Response<Full<Bytes>>, Cut>>,
{
    let Some((stream, socket)) = with_handle(stream) else { return };
    let service = service_fn(|request| {
        let answer = answer(request);
        async { answer.await.inspect_err(|_| reset_when_closed(&socket)).map_err(|_| "cut") }
    });
    // An error is the client's end or ours, and both are what tests do.
    let _ = hyper::server::conn::http1::Builder::new()
        // The least that there is, so that a large request is cut while it comes in.
        .max_buf_size(8192)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A connection, and a second handle by which its socket can be told how to close.
pub(crate) fn with_handle(stream: TcpStream) -> Option<(TcpStream, OwnedFd)> {
    let handle = stream.as_fd().try_clone_to_owned().ok()?;
    Some((stream, handle))
}

/// Lets a socket be reset, not ended in good order, when its last handle goes.
pub(crate) fn reset_when_closed(socket: &OwnedFd) {
    // It fails only on a socket that is gone already.
    let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
