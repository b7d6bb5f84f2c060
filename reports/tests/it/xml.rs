//! A small check that a document is well-formed XML, for the subset that plots use.

/// Checks elements, attributes and entities; gives the text between tags, decoded.
pub(crate) fn check(document: &str) -> Result<Vec<String>, String> {
    let mut open: Vec<&str> = Vec::new();
    let mut words = Vec::new();
    let mut rest = document;
    let mut roots = 0;
    while let Some((text, after)) = rest.split_once('<') {
        let text = decode(text.trim())?;
        if !text.is_empty() {
            if open.is_empty() {
                return Err(format!("text outside of the root: {text}"));
            }
            words.push(text);
        }
        let (tag, after) = after.split_once('>').ok_or("a tag does not end")?;
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            let expected = open.pop();
            if expected != Some(name) {
                return Err(format!("</{name}> ends {expected:?}"));
            }
            continue;
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("bad element name: {name}"));
        }
        check_attributes(attributes)?;
        roots += usize::from(open.is_empty());
        if !empty {
            open.push(name);
        }
    }
    match (open.last(), roots, rest.trim()) {
        (None, 1, "") => Ok(words),
        _ => Err(format!("open at the end: {open:?}, {roots} roots, then: {rest}")),
    }
}

fn check_attributes(text: &str) -> Result<(), String> {
    let mut rest = text.trim();
    let mut names = Vec::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or(format!("no value: {rest}"))?;
        let (value, after) = after.split_once('"').ok_or(format!("no end: {rest}"))?;
        if names.contains(&name) || name.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        {
            return Err(format!("bad or repeated attribute: {name}"));
        }
        names.push(name);
        decode(value)?;
        rest = after.trim_start();
    }
    Ok(())
}

fn decode(text: &str) -> Result<String, String> {
    if let Some(bad) = text.chars().find(|c| c.is_control() && *c != '\n' || *c == '>') {
        return Err(format!("forbidden character {bad:?} in {text:?}"));
    }
    let mut out = String::new();
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or(""));
    for part in parts {
        let (entity, after) = part.split_once(';').ok_or(format!("bare & before {part}"))?;
        out.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            other => return Err(format!("unknown entity &{other};")),
        });
        out.push_str(after);
    }
    Ok(out)
}

#[test]
fn the_check_finds_what_is_wrong() {
    assert_eq!(check("<a b=\"1\"><c/>x &lt; y</a>"), Ok(vec!["x < y".to_owned()]));
    for bad in [
        "<a>",
        "<a></b>",
        "<a b=1/>",
        "<a>&</a>",
        "<a>&nbsp;</a>",
        "<a/><a/>",
        "<a b=\"\" b=\"\"/>",
    ] {
        assert!(check(bad).is_err(), "{bad}");
    }
}
