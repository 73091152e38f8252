//! Which proxy leads to which receiver: the configured one, or what the environment says, with the rules of curl.

use std::fmt;

use hyper::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

/// `http.proxy` for going straight to every receiver.
pub(super) const NONE: &str = "none";

/// The proxies of one forwarder.
pub(super) struct Proxies(Option<Matcher>);

impl Proxies {
    /// From `http.proxy`, or else from the variables of the environment.
    pub(super) fn new(proxy: Option<&str>) -> Self {
        match proxy {
            None => Self(Some(Matcher::from_env())),
            Some(NONE) => Self(None),
            Some(url) => Self(Some(Matcher::builder().all(url).build())),
        }
    }

    /// The proxy that leads to a receiver.
    pub(super) fn of(&self, to: &Uri) -> Option<Intercept> {
        self.0.as_ref()?.intercept(to)
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxies")
    }
}
