//! What the operator grants, and the check of a component's imports against it.
//!
//! The check comes before anything of the component runs, and nothing that is not granted is ever
//! linked, so forgetting one of the two opens nothing.

use crate::InspectError;
use crate::capability::series::Selector;
use crate::capability::wasi;
use crate::component::{self, Import, PACKAGE};

/// What a plugin may use of what it asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// A store of its own with this quota in bytes of keys and values.
    pub state: Option<u64>,
    /// Recent samples of the node.
    pub series: SeriesGrant,
}

/// How much of the node's samples a plugin may see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SeriesGrant {
    /// Nothing: the import is refused.
    #[default]
    None,
    /// Every series.
    All,
    /// Series that one of these selectors matches.
    Matching(Vec<Selector>),
}

/// A component cannot be linked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The component imports what the operator has not granted.
    #[error(
        "the component imports `{interface}`, which is not granted; to grant it, add `{grant}` to the configuration"
    )]
    Ungranted {
        /// Package and interface.
        interface: String,
        /// The line of configuration that would grant it.
        grant: String,
    },
    /// The component imports a part of WASI that plugins do not get.
    #[error(
        "the component imports `{interface}`: plugins get WASI only in an empty form, without files and without \
         network; use the capabilities of `picket:plugin` instead"
    )]
    Wasi {
        /// Package and interface.
        interface: String,
    },
    /// The component imports what this agent does not know.
    #[error("the component imports `{interface}`, which this agent does not have")]
    UnknownImport {
        /// Its name.
        interface: String,
    },
    /// An interface is imported in a version that does not fit.
    #[error(transparent)]
    Version(InspectError),
    /// Names and versions fit, but the functions' types do not: the component was built with another
    /// text of the interfaces.
    #[error("the component does not fit the interfaces of this agent: {what}")]
    Mismatch {
        /// wasmtime's own words.
        what: String,
    },
}

/// Checks that everything imported is known and granted.
pub(crate) fn check(imports: &[Import], plugin: &str, grants: &Grants) -> Result<(), LinkError> {
    imports.iter().try_for_each(|import| check_one(import, plugin, grants))
}

fn check_one(import: &Import, plugin: &str, grants: &Grants) -> Result<(), LinkError> {
    let interface = import.interface.as_str();
    let unknown = || LinkError::UnknownImport { interface: named(import) };
    let Some(ours) = interface.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/')) else {
        return match interface.starts_with("wasi:") {
            true if wasi::INTERFACES.contains(&interface) && import.version.starts_with("0.2.") => Ok(()),
            true => Err(LinkError::Wasi { interface: named(import) }),
            false => Err(unknown()),
        };
    };
    component::check_version(import).map_err(LinkError::Version)?;
    let ungranted = |line: &str| LinkError::Ungranted {
        interface: interface.to_owned(),
        grant: format!("plugins.{plugin}.grants.{line}"),
    };
    match ours {
        "types" | "log" | "clock" | "assets" | "objects" => Ok(()),
        "state" if grants.state.is_some() => Ok(()),
        "state" => Err(ungranted("state = \"16MiB\"")),
        "series" if grants.series != SeriesGrant::None => Ok(()),
        "series" => Err(ungranted("series = true")),
        _ => Err(unknown()),
    }
}

fn named(import: &Import) -> String {
    if import.version.is_empty() {
        import.interface.clone()
    } else {
        format!("{}@{}", import.interface, import.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, grants: &Grants) -> Result<(), String> {
        super::check(&[component::import(name)], "web", grants).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_granted_is_refused_with_the_line_that_grants_it() {
        let none = Grants::default();
        let error = check("picket:plugin/state@0.1.0", &none).unwrap_err();
        assert!(error.contains("`picket:plugin/state`"), "{error}");
        assert!(error.contains("`plugins.web.grants.state = \"16MiB\"`"), "{error}");
        let error = check("picket:plugin/series@0.1.0", &none).unwrap_err();
        assert!(error.contains("`plugins.web.grants.series = true`"), "{error}");
        let all = Grants { state: Some(1), series: SeriesGrant::All };
        assert_eq!(check("picket:plugin/state@0.1.0", &all), Ok(()));
        assert_eq!(check("picket:plugin/series@0.1.0", &all), Ok(()));
    }

    #[test]
    fn what_every_plugin_gets_needs_no_grant() {
        for name in ["log", "clock", "assets", "types", "objects"] {
            assert_eq!(check(&format!("picket:plugin/{name}@0.1.0"), &Grants::default()), Ok(()));
        }
        assert_eq!(check("wasi:io/streams@0.2.6", &Grants::default()), Ok(()));
    }

    #[test]
    fn what_is_unknown_is_named() {
        let all = Grants { state: Some(1), series: SeriesGrant::All };
        for (name, says) in [
            ("wasi:filesystem/types@0.2.6", "without files"),
            ("wasi:sockets/tcp@0.2.6", "without files and without network"),
            ("wasi:io/streams@0.3.0", "empty form"),
            ("picket:plugin/telepathy@0.1.0", "does not have"),
            ("picket:plugin/log@0.1.1", "update the agent"),
            ("picket:plugin/log@0.2.0", "update the agent"),
            ("picket:plugin/log@0.0.9", "build the plugin anew"),
            ("acme:net/http@1.0.0", "acme:net/http@1.0.0"),
            ("env", "`env`"),
        ] {
            let error = check(name, &all).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
