use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> (Ldirectord, Findings) {
    let mut sources = Sources::default();
    let file = sources.add("ldirectord.cf", text);
    read(&sources, file)
}

fn messages(text: &str) -> Vec<String> {
    parse(text).1.problems().map(|p| p.message.clone()).collect()
}

/// A file of which nothing is reported, with more lines in its service.
fn service(more: &str) -> String {
    format!("quiescent=yes\nvirtual=10.0.0.1:80\n\treal=10.1.0.2:80 gate\n{more}\n")
}

#[test]
fn what_is_not_said_has_the_values_of_the_program() {
    let (all, findings) = parse("virtual=10.0.0.1:53\n    real=10.1.0.2 masq\n");
    assert_eq!(findings.problems().count(), 0);
    assert_eq!(findings.remarks.len(), 1);
    let v = &all.virtuals[0];
    assert_eq!(
        (v.protocol, v.service.as_str(), v.scheduler.as_str()),
        (Protocol::Udp, "dns", "wrr")
    );
    assert_eq!((v.check_timeout, v.negotiate_timeout), (Span::from_secs(5), Span::from_secs(30)));
    assert_eq!((v.check_interval, v.check_count, v.failure_count), (Span::from_secs(10), 1, 1));
    assert_eq!((v.quiescent, v.cleanstop, v.check), (false, true, CheckType::Negotiate));
    assert_eq!((v.real[0].port, v.real[0].weight), (0, 1));
    assert_eq!(v.real[0].forwarding, Forwarding::Nat);
}

#[test]
fn timeouts_take_each_others_place() {
    let timeouts = |text: &str| {
        let v = parse(text).0.virtuals.remove(0);
        (v.check_timeout, v.negotiate_timeout)
    };
    let s = Span::from_secs;
    assert_eq!(timeouts(&service("\tchecktimeout=3")), (s(3), s(3)));
    assert_eq!(timeouts(&service("\tnegotiatetimeout=4")), (s(4), s(4)));
    assert_eq!(timeouts(&format!("checktimeout=7\n{}", service(""))), (s(7), s(7)));
    let both = format!("checktimeout=7\nnegotiatetimeout=9\n{}", service("\tchecktimeout=3"));
    assert_eq!(timeouts(&both), (s(3), s(3)));
    assert_eq!(
        timeouts(
            "checktimeout=7\nnegotiatetimeout=9\nvirtual=1\n    real=10.0.0.2 gate\n\tservice=http"
        ),
        (s(7), s(9))
    );
}

#[test]
fn real_servers_have_many_forms() {
    let text = "quiescent=no\nfallback=127.0.0.1:80 masq\nvirtual=7\n\tservice=http\n\tprotocol=fwm\n\
        \treal=10.1.0.2->10.1.0.4:http gate 5 \"index.html\", \"up\" l:3 u:9\n\treal=web:8080 ipip # last\n\
        \tfallback=10.1.0.9\nvirtual6=[2001:db8::1]:80\n\treal6=[2001:db8::2]:80 gate\n\
        virtual=vip.example.net:80\n\treal=10.1.0.2:80 gate 0\n";
    let (all, findings) = parse(text);
    assert_eq!(findings.problems().collect::<Vec<_>>(), Vec::<&crate::diagnostic::Problem>::new());
    let [mark, v6, name] = &all.virtuals[..] else { panic!("{all:?}") };
    assert_eq!((mark.target.clone(), mark.protocol), (Target::Fwmark(7), Protocol::Fwm));
    let last = &mark.real[2];
    assert_eq!(last.host, Host::Ip([10, 1, 0, 4].into()));
    assert_eq!((last.port, last.weight, last.thresholds), (80, 5, (9, 3)));
    assert_eq!(last.exchange, Some(("/index.html".to_owned(), "up".to_owned())));
    let named = &mark.real[3];
    assert_eq!(
        (named.host.clone(), named.forwarding),
        (Host::Name("web".to_owned()), Forwarding::Tun)
    );
    assert_eq!(mark.fallback.as_ref().map(|f| (f.port, f.forwarding)), Some((0, Forwarding::Dr)));
    assert_eq!((v6.v6, v6.fallback.is_none(), v6.real[0].port), (true, true, 80));
    assert_eq!(name.fallback.as_ref().map(|f| f.forwarding), Some(Forwarding::Nat));
    assert_eq!(name.real[0].weight, 0);
}

#[test]
fn everything_of_a_service_is_typed() {
    let lines = "\tchecktype = external\n\tcheckcommand=\"/bin/check x\"\n\tcheckport=8080\n\tpersistent=600\n\
        \tnetmask=255.255.255.0\n\tscheduler=lc\n\tschedflags=sh-port\n\tvirtualhost=\"www.example.net\"\n\
        \tservice=https\n\trequest=\"up.html\"\n\treceive=\"OK\"\n\thttpmethod=head\n\tquiescent=no\n\
        \tcleanstop=no\n\tfailurecount=3\n\tlogin=\"user\"\n\temailalert=ops@example.com\n# note\n\tprotocol=tcp";
    let (all, findings) = parse(&service(lines));
    assert_eq!(findings.problems().count(), 0, "{findings:?}");
    let v = &all.virtuals[0];
    assert_eq!((v.check, v.check_command.as_str()), (CheckType::External, "/bin/check x"));
    assert_eq!((v.check_port, v.netmask), (Some(8080), Some(24)));
    assert_eq!(v.persistent, Some(Span::from_secs(600)));
    assert_eq!((v.scheduler.as_str(), v.service.as_str()), ("lc", "https"));
    assert_eq!((v.request.as_str(), v.receive.as_str()), ("/up.html", "OK"));
    assert_eq!(v.virtualhost.as_deref(), Some("www.example.net"));
    assert_eq!((v.http_head, v.quiescent, v.cleanstop, v.failure_count), (true, false, false, 3));
    let combined = parse(&service("\tchecktype=5")).0.virtuals.remove(0).check;
    assert_eq!(combined, CheckType::Combined(5));
}

