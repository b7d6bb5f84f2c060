use super::*;
use crate::model::Embedded;
use proptest::prelude::*;
use sim_core::engine::Span;
use sim_core::ipvs::rules::{Encapsulation, Forwarding, ServiceKey};

fn with_files(
    text: &str,
    files: &'static [(&'static str, &'static str)],
    id: Option<&str>,
) -> (Configuration, Findings) {
    let mut sources = Sources::default();
    let file = sources.add("keepalived.conf", text);
    let options = Options { config_id: id.map(str::to_owned) };
    read(&mut sources, file, &Embedded(files), &options)
}

fn parse(text: &str) -> (Configuration, Findings) {
    with_files(text, &[], None)
}

fn messages(text: &str) -> Vec<String> {
    parse(text).1.problems.into_iter().map(|p| p.message).collect()
}

/// A virtual server of which nothing is reported, with more lines in it and in its real server.
fn service(more: &str, of_server: &str) -> String {
    format!(
        "virtual_server 192.0.2.1 80 {{\n lvs_sched rr\n lvs_method NAT\n protocol TCP\n{more}\n\
         real_server 10.0.0.2 8080 {{\n{of_server}\n }}\n}}\n"
    )
}

/// An instance of which nothing is reported, with more lines in it.
fn instance(more: &str) -> String {
    format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 5\n{more}\n \
         virtual_ipaddress {{\n 192.0.2.1/24\n }}\n}}\n"
    )
}

#[test]
fn defaults_of_a_service_are_those_of_keepalived() {
    let (all, findings) = parse(&service("", "TCP_CHECK { }"));
    assert_eq!(findings, Findings::default());
    let server = &all.servers[0];
    assert_eq!(server.delay_loop, Span::from_secs(60));
    assert_eq!((server.quorum, server.hysteresis, server.persistence), (1, 0, None));
    let checker = &server.servers[0].checkers[0];
    assert_eq!(checker.kind, Check::Tcp);
    assert_eq!((checker.retry, checker.delay_before_retry), (1, Span::from_secs(1)));
    assert_eq!(checker.connect_timeout, Span::from_secs(5));
    assert_eq!(checker.warmup, Span::from_secs(60));
}

#[test]
fn a_service_without_the_essentials_gets_wlc_nat_and_udp_with_reports() {
    let text = "virtual_server 192.0.2.1 80 {\n real_server 10.0.0.2 80 {\n }\n}\n";
    let (all, findings) = parse(text);
    let said: Vec<_> = findings.problems.iter().map(|p| p.message.as_str()).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said.iter().any(|m| m.contains("no scheduler set, setting default 'wlc'")));
    assert!(said.iter().any(|m| m.contains("no forwarding method set, setting default NAT")));
    assert!(said.iter().any(|m| m.contains("no protocol set - defaulting to UDP")));
    assert_eq!(all.servers[0].protocol, sim_core::wire::proto::UDP);
}

#[test]
fn checkers_inherit_from_real_server_and_virtual_server() {
    let text = service(
        "retry 7\ndelay_loop 3\nconnect_timeout 2\nweight 4",
        "retry 2\nHTTP_GET { url { path /up\n status_code 204 } }\nMISC_CHECK {\n misc_path \"/x y\"\n retry 9\n }\nDNS_CHECK\n{\n}",
    );
    let (all, findings) = parse(&text);
    assert_eq!(findings.problems, []);
    let real = &all.servers[0].servers[0];
    assert_eq!(real.weight, 4);
    let [http, misc, dns] = &real.checkers[..] else { panic!("{:?}", real.checkers) };
    assert_eq!((http.retry, http.delay_before_retry), (2, Span::from_secs(3)));
    assert_eq!((http.delay_loop, http.connect_timeout), (Span::from_secs(3), Span::from_secs(2)));
    let Check::Http { tls: false, urls, .. } = &http.kind else { panic!("{http:?}") };
    assert_eq!((urls[0].path.as_str(), &urls[0].status[..]), ("/up", &[(204, 204)][..]));
    assert_eq!(misc.retry, 9);
    assert!(matches!(&misc.kind, Check::Misc { command, .. } if command == "/x y"));
    assert_eq!(dns.delay_before_retry, Span::from_secs(3));
}

