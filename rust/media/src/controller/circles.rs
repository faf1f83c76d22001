//! Decides: whether a packet would come back to where it has been.
//!
//! A party's SDP may name a port of this server: a call that a proxy sends back to us passes through two of our streams, and that is
//! well. But who chooses the SDP of enough parties could have streams lead to each other in a circle, in which one packet would
//! go round for ever.
//!
//! ```text
//!   A ──▶ [stream 1] ──▶ [stream 2] ──▶ B           a call that comes back
//!   [stream 1] ──▶ [stream 2] ──▶ [stream 1] …      a circle: the last step is not taken
//! ```

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

/// From which of our ports packets go on to which others of ours. A pair of ports goes by its even one. As bounded as the ports;
/// usually there are none.
#[derive(Debug, Default)]
pub(super) struct Circles {
    onward: HashMap<SocketAddr, [Option<SocketAddr>; 2]>,
}

impl Circles {
    /// Lets what arrives at the pair of `arrives` go on to these ports of ours, for RTP and RTCP, and to no others. False if it
    /// would go in a circle: then nothing has changed.
    pub(super) fn lead(&mut self, arrives: SocketAddr, to: [Option<SocketAddr>; 2]) -> bool {
        let (arrives, to) = (pair(arrives), to.map(|port| port.map(pair)));
        if self.comes_back(arrives, to) {
            return false;
        }
        if to == [None; 2] {
            self.onward.remove(&arrives);
        } else {
            self.onward.insert(arrives, to);
        }
        true
    }

    /// Nothing arrives at the pair of `port` any more.
    pub(super) fn end(&mut self, port: SocketAddr) {
        self.onward.remove(&pair(port));
    }

    fn comes_back(&self, start: SocketAddr, to: [Option<SocketAddr>; 2]) -> bool {
        let (mut seen, mut next) = (HashSet::new(), to.into_iter().flatten().collect::<Vec<_>>());
        while let Some(port) = next.pop() {
            if port == start {
                return true;
            }
            if seen.insert(port) {
                next.extend(self.onward.get(&port).into_iter().flatten().flatten());
            }
        }
        false
    }
}

fn pair(port: SocketAddr) -> SocketAddr {
    SocketAddr::new(port.ip(), port.port() & !1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    fn leads(circles: &mut Circles, from: u16, to: u16) -> bool {
        circles.lead(at(from), [Some(at(to)), None])
    }

    #[test]
    fn a_chain_is_no_circle_until_its_end_leads_to_its_beginning() {
        let mut circles = Circles::default();
        assert!(leads(&mut circles, 2, 4) && leads(&mut circles, 4, 6) && leads(&mut circles, 8, 4));
        assert!(!leads(&mut circles, 6, 2), "all the way round");
        assert!(!leads(&mut circles, 6, 5), "by a pair's other port");
        assert!(!circles.lead(at(6), [None, Some(at(3))]), "by reports alone");
        assert!(!leads(&mut circles, 6, 6), "to itself");
        assert!(leads(&mut circles, 6, 10));
        assert!(!leads(&mut circles, 10, 2));
        assert!(circles.lead(at(4), [None; 2]), "to somebody else again");
        assert!(leads(&mut circles, 10, 2), "what is cut is no circle");
    }

    #[test]
    fn a_way_that_was_refused_leaves_the_one_before_it() {
        let mut circles = Circles::default();
        assert!(leads(&mut circles, 2, 4));
        assert!(!leads(&mut circles, 2, 2));
        assert!(!leads(&mut circles, 4, 2));
        circles.end(at(3));
        assert!(leads(&mut circles, 4, 2), "the ports are closed");
    }
}
