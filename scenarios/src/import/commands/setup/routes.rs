//! Routes, rules, neighbours.

use super::super::action::{
    Family, Hop, Neighbour, Route, RouteChoice, RouteKind, RouteMode, Rule, Word,
};
use super::{HostSetup, connected};
use crate::diagnostic::{At, Place, Problem};
use core::net::IpAddr;

/// The priority of the rule of the table `main`.
const MAIN_PRIORITY: u32 = 32_766;

impl HostSetup {
    pub(super) fn add_route(
        &mut self,
        mode: RouteMode,
        route: &Route,
        place: &Place,
    ) -> Result<(), Problem> {
        let mut route = route.clone();
        let mut hops = core::mem::take(&mut route.hops);
        for hop in &mut hops {
            self.check_hop(hop, place)?;
        }
        route.hops = hops;
        if let Some(source) = route.source
            && !self.has_address(source)
        {
            let label = format!("no interface has {source}");
            return Err(Problem::new(place, "Invalid prefsrc address", label));
        }
        let same = |r: &Route| (r.to, r.table, r.metric) == (route.to, route.table, route.metric);
        let at = self.routes.iter().position(same);
        match (mode, at) {
            (RouteMode::Add, Some(_))
                if route.to.family() == Family::V4
                    || self.routes.iter().any(|r| same(r) && alike_hops(r, &route)) =>
            {
                return Err(self.exists(&route, place));
            }
            (RouteMode::Append | RouteMode::Prepend, Some(_))
                if self.routes.iter().any(|r| same(r) && alike_hops(r, &route)) =>
            {
                return Err(self.exists(&route, place));
            }
            (RouteMode::Change, None) => {
                let message = "RTNETLINK answers: No such file or directory";
                return Err(Problem::new(
                    place,
                    message,
                    format!("there is no route to {}", route.to),
                ));
            }
            (RouteMode::Replace | RouteMode::Change, Some(at)) => self.routes[at] = route,
            (RouteMode::Prepend, Some(at)) => self.routes.insert(at, route),
            (RouteMode::Add, Some(at)) => {
                // IPv6 makes several next hops of one prefix
                self.routes[at].hops.extend(route.hops);
            }
            _ => self.routes.push(route),
        }
        Ok(())
    }

    fn exists(&self, route: &Route, place: &Place) -> Problem {
        let label = format!("there is a route to {} with this metric", route.to);
        let problem = Problem::new(place, "RTNETLINK answers: File exists", label);
        let first = self
            .routes
            .iter()
            .find(|r| (r.to, r.table, r.metric) == (route.to, route.table, route.metric));
        match first.and_then(|r| r.hops.first()).and_then(|h| h.via.as_ref()) {
            Some(via) => problem
                .help(format!("it goes via {}: `replace` puts this one in its place", via.value)),
            None => problem,
        }
    }

    /// A gateway must be on the link of an interface that is up.
    fn check_hop(&self, hop: &mut Hop, place: &Place) -> Result<(), Problem> {
        if let Some(device) = &hop.device {
            let index = self.index(device)?;
            if !self.interfaces[index].up {
                let label = format!("{} is down", device.value);
                return Err(Problem::new(
                    &device.place,
                    "RTNETLINK answers: Network is down",
                    label,
                ));
            }
        }
        let Some(via) = &hop.via else { return Ok(()) };
        if self.has_address(via.value) {
            let label = format!("{} is an address of this host", via.value);
            return Err(Problem::new(&via.place, "Nexthop has invalid gateway", label));
        }
        if hop.on_link && hop.device.is_some() {
            return Ok(());
        }
        let link_local = matches!(via.value, IpAddr::V6(a) if a.is_unicast_link_local());
        if link_local {
            return if hop.device.is_some() {
                Ok(())
            } else {
                Err(Problem::new(
                    &via.place,
                    "Nexthop device required",
                    "a link-local gateway needs `dev`",
                ))
            };
        }
        let found = self.on_link(via.value, hop.device.as_ref().map(|d| d.value.as_str()));
        if let Some(name) = found {
            hop.device.get_or_insert_with(|| At::new(name, place.clone()));
            Ok(())
        } else {
            let label = format!("no interface that is up has a prefix with {}", via.value);
            let message = "Nexthop has invalid gateway: Network is unreachable";
            Err(Problem::new(&via.place, message, label))
        }
    }

