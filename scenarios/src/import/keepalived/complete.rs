//! What keepalived says about a virtual router as a whole (`vrrp_complete_instance` of `vrrp/vrrp.c`).

use super::Findings;
use super::instance::Instance;
use super::tracking::Track;
use super::tree::Node;
use sim_core::engine::Span;

/// What keepalived says about an instance as a whole; it mends what does not go together.
pub(super) fn complete(node: &Node, instance: &mut Instance, findings: &mut Findings) {
    let name = instance.name.clone();
    let mut say = |of: &str, message: String, label: &str| {
        let place = node.last(of).map_or_else(|| instance.place.clone(), Node::place);
        findings.error(&place, message, label);
    };
    if !node.has("virtual_router_id") {
        say("", format!("({name}) the virtual id must be set!"), "`virtual_router_id` is missing");
    }
    let unicast = instance.is_unicast();
    if instance.interface.is_none() && !unicast {
        say("interface", format!("({name}) Unknown interface!"), "`interface IF` is missing");
    }
    if node.has("priority")
        && instance.master
        && instance.priority == 255
        && node.last("state").and_then(|s| s.word(1)) == Some("BACKUP")
    {
        let message = format!("({name}) Initial state BACKUP with priority 255 - setting MASTER");
        say("state", message, "an owner starts as master");
    }
    let written = instance.addresses.is_empty() && !node.has("no_virtual_ipaddress");
    if written {
        let message = format!("({name}) No VIP specified; at least one is sensible");
        say("virtual_ipaddress", message, "`virtual_ipaddress` has no address");
    }
    if instance.priority == 255 && !instance.preempt {
        let message =
            format!("({name}) nopreempt is incompatible with priority 255. resetting nopreempt");
        say("nopreempt", message, "an owner always takes over");
        instance.preempt = true;
    }
    if instance.master && !instance.preempt {
        let message = format!(
            "({name}) Warning - nopreempt will not work with initial state MASTER - clearing"
        );
        say("nopreempt", message, "needs `state BACKUP`");
        instance.preempt = true;
    }
    if instance.preempt_delay > Span::ZERO && (!instance.preempt || instance.master) {
        let with = if instance.preempt { "initial state MASTER" } else { "nopreempt mode" };
        let message =
            format!("({name}) Warning - preempt delay will not work with {with} - clearing");
        say("preempt_delay", message, "has no effect");
        instance.preempt_delay = Span::ZERO;
    }
    let unicast_words = ["unicast_src_ip", "unicast_ttl", "check_unicast_src", "unicast_peer"];
    if !unicast && let Some(word) = unicast_words.into_iter().find(|w| node.has(w)) {
        let message = format!(
            "({name}) A unicast keyword has been specified without any unicast peers. Defaulting to multicast."
        );
        say(word, message, "`unicast_peer { ... }` has no address");
    }
    if let Some(vmac) = instance.vmac.as_mut().filter(|v| unicast && !v.xmit_base) {
        let message = format!("({name}) unicast with use_vmac requires vmac_xmit_base - setting");
        findings.error(&node.end, message, "`vmac_xmit_base` is missing");
        vmac.xmit_base = true;
    }
    authentication(node, instance, findings);
    adverts(node, instance, findings);
    if let Some(own) = instance.interface.clone() {
        for entry in node.all("track_interface").flat_map(|n| &n.inner).filter(|e| e.name() == own)
        {
            let message = format!("({name}) Ignoring track_interface {own} since own interface");
            findings.error(&entry.place(), message, "it is tracked anyway");
        }
        instance.trackers.retain(|t| t.kind != Track::Interface || t.name != own);
    }
}

fn authentication(node: &Node, instance: &mut Instance, findings: &mut Findings) {
    let Some(block) = node.last("authentication") else { return };
    let name = &instance.name;
    if let Some(password) =
        block.last("auth_pass").filter(|p| p.word(1).is_some_and(|w| w.len() > 8))
    {
        let label = "only the first 8 letters count";
        findings.error(&password.words[1].place, "Truncating auth_pass to 8 characters", label);
    }
    if instance.strict && instance.authentication.is_some() {
        let message = format!("({name}) Strict mode does not support authentication. Ignoring.");
        findings.error(&block.place(), message, "not with `strict_mode` or `vrrp_strict`");
        instance.authentication = None;
    }
    if instance.version == 3 && instance.authentication.is_some() {
        let message = format!("({name}) VRRP version 3 does not support authentication. Ignoring.");
        findings.error(&block.place(), message, "for `version 2` only");
        instance.authentication = None;
    }
    if instance.master && instance.authentication.as_ref().is_some_and(|a| a.0) {
        let message = format!(
            "({name}) Initial state master is incompatible with AH authentication - clearing"
        );
        findings.error(&block.place(), message, "it starts as backup");
        instance.master = false;
    }
}

/// What strict mode, and what is no owner of the addresses, does not have.
fn adverts(node: &Node, instance: &mut Instance, findings: &mut Findings) {
    let name = instance.name.clone();
    let mut say = |of: &str, message: String| {
        let place = node.last(of).map_or_else(|| instance.place.clone(), Node::place);
        findings.error(&place, message, "has no effect");
    };
    if node.flag("owner_ignore_adverts") == Some(true) && instance.priority != 255 {
        let message = format!("({name}) ignoring owner_ignore_adverts since priority is not 255");
        say("owner_ignore_adverts", message);
    }
    if instance.timer_expired_backup.is_some() && instance.preempt {
        let message = format!("({name}) expired_timer_backup requires nopreempt - resetting");
        say("timer_expired_backup", message);
        instance.timer_expired_backup = None;
    }
    if !instance.strict {
        return;
    }
    if instance.preempt_delay > Span::ZERO {
        let message =
            format!("({name}) preempt_delay is incompatible with strict mode - resetting");
        say("preempt_delay", message);
        instance.preempt_delay = Span::ZERO;
    }
    if instance.down_timer_adverts != 3 {
        let message =
            format!("({name}) down_timer_adverts is incompatible with strict mode - resetting");
        say("down_timer_adverts", message);
        instance.down_timer_adverts = 3;
    }
    if instance.garp.lower_prio_repeat > 0 {
        let message = format!("({name}) Strict mode requires no repeat garps. resetting");
        say("garp_lower_prio_repeat", message);
        instance.garp.lower_prio_repeat = 0;
    }
    if instance.garp.lower_prio_delay > Span::ZERO {
        let message = format!("({name}) Strict mode requires no repeat garp delay. resetting");
        say("garp_lower_prio_delay", message);
        instance.garp.lower_prio_delay = Span::ZERO;
    }
    if !instance.lower_prio_no_advert {
        let message = format!("({name}) Strict mode requires no lower priority advert. resetting");
        say("lower_prio_no_advert", message);
        instance.lower_prio_no_advert = true;
    }
    if instance.higher_prio_send_advert {
        let message =
            format!("({name}) strict mode requires higher_prio_send_advert to be clear. resetting");
        say("higher_prio_send_advert", message);
        instance.higher_prio_send_advert = false;
    }
    if instance.master != (instance.priority == 255) && node.has("state") {
        say("state", format!("({name}) State MASTER must match being address owner"));
        instance.master = instance.priority == 255;
    }
}
