//! The `otlp` forwarder: results as log records and samples as metrics, by OTLP/HTTP with protobuf.
//!
//! What OTLP 1.x (opentelemetry-proto, `docs/specification.md`) calls retryable is handed over again: 429, 502,
//! 503, 504, and no answer at all. Everything else is final: that request is not sent again. What the receiver thinks
//! of an empty one tells whether it takes nothing at all, and then all waits, or dislikes something in the request. To
//! find that alone, its results go in smaller requests, which are no retries. Of a request that was accepted in part nothing is
//! sent again, as the specification demands; the receiver says how many it refused and never which.
//!
//! Names, attributes and severities are described for receivers in `docs/forwarders.md`.

pub mod encode;

mod answer;
mod config;
mod send;

pub use config::{BATCH, Config};
pub use send::{OtlpForwarder, Unfit};

#[cfg(test)]
mod tests;