#[test]
fn what_ldirectord_ends_at_is_an_error() {
    for (line, message) in [
        (
            "\tchecktype=conect",
            "checktype must be \"connect\", \"negotiate\", \"on\", \"off\", \"ping\", \"external\", \"external-perl\" or a positive number",
        ),
        ("\trequest=index.html", "Unknown command \"request=index.html\""),
        ("\tquiescent=yes ", "quiescent must be 'yes' or 'no'"),
        ("\tscheduler=WRR", "invalid scheduler, should be only lowercase letters (a-z)"),
        ("\tnetmask=24", "invalid netmask: dotted quad notation is required"),
        (
            "\tprotocol=fwm",
            "protocol must be tcp or udp if the virtual service is an address and port",
        ),
        ("\tcheckport=70000", "checkport must be in range 1..65536"),
        ("\tcheckinterval=0", "invalid checkinterval"),
        ("\treal=10.0.0.2:80", "invalid address for real server (wrong format)"),
        ("\treal=10.0.0.2:80 dr", "forward method must be gate, masq or ipip"),
        ("\treal=10.0.0.2:80 gate 1 x", "Invalid real server line, around \" x\""),
        ("\treal6=[::1]:80 gate", "cannot specify \"real6\" here.  please use \"real\" instead"),
        ("\tconnecttimeout=3", "connecttimeout directive deprecated in favour of negotiatetimeout"),
        ("   real=10.0.0.3:80 gate", "Unknown command \"real=10.0.0.3:80 gate\""),
        ("\n\treal=10.0.0.3:80 gate", "Unknown command \"real=10.0.0.3:80 gate\""),
        (
            "timeout=3",
            "timeout directive deprecated in favour of checktimeout and negotiatetimeout",
        ),
        ("fork=maybe", "fork must be 'yes' or 'no'"),
        ("virtual=10.0.0.1:80\n\treal=10.0.0.3:80 gate", "duplicate virtual server"),
        (
            "virtual=[::1]:80",
            "cannot specify an IPv6 address here. please use \"virtual6\" instead.",
        ),
        ("virtual=!", "invalid address for virtual server"),
        ("checkcount=x", "invalid check count value"),
    ] {
        let (_, findings) = parse(&service(line));
        let said: Vec<_> = findings.errors.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(said, [message], "{line}");
    }
    let text = service("\tshceduler=rr");
    let (_, findings) = parse(&text);
    assert_eq!(findings.errors[0].help.as_deref(), Some("did you mean `scheduler`?"));
    assert_eq!(findings.errors[0].place.as_ref().map(|p| &text[p.span.clone()]), Some("shceduler"));
}

#[test]
fn what_is_hardly_meant_is_a_warning() {
    for (line, message) in [
        ("\treal=10.1.0.2:80 gate", "the real server is there twice"),
        ("\tscheduler=wwr", "ipvsadm does not know the scheduler wwr"),
        ("\tnetmask=255.255.255.0", "10.0.0.1:80: netmask has no effect without persistent"),
        (
            "\tservice=none",
            "10.0.0.1:80: negotiate has no meaning without `service=`: real servers are taken to work",
        ),
        ("\tcheckinterval=3", "checkinterval in virtual service 10.0.0.1:80 ignored when fork=no"),
        ("supervised", "please update your config not to use a bare supervised directive"),
        ("virtual=10.0.0.2:80", "10.0.0.2:80 has no real servers"),
        (
            "\tcheckcount=3",
            "checkcount option is deprecated and slated for removal.  please see 'failurecount'",
        ),
    ] {
        let (_, findings) = parse(&service(line));
        assert_eq!(findings.errors, [], "{line}");
        assert_eq!(messages(&service(line)), [message], "{line}");
    }
}

#[test]
fn the_file_is_told_from_others() {
    assert!(looks_like(&service("")));
    assert!(looks_like("checktimeout=3\nautoreload=no\n"));
    for other in
        ["", "virtual = \"x\"\n", "name = \"x\"\n", "-A -t 10.0.0.1:80\n", "global_defs {\n}\n"]
    {
        assert!(!looks_like(other), "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_ends_the_program(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "virtual=", "virtual6=", "real=", "fallback=", "\n", "\t", "    ", "10.0.0.1", ":", "80",
                "->", "gate", " ", "\"", ",", "l:", "u:", "#", "=", "[::1]", "\u{fc}", "checktype=", "99999999999",
                "service=", "request=\"", "netmask=", "quiescent=yes", "protocol=", "x",
            ]),
            0..60,
        ),
    ) {
        let text = parts.concat();
        let (_, findings) = parse(&text);
        for problem in findings.problems() {
            let span = problem.place.as_ref().map(|p| p.span.clone()).unwrap_or(0..0);
            prop_assert!(text.get(span).is_some(), "{problem:?}");
        }
    }
}
