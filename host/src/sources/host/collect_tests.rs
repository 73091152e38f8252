//! The host's metrics from a folder that looks like `/proc`, and from this machine's own.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::sources::host::Config;

const FILES: [(&str, &str); 7] = [
    (
        "stat",
        "cpu  300 0 100 1000 50 0 5 2 1 0\n\
         cpu0 100 0 50 500 25 0 5 1 1 0\n\
         cpu2 200 0 50 500 25 0 0 1 0 0\n\
         intr 12345 1 2 3\nctxt 777\nbtime 1700000000\nprocesses 42\nprocs_running 3\nprocs_blocked 1\n",
    ),
    (
        "meminfo",
        "MemTotal:        1000 kB\nMemFree: 250 kB\nMemAvailable: 500 kB\nBuffers: 0 kB\n\
         Active(anon):     7 kB\nHugePages_Total:       3\n",
    ),
    (
        "diskstats",
        "   8       0 sda 10 1 16 500 20 2 32 1500 1 2500 2000 0 0 0 0\n   8       1 sda1 1 0 1 1 1 0 1 1 0 1 1\n",
    ),
    ("loadavg", "0.10 1.25 2.50 1/100 4242\n"),
    ("sys/fs/file-nr", "1184\t0\t9223372036854775807\n"),
    (
        "net/dev",
        "Inter-|   Receive                                                |  Transmit\n \
         face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n\
           eth0: 1000 10 1 2 0 0 0 3 2000 20 0 0 0 0 0 0\n",
    ),
    ("self/mounts", "/dev/sda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\nserver:/x /mnt nfs4 rw 0 0\n"),
];

fn host() -> (tempfile::TempDir, Checked) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        let path = folder.path().join("proc").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let config =
        Config { proc: folder.path().join("proc"), root: folder.path().to_owned(), ..Config::default() };
    let checked = config.check().unwrap();
    (folder, checked)
}

/// A sample's value by its name and labels as PromQL writes them.
fn value(collected: &Collected, series: &str) -> Option<f64> {
    let shown = |sample: &Sample| {
        let labels: Vec<String> =
            sample.labels.iter().map(|label| format!("{}=\"{}\"", label.name, label.value)).collect();
        if labels.is_empty() {
            sample.name.clone()
        } else {
            format!("{}{{{}}}", sample.name, labels.join(","))
        }
    };
    let mut found = collected.samples.iter().filter(|sample| shown(sample) == series);
    let value = found.next().map(|sample| sample.value);
    assert!(found.next().is_none(), "{series} is there twice");
    value
}

