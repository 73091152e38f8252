//! From assets and packs to the groups that the host knows: all files are read, and if one is wrong, none
//! counts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use picket_sdk::{ConfigError, Label, RuleKind, Setup, assets, log};

use crate::config::{Config, milliseconds};
use crate::file::{self, Kind, MAX_GROUPS, MAX_RULE_ID, MAX_RULES, Rule};
use crate::{packs, template};

/// Bytes of a rule's id without what tells it from others alike, ` #20000`.
const LONGEST_ID: usize = MAX_RULE_ID - 8;
/// What a shortened id ends with: the sign that something is left out, a space and 16 digits.
const HASH_BYTES: usize = "… ".len() + 16;

/// A group as it is evaluated.
#[derive(Debug)]
pub(crate) struct Group {
    /// Milliseconds that it looks back.
    pub(crate) query_offset: i64,
    /// The most series that one rule may make; 0 for no bound.
    pub(crate) limit: u32,
    pub(crate) rules: Vec<Evaluated>,
}

/// A rule with what is kept between evaluations.
#[derive(Debug)]
pub(crate) struct Evaluated {
    /// Name and labels, as results call it.
    pub(crate) id: String,
    pub(crate) rule: Rule,
    /// Hashes of the series that it recorded last time: what is not there again has ended.
    pub(crate) recorded: HashSet<u64>,
}

/// Reads all rule files and tells the host of their groups.
pub(crate) fn read(config: &Config, setup: &mut Setup) -> Result<HashMap<String, Group>, ConfigError> {
    let mut problems = Vec::new();
    let mut groups = HashMap::new();
    let mut disabled: BTreeSet<&str> = config.disable.iter().map(String::as_str).collect();
    let mut rules = 0;
    for (name, text) in sources(config)? {
        let file = match file::load(&name, &text) {
            Ok(file) => file,
            Err(mut found) => {
                problems.append(&mut found);
                continue;
            }
        };
        if file.has_more {
            let message = "the rule file holds more than one YAML document: only the first one is read";
            log::log(log::Level::Warn, message, &[("file", &name)]);
        }
        for mut group in file.groups {
            group.rules.retain(|rule| {
                let is_disabled = matches!(rule.kind, Kind::Alert(_)) && config.disable.contains(&rule.name);
                disabled.remove(rule.name.as_str());
                !is_disabled
            });
            rules += group.rules.len();
            let group_name = format!("{name};{}", group.name);
            let interval = group.interval.map_or(config.interval.0, std::time::Duration::from_millis);
            let offset = group.query_offset.and_then(|offset| i64::try_from(offset).ok());
            let evaluated = Group {
                query_offset: offset.unwrap_or(milliseconds(config.query_offset)),
                limit: group.limit,
                rules: identified(group.rules),
            };
            setup.shown_group(shown(&group_name, &name, interval, &evaluated));
            groups.insert(group_name, evaluated);
        }
    }
    if let Some(error) = file::error(&problems) {
        return Err(error);
    }
    if groups.len() > MAX_GROUPS || rules > MAX_RULES {
        let message = format!(
            "the rule files have {} groups and {rules} rules together, at most {MAX_GROUPS} and {MAX_RULES} are \
             taken: use two plugins, each with a folder of its own",
            groups.len()
        );
        return Err(ConfigError::key("", message));
    }
    match disabled.first() {
        Some(name) => Err(ConfigError::key("disable", format!("no rule file has an alert `{name}`"))),
        None => Ok(groups),
    }
}

/// Names and texts of all rule files, packs first.
fn sources(config: &Config) -> Result<Vec<(String, String)>, ConfigError> {
    let is_rules = |name: &String| [".yml", ".yaml", ".rules"].iter().any(|end| name.ends_with(end));
    let listed = || assets::list().into_iter().map(|asset| asset.name).filter(is_rules).collect();
    let files: Vec<String> = config.files.clone().unwrap_or_else(listed);
    let all_packs = || match files.is_empty() {
        true => packs::names().map(str::to_owned).collect(),
        false => Vec::new(),
    };
    let mut sources = Vec::new();
    for pack in config.packs.clone().unwrap_or_else(all_packs) {
        let text = packs::text(&pack).ok_or_else(|| {
            let known: Vec<&str> = packs::names().collect();
            ConfigError::key("packs", format!("there is no pack `{pack}`, only `{}`", known.join("`, `")))
        })?;
        sources.push((format!("built-in {pack}.yml"), text.to_owned()));
    }
    for file in files {
        let text = assets::text(&file)?;
        sources.push((file, text));
    }
    Ok(sources)
}

