//! The proxy's way of a request. Each that goes on has a connection of its own to the receiver.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, RETRY_AFTER, TRANSFER_ENCODING};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::{Fault, Shared};
use crate::servers::http_server::{self, Cut};

type Answer = Response<Full<Bytes>>;

/// Headers about one connection, and those that hyper writes itself.
const OF_ONE_CONNECTION: [hyper::header::HeaderName; 4] =
    [CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING];

/// Serves one connection of a sender.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    http_server::serve(stream, |request| answer(request, Arc::clone(&shared))).await;
}

async fn answer(mut request: Request<Incoming>, shared: Arc<Shared>) -> Result<Answer, Cut> {
    let fault = shared.begin();
    if fault == Fault::Reset {
        // The first piece, if there is one: more may be on the way.
        let _ = request.frame().await;
        shared.count(|counts| counts.resets += 1);
        return Err(Cut);
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    match fault {
        Fault::Answer(status, retry_after) => {
            shared.count(|counts| counts.answered += 1);
            let mut answer = Response::builder().status(status);
            if let Some(time) = retry_after {
                answer = answer.header(RETRY_AFTER, time);
            }
            return Ok(answer.body(Full::from("as told\n")).expect("a test's status is one"));
        }
        Fault::Delay(time) => tokio::time::sleep(time).await,
        Fault::Pass | Fault::Reset | Fault::LoseReply => {}
    }
    let request = Request::from_parts(head, Full::from(body.clone()));
    let (send, reply) = oneshot::channel();
    // On its own, so that the receiver gets all of it also when the sender goes away meanwhile.
    tokio::spawn(pass(shared, request, body, fault == Fault::LoseReply, send));
    reply.await.map_err(|_| Cut)
}

/// Passes a request on and gives its reply back, unless that is to be lost.
async fn pass(
    shared: Arc<Shared>,
    request: Request<Full<Bytes>>,
    body: Bytes,
    lose: bool,
    send: oneshot::Sender<Answer>,
) {
    let Ok(reply) = forward(&shared, request).await else {
        return shared.count(|counts| counts.unreachable += 1);
    };
    let accepted = reply.status().is_success();
    if lose && accepted {
        // Counted before the sender can know.
        return shared.lose(body.into());
    }
    shared.count(|counts| counts.passed += 1);
    if send.send(reply).is_err() {
        shared.count(|counts| counts.passed -= 1);
        if accepted {
            shared.lose(body.into());
        }
    }
}

async fn forward(shared: &Shared, mut request: Request<Full<Bytes>>) -> Result<Answer, Cut> {
    strip(request.headers_mut());
    let stream = TcpStream::connect(shared.upstream).await.map_err(|_| Cut)?;
    let connected = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connected.map_err(|_| Cut)?;
    let connection = tokio::spawn(connection);
    let reply = sender.send_request(request).await.map_err(|_| Cut)?;
    let (mut head, body) = reply.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    connection.abort();
    strip(&mut head.headers);
    Ok(Response::from_parts(head, Full::from(body)))
}

fn strip(headers: &mut HeaderMap) {
    for name in OF_ONE_CONNECTION {
        headers.remove(name);
    }
}
