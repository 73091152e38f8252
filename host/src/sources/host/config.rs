//! The settings of a `host` source.

use std::path::PathBuf;
use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use crate::model::Span;

/// The counters of the kernel are no finer than a hundredth of a second, and rates need several
/// samples; more often only costs.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// A `host` source: the machine's own metrics, under the names of Prometheus' node_exporter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How often to take samples; 1s or longer.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// Where the host's `proc` is mounted; in a container for instance `/host/proc`.
    #[serde(default = "default_proc")]
    pub proc: PathBuf,
    /// Where the host's root is mounted; in a container for instance `/host`. File systems are looked
    /// at below it and named without it.
    #[serde(default = "default_root")]
    pub root: PathBuf,
    /// Mount points that are left out, as patterns of paths.
    #[serde(default = "default_exclude_mounts")]
    pub exclude_mounts: Vec<String>,
    /// Types of file systems that are left out. Those over a network are, by default: asking one whose
    /// server is gone would block.
    #[serde(default = "default_exclude_filesystems")]
    pub exclude_filesystems: Vec<String>,
    /// Disks that are left out, as patterns of names; partitions by default.
    #[serde(default = "default_exclude_disks")]
    pub exclude_disks: Vec<String>,
    /// Network devices that are left out, as patterns of names.
    #[serde(default)]
    pub exclude_networks: Vec<String>,
}

fn default_interval() -> Span {
    Span::seconds(15)
}

fn default_proc() -> PathBuf {
    PathBuf::from("/proc")
}

fn default_root() -> PathBuf {
    PathBuf::from("/")
}

fn owned(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

fn default_exclude_mounts() -> Vec<String> {
    owned(&[
        "/{dev,proc,sys}",
        "/{dev,proc,sys}/**",
        "/run/credentials/**",
        "/var/lib/{docker,containers/storage,containerd,kubelet}/**",
        "/run/{containerd,docker}/**",
    ])
}

fn default_exclude_filesystems() -> Vec<String> {
    owned(&[
        // Views into the kernel, and images that are always full.
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "erofs",
        "fusectl",
        "hugetlbfs",
        "iso9660",
        "mqueue",
        "nsfs",
        "overlay",
        "proc",
        "pstore",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "squashfs",
        "sysfs",
        "tracefs",
        // Over a network.
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "ceph",
        "9p",
        "afs",
        "glusterfs",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.rclone",
    ])
}

fn default_exclude_disks() -> Vec<String> {
    owned(&[
        "ram*",
        "zram*",
        "loop*",
        "fd[0-9]*",
        "[hsv]d[a-z]*[0-9]",
        "xvd[a-z]*[0-9]",
        "nvme*n*p*",
        "mmcblk*p*",
    ])
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interval: default_interval(),
            proc: default_proc(),
            root: default_root(),
            exclude_mounts: default_exclude_mounts(),
            exclude_filesystems: default_exclude_filesystems(),
            exclude_disks: default_exclude_disks(),
            exclude_networks: Vec::new(),
        }
    }
}

impl Config {
    /// Checks everything that can be checked without looking at the host.
    pub fn check(&self) -> Result<Checked, ConfigError> {
        if self.interval.0 < SHORTEST_INTERVAL {
            return Err(ConfigError::Interval { found: self.interval });
        }
        Ok(Checked {
            interval: self.interval.0,
            proc: self.proc.clone(),
            root: self.root.clone(),
            exclude_mounts: patterns("exclude_mounts", &self.exclude_mounts)?,
            exclude_filesystems: self.exclude_filesystems.clone(),
            exclude_disks: patterns("exclude_disks", &self.exclude_disks)?,
            exclude_networks: patterns("exclude_networks", &self.exclude_networks)?,
        })
    }
}

fn patterns(key: &'static str, patterns: &[String]) -> Result<GlobSet, ConfigError> {
    let error = |error: globset::Error| ConfigError::Pattern { key, reason: error.to_string() };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(error)?);
    }
    set.build().map_err(error)
}

/// A setting of a `host` source cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Samples would be taken too often.
    #[error("`interval` is {found}; it can be 1s or longer")]
    Interval {
        /// As configured.
        found: Span,
    },
    /// A pattern has a mistake.
    #[error("`{key}`: {reason}")]
    Pattern {
        /// Which setting.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// A [`Config`] ready to use.
#[derive(Debug, Clone)]
pub struct Checked {
    /// See [`Config::interval`].
    pub interval: Duration,
    /// See [`Config::proc`].
    pub proc: PathBuf,
    /// See [`Config::root`].
    pub root: PathBuf,
    /// See [`Config::exclude_mounts`].
    pub exclude_mounts: GlobSet,
    /// See [`Config::exclude_filesystems`].
    pub exclude_filesystems: Vec<String>,
    /// See [`Config::exclude_disks`].
    pub exclude_disks: GlobSet,
    /// See [`Config::exclude_networks`].
    pub exclude_networks: GlobSet,
}
