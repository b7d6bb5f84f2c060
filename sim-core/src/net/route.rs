//! Routing as Linux does it: rules by priority choose tables; in a table the longest prefix wins, then
//! the lowest metric; several next hops share flows by a hash (`fib_rules_lookup`, `fib_table_lookup`,
//! `fib_select_path`).
//!
//! What a host learns by the way, path MTUs and redirects, is kept by destination until it expires
//! (`fib_nh_exception`).

use crate::config::{InterfaceSysctl, Net, RouteKind};
use crate::engine::rng::mix;
use crate::engine::{FxMap, Span, Time};
use crate::wire::{AddressBook, Ip, Packet, icmp, proto};
use core::hash::Hash;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

/// Interface number of `lo`: packets that the host itself makes.
pub const OWN: u16 = u16::MAX - 1;

/// The table of own addresses and broadcast addresses.
pub const LOCAL_TABLE: u32 = 255;
/// The table of connected prefixes and of routes that name no table.
pub const MAIN_TABLE: u32 = crate::config::MAIN_TABLE;
/// The table that is asked last.
pub const DEFAULT_TABLE: u32 = 253;

/// A next hop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hop {
    /// Outgoing interface.
    pub interface: u16,
    /// Gateway; the destination itself is on the link if absent.
    pub via: Option<Ip>,
}

/// How a route refuses packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// In silence.
    Blackhole,
    /// With ICMP host unreachable.
    Unreachable,
    /// With ICMP communication administratively prohibited.
    Prohibit,
}

impl Refusal {
    /// Code of the ICMP destination unreachable that answers (`ip_error`).
    pub const fn code(self) -> Option<u8> {
        match self {
            Self::Blackhole => None,
            Self::Unreachable => Some(icmp::HOST),
            Self::Prohibit => Some(13),
        }
    }
}

/// What a route does with packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// They are sent to a next hop.
    Unicast,
    /// They are for this host.
    Local,
    /// They go to everybody on the link.
    Broadcast,
    /// They are refused.
    Refuse(Refusal),
}

impl From<RouteKind> for Action {
    fn from(kind: RouteKind) -> Self {
        match kind {
            RouteKind::Unicast => Self::Unicast,
            RouteKind::Local => Self::Local,
            RouteKind::Blackhole => Self::Refuse(Refusal::Blackhole),
            RouteKind::Unreachable => Self::Refuse(Refusal::Unreachable),
            RouteKind::Prohibit => Self::Refuse(Refusal::Prohibit),
        }
    }
}

/// A route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// What becomes of packets.
    pub action: Action,
    /// Lower wins among equal prefixes; among equals the one that was added first.
    pub metric: u32,
    /// Next hops: at least one for [`Action::Unicast`], none otherwise.
    pub hops: Vec<Hop>,
    /// Source of own packets.
    pub source: Option<Ip>,
    /// MTU of the way, if it is below that of the interface.
    pub mtu: Option<u16>,
}

impl Route {
    /// A route by next hops, of which there is at least one.
    pub const fn unicast(hops: Vec<Hop>) -> Self {
        Self { action: Action::Unicast, metric: 0, hops, source: None, mtu: None }
    }

    /// A route without next hops.
    pub const fn without_hops(action: Action) -> Self {
        Self { action, metric: 0, hops: Vec::new(), source: None, mtu: None }
    }
}

/// What the tables say about a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup<'a> {
    /// An address of this host, or one that is routed to it.
    Local,
    /// A broadcast address of a connected prefix, or 255.255.255.255.
    Broadcast,
    /// To be sent by one of the next hops of this route.
    Unicast(&'a Route),
    /// A route that refuses.
    Refused(Refusal),
    /// No route.
    None,
}

/// What a host thinks of the source of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// It may be.
    Accepted,
    /// It is an own address or a broadcast address (martian).
    Own,
    /// Packets to there leave by another interface or not at all.
    ReversePath,
}

/// What a packet is routed by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query {
    /// Destination.
    pub dst: Ip,
    /// Source; [`Ip::ANY`] while an own packet has none.
    pub src: Ip,
    /// Firewall mark.
    pub mark: u32,
    /// Interface it came in by; [`OWN`] for own packets.
    pub input: u16,
    /// Only routes by this interface.
    pub output: Option<u16>,
}

