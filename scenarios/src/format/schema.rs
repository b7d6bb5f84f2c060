//! The format described for editors (JSON Schema) and for people (reference page).

use super::field::{Absent, Field, Kind, Section};
use super::sections::SCENARIO;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The JSON Schema (draft 2020-12) of scenario files.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let mut root = section_schema(&SCENARIO, &mut definitions);
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("lvsim scenario");
    root["$defs"] = Value::Object(definitions);
    root
}

fn section_schema(section: &Section, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for field in section.fields {
        let mut schema = kind_schema(field.kind, definitions);
        schema["description"] = json!(description(field));
        if let Absent::Default(text) = field.default {
            schema["default"] = default_value(field.kind, text);
        }
        properties.insert(field.name.to_owned(), schema);
    }
    if section.name == SCENARIO.name {
        properties.insert("run".into(), run_schema());
    }
    let required: Vec<_> =
        section.fields.iter().filter(|f| f.default == Absent::Required).map(|f| f.name).collect();
    json!({
        "type": "object",
        "description": section.help,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn run_schema() -> Value {
    let run = json!({
        "type": "object",
        "description": "A variant: its name and any keys of the scenario that differ.",
        "properties": { "name": { "type": "string" }, "group": { "type": "string" }, "description": { "type": "string" } },
        "required": ["name"],
    });
    json!({ "anyOf": [ { "type": "array", "items": run }, run ] })
}

fn default_value(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Bool => json!(text == "true"),
        Kind::Integer(..) => text.parse::<u64>().map_or(Value::Null, |n| json!(n)),
        _ => json!(text),
    }
}

fn description(field: &Field) -> String {
    match field.default {
        Absent::Means(what) => format!("{} If absent: {what}.", field.help),
        _ => field.help.to_owned(),
    }
}

fn kind_schema(kind: Kind, definitions: &mut Map<String, Value>) -> Value {
    match kind {
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Integer(low, u64::MAX) => json!({ "type": "integer", "minimum": low }),
        Kind::Integer(low, high) => {
            json!({ "type": "integer", "minimum": low, "maximum": high })
        }
        Kind::Signed(low, high) => {
            json!({ "type": "integer", "minimum": low, "maximum": high })
        }
        Kind::OneOf(names) => json!({ "enum": names }),
        Kind::Share => json!({ "type": ["string", "number"], "examples": ["0.1%"] }),
        Kind::Dist(_) => json!({ "type": ["string", "number", "object"] }),
        Kind::Any => json!({}),
        Kind::List(inner) => {
            let inner = kind_schema(*inner, definitions);
            json!({ "anyOf": [ { "type": "array", "items": inner }, inner ] })
        }
        Kind::Table(section) => reference(section, definitions),
        Kind::Tables(section) => {
            let inner = reference(section, definitions);
            json!({ "anyOf": [ { "type": "array", "items": inner }, inner ] })
        }
        _ => json!({ "type": "string" }),
    }
}

fn reference(section: &'static Section, definitions: &mut Map<String, Value>) -> Value {
    if !definitions.contains_key(section.name) {
        definitions.insert(section.name.to_owned(), Value::Null);
        let schema = section_schema(section, definitions);
        definitions.insert(section.name.to_owned(), schema);
    }
    json!({ "$ref": format!("#/$defs/{}", section.name.replace(' ', "%20")) })
}

/// The reference page of the format, in Markdown.
pub fn reference_page() -> String {
    let mut out = String::from(
        "# Scenario files\n\nTOML with units in the values. A table where an array of tables is \
         expected counts as an array of one.\n",
    );
    let mut done = Vec::new();
    write_section(&SCENARIO, &mut out, &mut done);
    out
}

fn write_section(section: &'static Section, out: &mut String, done: &mut Vec<&'static str>) {
    if done.contains(&section.name) {
        return;
    }
    done.push(section.name);
    let _infallible = write!(out, "\n## {}\n\n{}\n\n", section.name, section.help);
    out.push_str("| key | takes | if absent | |\n|---|---|---|---|\n");
    for f in section.fields {
        let absent = match f.default {
            Absent::Required => "**required**".to_owned(),
            Absent::Default(text) => format!("`{text}`"),
            Absent::Means(what) => what.to_owned(),
        };
        let allowed = f.kind.allowed().replace('|', "\\|");
        let _infallible = writeln!(out, "| `{}` | {allowed} | {absent} | {} |", f.name, f.help);
    }
    for f in section.fields {
        if let Kind::Table(s) | Kind::Tables(s) = f.kind {
            write_section(s, out, done);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_schema_has_its_definition() {
        let schema = json_schema();
        let text = schema.to_string();
        for part in text.split("#/$defs/").skip(1) {
            let name = part.split('"').next().unwrap().replace("%20", " ");
            assert!(schema["$defs"][&name].is_object(), "{name}");
        }
        assert_eq!(schema["properties"]["duration"]["default"], "10s");
        assert_eq!(schema["$defs"]["link"]["required"][0], "between");
    }

    #[test]
    fn the_reference_page_has_every_section_once() {
        let page = reference_page();
        for name in ["\n## scenario\n", "\n## tcp\n", "\n## cluster.real_servers\n"] {
            assert_eq!(page.matches(name).count(), 1, "{name}");
        }
    }
}
