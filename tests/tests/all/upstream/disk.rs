//! The disk fills up while a receiver is away, and while the agent catches up.

use picket_tests::servers::{Flaky, Otlp, Server, need};
use picket_tests::upstream::{Meter, check_all, ids_of_logs, numbers_of_logs, of_forwarder, times};
use picket_tests::{Node, SmallDisk, until};

use super::QUICK;
use crate::full_disk::{DISK, is_told};

/// Appends numbers to the log, in lines so long that one call gets a few hundred.
fn write(node: &Node, numbers: std::ops::RangeInclusive<u64>) {
    let lines: String = numbers.map(|number| format!("{number} {}\n", "word ".repeat(200))).collect();
    node.append("logs/numbers.log", lines.as_bytes());
}

/// How many different numbers have arrived.
fn arrived(otlp: &Otlp) -> usize {
    numbers_of_logs(&otlp.logs()).len()
}

#[test]
fn a_disk_that_is_full_while_the_agent_catches_up_delays_results_and_loses_none() {
    if !need(&[Server::Otlp]) {
        return;
    }
    let otlp = Otlp::start();
    let way = Flaky::http(otlp.address());
    way.refuse();
    let disk = SmallDisk::new(DISK);
    let meter = Meter::new(2, 10);
    let config = format!("[forwarders.otlp]\nkind = \"otlp\"\nurl = \"{}\"\n{QUICK}", way.url());
    let mut node = meter.node().config(&config).on_disk("data", &disk).start();
    meter.pour(&node, 1..=500, 50);
    let waits = || of_forwarder(&node, "otlp", "queued_frames");
    until("it waits in the lanes", || (waits() >= 500 * (1 + meter.samples)).then_some(()));
    disk.fill();
    write(&node, 501..=2000);
    is_told(&node);
    // What is in the lanes goes out also now, though the agent cannot note that it did.
    way.allow();
    until("something arrives", || (arrived(&otlp) > 0).then_some(()));
    for _ in 0..2 {
        node.kill();
        disk.fill();
        node.launch();
        is_told(&node);
    }
    disk.make_room();
    node.until_ready();
    until("all arrives", || (arrived(&otlp) >= 2000).then_some(()));
    let logs = otlp.logs();
    check_all("findings", &numbers_of_logs(&logs), 1..=2000);
    let findings = logs.iter().filter(|log| log["event_name"] == "picket.finding").cloned();
    assert_eq!(ids_of_logs(&findings.collect::<Vec<_>>()).len(), 2000, "each has one id");
    let values = || {
        let points = otlp.points().into_iter().filter(|point| point["name"] == "meter");
        times(points.filter_map(|point| point["as_double"].as_f64().map(|value| value as u64)))
    };
    until("all samples arrive", || (values().len() as u64 >= 2000 * meter.samples).then_some(()));
    check_all("samples", &values(), 0..=(2000 * meter.samples - 1));
    until("the metric shows that there is room", || {
        (node.metric("picket_data_disk_full") == 0.0).then_some(())
    });
    assert!(node.stop().success());
}
