//! A compiled component, and what can be told of it without running it: its kinds and its imports.

use std::fmt;
use std::sync::Arc;

use wasmtime::component::types::ComponentItem;

use crate::grants::{self, Grants, LinkError};
use crate::linked::Linked;
use crate::{Engine, text};

/// The package of the interfaces between host and plugins.
pub(crate) const PACKAGE: &str = "picket:plugin";
/// The version of `wit/` that this agent knows: the one in the names that `bindgen!` generates.
pub(crate) const KNOWN: Version = Version { major: 0, minor: 1, patch: 0 };
/// Bytes of a name in an error.
const SHOWN_NAME: usize = 200;
/// Exports named in an error.
const SHOWN_EXPORTS: usize = 8;

/// What a plugin can be. One component may be several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Reads records.
    Analyzer,
    /// Looks at files.
    Scanner,
    /// Opens containers for scanners.
    Unpacker,
    /// Reads series and says which alerts hold.
    AlertRule,
    /// Answers expressions over the series.
    Query,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Analyzer, Self::Scanner, Self::Unpacker, Self::AlertRule, Self::Query];

    /// The name of its interface in the package `picket:plugin`.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Analyzer => "analyzer",
            Self::Scanner => "scanner",
            Self::Unpacker => "unpacker",
            Self::AlertRule => "alert-rule",
            Self::Query => "query",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.interface())
    }
}

/// A version in an interface's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
}

impl Version {
    /// Whether something built for this version can be served by one that knows `known`: the
    /// same minor version before 1.0, the same major one after, and nothing that came later.
    pub(crate) fn fits(self, known: Self) -> bool {
        let same = self.major == known.major && (self.major > 0 || self.minor == known.minor);
        same && self <= known
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse().ok());
        let version = Self { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? };
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// An interface that a component imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Package and interface, such as `picket:plugin/state`; anything else that is imported stands
    /// here by its whole name.
    pub interface: String,
    /// Its version, such as `0.1.0`; empty when it has none.
    pub version: String,
}

/// The bytes are no plugin that this agent can run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// The file does not begin as WebAssembly does.
    #[error("this is not WebAssembly: a compiled component (`.wasm`) is expected")]
    NotWebAssembly,
    /// A core module, not a component.
    #[error(
        "this is a core WebAssembly module, not a component: build it for the target `wasm32-wasip2`, \
         as `picket plugin build` does"
    )]
    CoreModule,
    /// A format of WebAssembly that came later.
    #[error("this is WebAssembly in a format that this agent does not know")]
    UnknownFormat,
    /// The file ends too early: it is still being written, or was cut.
    #[error(
        "the component is cut off after {bytes} bytes: copy it anew, and move it into place when it is complete"
    )]
    Truncated {
        /// The file's size.
        bytes: u64,
    },
    /// The component exports an interface in a version that came later.
    #[error("the component was built for `{interface}` {found}, this agent knows {known}: update the agent")]
    NewerVersion {
        /// Package and interface.
        interface: String,
        /// The component's version of it.
        found: String,
        /// The agent's.
        known: String,
    },
    /// The component exports an interface in a version that is no longer served.
    #[error(
        "the component was built for `{interface}` {found}, this agent knows {known}: build the plugin anew"
    )]
    OlderVersion {
        /// Package and interface.
        interface: String,
        /// The component's version of it.
        found: String,
        /// The agent's.
        known: String,
    },
    /// The component exports no kind, or one that this agent does not know.
    #[error(
        "the component is of no kind that this agent knows (analyzer, scanner, unpacker, alert-rule, query); \
         it exports {}", exported(.exports)
    )]
    UnknownKind {
        /// What it exports.
        exports: Vec<String>,
    },
    /// The component does not export `lifecycle`, as every kind does.
    #[error("the component does not export `picket:plugin/lifecycle`, as every plugin must")]
    NoLifecycle,
}

fn exported(exports: &[String]) -> String {
    if exports.is_empty() { "nothing".into() } else { exports.join(", ") }
}

/// A compiled component. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    engine: Arc<Engine>,
    code: wasmtime::component::Component,
    digest: [u8; 32],
    kinds: Arc<[Kind]>,
    imports: Arc<[Import]>,
    exports: Arc<[String]>,
}