    /// The interface on whose link an address is: by a connected prefix or a route without a gateway.
    fn on_link(&self, address: IpAddr, device: Option<&str>) -> Option<String> {
        let wanted = |name: &str| device.is_none_or(|d| d == name);
        let prefixes =
            self.interfaces.iter().filter(|i| i.up && wanted(&i.name) && i.name != "lo").flat_map(
                |i| {
                    i.addresses
                        .iter()
                        .filter(|a| !a.no_prefix_route)
                        .map(move |a| (connected(a), i.name.clone()))
                },
            );
        let stated = self.routes.iter().filter(|r| r.kind == RouteKind::Unicast).flat_map(|r| {
            let direct = r.hops.iter().filter(|h| h.via.is_none());
            direct.filter_map(move |h| Some((r.to, h.device.as_ref()?.value.clone())))
        });
        let stated = stated.filter(|(_, name)| wanted(name));
        let all = prefixes.chain(stated).filter(|(net, _)| net.contains(address));
        all.max_by_key(|(net, _)| net.len).map(|(_, name)| name)
    }

    pub(super) fn delete_route(
        &mut self,
        choice: &RouteChoice,
        place: &Place,
    ) -> Result<(), Problem> {
        if let Some(device) = &choice.device {
            self.index(device)?;
        }
        let fits = |r: &Route| {
            r.to == choice.to
                && r.table == choice.table
                && choice.metric.is_none_or(|m| r.metric == m)
                && choice.via.is_none_or(|v| {
                    r.hops.iter().any(|h| h.via.as_ref().is_some_and(|w| w.value == v))
                })
                && choice.device.as_ref().is_none_or(|d| {
                    r.hops.iter().any(|h| h.device.as_ref().is_some_and(|e| e.value == d.value))
                })
        };
        if let Some(at) = self.routes.iter().position(fits) {
            self.routes.remove(at);
            return Ok(());
        }
        if choice.via.is_none() && self.drop_connected(choice) {
            return Ok(());
        }
        let label = format!("there is no such route to {}", choice.to);
        Err(Problem::new(place, "RTNETLINK answers: No such process", label))
    }

    /// Deletes the route of a connected prefix: the addresses stay.
    fn drop_connected(&mut self, choice: &RouteChoice) -> bool {
        let mut found = false;
        for interface in &mut self.interfaces {
            if choice.device.as_ref().is_some_and(|d| d.value != interface.name) {
                continue;
            }
            for address in &mut interface.addresses {
                if !address.no_prefix_route
                    && connected(address).masked() == choice.to
                    && choice.to.len < choice.to.family().bits()
                {
                    address.no_prefix_route = true;
                    found = true;
                }
            }
        }
        found
    }

    pub(super) fn flush_routes(
        &mut self,
        table: u32,
        family: Family,
        device: Option<&Word>,
    ) -> Result<(), Problem> {
        if let Some(device) = device {
            self.index(device)?;
        }
        self.routes.retain(|r| {
            let through = |d: &Word| {
                r.hops.iter().any(|h| h.device.as_ref().is_some_and(|e| e.value == d.value))
            };
            !(r.table == table && r.to.family() == family && device.is_none_or(through))
        });
        Ok(())
    }

    /// Routes whose gateway is on no link any more, or whose interface is gone, go.
    pub(super) fn drop_unreachable(&mut self) {
        let routes = core::mem::take(&mut self.routes);
        // routes without a gateway first: gateways may be on them
        let there = |name: &str| self.interfaces.iter().any(|i| i.name == name && i.up);
        let (direct, via): (Vec<Route>, Vec<Route>) =
            routes.into_iter().partition(|r| r.hops.iter().all(|h| h.via.is_none()));
        self.routes = direct;
        let all_there =
            |r: &Route| r.hops.iter().all(|h| h.device.as_ref().is_none_or(|d| there(&d.value)));
        let stays: Vec<bool> = self.routes.iter().map(all_there).collect();
        let mut stays = stays.into_iter();
        self.routes.retain(|_| stays.next().unwrap_or(true));
        let kept: Vec<Route> = via
            .into_iter()
            .filter(|r| {
                r.hops.iter().all(|h| {
                    let device = h.device.as_ref().map(|d| d.value.as_str());
                    let up = device.is_none_or(|d| self.interface(d).is_some_and(|i| i.up));
                    up && h.via.as_ref().is_none_or(|v| {
                        let local = matches!(v.value, IpAddr::V6(a) if a.is_unicast_link_local());
                        h.on_link || local || self.on_link(v.value, device).is_some()
                    })
                })
            })
            .collect();
        self.routes.extend(kept);
    }

