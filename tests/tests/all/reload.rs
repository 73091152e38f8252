//! Generations change under load; bad ones are rejected and what served serves on.

use std::fs;

use crate::ledger::{LEDGER, check_accounts, done};
use picket_tests::{Node, count, findings, guest, report, until};

#[test]
fn a_plugin_is_replaced_under_load_and_every_record_is_processed_once() {
    let records = count(60_000, 200_000);
    let swaps = count(10, 50);
    let node = Node::builder().install(&guest("ledger_one"), "ledger").config(LEDGER).start();
    let versions = [guest("ledger_two"), guest("ledger_one")];
    let mut written = 0;
    for swap in 0..swaps {
        let upto = records * (swap + 1) / swaps;
        let before = node.plugin_status("ledger")["active"]["digest"].clone();
        node.install(&versions[usize::try_from(swap % 2).unwrap()], "ledger");
        // Records flow while the new generation is made and swapped in.
        until("the new generation serves", || {
            let next = (written + 200).min(upto);
            let lines: String = (written + 1..=next).map(|line| format!("{line}\n")).collect();
            node.append("logs/numbers.log", lines.as_bytes());
            written = next;
            (node.plugin_status("ledger")["active"]["digest"] != before).then_some(())
        });
        let lines: String = (written + 1..=upto).map(|line| format!("{line}\n")).collect();
        node.append("logs/numbers.log", lines.as_bytes());
        written = upto;
    }
    until("all records are processed", || (done(&node.rows()) == records).then_some(()));
    let rows = node.rows();
    check_accounts(&rows, records);
    let generations: std::collections::BTreeSet<_> =
        findings(&rows, "batch").iter().map(|batch| batch["generation"].to_string()).collect();
    assert_eq!(generations.len(), 2, "both generations have worked");
    report("hot reload under load", &[("records", records.to_string()), ("swaps", swaps.to_string())]);
}

#[test]
fn calls_of_one_round_see_what_earlier_ones_wrote() {
    // More than a batch holds, so that a round has several calls.
    const LAST: u64 = 5_000;
    let lines: String = (1..=LAST).map(|number| format!("{number:01000}\n")).collect();
    let mut node = Node::builder().install(&guest("ledger_one"), "ledger").config(LEDGER).build();
    node.append("logs/numbers.log", lines.as_bytes());
    for life in 1..=2 {
        node.start();
        until("all records are processed", || (done(&node.rows()) == LAST * life).then_some(()));
        let more: String = (LAST + 1..=LAST * 2).map(|number| format!("{number:01000}\n")).collect();
        assert!(node.stop().success());
        if life == 1 {
            node.append("logs/numbers.log", more.as_bytes());
        }
    }
    check_accounts(&node.rows(), LAST * 2);
}

#[test]
fn a_rejected_generation_leaves_the_old_one_serving_without_growth() {
    let rounds = count(10, 100);
    let mut node = Node::builder().install(&guest("ledger_one"), "ledger").config(LEDGER).start();
    node.append("logs/numbers.log", b"1\n");
    node.until_rows("the first record is processed", 1, |row| row["rule"] == "batch");
    let good = node.plugin_status("ledger")["active"]["digest"].clone();
    let resident = node.resident();
    for round in 0..rounds {
        let (component, config, reason) = match round % 5 {
            0 => (None, "", "core WebAssembly module"),
            1 => (Some(guest("watcher")), "", "plugins.ledger.grants.series"),
            2 => (
                Some(guest("ledger_two")),
                "[plugins.ledger.config]\nfail = \"configure\"\n",
                "asked to fail",
            ),
            3 => {
                (Some(guest("ledger_two")), "[plugins.ledger.config]\nfail = \"restore\"\n", "asked to fail")
            }
            _ => {
                (Some(guest("ledger_two")), "[plugins.ledger.config]\nfail = \"first-call\"\n", "first call")
            }
        };
        match component {
            Some(component) => node.install(&component, "ledger"),
            None => fs::write(node.path("plugins/ledger.wasm"), b"\0asm\x01\0\0\0").unwrap(),
        }
        node.configure(&format!("{LEDGER}\n{config}"));
        node.reload();
        if reason == "first call" {
            node.append("logs/numbers.log", format!("{}\n", done(&node.rows()) + 1).as_bytes());
        }
        until("the rejection is shown with its reason", || {
            let status = node.plugin_status("ledger");
            let shown = status["rejected"]["reason"].as_str().is_some_and(|shown| shown.contains(reason));
            (shown && status["active"]["digest"] == good).then_some(())
        });
        node.install(&guest("ledger_one"), "ledger");
        node.configure(LEDGER);
        assert_eq!(node.reload().status, 200, "what served before is wanted again");
        let next = done(&node.rows()) + u64::from(reason != "first call");
        node.append("logs/numbers.log", format!("{}\n", next.max(done(&node.rows()) + 1)).as_bytes());
        until("the old generation goes on", || (done(&node.rows()) >= next).then_some(()));
    }
    let grown = node.resident().saturating_sub(resident) >> 20;
    assert!(grown < 32, "resident memory grew by {grown} MiB over {rounds} rejections");
    report("rejected generations", &[("rounds", rounds.to_string()), ("growth in MiB", grown.to_string())]);
    assert!(node.stop().success());
}
