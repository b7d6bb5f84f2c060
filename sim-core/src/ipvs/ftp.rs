//! The FTP helper: data connections of NAT services on port 21 (`ip_vs_ftp.c`).
//!
//! Packets here carry no text, so the helper is called with the lines of a control connection. It
//! makes the entry for the data connection that a line announces, and rewrites the address that a
//! server in passive mode tells.

use super::connection::{Connection, Slot, Tuple, flag};
use super::director::Ipvs;
use super::rules::Forwarding;
use super::service::FTP;
use super::state::State;
use crate::engine::Time;
use crate::wire::{AddressBook, Ip, proto};
use core::net::{IpAddr, Ipv4Addr};
use schedulers::Counting;

/// How a client asked for a passive data connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passive {
    /// `PASV`: the answer names an address.
    Plain,
    /// `EPSV`: the answer names a port.
    Extended,
}

/// What the helper did with a line of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FtpAnswer {
    /// The line as the client gets it.
    pub text: String,
    /// The data connection that it announces.
    pub data: Slot,
}

/// Six numbers: an address and a port.
fn host_port(text: &str) -> Option<(Ipv4Addr, u16)> {
    let mut numbers = [0_u8; 6];
    let mut parts = text.split(',');
    for number in &mut numbers {
        *number = parts.next()?.trim().parse().ok()?;
    }
    let [a, b, c, d, high, low] = numbers;
    parts.next().is_none().then(|| (Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])))
}

/// `|1|10.0.0.1|5000|`: an address and a port (RFC 2428).
fn extended_host_port(text: &str) -> Option<(IpAddr, u16)> {
    let delimiter = text.chars().next()?;
    let mut parts = text.strip_prefix(delimiter)?.split(delimiter);
    let (family, address, port) = (parts.next()?, parts.next()?, parts.next()?);
    let address: IpAddr = address.parse().ok()?;
    (family == if address.is_ipv4() { "1" } else { "2" }).then_some(())?;
    Some((address, port.parse().ok()?))
}

/// The argument of a command, if the line is that command.
fn argument<'a>(line: &'a str, command: &str) -> Option<&'a str> {
    let start = line.get(..command.len())?;
    let rest = &line[command.len()..];
    (start.eq_ignore_ascii_case(command) && (rest.is_empty() || rest.starts_with(' ')))
        .then(|| rest.trim())
}

/// The text between the last opening bracket and the closing one after it, and its place.
fn bracketed(line: &str) -> Option<(usize, &str)> {
    let start = line.find('(')? + 1;
    let end = start + line[start..].find(')')?;
    Some((start, &line[start..end]))
}

impl Ipvs {
    /// A line that the client of the control connection `control` sends. `PORT` and `EPRT` announce
    /// a data connection from the real server, which is expected from now on; the line itself goes on
    /// as it is.
    pub fn ftp_client(
        &mut self,
        now: Time,
        control: Slot,
        line: &str,
        book: &mut AddressBook,
    ) -> Option<Slot> {
        let entry = self.ftp_control(control)?;
        let line = line.trim_end();
        let v4 = !entry.caddr.is_v6();
        if v4 && argument(line, "PASV").is_some() {
            self.passive.insert(control, Passive::Plain);
            return None;
        }
        if argument(line, "EPSV").is_some() {
            self.passive.insert(control, Passive::Extended);
            return None;
        }
        let announced = if let Some(text) = argument(line, "PORT").filter(|_| v4) {
            host_port(text).map(|(address, port)| (IpAddr::V4(address), port))
        } else {
            extended_host_port(argument(line, "EPRT")?)
        };
        let (address, port) = announced?;
        self.passive.remove(&control);
        let client = (book.number(address), port);
        let service = (entry.vaddr, entry.vport.wrapping_sub(1));
        let tuple = Tuple::new(client, service, proto::TCP);
        let server = (entry.daddr, entry.dport.wrapping_sub(1));
        let known = self.table.find_request(tuple);
        Some(self.expect_data(now, control, known, (tuple, server), 0))
    }

