//! What addresses and labels come to.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn defaults() -> Defaults {
    let labels = BTreeMap::from([("zone".to_owned(), "z".to_owned())]);
    let params = BTreeMap::from([("module".to_owned(), vec!["a b".to_owned(), "c".to_owned()])]);
    Defaults { job: "node".into(), scheme: "http".into(), metrics_path: "/metrics".into(), params, labels }
}

fn group(targets: &[&str], labels: &[(&str, &str)]) -> Group {
    Group {
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

fn shown_labels(target: &Target) -> String {
    let labels = target.labels.iter().map(|Label { name, value }| format!("{name}={value}"));
    labels.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_target_has_the_labels_of_its_group_before_those_of_its_source() {
    let plain = resolve(&defaults(), &[group(&["127.0.0.1:9100"], &[])]).unwrap();
    assert_eq!(plain[0].url.to_string(), "http://127.0.0.1:9100/metrics?module=a%20b&module=c");
    assert_eq!(shown_labels(&plain[0]), "instance=127.0.0.1:9100 job=node zone=z");
    let labels = [
        ("job", "other"),
        ("instance", "db"),
        ("zone", ""),
        ("__scheme__", "https"),
        ("__metrics_path__", "stats"),
        ("__param_module", "ü"),
        ("__meta_x", "y"),
    ];
    let own = resolve(&defaults(), &[group(&["[::1]:9187"], &labels)]).unwrap();
    assert_eq!(own[0].url.to_string(), "https://[::1]:9187/stats?module=%C3%BC&module=c");
    assert_eq!(shown_labels(&own[0]), "instance=db job=other");
}

#[test]
fn a_target_is_there_once() {
    let groups = [group(&["a:1", "a:1", "b:1"], &[]), group(&["a:1"], &[]), group(&["a:1"], &[("x", "y")])];
    assert_eq!(resolve(&defaults(), &groups).unwrap().len(), 3);
}

#[test]
fn what_is_no_target_is_told() {
    let failed = |group: Group| resolve(&defaults(), &[group]).unwrap_err().to_string();
    for address in ["http://a:1", "a:1/metrics", "", "a b", "u:p@a:1", "a:99999x"] {
        assert!(failed(group(&[address], &[])).contains("the target `"), "{address}");
    }
    assert!(failed(group(&["a:1"], &[("a-b", "")])).contains("`a-b` is no name"));
    let many: Vec<String> = (0..=MAX_TARGETS).map(|port| format!("a:{port}")).collect();
    let many = Group { targets: many, labels: BTreeMap::new() };
    assert!(failed(many).contains("more than 1000 targets"));
    let labels = (0..MAX_LABELS).map(|number| (format!("l{number}"), String::new())).collect();
    assert!(failed(Group { targets: Vec::new(), labels }).contains("more than 64 labels"));
}
