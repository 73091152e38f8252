//! Settings from the environment: `PICKET_LOG__LEVEL=debug` is `log.level = "debug"`.
//!
//! Two underscores stand between the keys. A key is written as in the file or in capitals, with its
//! dashes as they are or as underscores: `PICKET_PLUGINS__ACCESS_LOG__LIMITS__MEMORY`. A variable
//! with a single key counts only if it names a top-level setting, since systems put variables of
//! their own there (Kubernetes sets `PICKET_PORT` for a service called `picket`).

use std::ffi::OsString;

use super::problem::{Code, Problem};
use super::tree::{Node, Origin, Value};

/// What every variable begins with.
pub const PREFIX: &str = "PICKET_";

/// Lays the variables over the tree, in the order of their names. `single` are the top-level settings
/// that are no tables.
pub(super) fn apply(
    tree: &mut Node,
    variables: &[(OsString, OsString)],
    single: &[&str],
    problems: &mut Vec<Problem>,
) {
    let mut named: Vec<(&str, &OsString)> = variables
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    named.sort();
    for (name, value) in named {
        let keys: Vec<&str> = name[PREFIX.len()..].split("__").collect();
        let is_setting = match keys[..] {
            [key] => single.iter().any(|setting| same(setting, key)),
            _ => keys.iter().all(|key| !key.is_empty()),
        };
        if !is_setting {
            continue;
        }
        let Some(value) = value.to_str() else {
            let message = "the variable's value is no UTF-8 text";
            let place = super::files::Place::Variable { variable: name.to_owned() };
            problems.push(Problem::new(Code::BadValue, message).at(place));
            continue;
        };
        let path = resolve(tree, &keys);
        let origin = Origin::Variable(name.into());
        tree.insert(&path, Node { value: Value::Open(value.to_owned()), key: origin.clone(), origin });
    }
}

/// The keys as they are written in the file, where they stand there; else in lower case.
fn resolve(tree: &Node, keys: &[&str]) -> Vec<String> {
    let mut node = Some(tree);
    keys.iter()
        .map(|key| {
            let table = node.and_then(Node::table);
            let known = table.and_then(|table| table.keys().find(|known| same(known, key)));
            let resolved = known.cloned().unwrap_or_else(|| key.to_ascii_lowercase());
            node = node.and_then(|node| node.child(&resolved));
            resolved
        })
        .collect()
}

fn same(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    plain(a) == plain(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], path: &str, expected: Option<&str>) {
        let origin = Origin::Flag("test".into());
        let mut tree = Node::empty(origin.clone());
        tree.insert(&["plugins".into(), "access-log".into(), "limits".into()], Node::empty(origin));
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut problems = Vec::new();
        apply(&mut tree, &variables, &["data_dir"], &mut problems);
        assert_eq!(problems, []);
        let expected = expected.map(|text| Value::Open(text.into()));
        assert_eq!(tree.find(path.split('.')).map(|node| node.value.clone()), expected, "{path}");
    }

    #[test]
    fn variables_name_settings() {
        check(&[("PICKET_LOG__LEVEL", "debug")], "log.level", Some("debug"));
        check(&[("PICKET_log__level", "debug")], "log.level", Some("debug"));
        check(&[("PICKET_DATA_DIR", "/x")], "data_dir", Some("/x"));
        check(
            &[("PICKET_PLUGINS__ACCESS_LOG__LIMITS__CALL_DEADLINE", "3s")],
            "plugins.access-log.limits.call_deadline",
            Some("3s"),
        );
        check(&[("PICKET_PLUGINS__access-log__COMPONENT", "x")], "plugins.access-log.component", Some("x"));
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        check(&[("PICKET_PORT", "tcp://10.0.0.1:80")], "port", None);
        check(&[("PICKET_SERVICE_HOST", "10.0.0.1")], "service_host", None);
        check(&[("PICKETLOG__LEVEL", "debug")], "log.level", None);
    }
}
