//! Virtual routers: `vrrp_instance`, `vrrp_sync_group` and what they track.

use super::{Schedules, has_interface, means_command};
use crate::diagnostic::Problem;
use crate::import::commands::Findings;
use crate::import::keepalived::{
    Address, Configuration, Garp, Instance, Script, Track as Kind, TrackFile as File,
    TrackProcess as Processes, Tracker,
};
use sim_core::config::{
    GarpConfig, GarpPacing, HostConfig, LinkDelay, Net, ScriptResult, SyncDaemon, SyncGroup, Track,
    TrackFile, TrackProcess, Tracked, UnicastPeer, VirtualAddress, VmacConfig, VrrpAuth,
    VrrpConfig, VrrpInstance, VrrpScript, VrrpVersion,
};
use sim_core::engine::Span;
use sim_core::ipvs::rules::{Daemon, DaemonRole};

/// TTL of unicast IPv6 adverts for which none is stated: the system's.
const SYSTEM_TTL: u8 = 64;

/// The VRRP process of a host.
pub(super) fn configure(
    all: &Configuration,
    host: &HostConfig,
    schedules: &Schedules,
    findings: &mut Findings,
) -> VrrpConfig {
    let instances: Vec<VrrpInstance> =
        all.instances.iter().filter_map(|i| instance(i, host, findings)).collect();
    let there = |name: &&String| instances.iter().any(|i| i.name == **name);
    let groups = all.sync_groups.iter().map(|g| SyncGroup {
        name: g.name.clone(),
        members: g.members.iter().filter(there).cloned().collect(),
        tracks: g.trackers.iter().map(track).collect(),
        weights: g.weighted,
    });
    VrrpConfig {
        startup_delay: all.global.startup_delay.max(all.global.delay_after_boot),
        groups: groups.collect(),
        scripts: all.scripts.iter().map(|s| script(s, schedules)).collect(),
        files: all.files.iter().map(|f| file(f, schedules)).collect(),
        processes: all.processes.iter().map(|p| processes(p, schedules)).collect(),
        link_delays: all
            .delays
            .iter()
            .map(|d| LinkDelay { interface: d.interface.clone(), down: d.down, up: d.up })
            .collect(),
        pacing: pacing(all),
        sync_daemon: sync_daemon(all, host, findings),
        instances,
    }
}

/// An instance; `None` if keepalived does not start it, or the host lacks its interface.
fn instance(i: &Instance, host: &HostConfig, findings: &mut Findings) -> Option<VrrpInstance> {
    let interface = i.interface.as_ref()?;
    if i.vrid == 0 || !has_interface(host, interface, &i.place, findings) {
        return None;
    }
    if interface == "lo" {
        let message = format!("{}: a virtual router on `lo` reaches nobody: not simulated", i.name);
        let label = "expected an interface with a cable";
        findings.problems.push(Problem::new(&i.place, message, label));
        return None;
    }
    let devices = i.addresses.iter().chain(&i.excluded).filter_map(|a| a.interface.as_ref());
    for device in devices {
        has_interface(host, device, &i.place, findings);
    }
    for tracker in i.trackers.iter().filter(|t| t.kind == Kind::Interface) {
        has_interface(host, &tracker.name, &tracker.place, findings);
    }
    told(i, findings);
    let plain = VrrpInstance::new(&i.name, interface, i.vrid);
    Some(VrrpInstance {
        initial_master: i.master,
        version: if i.version >= 3 { VrrpVersion::V3 } else { VrrpVersion::V2 },
        priority: i.priority,
        advert_int: i.advert,
        addresses: i.addresses.iter().map(address).collect(),
        excluded: i.excluded.iter().map(address).collect(),
        peers: i
            .peers
            .iter()
            .map(|p| UnicastPeer { address: p.ip, min_ttl: p.min_ttl, max_ttl: p.max_ttl })
            .collect(),
        source: i.source,
        group: Some(i.mcast_group),
        ttl: i.ttl.unwrap_or(SYSTEM_TTL),
        check_unicast_src: i.check_unicast_src,
        preempt: i.preempt,
        preempt_delay: i.preempt_delay,
        garp: garp(i.garp),
        down_timer_adverts: u8::try_from(i.down_timer_adverts).unwrap_or(plain.down_timer_adverts),
        lower_prio_no_advert: i.lower_prio_no_advert,
        higher_prio_send_advert: i.higher_prio_send_advert,
        owner_ignore_adverts: i.owner_ignore_adverts,
        timer_expired_backup: i.timer_expired_backup,
        tracks: i.trackers.iter().map(track).collect(),
        dont_track_primary: !i.track_primary,
        vmac: i.vmac.as_ref().map(|v| VmacConfig { mac: Some(v.mac), transmit_base: v.xmit_base }),
        auth: i.authentication.as_ref().map_or(VrrpAuth::None, |(ah, password)| {
            let password = padded(password);
            if *ah { VrrpAuth::Ah(password) } else { VrrpAuth::Pass(password) }
        }),
        ..plain
    })
}

