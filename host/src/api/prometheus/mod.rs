//! `/prometheus/api/v1/`: the node as a data source of Grafana and of whatever else reads from Prometheus.
//!
//! Paths, parameters, JSON and errors are Prometheus' own (<https://prometheus.io/docs/prometheus/latest/querying/api/>).
//! Expressions are answered by a plugin, everything else by the agent. All of it is reading, `POST` too: it only
//! carries parameters that are too long for an address.
//!
//! Not there: what changes or configures a server, exemplars (an empty list), native histograms, and looking at
//! several servers.

mod answer;
mod failure;
mod form;
pub mod judged;
mod number;
mod page;
mod parameters;
mod rules;
mod times;
pub mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use picket_sandbox::QueryTime;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::failure::{Failure, Sort};
use self::form::Form;
use self::parameters::Asked;
use self::view::{Found, Lookup, LookupError};
use super::routes::{Shared, blocking};
use super::view::View;
use crate::model::now_nanos;
use crate::pipeline::query::{AskError, Question};

/// Requests that are answered at once. Each may hold an answer of 16 MiB until it was sent.
const PLACES: usize = 16;
/// Requests that wait for one of those places; further ones are told to come back. Of 64 connections, as many as there
/// may be by default, a third is left for who asks for health and metrics.
const WAITING: usize = 24;
/// Beyond the evaluation: to write the answer down.
pub(super) const WRITING: Duration = Duration::from_secs(10);
/// The version of Prometheus whose API this is. Grafana decides by it which parameters it may use.
const SPEAKS: &str = "3.0.0";

/// Answers with the labels of series that are made at once. Each may take some 60 MB for a moment; others wait.
const TURNS: usize = 2;

/// What keeps answers from filling the memory.
#[derive(Clone)]
pub(super) struct Room {
    /// For each answer.
    places: Arc<Semaphore>,
    /// For each request that waits for a place.
    waiting: Arc<Semaphore>,
    /// For those with the labels of series.
    turns: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        let [places, waiting, turns] = [PLACES, WAITING, TURNS].map(|most| Arc::new(Semaphore::new(most)));
        Self { places, waiting, turns }
    }
}

/// The paths, for metrics; `{name}` stands for any label.
pub(super) const PATHS: [&str; 14] = [
    "/prometheus/-/healthy",
    "/prometheus/-/ready",
    "/prometheus/api/v1/query",
    "/prometheus/api/v1/query_range",
    "/prometheus/api/v1/query_exemplars",
    "/prometheus/api/v1/series",
    "/prometheus/api/v1/labels",
    LABEL_VALUES,
    "/prometheus/api/v1/metadata",
    "/prometheus/api/v1/rules",
    "/prometheus/api/v1/alerts",
    "/prometheus/api/v1/status/buildinfo",
    "/prometheus/api/v1/status/runtimeinfo",
    "/prometheus/api/v1/status/flags",
];
/// The one path with a part that varies.
pub(super) const LABEL_VALUES: &str = "/prometheus/api/v1/label/{name}/values";

/// Whether a path is that of a label's values.
pub(super) fn is_label_values(path: &str) -> bool {
    let name = path.strip_prefix("/prometheus/api/v1/label/").and_then(|rest| rest.strip_suffix("/values"));
    name.is_some_and(|name| !name.contains('/'))
}

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/prometheus/-/healthy", get(healthy))
        .route("/prometheus/-/ready", get(ready))
        .route("/prometheus/api/v1/query", get(query).post(query))
        .route("/prometheus/api/v1/query_range", get(query_range).post(query_range))
        .route("/prometheus/api/v1/query_exemplars", get(query_exemplars).post(query_exemplars))
        .route("/prometheus/api/v1/series", get(series).post(series))
        .route("/prometheus/api/v1/labels", get(labels).post(labels))
        .route(LABEL_VALUES, get(label_values))
        .route("/prometheus/api/v1/metadata", get(metadata))
        .route("/prometheus/api/v1/rules", get(rules))
        .route("/prometheus/api/v1/alerts", get(alerts))
        .route("/prometheus/api/v1/status/buildinfo", get(build_info))
        .route("/prometheus/api/v1/status/runtimeinfo", get(runtime_info))
        .route("/prometheus/api/v1/status/flags", get(flags))
}

