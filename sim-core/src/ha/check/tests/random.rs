//! Whatever servers do, the table of the kernel is what keepalived means it to be.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The destinations of one service, as the kernel keeps them.
#[derive(Default)]
struct Table(BTreeMap<IpAddr, u16>);

impl Table {
    /// Does what is asked; keepalived asks for nothing that the kernel refuses.
    fn take(&mut self, out: Vec<Action>) -> Vec<u32> {
        let mut asked = Vec::new();
        for action in out {
            match action {
                Action::Ask { checker, .. } => asked.push(checker),
                Action::Command(Command::AddServer(_, r)) => {
                    assert_eq!(self.0.insert(r.rip, r.weight), None, "added twice");
                }
                Action::Command(Command::EditServer(_, r)) => {
                    assert!(self.0.insert(r.rip, r.weight).is_some(), "edited before it was added");
                }
                Action::Command(Command::DeleteServer(_, rip, _)) => {
                    assert!(self.0.remove(&rip).is_some(), "deleted before it was added");
                }
                _ => {}
            }
        }
        asked
    }
}

/// Three servers with weights 1, 2, 3, each with one checker.
fn any_pool() -> impl Strategy<Value = VirtualServerConfig> {
    let flags = any::<[bool; 8]>();
    (flags, 1..7_u32, 0..4_u32, 0..3_u32).prop_map(|(flags, quorum, hysteresis, retry)| {
        let mut vs = web(3);
        for (n, server) in vs.servers.iter_mut().enumerate() {
            server.rule.weight = n as u16 + 1;
            server.inhibit = flags[n];
            server.checkers[0].alpha = flags[n + 3];
            server.checkers[0].retry = retry;
            // one at a time
            server.checkers[0].phase = Some(secs(0.1 * n as f64));
        }
        (vs.quorum, vs.hysteresis) = (quorum, hysteresis.min(quorum - 1));
        let rule = ServerRule::new(rip(99), 80);
        vs.sorry = flags[6].then_some(SorryConfig { rule, inhibit: flags[7] });
        vs
    })
}

/// What the table must be, given who is up and whether the quorum is there.
fn expected(vs: &VirtualServerConfig, checks: &Checks, quorum: bool) -> BTreeMap<IpAddr, u16> {
    let mut table = BTreeMap::new();
    let serves = quorum || vs.sorry.is_none();
    for (n, server) in vs.servers.iter().enumerate() {
        let up = checks.is_up(0, n as u32) == Some(true);
        if up && serves {
            table.insert(server.rule.rip, server.rule.weight);
        } else if server.inhibit {
            table.insert(server.rule.rip, 0);
        }
    }
    match vs.sorry {
        Some(sorry) if !serves => {
            table.insert(sorry.rule.rip, 1);
        }
        Some(sorry) if sorry.inhibit => {
            table.insert(sorry.rule.rip, 0);
        }
        _ => {}
    }
    table
}

proptest! {
    #[test]
    fn the_table_holds_those_that_are_up_or_the_sorry_server(
        vs in any_pool(),
        answers in prop::collection::vec(any::<bool>(), 1..80),
    ) {
        let mut checks = Checks::new(&config(vs.clone()), 1, "lb1");
        let (mut table, mut out) = (Table::default(), Vec::new());
        checks.start(Time::ZERO, |_| true, &mut out);
        let (mut quorum, mut now) = (false, Time::ZERO);
        let mut answers = answers.into_iter();
        loop {
            for action in &out {
                if let Action::Note(Note::Quorum { gained, .. }) = action {
                    quorum = *gained;
                }
            }
            let asked = table.take(core::mem::take(&mut out));
            prop_assert_eq!(&table.0, &expected(&vs, &checks, quorum));
            if let [checker] = asked[..] {
                let Some(good) = answers.next() else { break };
                let finding = if good { Finding::Connected } else { Finding::Refused };
                checks.found(now, checker, finding, &mut out);
            } else {
                prop_assert!(asked.is_empty(), "phases differ");
                now = checks.next_deadline().expect("there is always a next check");
                checks.on_deadline(now, &mut out);
            }
        }
        out.clear();
        checks.stop(&mut out);
        table.take(out);
        prop_assert!(table.0.is_empty());
    }
}
