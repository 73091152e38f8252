//! A receiver on loopback that behaves as told. It reads the Forward protocol with `rmp-serde`, not with the code
//! under test.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use sha2::{Digest as _, Sha512};

use crate::fluent::Address;

/// Bytes, written as binary or as a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// An extension type.
#[derive(Debug, Deserialize)]
#[serde(rename = "_ExtStruct")]
struct Extension((i8, Bytes));

#[derive(Debug, Deserialize)]
struct Options {
    size: usize,
    chunk: String,
    compressed: Option<String>,
}

/// A chunk as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    /// Counted from 0, over all connections.
    pub(super) number: usize,
    pub(super) connection: usize,
    pub(super) tag: String,
    pub(super) id: String,
    pub(super) size: usize,
    pub(super) is_gzip: bool,
    /// Of the entries, uncompressed.
    pub(super) bytes: usize,
    /// Seconds, nanoseconds and record.
    pub(super) entries: Vec<(u32, u32, serde_json::Value)>,
}

impl Chunk {
    /// The values of samples.
    pub(super) fn numbers(&self) -> Vec<f64> {
        self.entries.iter().map(|(_, _, record)| record["value"].as_f64().unwrap()).collect()
    }

    fn from((tag, bytes, options): (String, Bytes, Options), number: usize, connection: usize) -> Self {
        let is_gzip = options.compressed.as_deref() == Some("gzip");
        let mut unpacked = Vec::new();
        match is_gzip {
            true => drop(flate2::read::MultiGzDecoder::new(&*bytes.0).read_to_end(&mut unpacked).unwrap()),
            false => unpacked = bytes.0,
        }
        let entries = entries(&unpacked);
        let (id, size) = (options.chunk, options.size);
        Self { number, connection, tag, id, size, is_gzip, bytes: unpacked.len(), entries }
    }
}

/// Reads entries end to end.
pub(super) fn entries(mut bytes: &[u8]) -> Vec<(u32, u32, serde_json::Value)> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (Extension((kind, time)), record): (Extension, serde_json::Value) =
            rmp_serde::from_read(&mut bytes).unwrap();
        assert_eq!((kind, time.0.len()), (0, 8));
        let part = |at: usize| u32::from_be_bytes(time.0[at..at + 4].try_into().unwrap());
        entries.push((part(0), part(4), record));
    }
    entries
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Reaction {
    Ack,
    AckAndClose,
    /// With another id.
    Wrong,
    Silence,
    Close,
    Say(&'static [u8]),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Nonce {
    /// As Fluentd.
    Binary,
    /// As Fluent Bit: a string that is no UTF-8.
    Text,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Security {
    pub(super) key: &'static str,
    pub(super) user: Option<(&'static str, &'static str)>,
    pub(super) nonce: Nonce,
    pub(super) hostname: &'static str,
    /// It lets everyone in, and does not know the key.
    pub(super) liar: bool,
}

pub(super) struct Receiver {
    port: u16,
    seen: Arc<Mutex<Vec<Chunk>>>,
}

/// What a connection is made of.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

impl Receiver {
    pub(super) fn start(
        security: Option<Security>,
        react: impl Fn(&Chunk) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        Self::listening(None, security, react)
    }

    pub(super) fn secured(certificate: &Path, key: &Path) -> Self {
        let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
            .unwrap();
        Self::listening(Some(Arc::new(config)), None, |_| Reaction::Ack)
    }

    fn listening(
        tls: Option<Arc<rustls::ServerConfig>>,
        security: Option<Security>,
        react: impl Fn(&Chunk) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, react) = (seen.clone(), Arc::new(react));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (log, react, tls) = (log.clone(), react.clone(), tls.clone());
                // The client may hang up whenever it likes.
                std::thread::spawn(move || {
                    let stream: Box<dyn Stream> = match tls {
                        Some(tls) => {
                            let tls = rustls::ServerConnection::new(tls).unwrap();
                            Box::new(rustls::StreamOwned::new(tls, stream.unwrap()))
                        }
                        None => Box::new(stream.unwrap()),
                    };
                    serve(stream, connection, security, &log, &*react)
                });
            }
        });
        Self { port, seen }
    }

    pub(super) fn address(&self) -> Address {
        format!("127.0.0.1:{}", self.port).parse().unwrap()
    }

    pub(super) fn seen(&self) -> Vec<Chunk> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(
    stream: Box<dyn Stream>,
    connection: usize,
    security: Option<Security>,
    log: &Mutex<Vec<Chunk>>,
    react: &dyn Fn(&Chunk) -> Reaction,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    if let Some(security) = security
        && !shake_hands(&mut stream, security)?
    {
        return Ok(());
    }
    while let Ok(message) = rmp_serde::from_read(&mut stream) {
        let mut seen = log.lock().unwrap();
        let chunk = Chunk::from(message, seen.len(), connection);
        seen.push(chunk.clone());
        drop(seen);
        let ack = |id: &str| rmp_serde::to_vec(&BTreeMap::from([("ack", id)])).unwrap();
        let reaction = react(&chunk);
        match reaction {
            Reaction::Ack | Reaction::AckAndClose => stream.get_mut().write_all(&ack(&chunk.id))?,
            Reaction::Wrong => stream.get_mut().write_all(&ack("another"))?,
            Reaction::Say(words) => stream.get_mut().write_all(words)?,
            Reaction::Silence | Reaction::Close => {}
        }
        stream.get_mut().flush()?;
        if matches!(reaction, Reaction::Close | Reaction::AckAndClose) {
            break;
        }
    }
    Ok(())
}

const RANDOM: [u8; 16] = [0xff, 0xfe, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x80];

fn shake_hands(stream: &mut BufReader<Box<dyn Stream>>, security: Security) -> io::Result<bool> {
    let kind = match security.nonce {
        Nonce::Binary => &[0xc4, 16][..],
        Nonce::Text => &[0xb0][..],
    };
    let random = [kind, &RANDOM].concat();
    let helo =
        [&b"\x92\xa4HELO\x83\xa5nonce"[..], &random, b"\xa4auth", &random, b"\xa9keepalive\xc3"].concat();
    stream.get_mut().write_all(&helo)?;
    stream.get_mut().flush()?;
    let Ok(ping) = rmp_serde::from_read::<_, [String; 6]>(&mut *stream) else { return Ok(false) };
    let [_, hostname, salt, digest, username, password] = ping;
    let hex = |parts: &[&[u8]]| {
        Sha512::digest(parts.concat()).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let proof = |name: &str| hex(&[salt.as_bytes(), name.as_bytes(), &RANDOM, security.key.as_bytes()]);
    let expected = security
        .user
        .map(|(name, password)| (name.to_owned(), hex(&[&RANDOM, name.as_bytes(), password.as_bytes()])));
    let reason = match () {
        () if security.liar || hostname == security.hostname => "",
        () if digest != proof(&hostname) => "shared key mismatch",
        () if expected.is_some_and(|expected| expected != (username, password)) => {
            "username/password mismatch"
        }
        () => "",
    };
    let proof = if security.liar { "00".repeat(64) } else { proof(security.hostname) };
    let pong = ("PONG", reason.is_empty(), reason, security.hostname, proof);
    stream.get_mut().write_all(&rmp_serde::to_vec(&pong).unwrap())?;
    stream.get_mut().flush()?;
    Ok(reason.is_empty())
}
