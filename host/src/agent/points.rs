//! Which points can be tapped, and what to say where there is none. What passes them is `tap`'s business.

use crate::api::TapError;
use crate::config::nearest;
use crate::tap::{Point, Way};

/// Whether something passes a point. `known` are the names of this part of the way, with their kinds.
pub(super) fn check(point: &Point, known: &[(String, String)]) -> Result<(), TapError> {
    let (way, name) = (point.way.name(), &point.name);
    match known.iter().find(|(known, _)| known == name) {
        Some((_, kind)) if point.way == Way::Source && kind != "file" => Err(TapError::Unknown(format!(
            "no records pass the source `{name}`: it is of the kind `{kind}`; tap a plugin that it feeds"
        ))),
        Some(_) => Ok(()),
        None => {
            let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            let remedy = match (nearest(name, &names), names.as_slice()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, []) => format!("the agent runs no {way}"),
                (None, names) => format!("there are `{}`", names.join("`, `")),
            };
            Err(TapError::Unknown(format!("there is no {way} `{name}`; {remedy}")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn checked(way: Way, name: &str, known: &[(&str, &str)]) -> Result<(), String> {
        let known: Vec<_> =
            known.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect();
        check(&Point { way, name: name.to_owned() }, &known).map_err(|error| error.to_string())
    }

    #[test]
    fn an_unknown_name_is_told_with_the_nearest_one() {
        let known = [("access-log", ""), ("thresholds", "")];
        assert_eq!(checked(Way::Plugin, "thresholds", &known), Ok(()));
        assert!(
            checked(Way::Plugin, "acces-log", &known).unwrap_err().contains("did you mean `access-log`?")
        );
        assert!(checked(Way::Plugin, "zzz", &known).unwrap_err().contains("`access-log`, `thresholds`"));
        assert!(checked(Way::Plugin, "zzz", &[]).unwrap_err().contains("runs no plugin"));
    }

    #[test]
    fn a_source_without_records_is_no_point() {
        let known = [("logs", "file"), ("host", "host")];
        assert_eq!(checked(Way::Source, "logs", &known), Ok(()));
        assert!(checked(Way::Source, "host", &known).unwrap_err().contains("kind `host`"));
    }
}
