//! Reads the host's metrics from `/proc` and the file systems.
//!
//! Names, labels and units are those of Prometheus' node_exporter, so that rules and dashboards made
//! for it work:
//!
//! | metrics | labels | from |
//! |---|---|---|
//! | `node_cpu_seconds_total`, `node_cpu_guest_seconds_total` | `cpu`, `mode` | `stat` |
//! | `node_context_switches_total`, `node_forks_total`, `node_intr_total`, `node_boot_time_seconds`, `node_procs_running`, `node_procs_blocked` | | `stat` |
//! | `node_memory_…_bytes` | | `meminfo`, every line |
//! | `node_disk_…` | `device` | `diskstats` |
//! | `node_filesystem_…` | `device`, `fstype`, `mountpoint` | `mounts`, statvfs(3) |
//! | `node_network_…` | `device` | `net/dev` |
//! | `node_load1`, `node_load5`, `node_load15` | | `loadavg` |
//! | `node_filefd_allocated`, `node_filefd_maximum` | | `sys/fs/file-nr` |
//! | `node_time_seconds` | | the clock |
//!
//! Each family is read by itself: one that cannot be read leaves the others alone.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use procfs::prelude::{FromBufReadSI as _, FromRead as _};
use procfs::{CpuTime, DiskStats, KernelStats, LoadAverage};
use rustix::fs::{StatVfsMountFlags, statvfs};

use super::config::Checked;
use super::counters::Counters;
use super::mounts::{self, Mount};
use crate::model::{Label, Sample, now_nanos};

/// Time that a processor spent on virtual machines, which is part of `user` and `nice` too.
const GUEST: &str = "guest";
const GUEST_NICE: &str = "guest_nice";

/// What was read at one time.
#[derive(Debug, Default)]
pub struct Collected {
    /// All samples, with the same time.
    pub samples: Vec<Sample>,
    /// What could not be read.
    pub problems: Vec<(PathBuf, io::Error)>,
}

struct Collect<'a> {
    config: &'a Checked,
    counters: &'a mut Counters,
    time: u64,
    collected: Collected,
}

/// Reads all metrics once. `counters` is what was read before.
pub fn collect(config: &Checked, counters: &mut Counters) -> Collected {
    let mut collect = Collect { config, counters, time: now_nanos(), collected: Collected::default() };
    collect.family(&["stat"], Collect::kernel);
    collect.family(&["meminfo"], Collect::memory);
    collect.family(&["diskstats"], Collect::disks);
    collect.family(&["loadavg"], Collect::load);
    collect.family(&["sys/fs/file-nr"], Collect::file_descriptors);
    // Process 1 sees the host's network and mounts where this one may see a container's.
    collect.family(&["1/net/dev", "net/dev"], Collect::networks);
    collect.first_of(&["1/mounts", "self/mounts"], Collect::file_systems);
    collect.sample("node_time_seconds", &[], collect.time as f64 / 1e9);
    collect.collected
}

