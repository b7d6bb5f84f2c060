//! What schedulers and persistence make of the rules.

use super::Judgement;
use super::cluster::{Cluster, protocol, service_name};
use schedulers::Algorithm;
use sim_core::ipvs::rules::{ServerRule, ServiceKey};
use sim_core::wire::proto;

pub(super) fn judge(cluster: &Cluster<'_>, found: &mut Vec<Judgement>) {
    for (director, service) in cluster.services() {
        let place = service_name(director, service);
        let usable = service.servers.iter().filter(|s| s.weight > 0).count();
        slots(service.scheduler, &service.servers, &place, found);
        let udp = match service.key {
            ServiceKey::Address { protocol, .. } => protocol == proto::UDP,
            ServiceKey::Fwmark { .. } => {
                let mut clients = cluster.clients_of(director, service).peekable();
                clients.peek().is_some() && clients.all(|c| protocol(c.application) == proto::UDP)
            }
        };
        if udp
            && usable > 1
            && matches!(service.scheduler, Algorithm::Sed | Algorithm::Nq | Algorithm::Ovf)
        {
            found.push(Judgement {
                name: "active-connections-of-udp",
                place: place.clone(),
                message: format!(
                    "{} looks at active connections only, and UDP has none: one real server gets \
                     everything",
                    service.scheduler.name()
                ),
                reason: "UDP entries always count as inactive (ip_vs_bind_dest, ip_vs_set_state)",
                help: "use lc or wlc, which look at both, or rr or wrr".to_owned(),
            });
        }
        let one = matches!(service.key, ServiceKey::Address { .. });
        if one
            && usable > 1
            && matches!(service.scheduler, Algorithm::Dh | Algorithm::Lblc | Algorithm::Lblcr)
        {
            found.push(Judgement {
                name: "one-destination-address",
                place: place.clone(),
                message: format!(
                    "{} chooses by the destination address, and all packets of this service have \
                     the same one: one real server gets everything until it is overloaded",
                    service.scheduler.name()
                ),
                reason: "dh, lblc and lblcr are for transparent caches: a fwmark service with many \
                         destinations (ip_vs_dh_schedule, ip_vs_lblc_schedule)",
                help: "use a fwmark service for many destinations, or sh or mh for sticky clients"
                    .to_owned(),
            });
        }
        let quiesced: Vec<String> =
            service.servers.iter().filter(|s| s.weight == 0).map(|s| s.rip.to_string()).collect();
        let expire = director.ipvs.as_ref().is_some_and(|i| i.sysctl.expire_quiescent_template);
        if service.persistent.is_some() && !quiesced.is_empty() && !expire {
            found.push(Judgement {
                name: "quiesced-persistence",
                place,
                message: format!(
                    "{} has weight 0, but clients with a persistence template go on getting it as \
                     long as they come back in time",
                    quiesced.join(", ")
                ),
                reason: "a valid template is used before the scheduler is asked; weight 0 counts only \
                         with expire_quiescent_template (ip_vs_check_template)",
                help: format!(
                    "missing on {}: sysctl -w net.ipv4.vs.expire_quiescent_template=1",
                    director.name
                ),
            });
        }
    }
}

/// Slots of the tables of sh and dh (`IP_VS_SH_TAB_SIZE`, `IP_VS_DH_TAB_SIZE`).
const SLOTS: u32 = 256;

/// Real servers that get no slot of a hash table.
fn slots(scheduler: Algorithm, servers: &[ServerRule], place: &str, found: &mut Vec<Judgement>) {
    // the table is filled along the kernel's list, newest first, a slot for each unit of weight
    let share = |s: &ServerRule| match scheduler {
        Algorithm::Sh => u32::from(s.weight),
        _ => 1,
    };
    if !matches!(scheduler, Algorithm::Sh | Algorithm::Dh) {
        return;
    }
    let mut used = 0;
    let mut without = Vec::new();
    let mut cut = false;
    for server in servers.iter().rev().filter(|s| share(s) > 0) {
        if used >= SLOTS {
            without.push(server.rip.to_string());
        }
        used += share(server);
        cut |= used > SLOTS;
    }
    if without.is_empty() {
        return;
    }
    debug_assert!(cut, "only a full table leaves servers out");
    without.reverse();
    let more = without.len().saturating_sub(5);
    without.truncate(5);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    found.push(Judgement {
        name: "servers-without-slots",
        place: place.to_owned(),
        message: format!(
            "the weights add up to {used}, but {} has {SLOTS} slots, filled from the newest real server \
             on: nothing is ever sent to {}{tail}",
            scheduler.name(),
            without.join(", ")
        ),
        reason: "each real server takes as many slots as its weight until the table is full \
                 (ip_vs_sh_reassign, ip_vs_dh_reassign)",
        help: "use small weights: their sum must not be above 256".to_owned(),
    });
}
