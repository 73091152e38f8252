//! The one way through: `route → plugin → commit`. Acks flow back, and members of containers to the source
//! that brought the container; nothing else does.

pub mod route;

pub mod interest;
pub mod matcher;

pub mod lane;
pub mod work;

pub mod container;
pub mod spool;

pub mod control;
pub mod events;
pub mod generation;
pub mod worker;

pub mod batch;
pub(crate) mod evaluated;
mod object;
pub mod plugin_state;
mod results;

pub mod circuit;
pub mod ends;
mod round;

pub mod commit;

pub mod retract;

pub mod carrier;
pub mod live;

pub mod query;

pub mod metrics;
pub mod plugin_metrics;
