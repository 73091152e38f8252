//! Sends requests and waits for answers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
    USER_AGENT,
};
use hyper::{Method, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::task::JoinSet;

use super::answer::retry_after;
use super::connect::{Connector, Tls};
use super::credentials::authorization;
use super::failure::{place, sorted};
use super::files::Files;
use super::mask::Mask;
use super::proxies::Proxies;
use super::{Answer, Config, ConfigError, MAX_ANSWER, MAX_TIMEOUT, MIN_TIMEOUT, NoAnswer, Url};
use crate::Net;
use crate::secret::SecretError;
use crate::tls::TlsError;

/// How many requests are under way at once, and so how many connections are kept: what a receiver of many series
/// can use, and far below what any limit on connections from one client allows.
const SIDE_BY_SIDE: usize = 16;

/// How long a connection without requests is kept. Shorter than what servers and what stands before them allow by
/// default (nginx 75 s, Go's and Amazon's balancers 60 s), so that seldom both give one up at the same time.
const IDLE: Duration = Duration::from_secs(30);

/// What the agent calls itself.
const AGENT: &str = concat!("picket/", env!("CARGO_PKG_VERSION"));

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

/// A page that was fetched, with whatever status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// The type of the body with its parameters; empty when there is none.
    pub content_type: String,
    /// How the body is compressed, as it was said; empty when it is not.
    pub content_encoding: String,
    /// The body, as far as it was read. With the status 200 it is as it came, and may hold what the mask hides.
    pub body: Vec<u8>,
    /// What must not be quoted of the page and its head.
    pub mask: Mask,
}

impl Page {
    /// Status and what stands on the page, as [`Answer::said`].
    pub fn said(&self) -> String {
        let body = self.body[..self.body.len().min(MAX_ANSWER)].to_vec();
        Answer { status: self.status, retry_after: None, content_type: String::new(), body }.said()
    }
}

/// A client for one receiver, or for several that are reached alike. It keeps connections open between requests.
///
/// Its methods block, and must not be called on a thread of the runtime. After a failure of TLS, a broken TLS
/// connection, a 401 or a 403 the next request reads certificates, passwords and tokens anew and makes a new connection:
/// at once when one of their files has changed, and else once a minute.
pub struct Client {
    net: Net,
    config: Config,
    /// None when files have to be read again.
    ready: Mutex<Option<Arc<Ready>>>,
}

/// What was read, and the connections that were made with it.
struct Ready {
    connections: legacy::Client<Connector, Full<Bytes>>,
    connector: Connector,
    /// For every request: those of the operator, and the agent's name.
    headers: HeaderMap,
    authorization: Option<HeaderValue>,
    /// Where all of it came from.
    files: Files,
    /// What no answer may show.
    mask: Mask,
    timeout: Duration,
}

