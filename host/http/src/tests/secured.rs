//! Receivers with TLS: whom the client trusts, as whom it comes, and what it says when that fails.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ServerConnection, StreamOwned};

use super::server::{Server, listen, ok, pem, request as request_of, tls};
use super::*;

/// The settings of a client that trusts `ca`, with more after it.
fn trusting(ca: &str, more: &str) -> String {
    format!("tls = {{ ca_file = '{}'{more} }}", pem(ca).display())
}

fn own(cert: &str, key: &str) -> String {
    format!(", cert_file = '{}', key_file = '{}'", pem(cert).display(), pem(key).display())
}

fn failure(config: &str, port: u16) -> String {
    let error = Rig::new(config).post(&format!("https://127.0.0.1:{port}/"), "x").unwrap_err();
    assert!(matches!(error, NoAnswer::Tls { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
    text
}

#[test]
fn an_authority_of_its_own_is_trusted_and_the_connection_kept() {
    for version in [&TLS12, &TLS13] {
        let server = Server::secured(tls("server", false, &[version]), |seen| ok(&seen.line));
        let rig = Rig::new(&trusting("ca.pem", ""));
        for host in ["localhost", "127.0.0.1"] {
            for _ in 0..2 {
                let answer = rig.post(&format!("https://{host}:{}/a", server.port), "x").unwrap();
                assert_eq!(answer.body, b"POST /a HTTP/1.1");
                rig.settle();
            }
        }
        let connections: Vec<_> = server.seen().iter().map(|seen| seen.connection).collect();
        assert_eq!(connections, [0, 0, 1, 1]);
    }
}

#[test]
fn an_authority_that_is_not_trusted_is_told() {
    let server = Server::secured(tls("server", false, &[&TLS13]), |_| ok(""));
    let text = failure(&trusting("other-ca.pem", ""), server.port);
    assert!(text.contains("UnknownIssuer") && text.contains("`tls.ca_file`"), "{text}");
    // The system's authorities have not signed it either, or there are none: both lead to the same setting.
    let error = Rig::new("").post(&format!("https://localhost:{}/", server.port), "x").unwrap_err();
    assert!(error.to_string().contains("`tls.ca_file`"), "{error}");
    assert!(server.seen().is_empty());
}

#[test]
fn a_certificate_for_another_name_is_told() {
    let server = Server::secured(tls("elsewhere", false, &[&TLS13]), |_| ok(""));
    let text = failure(&trusting("ca.pem", ""), server.port);
    assert!(text.contains("`tls.server_name`") && text.contains("receiver.example"), "{text}");
    let rig = Rig::new(&trusting("ca.pem", ", server_name = 'receiver.example'"));
    assert_eq!(rig.post(&format!("https://127.0.0.1:{}/", server.port), "x").unwrap().status, 200);
}

#[test]
fn the_agents_certificate_is_shown_whatever_notation_its_key_has() {
    let server = Server::secured(tls("server", true, &[&TLS12, &TLS13]), |_| ok(""));
    for (cert, key) in [
        ("client.pem", "client.key"),
        ("client.pem", "client-sec1.key"),
        ("client-rsa.pem", "client-rsa-pkcs1.key"),
    ] {
        let rig = Rig::new(&trusting("ca.pem", &own(cert, key)));
        assert_eq!(
            rig.post(&format!("https://localhost:{}/", server.port), "x").unwrap().status,
            200,
            "{key}"
        );
    }
}

/// A receiver that asks for a certificate and, when it does not get one, says so and hears the client out.
fn asking(version: &'static rustls::SupportedProtocolVersion) -> u16 {
    let config = Arc::new(tls("server", true, &[version]));
    listen(move |stream, connection| {
        let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
        match request_of(&mut tls, connection) {
            Ok(_) => tls.write_all(ok("").as_bytes()),
            Err(_) => tls.sock.read_to_end(&mut Vec::new()).map(drop),
        }
    })
}

#[test]
fn a_missing_certificate_of_the_agent_is_told_also_when_it_is_missed_after_the_handshake() {
    for version in [&TLS12, &TLS13] {
        let url = format!("https://127.0.0.1:{}/", asking(version));
        // When the refusal is read before the request is begun, the library says only that the connection ended.
        let told =
            (0..10).find_map(|_| match Rig::new(&trusting("ca.pem", "")).post(&url, "x").unwrap_err() {
                NoAnswer::Broken { .. } => None,
                error => Some(error),
            });
        let error = told.unwrap();
        assert!(
            matches!(error, NoAnswer::Tls { .. }) && error.to_string().contains("`tls.cert_file`"),
            "{error}"
        );
    }
}

#[test]
fn a_receiver_without_tls_is_told() {
    let port = listen(|mut stream, _| {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(drop)
    });
    let text = failure(&trusting("ca.pem", ""), port);
    assert!(text.contains("does not seem to speak TLS"), "{text}");
}

#[test]
fn an_end_in_the_handshake_is_a_connection_that_did_not_come_about() {
    let port = listen(|mut stream, _| -> io::Result<()> { stream.read(&mut [0; 4096]).map(drop) });
    let error =
        Rig::new(&trusting("ca.pem", "")).post(&format!("https://localhost:{port}/"), "x").unwrap_err();
    assert!(matches!(&error, NoAnswer::Connect { cause, .. } if cause.contains("handshake")), "{error:?}");
}

#[test]
fn certificates_are_read_again_after_a_failure() {
    let server = Server::secured(tls("server", false, &[&TLS13]), |_| ok(""));
    let url = format!("https://localhost:{}/", server.port);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::copy(pem("other-ca.pem"), &file).unwrap();
    let rig = Rig::new(&format!("tls = {{ ca_file = '{}' }}", file.display()));
    assert!(matches!(rig.post(&url, "x"), Err(NoAnswer::Tls { .. })));

    std::fs::write(&file, "half of it").unwrap();
    let error = rig.post(&url, "x").unwrap_err();
    assert!(matches!(&error, NoAnswer::NotSent { cause } if cause.contains("`tls.ca_file`")), "{error:?}");

    std::fs::copy(pem("ca.pem"), &file).unwrap();
    assert_eq!(rig.post(&url, "x").unwrap().status, 200);
}

#[test]
fn any_certificate_is_taken_only_where_that_is_wanted() {
    let server = Server::secured(tls("elsewhere", false, &[&TLS12, &TLS13]), |seen| ok(&seen.line));
    let url = format!("https://127.0.0.1:{}/", server.port);
    assert!(Rig::new("").post(&url, "x").is_err());
    let answer = Rig::new("tls = { insecure_skip_verify = true }").post(&url, "x").unwrap();
    assert_eq!(answer.status, 200);
}
