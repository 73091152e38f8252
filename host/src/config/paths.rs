//! Where things are when nobody says so: the configuration, the data, the first-party plugins.

use std::path::{Path, PathBuf};

/// The configuration of the system's agent.
pub const CONFIG_FILE: &str = "/etc/picket/picket.toml";

/// Where an operator puts plugins.
pub const PLUGIN_DIR: &str = "/etc/picket/plugins";

/// Where a package puts the first-party plugins.
pub const SYSTEM_PLUGINS: &str = "/usr/lib/picket/plugins";

/// The data folder of the agent of the system, or of a user: `/var/lib/picket` for root, else
/// `$XDG_STATE_HOME/picket`, else `~/.local/state/picket`.
pub fn data_dir() -> PathBuf {
    match rustix::process::geteuid().is_root() {
        true => None,
        false => folder_of("XDG_STATE_HOME").or_else(|| Some(folder_of("HOME")?.join(".local/state"))),
    }
    .map_or_else(|| "/var/lib/picket".into(), |folder| folder.join("picket"))
}

/// Where compiled components of one-shot runs are kept: `$XDG_CACHE_HOME/picket`, else `/var/cache/picket`
/// for root and `~/.cache/picket` for others.
pub fn cache_dir() -> PathBuf {
    let of_home = || match rustix::process::geteuid().is_root() {
        true => None,
        false => Some(folder_of("HOME")?.join(".cache")),
    };
    let folder = folder_of("XDG_CACHE_HOME").or_else(of_home);
    folder.map_or_else(|| "/var/cache/picket".into(), |folder| folder.join("picket"))
}

/// The absolute path in a variable.
fn folder_of(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The folder of the first-party plugins: beside the executable (`plugins`, `../plugins`,
/// `../lib/picket/plugins`), else where a package puts them. The first that holds a component.
pub fn first_party_plugins(executable: Option<&Path>) -> Option<PathBuf> {
    let folder = executable.and_then(Path::parent);
    let beside = folder.into_iter().flat_map(|folder| {
        ["plugins", "../plugins", "../lib/picket/plugins"].into_iter().map(|relative| folder.join(relative))
    });
    beside
        .chain([PathBuf::from(SYSTEM_PLUGINS)])
        .find(|candidate| holds_components(candidate))
        .map(|folder| folder.canonicalize().unwrap_or(folder))
}

/// Whether a folder holds a component at all: a `plugins` folder may be anything.
fn holds_components(folder: &Path) -> bool {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.path().extension().is_some_and(|extension| extension == "wasm"))
}