impl Query {
    /// An own packet without source and mark.
    pub const fn to(dst: Ip) -> Self {
        Self { dst, src: Ip::ANY, mark: 0, input: OWN, output: None }
    }

    /// A packet as it came in, or as the host made it ([`OWN`]).
    pub const fn of(packet: &Packet, input: u16) -> Self {
        Self { dst: packet.dst, src: packet.src, mark: packet.mark, input, output: None }
    }
}

/// A rule of `ip rule`. Everything stated must agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Rules are looked at in this order; among equals in the order in which they were added.
    pub priority: u32,
    /// For IPv6 packets; otherwise for IPv4.
    pub v6: bool,
    /// Mark and mask.
    pub mark: Option<(u32, u32)>,
    /// Source.
    pub from: Option<Net>,
    /// Destination.
    pub to: Option<Net>,
    /// Interface it came in by; [`OWN`] for own packets.
    pub input: Option<u16>,
    /// The table to ask.
    pub table: u32,
}

impl Rule {
    /// A rule for every packet.
    const fn all(priority: u32, v6: bool, table: u32) -> Self {
        Self { priority, v6, mark: None, from: None, to: None, input: None, table }
    }

    fn agrees(&self, book: &AddressBook, query: &Query) -> bool {
        self.v6 == query.dst.is_v6()
            && self.mark.is_none_or(|(value, mask)| query.mark & mask == value & mask)
            && self.input.is_none_or(|input| query.input == input)
            && self.from.is_none_or(|net| net.contains(book.address(query.src)))
            && self.to.is_none_or(|net| net.contains(book.address(query.dst)))
    }
}

/// Leading bits of an address.
trait Key: Copy + Eq + Hash {
    fn cut(self, len: u8) -> Self;
}

impl Key for u32 {
    fn cut(self, len: u8) -> Self {
        if len == 0 { 0 } else { self & Self::MAX << (32 - len) }
    }
}

impl Key for u128 {
    fn cut(self, len: u8) -> Self {
        if len == 0 { 0 } else { self & Self::MAX << (128 - len) }
    }
}

/// Routes of one table and family, by the length of their prefixes, the longest first. Those of one
/// prefix are sorted by metric.
#[derive(Debug)]
struct Prefixes<K> {
    lengths: Vec<(u8, FxMap<K, Vec<Route>>)>,
}

impl<K: Key> Prefixes<K> {
    const fn new() -> Self {
        Self { lengths: Vec::new() }
    }

    fn add(&mut self, key: K, len: u8, route: Route) {
        let at = self.lengths.partition_point(|(l, _)| *l > len);
        if self.lengths.get(at).is_none_or(|(l, _)| *l != len) {
            self.lengths.insert(at, (len, FxMap::default()));
        }
        let routes = self.lengths[at].1.entry(key.cut(len)).or_default();
        let at = routes.partition_point(|old| old.metric <= route.metric);
        routes.insert(at, route);
    }

    /// Removes the first route of a prefix that `is_it` picks.
    fn remove(&mut self, key: K, len: u8, is_it: impl Fn(&Route) -> bool) {
        let Some(at) = self.lengths.iter().position(|(l, _)| *l == len) else { return };
        let prefixes = &mut self.lengths[at].1;
        let Some(routes) = prefixes.get_mut(&key.cut(len)) else { return };
        if let Some(found) = routes.iter().position(is_it) {
            routes.remove(found);
        }
        if routes.is_empty() {
            prefixes.remove(&key.cut(len));
        }
        if prefixes.is_empty() {
            self.lengths.remove(at);
        }
    }

    /// Whether there is a route of this action to the one address.
    fn is_host(&self, key: K, len: u8, action: Action) -> bool {
        let (longest, routes) = match self.lengths.first() {
            Some((longest, routes)) => (*longest, routes),
            None => return false,
        };
        longest == len && routes.get(&key).is_some_and(|r| r.iter().any(|r| r.action == action))
    }

    fn find(&self, key: K, output: Option<u16>) -> Option<&Route> {
        self.lengths.iter().find_map(|(len, routes)| {
            let routes = routes.get(&key.cut(*len))?;
            routes.iter().find(|r| {
                output.is_none_or(|out| {
                    r.action != Action::Unicast || r.hops.iter().any(|h| h.interface == out)
                })
            })
        })
    }
}

#[derive(Debug)]
struct Table {
    v4: Prefixes<u32>,
    v6: Prefixes<u128>,
}

