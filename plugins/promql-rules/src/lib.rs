//! Prometheus rule files.
#![forbid(unsafe_code)]
mod yaml;
