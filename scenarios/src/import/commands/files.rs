//! Files that a script writes, and what reads them: settings, interfaces.

use super::action::{Action, Word};
use super::shell::{Shell, Streams, Written};
use super::words::whole;
use super::{ifcfg, sysctl};
use crate::diagnostic::{At, Place, Problem};

/// `echo TEXT > FILE`: a setting below /proc/sys, or a file.
pub(super) fn echo(
    shell: &mut Shell<'_, '_>,
    words: &[Word],
    streams: &Streams,
) -> Option<Vec<Word>> {
    let mut words = &words[1..];
    let mut escapes = false;
    while let Some(word) =
        words.first().filter(|w| ["-e", "-n", "-ne", "-en", "-E"].contains(&w.value.as_str()))
    {
        escapes |= word.value.contains('e');
        words = &words[1..];
    }
    let text = words.iter().map(|w| w.value.as_str()).collect::<Vec<_>>().join(" ");
    let text = if escapes { text.replace("\\n", "\n").replace("\\t", "\t") } else { text };
    let place = whole(words);
    let lines: Vec<Word> = text.lines().map(|l| At::new(l.to_owned(), place.clone())).collect();
    write(shell, &lines, &streams.outputs);
    streams.piped.then_some(lines)
}

/// Puts lines into files; one below /proc/sys is a setting.
pub(super) fn write(shell: &mut Shell<'_, '_>, lines: &[Word], outputs: &[(Word, bool)]) {
    for (file, append) in outputs {
        if let Some(key) = sysctl::key_of_path(&file.value) {
            let Some(value) = lines.first() else { continue };
            let key = At::new(key, file.place.clone());
            let value = At::new(value.value.trim().to_owned(), value.place.clone());
            shell.act([Action::Sysctl(key, value)], &file.place);
            continue;
        }
        if file.value.starts_with("/proc/") || file.value.starts_with("/sys/") {
            let message = format!("writing to {} is not simulated", file.value);
            shell.problem(Problem::new(
                &file.place,
                message,
                "expected a file below /proc/sys/net",
            ));
            continue;
        }
        let path = shell.path(&file.value);
        let written = shell.files.entry(path).or_default();
        if !append {
            written.lines.clear();
        }
        written.lines.extend(lines.iter().cloned());
        written.applied = false;
    }
}

pub(super) fn cat(
    shell: &mut Shell<'_, '_>,
    words: &[Word],
    mut streams: Streams,
) -> Option<Vec<Word>> {
    let tee = words.first().is_some_and(|w| w.value.ends_with("tee"));
    let append = words.iter().any(|w| w.value == "-a");
    let names: Vec<&Word> = words.iter().skip(1).filter(|w| !w.value.starts_with('-')).collect();
    if tee {
        streams.outputs.extend(names.iter().map(|n| ((*n).clone(), append)));
    } else if !streams.content.is_empty() {
        // a file that is shown with what stands in it
        edit(shell, words, streams);
        return None;
    } else if streams.outputs.is_empty() && !streams.piped {
        return None;
    } else if !names.is_empty() {
        let mut lines = Vec::new();
        for name in names.iter().filter(|n| !n.value.starts_with("/proc/")) {
            lines.extend(shell.read_file(name)?);
        }
        streams.input = Some(lines);
    }
    let lines = streams.input.unwrap_or_default();
    write(shell, &lines, &streams.outputs);
    streams.piped.then_some(lines)
}

/// An editor: the lines that follow it in the text stand in its file.
pub(super) fn edit(shell: &mut Shell<'_, '_>, words: &[Word], streams: Streams) {
    let Some(name) = words.iter().skip(1).find(|w| !w.value.starts_with(['-', '+'])) else {
        return;
    };
    if streams.content.is_empty() {
        return;
    }
    let path = shell.path(&name.value);
    let written = shell.files.entry(path).or_default();
    // what the lines set replaces what the file said before
    let key = |l: &Word| l.value.split('=').next().unwrap_or("").trim().to_owned();
    let keys: Vec<String> = streams.content.iter().map(key).collect();
    written.lines.retain(|l| !keys.contains(&key(l)));
    written.lines.extend(streams.content);
    written.applied = false;
}

