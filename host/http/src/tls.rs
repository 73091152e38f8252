//! TLS to receivers: rustls with ring, the system's authorities or the operator's own, and a certificate of the
//! agent where the receiver asks for one. It opens no connection.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod advice;
#[cfg(test)]
mod tests;
mod unverified;

pub(crate) use advice::causes;
pub use advice::explained;
use unverified::Unverified;

/// Certificates and the name that is expected. The files are read when the forwarder starts, and again when a
/// connection has failed, so that renewed certificates need no restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Certificates of the authorities that are trusted, in PEM; instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The agent's own certificate and what leads to its authority, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// The key of the agent's own certificate, in PEM and not encrypted (PKCS #8, SEC 1 or PKCS #1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The name that the receiver's certificate must be for. By default the host of the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Any certificate is taken, whoever made it and for whatever name. Who stands between can then read and change
    /// everything, and reads the password or token too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_verify: bool,
}

/// Larger files are no certificates but mistakes: the bundle of all public authorities has a quarter of a MiB.
const MAX_PEM: u64 = 4 << 20;

/// Why TLS cannot be had as configured. Every message names the setting and the file. Messages hold nothing of a
/// key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(
        "`{setting}`: {file} cannot be read: {cause}; check that it exists and that the agent's user may read it"
    )]
    Unreadable {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{setting}`: {file} {what}")]
    Unfit {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// Of certificate and key only one is there.
    #[error("`{there}` is set without `{missing}`; a certificate and its key are only of use together")]
    Half {
        /// The setting that is there.
        there: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// The system has no authorities.
    #[error(
        "this system trusts no authority ({cause}); install the package `ca-certificates`, or name the receiver's \
         authority in `tls.ca_file`"
    )]
    NoAuthorities {
        /// What was found instead.
        cause: String,
    },
    /// The text is no name that a certificate could be for.
    #[error(
        "`{name}` is neither a host name nor an address; set `tls.server_name` to what the receiver's certificate is \
         for"
    )]
    Name {
        /// The text.
        name: String,
    },
}

/// What rustls needs for connections, read from the files now. It offers no application protocol (ALPN).
pub fn client_config(config: &Config) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has ciphers for TLS 1.2 and 1.3");
    let builder = match config.insecure_skip_verify {
        true => builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified::default())),
        false => builder.with_root_certificates(authorities(config.ca_file.as_deref())?),
    };
    let made = match (&config.cert_file, &config.key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key)) => {
            let (chain, secret) = (certificates("tls.cert_file", cert)?, private_key(key)?);
            builder.with_client_auth_cert(chain, secret).map_err(|cause| TlsError::Unfit {
                setting: "tls.key_file",
                file: key.clone(),
                what: format!("is not the key of the certificate in {}: {cause}", cert.display()),
            })?
        }
        (Some(_), None) => return Err(TlsError::Half { there: "tls.cert_file", missing: "tls.key_file" }),
        (None, Some(_)) => return Err(TlsError::Half { there: "tls.key_file", missing: "tls.cert_file" }),
    };
    Ok(Arc::new(made))
}

/// The name that the receiver's certificate must be for: `tls.server_name`, or else the host, which may be an IPv6
/// address in brackets.
pub fn server_name(config: &Config, host: &str) -> Result<ServerName<'static>, TlsError> {
    let name = config.server_name.as_deref().unwrap_or(host).trim_matches(['[', ']']);
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name { name: name.to_owned() })
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut trusted = RootCertStore::empty();
    let Some(file) = file else {
        let found = rustls_native_certs::load_native_certs();
        let (added, ignored) = trusted.add_parsable_certificates(found.certs);
        if added == 0 {
            let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            let cause = if errors.is_empty() { format!("{ignored} unusable") } else { errors.join("; ") };
            return Err(TlsError::NoAuthorities { cause });
        }
        return Ok(trusted);
    };
    for certificate in certificates("tls.ca_file", file)? {
        trusted.add(certificate).map_err(|cause| TlsError::Unfit {
            setting: "tls.ca_file",
            file: file.into(),
            what: format!("holds a certificate that cannot be used: {cause}"),
        })?;
    }
    Ok(trusted)
}

/// All certificates of a file, at least one.
fn certificates(setting: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(setting, file)?;
    let unfit = |what: String| TlsError::Unfit { setting, file: file.into(), what };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if all.is_empty() => {
            Err(unfit("holds no certificate; it must be PEM, with `BEGIN CERTIFICATE`".to_owned()))
        }
        Ok(all) => Ok(all),
        Err(cause) => Err(unfit(format!("is no PEM: {cause}"))),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let setting = "tls.key_file";
    let text = read(setting, file)?;
    // The cause is not shown: it could quote a line of the file.
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::Unfit {
        setting,
        file: file.into(),
        what: "holds no key that can be used; it must be PEM and not encrypted, with `BEGIN PRIVATE KEY`, \
               `BEGIN EC PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`"
            .to_owned(),
    })
}

fn read(setting: &'static str, file: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |cause| TlsError::Unreadable { setting, file: file.into(), cause };
    let mut text = Vec::new();
    File::open(file).map_err(unreadable)?.take(MAX_PEM + 1).read_to_end(&mut text).map_err(unreadable)?;
    match text.len() as u64 > MAX_PEM {
        true => Err(TlsError::Unfit { setting, file: file.into(), what: "is larger than 4 MiB".to_owned() }),
        false => Ok(text),
    }
}