    /// Routes through an interface that goes down go.
    pub(super) fn drop_through(&mut self, index: usize) {
        let name = self.interfaces[index].name.clone();
        self.routes
            .retain(|r| !r.hops.iter().any(|h| h.device.as_ref().is_some_and(|d| d.value == name)));
    }

    pub(super) fn add_rule(&mut self, rule: &Rule, place: &Place) -> Result<(), Problem> {
        let mut rule = rule.clone();
        let lowest =
            self.rules.iter().filter(|r| r.family == rule.family).filter_map(|r| r.priority).min();
        let priority = rule.priority.unwrap_or_else(|| {
            lowest.unwrap_or(MAIN_PRIORITY).min(MAIN_PRIORITY).saturating_sub(1)
        });
        rule.priority = Some(priority);
        if self.rules.iter().any(|r| alike(r, &rule) && r.priority == rule.priority) {
            return Err(Problem::new(
                place,
                "RTNETLINK answers: File exists",
                "there is such a rule",
            ));
        }
        let at =
            self.rules.iter().position(|r| r.priority > rule.priority).unwrap_or(self.rules.len());
        self.rules.insert(at, rule);
        Ok(())
    }

    pub(super) fn delete_rule(&mut self, rule: &Rule, place: &Place) -> Result<(), Problem> {
        let fits = |r: &Rule| {
            let only_priority = rule.priority.is_some()
                && rule.from.is_none()
                && rule.to.is_none()
                && rule.mark.is_none();
            rule.priority.is_none_or(|p| r.priority == Some(p)) && (only_priority || alike(r, rule))
        };
        match self.rules.iter().position(fits) {
            Some(at) => {
                self.rules.remove(at);
                Ok(())
            }
            None => Err(Problem::new(
                place,
                "RTNETLINK answers: No such file or directory",
                "there is no such rule",
            )),
        }
    }

    pub(super) fn set_neighbour(
        &mut self,
        new: &Neighbour,
        replace: bool,
        place: &Place,
    ) -> Result<(), Problem> {
        let mut new = new.clone();
        if let Some(device) = &new.device {
            self.index(device)?;
        } else {
            let Some(interface) = self.interface_towards(new.address) else {
                let label = "no interface has a prefix with it: `-i INTERFACE` names one";
                return Err(Problem::new(place, "SIOCSARP: Network is unreachable", label));
            };
            new.device = Some(At::new(interface.name.clone(), place.clone()));
        }
        let name = |n: &Neighbour| n.device.as_ref().map(|d| d.value.clone());
        let same = self.neighbours.iter().position(|n| {
            n.address == new.address && n.proxy == new.proxy && name(n) == name(&new)
        });
        match same {
            Some(_) if !replace => {
                let label = format!("there is an entry for {}", new.address);
                Err(Problem::new(place, "RTNETLINK answers: File exists", label))
            }
            Some(at) => {
                self.neighbours[at] = new;
                Ok(())
            }
            None => {
                self.neighbours.push(new);
                Ok(())
            }
        }
    }
}

/// Whether two rules ask the same and choose the same table.
fn alike(a: &Rule, b: &Rule) -> bool {
    let name = |w: &Option<Word>| w.as_ref().map(|w| w.value.clone());
    (a.from, a.to, a.mark, a.table, a.family) == (b.from, b.to, b.mark, b.table, b.family)
        && (name(&a.input), name(&a.output)) == (name(&b.input), name(&b.output))
}

/// Whether two routes do the same, wherever they were written.
fn alike_hops(a: &Route, b: &Route) -> bool {
    let hops = |r: &Route| -> Vec<(Option<IpAddr>, Option<String>)> {
        let hop =
            |h: &Hop| (h.via.as_ref().map(|v| v.value), h.device.as_ref().map(|d| d.value.clone()));
        r.hops.iter().map(hop).collect()
    };
    a.kind == b.kind && hops(a) == hops(b)
}
