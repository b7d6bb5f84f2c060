//! `lvsim list`, `lvsim show`, `lvsim schema`.

use super::input::Input;
use super::output::Output;
use super::{Answer, io};
use crate::catalogue::{CATALOGUE, Entry};
use crate::format::schema::{json_schema, reference_page};
use crate::format::words::list as words;
use crate::model::{Failure, Settings};
use serde_json::{Value, json};
use sim_core::net::topology::Topology;
use std::fmt::Write as _;
use std::path::Path;

pub(super) fn list(as_json: bool, out: &mut Output) -> io::Result<Answer> {
    let mut entries: Vec<Value> = Vec::new();
    let width = CATALOGUE.iter().map(|e| e.name.len()).max().unwrap_or(0);
    for entry in CATALOGUE {
        let scenario = match Input::Shipped(entry).load(&Settings::default()) {
            Ok(scenario) => scenario,
            Err(failure) => {
                out.failure(&failure)?;
                return Ok(Answer::Wrong);
            }
        };
        let variants: Vec<&str> = scenario.variants.iter().map(|v| v.name.as_str()).collect();
        if as_json {
            entries.push(json!({
                "name": scenario.name,
                "question": scenario.question,
                "description": scenario.description.trim(),
                "variants": variants,
                "files": entry.files.iter().map(|f| f.0).collect::<Vec<_>>(),
            }));
        } else {
            out.line(&format!("{:width$}  {}", scenario.name, scenario.question))?;
        }
    }
    if as_json {
        out.line(&format!("{:#}", Value::Array(entries)))?;
    }
    Ok(Answer::Good)
}

pub(super) fn show(
    name: &str,
    folder: Option<&Path>,
    dot: bool,
    variant: Option<&str>,
    out: &mut Output,
) -> io::Result<Answer> {
    let shown = match Input::find(name) {
        Ok(input) if dot => drawing(&input, variant),
        Ok(Input::Shipped(entry)) => match folder {
            Some(folder) => copy(entry, folder),
            None => Ok(text(entry)),
        },
        Ok(Input::File(path)) => {
            let path = path.display();
            Err(Failure::nowhere(format!(
                "`{path}` is a file already; `show` copies shipped scenarios"
            )))
        }
        Err(failure) => Err(failure),
    };
    match shown {
        Ok(text) => out.text(&text).map(|()| Answer::Good),
        Err(failure) => out.failure(&failure).map(|()| Answer::Wrong),
    }
}

/// The files one after another, those beside the scenario with their names.
fn text(entry: &Entry) -> String {
    let mut text = entry.text().to_owned();
    for (name, side) in entry.files.iter().skip(1) {
        let _infallible = write!(text, "\n# ---- {name}\n{side}");
    }
    text
}

fn copy(entry: &Entry, folder: &Path) -> Result<String, Box<Failure>> {
    let wrong =
        |e: io::Error| Failure::nowhere(format!("cannot write into `{}`: {e}", folder.display()));
    for (name, _) in entry.files {
        let path = folder.join(name);
        if path.exists() {
            let path = path.display();
            return Err(Failure::nowhere(format!("`{path}` is there and is not replaced")));
        }
    }
    std::fs::create_dir_all(folder).map_err(wrong)?;
    let mut said = String::new();
    for (name, text) in entry.files {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(wrong)?;
        let _infallible = writeln!(said, "{}", path.display());
    }
    Ok(said)
}

fn drawing(input: &Input, variant: Option<&str>) -> Result<String, Box<Failure>> {
    let scenario = input.load(&Settings::default())?;
    let wanted = |name: &str| variant.is_none_or(|v| v == name);
    if let Some(variant) = scenario.variants.iter().find(|v| wanted(&v.name)) {
        Ok(Topology::new(&variant.config).to_dot())
    } else {
        let known = words(scenario.variants.iter().map(|v| v.name.as_str()));
        let name = variant.unwrap_or_default();
        Err(Failure::nowhere(format!("there is no variant `{name}`; known are {known}")))
    }
}

pub(super) fn schema(reference: bool, out: &mut Output) -> io::Result<Answer> {
    let text = if reference { reference_page() } else { format!("{:#}\n", json_schema()) };
    out.text(&text).map(|()| Answer::Good)
}