#[test]
fn the_language_has_definitions_sequences_conditions_and_includes() {
    let text = "$VIP=192.0.2\n$BLOCK= \\\n lvs_sched rr \\\n lvs_method DR \\\n protocol TCP\n\
        ~SEQ(n,1,1,3) virtual_server ${VIP}.$n 80 { \\\n $BLOCK \\\n include rs.conf \\\n}\n";
    // a sequence takes one line: its block comes from a definition
    let text = text.replace(
        "~SEQ(n,1,1,3) virtual_server ${VIP}.$n 80 { \\\n $BLOCK \\\n include rs.conf \\\n}\n",
        "$SERVICE= \\\nvirtual_server ${VIP}.${n} 80 { \\\n$BLOCK \\\ninclude rs.conf \\\n}\n~SEQ(n,1,1,3) $SERVICE\n",
    );
    let files = &[(
        "rs.conf",
        "~LST({ip,w},{10.0.0.2,1},{10.0.0.3,5}) real_server $ip 80 { weight ${w} }\n@two real_server 10.0.0.9 80 { }\n@^two real_server 10.0.0.8 80 { }\n",
    )];
    let (all, findings) = with_files(&text, files, Some("two"));
    assert_eq!(findings.problems, []);
    let targets: Vec<_> = all.servers.iter().flat_map(|s| s.targets.clone()).collect();
    let vip = |n| Target::Address { ip: IpAddr::from([192, 0, 2, n]), port: 80 };
    assert_eq!(targets, [vip(1), vip(2), vip(3)]);
    let real: Vec<_> =
        all.servers[2].servers.iter().map(|s| (s.ip.to_string(), s.weight)).collect();
    let expected = [("10.0.0.2", 1), ("10.0.0.3", 5), ("10.0.0.9", 1)];
    assert_eq!(real, expected.map(|(ip, w)| (ip.to_owned(), w)));
}

#[test]
fn a_definition_that_contains_itself_is_told_and_ends() {
    let said = messages("$A=${A} ${A}\nglobal_defs {\n router_id $A\n}\n");
    assert!(said.iter().any(|m| m.contains("contains itself")), "{said:?}");
}

#[test]
fn a_long_text_is_read_to_its_end_and_endless_ones_are_cut() {
    let long = format!("{}{}", "# comment\nglobal_defs {\n}\n".repeat(60_000), instance(""));
    assert_eq!(parse(&long).0.instances.len(), 1);
    let said = messages("~SEQ(a,1,999) ~SEQ(b,1,999) ~SEQ(c,1,999) global_defs {\n}\n");
    assert!(said.iter().any(|m| m.contains("make too much text")), "{:?}", said.first());
}