#[test]
fn names_labels_and_units_are_those_of_node_exporter() {
    let (_folder, config) = host();
    let collected = collect(&config, &mut Counters::default());
    assert!(collected.problems.is_empty(), "{:?}", collected.problems);
    let ticks = procfs::ticks_per_second() as f64;
    for (series, expected) in [
        (r#"node_cpu_seconds_total{cpu="0",mode="idle"}"#, 500.0 / ticks),
        (r#"node_cpu_seconds_total{cpu="2",mode="user"}"#, 200.0 / ticks),
        (r#"node_cpu_guest_seconds_total{cpu="0",mode="user"}"#, 1.0 / ticks),
        ("node_context_switches_total", 777.0),
        ("node_intr_total", 12345.0),
        ("node_forks_total", 42.0),
        ("node_boot_time_seconds", 1_700_000_000.0),
        ("node_procs_running", 3.0),
        ("node_procs_blocked", 1.0),
        ("node_memory_MemTotal_bytes", 1_024_000.0),
        ("node_memory_Active_anon_bytes", 7168.0),
        ("node_memory_HugePages_Total", 3.0),
        (r#"node_disk_read_bytes_total{device="sda"}"#, 8192.0),
        (r#"node_disk_io_time_seconds_total{device="sda"}"#, 2.5),
        ("node_load1", 0.1),
        ("node_load15", 2.5),
        ("node_filefd_allocated", 1184.0),
        (r#"node_network_receive_bytes_total{device="eth0"}"#, 1000.0),
        (r#"node_network_transmit_packets_total{device="eth0"}"#, 20.0),
    ] {
        assert_eq!(value(&collected, series), Some(expected), "{series}");
    }
    assert_eq!(value(&collected, r#"node_disk_read_bytes_total{device="sda1"}"#), None);
    let root = r#"{device="/dev/sda1",fstype="ext4",mountpoint="/"}"#;
    let size = value(&collected, &format!("node_filesystem_size_bytes{root}")).unwrap();
    let avail = value(&collected, &format!("node_filesystem_avail_bytes{root}")).unwrap();
    assert!(0.0 < avail && avail <= size);
    let points = collected.samples.iter().flat_map(|sample| &sample.labels);
    assert!(points.filter(|label| label.name == "mountpoint").all(|label| label.value == "/"));
}

#[test]
fn every_metric_says_what_it_is() {
    use crate::sources::host::families;
    let (_folder, config) = host();
    let families = families();
    for sample in collect(&config, &mut Counters::default()).samples {
        let of_name: Vec<_> = families.iter().filter(|family| family.name == sample.name).collect();
        assert_eq!(of_name.len(), 1, "{}", sample.name);
        assert_eq!(of_name[0].grows, sample.name.ends_with("_total"), "{}", sample.name);
    }
}

#[test]
fn a_file_that_cannot_be_read_leaves_the_others_alone() {
    let (folder, config) = host();
    fs::remove_file(folder.path().join("proc/loadavg")).unwrap();
    fs::write(folder.path().join("proc/stat"), "nonsense").unwrap();
    let collected = collect(&config, &mut Counters::default());
    let problems: Vec<_> =
        collected.problems.iter().map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(problems, ["stat", "loadavg"]);
    assert!(value(&collected, "node_memory_MemTotal_bytes").is_some());
}

#[test]
fn this_machine_can_be_read() {
    let collected = collect(&Config::default().check().unwrap(), &mut Counters::default());
    assert!(value(&collected, "node_memory_MemAvailable_bytes").unwrap() > 0.0);
    assert!(value(&collected, r#"node_cpu_seconds_total{cpu="0",mode="idle"}"#).is_some());
    for sample in &collected.samples {
        assert!(sample.labels.is_sorted() && sample.value.is_finite(), "{sample:?}");
    }
}

#[test]
fn a_mount_point_of_any_name_leaves_the_others_alone() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let (folder, config) = host();
    let names: [&[u8]; 2] = [b"my disk", b"\xff"];
    names.iter().for_each(|name| fs::create_dir(folder.path().join(OsStr::from_bytes(name))).unwrap());
    let table = b"/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /my\\040disk ext4 rw 0 0\n/dev/sdc1 /\xff vfat rw 0 0\n";
    fs::write(folder.path().join("proc/self/mounts"), table).unwrap();
    let collected = collect(&config, &mut Counters::default());
    assert!(collected.problems.is_empty(), "{:?}", collected.problems);
    for (device, kind, point) in
        [("sda1", "ext4", "/"), ("sdb1", "ext4", "/my disk"), ("sdc1", "vfat", "/\u{fffd}")]
    {
        let labels = format!(r#"{{device="/dev/{device}",fstype="{kind}",mountpoint="{point}"}}"#);
        assert!(value(&collected, &format!("node_filesystem_size_bytes{labels}")).is_some(), "{labels}");
    }
}

#[test]
fn counters_of_processors_do_not_step_back() {
    let (folder, config) = host();
    let mut counters = Counters::default();
    let mut iowait = |ticks: u64| {
        fs::write(folder.path().join("proc/stat"), FILES[0].1.replace(" 500 25 ", &format!(" 500 {ticks} ")))
            .unwrap();
        value(&collect(&config, &mut counters), r#"node_cpu_seconds_total{cpu="0",mode="iowait"}"#).unwrap()
    };
    let first = iowait(25);
    assert_eq!(iowait(24), first);
    assert!(iowait(26) > first);
}
