//! Settings of the kernel.

use super::super::action::{Family, Word};
use super::super::sysctl::{Setting, setting};
use super::{Findings, HostSetup, Value};
use crate::diagnostic::{At, Problem};

impl HostSetup {
    pub(super) fn set(
        &mut self,
        key: &Word,
        value: &Word,
        findings: &mut Findings,
    ) -> Result<(), Problem> {
        let (mut setting, number) = setting(key, value)?;
        match &setting {
            Setting::Other(name) => {
                let message = format!("nothing that is simulated depends on {name}");
                findings.remark(&key.place, message);
            }
            Setting::Interface(device, name) | Setting::Interface6(device, name) => {
                let fixed = ["all", "default"].contains(&device.as_str());
                if !fixed {
                    // an alias has no settings of its own
                    let known = self.index(&At::new(device.clone(), key.place.clone()));
                    if let Err(problem) = known {
                        let message =
                            format!("sysctl: cannot stat {}: No such file or directory", key.value);
                        return Err(Problem { message, ..problem });
                    }
                } else if device == "default" {
                    let message = "`default` is what interfaces made later begin with: those that are there keep theirs";
                    findings.remark(&key.place, message);
                }
                if device == "all"
                    && *name == "forwarding"
                    && matches!(setting, Setting::Interface(..))
                {
                    setting = Setting::Host("ipv4.ip_forward");
                }
                if let Setting::Interface6(device, "disable_ipv6") = &setting
                    && number == 1
                {
                    let device = device.clone();
                    for interface in &mut self.interfaces {
                        if device == "all" || interface.name == device {
                            interface.addresses.retain(|a| a.net.family() == Family::V4);
                        }
                    }
                    self.drop_unreachable();
                }
                if let Setting::Interface6(device, name) = &setting
                    && device == "all"
                {
                    // net.ipv6.conf.all.forwarding and disable_ipv6 are written to every interface
                    let name = *name;
                    self.settings.retain(|s, _| !matches!(s, Setting::Interface6(d, n) if d != "default" && *n == name));
                }
            }
            Setting::Host(_) | Setting::Vs(_) => {}
        }
        self.settings.insert(setting, Value { number, place: key.place.clone() });
        Ok(())
    }

    /// A new interface begins with the settings of `default`.
    pub(super) fn copy_defaults(&mut self, device: &str) {
        let defaults: Vec<(Setting, Value)> = self
            .settings
            .iter()
            .filter_map(|(s, v)| match s {
                Setting::Interface(d, n) if d == "default" => {
                    Some((Setting::Interface(device.to_owned(), n), v.clone()))
                }
                Setting::Interface6(d, n) if d == "default" => {
                    Some((Setting::Interface6(device.to_owned(), n), v.clone()))
                }
                _ => None,
            })
            .collect();
        self.settings.extend(defaults);
    }

    /// The value of a setting, if it was set.
    pub fn setting(&self, setting: &Setting) -> Option<i64> {
        self.settings.get(setting).map(|v| v.number)
    }
}
