//! Fields: name, kind, default and one line of help. One table per section drives reading, the
//! messages, the JSON Schema and the reference page.

use super::distribution::{self, Quantity};
use super::tree::{Node, Raw};
use super::units::{self, Allowed};
use super::{record::Record, words};
use crate::diagnostic::{At, Place, Problem};
use core::net::IpAddr;
use sim_core::config::{LinkEnd, Load, Net, QueueLimit, RouteConfig};
use sim_core::engine::{Dist, Span};
use sim_core::wire::Mac;

/// A table of a scenario file.
#[derive(Debug)]
pub struct Section {
    /// Name in the reference: `link`.
    pub name: &'static str,
    /// What it describes, one sentence.
    pub help: &'static str,
    /// Its keys.
    pub fields: &'static [Field],
}

/// A key of a table.
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What an absent key means.
    pub default: Absent,
    /// One line of help.
    pub help: &'static str,
}

/// What an absent key means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absent {
    /// The key must be there.
    Required,
    /// The value that this text stands for.
    Default(&'static str),
    /// What this sentence says.
    Means(&'static str),
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number in a range.
    Integer(u64, u64),
    /// A whole number in a range, which may be below zero.
    Signed(i64, i64),
    /// A time.
    Span,
    /// Bits per second.
    Rate,
    /// Bytes.
    Size,
    /// A probability, 0 to 1.
    Share,
    /// A drop-tail limit.
    Queue,
    /// A distribution.
    Dist(Quantity),
    /// When connections start.
    Load,
    /// An IP address.
    Address,
    /// An address with a prefix length.
    InterfaceAddress,
    /// One or many addresses.
    Addresses,
    /// A block of addresses.
    Prefix,
    /// An address and a port.
    Endpoint,
    /// An Ethernet address.
    Mac,
    /// A route.
    Route,
    /// A static neighbour.
    Neighbour,
    /// An end of a link.
    LinkEnd,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list; a single value counts as a list of one.
    List(&'static Self),
    /// A table.
    Table(&'static Section),
    /// An array of tables; a single table counts as an array of one.
    Tables(&'static Section),
    /// Anything; whoever asks for it decodes it.
    Any,
}

/// A decoded value.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the kinds say what they are")]
pub enum Value {
    Text(String),
    Bool(bool),
    Integer(u64),
    Signed(i64),
    Number(f64),
    Span(Span),
    Queue(QueueLimit),
    Dist(Dist),
    Load(Load),
    Address(IpAddr),
    Net(Net),
    Addresses(Vec<IpAddr>),
    Endpoint((IpAddr, u16)),
    Mac(Mac),
    Route(RouteConfig),
    Neighbour((String, IpAddr, Mac)),
    LinkEnd(LinkEnd),
    List(Vec<At<Self>>),
    Table(Record),
    Any(Node),
}

impl Kind {
    /// What the kind takes, for messages.
    pub fn allowed(self) -> String {
        match self {
            Self::Text => "a text in quotes".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Integer(low, u64::MAX) => format!("a whole number from {low}"),
            Self::Integer(low, high) => format!("a whole number from {low} to {high}"),
            Self::Signed(low, high) => format!("a whole number from {low} to {high}"),
            Self::Span => units::SPAN.to_owned(),
            Self::Rate => units::RATE.to_owned(),
            Self::Size => units::SIZE.to_owned(),
            Self::Share => units::SHARE.to_owned(),
            Self::Queue => units::QUEUE.to_owned(),
            Self::Dist(quantity) => distribution::allowed(quantity),
            Self::Load => distribution::LOAD.to_owned(),
            Self::Address => "an IP address such as \"192.168.10.11\"".to_owned(),
            Self::InterfaceAddress => "an address such as \"192.168.10.11/24\"".to_owned(),
            Self::Addresses => {
                "\"10.0.0.10\", \"10.0.0.10-10.0.0.99\" or \"10.0.0.0/24\"".to_owned()
            }
            Self::Prefix => "a block such as \"192.168.10.0/24\"".to_owned(),
            Self::Endpoint => "an address and a port such as \"192.168.10.200:80\"".to_owned(),
            Self::Mac => "an Ethernet address such as \"02:00:00:00:0a:64\"".to_owned(),
            Self::Route => units::ROUTE.to_owned(),
            Self::Neighbour => "\"INTERFACE ADDRESS ETHERNET-ADDRESS\"".to_owned(),
            Self::LinkEnd => "\"HOST:INTERFACE\", or the name of a switch".to_owned(),
            Self::OneOf(names) => format!("one of {}", words::list(names.iter().copied())),
            Self::List(inner) => format!("a list of: {}", inner.allowed()),
            Self::Table(section) => format!("a table [{}]", section.name),
            Self::Tables(section) => format!("tables [[{}]]", section.name),
            Self::Any => "any value".to_owned(),
        }
    }

    /// Decodes a value; what is wrong goes to `problems`.
    pub(super) fn decode(self, node: &Node, problems: &mut Vec<Problem>) -> Option<Value> {
        match (self, &node.value) {
            (Self::Any, _) => Some(Value::Any(node.clone())),
            (Self::List(inner), Raw::List(list)) => {
                let items: Vec<_> = list
                    .iter()
                    .map(|n| inner.decode(n, problems).map(|v| At::new(v, n.place.clone())))
                    .collect();
                items.into_iter().collect::<Option<Vec<_>>>().map(Value::List)
            }
            (Self::List(inner), _) => inner
                .decode(node, problems)
                .map(|v| Value::List(vec![At::new(v, node.place.clone())])),
            (Self::Table(section), Raw::Table(table)) => {
                Some(Value::Table(Record::read(section, table, &node.place, problems)))
            }
            (Self::Tables(section), Raw::List(list)) => {
                let items = list.iter().filter_map(|n| {
                    let item = Self::Table(section).decode(n, problems)?;
                    Some(At::new(item, n.place.clone()))
                });
                Some(Value::List(items.collect()))
            }
            (Self::Tables(section), Raw::Table(_)) => Self::Table(section)
                .decode(node, problems)
                .map(|v| Value::List(vec![At::new(v, node.place.clone())])),
            _ => match self.leaf(&node.value) {
                Ok(value) => Some(value),
                Err(allowed) => {
                    let found = node.value.describe();
                    problems.push(
                        Problem::new(&node.place, format!("{found} is not right here"), "")
                            .labelled(format!("expected {allowed}")),
                    );
                    None
                }
            },
        }
    }

    /// Decodes a value that has no parts.
    fn leaf(self, raw: &Raw) -> Result<Value, Allowed> {
        match (self, raw) {
            (Self::Bool, Raw::Bool(b)) => Ok(Value::Bool(*b)),
            (Self::Integer(low, high), Raw::Integer(i)) => u64::try_from(*i)
                .ok()
                .filter(|i| (low..=high).contains(i))
                .map(Value::Integer)
                .ok_or_else(|| self.allowed()),
            (Self::Signed(low, high), Raw::Integer(i)) if (low..=high).contains(i) => {
                Ok(Value::Signed(*i))
            }
            (Self::Share, Raw::Integer(i)) => units::share(&i.to_string()).map(Value::Number),
            (Self::Share, Raw::Float(f)) => units::share(&f.to_string()).map(Value::Number),
            (Self::Dist(Quantity::Count), Raw::Integer(i)) => self.leaf(&Raw::Text(i.to_string())),
            (Self::Dist(Quantity::Count), Raw::Float(f)) => self.leaf(&Raw::Text(f.to_string())),
            (Self::Dist(quantity), Raw::Table(_)) => empirical(raw, quantity),
            (_, Raw::Text(text)) => self.text(text),
            (
                Self::Span | Self::Rate | Self::Size | Self::Dist(_),
                Raw::Integer(_) | Raw::Float(_),
            ) => Err(format!("{}; the unit is missing", self.allowed())),
            _ => Err(self.allowed()),
        }
    }

    fn text(self, text: &str) -> Result<Value, Allowed> {
        match self {
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Span => units::span(text).map(Value::Span),
            Self::Rate => units::rate(text).map(Value::Integer),
            Self::Size => units::bytes(text).map(|b| Value::Integer((b + 0.5) as u64)),
            Self::Share => units::share(text).map(Value::Number),
            Self::Queue => units::queue(text).map(Value::Queue),
            Self::Dist(quantity) => distribution::dist(text, quantity).map(Value::Dist),
            Self::Load => distribution::load(text).map(Value::Load),
            Self::Address => units::address(text).map(Value::Address),
            Self::InterfaceAddress => units::interface_address(text).map(Value::Net),
            Self::Addresses => units::address_range(text).map(Value::Addresses),
            Self::Prefix => units::prefix(text).map(Value::Net),
            Self::Endpoint => units::endpoint(text).map(Value::Endpoint),
            Self::Mac => units::mac(text).map(Value::Mac),
            Self::Route => units::route(text).map(Value::Route),
            Self::Neighbour => units::neighbour(text).map(Value::Neighbour),
            Self::LinkEnd => units::link_end(text).map(Value::LinkEnd),
            Self::OneOf(names) if names.contains(&text) => Ok(Value::Text(text.to_owned())),
            Self::OneOf(names) => {
                let near = words::nearest(text, names.iter().copied());
                let hint = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
                Err(format!("{}{hint}", self.allowed()))
            }
            _ => Err(self.allowed()),
        }
    }

    /// The value a default text stands for.
    pub(super) fn of_default(self, text: &str) -> Option<Value> {
        match self {
            Self::Bool => text.parse().ok().map(Value::Bool),
            Self::Integer(..) => text.parse().ok().map(Value::Integer),
            Self::List(_) if text.is_empty() => Some(Value::List(Vec::new())),
            // one value stands for a list of it
            Self::List(inner) => {
                let value = inner.of_default(text)?;
                Some(Value::List(vec![At::new(value, Place::default())]))
            }
            _ => self.text(text).ok(),
        }
    }
}

impl Problem {
    /// Replaces the text at the caret.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }
}

/// `{ empirical = [["1KiB", 0.5], ["10KiB", 0.5]] }`
fn empirical(raw: &Raw, quantity: Quantity) -> Result<Value, Allowed> {
    let wrong = || {
        format!("{{ empirical = [[\"{}\", 0.5], ...] }}: values with weights", quantity.example())
    };
    let Raw::Table(table) = raw else { return Err(wrong()) };
    let [entry] = &table.entries[..] else { return Err(wrong()) };
    let ("empirical", Raw::List(list)) = (entry.key.as_str(), &entry.node.value) else {
        return Err(wrong());
    };
    let mut points = Vec::new();
    for item in list {
        let Raw::List(pair) = &item.value else { return Err(wrong()) };
        let [value, weight] = &pair[..] else { return Err(wrong()) };
        let Ok(Value::Dist(Dist::Constant(v))) = Kind::Dist(quantity).leaf(&value.value) else {
            return Err(wrong());
        };
        let weight = match weight.value {
            Raw::Integer(i) => i as f64,
            Raw::Float(f) => f,
            _ => return Err(wrong()),
        };
        points.push((v, weight));
    }
    distribution::empirical(points).map(Value::Dist)
}
