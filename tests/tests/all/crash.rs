//! The agent is killed at random moments while records flow.

use crate::ledger::{LEDGER, check_once, number};
use picket_tests::{Node, count, findings, guest, report, until};

#[test]
fn after_kill_9_each_record_has_its_result_once_and_the_state_agrees() {
    let kills = count(8, 50);
    let mut node = Node::builder().install(&guest("ledger_one"), "ledger").config(LEDGER).build();
    let mut written = 0u64;
    for kill in 0..kills {
        node.launch();
        // Some lives end before the agent is ready, some after it has processed a lot.
        let patience = (kill * 7919 + 13) % 17;
        if patience > 3 {
            node.until_ready();
        }
        for _ in 0..patience {
            let lines: String = (written + 1..=written + 500).map(|line| format!("{line}\n")).collect();
            node.append("logs/numbers.log", lines.as_bytes());
            written += 500;
            std::thread::sleep(std::time::Duration::from_millis(kill % 7));
        }
        node.kill();
    }
    node.start();
    let last = |rows: &[serde_json::Value]| {
        findings(rows, "batch").iter().map(|batch| number(batch, "last")).max().unwrap_or(0)
    };
    until("all records are processed", || (last(&node.rows()) == written).then_some(()));
    check_once(&node.rows(), written);
    report("kill -9 while records flow", &[("kills", kills.to_string()), ("records", written.to_string())]);
    assert!(node.stop().success());
}