/// What of an instance is understood and changes nothing.
fn told(i: &Instance, findings: &mut Findings) {
    let said = [
        (i.strict, "strict_mode"),
        (i.track_source, "track_src_ip"),
        (i.fault_without_peer, "unicast_fault_no_peer"),
        (i.addresses.iter().any(|a| a.vmac), "use_vmac of an address"),
    ];
    let without: Vec<&str> = said.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect();
    if !without.is_empty() {
        let message = format!("{}: {} has no effect here", i.name, without.join(", "));
        findings.remark(&i.place, message);
    }
}

fn address(a: &Address) -> VirtualAddress {
    VirtualAddress { net: Net::new(a.ip, a.length), device: a.interface.clone() }
}

const fn garp(g: Garp) -> GarpConfig {
    GarpConfig {
        delay: g.delay,
        repeat: g.repeat,
        lower_delay: g.lower_prio_delay,
        lower_repeat: g.lower_prio_repeat,
        refresh: g.refresh,
        refresh_repeat: g.refresh_repeat,
    }
}

/// Passwords are cut to 8 bytes.
fn padded(password: &str) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(password.bytes()) {
        *to = from;
    }
    bytes
}

fn track(t: &Tracker) -> Track {
    let name = t.name.clone();
    let what = match t.kind {
        Kind::Interface => Tracked::Interface(name),
        Kind::Script => Tracked::Script(name),
        Kind::File => Tracked::File(name),
        Kind::Process => Tracked::Process(name),
        Kind::Bfd => Tracked::Bfd(name),
    };
    Track { what, weight: t.weight, reverse: t.reverse }
}

fn script(s: &Script, schedules: &Schedules) -> VrrpScript {
    let is_meant = |name: &str| name == s.name || means_command(name, &s.command);
    let results = Schedules::of(&schedules.scripts, is_meant).into_iter();
    VrrpScript {
        name: s.name.clone(),
        interval: s.interval,
        timeout: Some(s.timeout),
        rise: s.rise_fall.0.max(1),
        fall: s.rise_fall.1.max(1),
        init_fail: s.starts_failed,
        results: results
            .map(|(from, run)| ScriptResult {
                from,
                exit: run.exit,
                duration: run.duration,
                stubborn: run.stubborn,
            })
            .collect(),
    }
}

/// The numbers of a file: what keepalived writes into it at the start, and what the scenario says.
pub(super) fn values(f: &File, schedules: &Schedules) -> Vec<(Span, i32)> {
    let said = Schedules::of(&schedules.files, |name| name == f.name);
    let first = f.init.map(|(value, _)| (Span::ZERO, value));
    let early = said.first().is_some_and(|(at, _)| *at == Span::ZERO);
    first.filter(|_| !early).into_iter().chain(said).collect()
}

fn file(f: &File, schedules: &Schedules) -> TrackFile {
    TrackFile { name: f.name.clone(), values: values(f, schedules) }
}

fn processes(p: &Processes, schedules: &Schedules) -> TrackProcess {
    TrackProcess {
        name: p.name.clone(),
        quorum: p.quorum,
        quorum_max: p.quorum_max.unwrap_or(u32::MAX),
        fork_delay: p.fork_delay,
        terminate_delay: p.terminate_delay,
        counts: Schedules::of(&schedules.processes, |name| name == p.name),
    }
}

fn pacing(all: &Configuration) -> Vec<GarpPacing> {
    let (garp, gna) = (all.global.garp_interval, all.global.gna_interval);
    let own = (garp, gna) != (Span::ZERO, Span::ZERO);
    let everywhere = own.then(|| GarpPacing { interfaces: Vec::new(), garp, gna });
    let groups = all.garp_groups.iter().map(|g| GarpPacing {
        interfaces: g.interfaces.clone(),
        garp: g.garp_interval,
        gna: g.gna_interval,
    });
    everywhere.into_iter().chain(groups).collect()
}

fn sync_daemon(
    all: &Configuration,
    host: &HostConfig,
    findings: &mut Findings,
) -> Option<SyncDaemon> {
    let d = all.global.sync_daemon.as_ref()?;
    if !has_interface(host, &d.interface, &d.place, findings) {
        return None;
    }
    Some(SyncDaemon {
        instance: d.instance.clone(),
        daemon: Daemon {
            role: DaemonRole::Backup,
            interface: d.interface.clone(),
            syncid: d.id,
            group: d.group,
            port: d.port,
            ttl: d.ttl,
            maxlen: d.maxlen,
        },
    })
}
