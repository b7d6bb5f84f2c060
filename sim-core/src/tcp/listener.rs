//! Listening ports and their two queues.
//!
//! A SYN opens a half-open connection that waits for the last ACK of the handshake in the SYN queue; a
//! complete connection waits in the accept queue until the application takes it. The limits are those of
//! Linux without SYN cookies (`tcp_conn_request`, `tcp_v4_syn_recv_sock`): a SYN is dropped when the SYN
//! queue holds `backlog` connections (at least one fits) or the accept queue more than `backlog`; the last
//! ACK is dropped when the accept queue holds more than `backlog`, and the SYN-ACK is sent again later.

/// A listening port.
#[derive(Clone, Copy, Debug)]
struct Listener {
    port: u16,
    open: bool,
    backlog: u32,
    /// Connections in the SYN queue.
    half_open: u32,
    /// Connections in the accept queue.
    waiting: u32,
}

/// The listening ports of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct Listeners {
    all: Vec<Listener>,
    /// Open listeners: port and index, by port.
    ports: Vec<(u16, u16)>,
}

impl Listeners {
    /// Opens a port; the new index, or `None` if the port is open already.
    pub(super) fn open(&mut self, port: u16, backlog: u32) -> Option<u16> {
        let place = self.ports.binary_search_by_key(&port, |e| e.0).err()?;
        let fresh = Listener { port, open: true, backlog, half_open: 0, waiting: 0 };
        let unused = |l: &Listener| !l.open && l.half_open == 0 && l.waiting == 0;
        let index = if let Some(i) = self.all.iter().position(unused) {
            self.all[i] = fresh;
            i
        } else {
            self.all.push(fresh);
            self.all.len() - 1
        };
        let index = u16::try_from(index).ok().filter(|&i| i != super::block::NO_LISTENER)?;
        self.ports.insert(place, (port, index));
        Some(index)
    }

    /// Closes a port; its index.
    pub(super) fn close(&mut self, port: u16) -> Option<u16> {
        let place = self.ports.binary_search_by_key(&port, |e| e.0).ok()?;
        let (_, index) = self.ports.remove(place);
        let listener = &mut self.all[usize::from(index)];
        debug_assert_eq!(listener.port, port, "the port index points to the port's listener");
        listener.open = false;
        Some(index)
    }

    /// The listener of a port.
    #[inline]
    pub(super) fn find(&self, port: u16) -> Option<u16> {
        self.ports.binary_search_by_key(&port, |e| e.0).ok().map(|place| self.ports[place].1)
    }

    /// Takes a SYN into the SYN queue, if it fits.
    pub(super) fn admit_syn(&mut self, index: u16) -> bool {
        let l = &mut self.all[usize::from(index)];
        let fits = l.half_open < l.backlog.max(1) && l.waiting <= l.backlog;
        l.half_open += u32::from(fits);
        fits
    }

    /// Moves a connection from the SYN queue to the accept queue, if it fits.
    pub(super) fn complete(&mut self, index: u16) -> bool {
        let l = &mut self.all[usize::from(index)];
        let fits = l.open && l.waiting <= l.backlog;
        if fits {
            l.half_open -= 1;
            l.waiting += 1;
        }
        fits
    }

    /// A half-open connection ended.
    pub(super) fn forget_half_open(&mut self, index: u16) {
        self.all[usize::from(index)].half_open -= 1;
    }

    /// The application took a connection.
    pub(super) fn accept(&mut self, index: u16) {
        if let Some(l) = self.all.get_mut(usize::from(index)) {
            l.waiting = l.waiting.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_opens_once_and_its_index_is_used_again_after_it_closed() {
        let mut ls = Listeners::default();
        let web = ls.open(80, 1).expect("free");
        let tls = ls.open(443, 1).expect("free");
        assert_eq!(ls.open(80, 1), None);
        assert_eq!((ls.find(80), ls.find(443), ls.find(81)), (Some(web), Some(tls), None));
        assert_eq!(ls.close(80), Some(web));
        assert_eq!(ls.close(80), None);
        assert_eq!(ls.find(80), None);
        assert_eq!(ls.open(8080, 1), Some(web));
    }

    #[test]
    fn the_accept_queue_takes_one_more_than_its_backlog_as_in_linux() {
        let mut ls = Listeners::default();
        let l = ls.open(80, 1).expect("free");
        for _ in 0..2 {
            assert!(ls.admit_syn(l));
            assert!(ls.complete(l));
        }
        assert!(!ls.admit_syn(l), "two wait, which is more than one");
        ls.accept(l);
        assert!(ls.admit_syn(l));
        assert!(!ls.admit_syn(l), "the SYN queue holds one");
        ls.forget_half_open(l);
        assert!(ls.admit_syn(l));
    }
}
