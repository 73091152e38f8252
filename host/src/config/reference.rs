//! The reference of the configuration, made from the types themselves: their fields, comments and
//! defaults. `docs/configuration.md` is this text; a test fails when the page is stale.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::sections::{AgentConfig, JournalConfig, SeriesConfig, StateConfig};
use crate::api::config::ApiConfig;
use crate::lifecycle::config::{CompileConfig, PluginConfig, ReloadConfig, SupervisionConfig};
use crate::telemetry::LogConfig;
use crate::{archive, lanes, sources};

/// One table of the file.
struct Section {
    /// As it stands in the file: `agent`, `sources.NAME`.
    path: &'static str,
    /// The value of `kind`, where there is one.
    kind: Option<&'static str>,
    schema: fn(&mut SchemaGenerator) -> Schema,
}

const fn section(path: &'static str, schema: fn(&mut SchemaGenerator) -> Schema) -> Section {
    Section { path, kind: None, schema }
}

const fn kind(path: &'static str, kind: &'static str, schema: fn(&mut SchemaGenerator) -> Schema) -> Section {
    Section { path, kind: Some(kind), schema }
}

/// In the order in which an operator meets them.
const SECTIONS: [Section; 22] = [
    kind("sources.NAME", "file", sources::file::Config::json_schema),
    kind("sources.NAME", "directory", sources::directory::Config::json_schema),
    kind("sources.NAME", "host", sources::host::Config::json_schema),
    kind("sources.NAME", "prometheus", sources::prometheus::Config::json_schema),
    section("plugins.NAME", PluginConfig::json_schema),
    kind("forwarders.NAME", "file", picket_forwarders::file::Config::json_schema),
    kind("forwarders.NAME", "remote_write", picket_forwarders::remote_write::Config::json_schema),
    kind("forwarders.NAME", "alertmanager", picket_forwarders::alertmanager::Config::json_schema),
    kind("forwarders.NAME", "otlp", picket_forwarders::otlp::Config::json_schema),
    kind("forwarders.NAME", "fluent", picket_forwarders::fluent::Config::json_schema),
    kind("forwarders.NAME", "webhook", picket_forwarders::webhook::Config::json_schema),
    section("lanes", lanes::Config::json_schema),
    section("archive", archive::Config::json_schema),
    section("agent", AgentConfig::json_schema),
    section("log", LogConfig::json_schema),
    section("api", ApiConfig::json_schema),
    section("reload", ReloadConfig::json_schema),
    section("compile", CompileConfig::json_schema),
    section("supervision", SupervisionConfig::json_schema),
    section("journal", JournalConfig::json_schema),
    section("state", StateConfig::json_schema),
    section("series", SeriesConfig::json_schema),
];

/// The settings that stand before all tables.
const TOP: [(&str, &str, &str); 2] = [
    (
        "data_dir",
        "`/var/lib/picket` for root, else `$XDG_STATE_HOME/picket`",
        "Where the agent keeps what it must remember. Only the agent's user may write there, and only one agent can use it.",
    ),
    (
        "plugin_dir",
        "`/etc/picket/plugins`, then beside the program, then `/usr/lib/picket/plugins`",
        "Where components and assets are looked for; a folder that is named here is the only one. Only root and the agent's user may be able to write there.",
    ),
];

/// Tables below this path are the same for several kinds.
const SHARED: &str = "forwarders.";

const INTRODUCTION: &str = "\
# Configuration

<!-- Made from the types in host/src by `picket config reference`; a test fails when it is stale. -->

The agent reads `/etc/picket/picket.toml`, or the file that `--config` or `PICKET_CONFIG` names, and lays
the files of the folder `conf.d` beside it over it, in the order of their names: tables are joined,
everything else is replaced. Variables of the environment stand over files, flags over both. The
format is [TOML](https://toml.io). Unknown keys are errors; `picket check` shows all errors at once.

A variable is named after the keys, with two underscores between them: `PICKET_LOG__LEVEL=debug` is
`log.level = \"debug\"`, `PICKET_PLUGINS__ACCESS_LOG__LIMITS__MEMORY=128MiB` is
`plugins.access-log.limits.memory = \"128MiB\"`. Keys may be in capitals, and dashes may be underscores.

Sizes are a whole number and a unit (`512KiB`, `16MiB`, `1GB`), lengths of time likewise (`250ms`, `90s`,
`2h`, `7d`). A name has 1 to 64 of the characters `a` to `z`, `0` to `9`, `-` and `_`. Relative paths
count from the folder of the file they stand in, unless the setting says otherwise.
";

/// The page.
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    text += "\n## Before all tables\n\n| key | default | meaning |\n|---|---|---|\n";
    for (key, default, meaning) in TOP {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{key}` | {default} | {meaning} |");
    }
    let mut printed = BTreeSet::new();
    for section in SECTIONS {
        let mut generator = generator();
        let schema = (section.schema)(&mut generator);
        let definitions = generator.take_definitions(false);
        let of_kind = section.kind.map(|kind| format!(", `kind = \"{kind}\"`")).unwrap_or_default();
        table(&mut text, &mut printed, section.path, &of_kind, schema.as_value(), &definitions);
    }
    text
}

