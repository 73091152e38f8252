//! Groups in YAML, event by event: a list of mappings that hold a list and a mapping of texts, and nothing deeper.

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::Group;

/// Where in a file the reader is.
enum Place {
    /// Before the list, or behind it.
    Outside,
    /// In the list of groups.
    Groups,
    /// In a group, where a key is expected.
    Group,
    /// Behind this key of a group.
    Behind(Key),
    /// In a group's targets.
    Targets,
    /// In a group's labels, behind this label's name when there is one.
    Labels(Option<String>),
}

#[derive(Clone, Copy)]
enum Key {
    Targets,
    Labels,
}

impl Key {
    fn wanted(self) -> &'static str {
        match self {
            Self::Targets => "`targets` is a list",
            Self::Labels => "`labels` has names and values",
        }
    }
}

/// The groups of a text; a message with the line when it has none.
pub(super) fn groups(text: &str) -> Result<Vec<Group>, String> {
    let mut groups = Vec::new();
    let mut place = Place::Outside;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event
            .map_err(|error| format!("line {}: it is no YAML: {}", error.marker().line(), error.info()))?;
        if let Event::DocumentStart(_) = event {
            documents += 1;
        }
        if documents > 1 {
            return Err(format!("line {}: there is a second document", span.start.line()));
        }
        place = next(place, &event, &mut groups)
            .map_err(|message| format!("line {}: {message}", span.start.line()))?;
    }
    Ok(groups)
}

/// Where an event leads to.
fn next(place: Place, event: &Event<'_>, groups: &mut Vec<Group>) -> Result<Place, String> {
    if matches!(event, Event::Alias(_)) {
        return Err("aliases are not supported here".to_owned());
    }
    let is_null = |event: &Event<'_>| match event {
        Event::Scalar(text, style, ..) => {
            *style == ScalarStyle::Plain && matches!(&**text, "" | "~" | "null" | "Null" | "NULL")
        }
        _ => false,
    };
    match (place, event) {
        (Place::Outside, Event::SequenceStart(..)) => Ok(Place::Groups),
        (Place::Outside, Event::MappingStart(..)) => Err("a list of groups is expected".to_owned()),
        (Place::Outside, event @ Event::Scalar(..)) if !is_null(event) => {
            Err("a list of groups is expected".to_owned())
        }
        (Place::Outside, _) => Ok(Place::Outside),
        (Place::Groups, Event::MappingStart(..)) => {
            groups.push(Group::default());
            Ok(Place::Group)
        }
        (Place::Groups, Event::SequenceEnd) => Ok(Place::Outside),
        (Place::Groups, _) => Err("a group with `targets` and `labels` is expected".to_owned()),
        (Place::Group, Event::MappingEnd) => Ok(Place::Groups),
        (Place::Group, Event::Scalar(key, ..)) => match &**key {
            "targets" => Ok(Place::Behind(Key::Targets)),
            "labels" => Ok(Place::Behind(Key::Labels)),
            other => Err(format!(
                "`{}` is no key of a group; these are `targets` and `labels`",
                super::shown(other)
            )),
        },
        (Place::Group, _) => Err("a key is expected".to_owned()),
        (Place::Behind(_), event) if is_null(event) => Ok(Place::Group),
        (Place::Behind(Key::Targets), Event::SequenceStart(..)) => Ok(Place::Targets),
        (Place::Behind(Key::Labels), Event::MappingStart(..)) => Ok(Place::Labels(None)),
        (Place::Behind(key), _) => Err(key.wanted().to_owned()),
        (Place::Targets, Event::SequenceEnd) | (Place::Labels(None), Event::MappingEnd) => Ok(Place::Group),
        (place, Event::Scalar(text, ..)) => Ok(take(place, text, groups)),
        _ => Err("a text is expected".to_owned()),
    }
}

/// A target, or a label's name or value.
fn take(place: Place, text: &str, groups: &mut [Group]) -> Place {
    let Some(group) = groups.last_mut() else { return place };
    match place {
        Place::Labels(None) => Place::Labels(Some(text.to_owned())),
        Place::Labels(Some(name)) => {
            group.labels.insert(name, text.to_owned());
            Place::Labels(None)
        }
        other => {
            group.targets.push(text.to_owned());
            other
        }
    }
}
