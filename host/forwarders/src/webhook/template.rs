//! Bodies by the operator's template, in the syntax of Jinja2 (crate `minijinja`). What a template can use is
//! described in `docs/forwarders.md`.
//!
//! A template is tried when it is read, so that a mistake in it is told at the start and not with the first
//! attack at night.

use bytes::Bytes;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use picket_model::{
    AlertEvent, AlertState, Digest, EventId, Finding, Frame, Label, Origin, RetractedBy, Retraction,
    Severity, Verdict, VerdictKind,
};
use serde::de::IgnoredAny;

use super::encode;
use super::text::Text;
use crate::file::encode::Line;

/// Steps of a template for one event: a loop over all attributes takes some hundreds.
const MAX_STEPS: u64 = 100_000;
/// The longest body that a template may make: Standard Webhooks recommends 20 kB.
const MAX_BODY: usize = 1 << 20;
/// The longest template.
const MAX_TEMPLATE: usize = 256 << 10;
/// The only template has a name that nobody sees.
const NAME: &str = "body";

/// Makes bodies.
pub struct Template {
    environment: Environment<'static>,
    /// What it makes is said to be JSON.
    is_json: bool,
    /// Where it stands, for messages.
    place: String,
}

/// A template that cannot be used, or cannot be used for an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It says something that has no meaning.
    #[error("{place}, line {line}, column {column}: {what}")]
    Wrong {
        /// The file, or the setting.
        place: String,
        /// From 1.
        line: usize,
        /// From 1, in characters; 1 when only the line is known.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// What it makes of an event is not what `content_type` says.
    #[error(
        "{place} makes no JSON of a {kind}: {what}; write values without quotes around them, such as \
         `{{\"text\": {{{{ message }}}}}}`, or set another `content_type`"
    )]
    NoJson {
        /// The file, or the setting.
        place: String,
        /// The kind of the event.
        kind: &'static str,
        /// With line and column of what it made.
        what: String,
    },
    /// It, or what it makes, is too long.
    #[error("{place} {what} is longer than {most} bytes")]
    TooLong {
        /// The file, or the setting.
        place: String,
        /// What of it.
        what: &'static str,
        /// The bound.
        most: usize,
    },
}

impl Template {
    /// Reads a template, and tries it with an example of each kind that most send.
    pub fn new(place: &str, source: String, content_type: &str) -> Result<Self, TemplateError> {
        let place = place.to_owned();
        if source.len() > MAX_TEMPLATE {
            return Err(TemplateError::TooLong { place, what: "", most: MAX_TEMPLATE });
        }
        let is_json = content_type.to_ascii_lowercase().contains("json");
        let mut environment = Environment::new();
        environment.set_debug(true);
        environment.set_fuel(Some(MAX_STEPS));
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(move |_| match is_json {
            true => AutoEscape::Json,
            false => AutoEscape::None,
        });
        environment.add_template_owned(NAME, source).map_err(|error| wrong(&place, &error))?;
        let template = Self { environment, is_json, place };
        for example in examples() {
            match template.rendered(&example, "node") {
                Ok(body) => template.check(&example, &body)?,
                // Another event may have what this one lacks.
                Err(error) if is_mistake(error.kind()) => return Err(wrong(&template.place, &error)),
                Err(_) => {}
            }
        }
        Ok(template)
    }

    /// The body for an event of a node.
    pub fn render(&self, frame: &Frame, node: &str) -> Result<Bytes, TemplateError> {
        let body = self.rendered(frame, node).map_err(|error| wrong(&self.place, &error))?;
        self.check(frame, &body)?;
        Ok(body.into_bytes().into())
    }

    fn rendered(&self, frame: &Frame, node: &str) -> Result<String, Error> {
        self.environment.get_template(NAME)?.render(variables(frame, node))
    }

    fn check(&self, frame: &Frame, body: &str) -> Result<(), TemplateError> {
        let place = || self.place.clone();
        if body.len() > MAX_BODY {
            return Err(TemplateError::TooLong { place: place(), what: "makes a body that", most: MAX_BODY });
        }
        match serde_json::from_str::<IgnoredAny>(body) {
            Err(error) if self.is_json => Err(TemplateError::NoJson {
                place: place(),
                kind: encode::kind(frame),
                what: error.to_string(),
            }),
            _ => Ok(()),
        }
    }
}

/// The fields of the event as the `file` forwarder writes them, and some words of our own.
fn variables(frame: &Frame, node: &str) -> Value {
    let event = serde_json::to_value(Line(frame)).expect("plain data always encodes into memory");
    let Text { tag, title, lines } = Text::of(frame, node);
    let mut variables = event.as_object().cloned().unwrap_or_default();
    for (name, value) in [
        ("type", encode::kind(frame).into()),
        ("severity", serde_json::to_value(encode::severity(frame)).expect("a word always encodes")),
        ("node", node.into()),
        ("tag", tag.into()),
        ("title", title.into()),
        ("text", lines.join("\n").into()),
        ("event", event),
    ] {
        variables.insert(name.to_owned(), value);
    }
    Value::from(Serde(variables))
}

/// What no event can make right.
fn is_mistake(kind: ErrorKind) -> bool {
    use ErrorKind::{
        OutOfFuel, SyntaxError, TemplateNotFound, UnknownFilter, UnknownFunction, UnknownMethod, UnknownTest,
    };
    matches!(
        kind,
        OutOfFuel
            | SyntaxError
            | TemplateNotFound
            | UnknownFilter
            | UnknownFunction
            | UnknownMethod
            | UnknownTest
    )
}

fn wrong(place: &str, error: &Error) -> TemplateError {
    let column = error.template_source().zip(error.range()).and_then(|(source, range)| {
        let before = source.get(..range.start)?;
        Some(before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
    });
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let what = what.chars().take(300).flat_map(char::escape_debug).collect();
    TemplateError::Wrong {
        place: place.to_owned(),
        line: error.line().unwrap_or(1),
        column: column.unwrap_or(1),
        what,
    }
}

/// A finding, a verdict, an alert and a retraction.
fn examples() -> [Frame; 4] {
    let digest = Digest::of(b"example");
    let id = EventId::derive(&digest, 0, &digest, 0);
    let origin = Origin { plugin: "example".into(), generation: digest };
    let label = |name: &str| vec![Label { name: name.into(), value: "a \"quoted\"\nvalue".into() }];
    [
        Frame::Finding(Finding {
            id,
            time: 0,
            origin: origin.clone(),
            rule: "example".into(),
            severity: Severity::High,
            message: "A \"quoted\"\nmessage.".into(),
            attributes: label("user"),
            source: "example".into(),
            stream: "/var/log/example".into(),
            offset: Some(0),
            record: Some("a \"quoted\" record".into()),
        }),
        Frame::Verdict(Verdict {
            id,
            time: 0,
            origin: origin.clone(),
            source: "example".into(),
            path: "/tmp/an \"example\"".into(),
            sha256: digest,
            size: 0,
            verdict: VerdictKind::Malicious,
            reason: "A \"quoted\"\nreason.".into(),
        }),
        Frame::Alert(AlertEvent {
            id,
            time: 0,
            origin: origin.clone(),
            group: "example".into(),
            rule: "example".into(),
            state: AlertState::Firing,
            labels: label("alertname"),
            annotations: label("summary"),
            value: 1.0,
            active_since: 0,
            silenced_by: None,
        }),
        Frame::Retraction(Retraction {
            id,
            time: 0,
            origin,
            by: RetractedBy::Operator,
            reason: "A \"quoted\"\nreason.".into(),
            retracts: vec![id],
        }),
    ]
}
