//! Decides: which streams are looked at next, so that all are added up without anybody waiting for it.

use std::sync::Arc;

use super::calls::{Calls, is_probe};
use super::statistics::Traffic;
use crate::datapath::Datapath;

/// How many calls are looked at in one go: some milliseconds.
const CALLS_MAX: usize = 2_048;

/// What was added up so far. A call that ends while this goes on is in it or not; it is the next time.
#[derive(Debug)]
pub(super) struct Sweep {
    traffic: Traffic,
    /// The last call that was looked at.
    last: Option<Arc<[u8]>>,
}

impl From<Traffic> for Sweep {
    /// Begins with what the calls have carried that had ended by now.
    fn from(ended: Traffic) -> Self {
        Self { traffic: ended, last: None }
    }
}

impl Sweep {
    /// Looks at some more calls; gives what all have carried once there is none left.
    pub(super) fn go_on(&mut self, calls: &Calls, datapath: &dyn Datapath) -> Option<Traffic> {
        self.look_at(CALLS_MAX, calls, datapath)
    }

    fn look_at(&mut self, calls_max: usize, calls: &Calls, datapath: &dyn Datapath) -> Option<Traffic> {
        let (behind, mut looked) = (self.last.take(), 0);
        for (call_id, call) in calls.behind(behind.as_deref()).take(calls_max) {
            if !is_probe(call_id) {
                let counters = call.relayed().filter_map(|stream| datapath.counters(stream.id));
                counters.for_each(|counters| self.traffic.add(&counters));
            }
            looked += 1;
            if looked == calls_max {
                self.last = Some(Arc::clone(call_id));
            }
        }
        (looked < calls_max).then_some(self.traffic)
    }
}

#[cfg(test)]
mod tests {
    use mediaha_time::Time;

    use super::*;
    use crate::controller::{Controller, ControllerConfig};
    use crate::testing::TableDatapath;

    /// A server with so many calls. At each of their four ports a packet came, too early to be sent on.
    fn server(calls: usize) -> (Controller, TableDatapath) {
        let config = ControllerConfig::new(vec!["pub/10.0.0.5".parse().unwrap()], b"instance".to_vec());
        let (mut controller, mut datapath) = (Controller::new(config), TableDatapath::new(30_000..=30_999));
        let client = "127.0.0.1:9".parse().unwrap();
        for number in 0..calls {
            let offer = format!(
                r#"{number} {{"command":"offer","call-id":"{number}","from-tag":"a","sdp":"v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"}}"#
            );
            controller.handle(offer.as_bytes(), client, &mut datapath, Time::ZERO).unwrap();
        }
        let ports: Vec<_> = datapath.open_ports().flat_map(|pair| [pair.rtp, pair.rtcp]).collect();
        for port in ports {
            datapath.packet(port, b"nothing that RTP is", client, Time::ZERO).unwrap();
        }
        (controller, datapath)
    }

    fn dropped(traffic: Option<Traffic>) -> Option<u64> {
        traffic.map(|traffic| traffic.dropped.iter().sum())
    }

    #[test]
    fn many_calls_are_looked_at_in_several_goes_and_each_once() {
        let (controller, datapath) = server(5);
        let mut sweep = Sweep::from(Traffic::default());
        let goes = [(); 3].map(|()| dropped(sweep.look_at(2, &controller.calls, &datapath)));
        assert_eq!(goes, [None, None, Some(20)]);
        let (controller, datapath) = server(4);
        let mut sweep = Sweep::from(Traffic::default());
        let goes = [(); 3].map(|()| dropped(sweep.look_at(2, &controller.calls, &datapath)));
        assert_eq!(goes, [None, None, Some(16)], "that there is none left is found the next time");
    }

    #[test]
    fn what_ended_calls_carried_is_in_the_sum() {
        let (controller, datapath) = server(1);
        let ended = Traffic { packets: 7, ..Traffic::default() };
        let sum = Sweep::from(ended).go_on(&controller.calls, &datapath).unwrap();
        assert_eq!((sum.packets, dropped(Some(sum))), (7, Some(4)));
    }
}
