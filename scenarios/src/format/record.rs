//! A table of a scenario file, decoded by its [`Section`].

use super::field::{Absent, Field, Section, Value};
use super::tree::Table;
use super::words;
use crate::diagnostic::{At, Place, Problem};
use core::net::IpAddr;
use sim_core::config::{LinkEnd, Load, Net, QueueLimit, RouteConfig};
use sim_core::engine::{Dist, Span};
use sim_core::wire::Mac;

/// The decoded keys of a table.
///
/// Getters take the name of a field of the section; asking for another one is a mistake of the
/// program, which a debug build asserts.
#[derive(Clone, Debug)]
pub struct Record {
    section: &'static Section,
    values: Vec<(&'static str, At<Value>)>,
    /// Where the table stands.
    pub place: Place,
}

impl Record {
    /// An empty table of `section`: everything is absent.
    pub fn empty(section: &'static Section, place: &Place) -> Self {
        Self { section, values: Vec::new(), place: place.clone() }
    }

    /// Decodes `table`. Unknown keys, missing keys and wrong values go to `problems`; the rest is
    /// kept.
    pub fn read(
        section: &'static Section,
        table: &Table,
        place: &Place,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut record = Self::empty(section, place);
        let mut meant = Vec::new();
        for entry in &table.entries {
            if let Some(field) = section.fields.iter().find(|f| f.name == entry.key) {
                if let Some(value) = field.kind.decode(&entry.node, problems) {
                    let at = At::new(value, entry.node.place.clone());
                    record.values.push((field.name, at));
                }
            } else {
                meant.extend(words::nearest(&entry.key, section.fields.iter().map(|f| f.name)));
                problems.push(unknown_key(section, &entry.key, &entry.place));
            }
        }
        for field in section.fields {
            let there = table.get(field.name).is_some() || meant.contains(&field.name);
            if field.default == Absent::Required && !there {
                problems.push(missing_key(section, field, place));
            }
        }
        record
    }

    fn field(&self, name: &str) -> Option<&'static Field> {
        let field = self.section.fields.iter().find(|f| f.name == name);
        debug_assert!(field.is_some(), "[{}] has no field `{name}`", self.section.name);
        field
    }

    /// Whether the section has such a field.
    pub fn has_field(&self, name: &str) -> bool {
        self.section.fields.iter().any(|f| f.name == name)
    }

    /// Whether the key was written (and could be decoded).
    pub fn has(&self, name: &str) -> bool {
        self.written(name).is_some()
    }

