//! The program that refuses a port that is steered to whoever wants to bind it, as instructions.
//!
//! A steered port looks free to the kernel, and who bound it would never hear anything. This program is asked at every
//! `bind(2)`, and answers as the kernel would if the port were bound.
//!
//! ```text
//!  is it UDP, in our network namespace, and none of our own sockets?  ── no ──▶ pass
//!  for each of our addresses that the wanted one is, or includes:
//!      ports[address][port] is not 0  ─▶ "address already in use"
//! ```

use std::net::IpAddr;
use std::os::fd::RawFd;

use super::lookup::PORTS;
use crate::relay::assembly::{Assembly, If, R0, R1, R2, R3, R6, R7, R8, R9, Sum, Value, Width};
use Value::{In, Of};
use Width::{Byte, Double, Word};

/// Our own sockets have this priority while they are bound to a port that is steered to us.
pub(super) const OURS: i32 = 0x6d68_6131;

/// `struct bpf_sock_addr`, what a program is told of a `bind(2)`: where in it is what.
mod context {
    /// In network byte order, as are all addresses and ports here.
    pub(super) const WANTED_IPV4: i16 = 4;
    /// Four words.
    pub(super) const WANTED_IPV6: i16 = 8;
    pub(super) const WANTED_PORT: i16 = 24;
    pub(super) const PROTOCOL: i16 = 36;
    /// A pointer to `struct bpf_sock`.
    pub(super) const SOCKET: i16 = 64;
    /// In that structure.
    pub(super) const SOCKET_PRIORITY: i16 = 20;
}

/// Functions of the kernel that a program may call.
mod call {
    pub(super) const NAMESPACE_COOKIE: i32 = 122;
    pub(super) const SET_RESULT: i32 = 187;
}

const REFUSE: i32 = 0;
const PASS: i32 = 1;

/// For which sockets a program is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Ipv4,
    Ipv6,
}

/// The program for sockets of this family. `ports` is the table of [`super::lookup`]; `namespace` the cookie of ours.
pub(super) fn guard(family: Family, addresses: &[IpAddr], ports: RawFd, namespace: u64) -> Vec<u64> {
    let mut code = Assembly::new();
    // The kernel takes no program with instructions that are never reached.
    if family == Family::Ipv4 && addresses.iter().all(IpAddr::is_ipv6) {
        code.set(R0, PASS);
        code.exit();
        return code.finish();
    }
    code.copy(R6, R1);
    code.load(Word, R1, R6, context::PROTOCOL);
    code.unless_equal(R1, libc::IPPROTO_UDP, Label::Pass);
    code.load(Double, R1, R6, context::SOCKET);
    code.load(Word, R1, R1, context::SOCKET_PRIORITY);
    code.if_equal(R1, OURS, Label::Pass);
    code.copy(R1, R6);
    code.call(call::NAMESPACE_COOKIE);
    code.set_double(R1, namespace);
    code.jump_if(If::NotEqual, R0, In(R1), Label::Pass);
    code.load(Word, R7, R6, context::WANTED_PORT);
    code.swap_to_host_16(R7);
    // So that the verifier knows it, too.
    code.mask(R7, 0xffff);
    for (number, address) in (0..).zip(addresses) {
        if !unless_wanted(&mut code, family, address, number) {
            continue;
        }
        code.map_value(R8, ports);
        code.sum(Sum::Add, R8, Of(number * PORTS.cast_signed()));
        code.sum(Sum::Add, R8, In(R7));
        code.load(Byte, R9, R8, 0);
        code.jump_if(If::Equal, R9, Of(0), Label::After(number));
        code.jump(Label::Refuse);
        code.label(Label::After(number));
    }
    code.jump(Label::Pass);

    code.label(Label::Refuse);
    code.set(R1, -libc::EADDRINUSE);
    code.call(call::SET_RESULT);
    code.set(R0, REFUSE);
    code.exit();

    code.label(Label::Pass);
    code.set(R0, PASS);
    code.exit();
    code.finish()
}

/// Where jumps go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Pass,
    Refuse,
    /// To the comparison with our address of this number.
    Same(i32),
    /// Past our address of this number.
    After(i32),
}

/// Jumps past the address unless the wanted one is it, or the unspecified one. False if sockets of this family never want it.
fn unless_wanted(code: &mut Assembly<Label>, family: Family, address: &IpAddr, number: i32) -> bool {
    match (family, address) {
        (Family::Ipv4, IpAddr::V4(address)) => {
            code.load(Word, R2, R6, context::WANTED_IPV4);
            code.if_equal(R2, 0, Label::Same(number));
            code.unless_equal(R2, i32::from_ne_bytes(address.octets()), Label::After(number));
        }
        (Family::Ipv6, IpAddr::V6(address)) => {
            or_of_wanted_ipv6(code);
            code.if_equal(R2, 0, Label::Same(number));
            let octets = address.octets();
            let (words, _) = octets.as_chunks::<4>();
            for (word, offset) in words.iter().zip((context::WANTED_IPV6..).step_by(4)) {
                code.load(Word, R2, R6, offset);
                code.unless_equal(R2, i32::from_ne_bytes(*word), Label::After(number));
            }
        }
        // The unspecified address of IPv6 may stand for all of IPv4, too.
        (Family::Ipv6, IpAddr::V4(_)) => {
            or_of_wanted_ipv6(code);
            code.unless_equal(R2, 0, Label::After(number));
        }
        (Family::Ipv4, IpAddr::V6(_)) => return false,
    }
    code.label(Label::Same(number));
    true
}

/// Leaves in R2 zero exactly for the unspecified address; R3 is lost.
fn or_of_wanted_ipv6(code: &mut Assembly<Label>) {
    code.set(R2, 0);
    for offset in (context::WANTED_IPV6..).step_by(4).take(4) {
        code.load(Word, R3, R6, offset);
        code.sum(Sum::Or, R2, In(R3));
    }
}
