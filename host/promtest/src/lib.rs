//! Prometheus' own notations for tests, read and nothing else: series with their samples
//! (`up{job="node"} 1+2x3 _ stale`), the `.test` files of its PromQL suite, and the unit tests of rules
//! that `promtool test rules` takes.
//!
//! Nothing is evaluated here, no file is opened, and no store is known. Every text is hostile: what it
//! may expand to is bounded by named constants, and what is wrong is told with its place.
#![forbid(unsafe_code)]

mod cases;
mod compare;
mod duration;
mod histograms;
mod places;
mod scan;
mod script;
mod series;
mod text;
mod unit;
mod values;
mod yaml;

pub use cases::{Annotation, Case, Expected, Pattern, Results, Time};
pub use compare::{STALE, almost_equal, is_stale, next_to};
pub use duration::{DurationError, parse_duration, show_duration};
pub use histograms::Histograms;
pub use places::{NotationError, SyntaxError};
pub use script::{Block, Command, Load, Loaded, script};
pub use series::{Labels, NAME, parse_series};
pub use text::show as show_series;
pub use unit::{AlertCase, ExpectedAlert, ExpressionCase, TestGroup, UnitTests, unit_tests};
pub use values::{MAX_FILE_POINTS, MAX_POINTS, Point, parse_values};
