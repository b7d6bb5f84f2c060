//! Where the files that a scenario names come from.

use std::path::PathBuf;

/// A place with files.
pub trait Files {
    /// The text of a file, by the name the scenario uses.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, name: &str) -> Result<String, String>;

    /// The names of the files and folders in a folder, in no order; none if there is no such folder.
    fn names(&self, folder: &str) -> Vec<String>;
}

/// A folder; names are relative to it.
#[derive(Clone, Debug)]
pub struct Folder(pub PathBuf);

impl Files for Folder {
    fn read(&self, name: &str) -> Result<String, String> {
        let path = self.0.join(name);
        let bytes = std::fs::read(&path).map_err(|e| e.to_string())?;
        text(bytes)
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.0.join(folder).join(".")) else {
            return Vec::new();
        };
        entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect()
    }
}

/// The text of a file, without the byte order mark that some editors put in front.
///
/// # Errors
/// It is not UTF-8.
pub fn text(bytes: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}

/// Files that are a part of the program: name and text.
#[derive(Clone, Copy, Debug)]
pub struct Embedded(pub &'static [(&'static str, &'static str)]);

impl Files for Embedded {
    fn read(&self, name: &str) -> Result<String, String> {
        let found = self.0.iter().find(|(n, _)| *n == name);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| "there is no such file".to_owned())
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let below = self.0.iter().filter_map(|(name, _)| match folder {
            "" => Some(*name),
            folder => name.strip_prefix(folder)?.strip_prefix('/'),
        });
        let mut names: Vec<String> =
            below.map(|n| n.split('/').next().unwrap_or(n).to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }
}