    /// A line that the real server of the control connection `control` sends. The answer to `PASV`
    /// or `EPSV` announces a data connection from the client, which is expected from now on, and gets
    /// the virtual address.
    pub fn ftp_server(
        &mut self,
        now: Time,
        control: Slot,
        line: &str,
        book: &mut AddressBook,
    ) -> Option<FtpAnswer> {
        let entry = self.ftp_control(control)?;
        if entry.state != State::Established {
            return None;
        }
        let passive = *self.passive.get(&control)?;
        let (place, inside) = bracketed(line)?;
        let from = match passive {
            Passive::Plain if line.starts_with("227 ") => {
                let (address, port) = host_port(inside)?;
                (book.number(address.into()), port)
            }
            Passive::Extended if line.starts_with("229 ") => {
                let delimiter = inside.chars().next()?;
                let fields: Vec<&str> = inside.split(delimiter).collect();
                let ["", "", "", port, ""] = fields[..] else { return None };
                (entry.daddr, port.parse().ok()?)
            }
            Passive::Plain | Passive::Extended => return None,
        };
        let reply = Tuple::new(from, (entry.caddr, 0), proto::TCP);
        let known = self.table.find_reply(reply);
        let tuple = Tuple::new((entry.caddr, 0), (entry.vaddr, from.1), proto::TCP);
        let data = self.expect_data(now, control, known, (tuple, from), flag::NO_CPORT);
        self.passive.remove(&control);
        let (vip, port) = self.table.get(data).vip();
        let new = match (passive, book.address(vip)) {
            (Passive::Plain, IpAddr::V4(vip)) => {
                let [a, b, c, d] = vip.octets();
                let [high, low] = port.to_be_bytes();
                format!("{a},{b},{c},{d},{high},{low}")
            }
            _ => format!("|||{port}|"),
        };
        let text = format!("{}{new}{}", &line[..place], &line[place + inside.len()..]);
        Some(FtpAnswer { text, data })
    }

    /// The entry, if it is an FTP control connection that the helper looks into.
    fn ftp_control(&self, slot: Slot) -> Option<Connection> {
        let entry = self.table.lookup(slot)?;
        let helped = entry.protocol == proto::TCP
            && entry.vport == FTP
            && entry.forwarding == Forwarding::Nat;
        helped.then_some(*entry)
    }

    /// The entry of an announced data connection, controlled by the control connection; the one that
    /// is there already if there is.
    fn expect_data(
        &mut self,
        now: Time,
        control: Slot,
        known: Option<Slot>,
        (tuple, server): (Tuple, (Ip, u16)),
        flags: u8,
    ) -> Slot {
        let listen = State::Listen;
        let expires = now + self.timeouts.get(listen);
        if let Some(slot) = known {
            self.table.get_mut(slot).state = listen;
            self.table.renew(slot, expires);
            return slot;
        }
        let destination = self.table.get(control).destination;
        let mut entry = Connection::new(tuple, destination, server, Forwarding::Nat, listen);
        entry.flags |= flags;
        entry.control = control;
        self.services.bind(destination, Counting::Inactive);
        self.table.insert(entry, expires)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_commands() {
        let ten = Ipv4Addr::new(10, 0, 0, 1);
        assert_eq!(host_port("10,0,0,1,19,136"), Some((ten, 5000)));
        for wrong in ["10,0,0,1,19", "10,0,0,1,19,136,1", "10,0,0,256,19,136", "", "a,b,c,d,e,f"] {
            assert_eq!(host_port(wrong), None, "{wrong}");
        }
        assert_eq!(extended_host_port("|1|10.0.0.1|5000|"), Some((ten.into(), 5000)));
        let six = extended_host_port("|2|fd00::1|5000|");
        assert_eq!(six, Some(("fd00::1".parse().unwrap(), 5000)));
        for wrong in ["|2|10.0.0.1|5000|", "|1|fd00::1|5000|", "|1|10.0.0.1|65536|", "|1|", ""] {
            assert_eq!(extended_host_port(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn commands_are_whole_words_in_any_case() {
        assert_eq!(argument("port 1,2", "PORT"), Some("1,2"));
        assert_eq!(argument("PASV", "PASV"), Some(""));
        assert_eq!(argument("PASVX", "PASV"), None);
        assert_eq!(argument("PA", "PASV"), None);
        assert_eq!(argument("päsv", "PASV"), None);
    }
}
