//! What the host's metrics are: kind and help, in node_exporter's words.
//!
//! Beside `collect`, which makes the samples; a test holds the two together.

/// A metric of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// The name of its samples.
    pub name: String,
    /// Whether it is a counter; all others are gauges.
    pub grows: bool,
    /// One sentence.
    pub help: String,
}

const COUNTERS: &[(&str, &str)] = &[
    ("cpu_seconds_total", "Seconds the CPUs spent in each mode."),
    ("cpu_guest_seconds_total", "Seconds the CPUs spent in guests (VMs) for each mode."),
    ("context_switches_total", "Total number of context switches."),
    ("forks_total", "Total number of forks."),
    ("intr_total", "Total number of interrupts serviced."),
    ("disk_reads_completed_total", "The total number of reads completed successfully."),
    ("disk_reads_merged_total", "The total number of reads merged."),
    ("disk_read_bytes_total", "The total number of bytes read successfully."),
    ("disk_read_time_seconds_total", "The total number of seconds spent by all reads."),
    ("disk_writes_completed_total", "The total number of writes completed successfully."),
    ("disk_writes_merged_total", "The number of writes merged."),
    ("disk_written_bytes_total", "The total number of bytes written successfully."),
    ("disk_write_time_seconds_total", "This is the total number of seconds spent by all writes."),
    ("disk_io_time_seconds_total", "Total seconds spent doing I/Os."),
    ("disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."),
];

const GAUGES: &[(&str, &str)] = &[
    ("boot_time_seconds", "Node boot time, in unixtime."),
    ("procs_running", "Number of processes in runnable state."),
    ("procs_blocked", "Number of processes blocked waiting for I/O to complete."),
    ("disk_io_now", "The number of I/Os currently in progress."),
    ("filesystem_size_bytes", "Filesystem size in bytes."),
    ("filesystem_free_bytes", "Filesystem free space in bytes."),
    ("filesystem_avail_bytes", "Filesystem space available to non-root users in bytes."),
    ("filesystem_files", "Filesystem total file nodes."),
    ("filesystem_files_free", "Filesystem total free file nodes."),
    ("filesystem_readonly", "Filesystem read-only status."),
    ("filesystem_device_error", "Whether an error occurred while getting statistics for the given device."),
    ("load1", "1m load average."),
    ("load5", "5m load average."),
    ("load15", "15m load average."),
    ("filefd_allocated", "File descriptor statistics: allocated."),
    ("filefd_maximum", "File descriptor statistics: maximum."),
    ("time_seconds", "System time in seconds since epoch (1970)."),
];

/// Counters of network devices.
const NETWORK: &[&str] = &[
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_colls",
    "transmit_carrier",
];

/// Fields of `meminfo`, which are gauges. What newer kernels add goes upstream without a description.
const MEMORY: &[&str] = &[
    "MemTotal_bytes",
    "MemFree_bytes",
    "MemAvailable_bytes",
    "Buffers_bytes",
    "Cached_bytes",
    "SwapCached_bytes",
    "Active_bytes",
    "Inactive_bytes",
    "Active_anon_bytes",
    "Inactive_anon_bytes",
    "Active_file_bytes",
    "Inactive_file_bytes",
    "Unevictable_bytes",
    "Mlocked_bytes",
    "SwapTotal_bytes",
    "SwapFree_bytes",
    "Zswap_bytes",
    "Zswapped_bytes",
    "Dirty_bytes",
    "Writeback_bytes",
    "AnonPages_bytes",
    "Mapped_bytes",
    "Shmem_bytes",
    "KReclaimable_bytes",
    "Slab_bytes",
    "SReclaimable_bytes",
    "SUnreclaim_bytes",
    "KernelStack_bytes",
    "PageTables_bytes",
    "SecPageTables_bytes",
    "NFS_Unstable_bytes",
    "Bounce_bytes",
    "WritebackTmp_bytes",
    "CommitLimit_bytes",
    "Committed_AS_bytes",
    "VmallocTotal_bytes",
    "VmallocUsed_bytes",
    "VmallocChunk_bytes",
    "Percpu_bytes",
    "HardwareCorrupted_bytes",
    "AnonHugePages_bytes",
    "ShmemHugePages_bytes",
    "ShmemPmdMapped_bytes",
    "FileHugePages_bytes",
    "FilePmdMapped_bytes",
    "CmaTotal_bytes",
    "CmaFree_bytes",
    "Unaccepted_bytes",
    "Balloon_bytes",
    "HugePages_Total",
    "HugePages_Free",
    "HugePages_Rsvd",
    "HugePages_Surp",
    "Hugepagesize_bytes",
    "Hugetlb_bytes",
    "DirectMap4k_bytes",
    "DirectMap2M_bytes",
    "DirectMap1G_bytes",
];

/// All of them, in the same order each time.
pub fn families() -> Vec<Family> {
    let family = |grows, name: &str, help: String| Family { name: format!("node_{name}"), grows, help };
    let counters = COUNTERS.iter().map(|(name, help)| family(true, name, (*help).to_owned()));
    let gauges = GAUGES.iter().map(|(name, help)| family(false, name, (*help).to_owned()));
    let network = NETWORK.iter().map(|name| {
        family(true, &format!("network_{name}_total"), format!("Network device statistic {name}."))
    });
    let memory = MEMORY
        .iter()
        .map(|name| family(false, &format!("memory_{name}"), format!("Memory information field {name}.")));
    counters.chain(gauges).chain(network).chain(memory).collect()
}
