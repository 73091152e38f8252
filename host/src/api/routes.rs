//! What is at which path.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use prometheus::Encoder as _;
use serde::Serialize;

use super::dto::{Alerts, Findings, Forwarders};
use super::metrics::Metrics;
use super::problem::{Code, Problem};
use super::prometheus as data_source;
use super::query::Parameters;
use super::reload::Reloads;
use super::view::View;
use super::{retract, silences, tap};
use crate::model::now_nanos;

/// No request carries more than a few parameters.
pub(super) const MAX_BODY: usize = 64 << 10;
/// A reload compiles what changed, one component after another; each has a bound of its own.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// What a listener allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Anybody on this machine may connect, web pages in its browsers included: reading only, and only
    /// when addressed as this machine.
    Read,
    /// Root and the agent's own user.
    Everything,
}

/// What handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) view: Arc<dyn View>,
    pub(super) registry: prometheus::Registry,
    pub(super) metrics: Metrics,
    pub(super) reloads: Arc<Reloads>,
    pub(super) timeout: Duration,
    /// For evaluating an expression.
    pub(super) query_timeout: Duration,
    /// For answers that may be large.
    pub(super) room: data_source::Room,
}

/// The agent's own paths; a metric's label takes these values and those of `prometheus` only.
const PATHS: [&str; 14] = [
    "/healthz",
    "/readyz",
    "/startupz",
    "/metrics",
    "/api/v1/status",
    "/api/v1/forwarders",
    "/api/v1/plugins",
    "/api/v1/findings",
    "/api/v1/findings/retract",
    "/api/v1/alerts",
    "/api/v1/silences",
    SILENCE,
    "/api/v1/tap",
    "/-/reload",
];

/// One silence.
const SILENCE: &str = "/api/v1/silences/{id}";

/// All routes, with what a listener allows.
pub(super) fn router(shared: Shared, access: Access) -> Router {
    let (reload, retract, tap) = match access {
        Access::Everything => (post(reload), post(retract::retract), get(tap::tap)),
        Access::Read => (post(refuse_to_change), post(refuse_to_change), get(tap::refuse)),
    };
    let (silences, silence) = match access {
        Access::Everything => (get(silences::list).post(silences::add), delete(silences::expire)),
        Access::Read => (get(silences::list).post(refuse_to_change), delete(refuse_to_change)),
    };
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/forwarders", get(forwarders))
        .route("/api/v1/plugins", get(plugins))
        .route("/api/v1/findings", get(findings))
        .route("/api/v1/findings/retract", retract)
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/silences", silences)
        .route(SILENCE, silence)
        .route("/api/v1/tap", tap)
        .route("/-/reload", reload)
        .merge(data_source::routes())
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state((shared.clone(), access), guard))
        .with_state(shared)
}

/// Checks every request, bounds its time and counts it.
async fn guard(State((shared, access)): State<(Shared, Access)>, request: Request, next: Next) -> Response {
    let route = route_of(request.uri().path());
    let began = Instant::now();
    let response = match check(&request, access) {
        Err(problem) => problem.into_response(),
        Ok(()) => {
            let bound = match route {
                "/-/reload" => RELOAD_TIMEOUT,
                path if path.starts_with("/prometheus/") => {
                    shared.timeout.max(shared.query_timeout + data_source::WRITING)
                }
                _ => shared.timeout,
            };
            match tokio::time::timeout(bound, next.run(request)).await {
                Ok(response) => response,
                Err(_) => {
                    let detail = format!(
                        "no answer within {}; ask again, or look at the agent's log",
                        humantime::format_duration(bound)
                    );
                    Problem::new(Code::Timeout, detail).into_response()
                }
            }
        }
    };
    let status = response.status();
    shared.metrics.requests.with_label_values(&[route, status.as_str()]).inc();
    shared.metrics.duration.with_label_values(&[route]).observe(began.elapsed().as_secs_f64());
    response
}

/// A path as the metrics call it.
fn route_of(path: &str) -> &'static str {
    if path.starts_with("/api/v1/silences/") {
        SILENCE
    } else if data_source::is_label_values(path) {
        data_source::LABEL_VALUES
    } else {
        let mut known = PATHS.into_iter().chain(data_source::PATHS);
        known.find(|known| *known == path).unwrap_or("other")
    }
}

fn check(request: &Request, access: Access) -> Result<(), Problem> {
    let declared = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if declared.and_then(|length| length.parse::<u64>().ok()).is_some_and(|length| length > MAX_BODY as u64) {
        return Err(Problem::new(Code::TooLarge, format!("a body of {MAX_BODY} bytes at most is read")));
    }
    match access {
        Access::Everything => Ok(()),
        Access::Read => addressed_as_local(request.headers()),
    }
}

