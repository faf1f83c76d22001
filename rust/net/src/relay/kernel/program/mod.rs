//! The program that forwards what comes in at an interface, as instructions.
//!
//! ```text
//!  whole, plain UDP over IPv4 or IPv6, for a port of ours whose lane is armed or open?    ── no ──▶ up
//!  has the process renewed its lease?                                                     ── no ──▶ up
//!  RTP or RTCP by its first bytes, as the port has it?                                    ── no ──▶ up
//!  from the only source that is believed?      ── no: if the lane is open, count it and drop it, else up
//!  armed: note that this one rose                                                         ────────▶ up
//!  one packet, not too long, not at its last hop?  ── no: recall the lane, so that none behind it is earlier ──▶ up
//!  count it, write addresses, ports, hops and checksums
//!  a party on this host: on to its socket; else out by the interface and to the party or its router
//! ```
//!
//! Up means: as if this program were not there. All that it knows is in memory that the workers write, see [`super::lane`].

mod counting;
mod family;
mod rewriting;

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::fd::RawFd;

use super::lane::{self, at};
use super::lanes::{HEADER_BYTES, LEASE_AT, ROUTER_BYTES_LOG2, ROUTERS_AT};
use crate::relay::assembly::{
    Assembly, If, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, Register, Sum, Value, Width,
};
use Value::{In, Of};
use Width::{Byte, Double, Half, Word};
use family::{ETHERNET, Family};

/// `struct __sk_buff`, what a program is told of a packet: where in it is what.
mod context {
    pub(super) const LENGTH: i16 = 0;
    pub(super) const PACKET_TYPE: i16 = 4;
    pub(super) const PROTOCOL: i16 = 16;
    pub(super) const VLAN_PRESENT: i16 = 20;
    pub(super) const INTERFACE: i16 = 40;
    pub(super) const DATA: i16 = 76;
    pub(super) const DATA_END: i16 = 80;
    pub(super) const SEGMENT_SIZE: i16 = 176;
}

/// Functions of the kernel that a program may call.
mod call {
    pub(super) const MONOTONIC: i32 = 5;
    pub(super) const RANDOM: i32 = 7;
    pub(super) const REPLACE_CHECKSUM: i32 = 11;
    pub(super) const PULL: i32 = 39;
    pub(super) const UPDATE_SUM: i32 = 40;
    pub(super) const REDIRECT_TO_NEIGHBOUR: i32 = 152;
}

/// The next program of the interface, and then the kernel, as if this one were not there (`TCX_NEXT`).
const UP: i32 = -1;
const DROP: i32 = 2;
const LOOPBACK: i32 = 1;
const UDP_BYTES: i32 = 8;
const NEIGHBOUR_BYTES: i32 = 20;
const ROUTERS_MASK: i32 = 31;
/// Where things are on the stack.
mod stack {
    pub(super) const NOW: i16 = -8;
    /// Of the UDP payload.
    pub(super) const OCTETS: i16 = -16;
    pub(super) const FENCE: i16 = -24;
    pub(super) const IS_RTCP: i16 = -32;
    /// A copy of the lane from [`super::at::FROM`] up to [`super::at::NOTED`].
    pub(super) const WAY: i16 = -96;
    /// `struct bpf_redir_neigh`: an address family and an address.
    pub(super) const NEIGHBOUR: i16 = -120;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Up,
    Dropped,
    Ipv6,
    Pulled(Family),
    /// To the comparison with the address behind this one.
    After(usize),
    Ours(Family),
    Rtcp(Family),
    Kind(Family),
    Stranger,
    Loopback(Family),
    Reached(Family),
    Armed,
    Alone,
    Aged(Family),
    Recall,
    Counted(Family),
    CountRtcp(Family),
    Unlisted(Family),
    Listed(Family, i16),
    Begin(Family),
    NoFewer(Family),
    Rated(Family),
    Strayed(Family),
    SameSource(Family),
    Jitter(Family),
    Backwards(Family),
    Meant(Family),
    Early(Family),
    Numbered(Family),
    Deviated(Family),
    Short,
    Marked,
    Out(Family),
    OnLink(Family),
    Neighbour(Family),
}

