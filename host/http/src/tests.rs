//! The HTTP client against receivers on loopback that are slow, broken, secured, or behind a proxy.
#![allow(clippy::unwrap_used, reason = "tests")]

mod broken;
mod plain;
mod proxied;
mod secured;
mod server;

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::*;
use crate::Net;

/// A client and what it runs in.
struct Rig {
    client: Client,
    stop: watch::Sender<Option<Instant>>,
    answered: Arc<Mutex<Vec<Duration>>>,
    runtime: Runtime,
}

impl Rig {
    /// With a configuration that says nothing of proxies: none is used, whatever the environment says.
    fn new(config: &str) -> Self {
        let mut config: Config = toml::from_str(config).unwrap();
        config.proxy.get_or_insert_with(|| "none".to_owned());
        Self::with(&config)
    }

    fn with(config: &Config) -> Self {
        // One worker: what the network brings is handled in the order in which it came.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (stop, stopped) = watch::channel(None);
        let answered = Arc::new(Mutex::new(Vec::new()));
        let told = answered.clone();
        let net =
            Net::new(runtime.handle().clone(), stopped).timing(move |after| told.lock().unwrap().push(after));
        Self { client: Client::new(config, &net).unwrap(), stop, answered, runtime }
    }

    /// Returns once the runtime has handled all that the network had brought before, and what follows from it: a
    /// connection whose answer was read is free again, one that was closed is gone. Its one worker takes what is
    /// ready in rounds, and what it takes in the second round from here on comes after all that was ready in the first.
    fn settle(&self) {
        let port = server::listen(|mut stream, _| stream.write_all(b"x"));
        for _ in 0..2 {
            let round = async move {
                let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream.read_u8().await.unwrap()
            };
            self.runtime.block_on(self.runtime.spawn(round)).unwrap();
        }
    }

    fn post(&self, url: &str, body: &str) -> Result<Answer, NoAnswer> {
        self.client.post(request(url, body))
    }
}

fn request(url: &str, body: &str) -> Request {
    let headers = vec![("content-type", "text/plain".to_owned())];
    Request { url: url.parse().unwrap(), headers, body: Bytes::copy_from_slice(body.as_bytes()) }
}
