//! `lvsim import`.

use super::input::{files_in, read};
use super::output::Output;
use super::{Answer, io};
use crate::import::scenario::{Imported, Input, Kind, import as make};
use crate::model::{Failure, Folder, Settings, load};
use std::path::{Path, PathBuf};

pub(super) fn import(
    paths: &[PathBuf],
    folder: Option<&Path>,
    out: &mut Output,
) -> io::Result<Answer> {
    match imported(paths) {
        Ok(all) => {
            let folder = folder.map_or_else(|| PathBuf::from(&all.name), Path::to_owned);
            match write(&all, &folder) {
                Ok(scenario) => tell(&all, &scenario, out),
                Err(failure) => out.failure(&failure).map(|()| Answer::Wrong),
            }
        }
        Err(failure) => out.failure(&failure).map(|()| Answer::Wrong),
    }
}

fn imported(paths: &[PathBuf]) -> Result<Imported, Box<Failure>> {
    let mut texts = Vec::new();
    for path in paths {
        for (path, text) in files_at(path)? {
            let parent = path.parent().map(Path::to_owned).unwrap_or_default();
            let name =
                path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let shown = parent.to_string_lossy().into_owned();
            texts.push((name, shown, text, Folder(parent)));
        }
    }
    let inputs: Vec<Input<'_>> = texts
        .iter()
        .map(|(name, folder, text, files)| Input { name, folder, text, files })
        .collect();
    make(&inputs)
}

/// A file, or those of a folder that are of a director.
fn files_at(path: &Path) -> Result<Vec<(PathBuf, String)>, Box<Failure>> {
    if !path.is_dir() {
        return Ok(vec![(path.to_owned(), read(path)?)]);
    }
    let mut found: Vec<(PathBuf, String)> = files_in(path)?
        .into_iter()
        .filter_map(|file| read(&file).ok().map(|text| (file, text)))
        .filter(|(file, text)| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            Kind::of(&name, text).is_some()
        })
        .collect();
    if found.is_empty() {
        let message = format!("no file in `{}` is of a director", path.display());
        let mut failure = Failure::nowhere(message);
        if let Some(problem) = failure.problems.first_mut() {
            let help = "expected a keepalived.conf, rules of ipvsadm, or the files of heartbeat";
            problem.help = Some(help.to_owned());
        }
        return Err(failure);
    }
    found.sort();
    Ok(found)
}

/// Writes the scenario and its files into a folder, over nothing.
fn write(all: &Imported, folder: &Path) -> Result<PathBuf, Box<Failure>> {
    let name = format!("{}.toml", all.name);
    let mut files: Vec<(&str, &str)> = vec![(&name, &all.scenario)];
    files.extend(all.files.iter().map(|(n, t)| (n.as_str(), t.as_str())));
    if let Some((there, _)) = files.iter().find(|(n, _)| folder.join(n).exists()) {
        let message = format!("`{}` is there already", folder.join(there).display());
        let mut failure = Failure::nowhere(message);
        if let Some(problem) = failure.problems.first_mut() {
            problem.help = Some("`--out DIR` names another folder".to_owned());
        }
        return Err(failure);
    }
    for (name, text) in files {
        let path = folder.join(name);
        let wrong =
            |e: io::Error| Failure::nowhere(format!("cannot write `{}`: {e}", path.display()));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(wrong)?;
        }
        std::fs::write(&path, text).map_err(wrong)?;
    }
    Ok(folder.join(name))
}

/// What was made, and whether it can be read.
fn tell(all: &Imported, path: &Path, out: &mut Output) -> io::Result<Answer> {
    let shown = path.display().to_string();
    let folder = Folder(path.parent().map(Path::to_owned).unwrap_or_default());
    match load(&shown, &all.scenario, &folder, &Settings::default()) {
        Ok(scenario) => {
            let config = scenario.variants.first().map(|v| &v.config);
            let hosts = config.map_or(0, |c| c.hosts.len());
            let guesses = all.guesses.len();
            out.line(&format!("{shown}: {hosts} hosts, {guesses} guesses (comments in it)"))?;
            for guess in &all.guesses {
                out.line(&format!("  guess: {guess}"))?;
            }
            out.line(&format!("next: lvsim check {shown} && lvsim run {shown}"))?;
            Ok(Answer::Good)
        }
        Err(failure) => {
            out.line(&format!("{shown}: written, and to be put right:"))?;
            out.failure(&failure).map(|()| Answer::No)
        }
    }
}
