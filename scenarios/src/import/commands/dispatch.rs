//! Which program a command calls, and what it does.

use super::action::{Action, Family, Word};
use super::programs::{self, Kind};
use super::shell::{Shell, Streams, Written};
use super::statements::near_program;
use super::words::whole;
use super::{ifcfg, ip, iptables, net_tools, sysctl};
use crate::diagnostic::{At, Place, Problem};

/// Runs a command; what it prints into a pipe is returned.
pub(super) fn run(
    shell: &mut Shell<'_, '_>,
    words: &[Word],
    streams: Streams,
) -> Option<Vec<Word>> {
    let first = words.first()?;
    let program = programs::name(&first.value);
    let place = whole(words);
    match program {
        "sudo" | "nohup" | "exec" | "command" | "env" | "setsid" => {
            return run(shell, &words[1..], streams);
        }
        "echo" | "printf" => return echo(shell, words, &streams),
        "cat" | "tee" => return cat(shell, words, streams),
        "ipvsadm" | "ipvsadm-restore" | "ipvsadm-save" => ipvsadm(shell, program, words, streams),
        "sysctl" => sysctl_command(shell, words, &streams),
        "iptables-restore" | "ip6tables-restore" => restore(shell, program, words, streams),
        "ifup" | "ifdown" => interface(shell, program, words),
        "cd" => {
            if let Some(folder) = words.get(1) {
                shell.folder = shell.path(folder.value.trim_end_matches('/'));
            }
        }
        "cp" => copy(shell, words),
        "source" | "." => {
            if let Some(name) = words.get(1) {
                shell.source(name);
            }
        }
        "sh" | "bash" if words.len() == 2 => shell.source(&words[1]),
        "modprobe" | "insmod" => module(shell, words),
        _ if ["vim", "vi", "nano", "emacs", "gedit", "more", "less"].contains(&program) => {
            edit(shell, words, streams);
        }
        _ => other(shell, program, words, &place),
    }
    None
}

fn other(shell: &mut Shell<'_, '_>, program: &str, words: &[Word], place: &Place) {
    let result = match program {
        "ip" => match ip::read(words) {
            Ok(ip::Outcome::Actions(actions)) => Ok(actions),
            Ok(ip::Outcome::Shows) => Ok(Vec::new()),
            Ok(ip::Outcome::NoEffect(why)) => {
                shell.findings.remark(place, format!("no effect: {why}"));
                Ok(Vec::new())
            }
            Ok(ip::Outcome::Batch(file)) => {
                batch(shell, &words[0], &file);
                Ok(Vec::new())
            }
            Err(problem) => Err(problem),
        },
        "ifconfig" => net_tools::ifconfig(words),
        "route" => net_tools::route(words),
        "arp" => net_tools::arp(words),
        "iptables" | "ip6tables" | "iptables-legacy" | "ip6tables-legacy" | "iptables-nft" => {
            let family = if program.starts_with("ip6") { Family::V6 } else { Family::V4 };
            iptables::read(words, family).map(|o| match o {
                iptables::Outcome::Actions(actions) => actions,
                iptables::Outcome::Shows => Vec::new(),
            })
        }
        "vconfig" | "brctl" => {
            let message = format!("`{program}` is not simulated");
            Err(Problem::new(
                place,
                message,
                "expected `ip link add ... type vlan` or `type bridge`",
            ))
        }
        _ => {
            around(shell, program, words, place);
            return;
        }
    };
    match result {
        Ok(actions) => shell.act(actions, place),
        Err(problem) => shell.problem(problem),
    }
}

