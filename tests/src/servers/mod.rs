//! The real receivers that results are forwarded to, each a process of its own on loopback with its data in a
//! temporary folder: Prometheus, VictoriaMetrics, Alertmanager, a Forward server, an OTLP decoder; and what
//! stands between them and the agent when a test wants trouble, [`Flaky`].
//!
//! None of them is this project's own code, so that an agent that is wrong in the same way as its tests is found
//! out; the two scripts in `tests/servers` only wrap libraries. A test asks [`need`] first. Every server prints
//! to a file, is ready when it is handed out, can be ended and launched again at the same address, and is
//! killed when it is dropped.

mod alertmanager;
mod client;
mod daemon;
mod flaky;
mod fluent;
mod hook;
mod http_server;
mod lines;
mod need;
mod otlp;
mod port;
mod prometheus;
mod series;
mod target;
mod tls;
mod victoria;

pub use alertmanager::Alertmanager;
pub use client::{Web, quoted};
pub use flaky::{Counts, Fault, Flaky, Nobody};
pub use fluent::Fluent;
pub use hook::{Hook, Hooked};
pub use need::{Server, need};
pub use otlp::Otlp;
pub use prometheus::{Prometheus, REGION};
pub use series::Series;
pub use target::{Page, Target};
pub use tls::{PASSWORD, Tls, USER};
pub use victoria::VictoriaMetrics;