/// A web page can make a browser connect here under a name of its own (DNS rebinding). The name then
/// stands in `Host`.
fn addressed_as_local(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(host) = headers.get(header::HOST) else { return Ok(()) };
    let host = host.to_str().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_local = name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match is_local {
        true => Ok(()),
        false => Err(Problem::new(Code::Forbidden, "address this listener as 127.0.0.1, [::1] or localhost")),
    }
}

/// Runs what may block on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    shared: &Shared,
    ask: impl FnOnce(&dyn View) -> T + Send + 'static,
) -> Result<T, Problem> {
    let view = shared.view.clone();
    tokio::task::spawn_blocking(move || ask(view.as_ref()))
        .await
        .map_err(|_| Problem::new(Code::Internal, "the answer could not be made; look at the agent's log"))
}

async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// That all is well needs no more words.
#[derive(Serialize)]
struct Health {
    status: &'static str,
}

async fn readyz(State(shared): State<Shared>) -> Result<Json<Health>, Problem> {
    match blocking(&shared, |view| view.ready()).await? {
        Ok(()) => Ok(Json(Health { status: "ready" })),
        Err(why) => Err(Problem::new(Code::Unavailable, why)),
    }
}

async fn startupz(State(shared): State<Shared>) -> Result<Json<Health>, Problem> {
    match blocking(&shared, |view| view.is_started()).await? {
        true => Ok(Json(Health { status: "started" })),
        false => Err(Problem::new(Code::Unavailable, "the agent is starting; ask again in a second")),
    }
}

async fn metrics(State(shared): State<Shared>) -> Result<Response, Problem> {
    let registry = shared.registry.clone();
    let text = blocking(&shared, move |_| {
        let encoder = prometheus::TextEncoder::new();
        let mut text = Vec::new();
        encoder.encode(&registry.gather(), &mut text).map(|()| (encoder.format_type().to_owned(), text))
    })
    .await?;
    match text {
        Ok((kind, text)) => Ok(([(header::CONTENT_TYPE, kind)], text).into_response()),
        Err(error) => Err(Problem::new(Code::Internal, format!("the metrics could not be written: {error}"))),
    }
}

async fn status(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    blocking(&shared, |view| view.status()).await.map(Json)
}

async fn forwarders(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    blocking(&shared, |view| view.status().forwarders).await.map(|forwarders| Json(Forwarders { forwarders }))
}

async fn plugins(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    blocking(&shared, |view| view.plugins()).await.map(Json)
}

async fn alerts(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    blocking(&shared, |view| view.alerts()).await.map(|alerts| Json(Alerts { alerts }))
}

async fn findings(
    State(shared): State<Shared>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Json<Findings>, Problem> {
    let Query(parameters) =
        parameters.map_err(|rejection| Problem::new(Code::BadQuery, rejection.body_text()))?;
    let query = parameters.check(now_nanos())?;
    let deadline = Instant::now() + shared.timeout;
    Ok(Json(blocking(&shared, move |view| view.findings(&query, deadline)).await??))
}

async fn reload(State(shared): State<Shared>) -> Result<Response, Problem> {
    let report = shared.reloads.ask(&shared.view).await;
    let report = Arc::unwrap_or_clone(report);
    if report.is_success() {
        return Ok((StatusCode::OK, Json(report)).into_response());
    }
    let rejected = report.plugins.iter().filter_map(|plugin| {
        plugin.reason.as_ref().map(|reason| format!("plugin `{}`: {reason}", plugin.plugin))
    });
    let wrong = report.problems.iter().map(|problem| problem.message.clone());
    let detail = wrong.chain(rejected).collect::<Vec<_>>().join("; ");
    Err(Problem { reload: Some(report), ..Problem::new(Code::ReloadFailed, detail) })
}

async fn refuse_to_change() -> Problem {
    Problem::new(
        Code::Forbidden,
        "this listener only reads; use the Unix socket, such as `curl --unix-socket …/picket.sock`",
    )
}

async fn nothing_here() -> Problem {
    let there_are = format!("there are {}; {}", PATHS.join(", "), data_source::PATHS.join(", "));
    Problem::new(Code::NotFound, there_are)
}

async fn wrong_method() -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        "/-/reload and /api/v1/findings/retract take POST, /api/v1/silences GET and POST, /api/v1/silences/{id} \
         DELETE, queries below /prometheus/ GET and POST, everything else GET",
    )
}