#[test]
fn an_unknown_name_stays_and_is_no_block() {
    assert_eq!(messages(&instance(" priority $PRI")), ["invalid number '$PRI'"]);
    let said = messages("global_defs {\n router_id ${NAME}\n}\n");
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn a_missing_include_is_told_at_its_line() {
    let said = messages("global_defs {\n}\ninclude conf.d/*.conf\n");
    assert_eq!(said, ["Config files missing 'conf.d/*.conf'."]);
}

#[test]
fn an_unknown_block_ends_the_block_around_it_as_in_keepalived() {
    let text = service("", "TPC_CHECK {\n connect_port 5\n weight 3\n}\nweight 9");
    let (all, findings) = parse(&text);
    assert_eq!(findings.problems.len(), 1, "{:?}", findings.problems);
    assert_eq!(findings.problems[0].message, "Unknown keyword 'TPC_CHECK'");
    assert_eq!(findings.problems[0].help.as_deref(), Some("did you mean `TCP_CHECK`?"));
    let said: Vec<_> = findings.consequences.iter().map(|p| p.message.as_str()).collect();
    let expected =
        ["Unexpected '{' - ignoring", "Unknown keyword 'connect_port'", "Unknown keyword '}'"];
    assert_eq!(said, expected);
    // its `}` ended the real server: the weight behind is that of the service
    assert_eq!(all.servers[0].servers[0].weight, 3);
}

#[test]
fn values_out_of_range_are_told_and_the_default_stays() {
    for (line, message) in [
        ("persistence_timeout 0", "number '0' outside range [1, 2678400]"),
        ("quorum 0", "number '0' outside range [1, 4294967295]"),
        ("lvs_sched conhash", "Invalid lvs_scheduler 'conhash' - ignoring"),
        ("lvs_method dr", "PARSER : unknown [dr] routing method for virtual server."),
        ("protocol AH", "Unknown protocol AH - ignoring"),
        ("alpha maybe", "alpha: invalid value 'maybe'"),
        ("delay_loop", "delay_loop needs a parameter"),
        ("nat_mask 255.255.255.0", "Unknown keyword 'nat_mask'"),
    ] {
        assert_eq!(messages(&service(line, "")), [message], "{line}");
    }
    for (line, message) in [
        ("state SLAVE", "unknown state 'SLAVE', defaulting to BACKUP"),
        ("virtual_router_id 256", "number '256' outside range [1, 255]"),
        ("track_script {\n gone\n}", "(VI) track script gone not found, ignoring..."),
        ("track_interface {\n eth0\n}", "(VI) Ignoring track_interface eth0 since own interface"),
        (
            "authentication {\n auth_type PASS\n auth_pass longer-than-8\n}",
            "Truncating auth_pass to 8 characters",
        ),
        (
            "state MASTER\npriority 100\nnopreempt",
            "(VI) Warning - nopreempt will not work with initial state MASTER - clearing",
        ),
        (
            "virtual_rules {\n from 10.0.0.0/8 table 1\n}",
            "Rule has no preference specified - setting to 16384. This is probably not what you want.",
        ),
        (
            "virtual_routes {\n 10.0.0.0/8 via 10.1.1.1\n}",
            "Warning - cannot track route 10.0.0.0/8 with no interface specified, not tracking",
        ),
    ] {
        assert_eq!(messages(&instance(line)), [message], "{line}");
    }
}

#[test]
fn priorities_and_intervals_follow_state_and_version() {
    let first = |more: &str| parse(&instance(more)).0.instances.remove(0);
    assert_eq!(first("").priority, 100);
    assert_eq!(first("state MASTER").priority, 255);
    assert_eq!((first("priority 255").master, first("priority 200").master), (true, false));
    assert_eq!(first("advert_int 2.7").advert, Span::from_secs(2));
    assert_eq!(first("version 3\nadvert_int 0.257").advert, Span::from_millis(250));
    assert_eq!(first("").version, 2);
    assert_eq!(first("preempt_delay 5\nnopreempt").preempt_delay, Span::ZERO);
    let other = "vrrp_instance V6 {\n interface eth0\n virtual_router_id 5\n virtual_ipaddress { fe80::5 }\n}\n";
    assert_eq!(parse(other).0.instances[0].version, 3);
}

#[test]
fn announcements_have_the_values_of_the_instance_else_of_all_else_the_usual() {
    let first = |text: &str| parse(text).0.instances.remove(0);
    assert_eq!(first(&instance("")).garp, Garp::default());
    let all = "global_defs {\n vrrp_garp_master_delay 7\n vrrp_garp_master_repeat 2\n \
        vrrp_garp_master_refresh 60\n vrrp_garp_lower_prio_repeat 4\n vrrp_garp_interval 0.001\n}\n";
    let more = "garp_master_repeat 9\n garp_lower_prio_delay 1\n garp_master_refresh_repeat 3";
    let text = format!("{all}{}", instance(more));
    let expected = Garp {
        delay: Span::from_secs(7),
        repeat: 9,
        refresh: Span::from_secs(60),
        refresh_repeat: 3,
        lower_prio_delay: Span::from_secs(1),
        lower_prio_repeat: 4,
    };
    assert_eq!(first(&text).garp, expected);
    assert_eq!(parse(&text).0.global.garp_interval, Span::from_millis(1));
}

#[test]
fn the_least_of_announcements_is_one_and_no_second_burst_but_for_what_is_stated() {
    let garp = |lines: &str| parse(&format!("global_defs {{\n{lines}\n}}\n")).0.global.garp;
    let least = garp("vrrp_min_garp");
    assert_eq!((least.repeat, least.delay, least.refresh_repeat), (1, Span::ZERO, 0));
    assert_eq!((least.lower_prio_repeat, least.lower_prio_delay), (1, Span::ZERO));
    assert_eq!(garp("vrrp_garp_master_repeat 3\nvrrp_min_garp").repeat, 3);
    assert_eq!(garp("vrrp_min_garp\nvrrp_garp_master_repeat 5").repeat, 5);
    assert_eq!(garp("vrrp_min_garp no"), Garp::default());
}

#[test]
fn everything_of_an_instance_is_typed() {
    let text = instance(
        "unicast_src_ip 10.0.0.1\n unicast_ttl 64\n check_unicast_src\n unicast_peer {\n 10.0.0.2 min_ttl 250 max_ttl 255\n }\n\
         state BACKUP\n nopreempt\n timer_expired_backup 90\n down_timer_adverts 5\n lower_prio_no_advert\n\
         higher_prio_send_advert true\n skip_check_adv_addr\n no_accept\n dont_track_primary\n\
         use_vmac vr5 02:00:00:00:01\n vmac_xmit_base\n virtual_ipaddress_excluded {\n 192.0.2.9/32 dev lo\n }",
    );
    let (all, findings) = parse(&text);
    assert_eq!(findings.problems, []);
    let i = &all.instances[0];
    let peer = Peer { ip: "10.0.0.2".parse().unwrap(), min_ttl: Some(250), max_ttl: Some(255) };
    assert_eq!((i.peers.clone(), i.ttl, i.check_unicast_src), (vec![peer], Some(64), true));
    assert_eq!((i.preempt, i.timer_expired_backup, i.down_timer_adverts), (false, Some(90), 5));
    assert!(i.lower_prio_no_advert && i.higher_prio_send_advert && i.skip_check_adv_addr);
    assert!(!i.accept && !i.track_primary && !i.strict && !i.owner_ignore_adverts);
    let mac = sim_core::wire::Mac([2, 0, 0, 0, 1, 5]);
    assert_eq!(i.vmac, Some(Vmac { name: "vr5".to_owned(), mac, xmit_base: true }));
    assert_eq!(i.excluded[0].interface.as_deref(), Some("lo"));
    assert_eq!(i.mcast_group, IpAddr::from([224, 0, 0, 18]));
    let plain = &parse(&instance("use_vmac")).0.instances[0];
    let vmac = plain.vmac.as_ref().unwrap();
    assert_eq!((vmac.name.as_str(), vmac.mac.0), ("vrrp.5", [0, 0, 0x5e, 0, 1, 5]));
}

#[test]
fn strict_mode_sets_what_it_asks_for_and_tells_what_it_takes_back() {
    let strict = "global_defs {\n vrrp_strict\n}\n";
    let (all, findings) = parse(&format!("{strict}{}", instance("")));
    assert_eq!(findings.problems, []);
    let i = &all.instances[0];
    assert!(i.strict && i.lower_prio_no_advert && !i.accept);
    assert_eq!((i.garp.lower_prio_repeat, i.garp.repeat), (0, 5));
    let said = messages(&format!(
        "{strict}{}",
        instance("garp_lower_prio_repeat 2\ndown_timer_adverts 4")
    ));
    let expected = [
        "(VI) down_timer_adverts is incompatible with strict mode - resetting",
        "(VI) Strict mode requires no repeat garps. resetting",
    ];
    assert_eq!(said, expected);
    let ignores = |more: &str| parse(&instance(more)).0.instances.remove(0).owner_ignore_adverts;
    assert!(!ignores("strict_mode off\nowner_ignore_adverts"));
    assert!(ignores("priority 255\nstrict_mode"));
}

#[test]
fn trackers_have_the_weight_of_their_line_or_else_of_what_they_track() {
    let blocks = "vrrp_script s {\n script /bin/true\n weight -20 reverse\n}\ntrack_file f {\n file /tmp/f\n}\n\
        vrrp_track_process p {\n process nginx\n weight 7\n}\nbfd_instance b {\n neighbor_ip 10.0.0.9\n weight 3\n}\n";
    let tracks = "track_script {\n s\n}\ntrack_file {\n f weight 2\n}\ntrack_process {\n p\n}\n\
        track_bfd {\n b weight 0\n}\ntrack_interface {\n eth1 weight 5 reverse\n}";
    let (all, findings) = parse(&format!("{blocks}{}", instance(tracks)));
    assert_eq!(findings.problems, []);
    let shown = |t: &Tracker| (t.kind, t.weight, t.reverse);
    let expected = [
        (Track::Interface, 5, true),
        (Track::Script, -20, true),
        (Track::File, 2, false),
        (Track::Process, 7, false),
        (Track::Bfd, 0, false),
    ];
    assert_eq!(all.instances[0].trackers.iter().map(shown).collect::<Vec<_>>(), expected);
    let bfd = &all.bfd[0];
    assert_eq!(
        (bfd.min_rx, bfd.idle_tx, bfd.multiplier),
        (Span::from_millis(10), Span::from_secs(1), 5)
    );
    let behind = format!("{}{blocks}", instance("track_script {\n s\n}"));
    assert_eq!(messages(&behind), ["(VI) track script s not found, ignoring..."]);
    let delays = "interface_up_down_delays {\n eth0 1.5 2\n eth1 3\n}\n";
    let delays = parse(delays).0.delays;
    assert_eq!((delays[0].down, delays[0].up), (Span::from_millis(1500), Span::from_secs(2)));
    assert_eq!((delays[1].down, delays[1].up), (Span::from_secs(3), Span::ZERO));
}

#[test]
fn members_of_sync_groups_have_no_weights_unless_the_group_says_so() {
    let script = "vrrp_script s {\n script /bin/true\n weight 5\n}\n";
    let text = |more: &str| {
        let a = instance("track_script {\n s\n}\ntrack_interface {\n eth1 weight 9\n}");
        let b = instance("").replace("VI", "VJ").replace("id 5", "id 6");
        format!(
            "{script}{a}{b}vrrp_sync_group G {{\n group {{\n VI\n VJ\n }}\n track_script {{\n s weight 0\n }}\n{more}}}\n"
        )
    };
    let (all, findings) = parse(&text(""));
    let said: Vec<_> = findings.problems.iter().map(|p| p.message.as_str()).collect();
    let expected = [
        "(VI) ignoring eth1 tracked interface weight due to SYNC group",
        "(VI) ignoring tracked script s with weights due to SYNC group",
    ];
    assert_eq!(said, expected);
    assert_eq!(all.instances[0].trackers.len(), 1);
    assert_eq!((all.sync_groups[0].trackers.len(), all.sync_groups[0].trackers[0].weight), (1, 0));
    let (all, findings) = parse(&text("sync_group_tracking_weight\n"));
    assert_eq!((findings.problems, all.instances[0].trackers.len()), (vec![], 2));
}

#[test]
fn the_sync_daemon_follows_an_instance() {
    let text = |line: &str| format!("global_defs {{\n{line}\n}}\n{}", instance("state BACKUP"));
    let (all, findings) =
        parse(&text("lvs_sync_daemon eth1 VI maxlen 1400 port 9000 ttl 2 group 224.0.0.82"));
    assert_eq!(findings.problems, []);
    let daemon = all.global.sync_daemon.clone().unwrap();
    assert_eq!(
        (daemon.interface.as_str(), daemon.instance.as_deref(), daemon.id),
        ("eth1", Some("VI"), 5)
    );
    assert_eq!((daemon.maxlen, daemon.port, daemon.ttl), (Some(1400), Some(9000), Some(2)));
    let daemons = all.rules(&mut Findings::default()).config.daemons;
    assert_eq!(daemons.iter().map(|d| d.role.name()).collect::<Vec<_>>(), ["backup"]);
    let alone = parse(&text("lvs_sync_daemon eth1 id 9")).0;
    let daemons = alone.rules(&mut Findings::default()).config.daemons;
    assert_eq!(
        daemons.iter().map(|d| (d.role.name(), d.syncid)).collect::<Vec<_>>(),
        [("master", 9), ("backup", 9)]
    );
    for (line, message) in [
        (
            "lvs_sync_daemon eth1 inst VX",
            "Unable to find vrrp instance VX for lvs_syncd - clearing lvs_syncd config",
        ),
        ("lvs_sync_daemon eth1 VI id 300", "Invalid syncid (300) - defaulting to vrid"),
        (
            "lvs_sync_daemon eth1 VI group 10.0.0.1",
            "lvs_sync_daemon group address 10.0.0.1 is not multicast - ignoring",
        ),
        ("lvs_sync_daemon eth1 VI port", "No value specified for lvs_sync_daemon port - ignoring"),
    ] {
        assert_eq!(messages(&text(line)), [message], "{line}");
    }
}

#[test]
fn everything_of_a_checker_is_typed() {
    let text = service(
        "virtualhost www.example.net\n quorum_up \"/bin/up 1\"\n sorry_server 10.0.0.9 80\n sorry_server_inhibit\n\
         sorry_server_lvs_method DR",
        "HTTP_GET {\n connect_port 81\n bindto 10.0.0.1\n fast_recovery\n url {\n path /\n status_code 200 300-302\n regex up\n regex_no_match\n }\n}\n\
         SMTP_CHECK {\n host {\n connect_ip 10.0.0.5\n }\n}\nUDP_CHECK {\n payload 01ff\n require_reply 0x\n}\nTCP_CHECK {\n}",
    );
    let (all, findings) = parse(&text);
    assert_eq!(findings.problems, []);
    let service = &all.servers[0];
    assert_eq!(service.quorum_up.as_deref(), Some("/bin/up 1"));
    let sorry = service.sorry.as_ref().unwrap();
    assert_eq!((sorry.forwarding, sorry.inhibit, sorry.weight), (Forwarding::Dr, true, 1));
    let [http, smtp, udp, tcp] = &service.servers[0].checkers[..] else { panic!("{service:?}") };
    assert_eq!((http.port, tcp.port), (Some(81), Some(8080)));
    assert_eq!(http.source.ip, Some(IpAddr::from([10, 0, 0, 1])));
    let Check::Http { urls, fast_recovery: true, .. } = &http.kind else { panic!("{http:?}") };
    assert_eq!(urls[0].status, [(200, 200), (300, 302)]);
    assert_eq!(urls[0].virtualhost.as_deref(), Some("www.example.net"));
    assert!(urls[0].page.as_ref().is_some_and(|p| p.no_match && p.pattern == "up"));
    let Check::Smtp { hosts, .. } = &smtp.kind else { panic!("{smtp:?}") };
    assert_eq!(hosts, &[(Some(IpAddr::from([10, 0, 0, 5])), None)]);
    let Check::Udp { payload, reply: true, expected, lengths: (0, 255) } = &udp.kind else {
        panic!("{udp:?}")
    };
    assert_eq!((payload.as_deref(), expected.as_deref()), (Some(&[1, 255][..]), Some("0x")));
    for (block, message) in [
        (
            "HTTP_GET {\n url {\n path /\n status_code 99\n }\n}",
            "Invalid HTTP_GET status code '99'",
        ),
        ("UDP_CHECK {\n payload 0g\n}", "Invalid hex string for UDP_CHECK payload"),
        ("FILE_CHECK {\n}", "FILE_CHECK has no track_file specified - ignoring"),
    ] {
        assert_eq!(messages(&self::service("", block)), [message], "{block}");
    }
}

#[test]
fn sync_groups_know_their_members() {
    let two =
        format!("{}{}", instance(""), instance("").replace("VI", "VJ").replace("id 5", "id 6"));
    let group =
        |members: &str| format!("vrrp_sync_group G {{\n group {{\n{members}\n }}\n}}\n{two}");
    assert!(messages(&group("VI\nVJ")).is_empty());
    assert_eq!(parse(&group("VI VJ")).0.sync_groups[0].members, ["VI", "VJ"]);
    let said = messages(&group("VI\nVX"));
    assert_eq!(said[0], "Virtual router VX specified in sync group G doesn't exist - ignoring");
    assert!(said[1].contains("has only 1 virtual router(s)"), "{said:?}");
    assert!(parse(&group("VX")).0.sync_groups.is_empty());
}

#[test]
fn a_router_id_names_one_router_and_a_name_one_instance() {
    let twice = format!("{}{}", instance(""), instance("").replace("VI", "VJ"));
    assert_eq!(messages(&twice), ["VRID 5 on eth0 is used by VI and VJ"]);
    let same = format!("{}{}", instance(""), instance("nonsense"));
    assert_eq!(messages(&same), ["vrrp instance VI already defined"]);
}

#[test]
fn services_become_rules() {
    let text = "virtual_server_group G {\n 192.0.2.1-2 80\n fwmark 7\n}\n\
        virtual_server group G {\n lvs_sched sh\n sh-port\n lvs_method NAT\n protocol TCP\n persistence_timeout\n\
        persistence_granularity 255.255.255.0\n real_server 10.0.0.2 8080 {\n weight 70000\n uthreshold 9\n }\n\
        real_server 10.0.0.3 {\n lvs_method TUN type gue port 6080 csum\n PING_CHECK { }\n }\n}\n";
    let (all, mut findings) = parse(text);
    let rules = all.rules(&mut findings);
    assert_eq!(findings.problems, []);
    assert_eq!(findings.remarks.len(), 1, "{:?}", findings.remarks);
    let [first, second, mark] = &rules.config.services[..] else { panic!("{rules:?}") };
    let key = |n| ServiceKey::Address { protocol: 6, vip: IpAddr::from([192, 0, 2, n]), port: 80 };
    assert_eq!((first.key, second.key), (key(1), key(2)));
    assert_eq!(mark.key, ServiceKey::Fwmark { mark: 7, v6: false });
    assert_eq!((first.sched_flags, first.netmask_len), (2, 24));
    assert_eq!(first.persistent, Some(Span::from_secs(360)));
    let [nat, tun] = &first.servers[..] else { panic!("{first:?}") };
    assert_eq!((nat.port, nat.weight, nat.upper_threshold), (8080, u16::MAX, 9));
    assert_eq!(
        (tun.port, tun.forwarding, tun.tunnel.kind),
        (80, Forwarding::Tun, Encapsulation::Gue)
    );
    assert_eq!(tun.tunnel.port, 6080);
    assert_eq!(mark.servers[1].port, 0);
}

#[test]
fn ports_of_real_servers_are_those_of_the_service_but_for_nat() {
    let text = service("", "").replace("NAT", "DR");
    let (all, findings) = parse(&text);
    assert!(findings.problems[0].message.contains("ports don't match - resetting"));
    assert_eq!(all.rules(&mut Findings::default()).config.services[0].servers[0].port, 80);
}

#[test]
fn what_has_no_effect_is_listed() {
    let (all, _) = parse(&format!(
        "global_defs {{\n router_id X\n vrrp_version 3\n}}\nstatic_routes {{\n}}\n{}{}",
        instance(" notify_master x\n"),
        service("", "")
    ));
    let listed: Vec<_> = all.passed_over().into_iter().map(|(_, what)| what).collect();
    let wanted = ["global_defs: router_id", "static_routes", "vrrp_instance VI: notify_master"];
    assert_eq!(listed, wanted);
}

#[test]
fn a_configuration_is_told_from_other_files() {
    assert!(looks_like("! Configuration\nglobal_defs\n{\n}\n"));
    assert!(looks_like("$X= \\\n a \\\n b\n@low net_namespace low\n@low vrrp_instance A {\n}\n"));
    assert!(looks_like("include conf.d/*.conf\n"));
    assert!(looks_like("vvrp_script x {\n weight 5\n}\nvrrp_instance A {\n"));
    for other in [
        "",
        "name = \"x\"\n",
        "-A -t 10.0.0.1:80\n",
        "[director]\nrules = \"x {\"\n",
        "ip addr add\n",
    ] {
        assert!(!looks_like(other), "{other}");
    }
}

#[test]
fn blocks_that_do_not_begin_or_end_are_told() {
    assert_eq!(
        messages("global_defs {\n router_id X\n"),
        ["Missing '}' for the block of global_defs"]
    );
    assert_eq!(
        messages("global_defs\nrouter_id X\n}\n"),
        ["Missing '{' at beginning of configuration block"]
    );
    assert_eq!(messages("}\n"), ["Unknown keyword '}'"]);
    assert_eq!(messages("global_defs {\n router_id \"X\n}\n")[0], "Unmatched quote");
}

/// Words of the language, thrown together.
fn any_text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "virtual_server",
        "real_server",
        "vrrp_instance",
        "global_defs",
        "group",
        "fwmark",
        "{",
        "}",
        "\n",
        "\\\n",
        "\"",
        "$A",
        "$A=",
        "${A}",
        "~SEQ(i,1,9)",
        "~LST(i,a,b)",
        "@x",
        "@^x",
        "#",
        "!",
        "10.0.0.1",
        "10.0.0.0/8",
        "10.0.0.1-9",
        "80",
        "0",
        "-5",
        "99999999999",
        "\u{fc}",
        "weight",
        "priority",
        "TCP_CHECK",
        "virtual_ipaddress",
        "virtual_routes",
        "virtual_rules",
        "track_script",
        "virtual_server_group",
        "include",
        "x",
        "brd",
        "dev",
        "from",
        "lvs_method",
        "TUN",
        "type",
        "port",
        "quorum",
        "hysteresis",
        "(",
        ")",
        "\t",
    ]);
    prop::collection::vec((words, prop::sample::select(vec![" ", "", "\n"])), 0..80)
        .prop_map(|w| w.into_iter().flat_map(|(a, b)| [a, b]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_text_ends_the_program(text in any_text()) {
        let mut sources = Sources::default();
        let file = sources.add("a", text.as_str());
        let (all, mut findings) = read(&mut sources, file, &Embedded(&[("x", "include x\n")]), &Options::default());
        let _rules = all.rules(&mut findings);
        for place in findings.problems.iter().filter_map(|p| p.place.as_ref()) {
            prop_assert!(place.span.start <= place.span.end);
            prop_assert!(sources.text(place.file).get(place.span.clone()).is_some(), "{:?}", place);
        }
        let _recognised = looks_like(&text);
    }

    #[test]
    fn no_letters_end_the_program(text in "\\PC{0,200}") {
        let (all, mut findings) = parse(&text);
        let _rules = all.rules(&mut findings);
    }
}
