//! The proxy's way of a connection whose protocol it does not know.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::{Fault, Shared};
use crate::servers::http_server::{reset_when_closed, with_handle};

/// How much is passed in one piece.
const PIECE: usize = 16 << 10;

/// Serves one connection of a sender.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let Some((mut stream, socket)) = with_handle(stream) else { return };
    let fault = shared.begin();
    match fault {
        Fault::Reset => {
            let _ = stream.read(&mut [0; PIECE]).await;
            shared.count(|counts| counts.resets += 1);
            return reset_when_closed(&socket);
        }
        Fault::Delay(time) => tokio::time::sleep(time).await,
        // Not planned for bytes: they have no status.
        Fault::Answer(..) | Fault::Pass | Fault::LoseReply => {}
    }
    let Ok(mut upstream) = TcpStream::connect(shared.upstream).await else {
        shared.count(|counts| counts.unreachable += 1);
        return reset_when_closed(&socket);
    };
    if fault == Fault::LoseReply {
        if until_reply(&mut stream, &mut upstream).await.is_ok_and(|replied| replied) {
            shared.count(|counts| counts.lost += 1);
            reset_when_closed(&socket);
        }
        return;
    }
    if copy_bidirectional(&mut stream, &mut upstream).await.is_ok() {
        shared.count(|counts| counts.passed += 1);
    }
}

/// Passes bytes both ways until the receiver says something after the sender did; whether it has.
async fn until_reply(sender: &mut TcpStream, upstream: &mut TcpStream) -> std::io::Result<bool> {
    let (mut sent, mut received) = ([0; PIECE], [0; PIECE]);
    let mut has_sent = false;
    loop {
        tokio::select! {
            read = sender.read(&mut sent) => match read? {
                0 => return Ok(false),
                length => {
                    upstream.write_all(&sent[..length]).await?;
                    has_sent = true;
                }
            },
            read = upstream.read(&mut received) => match read? {
                0 => return Ok(false),
                _ if has_sent => return Ok(true),
                length => sender.write_all(&received[..length]).await?,
            }
        }
    }
}