impl Table {
    const fn new() -> Self {
        Self { v4: Prefixes::new(), v6: Prefixes::new() }
    }

    fn find(&self, book: &AddressBook, query: &Query) -> Option<&Route> {
        if !query.dst.is_v6() {
            return self.v4.find(query.dst.0, query.output);
        }
        match book.address(query.dst) {
            IpAddr::V6(a) => self.v6.find(a.to_bits(), query.output),
            IpAddr::V4(_) => None,
        }
    }
}

/// What a host has learned about the way to one destination.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Exception {
    mtu: Option<(u16, Time)>,
    hop: Option<(Hop, Time)>,
}

/// The routes that come with an own address: table, prefix, route.
fn connected(net: Net, hop: Option<Hop>) -> Vec<(u32, Net, Route)> {
    let local = |to| (LOCAL_TABLE, to, Route::without_hops(Action::Local));
    let mut routes = vec![local(Net::host(net.addr))];
    if net.is_host() {
        return routes;
    }
    match (hop, net.addr) {
        (Some(hop), _) => {
            routes.push((MAIN_TABLE, net.network(), Route::unicast(vec![hop])));
        }
        (None, IpAddr::V4(_)) => routes.push(local(net.network())),
        (None, IpAddr::V6(_)) => {}
    }
    if let IpAddr::V4(a) = net.addr
        && net.len < 31
    {
        let last = Ipv4Addr::from_bits(a.to_bits() | u32::MAX >> net.len);
        let broadcast = Route::without_hops(Action::Broadcast);
        routes.push((LOCAL_TABLE, Net::host(IpAddr::V4(last)), broadcast));
    }
    routes
}

/// Routing tables and rules of a host.
#[derive(Debug)]
pub struct Routes {
    rules: Vec<Rule>,
    tables: BTreeMap<u32, Table>,
    exceptions: BTreeMap<Ip, Exception>,
    plain: bool,
    /// A route of kind local was added.
    custom_local: bool,
    sources: bool,
}

impl Default for Routes {
    fn default() -> Self {
        Self::new()
    }
}

impl Routes {
    /// Learned path MTUs are kept this long (`net.ipv4.route.mtu_expires`).
    pub const MTU_LIFE: Span = Span::from_secs(600);
    /// Redirects are kept this long (`net.ipv4.route.gc_timeout`).
    pub const REDIRECT_LIFE: Span = Span::from_secs(300);
    /// No smaller path MTU is believed (`net.ipv4.route.min_pmtu`).
    pub const SMALLEST_MTU: u16 = 552;
    /// The smallest MTU of IPv6 (RFC 8200, section 5).
    pub const SMALLEST_MTU_V6: u16 = 1280;

