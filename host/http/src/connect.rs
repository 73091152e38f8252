//! Makes connections for the HTTP client: TCP, through a proxy where one is configured, and TLS on top.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tower::{Service, ServiceExt as _};

use super::NoAnswer;
use super::failure::{place, words};
use super::proxies::Proxies;
use super::stream::Stream;
use crate::tls::{self, TlsError, causes};

/// Longer than it takes over any network that works: a lost first packet is sent again after one, three and seven
/// seconds (RFC 6298, section 2).
const MAX_CONNECT: Duration = Duration::from_secs(10);

/// How long a connection may be silent before the system asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Makes connections. Clones share the same.
#[derive(Clone)]
pub(super) struct Connector(Arc<Parts>);

struct Parts {
    tcp: HttpConnector,
    proxies: Proxies,
    tls: Tls,
    /// For the way to a proxy: `tls` is about the receiver, whose authority need not know the proxy, and whose
    /// certificate for the agent is none of the proxy's business.
    proxy_tls: Tls,
    within: Duration,
}

/// TLS as configured. The system's authorities are read when a connection needs them first, so that a machine
/// without any can use receivers without TLS.
pub(super) struct Tls {
    config: tls::Config,
    made: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    /// Reads the files that are named.
    pub(super) fn new(config: &tls::Config) -> Result<Self, TlsError> {
        let tls = Self { config: config.clone(), made: OnceLock::new() };
        if *config != tls::Config::default() {
            tls.get()?;
        }
        Ok(tls)
    }

    fn get(&self) -> Result<Arc<ClientConfig>, TlsError> {
        match self.made.get() {
            Some(made) => Ok(made.clone()),
            None => {
                let made = tls::client_config(&self.config)?;
                Ok(self.made.get_or_init(|| made).clone())
            }
        }
    }
}

impl Connector {
    /// For requests that may take so long.
    pub(super) fn new(proxies: Proxies, tls: Tls, timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        let proxy_tls = Tls { config: tls::Config::default(), made: OnceLock::new() };
        Self(Arc::new(Parts { tcp, proxies, tls, proxy_tls, within: MAX_CONNECT.min(timeout / 2) }))
    }

    /// Which proxy leads to a receiver.
    pub(super) fn proxy(&self, to: &Uri) -> Option<Intercept> {
        self.0.proxies.of(to)
    }

    /// Reads what TLS needs on the way to a receiver, unless that was done: it takes a while, and would hold up others
    /// on the runtime.
    pub(super) fn prepare_tls(&self, to: &Uri) -> Result<(), TlsError> {
        if to.scheme_str() == Some("https") {
            self.0.tls.get()?;
        }
        if self.proxy(to).is_some_and(|proxy| proxy.uri().scheme_str() == Some("https")) {
            self.0.proxy_tls.get()?;
        }
        Ok(())
    }

    async fn connect(self, to: Uri) -> Result<TokioIo<Stream>, NoAnswer> {
        let within = self.0.within;
        let proxy = self.proxy(&to);
        let first = place(proxy.as_ref().map_or(&to, Intercept::uri));
        match tokio::time::timeout(within, self.steps(&to, proxy)).await {
            Ok(connected) => connected.map(TokioIo::new),
            Err(_) => Err(NoAnswer::Connect { to: first, cause: format!("no connection within {within:?}") }),
        }
    }

    async fn steps(&self, to: &Uri, proxy: Option<Intercept>) -> Result<Stream, NoAnswer> {
        let is_https = to.scheme_str() == Some("https");
        let hop = match proxy {
            Some(proxy) if is_https => self.tunnel(&proxy, to).await?,
            Some(proxy) => return Ok(self.clone().hop(proxy.uri().clone()).await?.read_by_proxy()),
            None => self.tcp(to).await?,
        };
        if !is_https {
            return Ok(hop);
        }
        let name = tls::server_name(&self.0.tls.config, to.host().unwrap_or_default());
        handshake(&self.0.tls, hop, to, name).await
    }

    async fn tcp(&self, to: &Uri) -> Result<Stream, NoAnswer> {
        match self.0.tcp.clone().oneshot(to.clone()).await {
            Ok(tcp) => Ok(Stream::new(tcp.into_inner())),
            Err(error) => Err(NoAnswer::Connect { to: place(to), cause: words(&error) }),
        }
    }

    /// A connection to a proxy.
    async fn hop(self, proxy: Uri) -> Result<Stream, NoAnswer> {
        match proxy.scheme_str() {
            Some("https") => {
                let tcp = self.tcp(&proxy).await?;
                let proxy_tls = &self.0.proxy_tls;
                let name = tls::server_name(&proxy_tls.config, proxy.host().unwrap_or_default());
                handshake(proxy_tls, tcp, &proxy, name).await.map_err(by_proxy)
            }
            Some("http") => self.tcp(&proxy).await,
            _ => {
                let cause = "only `http://` and `https://` proxies are supported".to_owned();
                Err(NoAnswer::Proxy { proxy: place(&proxy), cause })
            }
        }
    }

    /// A connection to a receiver through a proxy that hands its bytes on unread.
    async fn tunnel(&self, proxy: &Intercept, to: &Uri) -> Result<Stream, NoAnswer> {
        let connector = self.clone();
        let hop = tower::service_fn(move |proxy| {
            let hop = connector.clone().hop(proxy);
            async move { hop.await.map(TokioIo::new) }
        });
        let mut tunnel = Tunnel::new(proxy.uri().clone(), hop);
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        match tunnel.oneshot(to.clone()).await {
            Ok(stream) => Ok(stream.into_inner()),
            Err(error) => {
                let known = causes(&error).find_map(|cause| cause.downcast_ref::<NoAnswer>()).cloned();
                let mut cause = words(&error);
                if cause.contains("authorization required") {
                    cause.push_str("; give its name and password in the URL of the variable HTTPS_PROXY");
                }
                Err(known.unwrap_or_else(|| NoAnswer::Proxy { proxy: place(proxy.uri()), cause }))
            }
        }
    }
}

/// A failure of TLS on the way to a proxy, without the advice that is about the receiver's settings.
fn by_proxy(error: NoAnswer) -> NoAnswer {
    match error {
        NoAnswer::Tls { to, cause } => {
            let cause = cause.split("; ").next().unwrap_or_default();
            let rule = "it is a proxy, whose certificate must be for its host and of an authority that this system \
                        trusts; `tls` is only about the receiver";
            NoAnswer::Tls { to, cause: format!("{cause}; {rule}") }
        }
        other => other,
    }
}

async fn handshake(
    tls: &Tls,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    to: &Uri,
    name: Result<ServerName<'static>, TlsError>,
) -> Result<Stream, NoAnswer> {
    let failed = |cause: TlsError| NoAnswer::Tls { to: place(to), cause: cause.to_string() };
    let (name, config) = (name.map_err(failed)?, tls.get().map_err(failed)?);
    match TlsConnector::from(config).connect(name, stream).await {
        Ok(stream) => Ok(Stream::new(stream)),
        Err(error) => Err(match tls::explained(&error) {
            Some(cause) => NoAnswer::Tls { to: place(to), cause },
            None => {
                let cause = format!("the TLS handshake broke off: {}", words(&error));
                NoAnswer::Connect { to: place(to), cause }
            }
        }),
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NoAnswer>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoAnswer>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}
