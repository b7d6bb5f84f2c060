//! `sysctl`, files of settings, and `/proc/sys`.

use super::action::{Action, Word};
use super::words::{unknown, wrong};
use crate::diagnostic::{At, Place, Problem};

/// What a setting is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Setting {
    /// Of the host: `net.ipv4.NAME`, `net.ipv6.NAME`, without `net.`.
    Host(&'static str),
    /// Of an interface, `all` or `default`: `net.ipv4.conf.IF.NAME`.
    Interface(String, &'static str),
    /// The same of IPv6: `net.ipv6.conf.IF.NAME`.
    Interface6(String, &'static str),
    /// Of IPVS: `net.ipv4.vs.NAME`.
    Vs(&'static str),
    /// One that nothing in the simulation depends on.
    Other(String),
}

/// Name, lowest and highest value.
type Known = (&'static str, i64, i64);

const HOST: &[Known] = &[
    ("ipv4.ip_forward", 0, 1),
    ("ipv4.ip_default_ttl", 1, 255),
    ("ipv4.ip_no_pmtu_disc", 0, 3),
    ("ipv4.icmp_echo_ignore_all", 0, 1),
    ("ipv4.icmp_ratelimit", 0, i32::MAX as i64),
    ("ipv4.icmp_ratemask", 0, i32::MAX as i64),
];

const INTERFACE: &[Known] = &[
    ("forwarding", 0, 1),
    ("arp_ignore", 0, 8),
    ("arp_announce", 0, 2),
    ("arp_filter", 0, 1),
    ("arp_notify", 0, 1),
    ("arp_accept", 0, 2),
    ("rp_filter", 0, 2),
    ("send_redirects", 0, 1),
    ("proxy_arp", 0, 1),
    ("accept_local", 0, 1),
    ("accept_redirects", 0, 1),
    ("secure_redirects", 0, 1),
    ("shared_media", 0, 1),
    ("accept_source_route", 0, 1),
    ("log_martians", 0, 1),
    ("route_localnet", 0, 1),
    ("src_valid_mark", 0, 1),
    ("promote_secondaries", 0, 1),
];

const INTERFACE6: &[Known] = &[
    ("forwarding", 0, 2),
    ("disable_ipv6", 0, 1),
    ("accept_ra", 0, 2),
    ("autoconf", 0, 1),
    ("accept_dad", 0, 2),
    ("dad_transmits", 0, 10),
    ("accept_redirects", 0, 1),
    ("proxy_ndp", 0, 1),
    ("keep_addr_on_down", -1, 1),
    ("use_tempaddr", -1, 2),
];

/// Settings of IPVS of Linux 6.1.
const VS: &[Known] = &[
    ("amemthresh", 0, i32::MAX as i64),
    ("am_droprate", 0, i32::MAX as i64),
    ("backup_only", 0, 1),
    ("cache_bypass", 0, 1),
    ("conn_reuse_mode", 0, 3),
    ("conntrack", 0, 1),
    ("drop_entry", 0, 3),
    ("drop_packet", 0, 3),
    ("expire_nodest_conn", 0, 1),
    ("expire_quiescent_template", 0, 1),
    ("ignore_tunneled", 0, 1),
    ("lblc_expiration", 0, i32::MAX as i64),
    ("lblcr_expiration", 0, i32::MAX as i64),
    ("nat_icmp_send", 0, 1),
    ("pmtu_disc", 0, 1),
    ("run_estimation", 0, 1),
    ("schedule_icmp", 0, 1),
    ("secure_tcp", 0, 3),
    ("sloppy_sctp", 0, 1),
    ("sloppy_tcp", 0, 1),
    ("snat_reroute", 0, 1),
    ("sync_persist_mode", 0, 1),
    ("sync_ports", 1, 32),
    ("sync_qlen_max", 0, i32::MAX as i64),
    ("sync_refresh_period", 0, i32::MAX as i64),
    ("sync_retries", 0, 3),
    ("sync_sock_size", 0, i32::MAX as i64),
    ("sync_threshold", 0, i32::MAX as i64),
    ("sync_version", 0, 1),
];

/// Reads a key and its value.
///
/// # Errors
/// The key looks like one that is known but is not, or the value does not fit.
pub(super) fn setting(key: &Word, value: &Word) -> Result<(Setting, i64), Problem> {
    let name = key.value.strip_prefix("net.").unwrap_or("");
    let other = || Ok((Setting::Other(key.value.clone()), 0));
    if let Some(known) = find(HOST, name) {
        return Ok((Setting::Host(known.0), in_range(known, value)?));
    }
    if let Some(name) = name.strip_prefix("ipv4.vs.") {
        let known = find(VS, name).ok_or_else(|| unknown_key(key, "net.ipv4.vs", name, VS))?;
        return Ok((Setting::Vs(known.0), in_range(known, value)?));
    }
    for (prefix, table, four) in
        [("ipv4.conf.", INTERFACE, true), ("ipv6.conf.", INTERFACE6, false)]
    {
        let Some(rest) = name.strip_prefix(prefix) else { continue };
        let Some((device, name)) = rest.rsplit_once('.') else {
            return Err(wrong(
                key,
                "setting",
                "net.ipv4.conf.INTERFACE.NAME, e.g. net.ipv4.conf.all.arp_ignore",
            ));
        };
        let Some(known) = find(table, name) else {
            // settings that exist but have no effect here; a misspelt one is near a known one
            if crate::format::words::nearest(name, table.iter().map(|k| k.0)).is_none() {
                return other();
            }
            return Err(unknown_key(key, &format!("net.{prefix}{device}"), name, table));
        };
        let number = in_range(known, value)?;
        // sysctl writes a slash for the dot of a VLAN's name
        let device = device.replace('/', ".");
        let setting = if four {
            Setting::Interface(device, known.0)
        } else {
            Setting::Interface6(device, known.0)
        };
        return Ok((setting, number));
    }
    if let Some(near) = crate::format::words::nearest(name, HOST.iter().map(|k| k.0))
        && name.len().abs_diff(near.len()) <= 1
        && !["ipv4.ip_local_reserved_ports"].contains(&name)
    {
        return Err(unknown_key(key, "net", name, HOST));
    }
    other()
}

fn find(table: &'static [Known], name: &str) -> Option<&'static Known> {
    table.iter().find(|k| k.0 == name)
}

fn unknown_key(key: &Word, section: &str, name: &str, table: &[Known]) -> Problem {
    let names: Vec<&str> = table.iter().map(|k| k.0).collect();
    let word = At::new(name.to_owned(), key.place.clone());
    unknown(&word, format!("there is no setting `{name}` in {section}"), &names)
}

fn in_range(known: &Known, value: &Word) -> Result<i64, Problem> {
    // sync_threshold has two numbers: the first decides
    let first = value.value.split_whitespace().next().unwrap_or_default();
    let number = first.parse::<i64>().ok().filter(|v| (known.1..=known.2).contains(v));
    number.ok_or_else(|| {
        wrong(value, &format!("value of {}", known.0), &format!("{} to {}", known.1, known.2))
    })
}

/// A key with dots from a path below `/proc/sys/`, or `None` if it is none.
pub(super) fn key_of_path(path: &str) -> Option<String> {
    let path = path.strip_prefix("/proc/sys/")?;
    // a dot in an interface's name is a slash in the key
    Some(path.replace('.', "\u{0}").replace('/', ".").replace('\u{0}', "/"))
}

/// `KEY = VALUE` of a file of settings or of a word of `sysctl -w`.
pub(super) fn assignment(text: &str, place: &Place) -> Option<Action> {
    let (key, value) = text.split_once('=')?;
    let whole = text.len();
    let start = place.span.start + key.len() - key.trim_start().len();
    let at = |from: usize, len: usize, text: &str| {
        // a word with quotes or variables is longer or shorter than what it says
        let exact = place.span.len() == whole;
        let span = if exact { from..from + len } else { place.span.clone() };
        At::new(text.to_owned(), Place::new(place.file, span))
    };
    let (k, v) = (key.trim().trim_start_matches('-'), value.trim().trim_matches('"'));
    let k = k.replace('/', ".");
    let value_start = place.span.start + key.len() + 1 + (value.len() - value.trim_start().len());
    Some(Action::Sysctl(at(start, k.len(), &k), at(value_start, v.len(), v)))
}

/// What the words of a `sysctl` command ask for.
#[derive(Debug)]
pub(super) enum Request {
    /// Settings.
    Set(Vec<Action>),
    /// Those of files; none: /etc/sysctl.conf.
    Load(Vec<Word>),
    /// All files.
    LoadAll,
    /// It only shows something.
    Show,
}

/// Reads the words of `sysctl`.
pub(super) fn read(words: &[Word]) -> Result<Request, Problem> {
    let mut actions = Vec::new();
    let (mut write, mut load, mut files) = (false, false, Vec::new());
    let mut rest = words.iter().skip(1).peekable();
    while let Some(word) = rest.next() {
        let text = word.value.as_str();
        if let Some(options) = text.strip_prefix('-').filter(|o| !o.starts_with('-')) {
            for option in options.chars() {
                match option {
                    'w' => write = true,
                    'p' | 'f' => load = true,
                    'q' | 'e' | 'n' | 'N' | 'b' | 'a' | 'A' | 'X' | 'r' => {}
                    _ => {
                        return Err(unknown(
                            word,
                            format!("`{text}` is unknown to `sysctl`"),
                            &["-w", "-p", "-q", "-e", "-n", "-a"],
                        ));
                    }
                }
            }
            continue;
        }
        match text {
            "--system" => return Ok(Request::LoadAll),
            "--write" => write = true,
            "--quiet" | "--ignore" | "--all" | "--values" => {}
            _ if text.starts_with("--load") => {
                load = true;
                if let Some((_, file)) = text.split_once('=') {
                    files.push(At::new(file.to_owned(), word.place.clone()));
                }
            }
            _ if text.starts_with("--") => {
                return Err(unknown(
                    word,
                    format!("`{text}` is unknown to `sysctl`"),
                    &["--write", "--load", "--system", "--quiet"],
                ));
            }
            _ if load && !text.contains('=') => files.push(word.clone()),
            _ => {
                // `sysctl -w key = value` is what people type, and sysctl refuses
                if let Some(action) = assignment(text, &word.place).filter(|_| !text.ends_with('='))
                {
                    actions.push(action);
                } else if write {
                    let message = format!("\"{text}\" must be of the form name=value");
                    return Err(Problem::new(&word.place, message, "no blanks around the `=`"));
                }
                if rest.peek().is_some_and(|n| n.value == "=") {
                    let message = format!("\"{text}\" must be of the form name=value");
                    return Err(Problem::new(&word.place, message, "no blanks around the `=`"));
                }
            }
        }
    }
    Ok(if load {
        Request::Load(files)
    } else if actions.is_empty() {
        Request::Show
    } else {
        Request::Set(actions)
    })
}
