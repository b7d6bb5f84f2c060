//! What a director's IPVS is told: rules, timeouts, settings, daemons.

use crate::engine::Span;
use crate::ipvs::Command;
use crate::ipvs::rules::{Daemon, ServiceRule, TimeoutRule};

/// The director's IPVS: rules, in the order they were typed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IpvsConfig {
    /// Virtual services with their real servers.
    pub services: Vec<ServiceRule>,
    /// `ipvsadm --set`.
    pub timeouts: TimeoutRule,
    /// `net.ipv4.vs.*`.
    pub sysctl: IpvsSysctl,
    /// `ipvsadm --start-daemon`: which ends of connection synchronisation run.
    pub daemons: Vec<Daemon>,
}

impl IpvsConfig {
    /// The rules after a command that the kernel has accepted. `service` is where the service of the command
    /// stands, `server` where its real server stands among those of the service; `None` if there is none.
    pub fn accept(&mut self, command: &Command, service: Option<usize>, server: Option<usize>) {
        let known = service.and_then(|at| self.services.get_mut(at));
        match (command, known) {
            (Command::AddService(rule), _) => self.services.push(rule.clone()),
            (Command::EditService(rule), Some(old)) => {
                let servers = core::mem::take(&mut old.servers);
                let local_addresses = core::mem::take(&mut old.local_addresses);
                *old = ServiceRule { local_addresses, servers, ..rule.clone() };
            }
            (Command::DeleteService(_), Some(_)) => {
                self.services.remove(service.unwrap_or_default());
            }
            (Command::Clear, _) => self.services.clear(),
            (Command::AddServer(_, rule), Some(known)) => known.servers.push(*rule),
            (Command::EditServer(_, rule), Some(known)) => {
                if let Some(old) = server.and_then(|at| known.servers.get_mut(at)) {
                    *old = *rule;
                }
            }
            (Command::DeleteServer(..), Some(known)) => {
                if let Some(at) = server.filter(|at| *at < known.servers.len()) {
                    known.servers.remove(at);
                }
            }
            (Command::AddLocalAddress(_, address), Some(known)) => {
                known.local_addresses.push(*address);
            }
            (Command::DeleteLocalAddress(_, address), Some(known)) => {
                known.local_addresses.retain(|a| a != address);
            }
            (Command::SetTimeouts(new), _) => {
                let TimeoutRule { tcp, tcp_fin, udp } = &mut self.timeouts;
                *tcp = new.tcp.or(*tcp);
                *tcp_fin = new.tcp_fin.or(*tcp_fin);
                *udp = new.udp.or(*udp);
            }
            (Command::SetSysctl(sysctl), _) => self.sysctl = *sysctl,
            (Command::StartDaemon(daemon), _) => self.daemons.push(daemon.clone()),
            (Command::StopDaemon(role), _) => self.daemons.retain(|d| d.role != *role),
            // counters are no rules, and what is not there does not change
            (Command::Zero(_), _) | (_, None) => {}
        }
    }
}

/// `net.ipv4.vs.*`. The default is the kernel's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpvsSysctl {
    /// Pages of free memory below which the automatic defences begin. Memory is never short here.
    pub amemthresh: u32,
    /// `drop_packet` 3 drops one of this many new connections.
    pub am_droprate: u32,
    /// A director whose sync daemon is only a backup leaves all packets alone.
    pub backup_only: bool,
    /// A fwmark service without a destination sends packets to where they were going.
    pub cache_bypass: bool,
    /// Connections take part in connection tracking.
    pub conntrack: bool,
    /// Drop old entries: 0 never, 1 and 2 when memory is short, 3 always.
    pub drop_entry: u8,
    /// Drop new connections: 0 never, 1 and 2 when memory is short, 3 always.
    pub drop_packet: u8,
    /// TCP state tables of the defence: 0 never, 1 and 2 when memory is short, 3 always.
    pub secure_tcp: u8,
    /// A template whose real server has weight 0 is not used.
    pub expire_quiescent_template: bool,
    /// Leave packets alone that came out of a tunnel.
    pub ignore_tunneled: bool,
    /// Entries of lblc live this long without use.
    pub lblc_expiration: Span,
    /// Entries of lblcr live this long without use.
    pub lblcr_expiration: Span,
    /// A real server that answers for a NAT service without a connection is told so by ICMP.
    pub nat_icmp_send: bool,
    /// The rate estimator runs.
    pub run_estimation: bool,
    /// Schedule ICMP errors that belong to no connection.
    pub schedule_icmp: bool,
    /// Schedule SCTP packets that are not an INIT.
    pub sloppy_sctp: bool,
    /// Route un-translated replies again.
    pub snat_reroute: bool,
    /// 0: a SYN for an entry goes where the entry points; 1: a closed entry is scheduled anew;
    /// bit 2: also `FIN_WAIT` entries of DR and TUN.
    pub conn_reuse_mode: u8,
    /// Drop entries of a deleted real server at once.
    pub expire_nodest_conn: bool,
    /// Schedule TCP packets that are not a SYN.
    pub sloppy_tcp: bool,
    /// Tunnels copy DF and learn the path MTU.
    pub pmtu_disc: bool,
    /// Only templates are synchronised, not the connections that belong to them.
    pub sync_persist_mode: bool,
    /// Messages that may wait for the master daemon. By default a 32nd of the free pages; here those of a
    /// gibibyte.
    pub sync_qlen_max: u32,
    /// A connection is synchronised again if its timer has moved by this much; 0: not for that reason.
    pub sync_refresh_period: Span,
    /// Messages of such a refresh that follow at an eighth of the period, 0 to 3.
    pub sync_retries: u8,
    /// `T P`: the `T`th packet of every `P` from the client is a reason to synchronise a connection; with `P`
    /// 0 only the `T`th.
    pub sync_threshold: (u32, u32),
    /// Format of the messages sent, 0 or 1.
    pub sync_version: u8,
}

impl Default for IpvsSysctl {
    fn default() -> Self {
        Self {
            amemthresh: 1024,
            am_droprate: 10,
            backup_only: false,
            cache_bypass: false,
            conn_reuse_mode: 1,
            conntrack: false,
            drop_entry: 0,
            drop_packet: 0,
            secure_tcp: 0,
            expire_nodest_conn: false,
            expire_quiescent_template: false,
            ignore_tunneled: false,
            lblc_expiration: Span::from_secs(86_400),
            lblcr_expiration: Span::from_secs(86_400),
            nat_icmp_send: false,
            pmtu_disc: true,
            run_estimation: true,
            schedule_icmp: false,
            sloppy_tcp: false,
            sloppy_sctp: false,
            snat_reroute: true,
            sync_persist_mode: false,
            sync_qlen_max: 8_192,
            sync_refresh_period: Span::ZERO,
            sync_retries: 0,
            sync_threshold: (3, 50),
            sync_version: 1,
        }
    }
}
