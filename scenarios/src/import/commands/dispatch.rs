//! Which program a command calls, and what it does.

use super::action::{Action, Family, Word};
use super::files::{
    bring_up, cat, copy, echo, edit, is_settings, load_settings, settings, start_network, write,
};
use super::programs::{self, Kind};
use super::shell::{Shell, Streams};
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
