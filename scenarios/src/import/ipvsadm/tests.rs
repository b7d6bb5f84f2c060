//! Whole rules, and whether they can be played.

mod lines;

use super::*;
use schedulers::Algorithm;
use sim_core::engine::Span;
use sim_core::ipvs::rules::DaemonRole;
use sim_core::ipvs::rules::{Forwarding, ServiceRule};

fn rules(text: &str) -> (Rules, Vec<Problem>) {
    let mut sources = Sources::default();
    let file = sources.add("a.ipvsadm", text);
    let mut problems = Vec::new();
    let rules = read_file(&sources, file, Names::NONE, &mut problems);
    (rules, problems)
}

fn message(text: &str) -> String {
    let (_, problems) = rules(text);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].message.clone()
}

const HEAD: &str = "-A -t 10.0.0.1:80 -s rr\n";

#[test]
fn what_ipvsadm_save_prints_is_read() {
    let (rules, problems) = rules(
        "# saved\n\n-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 192.168.0.2:80 -m -w 1\n\
         -a -t 10.0.0.1:80 -r 192.168.0.3:8080 -m -w 2\n\
         -A -u 10.0.0.1:53 -s rr\n-a -u 10.0.0.1:53 -r 192.168.0.2:53 -i -w 1 --tun-type ipip\n",
    );
    assert_eq!(problems, []);
    let [tcp, udp] = &rules.config.services[..] else { unreachable!("two services") };
    assert_eq!(tcp.scheduler, Algorithm::Wlc);
    assert_eq!(tcp.servers[1].port, 8080);
    assert_eq!(tcp.servers[1].weight, 2);
    assert_eq!(udp.servers[0].forwarding, Forwarding::Tun);
    assert_eq!(rules.servers[0].len(), 2);
}

#[test]
fn long_options_combined_words_and_the_name_of_the_program_are_read() {
    let (rules, problems) = rules(
        "ipvsadm -C\nipvsadm --add-service --tcp-service=10.0.0.1:80 --scheduler rr\n\
         ipvsadm -at 10.0.0.1:80 --real-server 192.168.0.2 --masquerading -w5 -x 10 -y 5\n\
         --set 900 0 300\n",
    );
    assert_eq!(problems, []);
    let server = rules.config.services[0].servers[0];
    assert_eq!((server.port, server.weight), (80, 5));
    assert_eq!((server.upper_threshold, server.lower_threshold), (10, 5));
    assert_eq!(rules.config.timeouts.tcp, Some(Span::from_secs(900)));
    assert_eq!(rules.config.timeouts.tcp_fin, None);
}

#[test]
fn defaults_are_those_of_ipvsadm() {
    let (rules, _) = rules("-A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 192.168.0.2:8080\n");
    let service = &rules.config.services[0];
    assert_eq!(service.scheduler, Algorithm::Wlc);
    // gatewaying, weight 1, and the port forced to that of the service
    assert_eq!(service.servers[0].forwarding, Forwarding::Dr);
    assert_eq!(service.servers[0].weight, 1);
    assert_eq!(service.servers[0].port, 80);
}

#[test]
fn another_method_for_all_forces_the_port_where_it_cannot_be_mapped() {
    let (mut rules, _) = rules(&format!("{HEAD}-a -t 10.0.0.1:80 -r 192.168.0.2:8080 -m\n"));
    set_forwarding(&mut rules.config, Forwarding::Nat);
    assert_eq!(rules.config.services[0].servers[0].port, 8080);
    set_forwarding(&mut rules.config, Forwarding::Tun);
    assert_eq!(rules.config.services[0].servers[0].port, 80);
}

