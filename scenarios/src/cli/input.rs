//! What a NAME or FILE on the command line stands for.

use crate::catalogue::{CATALOGUE, Entry, find};
use crate::format::words::nearest;
use crate::model::{Embedded, Failure, Folder, Scenario, Settings, load, text};
use std::path::{Path, PathBuf};

/// A scenario to read.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Shipped(&'static Entry),
    File(PathBuf),
}

impl Input {
    /// A shipped scenario by its name, or else a file.
    pub(super) fn find(name: &str) -> Result<Self, Box<Failure>> {
        if let Some(entry) = find(name) {
            return Ok(Self::Shipped(entry));
        }
        let path = Path::new(name);
        if path.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        let near = nearest(name, CATALOGUE.iter().map(|e| e.name));
        let mut failure = Failure::nowhere(if path.is_dir() {
            format!("`{name}` is a folder; a scenario is a file")
        } else {
            format!("there is no scenario and no file `{name}`")
        });
        if let Some(problem) = failure.problems.first_mut() {
            problem.help = Some(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`lvsim list` shows the scenarios that ship".to_owned(),
            });
        }
        Err(failure)
    }

    /// How it is called in messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Shipped(entry) => entry.name.to_owned(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Reads it.
    pub(super) fn load(&self, settings: &Settings) -> Result<Scenario, Box<Failure>> {
        match self {
            Self::Shipped(e) => load(e.file(), e.text(), &Embedded(e.files), settings),
            Self::File(path) => {
                let shown = path.display().to_string();
                let folder = path.parent().map(Path::to_owned).unwrap_or_default();
                let text = read(path)?;
                load(&shown, &text, &Folder(folder), settings)
            }
        }
    }
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, Box<Failure>> {
    let shown = path.display();
    let wrong = |why: String| Failure::nowhere(format!("cannot read `{shown}`: {why}"));
    let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
    text(bytes).map_err(wrong)
}

/// The files of a folder, sorted.
pub(super) fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Box<Failure>> {
    let entries = std::fs::read_dir(folder)
        .map_err(|e| Failure::nowhere(format!("cannot read `{}`: {e}", folder.display())))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}
