//! What reaches the stack from outside: packets, ICMP errors, wakes.

use super::block::{Fate, State, Tuple, ticks, ticks_since};
use super::output::reset_for;
use super::stack::{Owner, TIME_WAIT_BIT, TcpStack};
use super::{Arrival, CHALLENGE_INTERVAL, Output, SEGMENT_OPTIONS};
use crate::engine::Time;
use crate::wire::{Flags, Packet, icmp, proto};

/// What a segment means to a connection in `TIME_WAIT`.
enum Afterlife {
    /// Nothing.
    Ignore,
    /// The connection is forgotten.
    Forget,
    /// A new connection with this initial sequence number may take its place.
    Reopen(u32),
    /// It is answered, and the time starts again.
    Acknowledge,
}

impl TcpStack {
    /// A TCP packet for a local address arrived. `link_mtu` is the MTU of the interface towards the
    /// sender; it counts for a SYN only. A segment that nobody wants is answered with a RST.
    pub fn on_packet(
        &mut self,
        now: Time,
        packet: &Packet,
        link_mtu: u16,
        out: &mut Output,
    ) -> Arrival {
        self.reclaim();
        let whole = packet.kind.is_ip() && !packet.is_fragment();
        if !whole || packet.proto != proto::TCP {
            return Arrival::Invalid;
        }
        self.counters.in_segs += 1;
        let tuple = Tuple::of_received(packet);
        match self.find(now, &tuple) {
            Some(Owner::Block(slot)) => {
                self.run(now, slot, out, |block, cx| block.on_segment(packet, cx))
            }
            Some(Owner::TimeWait(serial)) => self.in_time_wait(now, serial, packet, link_mtu, out),
            None => {
                let iss = self.initial_sequence(now, tuple.local(), tuple.remote());
                self.without_connection(now, packet, iss, link_mtu, out)
            }
        }
    }

    /// An ICMP error arrived that quotes a TCP packet sent from here (`quoted`). `kind` and `code` are those
    /// of the error; `mtu` is the next-hop MTU of a "fragmentation needed".
    ///
    /// That one makes segments smaller and sends what was too large again at once. Others end a connection that
    /// is not yet established, and are remembered by an established one as the reason should it give up.
    pub fn on_icmp_error(
        &mut self,
        now: Time,
        quoted: &Packet,
        kind: u8,
        code: u8,
        mtu: u16,
        out: &mut Output,
    ) {
        self.reclaim();
        let errors = [icmp::UNREACHABLE, icmp::TIME_EXCEEDED];
        if quoted.proto != proto::TCP || !errors.contains(&kind) {
            return;
        }
        let tuple = Tuple::of_sent(quoted);
        let Some(Owner::Block(slot)) = self.find(now, &tuple) else { return };
        if !self.slots[slot as usize].quoted_is_mine(quoted) {
            return;
        }
        if (kind, code) == (icmp::UNREACHABLE, icmp::FRAG_NEEDED) {
            let (mtu, fragment) = self.paths.learn(now, tuple.remote().0, mtu);
            self.run(now, slot, out, |block, cx| {
                block.shrink_path(mtu, fragment, cx);
                (Fate::Live, Arrival::Delivered)
            });
        } else {
            self.run(now, slot, out, |block, _| {
                (block.on_unreachable(kind, code), Arrival::Delivered)
            });
        }
    }

    /// A wake that was asked for in [`Output::wakes`] has come. One that nobody waits for any more, or
    /// for a slot that never was, is ignored.
    pub fn on_wake(&mut self, now: Time, slot: u32, out: &mut Output) {
        self.reclaim();
        if slot == Self::TIME_WAIT_SLOT {
            self.clear_time_waits(now, out);
            return;
        }
        let Some(block) = self.slots.get_mut(slot as usize) else { return };
        if block.armed > now || block.state == State::Free {
            return;
        }
        block.armed = Time::NEVER;
        self.run(now, slot, out, |block, cx| (block.on_deadline(cx), Arrival::Delivered));
    }

    /// Takes back the memory of connections whose `TIME_WAIT` is over.
    fn clear_time_waits(&mut self, now: Time, out: &mut Output) {
        while let Some(serial) = self.ring.first_over(now) {
            self.remove_from_table(serial | TIME_WAIT_BIT);
            self.ring.pop_first();
        }
        out.wakes.extend(self.ring.next().map(|at| (at, Self::TIME_WAIT_SLOT)));
    }

