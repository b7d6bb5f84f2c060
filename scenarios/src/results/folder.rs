//! A folder that is written aside and renamed when it is complete.

use crate::study::Captures;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// The file that tells a results folder from any other one.
pub const MANIFEST: &str = "manifest.json";
/// What the manifest calls the program that wrote it.
pub const PROGRAM: &str = "lvsim";

/// A results folder on its way. Dropped before [`Folder::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Folder {
    target: PathBuf,
    partial: PathBuf,
    done: bool,
}

impl Folder {
    /// Starts a folder that will be at `target`.
    ///
    /// # Errors
    /// Something other than results is there, or it cannot be written: a sentence that says so.
    pub fn start(target: &Path) -> Result<Self, String> {
        check_target(target)?;
        let name = target
            .file_name()
            .ok_or_else(|| format!("`{}` is no name for a folder", target.display()))?
            .to_string_lossy();
        let prefix = format!(".{name}.partial-");
        let partial = target.with_file_name(format!("{prefix}{}", std::process::id()));
        let wrong = |e: io::Error| format!("cannot write `{}`: {e}", target.display());
        remove_abandoned(&partial, &prefix);
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(wrong)?;
        }
        fs::create_dir_all(&partial).map_err(wrong)?;
        Ok(Self { target: target.to_owned(), partial, done: false })
    }

    /// Creates a file in it, with the folders on the way.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn create(&self, name: &str) -> io::Result<BufWriter<File>> {
        let path = self.partial.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        File::create(path).map(BufWriter::new)
    }

    /// Puts the folder in its place. Results of an earlier run there are replaced.
    ///
    /// # Errors
    /// What the file system reports.
    pub fn finish(mut self) -> Result<(), String> {
        let wrong = |e: io::Error| format!("cannot write `{}`: {e}", self.target.display());
        check_target(&self.target)?;
        if self.target.exists() {
            fs::remove_dir_all(&self.target).map_err(wrong)?;
        }
        fs::rename(&self.partial, &self.target).map_err(wrong)?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.done {
            // an error here has no one to go to; the folder's name says what it is
            let _left_behind = fs::remove_dir_all(&self.partial);
        }
    }
}

impl Captures for Folder {
    fn append(&self, variant: &str, name: &str, bytes: &[u8]) -> Result<(), String> {
        let folder = self.partial.join("captures").join(variant);
        let write = || -> io::Result<()> {
            fs::create_dir_all(&folder)?;
            let path = folder.join(format!("{name}.pcapng"));
            OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)
        };
        write().map_err(|e| e.to_string())
    }
}

/// Removes what runs into the same folder left behind that were killed, where the system tells
/// which processes there are.
fn remove_abandoned(partial: &Path, prefix: &str) {
    let beside = partial.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let processes = Path::new("/proc");
    let Ok(entries) = fs::read_dir(beside) else { return };
    if !processes.join("self").exists() {
        return;
    }
    for entry in entries.flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|n| n.strip_prefix(prefix)?.parse::<u32>().ok());
        if id.is_some_and(|id| !processes.join(id.to_string()).exists()) {
            // what cannot be removed is in nobody's way
            let _left = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether the manifest is one of this program; other programs have files of this name too.
fn holds_results(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join(MANIFEST)).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    manifest["program"] == PROGRAM
}

/// Only a folder that holds results may be replaced.
fn check_target(target: &Path) -> Result<(), String> {
    let shown = target.display();
    if target.is_dir() && !holds_results(target) {
        let empty = fs::read_dir(target).is_ok_and(|mut d| d.next().is_none());
        if !empty {
            return Err(format!(
                "`{shown}` is there and holds no results (no {MANIFEST} of {PROGRAM}): it is not replaced"
            ));
        }
    } else if target.exists() && !target.is_dir() {
        return Err(format!("`{shown}` is there and is no folder"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("lvsim-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn nothing_is_left_of_a_run_that_did_not_end() {
        let dir = scratch("partial");
        let folder = Folder::start(&dir.join("out")).unwrap();
        folder.create("csv/a.csv").unwrap();
        drop(folder);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_a_killed_run_left_behind_is_removed_by_the_next() {
        let dir = scratch("killed");
        // no process has a number that large
        let (mine, other) = (".out.partial-4294967295", ".out2.partial-4294967295");
        for name in [mine, other, ".out.partial-x"] {
            fs::create_dir_all(dir.join(name).join("csv")).unwrap();
        }
        drop(Folder::start(&dir.join("out")).unwrap());
        assert_eq!(dir.join(mine).exists(), !Path::new("/proc/self").exists());
        assert!(dir.join(other).exists() && dir.join(".out.partial-x").exists());
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn results_are_replaced_and_other_folders_are_not() {
        let dir = scratch("replace");
        let target = dir.join("out");
        let manifest = |n: u32| format!("{{ \"program\": \"lvsim\", \"seed\": {n} }}");
        for text in [manifest(1), manifest(2)] {
            let folder = Folder::start(&target).unwrap();
            folder.create(MANIFEST).unwrap().write_all(text.as_bytes()).unwrap();
            folder.append("DR", "rs1.eth0", b"x").unwrap();
            folder.append("DR", "rs1.eth0", b"y").unwrap();
            folder.finish().unwrap();
        }
        assert_eq!(fs::read_to_string(target.join(MANIFEST)).unwrap(), manifest(2));
        assert_eq!(fs::read(target.join("captures/DR/rs1.eth0.pcapng")).unwrap(), b"xy");
        fs::write(target.join(MANIFEST), "{ \"name\": \"a web page\" }").unwrap();
        assert!(Folder::start(&target).is_err_and(|e| e.contains("holds no results")));
        fs::remove_file(target.join(MANIFEST)).unwrap();
        assert!(Folder::start(&target).is_err_and(|e| e.contains("holds no results")));
        fs::write(dir.join("file"), "").unwrap();
        assert!(Folder::start(&dir.join("file")).is_err_and(|e| e.contains("no folder")));
        fs::remove_dir_all(&dir).unwrap();
    }
}
