//! Keywords of `virtual_server`, `real_server` and the checkers.

use super::{Arg, Keyword, OPTIONAL, TIMER, TIMER0, UNSIGNED, block, line, old};

const SCHEDULER: Arg = Arg::Choice(
    &[
        "rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq",
        "twos",
    ],
    "Invalid lvs_scheduler '{}' - ignoring",
);
const METHOD: Arg =
    Arg::Choice(&["NAT", "DR", "TUN"], "PARSER : unknown [{}] routing method for virtual server.");
const PROTOCOL: Arg = Arg::AnyCase(&["TCP", "UDP", "SCTP"], "Unknown protocol {} - ignoring");
const FAMILY: Arg = Arg::Choice(&["inet", "inet6"], "unknown address family {}");

/// Keywords of `virtual_server`.
pub(super) static VIRTUAL_SERVER: &[Keyword] = &[
    line("ip_family", FAMILY),
    line("delay_loop", TIMER),
    line("lvs_sched", SCHEDULER),
    line("lb_algo", SCHEDULER),
    line("lvs_method", METHOD),
    line("lb_kind", METHOD),
    line("hashed", Arg::Any),
    line("flag-1", Arg::Any),
    line("flag-2", Arg::Any),
    line("flag-3", Arg::Any),
    line("sh-port", Arg::Any),
    line("sh-fallback", Arg::Any),
    line("mh-port", Arg::Any),
    line("mh-fallback", Arg::Any),
    line("ops", Arg::Any),
    line("persistence_engine", Arg::Text),
    line("persistence_timeout", Arg::MaybeNumber(1, 2_678_400)),
    line("persistence_granularity", Arg::Mask),
    line("protocol", PROTOCOL),
    line("ha_suspend", Arg::Any),
    line("virtualhost", Arg::Text),
    line("alpha", OPTIONAL),
    line("omega", Arg::Any),
    line("quorum_up", Arg::Text),
    line("quorum_down", Arg::Text),
    line("quorum", Arg::Number(1, 4_294_967_295)),
    line("hysteresis", UNSIGNED),
    line("retry", UNSIGNED),
    line("delay_before_retry", TIMER0),
    line("warmup", TIMER0),
    line("connect_timeout", TIMER),
    line("inhibit_on_failure", OPTIONAL),
    line("weight", Arg::Number(1, 2_147_483_647)),
    line("smtp_alert", OPTIONAL),
    line("snmp_name", Arg::Text),
    line("sorry_server", Arg::Server("Invalid sorry server IP address {} - ignoring")),
    line("sorry_server_inhibit", Arg::Any),
    line("sorry_server_lvs_method", METHOD),
    block(
        "real_server",
        Arg::Server("Invalid real server address/port {} - skipping"),
        &[REAL_SERVER],
    ),
];

/// Keywords of `real_server`.
static REAL_SERVER: &[Keyword] = &[
    line("weight", Arg::Number(0, 2_147_483_647)),
    line("lvs_method", METHOD),
    line("uthreshold", UNSIGNED),
    line("lthreshold", UNSIGNED),
    line("inhibit_on_failure", OPTIONAL),
    line("notify_up", Arg::Text),
    line("notify_down", Arg::Text),
    line("alpha", OPTIONAL),
    line("retry", UNSIGNED),
    line("delay_before_retry", TIMER0),
    line("warmup", TIMER0),
    line("delay_loop", TIMER),
    line("connect_timeout", TIMER),
    line("smtp_alert", OPTIONAL),
    line("virtualhost", Arg::Text),
    line("snmp_name", Arg::Text),
    block("TCP_CHECK", Arg::Any, &[CHECK, CONNECT]),
    block("HTTP_GET", Arg::Any, &[CHECK, CONNECT, HTTP]),
    block("SSL_GET", Arg::Any, &[CHECK, CONNECT, HTTP, TLS]),
    block("SMTP_CHECK", Arg::Any, &[CHECK, CONNECT, SMTP]),
    block("DNS_CHECK", Arg::Any, &[CHECK, CONNECT, DNS]),
    block("MISC_CHECK", Arg::Any, &[CHECK, MISC]),
    block("UDP_CHECK", Arg::Any, &[CHECK, CONNECT, UDP]),
    block("PING_CHECK", Arg::Any, &[CHECK, CONNECT]),
    block("BFD_CHECK", Arg::Any, &[BFD]),
    block("FILE_CHECK", Arg::Any, &[FILE]),
];

static CHECK: &[Keyword] = &[
    line("retry", UNSIGNED),
    line("delay_before_retry", TIMER0),
    line("warmup", TIMER0),
    line("delay_loop", TIMER),
    line("alpha", OPTIONAL),
    line("log_all_failures", OPTIONAL),
];

static CONNECT: &[Keyword] = &[
    line("connect_ip", Arg::Address("Invalid connect_ip address {} - ignoring")),
    line("connect_port", Arg::Number(1, 65_535)),
    line("bindto", Arg::Address("Invalid bindto address {} - ignoring")),
    line("bind_if", Arg::Interface),
    line("bind_port", Arg::Number(1, 65_535)),
    line("connect_timeout", TIMER),
    line("fwmark", UNSIGNED),
];

static HTTP: &[Keyword] = &[
    block("url", Arg::Any, &[URL]),
    old("nb_get_retry", UNSIGNED, "nb_get_retry is deprecated - please use 'retry'"),
    line(
        "http_protocol",
        Arg::Choice(&["1.0", "1.1", "1.0C", "1.0c"], "Invalid http_protocol version {}"),
    ),
    line("virtualhost", Arg::Text),
    line("fast_recovery", OPTIONAL),
];

static TLS: &[Keyword] =
    &[line("enable_sni", OPTIONAL), line("sni_name", Arg::Text), line("tls_compliant", OPTIONAL)];

static URL: &[Keyword] = &[
    line("path", Arg::Text),
    line("digest", Arg::Text),
    line("status_code", Arg::Text),
    line("virtualhost", Arg::Text),
    line("regex", Arg::Text),
    line("regex_no_match", Arg::Any),
    line("regex_options", Arg::Text),
    line("regex_stack", Arg::Text),
    line("regex_min_offset", UNSIGNED),
    line("regex_max_offset", UNSIGNED),
    line("tls_compliant", OPTIONAL),
];

static SMTP: &[Keyword] = &[line("helo_name", Arg::Text), block("host", Arg::Any, &[CONNECT])];

static DNS: &[Keyword] = &[
    line(
        "type",
        Arg::AnyCase(
            &["A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY"],
            "Unknown DNS type {}",
        ),
    ),
    line("name", Arg::Text),
];

static MISC: &[Keyword] = &[
    line("misc_path", Arg::Text),
    line("misc_timeout", Arg::Number(0, 4_294_967_295)),
    line("misc_dynamic", Arg::Any),
    line("user", Arg::Text),
];

static UDP: &[Keyword] = &[
    line("payload", Arg::Text),
    line("require_reply", Arg::Any),
    line("min_reply_length", Arg::Number(0, 65_535)),
    line("max_reply_length", Arg::Number(0, 65_535)),
];

static BFD: &[Keyword] =
    &[line("name", Arg::Text), line("alpha", OPTIONAL), line("log_all_failures", OPTIONAL)];

static FILE: &[Keyword] =
    &[line("track_file", Arg::Text), line("weight", Arg::Weight), line("dynamic", Arg::Any)];