/// Programs that change nothing that is simulated, and words that are no program.
fn around(shell: &mut Shell<'_, '_>, program: &str, words: &[Word], place: &Place) {
    let Some(kind) = programs::kind(program) else {
        let first = &words[0];
        let label =
            "expected a command such as ip, ifconfig, route, sysctl, ipvsadm, iptables, echo";
        let message = format!("`{}` is not understood", first.value);
        let problem = Problem::new(&first.place, message, label);
        shell.problem(match near_program(program) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        });
        return;
    };
    let texts: Vec<&str> = words.iter().map(|w| w.value.as_str()).collect();
    let network = texts.iter().any(|t| {
        matches!(t.trim_end_matches(".service"), "network" | "networking" | "NetworkManager")
            || t.ends_with("/network")
    });
    let starts = texts.iter().any(|t| ["restart", "start", "reload"].contains(t));
    let filter = texts.iter().any(|t| {
        matches!(t.trim_end_matches(".service"), "iptables" | "firewalld" | "ufw")
            || t.ends_with("/iptables")
    });
    let stops = texts.iter().any(|t| ["stop", "disable"].contains(t));
    let manages = matches!(program, "service" | "systemctl") || program.starts_with("/etc/");
    if manages && network && starts {
        shell.findings.remark(place, "the files of the interfaces are read");
        start_network(shell);
    } else if manages && filter && stops {
        shell.findings.remark(place, "the packet filter is emptied");
        flush_filter(shell, place);
    } else if kind == Kind::Around {
        shell
            .findings
            .remark(place, format!("`{program}` changes nothing that is simulated: passed over"));
    }
}

/// All rules go and every policy is ACCEPT.
fn flush_filter(shell: &mut Shell<'_, '_>, place: &Place) {
    use super::netfilter::{Change, Edit, Table};
    for table in Table::ALL {
        let change = |chain: Option<&str>, edit| {
            let chain = chain.map(str::to_owned);
            Action::Netfilter(Change { family: Family::V4, table, chain, edit })
        };
        shell.act([change(None, Edit::Flush)], place);
        shell.act(table.chains().iter().map(|c| change(Some(c), Edit::Policy(true))), place);
    }
}

fn module(shell: &mut Shell<'_, '_>, words: &[Word]) {
    const MODULES: [&str; 28] = [
        "ip_vs",
        "ip_vs_rr",
        "ip_vs_wrr",
        "ip_vs_lc",
        "ip_vs_wlc",
        "ip_vs_sh",
        "ip_vs_dh",
        "ip_vs_lblc",
        "ip_vs_lblcr",
        "ip_vs_sed",
        "ip_vs_nq",
        "ip_vs_mh",
        "ip_vs_fo",
        "ip_vs_ovf",
        "ip_vs_twos",
        "ip_vs_ftp",
        "ip_vs_pe_sip",
        "ipip",
        "tunnel4",
        "ip_gre",
        "gre",
        "fou",
        "sit",
        "ip6_tunnel",
        "dummy",
        "nf_conntrack",
        "br_netfilter",
        "8021q",
    ];
    for word in words.iter().skip(1).filter(|w| !w.value.starts_with('-')) {
        let name = word.value.replace('-', "_");
        let known = MODULES.contains(&name.as_str())
            || name.starts_with("nf_")
            || name.starts_with("xt_")
            || name.starts_with("ip");
        if !known {
            let near = crate::format::words::nearest(&name, MODULES);
            let hint = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
            shell.findings.remark(
                &word.place,
                format!("the module `{}` plays no part here{hint}", word.value),
            );
        }
    }
}