fn invalid(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

impl Collect<'_> {
    fn family(&mut self, files: &[&str], read: fn(&mut Self, &str) -> io::Result<()>) {
        // Single letters that are no text are no reason to leave the rest out.
        self.first_of(files, |collect, bytes| read(collect, &String::from_utf8_lossy(bytes)));
    }

    /// Reads the first of some files that can be read.
    fn first_of(&mut self, files: &[&str], mut read: impl FnMut(&mut Self, &[u8]) -> io::Result<()>) {
        let mut outcome = Ok(());
        let mut path = PathBuf::new();
        for file in files {
            path = self.config.proc.join(file);
            outcome = fs::read(&path).and_then(|bytes| read(self, &bytes));
            if outcome.is_ok() {
                break;
            }
        }
        if let Err(error) = outcome {
            self.collected.problems.push((path, error));
        }
    }

    /// Labels have to be sorted by name.
    fn sample(&mut self, name: impl Into<String>, labels: &[(&str, &str)], value: f64) {
        let label = |(name, value): &(&str, &str)| Label { name: (*name).into(), value: (*value).into() };
        let labels = labels.iter().map(label).collect();
        self.collected.samples.push(Sample { name: name.into(), labels, time: self.time, value });
    }

    fn kernel(&mut self, text: &str) -> io::Result<()> {
        let stats =
            KernelStats::from_buf_read(text.as_bytes(), procfs::current_system_info()).map_err(invalid)?;
        // Processors that are off have no line, so their numbers have to be read as well.
        let names = text.lines().filter_map(|line| line.strip_prefix("cpu")?.split(' ').next());
        let names = names.filter(|name| !name.is_empty());
        let ticks = procfs::ticks_per_second() as f64;
        for (cpu, time) in names.zip(&stats.cpu_time) {
            self.processor(cpu, time, ticks);
        }
        self.sample("node_context_switches_total", &[], stats.ctxt as f64);
        self.sample("node_forks_total", &[], stats.processes as f64);
        self.sample("node_boot_time_seconds", &[], stats.btime as f64);
        if let Some(running) = stats.procs_running {
            self.sample("node_procs_running", &[], f64::from(running));
        }
        if let Some(blocked) = stats.procs_blocked {
            self.sample("node_procs_blocked", &[], f64::from(blocked));
        }
        let interrupts = text.lines().find_map(|line| line.strip_prefix("intr ")?.split(' ').next());
        if let Some(interrupts) = interrupts.and_then(|interrupts| interrupts.parse().ok()) {
            self.sample("node_intr_total", &[], interrupts);
        }
        Ok(())
    }

    fn processor(&mut self, cpu: &str, time: &CpuTime, ticks: f64) {
        let modes = [
            ("user", Some(time.user)),
            ("nice", Some(time.nice)),
            ("system", Some(time.system)),
            ("idle", Some(time.idle)),
            ("iowait", time.iowait),
            ("irq", time.irq),
            ("softirq", time.softirq),
            ("steal", time.steal),
            (GUEST, time.guest),
            (GUEST_NICE, time.guest_nice),
        ];
        let known = modes.into_iter().filter_map(|(mode, time)| Some((mode, time? as f64 / ticks)));
        let mut values: Vec<(&'static str, f64)> = known.collect();
        self.counters.hold(cpu, &mut values);
        for (mode, value) in values {
            let (name, mode) = match mode {
                GUEST => ("node_cpu_guest_seconds_total", "user"),
                GUEST_NICE => ("node_cpu_guest_seconds_total", "nice"),
                mode => ("node_cpu_seconds_total", mode),
            };
            self.sample(name, &[("cpu", cpu), ("mode", mode)], value);
        }
    }

    /// Every line, so that what newer kernels add is there too.
    fn memory(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            let Some((name, rest)) = line.split_once(':') else { continue };
            let name = name.replace('(', "_").replace(')', "");
            let mut rest = rest.split_whitespace();
            let Some(value) = rest.next().and_then(|value| value.parse::<u64>().ok()) else { continue };
            match rest.next() {
                Some(_) => self.sample(format!("node_memory_{name}_bytes"), &[], value as f64 * 1024.0),
                None => self.sample(format!("node_memory_{name}"), &[], value as f64),
            }
        }
        Ok(())
    }

    fn disks(&mut self, text: &str) -> io::Result<()> {
        /// The unit of the kernel's counters, whatever the disk's own is.
        const SECTOR: f64 = 512.0;
        for disk in DiskStats::from_read(text.as_bytes()).map_err(invalid)?.0 {
            if self.config.exclude_disks.is_match(&disk.name) {
                continue;
            }
            let seconds = |milliseconds: u64| milliseconds as f64 / 1000.0;
            let values = [
                ("reads_completed_total", disk.reads as f64),
                ("reads_merged_total", disk.merged as f64),
                ("read_bytes_total", disk.sectors_read as f64 * SECTOR),
                ("read_time_seconds_total", seconds(disk.time_reading)),
                ("writes_completed_total", disk.writes as f64),
                ("writes_merged_total", disk.writes_merged as f64),
                ("written_bytes_total", disk.sectors_written as f64 * SECTOR),
                ("write_time_seconds_total", seconds(disk.time_writing)),
                ("io_now", disk.in_progress as f64),
                ("io_time_seconds_total", seconds(disk.time_in_progress)),
                ("io_time_weighted_seconds_total", seconds(disk.weighted_time_in_progress)),
            ];
            for (name, value) in values {
                self.sample(format!("node_disk_{name}"), &[("device", &disk.name)], value);
            }
        }
        Ok(())
    }

    fn load(&mut self, text: &str) -> io::Result<()> {
        let load = LoadAverage::from_read(text.as_bytes()).map_err(invalid)?;
        for (name, value) in [("1", load.one), ("5", load.five), ("15", load.fifteen)] {
            // The kernel writes two decimals, which single precision does not keep exactly.
            let value = (f64::from(value) * 100.0).round() / 100.0;
            self.sample(format!("node_load{name}"), &[], value);
        }
        Ok(())
    }

    fn file_descriptors(&mut self, text: &str) -> io::Result<()> {
        let values: Vec<f64> = text.split_whitespace().filter_map(|value| value.parse().ok()).collect();
        let [allocated, _, maximum] = values[..] else { return Err(invalid("three numbers are expected")) };
        self.sample("node_filefd_allocated", &[], allocated);
        self.sample("node_filefd_maximum", &[], maximum);
        Ok(())
    }

    fn networks(&mut self, text: &str) -> io::Result<()> {
        let devices = procfs::net::InterfaceDeviceStatus::from_read(text.as_bytes()).map_err(invalid)?.0;
        let devices: BTreeMap<_, _> = devices.into_iter().collect();
        for (device, status) in devices {
            if self.config.exclude_networks.is_match(&device) {
                continue;
            }
            let values = [
                ("receive_bytes", status.recv_bytes),
                ("receive_packets", status.recv_packets),
                ("receive_errs", status.recv_errs),
                ("receive_drop", status.recv_drop),
                ("receive_multicast", status.recv_multicast),
                ("transmit_bytes", status.sent_bytes),
                ("transmit_packets", status.sent_packets),
                ("transmit_errs", status.sent_errs),
                ("transmit_drop", status.sent_drop),
                ("transmit_colls", status.sent_colls),
                ("transmit_carrier", status.sent_carrier),
            ];
            for (name, value) in values {
                self.sample(format!("node_network_{name}_total"), &[("device", &device)], value as f64);
            }
        }
        Ok(())
    }

    fn file_systems(&mut self, table: &[u8]) -> io::Result<()> {
        // What was mounted last on a place hides what was there.
        let mounts: BTreeMap<PathBuf, Mount> =
            mounts::parse(table).into_iter().map(|mount| (mount.point().to_owned(), mount)).collect();
        for (point, mount) in mounts {
            if self.config.exclude_mounts.is_match(&point)
                || self.config.exclude_filesystems.contains(&mount.kind)
            {
                continue;
            }
            let shown = point.to_string_lossy();
            let labels = [("device", &*mount.device), ("fstype", &*mount.kind), ("mountpoint", &*shown)];
            self.file_system(&labels, &point);
        }
        Ok(())
    }

    fn file_system(&mut self, labels: &[(&str, &str)], point: &Path) {
        let path = self.config.root.join(point.strip_prefix("/").unwrap_or(point));
        let status = match statvfs(&path) {
            Ok(status) => status,
            Err(error) => {
                self.sample("node_filesystem_device_error", labels, 1.0);
                // Others' mounts may be hidden from the agent's user; that is no problem to report.
                if error != rustix::io::Errno::ACCESS {
                    self.collected.problems.push((path, error.into()));
                }
                return;
            }
        };
        let bytes = |blocks: u64| blocks as f64 * status.f_frsize as f64;
        let values = [
            ("size_bytes", bytes(status.f_blocks)),
            ("free_bytes", bytes(status.f_bfree)),
            ("avail_bytes", bytes(status.f_bavail)),
            ("files", status.f_files as f64),
            ("files_free", status.f_ffree as f64),
            ("readonly", f64::from(u8::from(status.f_flag.contains(StatVfsMountFlags::RDONLY)))),
            ("device_error", 0.0),
        ];
        for (name, value) in values {
            self.sample(format!("node_filesystem_{name}"), labels, value);
        }
    }
}

#[cfg(test)]
#[path = "collect_tests.rs"]
mod tests;
