//! Receivers that ask who is there, and receivers that ask whether it was us.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use picket_tests::servers::{Hook, PASSWORD, Prometheus, Server, Tls, USER, need};
use picket_tests::until;
use picket_tests::upstream::{Meter, forwarder_status, of_forwarder, until_reached};

use super::QUICK;

#[test]
fn a_receiver_with_tls_passwords_and_client_certificates_gets_all_once_the_password_is_right() {
    if !need(&[Server::Prometheus, Server::Tls]) {
        return;
    }
    let tls = Tls::make();
    let prometheus = Prometheus::builder().client_certificate(&tls).start();
    let (certificate, key) = tls.client();
    let config = format!(
        "[forwarders.prometheus]\nkind = \"remote_write\"\nurl = \"{}\"\n{QUICK}\
         http.basic_auth = {{ username = \"{USER}\", password_file = \"{{dir}}/password\" }}\n\
         http.tls = {{ ca_file = \"{}\", cert_file = \"{}\", key_file = \"{}\" }}\n",
        prometheus.write_url(),
        tls.authority().display(),
        certificate.display(),
        key.display()
    );
    let meter = Meter::new(10, 5);
    let mut node = meter.node().file("password", "a-wrong-one\n").config(&config).start();
    meter.pour(&node, 1..=10, 5);
    let status = until("the wrong password is told", || {
        let status = forwarder_status(&node, "prometheus")?;
        status["error"].as_str()?.contains("401").then_some(status)
    });
    assert_eq!((status["refused_frames"].as_u64(), status["sent_frames"].as_u64()), (Some(0), Some(0)));
    assert!(!node.log().contains("a-wrong-one"), "the password is shown nowhere");
    fs::write(node.path("password"), PASSWORD).unwrap();
    prometheus.until_count("meter", 100);
    assert_eq!(meter.check_samples(&prometheus.raw_samples("meter"), 10), 0);
    assert_eq!(of_forwarder(&node, "prometheus", "refused_frames_total"), 0);
    assert!(node.stop().success());
}

/// What `openssl` makes of bytes, with this key, as base64 or as hexadecimal digits.
fn hmac(key: &str, bytes: &[u8], base64: bool) -> String {
    let end = if base64 { "-binary | openssl base64 -A" } else { "-r | cut -d ' ' -f 1 | tr -d '\\n'" };
    let mut openssl = Command::new("sh")
        .args(["-c", &format!("openssl dgst -sha256 -hmac \"$1\" {end}"), "sh", key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(bytes).unwrap();
    String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_webhook_is_signed_so_that_others_can_verify_it() {
    if !need(&[Server::Tls]) {
        return;
    }
    const KEY: &str = "a key that both sides of this test know";
    let hook = Hook::start();
    let config = format!(
        "[forwarders.hook]\nkind = \"webhook\"\nurl = \"{}/in?x=1\"\nsecret_file = \"{{dir}}/key\"\n\
         signature_header = \"X-Hub-Signature-256\"\n{QUICK}",
        hook.url()
    );
    let meter = Meter::new(0, 1);
    let mut node = meter.node().file("key", KEY).config(&config).start();
    meter.pour(&node, 1..=3, 1);
    until_reached("events", 3, || hook.requests().len() as u64);
    let rows = node.until_rows("they are in the file", 3, |row| row["rule"] == "number");
    for (request, row) in hook.requests().iter().zip(&rows) {
        let header = |name: &str| request.headers[name].clone();
        let (id, time) = (header("webhook-id"), header("webhook-timestamp"));
        assert_eq!(row["id"], id.as_str());
        let signed = [format!("{id}.{time}.").as_bytes(), &request.body[..]].concat();
        assert_eq!(header("webhook-signature"), format!("v1,{}", hmac(KEY, &signed, true)));
        assert_eq!(header("x-hub-signature-256"), format!("sha256={}", hmac(KEY, &request.body, false)));
        assert_eq!(
            (request.path.as_str(), request.json()["type"].as_str()),
            ("/in?x=1", Some("picket.finding"))
        );
        assert_eq!(&request.json()["data"], row, "`data` is the line of the file");
    }
    assert!(node.stop().success());
}

#[test]
fn people_in_a_chat_read_what_was_found() {
    let hook = Hook::start();
    let config = format!(
        "[forwarders.chat]\nkind = \"webhook\"\nformat = \"slack\"\nurl_file = \"{{dir}}/url\"\n{QUICK}"
    );
    let meter = Meter::new(0, 1);
    let url = format!("{}/services/a-secret", hook.url());
    let mut node = meter.node().file("url", url).config(&config).start();
    meter.pour(&node, 1..=2, 2);
    until_reached("events", 2, || of_forwarder(&node, "chat", "sent_frames_total"));
    let texts: Vec<_> =
        hook.requests().iter().map(|request| request.json()["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts.len(), 1, "what comes at once is one message: {texts:?}");
    for part in ["*[HIGH] number*\nNumber 1 came.", "Number 2 came.", "number: 2"] {
        assert!(texts[0].contains(part), "{part} is missing in {texts:?}");
    }
    let shown = [node.log(), node.cli("status").stdout, node.get("/api/v1/status").unwrap().body];
    assert!(shown.iter().all(|text| !text.contains("a-secret")), "the URL is a secret");
    assert!(node.stop().success());
}
