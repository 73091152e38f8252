//! Receivers behind a proxy: tunnels, requests that name the receiver in full, and the variables.

use std::process::Command;

use rustls::version::TLS13;

use super::server::{Server, ok, pem, status, tls, tunnels};
use super::*;

type Log = Arc<Mutex<Vec<server::Seen>>>;

fn lines(log: &Log) -> Vec<String> {
    log.lock().unwrap().iter().map(|seen| seen.line.clone()).collect()
}

#[test]
fn tls_goes_through_a_tunnel() {
    let server = Server::secured(tls("server", false, &[&TLS13]), |seen| ok(&seen.line));
    let log = Log::default();
    let proxy = tunnels(log.clone(), None);
    let rig = Rig::new(&format!(
        "proxy = 'http://127.0.0.1:{proxy}'\ntls = {{ ca_file = '{}' }}",
        pem("ca.pem").display()
    ));
    for _ in 0..2 {
        let answer = rig.post(&format!("https://localhost:{}/a", server.port), "x").unwrap();
        assert_eq!(answer.body, b"POST /a HTTP/1.1");
        rig.settle();
    }
    assert_eq!(lines(&log), [format!("CONNECT localhost:{} HTTP/1.1", server.port)]);
    assert_eq!(server.seen()[0].header("proxy-authorization"), None);
}

#[test]
fn without_tls_the_proxy_reads_the_request() {
    let proxy = Server::answering(|seen| ok(&seen.line));
    let rig = Rig::new(&format!("proxy = 'http://127.0.0.1:{}/'", proxy.port));
    let answer = rig.post("http://receiver.example/a?b", "x").unwrap();
    assert_eq!(answer.said(), "HTTP 200: POST http://receiver.example/a?b HTTP/1.1");
    assert_eq!(proxy.seen()[0].header("host"), Some("receiver.example"));
}

#[test]
fn a_proxy_may_be_reached_by_tls_with_the_authorities_of_the_system() {
    let proxy = Server::secured(tls("server", false, &[&TLS13]), |seen| ok(&seen.line));
    let run = |authorities: &str| {
        let test = "tests::proxied::in_an_environment_with_proxies";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env("PICKET_TEST_URLS", "http://receiver.example/")
            .env("HTTP_PROXY", format!("https://localhost:{}", proxy.port))
            .env("SSL_CERT_FILE", pem(authorities))
            .env_remove("SSL_CERT_DIR")
            .env_remove("ALL_PROXY")
            .env_remove("NO_PROXY")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let output = run("ca.pem");
    assert!(output.contains("HTTP 200: POST http://receiver.example/ HTTP/1.1"), "{output}");
    // The receiver's `tls.ca_file`, which has signed the proxy's certificate, makes no difference.
    let output = run("other-ca.pem");
    assert!(output.contains("UnknownIssuer; it is a proxy") && !output.contains("ca_file"), "{output}");
    assert_eq!(proxy.seen().len(), 1);
}

#[test]
fn a_proxy_that_refuses_or_is_away_is_told() {
    let proxy = tunnels(Log::default(), Some("Basic xyz"));
    let rig = Rig::new(&format!("proxy = 'http://127.0.0.1:{proxy}'"));
    let error = rig.post("https://receiver.example/", "x").unwrap_err();
    let NoAnswer::Proxy { proxy: told, cause } = &error else { panic!("{error:?}") };
    assert_eq!(told, &format!("127.0.0.1:{proxy}"));
    assert!(cause.contains("authorization required"), "{cause}");

    // The tunnel ends at a port at which nobody listens.
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rig = Rig::new(&format!("proxy = 'http://127.0.0.1:{}'", tunnels(Log::default(), None)));
    let error = rig.post(&format!("https://localhost:{away}/"), "x").unwrap_err();
    assert!(matches!(&error, NoAnswer::Proxy { .. }), "{error:?}");

    let rig = Rig::new(&format!("proxy = 'http://127.0.0.1:{away}'"));
    for url in ["https://receiver.example/", "http://receiver.example/"] {
        let error = rig.post(url, "x").unwrap_err();
        let NoAnswer::Connect { to, cause } = &error else { panic!("{error:?}") };
        assert!(*to == format!("127.0.0.1:{away}") && cause.contains("refused"), "{error}");
    }

    let refusing = Server::answering(|_| status(407, "who are you?"));
    let rig = Rig::new(&format!("proxy = 'http://127.0.0.1:{}'", refusing.port));
    assert_eq!(rig.post("http://receiver.example/", "x").unwrap().judge(), Judgement::Unusable);
}

/// What the test below runs in a process of its own, which has the variables: posts to the URLs in `PICKET_TEST_URLS`
/// and prints what came back.
#[test]
fn in_an_environment_with_proxies() {
    let Ok(urls) = std::env::var("PICKET_TEST_URLS") else { return };
    let tls = tls::Config { ca_file: Some(pem("ca.pem")), ..Default::default() };
    let rig = Rig::with(&Config { tls, ..Config::default() });
    for url in urls.split(' ') {
        match rig.post(url, "x") {
            Ok(answer) => println!("{}", answer.said()),
            Err(error) => println!("{error} {error:?}"),
        }
    }
}

#[test]
fn the_variables_say_which_proxy_leads_where() {
    let (plain, log) = (Server::answering(|_| ok("by proxy")), Log::default());
    // u:hunter2
    let wanted = "Basic dTpodW50ZXIy";
    let tunnel = tunnels(log.clone(), Some(wanted));
    let direct = Server::answering(|_| ok("direct"));
    let secured = Server::secured(tls("server", false, &[&TLS13]), |_| ok("tunnelled"));
    let run = |https_proxy: String| {
        let (direct, secured) = (direct.port, secured.port);
        let urls =
            format!("http://receiver.example/ http://127.0.0.1:{direct}/ https://localhost:{secured}/");
        let test = "tests::proxied::in_an_environment_with_proxies";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env("PICKET_TEST_URLS", urls)
            .env("HTTP_PROXY", format!("http://u:hunter2@127.0.0.1:{}", plain.port))
            .env("HTTPS_PROXY", https_proxy)
            .env("NO_PROXY", "127.0.0.0/8, .internal.example")
            .env_remove("ALL_PROXY")
            .output()
            .unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        assert!(!output.contains("hunter2") && !output.contains("dTpodW50ZXIy"), "{output}");
        output
    };
    let output = run(format!("http://u:hunter2@127.0.0.1:{tunnel}"));
    for expected in ["HTTP 200: by proxy", "HTTP 200: direct", "HTTP 200: tunnelled"] {
        assert!(output.contains(expected), "{output}");
    }
    assert_eq!(plain.seen()[0].line, "POST http://receiver.example/ HTTP/1.1");
    assert_eq!(plain.seen()[0].header("proxy-authorization"), Some(wanted));
    assert_eq!(lines(&log), [format!("CONNECT localhost:{} HTTP/1.1", secured.port)]);
    for server in [&direct, &secured] {
        assert_eq!(server.seen()[0].header("proxy-authorization"), None);
    }

    let output = run(format!("http://u:hunter2X@127.0.0.1:{tunnel}"));
    assert!(output.contains("authorization required"), "{output}");
    let output = run("socks5://u:hunter2@127.0.0.1:1".to_owned());
    assert!(output.contains("only `http://` and `https://` proxies"), "{output}");
}
