//! Receivers with TLS.