    /// The tables of a host without interfaces: 127.0.0.0/8 and `::1` are its own.
    pub fn new() -> Self {
        let mut rules = Vec::new();
        for v6 in [false, true] {
            rules.push(Rule::all(0, v6, LOCAL_TABLE));
            rules.push(Rule::all(32_766, v6, MAIN_TABLE));
            rules.push(Rule::all(32_767, v6, DEFAULT_TABLE));
        }
        rules.sort_by_key(|r| r.priority);
        let mut routes = Self {
            rules,
            tables: BTreeMap::new(),
            exceptions: BTreeMap::new(),
            plain: true,
            custom_local: false,
            sources: false,
        };
        routes.add_local(Net::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8));
        routes.add_local(Net::host(IpAddr::V6(Ipv6Addr::LOCALHOST)));
        routes
    }

    /// Makes the addresses of `net` addresses of this host.
    pub fn add_local(&mut self, net: Net) {
        self.enter(LOCAL_TABLE, net, Route::without_hops(Action::Local));
    }

    /// Enters an own address with its connected prefix, which is reached by `hop`; on `lo` (`None`) the whole IPv4 prefix
    /// is for this host (`fib_add_ifaddr`).
    pub fn connect(&mut self, net: Net, hop: Option<Hop>) {
        for (table, to, route) in connected(net, hop) {
            self.enter(table, to, route);
        }
    }

    /// Takes back what [`Routes::connect`] entered for an address (`fib_del_ifaddr`).
    pub fn disconnect(&mut self, net: Net, hop: Option<Hop>) {
        for (table, to, route) in connected(net, hop) {
            let Some(table) = self.tables.get_mut(&table) else { continue };
            match to.addr {
                IpAddr::V4(a) => table.v4.remove(a.to_bits(), to.len, |r| *r == route),
                IpAddr::V6(a) => table.v6.remove(a.to_bits(), to.len, |r| *r == route),
            }
        }
    }

    /// Adds a route to a table. Of two with equal prefix and metric the first one counts.
    pub fn add(&mut self, table: u32, to: Net, route: Route) {
        self.custom_local |= route.action == Action::Local;
        self.enter(table, to, route);
    }

    fn enter(&mut self, table: u32, to: Net, route: Route) {
        debug_assert_eq!(
            route.hops.is_empty(),
            route.action != Action::Unicast,
            "a unicast route, and no other, has next hops"
        );
        self.sources |= route.source.is_some();
        let table = self.tables.entry(table).or_insert_with(Table::new);
        match to.addr {
            IpAddr::V4(a) => table.v4.add(a.to_bits(), to.len, route),
            IpAddr::V6(a) => table.v6.add(a.to_bits(), to.len, route),
        }
    }

    /// Adds a rule behind those of the same priority.
    pub fn add_rule(&mut self, rule: Rule) {
        self.plain &= rule.mark.is_none() && rule.from.is_none() && rule.input.is_none();
        let at = self.rules.partition_point(|r| r.priority <= rule.priority);
        self.rules.insert(at, rule);
    }

    /// Whether the destination alone decides.
    #[inline]
    pub const fn is_plain(&self) -> bool {
        self.plain
    }

    /// Whether a route states the source of own packets.
    pub const fn has_sources(&self) -> bool {
        self.sources
    }

    /// Whether `ip` is an address of this host by the table `local` (`inet_addr_type`).
    pub fn is_local(&self, book: &AddressBook, ip: Ip) -> bool {
        let local = self.tables.get(&LOCAL_TABLE);
        local.and_then(|t| t.find(book, &Query::to(ip))).is_some_and(|r| r.action == Action::Local)
    }

    /// Asks the tables that the rules name, in their order, until one has a route.
    pub fn lookup(&self, book: &AddressBook, query: &Query) -> Lookup<'_> {
        if query.dst == Ip::BROADCAST {
            return Lookup::Broadcast;
        }
        let found = self.rules.iter().filter(|rule| rule.agrees(book, query)).find_map(|rule| {
            let table = self.tables.get(&rule.table)?;
            table.find(book, query)
        });
        let Some(route) = found else { return Lookup::None };
        match route.action {
            Action::Unicast => Lookup::Unicast(route),
            Action::Local => Lookup::Local,
            Action::Broadcast => Lookup::Broadcast,
            Action::Refuse(how) => Lookup::Refused(how),
        }
    }

    /// Length of the prefix by which `ip` is reached (IPv6).
    pub fn prefix_towards(&self, book: &AddressBook, ip: Ip) -> u8 {
        let query = Query::to(ip);
        let IpAddr::V6(address) = book.address(ip) else { return 0 };
        let length = |table: &Table| {
            let with = |(_, routes): &&(u8, FxMap<u128, Vec<Route>>), len: u8| {
                routes.contains_key(&address.to_bits().cut(len))
            };
            table.v6.lengths.iter().find(|l| with(l, l.0)).map(|(len, _)| *len)
        };
        let rules = self.rules.iter().filter(|rule| rule.agrees(book, &query));
        rules.filter_map(|r| self.tables.get(&r.table)).find_map(length).unwrap_or(0)
    }

    /// Whether `ip` itself, not just a prefix that holds it, has been made an address of this host.
    fn is_own(&self, book: &AddressBook, ip: Ip) -> bool {
        let Some(local) = self.tables.get(&LOCAL_TABLE) else { return false };
        match book.address(ip) {
            IpAddr::V4(a) => a.is_loopback() || local.v4.is_host(a.to_bits(), 32, Action::Local),
            IpAddr::V6(a) => local.v6.is_host(a.to_bits(), 128, Action::Local),
        }
    }

    /// Judges the source of an IPv4 packet to `dst` that came in by `interface`: no own address, and
    /// with `rp_filter` one to which packets would leave there (`fib_validate_source`).
    ///
    /// A prefix on `lo` makes its addresses own ones only for the reverse path filter, or if there are
    /// policy rules or routes of kind local besides.
    #[cold]
    pub fn judge_source(
        &self,
        book: &AddressBook,
        (src, dst): (Ip, Ip),
        interface: u16,
        sysctl: &InterfaceSysctl,
    ) -> Source {
        let own = if sysctl.accept_local { Source::Accepted } else { Source::Own };
        if sysctl.rp_filter == 0 && self.plain && !self.custom_local {
            return if self.is_own(book, src) { own } else { Source::Accepted };
        }
        let back = Query { src: dst, ..Query::to(src) };
        let leads_back = match self.lookup(book, &back) {
            Lookup::Local => return own,
            Lookup::Broadcast => return Source::Own,
            Lookup::Unicast(route) => {
                sysctl.rp_filter == 2 || route.hops.iter().any(|h| h.interface == interface)
            }
            Lookup::Refused(_) | Lookup::None => false,
        };
        if leads_back || sysctl.rp_filter == 0 { Source::Accepted } else { Source::ReversePath }
    }

    /// The interface on whose link `gateway` is, if a connected route of the table `main` without
    /// gateway leads there and it is no own address.
    pub fn interface_towards(&self, book: &AddressBook, gateway: Ip) -> Option<u16> {
        let route = self.tables.get(&MAIN_TABLE)?.find(book, &Query::to(gateway))?;
        let hop = route.hops.first().filter(|h| h.via.is_none())?;
        (!self.is_own(book, gateway)).then_some(hop.interface)
    }

    /// Remembers that the way to `dst`, of an MTU of `current` so far, carries no more than `mtu` bytes
    /// (`__ip_rt_update_pmtu`); `false` if this is nothing to believe.
    pub fn learn_mtu(&mut self, now: Time, dst: Ip, mtu: u16, current: u16) -> bool {
        let least = if dst.is_v6() { Self::SMALLEST_MTU_V6 } else { Self::SMALLEST_MTU };
        let mtu = mtu.max(least.min(current));
        if mtu > current {
            return false;
        }
        self.exceptions.entry(dst).or_default().mtu = Some((mtu, now + Self::MTU_LIFE));
        true
    }

    /// Remembers that the way to `dst` begins at another next hop (`__ip_do_redirect`).
    pub fn learn_redirect(&mut self, now: Time, dst: Ip, hop: Hop) {
        self.exceptions.entry(dst).or_default().hop = Some((hop, now + Self::REDIRECT_LIFE));
    }

    /// The MTU learned for the way to `dst`.
    #[inline]
    pub fn learned_mtu(&self, dst: Ip) -> Option<u16> {
        if self.exceptions.is_empty() {
            return None;
        }
        self.exceptions.get(&dst)?.mtu.map(|(mtu, _)| mtu)
    }

    /// The next hop that a redirect named for `dst`.
    pub fn redirected(&self, dst: Ip) -> Option<Hop> {
        self.exceptions.get(&dst)?.hop.map(|(hop, _)| hop)
    }

    /// When the first of what was learned expires.
    pub fn next_deadline(&self) -> Option<Time> {
        let ends = |e: &Exception| [e.mtu.map(|(_, at)| at), e.hop.map(|(_, at)| at)];
        self.exceptions.values().flat_map(ends).flatten().min()
    }

    /// Forgets what has expired.
    pub fn expire(&mut self, now: Time) {
        self.exceptions.retain(|_, e| {
            e.mtu = e.mtu.filter(|(_, at)| *at > now);
            e.hop = e.hop.filter(|(_, at)| *at > now);
            e.mtu.is_some() || e.hop.is_some()
        });
    }
}

/// Chooses among equal-cost hops by the flow (`fib_multipath_hash_policy` 1: addresses, protocol
/// and, if the packet shows them, ports): a flow keeps its hop, flows spread evenly.
pub fn flow_hash(packet: &Packet) -> u32 {
    let mut h = u64::from(packet.src.0) << 32 | u64::from(packet.dst.0);
    h ^= u64::from(packet.proto) << 17;
    if matches!(packet.proto, proto::TCP | proto::UDP) && !packet.is_fragment() {
        h ^= (u64::from(packet.sport) << 16 | u64::from(packet.dport))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    (mix(h) >> 32) as u32
}

/// The hop of `hops` (not empty) that a flow with this hash takes.
pub fn choose(hops: &[Hop], hash: u32) -> Hop {
    hops[((u64::from(hash) * hops.len() as u64) >> 32) as usize]
}

#[cfg(test)]
mod tests;
