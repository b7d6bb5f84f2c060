//! VRRP as keepalived is told to do it: instances, sync groups, trackers.
//!
//! Names follow `keepalived.conf`(5). Everything is resolved: what the file leaves to `global_defs`
//! stands in each instance.

use super::Net;
use crate::engine::Span;
use crate::ipvs::rules::Daemon;
use crate::wire::Mac;
pub use crate::wire::vrrp::Auth as VrrpAuth;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The multicast group of VRRP for IPv4 (RFC 5798, section 5.1.1.2).
pub const GROUP_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));
/// The multicast group of VRRP for IPv6 (RFC 5798, section 5.1.2.2).
pub const GROUP_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12));

/// What the VRRP process of keepalived does on a host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VrrpConfig {
    /// `vrrp_startup_delay`: instances begin this much later and hear nothing before.
    pub startup_delay: Span,
    /// `vrrp_instance`.
    pub instances: Vec<VrrpInstance>,
    /// `vrrp_sync_group`.
    pub groups: Vec<SyncGroup>,
    /// `vrrp_script`.
    pub scripts: Vec<VrrpScript>,
    /// `track_file`.
    pub files: Vec<TrackFile>,
    /// `vrrp_track_process`.
    pub processes: Vec<TrackProcess>,
    /// `interface_up_down_delays`.
    pub link_delays: Vec<LinkDelay>,
    /// `vrrp_garp_interval`, `vrrp_gna_interval` and `garp_group`.
    pub pacing: Vec<GarpPacing>,
    /// `lvs_sync_daemon`.
    pub sync_daemon: Option<SyncDaemon>,
}

/// Version of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VrrpVersion {
    /// RFC 3768: adverts by the second, IPv4 only.
    V2,
    /// RFC 5798 and RFC 9568: adverts by the hundredth of a second.
    V3,
}

impl VrrpVersion {
    /// 2 or 3.
    pub const fn number(self) -> u8 {
        match self {
            Self::V2 => 2,
            Self::V3 => 3,
        }
    }
}

/// `vrrp_instance`. [`VrrpInstance::new`] has keepalived's defaults.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VrrpInstance {
    /// Unique name.
    pub name: String,
    /// `state MASTER`.
    pub initial_master: bool,
    /// `interface`.
    pub interface: String,
    /// `virtual_router_id`, 1 to 255.
    pub vrid: u8,
    /// Version; IPv6 instances have version 3.
    pub version: VrrpVersion,
    /// `priority`, 1 to 255.
    pub priority: u8,
    /// `advert_int` as stated; see [`VrrpInstance::interval_us`] for what is kept of it.
    pub advert_int: Span,
    /// `virtual_ipaddress`: set while master, and told in adverts.
    pub addresses: Vec<VirtualAddress>,
    /// `virtual_ipaddress_excluded`: set while master, but not told.
    pub excluded: Vec<VirtualAddress>,
    /// `unicast_peer`; not empty: no multicast.
    pub peers: Vec<UnicastPeer>,
    /// `unicast_src_ip` or `mcast_src_ip`; the first address of the interface if absent.
    pub source: Option<IpAddr>,
    /// `mcast_dst_ip` or `vrrp_mcast_group4`, `vrrp_mcast_group6`; [`GROUP_V4`] or [`GROUP_V6`] if absent.
    pub group: Option<IpAddr>,
    /// TTL of adverts (`unicast_ttl`), 255.
    pub ttl: u8,
    /// `check_unicast_src`: only adverts from peers count.
    pub check_unicast_src: bool,
    /// Not `nopreempt`: a higher priority takes over from a lower one.
    pub preempt: bool,
    /// `preempt_delay`.
    pub preempt_delay: Span,
    /// Gratuitous ARP and unsolicited neighbour advertisements.
    pub garp: GarpConfig,
    /// `down_timer_adverts`: so many lost adverts make a master down, 1 to 100.
    pub down_timer_adverts: u8,
    /// `lower_prio_no_advert`: a master does not answer lower priorities with an advert.
    pub lower_prio_no_advert: bool,
    /// `higher_prio_send_advert`: a master that hears a higher priority sends one more advert.
    pub higher_prio_send_advert: bool,
    /// `owner_ignore_adverts`: with priority 255 adverts are not looked at.
    pub owner_ignore_adverts: bool,
    /// `timer_expired_backup`: a master whose own timer runs out so late that another of this priority
    /// would have taken over goes to backup.
    pub timer_expired_backup: Option<u8>,
    /// `track_interface`, `track_script`, `track_file`, `track_process`, `track_bfd`.
    pub tracks: Vec<Track>,
    /// `dont_track_primary`: a failure of `interface` does not matter.
    pub dont_track_primary: bool,
    /// `use_vmac`.
    pub vmac: Option<VmacConfig>,
    /// `authentication`, with version 2.
    pub auth: VrrpAuth,
}

