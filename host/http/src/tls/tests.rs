//! Files that hold no certificates or keys, and names.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn pem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls").join(name)
}

fn own(cert: &str, key: &str) -> Config {
    let (cert_file, key_file) = (Some(pem(cert)), Some(pem(key)));
    Config { ca_file: Some(pem("ca.pem")), cert_file, key_file, ..Config::default() }
}

#[test]
fn what_cannot_be_used_names_setting_file_and_remedy() {
    let ca = |name: &str| Config { ca_file: Some(pem(name)), ..Config::default() };
    for (config, said) in [
        (ca("none.pem"), ["`tls.ca_file`", "none.pem", "check that it exists"]),
        (ca("client.key"), ["`tls.ca_file`", "client.key", "BEGIN CERTIFICATE"]),
        (ca("make.sh"), ["`tls.ca_file`", "make.sh", "holds no certificate"]),
        (own("none.pem", "client.key"), ["`tls.cert_file`", "none.pem", "check that it exists"]),
        (own("client.pem", "none.key"), ["`tls.key_file`", "none.key", "check that it exists"]),
        (own("client.pem", "client.pem"), ["`tls.key_file`", "client.pem", "BEGIN PRIVATE KEY"]),
        (own("client.pem", "client-encrypted.key"), ["`tls.key_file`", "encrypted.key", "not encrypted"]),
        (own("client.pem", "server.key"), ["`tls.key_file`", "server.key", "client.pem"]),
        (
            Config { key_file: None, ..own("client.pem", "x") },
            ["`tls.cert_file`", "`tls.key_file`", "together"],
        ),
        (
            Config { cert_file: None, ..own("x", "client.key") },
            ["`tls.key_file`", "`tls.cert_file`", "together"],
        ),
    ] {
        let error = client_config(&config).unwrap_err().to_string();
        assert!(said.iter().all(|said| error.contains(said)), "{said:?}: {error}");
    }
}

#[test]
fn a_file_without_end_is_not_read_to_the_end() {
    let config = Config { ca_file: Some("/dev/zero".into()), ..Config::default() };
    assert!(client_config(&config).unwrap_err().to_string().contains("larger than 4 MiB"));
}

#[test]
fn all_notations_of_keys_are_read() {
    for (cert, key) in [
        ("client.pem", "client.key"),
        ("client.pem", "client-sec1.key"),
        ("client-rsa.pem", "client-rsa-pkcs1.key"),
    ] {
        client_config(&own(cert, key)).unwrap();
    }
}

#[test]
fn names_are_hosts_or_addresses() {
    let named = |name: Option<&str>, host: &str| {
        let config = Config { server_name: name.map(Into::into), ..Config::default() };
        server_name(&config, host).map(|name| name.to_str().into_owned()).map_err(|error| error.to_string())
    };
    assert_eq!(named(None, "a.example").as_deref(), Ok("a.example"));
    assert_eq!(named(None, "192.0.2.1").as_deref(), Ok("192.0.2.1"));
    assert_eq!(named(None, "[2001:db8::1]").as_deref(), Ok("2001:db8::1"));
    assert_eq!(named(Some("b.example"), "a.example").as_deref(), Ok("b.example"));
    assert!(named(Some("b example"), "a.example").unwrap_err().contains("`b example`"));
}

#[test]
fn causes_go_through_io_errors() {
    let inner = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
    let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner));
    assert!(explained(&wrapped).unwrap().contains("`tls.cert_file`"));
    assert_eq!(explained(&io::Error::from_raw_os_error(104)), None);
    assert_eq!(causes(&wrapped).count(), 3);
}
