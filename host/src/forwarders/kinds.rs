//! The kinds of forwarders, as the configuration names them.

use std::path::Path;

use picket_forwarders::file::FileForwarder;
use picket_forwarders::{Forwarder, Link, file};
use serde::{Deserialize, Serialize};

use super::drain;

/// One forwarder's section of the configuration; `kind` says which.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Config {
    /// See [`file::Config`].
    File(file::Config),
}

impl Config {
    /// Its `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
        }
    }

    /// The file that it writes; none when it writes none.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(config) => Some(&config.path),
        }
    }

    /// Whether it talks to something over the network.
    pub(super) fn needs_network(&self) -> bool {
        match self {
            Self::File(_) => false,
        }
    }

    /// How it is drained.
    pub(super) fn drain(&self) -> drain::Config {
        match self {
            Self::File(_) => drain::Config::default(),
        }
    }

    /// Its hands. `link` is there when it needs the network.
    pub(super) fn forwarder(&self, _link: Option<Link>) -> Box<dyn Forwarder> {
        match self {
            Self::File(config) => Box::new(FileForwarder::new(config.clone())),
        }
    }
}