async fn healthy() -> &'static str {
    "Picket is healthy.\n"
}

async fn ready(State(shared): State<Shared>) -> Result<&'static str, Failure> {
    match blocking(&shared, |view| view.ready()).await? {
        Ok(()) => Ok("Picket is ready.\n"),
        Err(why) => Err(Failure::new(Sort::Unavailable, why)),
    }
}

async fn query(State(shared): State<Shared>, request: Request) -> Result<Response, Failure> {
    let form = Form::read(request).await?;
    ask(&shared, parameters::instant(&form, now_nanos())?).await
}

async fn query_range(State(shared): State<Shared>, request: Request) -> Result<Response, Failure> {
    let form = Form::read(request).await?;
    ask(&shared, parameters::range(&form)?).await
}

/// Has an expression evaluated and writes the answer down.
async fn ask(shared: &Shared, asked: Asked) -> Result<Response, Failure> {
    let timeout = asked.timeout.map_or(shared.query_timeout, |wanted| wanted.min(shared.query_timeout));
    let deadline = Instant::now() + timeout;
    let place = place(shared, deadline).await?;
    let question = Question { expression: asked.expression, time: asked.time, deadline };
    let pending = shared.view.ask(question)?;
    let answer = match tokio::time::timeout_at(deadline.into(), pending).await {
        Ok(Ok(outcome)) => outcome?,
        Ok(Err(_)) => {
            return Err(Failure::new(Sort::Internal, "the query broke off; look at the agent's log"));
        }
        Err(_) => return Err(AskError::Late.into()),
    };
    let at = match asked.time {
        QueryTime::Instant(at) => at,
        QueryTime::Range { end, .. } => end,
    };
    let bytes = blocking(shared, move |_| answer::render(answer, asked.limit, at)).await??;
    Ok(page::response(bytes, place))
}

/// A place for an answer, as soon as there is one: a dashboard asks for more at once than there are places.
async fn place(shared: &Shared, deadline: Instant) -> Result<OwnedSemaphorePermit, Failure> {
    let places = shared.room.places.clone();
    if let Ok(place) = places.clone().try_acquire_owned() {
        return Ok(place);
    }
    let Ok(_waits) = shared.room.waiting.try_acquire() else {
        let why = format!("{PLACES} requests are being answered and {WAITING} wait; ask again in a second");
        return Err(Failure::busy(why));
    };
    match tokio::time::timeout_at(deadline.into(), places.acquire_owned()).await {
        Ok(Ok(place)) => Ok(place),
        // None was given back in time; nobody closes them.
        Ok(Err(_)) | Err(_) => {
            let why = format!("{PLACES} requests were being answered all the time; ask again in a second");
            Err(Failure::busy(why))
        }
    }
}

/// When a request without a deadline of its own is given up.
fn deadline(shared: &Shared) -> Instant {
    Instant::now() + shared.query_timeout
}

/// Answers with data that is made on a thread that may block.
async fn answer_with<T: serde::Serialize>(
    shared: &Shared,
    deadline: Instant,
    make: impl FnOnce(&dyn View) -> Result<Found<T>, Failure> + Send + 'static,
) -> Result<Response, Failure> {
    let place = place(shared, deadline).await?;
    let bytes = blocking(shared, move |view| {
        let found = make(view)?;
        page::success(found.items, found.truncated)
    });
    Ok(page::response(bytes.await??, place))
}

/// The same for what has no bound to be cut at.
async fn answer_whole<T: serde::Serialize>(
    shared: &Shared,
    make: impl FnOnce(&dyn View) -> T + Send + 'static,
) -> Result<Response, Failure> {
    let place = place(shared, deadline(shared)).await?;
    let bytes = blocking(shared, move |view| page::success(make(view), false)).await??;
    Ok(page::response(bytes, place))
}

