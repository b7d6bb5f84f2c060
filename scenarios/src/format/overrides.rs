//! Variants and `--set`: a key of the scenario replaced by its path.

use super::field::{Kind, Section};
use super::sections::SCENARIO;
use super::tree::{Entry, Node, Raw, Table};
use super::words;
use crate::diagnostic::{Place, Problem};

/// Puts `value` at `path` (keys with dots) into `root`.
///
/// Tables are merged key by key, everything else is replaced. Below an array of tables (`host`,
/// `client`, ...) the next key is the `name` or `host` of one of them or its number from 0; it may
/// be left out if the array has one table.
///
/// # Errors
/// The path names no table of an array.
pub fn apply(root: &mut Table, path: &str, at: &Place, value: &Node) -> Result<(), Problem> {
    let keys: Vec<&str> = path.split('.').map(str::trim).collect();
    if keys.iter().any(|k| k.is_empty()) {
        let problem = Problem::new(at, format!("`{path}` is not a path"), "expected KEY.KEY");
        return Err(problem);
    }
    put(root, Some(&SCENARIO), &keys, at, value)
}

fn put(
    table: &mut Table,
    section: Option<&'static Section>,
    keys: &[&str],
    at: &Place,
    value: &Node,
) -> Result<(), Problem> {
    let Some((key, rest)) = keys.split_first() else {
        return merge_table(table, section, value, at);
    };
    let kind = section.and_then(|s| s.fields.iter().find(|f| f.name == *key)).map(|f| f.kind);
    let below = match kind {
        Some(Kind::Table(s) | Kind::Tables(s)) => Some(s),
        _ => None,
    };
    let merged = matches!(value.value, Raw::Table(_)) && below.is_some();
    if rest.is_empty() && !merged {
        set(table, key, at, value.clone());
        return Ok(());
    }
    if table.get(key).is_none_or(|n| !matches!(n.value, Raw::Table(_) | Raw::List(_))) {
        set(table, key, at, Node { value: Raw::Table(Table::default()), place: at.clone() });
    }
    let Some(node) = table.get_mut(key) else { return Ok(()) };
    match &mut node.value {
        Raw::Table(inner) => put(inner, below, rest, at, value),
        Raw::List(items) => put_into_list(items, key, below, rest, at, value),
        _ => Ok(()),
    }
}

fn merge_table(
    table: &mut Table,
    section: Option<&'static Section>,
    value: &Node,
    at: &Place,
) -> Result<(), Problem> {
    let Raw::Table(new) = &value.value else {
        return Err(Problem::new(at, "a table is set to a value", "expected a table"));
    };
    for entry in &new.entries {
        put(table, section, &[&entry.key], &entry.place, &entry.node)?;
    }
    Ok(())
}

fn put_into_list(
    items: &mut [Node],
    name: &str,
    section: Option<&'static Section>,
    keys: &[&str],
    at: &Place,
    value: &Node,
) -> Result<(), Problem> {
    // a table given for an array: its keys are names, or fields of the only item
    if keys.is_empty() {
        let Raw::Table(new) = &value.value else { return Ok(()) };
        return new
            .entries
            .iter()
            .try_for_each(|e| put_into_list(items, name, section, &[&e.key], &e.place, &e.node));
    }
    let single = items.len() == 1;
    let found = items.iter().position(|i| label(i) == Some(keys[0]));
    let found = found.or_else(|| keys[0].parse().ok().filter(|n| *n < items.len()));
    let (index, rest) = match found {
        Some(index) => (index, &keys[1..]),
        None if single => (0, keys),
        None => {
            let names: Vec<&str> = items.iter().filter_map(label).collect();
            let known = if items.is_empty() {
                "there are none".to_owned()
            } else {
                format!("known are {} or a number below {}", words::list(names), items.len())
            };
            let message = format!("`{name}.{}` names none of the [[{name}]] tables", keys[0]);
            return Err(Problem::new(at, message, known));
        }
    };
    match &mut items[index].value {
        Raw::Table(inner) => put(inner, section, rest, at, value),
        _ => Ok(()),
    }
}

/// What a table of an array is called.
fn label(node: &Node) -> Option<&str> {
    let Raw::Table(table) = &node.value else { return None };
    ["name", "host"].iter().find_map(|key| match table.get(key).map(|n| &n.value) {
        Some(Raw::Text(t)) => Some(t.as_str()),
        _ => None,
    })
}

fn set(table: &mut Table, key: &str, at: &Place, node: Node) {
    match table.get_mut(key) {
        Some(old) => *old = node,
        None => table.entries.push(Entry { key: key.to_owned(), place: at.clone(), node }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{parse, parse_setting};
    use super::*;
    use crate::diagnostic::Sources;

    fn with(text: &str, setting: &str) -> Result<Table, Problem> {
        let mut sources = Sources::default();
        let file = sources.add("a.toml", text);
        let (mut table, problems) = parse(&sources, file);
        assert_eq!(problems, []);
        let (path, node) = parse_setting(setting, &mut sources)?;
        apply(&mut table, &path, &node.place.clone(), &node)?;
        Ok(table)
    }

    fn value<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Raw> {
        let node = table.get(path[0])?;
        match (&node.value, path.len()) {
            (raw, 1) => Some(raw),
            (Raw::Table(t), _) => value(t, &path[1..]),
            (Raw::List(l), _) => match &l.get(path[1].parse::<usize>().ok()?)?.value {
                Raw::Table(t) => value(t, &path[2..]),
                _ => None,
            },
            _ => None,
        }
    }

    #[test]
    fn a_key_is_replaced_and_its_neighbours_stay() {
        let t = with(
            "[cluster.real_servers]\ncount = 2\nname = \"x\"\n",
            "cluster.real_servers.count=4",
        )
        .unwrap();
        assert_eq!(value(&t, &["cluster", "real_servers", "count"]), Some(&Raw::Integer(4)));
        assert!(value(&t, &["cluster", "real_servers", "name"]).is_some());
    }

    #[test]
    fn tables_on_the_way_are_made() {
        let t = with("", "network.rate=1Mbit/s").unwrap();
        assert_eq!(value(&t, &["network", "rate"]), Some(&Raw::Text("1Mbit/s".into())));
    }

    #[test]
    fn a_table_of_an_array_is_found_by_its_name_or_number_or_because_it_is_alone() {
        let two = "[[host]]\nname = \"a\"\n[[host]]\nname = \"b\"\n";
        let t = with(two, "host.b.sysctl.arp_ignore=1").unwrap();
        assert_eq!(value(&t, &["host", "1", "sysctl", "arp_ignore"]), Some(&Raw::Integer(1)));
        assert!(with(two, "host.0.count=3").is_ok());
        assert!(with(two, "host.c.count=3").is_err_and(|p| p.label.contains("a, b")));
        let t = with("[[client]]\nload = \"x\"\n", "client.load=y").unwrap();
        assert_eq!(value(&t, &["client", "0", "load"]), Some(&Raw::Text("y".into())));
    }

    #[test]
    fn a_table_is_merged_into_a_table() {
        let t = with("[network]\nrate = \"1Gbit/s\"\n", "network={ loss = 0.5 }").unwrap();
        assert_eq!(value(&t, &["network", "loss"]), Some(&Raw::Float(0.5)));
        assert!(value(&t, &["network", "rate"]).is_some());
    }
}