/// The program for these addresses. `lanes` is the map of [`super::lanes`]: for each address one lane a port.
pub(super) fn program(
    addresses: &[IpAddr],
    ports: &RangeInclusive<u16>,
    traffic_class: u8,
    lanes: RawFd,
) -> Vec<u64> {
    let mut program = Program { code: Assembly::new(), addresses, ports, traffic_class, lanes };
    program.begin();
    program.of_family(Family::Ipv4);
    program.code.label(Label::Ipv6);
    program.of_family(Family::Ipv6);
    program.end();
    program.code.finish()
}

/// R6 holds the context, R7 the lane once it is found, R8 the packet, R9 the gate.
struct Program<'a> {
    code: Assembly<Label>,
    addresses: &'a [IpAddr],
    ports: &'a RangeInclusive<u16>,
    traffic_class: u8,
    lanes: RawFd,
}

impl Program<'_> {
    fn begin(&mut self) {
        let code = &mut self.code;
        code.copy(R6, R1);
        // Neither for another host nor of a VLAN.
        for field in [context::PACKET_TYPE, context::VLAN_PRESENT] {
            code.load(Word, R1, R6, field);
            code.jump_if(If::NotEqual, R1, Of(0), Label::Up);
        }
        code.load(Word, R1, R6, context::PROTOCOL);
        code.jump_if(If::Equal, R1, Of(network_order(0x86dd)), Label::Ipv6);
        code.jump_if(If::NotEqual, R1, Of(network_order(0x0800)), Label::Up);
    }

    fn of_family(&mut self, family: Family) {
        if !self.addresses.iter().any(|address| address.is_ipv4() == (family == Family::Ipv4)) {
            self.code.jump(Label::Up);
            return;
        }
        self.reach(family);
        self.find_lane(family);
        self.see_whether_it_is_forwarded();
        self.see_what_it_is(family);
        self.see_who_sent_it(family);
        self.learn_the_way(family);
        self.count(family);
        self.rewrite(family);
        self.send(family);
    }

    /// Lets R8 point at a packet of which all headers can be read.
    fn reach(&mut self, family: Family) {
        let code = &mut self.code;
        reload(code);
        code.copy(R1, R8);
        code.sum(Sum::Add, R1, Of(family.with_rtp().into()));
        // Some interfaces leave the packet where it arrived, but for its first bytes.
        code.jump_if(If::Below, R1, In(R9), Label::Pulled(family));
        code.load(Word, R2, R6, context::LENGTH);
        code.jump_if(If::Below, R2, Of(family.with_rtp().into()), Label::Short);
        code.set(R2, family.with_rtp().into());
        code.label(Label::Short);
        code.copy(R1, R6);
        code.call(call::PULL);
        reload(code);
        code.label(Label::Pulled(family));
        code.copy(R1, R8);
        code.sum(Sum::Add, R1, Of(family.shortest().into()));
        code.jump_if(If::Above, R1, In(R9), Label::Up);
    }

    fn find_lane(&mut self, family: Family) {
        let code = &mut self.code;
        match family {
            Family::Ipv4 => {
                code.load(Byte, R1, R8, ETHERNET);
                // Without options.
                code.jump_if(If::NotEqual, R1, Of(0x45), Label::Up);
                code.load(Byte, R1, R8, ETHERNET + 9);
                code.jump_if(If::NotEqual, R1, Of(libc::IPPROTO_UDP), Label::Up);
                code.load(Half, R1, R8, ETHERNET + 6);
                // No fragment.
                code.jump_if(If::AnyBitOf, R1, Of(network_order(0x3fff)), Label::Up);
            }
            Family::Ipv6 => {
                code.load(Byte, R1, R8, ETHERNET);
                code.mask(R1, 0xf0);
                code.jump_if(If::NotEqual, R1, Of(0x60), Label::Up);
                code.load(Byte, R1, R8, ETHERNET + 6);
                code.jump_if(If::NotEqual, R1, Of(libc::IPPROTO_UDP), Label::Up);
                // There must be a checksum (RFC 8200 §8.1).
                code.load(Half, R1, R8, family.udp() + 6);
                code.jump_if(If::Equal, R1, Of(0), Label::Up);
            }
        }
        let count = self.ports.len();
        for (number, address) in self.addresses.iter().enumerate() {
            let octets = match (family, address) {
                (Family::Ipv4, IpAddr::V4(address)) => address.octets().to_vec(),
                (Family::Ipv6, IpAddr::V6(address)) => address.octets().to_vec(),
                _ => continue,
            };
            let (words, _) = octets.as_chunks::<4>();
            for (word, offset) in words.iter().zip((family.destination()..).step_by(4)) {
                code.load(Word, R1, R8, offset);
                code.unless_equal(R1, i32::from_ne_bytes(*word), Label::After(number));
            }
            code.set(R7, i32::try_from(HEADER_BYTES + number * count * lane::BYTES).unwrap_or(i32::MAX));
            code.jump(Label::Ours(family));
            code.label(Label::After(number));
        }
        code.jump(Label::Up);

        code.label(Label::Ours(family));
        code.load(Half, R2, R8, family.udp() + 2);
        code.swap_to_host_16(R2);
        // A port below the first one becomes very large.
        code.sum(Sum::Subtract, R2, Of((*self.ports.start()).into()));
        code.jump_if(If::Above, R2, Of(i32::try_from(count).unwrap_or(0) - 1), Label::Up);
        code.sum(Sum::ShiftLeft, R2, Of(lane::BYTES_LOG2));
        code.sum(Sum::Add, R2, In(R7));
        code.map_value(R7, self.lanes);
        code.sum(Sum::Add, R7, In(R2));
    }

    /// Loads the gate and the time.
    fn see_whether_it_is_forwarded(&mut self) {
        let code = &mut self.code;
        code.load(Double, R9, R7, at::GATE);
        state(code, R1);
        code.jump_if(If::Equal, R1, Of(0), Label::Up);
        code.jump_if(If::Equal, R1, Of(3), Label::Up);
        code.call(call::MONOTONIC);
        code.store(Double, R10, stack::NOW, R0);
        code.map_value(R1, self.lanes);
        code.load(Double, R1, R1, LEASE_AT);
        code.jump_if(If::Above, R0, In(R1), Label::Up);
    }

    fn see_what_it_is(&mut self, family: Family) {
        let code = &mut self.code;
        // The lengths of IP and UDP agree, and are there.
        code.load(Half, R3, R8, family.udp() + 4);
        code.swap_to_host_16(R3);
        code.copy(R4, R3);
        code.sum(Sum::Add, R4, Of(family.ip_bytes().into()));
        let (field, beside) = match family {
            Family::Ipv4 => (ETHERNET + 2, 0),
            Family::Ipv6 => (ETHERNET + 4, family.ip_bytes().into()),
        };
        code.load(Half, R1, R8, field);
        code.swap_to_host_16(R1);
        code.sum(Sum::Add, R1, Of(beside));
        code.jump_if(If::NotEqual, R1, In(R4), Label::Up);
        code.sum(Sum::Add, R4, Of(ETHERNET.into()));
        code.load(Word, R1, R6, context::LENGTH);
        code.jump_if(If::Above, R4, In(R1), Label::Up);
        code.jump_if(If::Below, R3, Of(UDP_BYTES + 8), Label::Up);
        code.sum(Sum::Subtract, R3, Of(UDP_BYTES));
        code.store(Double, R10, stack::OCTETS, R3);

        code.load(Byte, R1, R8, family.payload());
        code.mask(R1, 0xc0);
        code.jump_if(If::NotEqual, R1, Of(0x80), Label::Up);
        // Whether the second byte is one of RTCP's types.
        code.load(Byte, R2, R8, family.payload() + 1);
        code.sum(Sum::Subtract, R2, Of(192));
        code.load(Half, R1, R7, at::FLAGS);
        code.set(R4, 1);
        code.jump_if(If::AnyBitOf, R1, Of(lane::RTCP.into()), Label::Rtcp(family));
        code.set(R4, 0);
        code.jump_if(If::Below, R3, Of(12), Label::Up);
        let is_rtp = Label::Kind(family);
        code.jump_if(If::Above, R2, Of(223 - 192), is_rtp);
        code.copy(R5, R1);
        code.mask(R5, lane::MUX.into());
        code.jump_if(If::Equal, R5, Of(0), is_rtp);
        code.mask(R1, lane::THROUGH.into());
        code.jump_if(If::Equal, R1, Of(0), Label::Up);
        code.set(R4, 1);
        code.label(Label::Rtcp(family));
        code.jump_if(If::Above, R2, Of(223 - 192), Label::Up);
        code.label(is_rtp);
        code.store(Double, R10, stack::IS_RTCP, R4);
    }

    fn see_who_sent_it(&mut self, family: Family) {
        let code = &mut self.code;
        for word in 0..family.words() {
            code.load(Word, R1, R8, family.source() + 4 * word);
            code.load(Word, R2, R7, at::SOURCE + 4 * word);
            code.jump_if(If::NotEqual, R1, In(R2), Label::Stranger);
        }
        code.load(Half, R1, R8, family.udp());
        code.load(Half, R2, R7, at::SOURCE_PORT);
        code.jump_if(If::NotEqual, R1, In(R2), Label::Stranger);
        state(code, R1);
        code.load(Word, R2, R8, family.payload());
        code.jump_if(If::Equal, R1, Of(1), Label::Armed);
        code.load(Word, R1, R6, context::SEGMENT_SIZE);
        code.jump_if(If::NotEqual, R1, Of(0), Label::Recall);
        code.load(Byte, R1, R8, family.hops());
        code.jump_if(If::Below, R1, Of(2), Label::Recall);
        code.load(Double, R1, R10, stack::OCTETS);
        code.sum(Sum::Add, R1, Of(UDP_BYTES + i32::from(family.ip_bytes())));
        code.load(Word, R2, R7, at::LENGTH_MAX);
        code.jump_if(If::Above, R1, In(R2), Label::Recall);
    }

    /// Copies the way, and sees that nobody has changed it meanwhile.
    fn learn_the_way(&mut self, family: Family) {
        let code = &mut self.code;
        for offset in (at::FROM..at::NOTED).step_by(8) {
            code.load(Double, R1, R7, offset);
            code.store(Double, R10, stack::WAY + offset - at::FROM, R1);
        }
        code.set(R1, 0);
        code.store(Double, R10, stack::FENCE, R1);
        code.fetch_and_add(R10, stack::FENCE, R1);
        code.load(Double, R1, R7, at::GATE);
        code.jump_if(If::NotEqual, R1, In(R9), Label::Up);
        // Whoever is on this host is reached over loopback, and nobody else is.
        code.load(Word, R1, R6, context::INTERFACE);
        way(code, Word, R2, at::INTERFACE);
        code.jump_if(If::Equal, R1, Of(LOOPBACK), Label::Loopback(family));
        code.jump_if(If::Equal, R2, Of(0), Label::Up);
        code.jump(Label::Reached(family));
        code.label(Label::Loopback(family));
        code.jump_if(If::NotEqual, R2, Of(0), Label::Up);
        code.label(Label::Reached(family));
    }

    fn send(&mut self, family: Family) {
        let code = &mut self.code;
        way(code, Word, R1, at::INTERFACE);
        code.jump_if(If::NotEqual, R1, Of(0), Label::Out(family));
        code.set(R0, UP);
        code.exit();
        code.label(Label::Out(family));
        code.set(R2, family.number());
        code.store(Word, R10, stack::NEIGHBOUR, R2);
        way(code, Half, R3, at::FLAGS);
        code.sum(Sum::ShiftRight, R3, Of(lane::ROUTER_BITS));
        code.jump_if(If::Equal, R3, Of(lane::ON_LINK.into()), Label::OnLink(family));
        // So many numbers fit in front of the rates, whatever is in the lane.
        code.mask(R3, ROUTERS_MASK);
        code.sum(Sum::ShiftLeft, R3, Of(ROUTER_BYTES_LOG2));
        code.map_value(R2, self.lanes);
        code.sum(Sum::Add, R2, In(R3));
        for word in 0..4 {
            code.load(Word, R3, R2, ROUTERS_AT + 4 * word);
            code.store(Word, R10, stack::NEIGHBOUR + 4 + 4 * word, R3);
        }
        code.jump(Label::Neighbour(family));
        code.label(Label::OnLink(family));
        for word in 0..4 {
            way(code, Word, R3, at::TO + 4 * word);
            code.store(Word, R10, stack::NEIGHBOUR + 4 + 4 * word, R3);
        }
        code.label(Label::Neighbour(family));
        code.copy(R2, R10);
        code.sum(Sum::Add, R2, Of(stack::NEIGHBOUR.into()));
        code.set(R3, NEIGHBOUR_BYTES);
        code.set(R4, 0);
        code.call(call::REDIRECT_TO_NEIGHBOUR);
        code.exit();
    }

    fn end(&mut self) {
        let code = &mut self.code;
        code.label(Label::Stranger);
        state(code, R1);
        code.jump_if(If::NotEqual, R1, Of(2), Label::Up);
        // Several at once are not counted as one.
        code.load(Word, R1, R6, context::SEGMENT_SIZE);
        code.jump_if(If::NotEqual, R1, Of(0), Label::Up);
        // Unless somebody has just changed who is believed.
        code.set(R1, 0);
        code.store(Double, R10, stack::FENCE, R1);
        code.fetch_and_add(R10, stack::FENCE, R1);
        code.load(Double, R1, R7, at::GATE);
        code.jump_if(If::NotEqual, R1, In(R9), Label::Up);
        code.set(R1, 1);
        code.add_atomically(R7, at::STRANGERS, R1);
        code.label(Label::Dropped);
        code.set(R0, DROP);
        code.exit();

        code.label(Label::Recall);
        code.copy(R0, R9);
        code.set_double(R1, lane::RECALL);
        code.sum(Sum::Add, R9, In(R1));
        code.replace_r0(R7, at::GATE, R9);
        code.jump(Label::Up);

        code.label(Label::Armed);
        // Which of several is the last one is not seen: the lane waits for one that comes alone.
        code.load(Word, R1, R6, context::SEGMENT_SIZE);
        code.jump_if(If::Equal, R1, Of(0), Label::Alone);
        code.set(R2, 0);
        code.label(Label::Alone);
        code.copy(R0, R9);
        code.sum(Sum::ShiftRight, R9, Of(32));
        code.sum(Sum::ShiftLeft, R9, Of(32));
        code.sum(Sum::Or, R9, In(R2));
        code.replace_r0(R7, at::GATE, R9);
        code.label(Label::Up);
        code.set(R0, UP);
        code.exit();
    }
}

fn reload(code: &mut Assembly<Label>) {
    code.load(Word, R8, R6, context::DATA);
    code.load(Word, R9, R6, context::DATA_END);
}

/// The state that the gate in R9 has.
fn state(code: &mut Assembly<Label>, target: Register) {
    code.copy(target, R9);
    code.sum(Sum::ShiftRight, target, Of(32));
    code.mask(target, 3);
}

/// Loads from the copy of the way; R7 may still be the lane.
fn way(code: &mut Assembly<Label>, width: Width, target: Register, offset: i16) {
    code.load(width, target, R10, stack::WAY + offset - at::FROM);
}

/// 16 bits of a packet as they are loaded.
fn network_order(number: u16) -> i32 {
    i32::from(number.to_be())
}
