//! `/api/v1/silences`: shows silences, makes them and ends them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;

use super::dto::{SilenceView, WantedSilence};
use super::problem::{Code, Problem};
use super::routes::{Shared, blocking};
use crate::model::now_nanos;

pub(super) async fn list(State(shared): State<Shared>) -> Result<impl IntoResponse, Problem> {
    blocking(&shared, |view| view.silences()).await.map(Json)
}

/// The body is JSON whatever its `Content-Type` says: `curl -d` says that it is a form.
pub(super) async fn add(
    State(shared): State<Shared>,
    body: Result<Bytes, BytesRejection>,
) -> Result<impl IntoResponse, Problem> {
    let body = body.map_err(|rejection| Problem::new(Code::BadBody, rejection.body_text()))?;
    let wanted: WantedSilence = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(Code::BadBody, format!("the body is no silence: {error}")))?;
    let wanted = wanted.resolved(now_nanos()).map_err(|why| Problem::new(Code::BadBody, why))?;
    let made = blocking(&shared, move |view| view.add_silence(wanted)).await??;
    Ok((StatusCode::CREATED, Json(made)))
}

pub(super) async fn expire(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<SilenceView>, Problem> {
    Ok(Json(blocking(&shared, move |view| view.expire_silence(&id)).await??))
}
