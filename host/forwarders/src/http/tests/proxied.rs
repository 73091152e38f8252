//! Receivers behind a proxy.