/// `echo TEXT > FILE`: a setting below /proc/sys, or a file.
fn echo(shell: &mut Shell<'_, '_>, words: &[Word], streams: &Streams) -> Option<Vec<Word>> {
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
fn write(shell: &mut Shell<'_, '_>, lines: &[Word], outputs: &[(Word, bool)]) {
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

fn cat(shell: &mut Shell<'_, '_>, words: &[Word], mut streams: Streams) -> Option<Vec<Word>> {
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
fn edit(shell: &mut Shell<'_, '_>, words: &[Word], streams: Streams) {
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

fn copy(shell: &mut Shell<'_, '_>, words: &[Word]) {
    let names: Vec<&Word> = words.iter().skip(1).filter(|w| !w.value.starts_with('-')).collect();
    if let [from, to] = names[..] {
        let (from, to) = (shell.path(&from.value), shell.path(&to.value));
        if let Some(written) = shell.files.get(&from).cloned() {
            shell.files.insert(to, Written { applied: false, ..written });
        }
    }
}

fn ipvsadm(shell: &mut Shell<'_, '_>, program: &str, words: &[Word], streams: Streams) {
    let place = whole(words);
    let texts: Vec<&str> = words.iter().skip(1).map(|w| w.value.as_str()).collect();
    let saves =
        program == "ipvsadm-save" || texts.iter().any(|t| ["-S", "--save", "-Sn"].contains(t));
    if saves {
        let lines = saved(shell);
        write(shell, &lines, &streams.outputs);
        return;
    }
    let restores =
        program == "ipvsadm-restore" || texts.iter().any(|t| ["-R", "--restore"].contains(t));
    if restores {
        let Some(lines) = streams.input else {
            let label = "expected `< FILE` or `<<EOF`";
            shell.problem(Problem::new(&place, "there are no rules to restore", label));
            return;
        };
        for line in lines
            .iter()
            .filter(|l| !l.value.trim().is_empty() && !l.value.trim_start().starts_with('#'))
        {
            let mut rule = words_of(line);
            if rule.first().is_some_and(|w| w.value.ends_with("ipvsadm")) {
                rule.remove(0);
            }
            shell.act([Action::Ipvsadm(rule)], &line.place);
        }
        return;
    }
    let shows = ["-L", "-l", "--list", "-h", "--help", "-v", "--version"];
    let lists = texts.is_empty()
        || texts.iter().any(|t| {
            shows.contains(t)
                || (t.starts_with("-L") || t.starts_with("-l")) && !t.starts_with("--")
        });
    if !lists {
        shell.act([Action::Ipvsadm(words[1..].to_vec())], &place);
    }
}

/// The rules as they are now, as the commands that made them.
fn saved(shell: &Shell<'_, '_>) -> Vec<Word> {
    let rules = shell.commands.iter().filter_map(|c| match &c.action {
        Action::Ipvsadm(words) => Some((words, &c.place)),
        _ => None,
    });
    let mut lines: Vec<Word> = Vec::new();
    for (words, place) in rules {
        if words.iter().any(|w| w.value == "-C" || w.value == "--clear") {
            lines.clear();
            continue;
        }
        let text = words.iter().map(|w| w.value.as_str()).collect::<Vec<_>>().join(" ");
        lines.push(At::new(text, place.clone()));
    }
    lines
}

/// The words of a line of a file, with their places.
fn words_of(line: &Word) -> Vec<Word> {
    let mut words = Vec::new();
    let exact = line.place.span.len() == line.value.len();
    let mut rest = line.value.as_str();
    let mut offset = 0;
    while let Some(start) = rest.find(|c: char| !c.is_whitespace()) {
        let body = &rest[start..];
        let quote = body.chars().next().filter(|c| "\"'".contains(*c));
        let end = match quote {
            Some(quote) => body[1..].find(quote).map_or(body.len(), |i| i + 2),
            None => body.find(char::is_whitespace).unwrap_or(body.len()),
        };
        let text = body[..end].trim_matches(['"', '\'']);
        let from = line.place.span.start + offset + start;
        let span = if exact { from..from + end } else { line.place.span.clone() };
        words.push(At::new(text.to_owned(), Place::new(line.place.file, span)));
        offset += start + end;
        rest = &body[end..];
    }
    words
}

fn batch(shell: &mut Shell<'_, '_>, program: &Word, file: &Word) {
    let Some(lines) = shell.read_file(file) else { return };
    for line in lines
        .iter()
        .filter(|l| !l.value.trim().is_empty() && !l.value.trim_start().starts_with('#'))
    {
        let mut words = vec![At::new(program.value.clone(), line.place.clone())];
        words.extend(words_of(line));
        other(shell, "ip", &words, &line.place);
    }
}

fn restore(shell: &mut Shell<'_, '_>, program: &str, words: &[Word], streams: Streams) {
    let file = words.iter().skip(1).find(|w| !w.value.starts_with('-'));
    let lines = match (streams.input, file) {
        (Some(lines), _) => lines,
        (None, Some(file)) => match shell.read_file(file) {
            Some(lines) => lines,
            None => return,
        },
        (None, None) => {
            let label = "expected `< FILE` or `<<EOF`";
            shell.problem(Problem::new(&whole(words), "there are no rules to restore", label));
            return;
        }
    };
    let family = if program.starts_with("ip6") { Family::V6 } else { Family::V4 };
    let lines: Vec<Vec<Word>> =
        lines.iter().filter(|l| !l.value.trim_start().starts_with('#')).map(words_of).collect();
    let actions = iptables::restore(&lines, family, &mut shell.findings.problems);
    for (action, place) in actions {
        shell.act([action], &place);
    }
}

fn sysctl_command(shell: &mut Shell<'_, '_>, words: &[Word], streams: &Streams) {
    let place = whole(words);
    match sysctl::read(words) {
        Ok(sysctl::Request::Set(actions)) => shell.act(actions, &place),
        Ok(sysctl::Request::Show) => {}
        Ok(sysctl::Request::LoadAll) => load_settings(shell),
        Ok(sysctl::Request::Load(files)) if files.is_empty() => {
            if !shell.files.keys().any(|f| is_settings(f)) {
                let message = "no command before wrote /etc/sysctl.conf: nothing to read";
                shell.findings.remark(&place, message);
            }
            load_settings(shell);
        }
        Ok(sysctl::Request::Load(files)) => {
            for file in files {
                let lines = if file.value == "-" {
                    streams.input.clone()
                } else if file.value == "/etc/sysctl.conf" && !shell.files.contains_key(&file.value)
                {
                    Some(Vec::new())
                } else {
                    shell.read_file(&file)
                };
                settings(shell, &lines.unwrap_or_default());
            }
        }
        Err(problem) => shell.problem(problem),
    }
}

fn is_settings(path: &str) -> bool {
    path.ends_with("/sysctl.conf") || path.contains("/sysctl.d/")
}

/// Reads /etc/sysctl.conf and the files of /etc/sysctl.d.
fn load_settings(shell: &mut Shell<'_, '_>) {
    let files: Vec<String> = shell.files.keys().filter(|f| is_settings(f)).cloned().collect();
    for file in files {
        let Some(written) = shell.files.get_mut(&file) else { continue };
        written.applied = true;
        let lines = written.lines.clone();
        settings(shell, &lines);
    }
}

/// The lines of a file of settings.
fn settings(shell: &mut Shell<'_, '_>, lines: &[Word]) {
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

/// `ifup NAME`, `ifdown NAME`.
fn interface(shell: &mut Shell<'_, '_>, program: &str, words: &[Word]) {
    let Some(name) = words.iter().skip(1).find(|w| !w.value.starts_with('-')) else { return };
    let short = name.value.strip_prefix("ifcfg-").unwrap_or(&name.value);
    if program == "ifdown" {
        let name = At::new(short.to_owned(), name.place.clone());
        let action = if short.contains(':') {
            Action::DropAlias(name)
        } else {
            Action::SetLink(name, super::action::LinkChange::Up(false))
        };
        shell.act([action], &whole(words));
        return;
    }
    let file = shell.files.keys().find(|f| ifcfg::interface_of(f) == Some(short)).cloned();
    if let Some(file) = file {
        bring_up(shell, &file);
    } else {
        let link = At::new(short.to_owned(), name.place.clone());
        if short.contains(':') {
            let message = format!("no command before wrote ifcfg-{short}");
            shell.problem(Problem::new(&name.place, message, "there is nothing to bring up"));
        } else {
            shell.act([Action::SetLink(link, super::action::LinkChange::Up(true))], &whole(words));
        }
    }
}

fn bring_up(shell: &mut Shell<'_, '_>, file: &str) {
    let Some(written) = shell.files.get_mut(file) else { return };
    written.applied = true;
    let lines = written.lines.clone();
    let name = ifcfg::interface_of(file).unwrap_or_default().to_owned();
    let interface = ifcfg::read(&name, &lines, &mut shell.findings.problems);
    let place = interface.name.map(|n| n.place).unwrap_or_default();
    shell.act(interface.actions, &place);
}

/// Brings up every interface whose file says `ONBOOT=yes`, or nothing about it.
fn start_network(shell: &mut Shell<'_, '_>) {
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
