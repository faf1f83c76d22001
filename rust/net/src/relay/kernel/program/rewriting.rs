//! Addresses, ports, hops and checksums of a packet that goes on.

use super::super::lane::at;
use super::family::ETHERNET;
use super::{Family, Label, Program, call, network_order, way};
use crate::relay::assembly::{Assembly, If, R0, R1, R2, R3, R4, R5, R6, R8, Sum, Value, Width};
use Value::{In, Of};
use Width::{Byte, Half, Word};

/// The sum to be changed is over the pseudo-header, too (RFC 768).
const PSEUDO_HEADER: i32 = 0x10;
/// No checksum stays no checksum, and zero becomes its other form.
const ZERO_IS_NONE: i32 = 0x20;

/// How many routers a packet may pass at most from here on. One that has fewer left loses one, so that what goes round between two
/// such servers comes to its last hop, and rises to a worker, who knows it again.
const HOPS: i32 = 64;
/// Up to this length an IPv4 packet forbids routers to cut it, and needs no identification (RFC 6864 §4.1).
const UNCUT_IPV4_BYTES: i32 = 576;

impl Program<'_> {
    pub(super) fn rewrite(&mut self, family: Family) {
        let code = &mut self.code;
        match family {
            Family::Ipv4 => rewrite_ipv4(code, self.traffic_class),
            Family::Ipv6 => {
                code.set(R1, network_order_32(0x6000_0000 | u32::from(self.traffic_class) << 20));
                code.store(Word, R8, ETHERNET, R1);
            }
        }
        code.load(Byte, R1, R8, family.hops());
        code.sum(Sum::Subtract, R1, Of(1));
        code.jump_if(If::Below, R1, Of(HOPS + 1), Label::Aged(family));
        code.set(R1, HOPS);
        code.label(Label::Aged(family));
        code.store(Byte, R8, family.hops(), R1);
        for word in 0..family.words() {
            way(code, Word, R1, at::FROM + 4 * word);
            code.store(Word, R8, family.source() + 4 * word, R1);
            way(code, Word, R1, at::TO + 4 * word);
            code.store(Word, R8, family.destination() + 4 * word, R1);
        }
        if family == Family::Ipv4 {
            sum_ipv4(code);
        }
        for half in [0, 2] {
            way(code, Half, R1, at::PORTS + half);
            code.store(Half, R8, family.udp() + half, R1);
        }
        for (sum, flags) in [(at::SUM_ADDRESSES, PSEUDO_HEADER | ZERO_IS_NONE), (at::SUM_PORTS, ZERO_IS_NONE)] {
            code.copy(R1, R6);
            code.set(R2, (family.udp() + 6).into());
            code.set(R3, 0);
            way(code, Word, R4, sum);
            code.set(R5, flags);
            code.call(call::REPLACE_CHECKSUM);
            code.jump_if(If::NotEqual, R0, Of(0), Label::Dropped);
        }
        if family == Family::Ipv6 {
            // The interface may have summed up the whole packet. That sum is what it was: the checksum makes up for the addresses.
            // The kernel took them out of it as if there were a second checksum, that of IPv4's header.
            code.copy(R1, R6);
            way(code, Word, R2, at::SUM_ADDRESSES);
            code.call(call::UPDATE_SUM);
        }
    }
}

/// All but addresses and checksum.
fn rewrite_ipv4(code: &mut Assembly<Label>, traffic_class: u8) {
    code.set(R1, traffic_class.into());
    code.store(Byte, R8, ETHERNET + 1, R1);
    code.set(R1, 0);
    code.store(Half, R8, ETHERNET + 4, R1);
    code.set(R1, network_order(0x4000));
    code.store(Half, R8, ETHERNET + 6, R1);
    code.load(Half, R1, R8, ETHERNET + 2);
    code.swap_to_host_16(R1);
    code.jump_if(If::Below, R1, Of(UNCUT_IPV4_BYTES + 1), Label::Marked);
    // A router may have to cut it, and then the pieces must be told from others.
    code.call(call::RANDOM);
    code.store(Half, R8, ETHERNET + 4, R0);
    code.set(R1, 0);
    code.store(Half, R8, ETHERNET + 6, R1);
    code.label(Label::Marked);
    code.set(R1, 0);
    code.store(Half, R8, ETHERNET + 10, R1);
}

/// The checksum of the header (RFC 791 §3.1), which is zero so far.
fn sum_ipv4(code: &mut Assembly<Label>) {
    code.set(R1, 0);
    for offset in (ETHERNET..ETHERNET + Family::Ipv4.ip_bytes()).step_by(4) {
        code.load(Word, R2, R8, offset);
        code.sum(Sum::Add, R1, In(R2));
    }
    code.copy(R2, R1);
    code.sum(Sum::ShiftRight, R2, Of(32));
    code.sum(Sum::ShiftLeft, R1, Of(32));
    code.sum(Sum::ShiftRight, R1, Of(32));
    code.sum(Sum::Add, R1, In(R2));
    // At most 33 bits, then 18, then 17, then 16.
    for _ in 0..3 {
        code.copy(R2, R1);
        code.sum(Sum::ShiftRight, R2, Of(16));
        code.mask(R1, 0xffff);
        code.sum(Sum::Add, R1, In(R2));
    }
    code.sum(Sum::Xor, R1, Of(0xffff));
    code.store(Half, R8, ETHERNET + 10, R1);
}

fn network_order_32(number: u32) -> i32 {
    number.to_be().cast_signed()
}
