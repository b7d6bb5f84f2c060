//! The programs that a how-to calls, and which of them change what is simulated.

use super::lexer::RawWord;
use crate::format::words::nearest;

/// What a program does to the host that is simulated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// It changes it.
    Effect,
    /// It only shows something.
    Shows,
    /// It belongs to the machine around: packages, services, editors.
    Around,
    /// A word of the shell.
    Shell,
}

const EFFECT: [&str; 21] = [
    "ip",
    "ifconfig",
    "route",
    "arp",
    "sysctl",
    "iptables",
    "ip6tables",
    "iptables-restore",
    "ip6tables-restore",
    "iptables-legacy",
    "ipvsadm",
    "ipvsadm-restore",
    "ipvsadm-save",
    "ifup",
    "ifdown",
    "modprobe",
    "vconfig",
    "brctl",
    "iptables-save",
    "ip6tables-save",
    "insmod",
];

const SHOWS: [&str; 43] = [
    "lsmod",
    "netstat",
    "ss",
    "ping",
    "ping6",
    "tcpdump",
    "curl",
    "wget",
    "elinks",
    "links",
    "ab",
    "telnet",
    "nc",
    "arping",
    "traceroute",
    "tracepath",
    "watch",
    "ls",
    "ll",
    "pwd",
    "hostname",
    "uname",
    "whoami",
    "date",
    "dig",
    "nslookup",
    "free",
    "top",
    "ps",
    "df",
    "which",
    "whereis",
    "rpm",
    "man",
    "grep",
    "egrep",
    "awk",
    "wc",
    "head",
    "tail",
    "sort",
    "uniq",
    "conntrack",
];

const AROUND: [&str; 66] = [
    "yum",
    "dnf",
    "apt",
    "apt-get",
    "aptitude",
    "zypper",
    "apk",
    "pip",
    "service",
    "systemctl",
    "chkconfig",
    "rc-update",
    "update-rc.d",
    "setenforce",
    "getenforce",
    "sestatus",
    "firewall-cmd",
    "ufw",
    "make",
    "gcc",
    "tar",
    "ln",
    "mkdir",
    "chmod",
    "chown",
    "rm",
    "touch",
    "vim",
    "vi",
    "nano",
    "emacs",
    "gedit",
    "more",
    "less",
    "sed",
    "scp",
    "rsync",
    "hostnamectl",
    "timedatectl",
    "nmcli",
    "nmtui",
    "useradd",
    "unzip",
    "gunzip",
    "sleep",
    "sync",
    "clear",
    "history",
    "mount",
    "umount",
    "mv",
    "ethtool",
    "httpd",
    "nginx",
    "apachectl",
    "ntpdate",
    "depmod",
    "rmmod",
    "kill",
    "killall",
    "./configure",
    "keepalived",
    "lokkit",
    "wall",
    "logger",
    "initlog",
];

const SHELL: [&str; 35] = [
    "echo", "printf", "cat", "cp", "tee", "export", "readonly", "local", "declare", "set", "unset",
    "shift", "true", "false", ":", "exit", "return", "break", "continue", "cd", "source", ".",
    "for", "do", "done", "case", "esac", "if", "then", "else", "elif", "fi", "test", "[", "[[",
];

/// All names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    EFFECT.into_iter().chain(SHELL).chain(SHOWS).chain(AROUND)
}

/// The name of a program without its folder, as far as it is one where programs are.
pub(super) fn name(word: &str) -> &str {
    let folders =
        ["/sbin/", "/usr/sbin/", "/bin/", "/usr/bin/", "/usr/local/sbin/", "/usr/local/bin/"];
    folders.iter().find_map(|f| word.strip_prefix(f)).unwrap_or(word)
}

/// What a program is; `None`: it is not known.
pub(super) fn kind(word: &str) -> Option<Kind> {
    let word = name(word);
    if EFFECT.contains(&word) {
        Some(Kind::Effect)
    } else if SHOWS.contains(&word) {
        Some(Kind::Shows)
    } else if AROUND.contains(&word)
        || word.starts_with("/etc/init.d/")
        || word.starts_with("/etc/rc.d/init.d/")
    {
        Some(Kind::Around)
    } else if SHELL.contains(&word)
        || ["sudo", "nohup", "exec", "!", "{", "}", "command", "env"].contains(&word)
    {
        Some(Kind::Shell)
    } else {
        None
    }
}

/// The program with an effect that a word most likely was meant to be.
pub(super) fn misspelt(word: &str) -> Option<&'static str> {
    // short words are near to anything
    nearest(word, EFFECT).filter(|near| word.len() >= 4 && near.len() >= 4)
}

/// Whether a command prints lines that people paste behind it.
pub(super) fn prints(program: &str, words: &[RawWord]) -> bool {
    let has = |texts: &[&str]| words.iter().any(|w| w.plain().is_some_and(|p| texts.contains(&p)));
    match program {
        "ipvsadm" => {
            words.len() == 1
                || words.iter().skip(1).any(|w| {
                    w.plain().is_some_and(|p| {
                        p.starts_with("-L")
                            || p.starts_with("-l")
                            || p == "-Sn"
                            || p == "-S"
                            || p == "--list"
                            || p == "-v"
                            || p == "-n"
                    })
                })
        }
        "ip" => {
            !has(&["add", "del", "delete", "set", "replace", "flush", "change", "a", "append"])
                || words.len() <= 2
        }
        "ifconfig" => words.len() <= 2,
        "route" | "arp" => !has(&["add", "del", "-s", "-d"]),
        "iptables" | "ip6tables" => has(&["-L", "-S", "-nL", "-nvL", "-vnL", "--list"]),
        "sysctl" => !has(&["-q", "-qw"]),
        "iptables-save" | "ipvsadm-save" | "cat" | "service" | "systemctl" | "setenforce"
        | "getenforce" | "chkconfig" => true,
        _ => matches!(kind(program), Some(Kind::Shows)),
    }
}
