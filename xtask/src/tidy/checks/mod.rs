//! The checks, each a function from the tree to what is wrong with it.

mod documents;
mod files;
mod imports;
mod manifests;
mod words;

use super::{Problem, Tree};

/// What finds the places that break a rule.
type Find = fn(&Tree) -> Vec<Problem>;

/// Every check, by the name of its rule.
pub(crate) const ALL: &[(&str, Find)] = &[
    ("fence", imports::fences),
    ("wall", imports::walls),
    ("readable", files::readable),
    ("header", files::headers),
    ("unwrap", files::unwraps),
    ("size", files::sizes),
    ("unsafe", files::unsafe_code),
    ("unfinished", words::unfinished),
    ("machine-path", words::machine_paths),
    ("registry-host", words::registry_hosts),
    ("lints", manifests::lints),
    ("dependency", manifests::dependencies),
    ("architecture", documents::architecture),
    ("link", documents::links),
    ("capability", documents::capabilities),
];
