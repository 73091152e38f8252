//! Guests that behave and guests that do not, in the sandbox: every limit with a guest that breaks
//! it, every refusal, every capability.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "tests")]

mod harness;

mod cache;
mod calls;
mod capabilities;
mod compiling;
mod kinds;
mod limits;
mod refusals;
mod reports;
