//! What a failure of TLS means for the operator. It judges errors of rustls, wherever they are wrapped.

use std::error::Error;
use std::io;

use rustls::AlertDescription as Alert;
use rustls::CertificateError as Bad;

/// The failure of TLS among an error and its causes, in the library's words and with what to do; none when it is
/// no such failure but, say, a connection that broke off.
pub fn explained(error: &(dyn Error + 'static)) -> Option<String> {
    causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()).map(|failure| {
        match advice(failure) {
            Some(advice) => format!("{failure}; {advice}"),
            None => failure.to_string(),
        }
    })
}

/// An error and what caused it. What an I/O error wraps counts as its cause, which its `source` leaves out.
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| cause(*error))
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(wrapping) => wrapping.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

fn advice(failure: &rustls::Error) -> Option<&'static str> {
    Some(match failure {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer | Bad::BadSignature => {
                "name the authority of the receiver's certificate in `tls.ca_file`"
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "set `tls.server_name`, or the host of the URL, to a name that the receiver's certificate is for"
            }
            Bad::Expired | Bad::ExpiredContext { .. } => {
                "renew the receiver's certificate, or set this machine's clock"
            }
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "set this machine's clock",
            _ => return None,
        },
        rustls::Error::AlertReceived(alert) => match alert {
            Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::UnknownCA
            | Alert::AccessDenied => {
                "the receiver wants a certificate of the agent that it trusts and that is valid: set `tls.cert_file` \
                 and `tls.key_file`"
            }
            Alert::ProtocolVersion | Alert::HandshakeFailure => "the receiver must offer TLS 1.2 or 1.3",
            Alert::UnrecognisedName => "set `tls.server_name` to a name that the receiver answers to",
            _ => return None,
        },
        rustls::Error::InvalidMessage(_) => {
            "the receiver does not seem to speak TLS there: check the URL's scheme and port"
        }
        _ => return None,
    })
}