    fn written(&self, name: &str) -> Option<&At<Value>> {
        debug_assert!(self.field(name).is_some());
        self.values.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Where the value of a key stands; the table if it is absent.
    pub fn place_of(&self, name: &str) -> &Place {
        self.written(name).map_or(&self.place, |v| &v.place)
    }

    /// The value of a key if it was written.
    pub fn get<T: FromValue>(&self, name: &str) -> Option<T> {
        T::from_value(&self.written(name)?.value)
    }

    /// The value of a key with its place if it was written.
    pub fn at<T: FromValue>(&self, name: &str) -> Option<At<T>> {
        let at = self.written(name)?;
        Some(At::new(T::from_value(&at.value)?, at.place.clone()))
    }

    /// The value of a key, its default, or (for a key that is required and missing, which was
    /// reported) the default of the type.
    pub fn value<T: FromValue + Default>(&self, name: &str) -> T {
        self.get(name).or_else(|| self.default(name)).unwrap_or_default()
    }

    /// The default of a key.
    pub fn default<T: FromValue>(&self, name: &str) -> Option<T> {
        let field = self.field(name)?;
        let Absent::Default(text) = field.default else { return None };
        T::from_value(&field.kind.of_default(text)?)
    }

    /// The items of a list.
    pub fn list<T: FromValue>(&self, name: &str) -> Vec<At<T>> {
        match self.written(name).map(|v| &v.value) {
            Some(Value::List(items)) => items
                .iter()
                .filter_map(|i| Some(At::new(T::from_value(&i.value)?, i.place.clone())))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// A table below this one.
    pub fn table(&self, name: &str) -> Option<&Self> {
        match self.written(name).map(|v| &v.value) {
            Some(Value::Table(record)) => Some(record),
            _ => None,
        }
    }

    /// The tables of an array.
    pub fn tables(&self, name: &str) -> Vec<&Self> {
        match self.written(name).map(|v| &v.value) {
            Some(Value::List(items)) => items
                .iter()
                .filter_map(|i| if let Value::Table(r) = &i.value { Some(r) } else { None })
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// The problem of a key that the section does not know.
pub fn unknown_key(section: &Section, key: &str, place: &Place) -> Problem {
    let names = || section.fields.iter().map(|f| f.name);
    let problem = Problem::new(
        place,
        format!("unknown key `{key}` in [{}]", section.name),
        format!("known are {}", words::list(names())),
    );
    match words::nearest(key, names()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem,
    }
}

fn missing_key(section: &Section, field: &Field, place: &Place) -> Problem {
    Problem::new(
        place,
        format!("[{}] lacks the key `{}`", section.name, field.name),
        format!("`{}` takes {}", field.name, field.kind.allowed()),
    )
    .help(field.help)
}

/// A type that a decoded value can be taken as.
pub trait FromValue: Sized {
    /// The value as this type, `None` if the field is of another kind.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($type:ty = $variant:ident),* $(,)?) => {
        $(impl FromValue for $type {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(v) => Some(v.clone()),
                    _ => None,
                }
            }
        })*
    };
}

from_value! {
    String = Text,
    bool = Bool,
    u64 = Integer,
    i64 = Signed,
    f64 = Number,
    Span = Span,
    QueueLimit = Queue,
    Dist = Dist,
    Load = Load,
    IpAddr = Address,
    Net = Net,
    Vec<IpAddr> = Addresses,
    (IpAddr, u16) = Endpoint,
    Mac = Mac,
    RouteConfig = Route,
    (String, IpAddr, Mac) = Neighbour,
    LinkEnd = LinkEnd,
    super::tree::Node = Any,
}

impl FromValue for u32 {
    fn from_value(value: &Value) -> Option<Self> {
        u64::from_value(value).and_then(|v| Self::try_from(v).ok())
    }
}

impl FromValue for i32 {
    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).and_then(|v| Self::try_from(v).ok())
    }
}

impl FromValue for u16 {
    fn from_value(value: &Value) -> Option<Self> {
        u64::from_value(value).and_then(|v| Self::try_from(v).ok())
    }
}

impl FromValue for u8 {
    fn from_value(value: &Value) -> Option<Self> {
        u64::from_value(value).and_then(|v| Self::try_from(v).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{field::Kind, sections, tree};
    use super::*;
    use crate::diagnostic::Sources;

    fn read(text: &str) -> (Record, Vec<Problem>) {
        let mut sources = Sources::default();
        let file = sources.add("a.toml", text);
        let (table, mut problems) = tree::parse(&sources, file);
        let place = Place::new(file, 0..0);
        (Record::read(&sections::LINK, &table, &place, &mut problems), problems)
    }

    #[test]
    fn every_problem_of_a_table_is_found_at_once() {
        let (_, problems) = read("ratte = \"1Gbit/s\"\nlatency = 5\nloss = \"200%\"\nup = 1\n");
        let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(problems.len(), 5, "{messages:?}");
        assert!(problems.iter().any(|p| p.help.as_deref() == Some("did you mean `rate`?")));
    }

    #[test]
    fn absent_keys_have_their_defaults() {
        let (record, problems) = read("between = [\"a:eth0\", \"sw\"]\n");
        assert_eq!(problems, []);
        assert!(record.value::<bool>("up"));
        assert_eq!(record.list::<LinkEnd>("between").len(), 2);
        assert!(!record.has("rate"));
    }

    #[test]
    fn every_default_in_the_tables_can_be_decoded() {
        fn check(section: &Section) {
            for field in section.fields {
                if let Absent::Default(text) = field.default {
                    assert!(
                        field.kind.of_default(text).is_some(),
                        "[{}] {}: {text}",
                        section.name,
                        field.name
                    );
                }
                if let Kind::Table(s) | Kind::Tables(s) = field.kind {
                    check(s);
                }
            }
        }
        check(&sections::SCENARIO);
    }
}
