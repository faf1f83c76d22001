//! A relay without control, and calls through it.

#![allow(unreachable_pub)] // A test binary has no outside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use mediaha_media::{
    Blocks, Clocks, Content, Events, Interface, PortPair, Side, SideCounters, SidePlan, StreamId, StreamPlan,
};
use mediaha_net::relay::{self, DatapathChoice, RelayConfig, RelayError, TallySnapshot};
use mediaha_net::sys::seed;
use mediaha_net::{Failure, Records};
use mediaha_time::{Duration, Time};

use crate::common::{Party, eventually, ports, rtp};

pub const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// Expedited forwarding.
pub const DSCP: u8 = 46;
/// Long enough for every learning window to be over.
pub const LONG_AGO: Duration = Duration::from_secs(60);

/// A relay without control: the test says what to forward.
pub struct Relay {
    pub datapath: relay::Relay,
    pub records: Records,
    pub streams: u64,
}

/// A stream, its ports and its parties.
pub struct Call {
    pub stream: StreamId,
    pub ports: [PortPair; 2],
    pub parties: [Party; 2],
    pub plan: StreamPlan,
}

/// Whether ports can be steered here; says why not.
pub fn steers() -> bool {
    match Relay::try_with(DatapathChoice::Steered, 1, ports(4)) {
        Ok(_) => true,
        Err(error) => {
            println!("skipped: ports cannot be steered here: {error:?}");
            false
        }
    }
}

/// Whether the kernel can forward here; says why not.
pub fn kernel_forwards() -> bool {
    match Relay::try_with(DatapathChoice::Kernel, 1, ports(4)) {
        Ok(_) => true,
        Err(error) => {
            println!("skipped: the kernel cannot forward here: {error:?}");
            false
        }
    }
}

impl Relay {
    pub fn new(choice: DatapathChoice) -> Self {
        Self::with(choice, 1, ports(100))
    }

    pub fn with(choice: DatapathChoice, workers: usize, ports: RangeInclusive<u16>) -> Self {
        Self::try_with(choice, workers, ports).unwrap()
    }

    pub fn try_with(
        choice: DatapathChoice,
        workers: usize,
        ports: RangeInclusive<u16>,
    ) -> Result<Self, RelayError> {
        let records = Records::new().unwrap();
        let coalesce = Duration::from_micros(500);
        let (name, seed) = ("relay-test".to_owned(), seed().unwrap());
        let addresses = vec![V4, V6];
        let config = RelayConfig { name, addresses, ports, workers, coalesce, dscp: DSCP, seed };
        let (datapath, _) = relay::start(choice, &config, &records, &Failure::new().unwrap())?;
        Ok(Self { datapath, records, streams: 0 })
    }

    pub fn tally(&self) -> TallySnapshot {
        self.datapath.workers().tallies()[0]
    }

    pub fn open(&mut self, address: IpAddr) -> PortPair {
        self.datapath.open(&Interface::plain(address)).unwrap()
    }

    /// A call between two new parties at `addresses`, each signalling where it really is.
    pub fn call(&mut self, addresses: [IpAddr; 2], installed_at: Time) -> Call {
        let parties = addresses.map(Party::at);
        let ports = addresses.map(|address| self.open(address));
        let side = |side: Side| SidePlan {
            local: ports[side.index()],
            remote: Some(parties[side.index()].address()),
            remote_rtcp: None,
            rtcp_mux: false,
            strict_source: false,
            blocks: Blocks::default(),
            reopen: true,
        };
        let plan = StreamPlan {
            sides: [side(Side::A), side(Side::B)],
            clocks: Clocks::default(),
            events: Events::default(),
            wary: false,
            content: Content::Rtp,
        };
        self.streams += 1;
        let stream = StreamId(self.streams);
        self.datapath.install(stream, plan, installed_at);
        Call { stream, ports, parties, plan }
    }

    pub fn counters(&self, call: &Call, side: Side) -> SideCounters {
        self.datapath.counters(call.stream).unwrap()[side.index()]
    }

    /// Sends one packet from either party and sees it arrive at the other one, from the port that it talks to.
    pub fn talks_both_ways(call: &Call, sequence: u16) {
        for side in Side::BOTH {
            let (from, to) = (&call.parties[side.index()], &call.parties[side.other().index()]);
            from.send(&rtp(sequence), call.ports[side.index()].rtp);
            assert_eq!(to.hear(), (rtp(sequence), call.ports[side.other().index()].rtp));
        }
    }
}

/// Waits until a relay has seen who is certain: one with sockets has then connected the one at `port` to its party.
pub fn certain(choice: DatapathChoice, port: SocketAddr) {
    if choice != DatapathChoice::Sockets {
        // Nothing shows it; whether it is soon enough or not, the same must come of it.
        std::thread::sleep(Duration::from_millis(600));
        return;
    }
    let needle = format!(":{:04X}", port.port());
    eventually("the relay's socket is connected", || {
        let list = if port.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
        let sockets = std::fs::read_to_string(list).unwrap();
        // The fields are a number, the local and the remote address, and the state: 1 is connected.
        sockets.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next().is_some_and(|local| local.ends_with(&needle)) && fields.nth(1) == Some("01")
        })
    });
}

/// Waits until a relay that steers has seen which host may be heard.
pub fn certain_of_host(choice: DatapathChoice) {
    if choice != DatapathChoice::Sockets {
        std::thread::sleep(Duration::from_millis(600));
    }
}
