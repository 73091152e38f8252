//! Which failure it is that lies under an error of the libraries, and the words for it.

use std::error::Error;
use std::io;

use hyper::Uri;

use super::NoAnswer;
use crate::tls;
use crate::tls::causes;

/// Why a request to a place got no answer. What connecting has sorted already stays as it is; TLS may also fail
/// after it: in TLS 1.3 a receiver says only then that it wants a certificate.
pub(super) fn sorted(error: &(dyn Error + 'static), to: &str) -> NoAnswer {
    if let Some(known) = causes(error).find_map(|cause| cause.downcast_ref::<NoAnswer>()) {
        return known.clone();
    }
    match tls::explained(error) {
        Some(cause) => NoAnswer::Tls { to: to.to_owned(), cause },
        None => NoAnswer::Broken { to: to.to_owned(), cause: words(error) },
    }
}

/// The words of the innermost cause, with what to do where that is known.
pub(super) fn words(error: &(dyn Error + 'static)) -> String {
    let innermost = causes(error).last().unwrap_or(error);
    let is_name = causes(error).any(|cause| cause.to_string() == "dns error");
    let kind = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let advice = match kind {
        _ if is_name => "; check the name in the URL and this machine's name servers",
        Some(io::ErrorKind::ConnectionRefused) => {
            "; nothing listens there: check the port, and whether it runs"
        }
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => "; check the network",
        _ => "",
    };
    format!("{innermost}{advice}")
}

/// Host and port, for messages.
pub(super) fn place(uri: &Uri) -> String {
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(default))
}