pub(super) fn copy(shell: &mut Shell<'_, '_>, words: &[Word]) {
    let names: Vec<&Word> = words.iter().skip(1).filter(|w| !w.value.starts_with('-')).collect();
    if let [from, to] = names[..] {
        let (from, to) = (shell.path(&from.value), shell.path(&to.value));
        if let Some(written) = shell.files.get(&from).cloned() {
            shell.files.insert(to, Written { applied: false, ..written });
        }
    }
}

pub(super) fn is_settings(path: &str) -> bool {
    path.ends_with("/sysctl.conf") || path.contains("/sysctl.d/")
}

/// Reads /etc/sysctl.conf and the files of /etc/sysctl.d.
pub(super) fn load_settings(shell: &mut Shell<'_, '_>) {
    let files: Vec<String> = shell.files.keys().filter(|f| is_settings(f)).cloned().collect();
    for file in files {
        let Some(written) = shell.files.get_mut(&file) else { continue };
        written.applied = true;
        let lines = written.lines.clone();
        settings(shell, &lines);
    }
}

/// The lines of a file of settings.
pub(super) fn settings(shell: &mut Shell<'_, '_>, lines: &[Word]) {
    for line in lines {
        let text = line.value.split([';', '#']).next().unwrap_or("");
        let text = text.split("//").next().unwrap_or("");
        if text.trim().is_empty() {
            continue;
        }
        if let Some(action) = sysctl::assignment(
            text,
            &Place::new(
                line.place.file,
                line.place.span.start
                    ..line.place.span.start + text.len().min(line.place.span.len()),
            ),
        ) {
            shell.act([action], &line.place);
        } else {
            let message = format!("`{}` is no setting", text.trim());
            shell.problem(Problem::new(&line.place, message, "expected KEY = VALUE"));
        }
    }
}

pub(super) fn bring_up(shell: &mut Shell<'_, '_>, file: &str) {
    let Some(written) = shell.files.get_mut(file) else { return };
    written.applied = true;
    let lines = written.lines.clone();
    let name = ifcfg::interface_of(file).unwrap_or_default().to_owned();
    let interface = ifcfg::read(&name, &lines, &mut shell.findings.problems);
    let place = interface.name.map(|n| n.place).unwrap_or_default();
    shell.act(interface.actions, &place);
}

/// Brings up every interface whose file says `ONBOOT=yes`, or nothing about it.
pub(super) fn start_network(shell: &mut Shell<'_, '_>) {
    let mut files: Vec<String> = shell
        .files
        .iter()
        .filter(|(f, w)| !w.applied && ifcfg::interface_of(f).is_some())
        .map(|(f, _)| f.clone())
        .collect();
    // an alias comes after its interface
    files.sort_by_key(|f| (f.contains(':'), f.clone()));
    for file in files {
        let Some(written) = shell.files.get_mut(&file) else { continue };
        let lines = written.lines.clone();
        let name = ifcfg::interface_of(&file).unwrap_or_default().to_owned();
        let mut ignored = Vec::new();
        if ifcfg::read(&name, &lines, &mut ignored).on_boot || !ignored.is_empty() {
            bring_up(shell, &file);
        } else if let Some(line) = lines.first() {
            written.applied = true;
            shell
                .findings
                .remark(&line.place, format!("ifcfg-{name} says ONBOOT=no: it stays down"));
        }
    }
}

/// What was written to files and never read takes effect as if the host was started with it.
pub(super) fn start_host(shell: &mut Shell<'_, '_>) {
    let waiting: Vec<(String, Place)> = shell
        .files
        .iter()
        .filter(|(f, w)| !w.applied && (is_settings(f) || ifcfg::interface_of(f).is_some()))
        .filter_map(|(f, w)| Some((f.clone(), w.lines.first()?.place.clone())))
        .collect();
    for (file, place) in &waiting {
        let short = file.rsplit('/').next().unwrap_or(file);
        shell.findings.remark(
            place,
            format!("no command reads {short}: it takes effect as when the host starts"),
        );
    }
    start_network(shell);
    if waiting.iter().any(|(f, _)| is_settings(f)) {
        let files: Vec<String> =
            waiting.into_iter().map(|(f, _)| f).filter(|f| is_settings(f)).collect();
        for file in files {
            let lines = shell.files.get(&file).map(|w| w.lines.clone()).unwrap_or_default();
            settings(shell, &lines);
        }
    }
}
