//! Receivers and proxies on loopback that behave as a test says, one thread for each connection.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Counted from 0.
    pub connection: usize,
    pub line: String,
    /// In small letters, each with its value.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What becomes of a connection after an answer.
#[derive(PartialEq)]
pub(super) enum Then {
    Keep,
    Close,
}

pub(super) struct Server {
    pub port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers each request with what is returned, and keeps the connection open.
    pub(super) fn answering(answer: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Self {
        Self::new(None, move |seen, to| to.write_all(answer(seen).as_bytes()).map(|()| Then::Keep))
    }

    /// The same over TLS.
    pub(super) fn secured(
        tls: ServerConfig,
        answer: impl Fn(&Seen) -> String + Send + Sync + 'static,
    ) -> Self {
        let tls = Some(Arc::new(tls));
        Self::new(tls, move |seen, to| to.write_all(answer(seen).as_bytes()).map(|()| Then::Keep))
    }

    /// Calls for each request.
    pub(super) fn new(
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Seen, &mut dyn Write) -> io::Result<Then> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let port = listen(move |stream, connection| {
            let Some(tls) = tls.clone() else { return serve(stream, connection, &log, &answer) };
            let tls = StreamOwned::new(ServerConnection::new(tls).unwrap(), stream);
            serve(tls, connection, &log, &answer)
        });
        Self { port, seen }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

/// Listens, and has each connection, numbered from 0, served by a thread of its own.
pub(super) fn listen(serve: impl Fn(TcpStream, usize) -> io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (connection, stream) in listener.incoming().enumerate() {
            let (stream, serve) = (stream.unwrap(), serve.clone());
            // What a connection ends with is what the test is about: the client has to tell.
            thread::spawn(move || serve(stream, connection));
        }
    });
    port
}

fn serve(
    mut stream: impl Read + Write,
    connection: usize,
    log: &Mutex<Vec<Seen>>,
    answer: &impl Fn(&Seen, &mut dyn Write) -> io::Result<Then>,
) -> io::Result<()> {
    while let Some(seen) = request(&mut stream, connection)? {
        log.lock().unwrap().push(seen.clone());
        let then = answer(&seen, &mut stream)?;
        stream.flush()?;
        if then == Then::Close {
            break;
        }
    }
    Ok(())
}

/// Reads a request; none at the end.
pub(super) fn request(stream: &mut impl Read, connection: usize) -> io::Result<Option<Seen>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default().to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut seen = Seen { connection, line, headers, body: Vec::new() };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    seen.body.resize(length, 0);
    stream.read_exact(&mut seen.body)?;
    Ok(Some(seen))
}

/// A proxy: it makes tunnels to this machine, and hands on nothing else but answers itself. Returns its port.
pub(super) fn tunnels(log: Arc<Mutex<Vec<Seen>>>, wants: Option<&'static str>) -> u16 {
    listen(move |mut stream, connection| {
        let Some(seen) = request(&mut stream, connection)? else { return Ok(()) };
        log.lock().unwrap().push(seen.clone());
        if wants.is_some() && seen.header("proxy-authorization") != wants {
            return stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        }
        let port: u16 = seen.line.split([':', ' ']).nth(2).unwrap().parse().unwrap();
        let Ok(receiver) = TcpStream::connect(("127.0.0.1", port)) else {
            return stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
        };
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let (mut from, mut to) = (stream.try_clone()?, receiver.try_clone()?);
        thread::spawn(move || {
            let copied = io::copy(&mut from, &mut to);
            to.shutdown(Shutdown::Write).and(copied)
        });
        let (mut from, mut to) = (receiver, stream);
        io::copy(&mut from, &mut to)?;
        to.shutdown(Shutdown::Write)
    })
}

pub(super) fn ok(body: &str) -> String {
    status(200, body)
}

pub(super) fn status(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A file among the certificates.
pub(super) fn pem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls").join(name)
}

/// TLS with the certificate of that name; `client` asks for a certificate of the test authority.
pub(super) fn tls(
    name: &str,
    client: bool,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let read = |name: &str| CertificateDer::from_pem_file(pem(name)).unwrap();
    let builder = match client {
        false => builder.with_no_client_auth(),
        true => {
            let mut trusted = RootCertStore::empty();
            trusted.add(read("ca.pem")).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let key = PrivateKeyDer::from_pem_file(pem(&format!("{name}.key"))).unwrap();
    builder.with_single_cert(vec![read(&format!("{name}.pem"))], key).unwrap()
}