/// The client cannot be made as configured.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A password or a token cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A certificate cannot be read.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Client {
    /// Reads certificates and secrets; connects to nothing. A timeout out of bounds is brought within them.
    pub fn new(config: &Config, net: &Net) -> Result<Self, ClientError> {
        let mut config = config.clone();
        config.timeout.0 = config.timeout.0.clamp(MIN_TIMEOUT, MAX_TIMEOUT);
        config.check()?;
        let ready = Mutex::new(Some(Arc::new(Ready::new(&config)?)));
        Ok(Self { net: net.clone(), config, ready })
    }

    /// Posts a request and waits for the answer, at most for `http.timeout`, and no longer than the agent runs.
    pub fn post(&self, request: Request) -> Result<Answer, NoAnswer> {
        self.send(Method::POST, request)
    }

    /// Posts requests side by side, sixteen at a time. The answers come in the order of the requests.
    pub fn post_all(&self, requests: Vec<Request>) -> Vec<Result<Answer, NoAnswer>> {
        let mut answers = vec![Err(NoAnswer::Stopped); requests.len()];
        self.net.runtime.block_on(async {
            let mut waiting = requests.into_iter().enumerate();
            let mut running = JoinSet::new();
            loop {
                while running.len() < SIDE_BY_SIDE
                    && let Some((at, request)) = waiting.next()
                {
                    let exchange = self.exchange(Method::POST, request);
                    running.spawn(async move { (at, exchange.await) });
                }
                match running.join_next().await {
                    Some(Ok((at, answer))) => answers[at] = answer,
                    Some(Err(ended)) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
                    // The runtime ends: what has no answer was stopped.
                    Some(Err(_)) => {}
                    None => break,
                }
            }
        });
        for answer in &answers {
            self.learn(answer.as_ref().map(|answer| answer.status));
        }
        answers
    }

    /// Asks for a page.
    pub fn get(&self, url: &Url) -> Result<Answer, NoAnswer> {
        let request = Request { url: url.clone(), headers: Vec::new(), body: Bytes::new() };
        self.send(Method::GET, request)
    }

    fn send(&self, method: Method, request: Request) -> Result<Answer, NoAnswer> {
        let answer = self.net.runtime.block_on(self.exchange(method, request));
        self.learn(answer.as_ref().map(|answer| answer.status));
        answer
    }

    /// One request and its answer, as a task that can run beside others.
    fn exchange(
        &self,
        method: Method,
        request: Request,
    ) -> impl Future<Output = Result<Answer, NoAnswer>> + Send + 'static {
        let (ready, to) = (self.ready(request.url.uri()), place(request.url.uri()));
        let work = move |ready: Arc<Ready>| async move { ready.answer(method, request).await };
        within(self.net.clone(), ready, to, work)
    }

    /// Fetches a page of at most so many bytes. Of a larger one there are a byte more than that; of what comes with
    /// another status than 200 there are at most [`MAX_ANSWER`]. For callers on a runtime, which need not be that of
    /// the client's [`Net`].
    pub async fn page(
        &self,
        url: &Url,
        headers: &[(&'static str, String)],
        most: usize,
    ) -> Result<Page, NoAnswer> {
        let (ready, to) = (self.ready(url.uri()), place(url.uri()));
        let request = Request { url: url.clone(), headers: headers.to_vec(), body: Bytes::new() };
        let work = move |ready: Arc<Ready>| async move { ready.page(request, most).await };
        let page = within(self.net.clone(), ready, to, work).await;
        self.learn(page.as_ref().map(|page| page.status));
        page
    }

    /// What was read; read again when it had to be forgotten.
    fn ready(&self, to: &Uri) -> Result<Arc<Ready>, ClientError> {
        let mut kept = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let ready = match &*kept {
            Some(ready) => ready.clone(),
            None => kept.insert(Arc::new(Ready::new(&self.config)?)).clone(),
        };
        ready.connector.prepare_tls(to)?;
        Ok(ready)
    }

    /// Forgets what was read when it may be out of date.
    fn learn(&self, status: Result<u16, &NoAnswer>) {
        let own_certificate = self.config.tls.cert_file.is_some();
        let is_stale = match status {
            Ok(status) => matches!(status, 401 | 403),
            Err(NoAnswer::Tls { .. }) => true,
            // A receiver that does not like the agent's certificate may just close the connection.
            Err(NoAnswer::Broken { .. }) => own_certificate,
            Err(_) => false,
        };
        if is_stale {
            let mut kept = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            // Who sent a request beside this one may have read all anew already: then that is kept.
            kept.take_if(|ready| ready.files.may_have_changed(&self.config, now));
        }
    }
}

/// Does something with what was read, within the time for one request, and no longer than the agent runs.
async fn within<T, F: Future<Output = Result<T, NoAnswer>>>(
    net: Net,
    ready: Result<Arc<Ready>, ClientError>,
    to: String,
    work: impl FnOnce(Arc<Ready>) -> F,
) -> Result<T, NoAnswer> {
    let ready = ready.map_err(|cause| NoAnswer::NotSent { cause: cause.to_string() })?;
    let (timeout, begun) = (ready.timeout, Instant::now());
    let answer = tokio::select! {
        biased;
        () = net.stopped() => return Err(NoAnswer::Stopped),
        answer = tokio::time::timeout(timeout, work(ready)) => answer,
    };
    let answer = answer.unwrap_or(Err(NoAnswer::Timeout { to, after: timeout }))?;
    net.answered(begun.elapsed());
    Ok(answer)
}

impl Ready {
    fn new(config: &Config) -> Result<Self, ClientError> {
        let (timeout, files) = (config.timeout.0, Files::look(config));
        let proxies = Proxies::new(config.proxy.as_deref());
        let connector = Connector::new(proxies, Tls::new(&config.tls)?, timeout);
        let mut headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(AGENT))]);
        headers.extend(config.headers.parsed()?);
        // A request that was not begun on a connection that turns out to be closed goes over another one: that is
        // the only case in which the library sends anything again.
        let connections = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(SIDE_BY_SIDE)
            .retry_canceled_requests(true)
            .build(connector.clone());
        let mut mask = Mask::default();
        config.headers.mask(&mut mask);
        let authorization = authorization(config, &mut mask)?;
        Ok(Self { connections, connector, headers, authorization, files, mask, timeout })
    }

    async fn answer(&self, method: Method, request: Request) -> Result<Answer, NoAnswer> {
        let to = place(request.url.uri());
        let (head, body) = self.begin(method, request, &to).await?.into_parts();
        let mut read = read(body, MAX_ANSWER, &to).await?;
        self.mask.hide(&mut read);
        Ok(Answer {
            status: head.status.as_u16(),
            retry_after: retry_after(&head.headers, SystemTime::now()),
            content_type: essence(text(&head.headers, CONTENT_TYPE)),
            body: read,
        })
    }

    async fn page(&self, request: Request, most: usize) -> Result<Page, NoAnswer> {
        let to = place(request.url.uri());
        let (head, body) = self.begin(Method::GET, request, &to).await?.into_parts();
        let status = head.status.as_u16();
        let most = if status == 200 { most.saturating_add(1) } else { MAX_ANSWER };
        let mut read = read(body, most, &to).await?;
        if status != 200 {
            self.mask.hide(&mut read);
        }
        Ok(Page {
            status,
            content_type: text(&head.headers, CONTENT_TYPE).trim().to_owned(),
            content_encoding: text(&head.headers, CONTENT_ENCODING).trim().to_owned(),
            body: read,
            mask: self.mask.clone(),
        })
    }

    /// Sends a request and waits for the head of the answer.
    async fn begin(
        &self,
        method: Method,
        request: Request,
        to: &str,
    ) -> Result<hyper::Response<Incoming>, NoAnswer> {
        let uri = request.url.uri().clone();
        let mut message = hyper::Request::new(Full::new(request.body));
        *message.method_mut() = method;
        *message.headers_mut() = self.headers(&uri, &request.headers)?;
        *message.uri_mut() = uri;
        self.connections.request(message).await.map_err(|error| sorted(&error, to))
    }

    /// Those of the protocol replace those of the operator.
    fn headers(&self, uri: &Uri, own: &[(&'static str, String)]) -> Result<HeaderMap, NoAnswer> {
        let mut headers = self.headers.clone();
        for (name, value) in own {
            let parsed = HeaderName::try_from(*name).ok().zip(HeaderValue::try_from(value).ok());
            let Some((name, value)) = parsed else {
                let cause = format!("the header `{name}` has a value that no header can carry");
                return Err(NoAnswer::NotSent { cause });
            };
            headers.insert(name, value);
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        // Through a tunnel the proxy is told when the tunnel is made.
        if uri.scheme_str() == Some("http")
            && let Some(proxy) = self.connector.proxy(uri)
            && let Some(credentials) = proxy.basic_auth()
        {
            headers.insert(PROXY_AUTHORIZATION, credentials.clone());
        }
        Ok(headers)
    }
}

/// A body's first bytes.
async fn read(mut body: Incoming, most: usize, to: &str) -> Result<Vec<u8>, NoAnswer> {
    let mut read = Vec::new();
    while read.len() < most {
        let Some(frame) = body.frame().await else { break };
        let frame = frame.map_err(|error| sorted(&error, to))?;
        let data = frame.into_data().unwrap_or_default();
        read.extend_from_slice(&data[..data.len().min(most - read.len())]);
    }
    Ok(read)
}

/// A header's value; empty when there is none.
fn text(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A type without parameters, in small letters.
fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