impl VrrpInstance {
    /// An instance with keepalived's defaults (version 2), without addresses.
    pub fn new(name: &str, interface: &str, vrid: u8) -> Self {
        Self {
            name: name.to_owned(),
            initial_master: false,
            interface: interface.to_owned(),
            vrid,
            version: VrrpVersion::V2,
            priority: 100,
            advert_int: Span::from_secs(1),
            addresses: Vec::new(),
            excluded: Vec::new(),
            peers: Vec::new(),
            source: None,
            group: None,
            ttl: 255,
            check_unicast_src: false,
            preempt: true,
            preempt_delay: Span::ZERO,
            garp: GarpConfig::default(),
            down_timer_adverts: 3,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            owner_ignore_adverts: false,
            timer_expired_backup: None,
            tracks: Vec::new(),
            dont_track_primary: false,
            vmac: None,
            auth: VrrpAuth::None,
        }
    }

    /// Whether the adverts are IPv6: by the first virtual address, else by the first peer or the source.
    pub fn is_v6(&self) -> bool {
        let first = self.addresses.first().or_else(|| self.excluded.first()).map(|a| a.net.addr);
        let other = || self.peers.first().map(|p| p.address).or(self.source);
        first.or_else(other).is_some_and(|a| a.is_ipv6())
    }

    /// The advert interval in microseconds that is kept of `advert_int`: whole seconds of 1 to 255 with
    /// version 2, hundredths of a second of 0.01 s to 40.95 s with version 3.
    ///
    /// ```
    /// use sim_core::config::{VrrpInstance, VrrpVersion};
    /// use sim_core::engine::Span;
    ///
    /// let mut instance = VrrpInstance::new("VI_1", "eth0", 51);
    /// instance.advert_int = Span::from_millis(2_719);
    /// assert_eq!(instance.interval_us(), 2_000_000);
    /// instance.version = VrrpVersion::V3;
    /// assert_eq!(instance.interval_us(), 2_710_000);
    /// ```
    pub fn interval_us(&self) -> u64 {
        let us = self.advert_int.as_nanos() / 1_000;
        match self.version {
            VrrpVersion::V2 => (us / 1_000_000).clamp(1, 255) * 1_000_000,
            VrrpVersion::V3 => (us / 10_000).clamp(1, 4_095) * 10_000,
        }
    }
}

/// A virtual address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualAddress {
    /// The address with its prefix length (32 or 128 if none is stated).
    pub net: Net,
    /// `dev`; the interface of the instance if absent.
    pub device: Option<String>,
}

impl VirtualAddress {
    /// An address on the interface of the instance.
    pub const fn new(net: Net) -> Self {
        Self { net, device: None }
    }
}

/// `unicast_peer`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnicastPeer {
    /// Where adverts are sent.
    pub address: IpAddr,
    /// `min_ttl`: adverts from there with less are dropped.
    pub min_ttl: Option<u8>,
    /// `max_ttl`: adverts from there with more are dropped.
    pub max_ttl: Option<u8>,
}

/// Announcements of a new master: gratuitous ARP requests and unsolicited neighbour advertisements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GarpConfig {
    /// `garp_master_delay`: the second burst comes this much after the first; zero: none.
    pub delay: Span,
    /// `garp_master_repeat`: announcements of each address in a burst.
    pub repeat: u32,
    /// `garp_lower_prio_delay`.
    pub lower_delay: Span,
    /// `garp_lower_prio_repeat`.
    pub lower_repeat: u32,
    /// `garp_master_refresh`: a master announces again and again; zero: it does not.
    pub refresh: Span,
    /// `garp_master_refresh_repeat`.
    pub refresh_repeat: u32,
}

impl Default for GarpConfig {
    fn default() -> Self {
        Self {
            delay: Span::from_secs(5),
            repeat: 5,
            lower_delay: Span::from_secs(5),
            lower_repeat: 5,
            refresh: Span::ZERO,
            refresh_repeat: 1,
        }
    }
}

impl GarpConfig {
    /// `vrrp_min_garp`: one announcement of each address, and no second burst.
    pub const MIN: Self = Self {
        delay: Span::ZERO,
        repeat: 1,
        lower_delay: Span::ZERO,
        lower_repeat: 1,
        refresh: Span::ZERO,
        refresh_repeat: 1,
    };
}