    /// A segment that belongs to no connection: a SYN for a listener, or an error.
    fn without_connection(
        &mut self,
        now: Time,
        p: &Packet,
        iss: u32,
        link_mtu: u16,
        out: &mut Output,
    ) -> Arrival {
        if p.flags.has(Flags::RST) {
            return Arrival::NoSocket;
        }
        let listener = self.listeners.find(p.dport);
        let (Some(listener), false) = (listener, p.flags.has(Flags::ACK)) else {
            self.refuse(p, out);
            return Arrival::NoSocket;
        };
        if !p.flags.has(Flags::SYN) || p.flags.has(Flags::FIN) {
            return Arrival::Invalid;
        }
        if !self.listeners.admit_syn(listener) {
            self.counters.listen_drops += 1;
            return Arrival::BacklogFull;
        }
        self.counters.passive_opens += 1;
        let tuple = Tuple::of_received(p);
        let mut block = self.new_block(now, tuple, iss, link_mtu, p.tag);
        block.listener = listener;
        block.state = State::SynReceived;
        let slot = self.place(block);
        self.run(now, slot, out, |block, cx| {
            block.negotiate(p, cx.config);
            block.send_syn(cx);
            block.rto_at = cx.now + block.rto_now(cx.config);
            block.arm_first(cx);
            (Fate::Live, Arrival::Delivered)
        })
    }

    /// Answers with a RST.
    fn refuse(&mut self, p: &Packet, out: &mut Output) {
        self.counters.out_segs += 1;
        self.counters.out_rsts += 1;
        out.packets.push(reset_for(p, self.ttl));
    }

    /// A segment for a connection in `TIME_WAIT` (Linux `tcp_timewait_state_process`, RFC 1122, section
    /// 4.2.2.13, RFC 6191 without timestamps).
    fn in_time_wait(
        &mut self,
        now: Time,
        serial: u32,
        p: &Packet,
        link_mtu: u16,
        out: &mut Output,
    ) -> Arrival {
        let Some(entry) = self.ring.get(serial, now) else { return Arrival::Invalid };
        let ahead = p.seq.wrapping_sub(entry.rcv_nxt) as i32;
        let only_syn = p.flags.has(Flags::SYN) && !p.flags.has(Flags::ACK);
        let empty = p.payload() == 0 && !p.flags.has(Flags::SYN) && !p.flags.has(Flags::FIN);
        let afterlife = if p.flags.has(Flags::RST) {
            if ahead == 0 { Afterlife::Forget } else { Afterlife::Ignore }
        } else if only_syn && ahead > 0 {
            Afterlife::Reopen(entry.snd_nxt.wrapping_add(65_537))
        } else if empty && ahead == 0 {
            Afterlife::Ignore
        } else {
            Afterlife::Acknowledge
        };
        match afterlife {
            Afterlife::Ignore => Arrival::Delivered,
            Afterlife::Forget => {
                self.forget_time_wait(serial);
                Arrival::Delivered
            }
            Afterlife::Reopen(iss) if self.listeners.find(p.dport).is_some() => {
                self.forget_time_wait(serial);
                self.without_connection(now, p, iss, link_mtu, out)
            }
            Afterlife::Reopen(_) | Afterlife::Acknowledge => {
                self.acknowledge_after_end(now, serial, p, out);
                Arrival::Delivered
            }
        }
    }

    /// Answers a segment of a connection in `TIME_WAIT` and lets its time start again.
    fn acknowledge_after_end(&mut self, now: Time, serial: u32, p: &Packet, out: &mut Output) {
        let Some(entry) = self.ring.get(serial, now) else { return };
        let old = *entry;
        let data = p.payload() > 0 || p.flags.has(Flags::FIN);
        let since = ticks_since(now, old.answered_at);
        let answer = data || old.answered_at == 0 || since >= CHALLENGE_INTERVAL;
        if p.flags.has(Flags::ACK) {
            self.renew_time_wait(now, serial, out);
        }
        if !answer {
            return;
        }
        if let Some(Owner::TimeWait(serial)) = self.find(now, &old.tuple)
            && let Some(entry) = self.ring.get(serial, now)
        {
            entry.answered_at = ticks(now);
        }
        let opt = if p.opt > 0 && self.config.options { SEGMENT_OPTIONS } else { 0 };
        let mut ack = Packet::ip(p.dst, p.src, proto::TCP, 20 + u16::from(opt));
        ack.sport = p.dport;
        ack.dport = p.sport;
        ack.ttl = self.ttl;
        ack.set_dont_fragment();
        ack.tag = p.tag;
        ack.seq = old.snd_nxt;
        ack.ack = old.rcv_nxt;
        ack.window = self.config.receive_window;
        ack.flags = Flags::ACK;
        ack.opt = opt;
        self.counters.out_segs += 1;
        out.packets.push(ack);
    }

    /// Puts an entry at the end of the ring.
    fn renew_time_wait(&mut self, now: Time, serial: u32, out: &mut Output) {
        let Some(entry) = self.ring.get(serial, now) else { return };
        let old = *entry;
        self.forget_time_wait(serial);
        let (fresh, wake) = self.ring.push(now, old.tuple, old.snd_nxt, old.rcv_nxt);
        self.insert_time_wait(&old.tuple, fresh);
        if let Some(entry) = self.ring.get(fresh, now) {
            entry.answered_at = old.answered_at;
        }
        out.wakes.extend(wake.map(|at| (at, Self::TIME_WAIT_SLOT)));
    }
}