impl Component {
    /// Looks at a compiled component's exports and imports.
    pub(crate) fn inspect(
        engine: Arc<Engine>,
        code: wasmtime::component::Component,
        digest: [u8; 32],
    ) -> Result<Self, InspectError> {
        let component_type = code.component_type();
        let exports = || component_type.exports(engine.inner()).map(|(name, export)| (name, export.ty));
        let kinds = kinds(exports())?;
        let imports = component_type.imports(engine.inner()).map(|(name, _)| import(name)).collect();
        let exports = exports().map(|(name, _)| text::message(name, SHOWN_NAME)).collect();
        Ok(Self { code, digest, kinds, imports, exports, engine })
    }

    /// SHA-256 of the component's bytes.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// What it is: at least one kind, in the order of [`Kind`].
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// What it imports: what it asks for, and what of WASI came with it.
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// Names of what it exports, with their versions: its kinds, `lifecycle`, and whatever else.
    pub fn exports(&self) -> &[String] {
        &self.exports
    }

    /// Checks the imports against the grants and links what is granted. `plugin` is the name in the
    /// configuration, for the line that would grant what is missing. Link once for each generation:
    /// all instances made from the result share its accounts of label sets and log lines.
    pub fn link(&self, plugin: &str, grants: &Grants) -> Result<Linked, LinkError> {
        grants::check(&self.imports, plugin, grants)?;
        Linked::new(self, grants)
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn code(&self) -> &wasmtime::component::Component {
        &self.code
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").field("kinds", &self.kinds).field("imports", &self.imports).finish()
    }
}

/// Package and interface of a name, and the version behind `@`.
pub(crate) fn import(name: &str) -> Import {
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    Import { interface: text::message(interface, SHOWN_NAME), version: text::message(version, SHOWN_NAME) }
}

/// What is wrong with the version of one of our interfaces, if anything is.
pub(crate) fn check_version(of: &Import) -> Result<(), InspectError> {
    let found = Version::parse(&of.version);
    if found.is_some_and(|found| found.fits(KNOWN)) {
        return Ok(());
    }
    let (interface, known) = (of.interface.clone(), KNOWN.to_string());
    if found.is_some_and(|found| found < KNOWN) {
        return Err(InspectError::OlderVersion { interface, found: of.version.clone(), known });
    }
    Err(InspectError::NewerVersion { interface, found: of.version.clone(), known })
}

fn kinds<'a>(exports: impl Iterator<Item = (&'a str, ComponentItem)>) -> Result<Arc<[Kind]>, InspectError> {
    let mut kinds = Vec::new();
    let mut lifecycle = false;
    let mut unknown = false;
    let mut names = Vec::new();
    for (name, item) in exports {
        names.push(text::message(name, SHOWN_NAME));
        let export = import(name);
        let ours = export.interface.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/'));
        let (Some(interface), ComponentItem::ComponentInstance(_)) = (ours, item) else { continue };
        match Kind::ALL.into_iter().find(|kind| kind.interface() == interface) {
            _ if check_version(&export).is_err() => check_version(&export)?,
            Some(kind) => kinds.push(kind),
            None if interface == "lifecycle" => lifecycle = true,
            None => unknown = true,
        }
    }
    names.truncate(SHOWN_EXPORTS);
    if kinds.is_empty() || unknown {
        return Err(InspectError::UnknownKind { exports: names });
    }
    if !lifecycle {
        return Err(InspectError::NoLifecycle);
    }
    kinds.sort_unstable();
    Ok(kinds.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_fits_when_nothing_in_it_is_newer() {
        let known = Version { major: 0, minor: 3, patch: 2 };
        for (text, fits) in [
            ("0.3.2", true),
            ("0.3.0", true),
            ("0.3.3", false),
            ("0.2.9", false),
            ("0.4.0", false),
            ("1.0.0", false),
        ] {
            assert_eq!(Version::parse(text).map(|version| version.fits(known)), Some(fits), "{text}");
        }
        let known = Version { major: 2, minor: 3, patch: 0 };
        for (text, fits) in [("2.0.7", true), ("2.3.0", true), ("2.4.0", false), ("1.9.0", false)] {
            assert_eq!(Version::parse(text).map(|version| version.fits(known)), Some(fits), "{text}");
        }
        for text in ["", "1", "1.2", "1.2.3.4", "1.2.x", "1.2.3-rc1"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_split_at_the_version() {
        let Import { interface, version } = import("wasi:io/poll@0.2.6");
        assert_eq!((interface.as_str(), version.as_str()), ("wasi:io/poll", "0.2.6"));
        assert_eq!(import("run").version, "");
    }

    #[test]
    fn the_known_version_is_that_of_the_interfaces() {
        let wit = include_str!("../../../wit/types.wit");
        assert!(wit.contains(&format!("package {PACKAGE}@{KNOWN};")));
    }
}
