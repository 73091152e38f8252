//! A target of scrapes that does as it likes: the same answer to every request, slow or without end where a test wants
//! that. Well-behaved pages are those of real servers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::http_server::Gate;

/// What a target does with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// A page.
    Text(String),
    /// A page that goes on for as long as it is read.
    Endless,
    /// No answer at all.
    Silent,
    /// A page for who brings this bearer token, and 401 for others.
    Guarded(&'static str),
}

/// A running target.
pub struct Target {
    gate: Gate,
    page: Arc<Mutex<Page>>,
}

impl Target {
    /// One that answers so.
    pub fn start(page: Page) -> Self {
        let page = Arc::new(Mutex::new(page));
        let served = Arc::clone(&page);
        let gate = Gate::open(Arc::new(move |stream| {
            let page = served.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Box::pin(async move {
                // An error is the end of who scrapes.
                let _ = serve(stream, page).await;
            })
        }));
        Self { gate, page }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.gate.address()
    }

    /// Closes all connections and refuses new ones until it is [opened again](Self::reopen).
    pub fn shut(&self) {
        self.gate.shut();
    }

    /// Listens again, at the same address; nothing happens when it does.
    pub fn reopen(&self) {
        self.gate.reopen();
    }

    /// Answers so from now on.
    pub fn answer(&self, page: Page) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }
}

/// One request and its answer: connections are not kept.
async fn serve(mut stream: TcpStream, page: Page) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && request.len() < 8192 {
        request.push(stream.read_u8().await?);
    }
    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    match page {
        Page::Text(text) => {
            let answer = format!("{head}content-length: {}\r\n\r\n{text}", text.len());
            stream.write_all(answer.as_bytes()).await
        }
        Page::Endless => {
            stream.write_all(format!("{head}\r\n").as_bytes()).await?;
            loop {
                stream.write_all(b"endless 1\n").await?;
            }
        }
        Page::Silent => std::future::pending().await,
        Page::Guarded(token) => {
            let is_known = String::from_utf8_lossy(&request).contains(&format!("Bearer {token}\r\n"));
            let (status, text) =
                if is_known { ("200 OK", "guarded 1\n") } else { ("401 Unauthorized", "no\n") };
            let answer = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            );
            stream.write_all(answer.as_bytes()).await
        }
    }
}
