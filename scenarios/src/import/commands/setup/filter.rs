//! Chains of the packet filter.

use super::super::action::Family;
use super::super::netfilter::{Change, Edit, Rule, Table, Target};
use crate::diagnostic::{Place, Problem};
use crate::format::words::{list, nearest};

/// A chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// Of iptables or ip6tables.
    pub family: Family,
    /// Its table.
    pub table: Table,
    /// Its name.
    pub name: String,
    /// What happens at its end: `false` drops. A chain of the user returns.
    pub accept: bool,
    /// Its rules in order.
    pub rules: Vec<Rule>,
}

impl Chain {
    /// Whether it is one that the kernel has.
    pub fn built_in(&self) -> bool {
        self.table.chains().contains(&self.name.as_str())
    }
}

/// The packet filter of a host.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Netfilter {
    /// Chains that hold rules, have another policy than ACCEPT, or were made by the user.
    pub chains: Vec<Chain>,
}

impl Netfilter {
    /// A chain by its name.
    pub fn chain(&self, family: Family, table: Table, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|c| c.family == family && c.table == table && c.name == name)
    }

    pub(super) fn change(&mut self, change: &Change, place: &Place) -> Result<(), Problem> {
        let Some(name) = change.chain.as_deref() else {
            let of = |c: &&mut Chain| c.family == change.family && c.table == change.table;
            if change.edit == Edit::Remove {
                self.chains.retain(|c| {
                    c.family != change.family
                        || c.table != change.table
                        || c.built_in()
                        || !c.rules.is_empty()
                });
            } else {
                self.chains.iter_mut().filter(of).for_each(|c| c.rules.clear());
            }
            return Ok(());
        };
        if change.edit == Edit::New {
            if self.chain(change.family, change.table, name).is_some()
                || change.table.chains().contains(&name)
            {
                return Err(Problem::new(place, "iptables: Chain already exists.", "made before"));
            }
            self.chains.push(chain(change, name));
            return Ok(());
        }
        if let Edit::Append(rule) | Edit::Insert(_, rule) | Edit::Replace(_, rule) = &change.edit
            && let Target::Chain(target) = &rule.target
            && self.chain(change.family, change.table, target).is_none()
        {
            let message = format!("Couldn't load target `{target}'");
            let mut known =
                vec!["ACCEPT", "DROP", "REJECT", "RETURN", "MARK", "SNAT", "DNAT", "MASQUERADE"];
            known.extend(self.chains.iter().filter(|c| !c.built_in()).map(|c| c.name.as_str()));
            let problem = Problem::new(
                &rule.place,
                message,
                format!(
                    "no target and no chain of {}: known are {}",
                    change.table.name(),
                    list(&known)
                ),
            );
            return Err(match nearest(target, known) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        let chain = self.find(change, name, place)?;
        edit(chain, &change.edit, place)?;
        if change.edit == Edit::Remove {
            self.chains.retain(|c| {
                (c.family, c.table, c.name.as_str()) != (change.family, change.table, name)
            });
        }
        Ok(())
    }

    fn find(&mut self, change: &Change, name: &str, place: &Place) -> Result<&mut Chain, Problem> {
        let same =
            |c: &Chain| c.family == change.family && c.table == change.table && c.name == name;
        let at = match self.chains.iter().position(same) {
            Some(at) => at,
            None if change.table.chains().contains(&name) => {
                self.chains.push(chain(change, name));
                self.chains.len() - 1
            }
            None => {
                let mut known: Vec<&str> = change.table.chains().to_vec();
                known.extend(
                    self.chains
                        .iter()
                        .filter(|c| c.table == change.table && !c.built_in())
                        .map(|c| c.name.as_str()),
                );
                let label = format!("chains of {} are {}", change.table.name(), list(&known));
                let problem =
                    Problem::new(place, "iptables: No chain/target/match by that name.", label);
                return Err(match nearest(name, known) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                });
            }
        };
        Ok(&mut self.chains[at])
    }
}

fn chain(change: &Change, name: &str) -> Chain {
    Chain {
        family: change.family,
        table: change.table,
        name: name.to_owned(),
        accept: true,
        rules: Vec::new(),
    }
}

fn edit(chain: &mut Chain, edit: &Edit, place: &Place) -> Result<(), Problem> {
    let rules = &mut chain.rules;
    let too_big = |what: &str| {
        Problem::new(
            place,
            format!("iptables: Index of {what} too big."),
            "the chain has fewer rules",
        )
    };
    match edit {
        Edit::Append(rule) => rules.push(rule.clone()),
        Edit::Insert(at, rule) => {
            if *at > rules.len() + 1 {
                return Err(too_big("insertion"));
            }
            rules.insert(at - 1, rule.clone());
        }
        Edit::Replace(at, rule) => {
            *rules.get_mut(at - 1).ok_or_else(|| too_big("replacement"))? = rule.clone();
        }
        Edit::DeleteNumber(at) => {
            if *at > rules.len() {
                return Err(too_big("deletion"));
            }
            rules.remove(at - 1);
        }
        Edit::Delete(rule) => {
            let same = |r: &Rule| (&r.matches, &r.target) == (&rule.matches, &rule.target);
            let Some(at) = rules.iter().position(same) else {
                let message = "iptables: Bad rule (does a matching rule exist in that chain?).";
                return Err(Problem::new(place, message, "no rule of the chain is this one"));
            };
            rules.remove(at);
        }
        Edit::Flush => rules.clear(),
        Edit::Policy(accept) => {
            if !chain.built_in() {
                return Err(Problem::new(
                    place,
                    "iptables: Bad built-in chain name.",
                    "only built-in chains have a policy",
                ));
            }
            chain.accept = *accept;
        }
        Edit::Remove => {
            if chain.built_in() || !chain.rules.is_empty() {
                let message = "iptables: Directory not empty.";
                return Err(Problem::new(place, message, "expected an empty chain of the user"));
            }
        }
        Edit::New => {}
    }
    Ok(())
}