/// The schema of the whole file.
pub fn schema() -> Value {
    let mut generator = generator();
    let mut properties = Map::new();
    for (key, _, meaning) in TOP {
        properties.insert(key.into(), json!({ "type": "string", "description": meaning }));
    }
    for section in SECTIONS {
        let mut schema = (section.schema)(&mut generator).to_value();
        if let Some(kind) = section.kind {
            schema["properties"]["kind"] = json!({ "const": kind });
            add_required(&mut schema, "kind");
        }
        match section.path.split_once('.') {
            None => {
                properties.insert(section.path.into(), schema);
            }
            Some((name, _)) => {
                let entries = properties
                    .entry(name)
                    .or_insert_with(|| json!({ "type": "object", "additionalProperties": { "oneOf": [] } }));
                if let Some(list) = entries["additionalProperties"]["oneOf"].as_array_mut() {
                    list.push(schema);
                }
            }
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "picket.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
        "$defs": generator.take_definitions(true),
    })
}

fn generator() -> SchemaGenerator {
    schemars::generate::SchemaSettings::draft2020_12().into_generator()
}

fn add_required(schema: &mut Value, key: &str) {
    match schema["required"].as_array_mut() {
        Some(required) => required.push(key.into()),
        None => schema["required"] = json!([key]),
    }
}

/// One table, and behind it the tables in it, save for those that stand on the page already: kinds share them.
fn table(
    text: &mut String,
    printed: &mut BTreeSet<(String, Vec<String>)>,
    path: &str,
    of_kind: &str,
    schema: &Value,
    definitions: &Map<String, Value>,
) {
    let _ = write!(text, "\n## `[{path}]`{of_kind}\n\n{}\n", paragraph(&schema["description"]));
    let Some(properties) = schema["properties"].as_object() else { return };
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    text.push_str("\n| key | default | meaning |\n|---|---|---|\n");
    let mut inner = Vec::new();
    for (key, property) in properties {
        let named = referred(property, definitions);
        if named.is_some_and(|named| named["properties"].is_object()) {
            let _ = writeln!(text, "| `{key}` | see `[{path}.{key}]` | {} |", cell(&property["description"]));
            inner.extend(named.map(|named| (key, named, &property["description"])));
            continue;
        }
        let default = match &property["default"] {
            Value::Null if required.contains(&key.as_str()) => "required".to_owned(),
            Value::Null => "none".to_owned(),
            Value::Object(empty) if empty.is_empty() => "empty".to_owned(),
            default => format!("`{default}`"),
        };
        let choices = named.map(choices).unwrap_or_default();
        let _ = writeln!(text, "| `{key}` | {default} | {}{choices} |", cell(&property["description"]));
    }
    for (key, named, description) in inner {
        let path = format!("{path}.{key}");
        // Tables of one path that have other keys are others all the same.
        let keys =
            named["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
        if !printed.insert((path.clone(), keys)) {
            continue;
        }
        let mut named = named.clone();
        // What a kind of forwarder says of a table stands in its own; the type's words hold for all kinds.
        let is_shared = path.starts_with(SHARED) && named["description"].is_string();
        if description.is_string() && !is_shared {
            named["description"] = description.clone();
        }
        table(text, printed, &path, "", &named, definitions);
    }
}

/// The definition that a property is of, also when it may be absent.
fn referred<'a>(property: &Value, definitions: &'a Map<String, Value>) -> Option<&'a Value> {
    let direct = property["$ref"].as_str();
    let optional = property["anyOf"].as_array().into_iter().flatten().find_map(|one| one["$ref"].as_str());
    let name = direct.or(optional)?.rsplit('/').next()?;
    definitions.get(name)
}

/// The values of an enumeration with their comments.
fn choices(named: &Value) -> String {
    let documented = named["oneOf"].as_array().into_iter().flatten().filter_map(|one| {
        let value = one["const"].as_str()?;
        Some(format!(" `{value}`: {}", cell(&one["description"])))
    });
    documented.collect()
}

/// Text in a cell of a table.
fn cell(description: &Value) -> String {
    description.as_str().unwrap_or_default().replace("\n\n", " ").replace('\n', " ").replace('|', "\\|")
}

/// Text of its own.
fn paragraph(description: &Value) -> &str {
    description.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_reference_page_is_fresh() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        let fresh = markdown();
        if std::env::var_os("PICKET_UPDATE").is_some() {
            std::fs::write(page, &fresh).unwrap();
        }
        assert!(
            std::fs::read_to_string(page).unwrap_or_default() == fresh,
            "docs/configuration.md is stale; run `cargo run -p picket -- config reference > docs/configuration.md`",
        );
    }

    #[test]
    fn a_table_that_kinds_share_stands_there_once() {
        let page = markdown();
        for table in ["http", "http.tls", "select", "batch", "retry"] {
            let title = format!("\n## `[forwarders.NAME.{table}]`\n");
            assert_eq!(page.matches(&title).count(), 1, "{table}");
        }
    }

    #[test]
    fn every_setting_is_documented() {
        let mut undocumented = Vec::new();
        for section in SECTIONS {
            let mut generator = generator();
            let mut schemas = vec![(section.path.to_owned(), (section.schema)(&mut generator).to_value())];
            schemas.extend(generator.take_definitions(false));
            for (name, schema) in schemas {
                for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                    if property["description"].as_str().is_none_or(str::is_empty) {
                        undocumented.push(format!("{name}.{key}"));
                    }
                }
            }
        }
        assert_eq!(undocumented, Vec::<String>::new());
    }

    #[test]
    fn the_schema_knows_every_table_and_kind() {
        let schema = schema();
        for table in super::super::raw::TOP {
            assert!(schema["properties"][table].is_object(), "{table}");
        }
        let kinds = &schema["properties"]["sources"]["additionalProperties"]["oneOf"];
        assert!(kinds.as_array().unwrap().iter().all(|kind| kind["properties"]["kind"]["const"].is_string()));
    }
}
