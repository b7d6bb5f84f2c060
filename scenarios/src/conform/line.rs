//! One JSON line with the places of its fields.

use crate::diagnostic::{FileId, Place, Problem};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;

/// A JSON object that stands in one line of a text.
#[derive(Debug)]
pub(super) struct Line<'a> {
    file: FileId,
    text: &'a str,
    span: Range<usize>,
    fields: BTreeMap<String, &'a RawValue>,
}

/// A value with its place.
type Piece = (Value, Place);

impl<'a> Line<'a> {
    /// Reads the object at `span` of `text`.
    pub(super) fn parse(file: FileId, text: &'a str, span: Range<usize>) -> Result<Self, Problem> {
        match serde_json::from_str(&text[span.clone()]) {
            Ok(fields) => Ok(Self { file, text, span, fields }),
            Err(e) => {
                let at = (span.start + e.column().saturating_sub(1)).min(span.end);
                let said = e.to_string();
                let said = said.split(" at line ").next().unwrap_or_default();
                let place = Place::new(file, at..(at + 1).min(span.end).max(at));
                Err(Problem::new(&place, "the line is no JSON object", said))
            }
        }
    }

    /// Whether the field is there, even as `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// The value of a field; `null` if there is none.
    pub(super) fn value(&self, name: &str) -> Value {
        self.fields.get(name).map_or(Value::Null, |raw| parsed(raw))
    }

    /// Where the value of a field stands; the start of the line if there is none.
    pub(super) fn place(&self, name: &str) -> Place {
        match self.fields.get(name) {
            Some(raw) => self.place_of(raw.get()),
            None => Place::new(self.file, self.span.start..self.span.start + 1),
        }
    }

    fn place_of(&self, part: &str) -> Place {
        let start = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        Place::new(self.file, start..start + part.len())
    }

    /// What `read` makes of a field; `allowed` says what it takes.
    pub(super) fn need<T>(
        &self,
        name: &str,
        allowed: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, Problem> {
        if !self.has(name) {
            return Err(Problem::new(
                &self.place(name),
                format!("the line has no `{name}`"),
                format!("`{name}` is {allowed}"),
            ));
        }
        let value = self.value(name);
        read(&value).ok_or_else(|| wrong(name, &value, &self.place(name), allowed))
    }

    /// As [`Line::need`]; `None` if the field is absent or `null`.
    pub(super) fn maybe<T>(
        &self,
        name: &str,
        allowed: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        if self.value(name).is_null() { Ok(None) } else { self.need(name, allowed, read).map(Some) }
    }

    /// A text.
    pub(super) fn word(&self, name: &str) -> Result<String, Problem> {
        self.need(name, "a text", |v| v.as_str().map(str::to_owned))
    }

    /// A whole number that fits.
    pub(super) fn number<T: TryFrom<u64>>(&self, name: &str) -> Result<T, Problem> {
        self.need(name, "a whole number", number)
    }

    /// An address with its port.
    pub(super) fn address(&self, name: &str) -> Result<SocketAddr, Problem> {
        self.need(name, ADDRESS, address)
    }

    /// The elements of an array.
    pub(super) fn elements(&self, name: &str) -> Result<Vec<Piece>, Problem> {
        self.need(name, "an array", |v| v.is_array().then_some(()))?;
        let raw = self.fields.get(name).map_or("[]", |raw| raw.get());
        let elements: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
        Ok(elements.iter().map(|e| (parsed(e), self.place_of(e.get()))).collect())
    }
}

/// What an address looks like.
pub(super) const ADDRESS: &str = "an address with a port, 10.0.0.1:80 or [fd00::1]:80";

fn parsed(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or(Value::Null)
}

/// A field that is not what it should be.
pub(super) fn wrong(name: &str, value: &Value, place: &Place, allowed: &str) -> Problem {
    let mut shown = value.to_string();
    if shown.chars().count() > 60 {
        shown = shown.chars().take(57).chain("...".chars()).collect();
    }
    Problem::new(place, format!("`{name}` is {shown}"), format!("must be {allowed}"))
}

/// A whole number that fits.
pub(super) fn number<T: TryFrom<u64>>(value: &Value) -> Option<T> {
    value.as_u64().and_then(|n| T::try_from(n).ok())
}

/// An address with its port.
pub(super) fn address(value: &Value) -> Option<SocketAddr> {
    value.as_str().and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "{\"op\":\"x\"}\n{\"op\": \"state\", \"rows\": [1, [\"a\", 2]], \"to\":null}\n";

    fn second() -> Line<'static> {
        Line::parse(FileId::default(), TEXT, 11..TEXT.len() - 1).unwrap()
    }

    #[test]
    fn a_field_knows_its_place_in_the_text() {
        let line = second();
        assert_eq!(&TEXT[line.place("op").span], "\"state\"");
        let places: Vec<&str> =
            line.elements("rows").unwrap().into_iter().map(|(_, p)| &TEXT[p.span]).collect();
        assert_eq!(places, ["1", "[\"a\", 2]"]);
        assert_eq!(line.place("absent").span, 11..12);
    }

    #[test]
    fn null_is_there_and_nothing() {
        let line = second();
        assert!(line.has("to") && !line.has("from"));
        assert_eq!(line.maybe("to", ADDRESS, address), Ok(None));
        assert_eq!(line.maybe("from", ADDRESS, address), Ok(None));
        assert!(line.address("to").is_err());
    }

    #[test]
    fn a_wrong_value_is_shown_with_what_is_allowed() {
        let problem = second().number::<u8>("op").unwrap_err();
        assert_eq!(problem.message, "`op` is \"state\"");
        assert_eq!(problem.label, "must be a whole number");
        let missing = second().word("who").unwrap_err();
        assert_eq!(missing.message, "the line has no `who`");
        let text = format!("{{\"op\":[\"{}\"]}}", "x".repeat(80));
        let long = Line::parse(FileId::default(), &text, 0..text.len()).unwrap();
        let shown = long.word("op").unwrap_err().message;
        assert!(shown.ends_with("...") && shown.len() < 80, "{shown}");
    }

    #[test]
    fn broken_json_is_shown_where_it_breaks() {
        let text = "{\"op\":\"syn\",,}";
        let problem = Line::parse(FileId::default(), text, 0..text.len()).unwrap_err();
        assert_eq!(problem.place.unwrap().span, 12..13);
        for text in ["", "[]", "7", "{\"op\":\"syn\"", "{\"a\":1}}"] {
            let problem = Line::parse(FileId::default(), text, 0..text.len()).unwrap_err();
            assert_eq!(problem.message, "the line is no JSON object", "{text}");
            assert!(problem.place.unwrap().span.end <= text.len());
        }
    }
}
