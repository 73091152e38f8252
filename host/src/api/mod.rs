//! HTTP on loopback and on a Unix socket. The only module that sees HTTP server types.
//!
//! | path | answers |
//! |---|---|
//! | `GET /healthz` | 200 while the process runs; restart the agent when it does not answer |
//! | `GET /readyz` | 200 when the agent does its work, else 503; a failing plugin is no reason to restart |
//! | `GET /startupz` | 200 once every plugin was loaded or rejected |
//! | `GET /metrics` | the agent's metrics as Prometheus reads them |
//! | `GET /api/v1/status` | [`dto::Status`] |
//! | `GET /api/v1/forwarders` | [`dto::Forwarders`] |
//! | `GET /api/v1/plugins` | [`dto::Plugins`] |
//! | `GET /api/v1/findings` | [`dto::Findings`]; `since`, `until`, `severity`, `plugin`, `text`, `retracted` (`true` or `false`), `limit` |
//! | `POST /api/v1/findings/retract` | [`dto::RetractReport`] for a body of [`dto::RetractRequest`], on the Unix socket only |
//! | `GET /api/v1/alerts` | [`dto::Alerts`] |
//! | `GET /api/v1/silences` | [`dto::Silences`] |
//! | `POST /api/v1/silences` | takes a [`dto::WantedSilence`], answers 201 with a [`dto::SilenceView`]; on the Unix socket only |
//! | `DELETE /api/v1/silences/{id}` | ends a silence and answers with its [`dto::SilenceView`]; on the Unix socket only |
//! | `GET /api/v1/tap` | a line of JSON for each thing that passes a point ([`crate::tap::Line`], [`crate::tap::Dropped`]), until the client goes or the agent stops; `source`, `plugin` or `forwarder`, `limit`; on the Unix socket only |
//! | `GET /prometheus/api/v1/…` | what Prometheus answers there, see [`prometheus`] |
//! | `POST /-/reload` | [`dto::ReloadReport`], on the Unix socket only |
//!
//! Errors are [`problem::Problem`] documents, below `/prometheus/` Prometheus' own. The loopback listener only
//! reads, and no raw records, since every user of the machine can reach it; the socket takes everything from
//! root and from the agent's own user. The API knows nothing of the agent but its [`View`].

pub mod config;
pub mod dto;
mod listener;
mod metrics;
mod patience;
pub mod problem;
pub mod prometheus;
pub mod query;
mod reload;
mod retract;
mod routes;
mod server;
mod silences;
mod tap;
#[cfg(test)]
mod tests;
mod view;

pub use listener::ListenError;
pub use metrics::Metrics;
pub use server::{Server, StartError, start};
pub use view::{FindingQuery, FindingsError, RetractError, RetractQuery, TapError, View};
