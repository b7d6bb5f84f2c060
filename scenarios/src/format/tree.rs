//! A TOML document as a tree of values with their places, in the order they were written.

use crate::diagnostic::{FileId, Place, Problem, Sources};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A value and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// The value.
    pub value: Raw,
    /// Where it stands.
    pub place: Place,
}

/// A value as TOML has it.
#[derive(Clone, PartialEq, Debug)]
pub enum Raw {
    /// A string.
    Text(String),
    /// An integer, as far as 64 bits go.
    Integer(i64),
    /// A number with a fraction (or an integer beyond 64 bits).
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A date or time; no field takes one.
    Date,
    /// An array.
    List(Vec<Node>),
    /// A table.
    Table(Table),
}

/// A table: keys with their places, in the order they were written.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Table {
    /// Keys and values.
    pub entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

impl Table {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|e| e.key == key).map(|e| &e.node)
    }

    /// The value of `key`, to change.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|e| e.key == key).map(|e| &mut e.node)
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|e| e.key == key)?;
        Some(self.entries.remove(at).node)
    }
}

impl Raw {
    /// What the value is, for messages: `the text "x"`, `the number 5`, `a table`.
    pub fn describe(&self) -> String {
        match self {
            Self::Text(t) if t.len() <= 40 && !t.contains('\n') => format!("\"{t}\""),
            Self::Text(_) => "a text".to_owned(),
            Self::Integer(i) => format!("the number {i}"),
            Self::Float(f) => format!("the number {f}"),
            Self::Bool(b) => format!("{b}"),
            Self::Date => "a date".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Table(_) => "a table".to_owned(),
        }
    }
}

/// Reads a TOML text that is already among the sources: the table as far as it can be understood,
/// and every syntax error.
pub fn parse(sources: &Sources, file: FileId) -> (Table, Vec<Problem>) {
    let text = sources.text(file);
    let (table, errors) = DeTable::parse_recoverable(text);
    let problems = errors
        .iter()
        .map(|e| {
            let span = e.span().unwrap_or(0..0);
            let message = e.message().lines().collect::<Vec<_>>().join("; ");
            Problem::new(&Place::new(file, span), format!("TOML: {message}"), "here")
        })
        .collect();
    (convert_table(table.get_ref(), file), problems)
}

/// Reads `KEY=VALUE` as the command line has it: a TOML value, or else a text.
///
/// # Errors
/// There is no `=`.
pub fn parse_setting(text: &str, sources: &mut Sources) -> Result<(String, Node), Problem> {
    let file = sources.add("--set", text);
    let Some((key, value)) = text.split_once('=') else {
        let place = Place::new(file, 0..text.len());
        return Err(Problem::new(&place, "`--set` without a value", "expected KEY=VALUE"));
    };
    let offset = key.len() + 1;
    let (key, value) = (key.trim().to_owned(), value.trim());
    let place = Place::new(file, offset..text.len());
    let raw = match DeValue::parse(value) {
        Ok(v) => convert_value(v.get_ref(), file),
        Err(_) => Raw::Text(value.to_owned()),
    };
    let mut node = Node { value: raw, place: place.clone() };
    set_places(&mut node, &place);
    Ok((key, node))
}

/// Gives a node and all below it one place.
fn set_places(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Raw::List(list) => list.iter_mut().for_each(|n| set_places(n, place)),
        Raw::Table(table) => {
            for e in &mut table.entries {
                e.place = place.clone();
                set_places(&mut e.node, place);
            }
        }
        _ => {}
    }
}

fn convert(value: &Spanned<DeValue<'_>>, file: FileId) -> Node {
    Node { value: convert_value(value.get_ref(), file), place: Place::new(file, value.span()) }
}

fn convert_value(value: &DeValue<'_>, file: FileId) -> Raw {
    match value {
        DeValue::String(s) => Raw::Text(s.to_string()),
        DeValue::Integer(i) => {
            let digits = i.as_str().replace('_', "");
            i64::from_str_radix(&digits, i.radix())
                .map_or_else(|_| Raw::Float(digits.parse().unwrap_or(f64::INFINITY)), Raw::Integer)
        }
        DeValue::Float(f) => Raw::Float(f.as_str().replace('_', "").parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(b) => Raw::Bool(*b),
        DeValue::Datetime(_) => Raw::Date,
        DeValue::Array(a) => Raw::List(convert_list(a, file)),
        DeValue::Table(t) => Raw::Table(convert_table(t, file)),
    }
}

fn convert_list(list: &DeArray<'_>, file: FileId) -> Vec<Node> {
    list.iter().map(|v| convert(v, file)).collect()
}

fn convert_table(table: &DeTable<'_>, file: FileId) -> Table {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(k, v)| Entry {
            key: k.get_ref().to_string(),
            place: Place::new(file, k.span()),
            node: convert(v, file),
        })
        .collect();
    entries.sort_by_key(|e| e.place.span.start);
    Table { entries }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_syntax_error_is_found_and_the_rest_is_read() {
        let mut sources = Sources::default();
        let file = sources.add("a.toml", "a = 1\nb = = 2\nc = \"x\nd = 4\n");
        let (table, problems) = parse(&sources, file);
        assert!(problems.len() >= 2, "{problems:?}");
        assert_eq!(table.get("d").map(|n| &n.value), Some(&Raw::Integer(4)));
    }

    #[test]
    fn a_setting_is_a_value_or_else_a_text() {
        let mut sources = Sources::default();
        let set = |s: &mut Sources, t| parse_setting(t, s).map(|(k, n)| (k, n.value));
        assert_eq!(set(&mut sources, "a.b=4"), Ok(("a.b".into(), Raw::Integer(4))));
        assert_eq!(set(&mut sources, "a=\"4\""), Ok(("a".into(), Raw::Text("4".into()))));
        assert_eq!(
            set(&mut sources, "rate=10Mbit/s"),
            Ok(("rate".into(), Raw::Text("10Mbit/s".into())))
        );
        assert!(set(&mut sources, "rate").is_err());
    }
}
