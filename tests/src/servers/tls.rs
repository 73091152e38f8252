//! Certificates for tests: an authority, a server on loopback and a client, made anew by `openssl` each time, and
//! the one user whom secured servers know.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

/// The user whom a secured server knows.
pub const USER: &str = "picket";

/// That user's password.
pub const PASSWORD: &str = "secret";

/// The same as the Go servers want it: bcrypt of [`PASSWORD`].
const HASHED: &str = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

/// What `openssl` is told. Certificates without these extensions are of version 1, which TLS libraries of
/// today refuse.
const SCRIPT: &str = r#"set -e
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 30 \
  -subj '/CN=picket test authority' -addext 'basicConstraints=critical,CA:TRUE' \
  -addext 'keyUsage=critical,keyCertSign,cRLSign'
make() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1"
  printf 'basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=%s\nsubjectAltName=%s\n' \
    "$2" "$3" > "$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.pem"
}
make server serverAuth 'DNS:localhost,IP:127.0.0.1,IP:::1'
make client clientAuth 'DNS:client'
"#;

/// One authority with its two certificates. Copies share the files, which go with the last copy.
#[derive(Clone)]
pub struct Tls {
    folder: Arc<TempDir>,
}

impl Tls {
    /// Makes all of them; a second call makes an authority that the first one's users do not trust.
    pub fn make() -> Self {
        let folder =
            tempfile::Builder::new().prefix("picket-tls-").tempdir().expect("a temporary folder can be made");
        let made = Command::new("sh")
            .args(["-c", SCRIPT])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("a shell starts");
        assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        Self { folder: Arc::new(folder) }
    }

    /// The authority's certificate, for whoever connects.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The server's certificate, for `localhost`, `127.0.0.1` and `::1`, and its key.
    pub fn server(&self) -> (PathBuf, PathBuf) {
        self.pair("server")
    }

    /// A client's certificate and its key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        self.pair("client")
    }

    /// TLS over a connection, with the client's certificate: who is at its end is seen when something is read
    /// or written.
    pub fn over(&self, stream: TcpStream) -> impl Read + Write + use<> {
        let peer = stream.peer_addr().expect("it is connected");
        let config = Arc::new(self.client_config());
        let connection = ClientConnection::new(config, ServerName::from(peer.ip()));
        StreamOwned::new(connection.expect("the configuration is whole"), stream)
    }

    fn client_config(&self) -> ClientConfig {
        let certificates = |path| CertificateDer::pem_file_iter(path).expect("a test's certificate is there");
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(self.authority()).flatten());
        let (certificate, key) = self.client();
        let key = PrivateKeyDer::from_pem_file(key).expect("a test's key is there");
        ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring does the versions that are the default")
            .with_root_certificates(roots)
            .with_client_auth_cert(certificates(certificate).flatten().collect(), key)
            .expect("certificate and key were made together")
    }

    fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
        let folder = self.folder.path();
        (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")))
    }

    /// The file for `--web.config.file` of Prometheus and Alertmanager: TLS, the one user, and a client
    /// certificate where it is demanded.
    pub(crate) fn write_web_config(&self, to: &Path, demands_client: bool) {
        let (certificate, key) = self.server();
        let mut text = format!(
            "tls_server_config:\n  cert_file: {}\n  key_file: {}\n",
            certificate.display(),
            key.display()
        );
        if demands_client {
            text += &format!(
                "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: {}\n",
                self.authority().display()
            );
        }
        text += &format!("basic_auth_users:\n  {USER}: {HASHED}\n");
        fs::write(to, text).expect("a file can be written");
    }
}