async fn series(State(shared): State<Shared>, request: Request) -> Result<Response, Failure> {
    let lookup = parameters::lookup(&Form::read(request).await?)?;
    if lookup.selectors.is_empty() {
        return Err(Failure::new(Sort::BadData, "no match[] parameter provided"));
    }
    let deadline = deadline(&shared);
    let turn = tokio::time::timeout_at(deadline.into(), shared.room.turns.clone().acquire_owned()).await;
    let turn =
        turn.map_err(|_| LookupError::Late("others look up series all the time; ask again".to_owned()))?;
    answer_with(&shared, deadline, move |view| {
        let _turn = turn;
        let found = view.series(&lookup, deadline)?;
        let items = found.items.into_iter().map(super::dto::Pairs).collect();
        Ok(Found { items, truncated: found.truncated })
    })
    .await
}

/// How the names and the values of labels are looked up.
type Names = Result<Found<String>, LookupError>;

async fn labels(State(shared): State<Shared>, request: Request) -> Result<Response, Failure> {
    let form = Form::read(request).await?;
    look_up(&shared, &form, |view, lookup, deadline| view.label_names(lookup, deadline)).await
}

async fn label_values(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Failure> {
    let form = Form::read(request).await?;
    look_up(&shared, &form, move |view, lookup, deadline| view.label_values(&name, lookup, deadline)).await
}

async fn look_up(
    shared: &Shared,
    form: &Form,
    ask: impl FnOnce(&dyn View, &Lookup, Instant) -> Names + Send + 'static,
) -> Result<Response, Failure> {
    let lookup = parameters::lookup(form)?;
    let deadline = deadline(shared);
    answer_with(shared, deadline, move |view| Ok(ask(view, &lookup, deadline)?)).await
}

async fn metadata(State(shared): State<Shared>, request: Request) -> Result<Response, Failure> {
    let form = Form::read(request).await?;
    let limit = parameters::limit(&form)?.unwrap_or(usize::MAX);
    // A metric has one description here, so that only 0, which is no bound, could mean something else.
    let _ = parameters::number(&form, "limit_per_metric")?;
    let metric = form.first("metric").map(str::to_owned);
    answer_whole(&shared, move |view| {
        let known = view.metadata().into_iter();
        let wanted = known.filter(|known| metric.as_ref().is_none_or(|wanted| *wanted == known.name));
        let shown = wanted.take(limit).map(|known| {
            (known.name, [json!({ "type": known.kind, "help": known.help, "unit": known.unit })])
        });
        shown.collect::<BTreeMap<_, _>>()
    })
    .await
}

async fn rules(State(shared): State<Shared>, request: Request) -> Result<Response, Failure> {
    let filter = rules::Filter::of(&Form::read(request).await?)?;
    answer_whole(&shared, move |view| rules::rules(view.rules(), view.rule_alerts(), &filter)).await
}

async fn alerts(State(shared): State<Shared>) -> Result<Response, Failure> {
    answer_whole(&shared, |view| rules::alerts(view.rule_alerts())).await
}

/// There are none: the agent keeps no exemplars. Grafana asks all the same.
async fn query_exemplars(State(shared): State<Shared>) -> Result<Response, Failure> {
    answer_whole(&shared, |_| json!([])).await
}

async fn build_info(State(shared): State<Shared>) -> Result<Response, Failure> {
    let info = json!({
        "version": SPEAKS,
        "revision": concat!("picket-", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    });
    answer_whole(&shared, move |_| info).await
}

async fn runtime_info(State(shared): State<Shared>) -> Result<Response, Failure> {
    answer_whole(&shared, |view| {
        let status = view.status();
        json!({
            "startTime": status.started,
            "CWD": status.data_dir,
            "reloadConfigSuccess": status.config.last_error.is_none(),
            "lastConfigTime": status.config.loaded,
            "timeSeriesCount": status.series.series,
        })
    })
    .await
}

/// The agent has a configuration and no flags.
async fn flags(State(shared): State<Shared>) -> Result<Response, Failure> {
    answer_whole(&shared, |_| json!({})).await
}
