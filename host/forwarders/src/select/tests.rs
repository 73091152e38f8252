//! Filters, external labels and rules on each kind of frame.
#![allow(clippy::unwrap_used, reason = "tests")]

use picket_model::{
    AlertEvent, AlertState, Digest, EventId, Evidence, Finding, LifecycleEvent, Notice, Origin, RetractedBy,
    Retraction, Sample, Severity, Verdict, VerdictKind,
};
use proptest::prelude::*;

use super::*;

fn select(text: &str) -> Select {
    Select::new(&toml::from_str(text).unwrap()).unwrap()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<Label> {
    pairs.iter().map(|(name, value)| Label { name: (*name).to_owned(), value: (*value).to_owned() }).collect()
}

fn id() -> EventId {
    EventId::derive(&Digest::of(b"x"), 1, &Digest::of(b"x"), 0)
}

fn origin() -> Origin {
    Origin { plugin: "sshd".into(), generation: Digest::of(b"x") }
}

fn sample(name: &str, labels: &[(&str, &str)]) -> Frame {
    Frame::Sample(Sample { name: name.into(), labels: pairs(labels), time: 1, value: 1.0 })
}

fn finding(severity: Severity, attributes: &[(&str, &str)]) -> Frame {
    Frame::Finding(Finding {
        id: id(),
        time: 1,
        origin: origin(),
        rule: "brute-force".into(),
        severity,
        message: "m".into(),
        attributes: pairs(attributes),
        source: "auth".into(),
        stream: "/var/log/auth.log".into(),
        offset: None,
        record: None,
    })
}

fn alert(labels: &[(&str, &str)]) -> Frame {
    Frame::Alert(AlertEvent {
        id: id(),
        time: 1,
        origin: origin(),
        group: "node".into(),
        rule: "DiskFull".into(),
        state: AlertState::Firing,
        labels: pairs(labels),
        annotations: vec![],
        value: 1.0,
        active_since: 1,
        silenced_by: None,
    })
}

fn verdict(verdict: VerdictKind) -> Frame {
    Frame::Verdict(Verdict {
        id: id(),
        time: 1,
        origin: origin(),
        source: "uploads".into(),
        path: "/srv/x".into(),
        sha256: Digest::of(b"x"),
        size: 1,
        verdict,
        reason: "r".into(),
    })
}

fn evidence() -> Frame {
    Frame::Evidence(Evidence {
        id: id(),
        time: 1,
        origin: origin(),
        source: "auth".into(),
        stream: "/var/log/auth.log".into(),
        offset: 0,
        digest: Digest::of(b"x"),
        record: vec![],
        reason: "trap".into(),
    })
}

fn notice() -> Frame {
    let event = LifecycleEvent::Active;
    Frame::Notice(Notice { id: id(), time: 1, origin: origin(), event, reason: String::new() })
}

fn retraction() -> Frame {
    let (by, reason, retracts) = (RetractedBy::Operator, "r".into(), vec![id()]);
    Frame::Retraction(Retraction { id: id(), time: 1, origin: origin(), by, reason, retracts })
}

fn all() -> Vec<Frame> {
    let finding = finding(Severity::High, &[("user", "root")]);
    let alert = alert(&[("alertname", "DiskFull"), ("severity", "warning")]);
    vec![finding, verdict(VerdictKind::Malicious), alert, evidence(), notice(), sample("up", &[("job", "x")])]
}

/// The kinds of frames that pass.
fn passing(text: &str) -> String {
    let select = select(text);
    let passing = all().into_iter().filter_map(|frame| select.apply(frame));
    let words: Vec<String> = passing.map(|frame| frame.kind().word().to_owned()).collect();
    words.join(" ")
}

/// The labels of a frame after it passed.
fn labels(text: &str, frame: Frame) -> String {
    let labels = match select(text).apply(frame) {
        None => return "dropped".to_owned(),
        Some(Frame::Finding(finding)) => finding.attributes,
        Some(Frame::Alert(alert)) => alert.labels,
        Some(Frame::Sample(mut sample)) => {
            sample.labels.insert(0, Label { name: "__name__".into(), value: sample.name });
            sample.labels
        }
        Some(other) => panic!("{other:?} has no labels"),
    };
    let labels: Vec<String> =
        labels.into_iter().map(|label| format!("{}={}", label.name, label.value)).collect();
    labels.join(" ")
}

const ALL: &str = "finding verdict alert evidence notice sample";

#[test]
fn by_default_everything_passes_unchanged() {
    for frame in all() {
        assert_eq!(select("").apply(frame.clone()), Some(frame));
    }
}

#[test]
fn kinds_plugins_and_sources_are_filtered() {
    assert_eq!(passing("include = ['alert', 'sample']"), "alert sample");
    assert!(select("include = ['alert']").wants(FrameKind::Alert));
    assert!(!select("include = ['alert']").wants(FrameKind::Sample));
    assert_eq!(passing("plugins = ['sshd']"), ALL);
    assert_eq!(passing("plugins = ['other']"), "sample");
    assert_eq!(passing("sources = ['auth']"), "finding alert evidence notice sample");
    assert_eq!(passing("sources = ['nosuch']"), "alert notice sample");
}

#[test]
fn severity_is_told_by_findings_verdicts_and_labels_of_alerts() {
    assert_eq!(passing("min_severity = 'medium'"), ALL);
    assert_eq!(passing("min_severity = 'high'"), "finding verdict evidence notice sample");
    assert_eq!(passing("min_severity = 'critical'"), "evidence notice sample");
    let medium = select("min_severity = 'medium'");
    let passes = |frame| medium.apply(frame).is_some();
    assert!(passes(verdict(VerdictKind::Suspicious)));
    assert!(!passes(verdict(VerdictKind::Clean)) && !passes(verdict(VerdictKind::Skipped)));
    assert!(passes(finding(Severity::Medium, &[])) && !passes(finding(Severity::Low, &[])));
    for (word, passing) in [
        ("critical", true),
        ("Warning", true),
        ("medium", true),
        ("low", false),
        ("info", false),
        ("page", true),
    ] {
        assert_eq!(passes(alert(&[("severity", word)])), passing, "{word}");
    }
    assert!(passes(alert(&[])), "without a severity nothing is known against it");
}

#[test]
fn retractions_are_filtered_by_kind_and_plugin_and_never_by_severity_or_source() {
    let passes = |text: &str| select(text).apply(retraction()) == Some(retraction());
    assert!(passes("") && passes("min_severity = 'critical'") && passes("sources = ['nosuch']"));
    assert!(passes("labels = { zone = 'z' }\nrelabel = [{ target_label = 'x', replacement = 'y' }]"));
    assert!(passes("plugins = ['sshd']") && !passes("plugins = ['other']"));
    assert!(passes("include = ['finding', 'retraction']") && !passes("include = ['finding']"));
    let rule = |regex| {
        format!(
            "relabel = [{{ source_labels = ['__kind__', '__severity__'], regex = '{regex}', action = 'keep' }}]"
        )
    };
    assert!(passes(&rule("retraction;|.*;high")) && !passes(&rule(".*;high")));
}

#[test]
fn external_labels_are_added_where_they_are_missing() {
    let text = "labels = { instance = 'n1', zone = 'z', empty = '' }";
    assert_eq!(labels(text, sample("up", &[("job", "x")])), "__name__=up instance=n1 job=x zone=z");
    assert_eq!(labels(text, sample("up", &[("instance", "own")])), "__name__=up instance=own zone=z");
    assert_eq!(labels(text, alert(&[("zone", "a")])), "instance=n1 zone=a");
    let found = finding(Severity::High, &[("user", "root"), ("address", "::1")]);
    assert_eq!(labels(text, found), "user=root address=::1 instance=n1 zone=z");
}

#[test]
fn rules_see_external_labels_and_what_is_known_of_a_frame() {
    let text = r#"
        labels = { zone = "z" }
        relabel = [
            { source_labels = ["__name__", "zone"], target_label = "both" },
            { source_labels = ["__kind__", "__plugin__", "__rule__", "__severity__"], target_label = "about" },
            { source_labels = ["__group__", "__state__", "__source__", "__stream__"], target_label = "more" },
            { target_label = "__tmp", replacement = "gone" },
            { regex = "zone", action = "labeldrop" },
        ]"#;
    assert_eq!(labels(text, sample("up", &[])), "__name__=up about=sample;;; both=up;z more=;;;");
    assert_eq!(
        labels(text, alert(&[("severity", "warning")])),
        "about=alert;sshd;DiskFull;medium both=;z more=node;firing;; severity=warning"
    );
    assert_eq!(
        labels(text, finding(Severity::High, &[("user", "root")])),
        "user=root both=;z about=finding;sshd;brute-force;high more=;;auth;/var/log/auth.log"
    );
}

#[test]
fn rules_keep_and_drop_frames_without_labels_of_their_own() {
    let drop = |label: &str, regex: &str| {
        passing(&format!("relabel = [{{ source_labels = ['{label}'], regex = '{regex}', action = 'drop' }}]"))
    };
    assert_eq!(drop("__kind__", "verdict|notice"), "finding alert evidence sample");
    assert_eq!(drop("__verdict__", "malicious"), "finding alert evidence notice sample");
    assert_eq!(drop("__plugin__", "ssh."), "sample");
    assert_eq!(drop("__generation__", "[0-9a-f]{64}"), "sample");
    assert_eq!(drop("__stream__", "/srv/.*"), "finding alert evidence notice sample");
    assert_eq!(drop("__name__", "up"), "finding verdict alert evidence notice");
    assert_eq!(
        passing("relabel = [{ source_labels = ['__severity__'], regex = 'high', action = 'keep' }]"),
        "finding verdict"
    );
    let touching = "relabel = [{ target_label = 'x', replacement = 'y' }]";
    assert_eq!(select(touching).apply(evidence()), Some(evidence()), "nothing to change there");
}

#[test]
fn a_sample_can_lose_its_name_but_not_all() {
    let rename =
        "relabel = [{ source_labels = ['__name__'], target_label = '__name__', replacement = 'p_$1' }]";
    assert_eq!(labels(rename, sample("up", &[("a", "b")])), "__name__=p_up a=b");
    let drop = "relabel = [{ regex = '__name__', action = 'labeldrop' }]";
    assert_eq!(labels(drop, sample("up", &[("a", "b")])), "__name__= a=b");
    assert_eq!(labels(drop, sample("up", &[])), "dropped");
}

#[test]
fn what_a_frame_says_of_itself_does_not_replace_what_is_known() {
    let text = "relabel = [{ source_labels = ['__plugin__'], regex = 'sshd', action = 'keep' }]";
    assert_eq!(labels(text, finding(Severity::High, &[("__plugin__", "liar"), ("a", "b")])), "a=b");
}

#[test]
fn attributes_of_one_name_both_stay() {
    let text = "relabel = [{ target_label = 'x', replacement = 'y' }]";
    assert_eq!(labels(text, finding(Severity::High, &[("a", "1"), ("a", "2")])), "a=1 a=2 x=y");
}

#[test]
fn mistakes_are_named() {
    let error = |text: &str| Select::new(&toml::from_str(text).unwrap()).unwrap_err().to_string();
    let rule = error("relabel = [{ target_label = 'a' }, { action = 'hashmod', target_label = 'b' }]");
    assert_eq!(
        rule,
        "`select.relabel`: relabel rule 2, `modulus`: relabel configuration for hashmod requires non-zero modulus"
    );
    assert!(error("labels = { 'a-b' = 'x' }").starts_with("`select.labels`: `a-b` is no name of a label"));
    assert!(error("labels = { __name__ = 'x' }").contains("__name__"));
    assert!(error(&format!("labels = {{ a = '{}' }}", "x".repeat(5000))).contains("more than 4096 bytes"));
    let many: String = (0..33).map(|number| format!("l{number} = 'x'\n")).collect();
    assert_eq!(error(&format!("[labels]\n{many}")), SelectError::TooManyLabels.to_string());
    assert!(toml::from_str::<Config>("minimum = 'high'").is_err());
}

proptest! {
    /// Labels of samples stay sorted, once each, whatever external labels and rules do.
    #[test]
    fn labels_of_samples_stay_sorted(own in prop::collection::btree_map("[a-f]{1,2}", "[a-z]{1,3}", 0..5),
        external in prop::collection::btree_map("[a-f]{1,2}", "[a-z]{0,3}", 0..5), mapped in "[a-f]{1,2}") {
        let rule = relabel::Rule { target_label: mapped, source_labels: vec!["a".into()], ..Default::default() };
        let config = Config { labels: external.clone(), relabel: vec![rule], ..Config::default() };
        let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let Some(Frame::Sample(sample)) = Select::new(&config).unwrap().apply(sample("up", &own)) else {
            return Err(TestCaseError::fail("a sample stays a sample"));
        };
        prop_assert!(sample.labels.is_sorted_by(|left, right| left.name < right.name), "{:?}", sample.labels);
    }
}
