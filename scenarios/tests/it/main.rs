//! The command as people use it.

#[cfg(test)]
mod availability;
#[cfg(test)]
mod catalogue_checks;
#[cfg(test)]
mod catalogue_ha;
#[cfg(test)]
mod clusters;
#[cfg(test)]
mod command;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod conform;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod heartbeat;
#[cfg(test)]
mod highavail;
#[cfg(test)]
mod howtos;
#[cfg(test)]
mod importing;
#[cfg(test)]
mod importing_heartbeat;
#[cfg(test)]
mod judgements;
#[cfg(test)]
mod keepalived;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod parsers;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod shipped;
#[cfg(test)]
mod support;
#[cfg(test)]
mod trace;
#[cfg(test)]
mod virtual_routers;