#[test]
fn a_wrong_line_says_what_ipvsadm_would_say() {
    let with_head = |line: &str| message(&format!("{HEAD}{line}\n"));
    assert_eq!(with_head(HEAD.trim()), "Service already exists");
    assert_eq!(with_head("-a -t 10.0.0.9:80 -r 192.168.0.2"), "Service not defined");
    assert_eq!(with_head("-a -t 10.0.0.1:80 -r 192.168.0.2 -w 70000"), "illegal weight specified");
    assert_eq!(
        with_head("-a -t 10.0.0.1:80 -m"),
        "You need to supply the 'real-server' option for the 'add-server' command"
    );
    assert_eq!(
        with_head("-a -t 10.0.0.1:80 -r 192.168.0.2 -s rr"),
        "Illegal 'scheduler' option with the 'add-server' command"
    );
    assert_eq!(
        with_head("-a -t 10.0.0.1:80 -r 192.168.0.2 -m -i"),
        "multiple 'forwarding-method' options specified"
    );
    assert_eq!(with_head("-a -t 10.0.0.1:80 -r 192.168.0.2 foo"), "unexpected argument foo");
    assert_eq!(
        with_head("-a -t 10.0.0.1:80 -r 192.168.0.2 --wieght 3"),
        "--wieght: unknown option"
    );
    assert_eq!(message("-A -t 10.0.0.1"), "Zero port specified for non-persistent service");
    assert_eq!(
        message("-A -t 10.0.0.1:80 -o"),
        "One-Packet Scheduling is only for UDP virtual services"
    );
    assert_eq!(message("-A -t 10.0.0.1:80 -s rrr"), "`rrr` is no scheduler");
    assert_eq!(message("-A -t 10.0.0.1:80 -b sh-port"), "incompatible scheduler flag `sh-port'");
    assert_eq!(message("--set 1 2"), "--set option requires 3 timeout values");
    assert_eq!(message("hello"), "`hello` is no command of ipvsadm");
    assert_eq!(message("-D -t 10.0.0.1:80"), "No such service");
    assert_eq!(message("-R"), "the command --restore has no place in rules");
    assert_eq!(with_head("-d -t 10.0.0.1:80 -r 10.0.0.2"), "No such destination");
    assert_eq!(with_head("-e -t 10.0.0.1:80 -r 10.0.0.2 -m"), "No such destination");
    assert_eq!(message("-A -t web:80"), "illegal virtual server address[:port] specified");
    assert_eq!(
        with_head("-a -t 10.0.0.1:80 -r 192.168.0.2 -x 5 -y 9"),
        "Numerical result out of range"
    );
}

#[test]
fn a_daemon_is_a_part_of_the_rules() {
    let (rules, problems) = rules("--start-daemon backup --mcast-interface eth0 --syncid 3\n");
    assert_eq!(problems, []);
    let daemon = &rules.config.daemons[0];
    assert_eq!((daemon.role, &*daemon.interface, daemon.syncid), (DaemonRole::Backup, "eth0", 3));
}

#[test]
fn every_scheduler_and_every_flag_of_it_is_read() {
    for algorithm in Algorithm::ALL {
        let (rules, problems) = rules(&format!("-A -t 10.0.0.1:80 -s {algorithm}\n"));
        assert_eq!(problems, []);
        assert_eq!(rules.config.services[0].scheduler, algorithm);
    }
    for (flags, bits) in [
        ("sh -b sh-fallback", 1),
        ("sh -b sh-port,sh-fallback", 3),
        ("mh -b mh-port", 2),
        ("mh -b flag-1,flag-2,flag-3", 7),
    ] {
        let (rules, problems) = rules(&format!("-A -t 10.0.0.1:80 -s {flags}\n"));
        assert_eq!(problems, []);
        assert_eq!(rules.config.services[0].sched_flags, bits, "{flags}");
    }
    assert_eq!(message("-A -t 10.0.0.1:80 -s sh -b sh-prot"), "`sh-prot` is no scheduler flag");
}

#[test]
fn problems_stand_at_their_words_also_in_a_part_of_a_text() {
    let mut sources = Sources::default();
    let file = sources.add("a.toml", "rules = '''-A -t 10.0.0.1:80 -s rrr'''");
    let mut problems = Vec::new();
    read(file, 11, "-A -t 10.0.0.1:80 -s rrr", Names::NONE, &mut problems);
    let place = problems[0].place.clone().unwrap();
    assert_eq!(&sources.text(file)[place.span], "rrr");
}