/// The least time between two announcements on some interfaces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GarpPacing {
    /// The interfaces, which share the pace; empty: each other interface for itself.
    pub interfaces: Vec<String>,
    /// `garp_interval`.
    pub garp: Span,
    /// `gna_interval`.
    pub gna: Span,
}

/// `use_vmac`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VmacConfig {
    /// The MAC; 00:00:5e:00:01:VRID or 00:00:5e:00:02:VRID (IPv6) if absent.
    pub mac: Option<Mac>,
    /// `vmac_xmit_base`: adverts go out with the MAC of the interface.
    pub transmit_base: bool,
}

impl VmacConfig {
    /// The MAC of an instance (RFC 5798, section 7.3).
    pub fn mac(&self, vrid: u8, v6: bool) -> Mac {
        self.mac.unwrap_or(Mac([0, 0, 0x5e, 0, if v6 { 2 } else { 1 }, vrid]))
    }
}

/// What is tracked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tracked {
    /// An interface, by name.
    Interface(String),
    /// A [`VrrpScript`], by name.
    Script(String),
    /// A [`TrackFile`], by name.
    File(String),
    /// A [`TrackProcess`], by name.
    Process(String),
    /// A BFD session, by name.
    Bfd(String),
}

/// A tracked object of an instance or a sync group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Track {
    /// What.
    pub what: Tracked,
    /// 0: its failure is a fault; else what its state adds to the priority, -253 to 253 (for a file: the
    /// factor of its value).
    pub weight: i32,
    /// `reverse`.
    pub reverse: bool,
}

/// `vrrp_sync_group`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SyncGroup {
    /// Unique name.
    pub name: String,
    /// Names of its instances.
    pub members: Vec<String>,
    /// What the group tracks for all of them.
    pub tracks: Vec<Track>,
    /// `sync_group_tracking_weight`: trackers of the members may have weights.
    pub weights: bool,
}

/// What a script does from some time on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScriptResult {
    /// From this time of the run.
    pub from: Span,
    /// Exit code.
    pub exit: u8,
    /// How long it runs.
    pub duration: Span,
    /// It does not obey when it is told to end (SIGTERM) at its time-out.
    pub stubborn: bool,
}

/// `vrrp_script`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VrrpScript {
    /// Unique name.
    pub name: String,
    /// `interval` between the starts of two runs.
    pub interval: Span,
    /// `timeout`; the interval if absent.
    pub timeout: Option<Span>,
    /// `rise`: successes that make it up, at least 1.
    pub rise: u32,
    /// `fall`: failures that make it down, at least 1.
    pub fall: u32,
    /// `init_fail`: it is down before its first run.
    pub init_fail: bool,
    /// What its runs do, by time; exit code 0 at once before the first.
    pub results: Vec<ScriptResult>,
}

impl VrrpScript {
    /// A script with keepalived's defaults, which always succeeds.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            interval: Span::from_secs(1),
            timeout: None,
            rise: 1,
            fall: 1,
            init_fail: false,
            results: Vec::new(),
        }
    }
}

/// `track_file`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TrackFile {
    /// Unique name.
    pub name: String,
    /// What the file holds from some time of the run on; 0 before.
    pub values: Vec<(Span, i32)>,
}

/// `vrrp_track_process`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackProcess {
    /// Unique name.
    pub name: String,
    /// `quorum`: it is up with at least so many processes.
    pub quorum: u32,
    /// `quorum_max`: and at most so many.
    pub quorum_max: u32,
    /// `fork_delay` (or `delay`): so long after enough processes are there it is up.
    pub fork_delay: Span,
    /// `terminate_delay` (or `delay`): so long after too few are left it is down.
    pub terminate_delay: Span,
    /// How many processes run from some time of the run on; `quorum` before.
    pub counts: Vec<(Span, u32)>,
}

impl TrackProcess {
    /// One process, which always runs.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            quorum: 1,
            quorum_max: u32::MAX,
            fork_delay: Span::ZERO,
            terminate_delay: Span::ZERO,
            counts: Vec::new(),
        }
    }
}

/// `interface_up_down_delays`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkDelay {
    /// The interface.
    pub interface: String,
    /// A loss of the link is believed after this time.
    pub down: Span,
    /// Its return is believed after this time.
    pub up: Span,
}

/// `lvs_sync_daemon IF INSTANCE`: the daemon of connection synchronisation follows the state of an instance:
/// master while it is master, else backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncDaemon {
    /// Name of the instance; both ends run all the time if absent.
    pub instance: Option<String>,
    /// The daemon. Its role is set by the state.
    pub daemon: Daemon,
}
