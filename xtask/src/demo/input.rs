//! Lays out what the demonstration runs on: a configuration, copies of the sample logs, a folder
//! of files with something wrong in it.
//!
//! Copies, because the agent remembers how far it has read each file, and because a reader may want
//! to append lines and watch.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// Where things were put.
pub(super) struct Layout {
    /// The agent's configuration.
    pub config: PathBuf,
    /// Where the agent writes results.
    pub results: PathBuf,
}

/// Makes the folder and everything in it.
pub(super) fn lay_out(workspace: &Workspace, folder: &Path, listen: SocketAddr) -> Result<Layout> {
    let samples = workspace.root.join("tests").join("samples");
    ensure!(samples.is_dir(), "{} is missing: the clone is incomplete", samples.display());
    let logs = folder.join("logs");
    copy_folder(&samples, &logs)?;
    let uploads = folder.join("uploads");
    lay_out_uploads(&uploads)?;
    let config = folder.join("picket.toml");
    let results = folder.join("results.ndjson");
    let text = configuration(folder, &workspace.plugin_folder(), listen);
    fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
    // The agent refuses a configuration that others can change.
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644))?;
    Ok(Layout { config, results })
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Files as they lie in an upload folder: a harmless note, a program that calls itself a picture, and
/// one that runs with its owner's rights.
fn lay_out_uploads(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("note.txt"), "Meet at nine.\n")?;
    let program = std::env::current_exe().and_then(fs::read).context("cannot read this program")?;
    fs::write(folder.join("holiday.jpg"), &program)?;
    fs::write(folder.join("helper"), &program)?;
    fs::set_permissions(folder.join("helper"), fs::Permissions::from_mode(0o4755))?;
    Ok(())
}

/// The configuration, with every path in it absolute.
fn configuration(folder: &Path, plugins: &Path, listen: SocketAddr) -> String {
    let at = |name: &str| quoted(&folder.join(name));
    format!(
        r#"# Written by `cargo xtask demo`. Change it while the agent runs: it is reloaded.
data_dir = {data}
plugin_dir = {plugins}

[api]
listen = "{listen}"

# Copies of the sample logs in tests/samples/. Append a line and see what happens.
[sources.web]
kind = "file"
include = [{nginx}, {apache}]
start = "beginning"

[sources.logins]
kind = "file"
include = [{logins}]
start = "beginning"

[sources.programs]
kind = "file"
include = [{programs}]
start = "beginning"

# This machine's own logs, as far as you may read them, from the beginning.
[sources.machine]
kind = "file"
include = ["/var/log/syslog", "/var/log/messages", "/var/log/*.log", "/var/log/apt/*.log"]
start = "beginning"

# This machine's processor, memory, disks and network.
[sources.host]
kind = "host"
interval = "2s"

# Files as people upload them, two of them not what they say.
[sources.uploads]
kind = "directory"
include = [{uploads}]

[plugins.access-log]
sources = ["web"]
grants = {{ state = "16MiB" }}

[plugins.auth-guard]
sources = ["logins", "machine"]
grants = {{ state = "16MiB" }}

[plugins.log-patterns]
sources = ["programs", "machine"]
grants = {{ state = "16MiB" }}

[plugins.file-guard]
sources = ["uploads"]
grants = {{ state = "16MiB" }}

[plugins.thresholds]
grants = {{ series = true, state = "16MiB" }}

# Besides the default pack, whose levels a machine in good health does not reach: one that every machine
# passes, so that there is an alert to look at.
[[plugins.thresholds.config.rules]]
name = "MemoryInUse"
interval = "2s"
for = "4s"
unit = "percent"
warning = 1
annotations = {{ summary = "{{{{value}}}} of the memory are in use." }}
expr = {{ percent-used = {{ free = "node_memory_MemAvailable_bytes", total = "node_memory_MemTotal_bytes" }} }}

[forwarders.results]
kind = "file"
path = {results}
"#,
        data = at("data"),
        plugins = quoted(plugins),
        nginx = at("logs/nginx-access*.log"),
        apache = at("logs/apache-co*.log"),
        logins = at("logs/auth*.log"),
        programs = at("logs/{dpkg,make,logrotate}.log"),
        uploads = at("uploads"),
        results = at("results.ndjson"),
    )
}

/// A path as a TOML string.
fn quoted(path: &Path) -> String {
    toml::Value::String(path.display().to_string()).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_configuration_is_toml_even_with_odd_paths() {
        let listen = "127.0.0.1:9765".parse().unwrap();
        let text = configuration(Path::new("/a \"b\"/demo"), Path::new("/a \"b\"/plugins"), listen);
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["data_dir"].as_str(), Some("/a \"b\"/demo/data"));
        let sources = table["sources"].as_table().unwrap();
        for plugin in table["plugins"].as_table().unwrap().values() {
            for source in plugin.get("sources").and_then(toml::Value::as_array).into_iter().flatten() {
                assert!(sources.contains_key(source.as_str().unwrap()), "{source} is no source");
            }
        }
    }
}
