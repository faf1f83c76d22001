//! A stream with both parties signalled, to hand packets to.

use std::net::SocketAddr;

use mediaha_media::{
    Blocks, Clocks, Component, Content, Events, PortPair, Side, SidePlan, Stream, StreamCounters, StreamPlan, Verdict,
};
use mediaha_time::Time;

/// Whether a relay forwards this as RTP from A to B.
pub(crate) fn forwards_rtp(bytes: &[u8]) -> bool {
    forwards(Component::Rtp, bytes)
}

/// Whether a relay forwards this as RTCP from A to B.
pub(crate) fn forwards_rtcp(bytes: &[u8]) -> bool {
    forwards(Component::Rtcp, bytes)
}

fn forwards(component: Component, bytes: &[u8]) -> bool {
    let sides = [side(30_000, 4_000), side(30_002, 5_000)];
    let (clocks, events) = (Clocks::default(), Events::default());
    let plan = StreamPlan { sides, clocks, events, wary: false, content: Content::Rtp };
    let source = plan.side(Side::A).remote(component).expect("signalled");
    let target = plan.side(Side::B).remote(component).expect("signalled");
    let mut stream = Stream::new(plan, StreamCounters::default(), Time::ZERO);
    match stream.packet(Side::A, component, bytes, source, Time::ZERO) {
        Verdict::Forward { to, .. } => {
            assert_eq!(to, target);
            true
        }
        Verdict::Drop(_) => false,
    }
}

fn side(local: u16, remote: u16) -> SidePlan {
    let at = |port| SocketAddr::from(([192, 0, 2, 1], port));
    SidePlan {
        local: PortPair { rtp: at(local), rtcp: at(local + 1) },
        remote: Some(at(remote)),
        remote_rtcp: Some(at(remote + 1)),
        rtcp_mux: false,
        strict_source: false,
        blocks: Blocks::default(),
        reopen: true,
    }
}
