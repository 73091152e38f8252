//! What the process itself uses, under the names that Prometheus' client libraries share
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>).

use procfs::process::Process;
use procfs::{WithCurrentSystemInfo as _, ticks_per_second};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Opts};

/// Reads `/proc/self` whenever somebody looks.
pub(super) struct ProcessCollector {
    cpu: Counter,
    gauges: [Gauge; 6],
}

/// Name and meaning of each gauge, in the order in which [`read`] gives their values.
const GAUGES: [(&str, &str); 6] = [
    ("process_resident_memory_bytes", "Resident memory."),
    ("process_virtual_memory_bytes", "Virtual memory."),
    ("process_open_fds", "Open file descriptors."),
    ("process_max_fds", "The most file descriptors that may be open."),
    ("process_start_time_seconds", "When the process started, in seconds since 1970."),
    ("process_threads", "Threads."),
];

impl ProcessCollector {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let cpu = Counter::with_opts(Opts::new(
            "process_cpu_seconds_total",
            "Time on a processor, in user and system mode.",
        ))?;
        let mut gauges = Vec::new();
        for (name, help) in GAUGES {
            gauges.push(Gauge::with_opts(Opts::new(name, help))?);
        }
        let gauges = gauges.try_into().expect("there are as many gauges as names");
        Ok(Self { cpu, gauges })
    }
}

/// Processor seconds and the gauges' values.
fn read() -> procfs::ProcResult<(f64, [f64; 6])> {
    let process = Process::myself()?;
    let stat = process.stat()?;
    let ticks = ticks_per_second() as f64;
    let cpu = (stat.utime + stat.stime) as f64 / ticks;
    let resident = stat.rss_bytes().get() as f64;
    let limit = match process.limits()?.max_open_files.soft_limit {
        procfs::process::LimitValue::Value(limit) => limit as f64,
        procfs::process::LimitValue::Unlimited => f64::INFINITY,
    };
    let booted = procfs::boot_time_secs()? as f64;
    let started = booted + stat.starttime as f64 / ticks;
    let open = process.fd_count()? as f64;
    Ok((cpu, [resident, stat.vsize as f64, open, limit, started, stat.num_threads as f64]))
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.cpu.desc().into_iter().chain(self.gauges.iter().flat_map(Collector::desc)).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Without /proc there is nothing to show, and no better place to say so than its absence.
        let Ok((cpu, values)) = read() else { return Vec::new() };
        let grown = cpu - self.cpu.get();
        if grown > 0.0 {
            self.cpu.inc_by(grown);
        }
        for (gauge, value) in self.gauges.iter().zip(values) {
            gauge.set(value);
        }
        self.cpu.collect().into_iter().chain(self.gauges.iter().flat_map(Collector::collect)).collect()
    }
}
