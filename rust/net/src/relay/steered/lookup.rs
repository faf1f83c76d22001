//! The program that gives a datagram for one of our ports to the socket of a worker, as instructions.
//!
//! ```text
//!  is it UDP, for one of our addresses?  ── no ──▶ pass: the kernel looks for a socket as ever
//!  n = ports[address][port]              ── 0 ───▶ pass
//!  socket = sockets[n - 1]               ── none ▶ pass
//!  it is that socket's
//! ```
//!
//! The table of ports is memory that control writes to, so that opening and closing a port takes no system call.

use std::net::IpAddr;
use std::os::fd::RawFd;

use super::assembly::{Assembly, R0, R1, R2, R3, R6, R7, R8, R10};

/// Ports of one address, and bytes of the table.
pub(super) const PORTS: u32 = 1 << 16;

/// `struct bpf_sk_lookup`, what a program is told of a datagram: where in it is what.
mod context {
    pub(super) const FAMILY: i16 = 8;
    pub(super) const PROTOCOL: i16 = 12;
    /// In network byte order.
    pub(super) const LOCAL_IPV4: i16 = 40;
    /// Four words in network byte order.
    pub(super) const LOCAL_IPV6: i16 = 44;
    /// In host byte order.
    pub(super) const LOCAL_PORT: i16 = 60;
}

/// Functions of the kernel that a program may call.
mod call {
    pub(super) const MAP_LOOKUP: i32 = 1;
    pub(super) const SOCKET_RELEASE: i32 = 86;
    pub(super) const SOCKET_ASSIGN: i32 = 124;
}

const PASS: i32 = 1;

/// The program for these addresses. `ports` is a shared map of [`PORTS`] bytes for each, which hold zero or the number of a
/// socket in `sockets` plus one.
pub(super) fn lookup(addresses: &[IpAddr], ports: RawFd, sockets: RawFd) -> Vec<u64> {
    let mut code = Assembly::new();
    code.copy(R6, R1);
    code.load_word(R1, R6, context::PROTOCOL);
    code.unless_equal(R1, libc::IPPROTO_UDP, Label::Pass);
    code.load_word(R7, R6, context::LOCAL_PORT);
    // So that the verifier knows it, too.
    code.mask(R7, 0xffff);
    code.load_word(R2, R6, context::FAMILY);
    for (number, address) in (0..).zip(addresses) {
        unless_address(&mut code, address, Label::After(number));
        code.set(R8, number * PORTS.cast_signed());
        code.jump(Label::Found);
        code.label(Label::After(number));
    }
    code.jump(Label::Pass);

    code.label(Label::Found);
    code.add(R8, R7);
    code.map_value(R1, ports);
    code.add(R1, R8);
    code.load_byte(R1, R1);
    code.if_zero(R1, Label::Pass);
    code.add_number(R1, -1);
    code.store_word(R10, -4, R1);
    code.copy(R2, R10);
    code.add_number(R2, -4);
    code.map(R1, sockets);
    code.call(call::MAP_LOOKUP);
    code.if_zero(R0, Label::Pass);
    code.copy(R7, R0);
    code.copy(R1, R6);
    code.copy(R2, R7);
    code.set(R3, 0);
    // It fails if another program has chosen before: then the datagram is that one's.
    code.call(call::SOCKET_ASSIGN);
    code.copy(R1, R7);
    code.call(call::SOCKET_RELEASE);

    code.label(Label::Pass);
    code.set(R0, PASS);
    code.exit();
    code.finish()
}

/// Where jumps go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Pass,
    Found,
    After(i32),
}

/// Compares the family in R2 and the local address; R3 is lost.
fn unless_address(code: &mut Assembly<Label>, address: &IpAddr, label: Label) {
    let (family, first, octets) = match address {
        IpAddr::V4(address) => (libc::AF_INET, context::LOCAL_IPV4, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, context::LOCAL_IPV6, address.octets().to_vec()),
    };
    code.unless_equal(R2, family, label);
    let (words, _) = octets.as_chunks::<4>();
    for (word, offset) in words.iter().zip((first..).step_by(4)) {
        code.load_word(R3, R6, offset);
        code.unless_equal(R3, i32::from_ne_bytes(*word), label);
    }
}
