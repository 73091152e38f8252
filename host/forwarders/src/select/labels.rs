//! How frames look to rules, and back: samples and alerts by their labels, findings by their attributes, all with
//! labels about them that begin with `__`.

use picket_model::{Frame, Label};

use crate::severity;
use picket_relabel::Rules;

/// The label that holds a metric's name.
const NAME: &str = "__name__";

/// Adds what is not there yet.
pub(super) fn add(frame: &mut Frame, external: &[Label]) {
    if external.is_empty() {
        return;
    }
    let Some(labels) = own(frame) else { return };
    let before = labels.len();
    for label in external {
        if !labels[..before].iter().any(|own| own.name == label.name) {
            labels.push(label.clone());
        }
    }
    if labels.len() > before {
        sort(frame);
    }
}

/// Applies rules; none when they drop the frame, or leave a sample no label at all.
pub(super) fn relabel(mut frame: Frame, rules: &Rules) -> Option<Frame> {
    let mut labels = about(&frame);
    if let Frame::Sample(sample) = &frame {
        labels.push(label(NAME, &sample.name));
    }
    if let Some(own) = own(&mut frame) {
        // What the frame says of itself cannot take the place of what is known about it.
        own.retain(|label| !labels.iter().any(|about| about.name == label.name));
        labels.append(own);
    }
    if !rules.apply(&mut labels) {
        return None;
    }
    if let Frame::Sample(sample) = &mut frame {
        let name = labels.iter_mut().find(|label| label.name == NAME);
        sample.name = name.map(|label| std::mem::take(&mut label.value)).unwrap_or_default();
    }
    labels.retain(|label| !label.name.starts_with("__"));
    if matches!(&frame, Frame::Sample(sample) if sample.name.is_empty() && labels.is_empty()) {
        return None;
    }
    if let Some(own) = own(&mut frame) {
        *own = labels;
        sort(&mut frame);
    }
    Some(frame)
}

/// The labels that rules can change.
fn own(frame: &mut Frame) -> Option<&mut Vec<Label>> {
    match frame {
        Frame::Finding(finding) => Some(&mut finding.attributes),
        Frame::Alert(alert) => Some(&mut alert.labels),
        Frame::Sample(sample) => Some(&mut sample.labels),
        Frame::Verdict(_) | Frame::Evidence(_) | Frame::Notice(_) | Frame::Retraction(_) => None,
    }
}

/// Labels of samples and alerts are sorted; the order of a finding's attributes is its plugin's.
fn sort(frame: &mut Frame) {
    if !matches!(frame, Frame::Finding(_))
        && let Some(labels) = own(frame)
    {
        labels.sort_by(|left, right| left.name.cmp(&right.name));
    }
}

/// The source's name, of frames that have one.
pub(super) fn source(frame: &Frame) -> Option<&str> {
    let source = match frame {
        Frame::Finding(finding) => &finding.source,
        Frame::Verdict(verdict) => &verdict.source,
        Frame::Evidence(evidence) => &evidence.source,
        Frame::Alert(_) | Frame::Sample(_) | Frame::Notice(_) | Frame::Retraction(_) => return None,
    };
    Some(source.as_str()).filter(|source| !source.is_empty())
}

/// What is known about a frame.
fn about(frame: &Frame) -> Vec<Label> {
    let mut labels = vec![label("__kind__", frame.kind().word())];
    if let Some((_, origin)) = frame.origin() {
        labels.push(label("__plugin__", &origin.plugin));
        labels.push(label("__generation__", &origin.generation.to_string()));
    }
    if let Some(severity) = severity::of(frame) {
        labels.push(label("__severity__", severity.word()));
    }
    if let Some(source) = source(frame) {
        labels.push(label("__source__", source));
    }
    let more: Vec<(&str, &str)> = match frame {
        Frame::Finding(finding) => vec![("__rule__", &finding.rule), ("__stream__", &finding.stream)],
        Frame::Verdict(verdict) => {
            vec![("__stream__", &verdict.path), ("__verdict__", verdict.verdict.word())]
        }
        Frame::Alert(alert) => {
            vec![("__rule__", &alert.rule), ("__group__", &alert.group), ("__state__", alert.state.word())]
        }
        Frame::Evidence(evidence) => vec![("__stream__", &evidence.stream)],
        Frame::Sample(_) | Frame::Notice(_) | Frame::Retraction(_) => Vec::new(),
    };
    // An empty value is the same as no label.
    labels.extend(
        more.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| label(name, value)),
    );
    labels
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}