/// Gives each rule its id; the second of two alike has ` #2` behind it.
fn identified(rules: Vec<Rule>) -> Vec<Evaluated> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut taken = HashSet::new();
    let identify = |rule: Rule| {
        let plain = shortened(identity(&rule));
        let count = counts.entry(plain.clone()).or_insert(1);
        let mut id = plain.clone();
        // The name of another alert may end like this.
        while !taken.insert(id.clone()) {
            *count += 1;
            id = format!("{plain} #{count}");
        }
        Evaluated { id, rule, recorded: HashSet::new() }
    };
    rules.into_iter().map(identify).collect()
}

/// A rule's name with its labels, by which Prometheus knows a rule again after a reload.
fn identity(rule: &Rule) -> String {
    if rule.labels.is_empty() {
        return rule.name.clone();
    }
    let label = |(name, value): &(_, String)| format!("{name}={}", template::quote(value));
    let labels: Vec<String> = rule.labels.iter().map(label).collect();
    format!("{}{{{}}}", rule.name, labels.join(", "))
}

/// An id that the host takes: a long one is its beginning with a hash of all of it, the same at every start.
fn shortened(id: String) -> String {
    if id.len() <= LONGEST_ID {
        return id;
    }
    // FNV-1a. Two rules with the same one count as two that are alike.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let end = id.floor_char_boundary(LONGEST_ID - HASH_BYTES);
    format!("{}… {hash:016x}", &id[..end])
}

/// What the host shows of a group.
fn shown(name: &str, file: &str, interval: std::time::Duration, group: &Group) -> picket_sdk::Group {
    picket_sdk::Group {
        name: name.to_owned(),
        file: file.to_owned(),
        interval: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
        limit: group.limit,
        rules: group.rules.iter().map(shown_rule).collect(),
    }
}

fn shown_rule(evaluated: &Evaluated) -> picket_sdk::Rule {
    let rule = &evaluated.rule;
    let nanoseconds = |milliseconds: u64| milliseconds.saturating_mul(1_000_000);
    let label = |(name, value): (&str, &str)| Label::new(name, value);
    let (kind, hold_for, keep_firing_for, annotations) = match &rule.kind {
        Kind::Recording => (RuleKind::Recording, 0, 0, Vec::new()),
        Kind::Alert(alert) => {
            let annotations = alert.annotations.iter().map(|(name, text)| label((name, text)));
            (RuleKind::Alert, alert.hold_for, alert.keep_firing_for, annotations.collect())
        }
    };
    picket_sdk::Rule {
        id: evaluated.id.clone(),
        name: rule.name.clone(),
        kind,
        expression: rule.query.text().to_owned(),
        for_: nanoseconds(hold_for),
        keep_firing_for: nanoseconds(keep_firing_for),
        labels: rule.labels.iter().map(|(name, value)| label((name, value))).collect(),
        annotations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_id_is_its_beginning_and_a_hash_and_leaves_room_for_a_number() {
        assert_eq!(shortened("x".repeat(LONGEST_ID)), "x".repeat(LONGEST_ID));
        let long = |end: &str| shortened(format!("{}{end}", "ä".repeat(MAX_RULE_ID)));
        let (one, two) = (long("1"), long("2"));
        assert!(one.len() <= LONGEST_ID && one.len() > LONGEST_ID - 4, "{}", one.len());
        assert!(one.starts_with("ää") && one != two && one == long("1"), "{one} {two}");
        assert!(one.len() + " #20000".len() <= MAX_RULE_ID);
    }
}