#[test]
fn rules_are_told_from_other_files() {
    assert!(looks_like("# x\n-A -t 1.1.1.1:80\n"));
    assert!(looks_like("ipvsadm -C\n"));
    assert!(looks_like("/sbin/ipvsadm --set 1 2 3\n"));
    assert!(looks_like("--add-service -t 1.1.1.1:80\n"));
    assert!(!looks_like("-t 1.1.1.1:80 -A\n"));
    assert!(!looks_like("- item\n"));
    assert!(!looks_like("[cluster]\n"));
    assert!(!looks_like(""));
}

#[test]
fn rules_are_what_all_lines_leave() {
    let (rules, problems) = rules(
        "-A -t 10.0.0.1:80 -s rr\n-A -u 10.0.0.1:53\n-a -u 10.0.0.1:53 -r 10.0.0.2 -m\n\
         -a -t 10.0.0.1:80 -r 10.0.0.2 -m -w 3\n-a -t 10.0.0.1:80 -r 10.0.0.3 -m -w 3\n\
         -E -t 10.0.0.1:80 -s sh -b sh-port\n-e -t 10.0.0.1:80 -r 10.0.0.2\n\
         -d -t 10.0.0.1:80 -r 10.0.0.3\n-D -u 10.0.0.1:53\n-Ln\n-Z\n-S\n",
    );
    assert_eq!(problems, []);
    let [service] = &rules.config.services[..] else { unreachable!("one service") };
    assert_eq!((service.scheduler, service.sched_flags), (Algorithm::Sh, 2));
    // an edit replaces everything by what it says or by the defaults
    let [server] = service.servers[..] else { unreachable!("one server") };
    assert_eq!((server.weight, server.forwarding), (1, Forwarding::Dr));
    assert_eq!(rules.servers[0].len(), 1);
}

#[test]
fn a_wrong_service_makes_its_servers_no_further_mistake() {
    let text = "-A -t 10.0.0.1:80 -s rrr\n-a -t 10.0.0.1:80 -r 10.0.0.2\n\
                -e -t 10.0.0.1:80 -r 10.0.0.2 -w 2\n-d -t 10.0.0.1:80 -r 10.0.0.2\n";
    assert_eq!(message(text), "`rrr` is no scheduler");
}

proptest::proptest! {
    #[test]
    fn no_text_ends_the_reader(text in "[-AatrswpMgimxy0-9.: \n#=]{0,120}") {
        let (_, problems) = rules(&text);
        for p in problems {
            proptest::prop_assert!(!p.message.is_empty());
        }
    }
}

#[test]
fn after_a_deletion_what_stood_behind_it_is_found_where_it_stands_now() {
    let (rules, problems) = rules(
        "-A -t 10.0.0.1:80\n-A -t 10.0.0.2:80\n-a -t 10.0.0.1:80 -r 192.168.0.1\n\
         -a -t 10.0.0.2:80 -r 192.168.0.1\n-a -t 10.0.0.2:80 -r 192.168.0.2\n-a -t 10.0.0.2:80 -r 192.168.0.3\n\
         -d -t 10.0.0.2:80 -r 192.168.0.1\n-e -t 10.0.0.2:80 -r 192.168.0.3 -w 7\n\
         -D -t 10.0.0.1:80\n-e -t 10.0.0.2:80 -r 192.168.0.2 -w 3\n-E -t 10.0.0.2:80 -s rr\n\
         -A -t 10.0.0.1:80\n-a -t 10.0.0.1:80 -r 192.168.0.1 -w 9\n",
    );
    assert_eq!(problems, []);
    let [second, first] = &rules.config.services[..] else { unreachable!("two services") };
    let weights = |s: &ServiceRule| s.servers.iter().map(|s| s.weight).collect::<Vec<_>>();
    assert_eq!(second.scheduler, Algorithm::Rr);
    assert_eq!((weights(second), weights(first)), (vec![3, 7], vec![9]));
    assert_eq!(rules.servers.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn of_very_many_services_a_message_names_some() {
    let mut many: Vec<_> = (1..=50).map(|n| format!("-A -t 10.0.0.1:{n}")).collect();
    many.push("-E -t 10.0.0.9:80 -s rr".to_owned());
    let (_, problems) = rules(&many.join("\n"));
    let label = &problems[0].label;
    assert!(label.ends_with(":20 and 30 more"), "{label}");
}
