//! The words that the whole agent shares: what goes in (records in blocks), what comes out
//! (findings, samples, alerts, verdicts in frames), and how both are named (digests, event ids).
//!
//! Plain data without behaviour of its own: no I/O, no threads, no configuration. Everything in
//! the agent may use this crate; it uses nothing of the agent.
#![forbid(unsafe_code)]

mod block;
mod day;
mod digest;
mod frame;
mod kind;
mod lane;
mod units;
mod word;

pub use block::{Block, Record, Selection, Stream};
pub use day::Day;
pub use digest::{Digest, EventId, ParseDigestError};
pub use frame::{
    AlertEvent, AlertState, Evidence, Finding, Frame, Label, LifecycleEvent, MAX_RETRACTION_REASON_BYTES,
    MAX_RETRACTS, Notice, Origin, RetractedBy, Retraction, STALE_NAN, Sample, Severity, Verdict, VerdictKind,
};
pub use kind::FrameKind;
pub use lane::Lane;
pub use units::now_nanos;
pub use units::{ByteSize, ParseUnitError, Span};
