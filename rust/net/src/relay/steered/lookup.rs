//! The program that gives a datagram for one of our ports to the socket of a worker, as instructions.
//!
//! ```text
//!  is it UDP, for one of our addresses?  ── no ──▶ pass: the kernel looks for a socket as ever
//!  n = ports[address][port]              ── 0 ───▶ pass
//!  count it
//!  believed[address][port] is the source, its host, or anybody
//!                                        ── no ──▶ count it, and refuse it as if the port were closed
//!  socket = sockets[n - 1]               ── none ▶ pass
//!  it is that socket's
//! ```
//!
//! Both tables are memory that we write to, so that opening and closing a port takes no system call. Strangers are refused here
//! because all ports of a worker share a queue: whoever filled it would do so for every call. What arrives is counted port by port,
//! since a full queue does not tell whose packets it has dropped (see [`super::overflow`]).

use std::net::IpAddr;
use std::os::fd::RawFd;

use crate::relay::assembly::{Assembly, If, R0, R1, R2, R3, R6, R7, R8, R9, R10, Sum, Value, Width};
use Value::{In, Of};
use Width::{Byte, Half, Word};

/// Ports of one address, and bytes of the table.
pub(super) const PORTS: u32 = 1 << 16;

/// `struct bpf_sk_lookup`, what a program is told of a datagram: where in it is what.
mod context {
    pub(super) const FAMILY: i16 = 8;
    pub(super) const PROTOCOL: i16 = 12;
    /// In network byte order, zero for IPv6. The four words of its IPv6 address follow, zero for IPv4.
    pub(super) const REMOTE: i16 = 16;
    /// Two bytes in network byte order.
    pub(super) const REMOTE_PORT: i16 = 36;
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

/// What is known of one port and its party, in words of a shared map. They lie together: a packet needs one line of the cache.
pub(super) mod belief {
    /// [`ANYBODY`], [`HOST`], or [`ONLY`] with the port in network byte order.
    pub(in super::super) const WHO: usize = 0;
    /// As a program is told the remote address: IPv4 or zero, then four words of IPv6 or zeroes.
    pub(in super::super) const ADDRESS: usize = 1;
    pub(in super::super) const ADDRESS_WORDS: usize = 5;
    /// How many datagrams have arrived, whoever sent them.
    pub(in super::super) const ARRIVED: usize = 6;
    /// How many were refused.
    pub(in super::super) const REFUSED: usize = 7;
    /// In all.
    pub(in super::super) const WORDS: usize = 8;

    pub(in super::super) const ANYBODY: u32 = 0;
    pub(in super::super) const ONLY: u32 = 1 << 16;
    pub(in super::super) const HOST: u32 = 2 << 16;

    /// The offsets of the words, in bytes.
    pub(super) const OFFSETS: [i16; WORDS] = [0, 4, 8, 12, 16, 20, 24, 28];
}

const REFUSE: i32 = 0;
const PASS: i32 = 1;

/// Maps of the program: `ports` holds [`PORTS`] bytes for each address, zero or the number of a socket in `sockets` plus one;
/// `believed` holds [`belief::WORDS`] words for each of them.
pub(super) struct Maps {
    pub(super) ports: RawFd,
    pub(super) believed: RawFd,
    pub(super) sockets: RawFd,
}

/// The program for these addresses.
pub(super) fn lookup(addresses: &[IpAddr], maps: &Maps) -> Vec<u64> {
    let mut code = Assembly::new();
    code.copy(R6, R1);
    code.load(Word, R1, R6, context::PROTOCOL);
    code.unless_equal(R1, libc::IPPROTO_UDP, Label::Pass);
    code.load(Word, R7, R6, context::LOCAL_PORT);
    // So that the verifier knows it, too.
    code.mask(R7, 0xffff);
    code.load(Word, R2, R6, context::FAMILY);
    for (number, address) in (0..).zip(addresses) {
        unless_address(&mut code, address, Label::After(number));
        code.set(R8, number * PORTS.cast_signed());
        code.jump(Label::Found);
        code.label(Label::After(number));
    }
    code.jump(Label::Pass);

    code.label(Label::Found);
    code.sum(Sum::Add, R8, In(R7));
    code.map_value(R1, maps.ports);
    code.sum(Sum::Add, R1, In(R8));
    code.load(Byte, R1, R1, 0);
    code.jump_if(If::Equal, R1, Of(0), Label::Pass);
    unless_believed(&mut code, maps.believed);
    code.label(Label::Believed);
    code.sum(Sum::Add, R1, Of(-1));
    code.store(Word, R10, -4, R1);
    code.copy(R2, R10);
    code.sum(Sum::Add, R2, Of(-4));
    code.map(R1, maps.sockets);
    code.call(call::MAP_LOOKUP);
    code.jump_if(If::Equal, R0, Of(0), Label::Pass);
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

    code.label(Label::Stranger);
    code.set(R1, 1);
    code.add_to_word(R8, belief::OFFSETS[belief::REFUSED], R1);
    code.set(R0, REFUSE);
    code.exit();
    code.finish()
}

/// Where jumps go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Pass,
    Found,
    Believed,
    Host,
    Stranger,
    After(i32),
}

/// Counts the datagram, and jumps to [`Label::Stranger`] with its entry in R8 if another source is believed at the port whose number
/// is in R8. Keeps R1; R2, R3 and R9 are lost.
fn unless_believed(code: &mut Assembly<Label>, believed: RawFd) {
    code.sum(Sum::ShiftLeft, R8, Of((belief::WORDS * 4).ilog2().cast_signed()));
    code.map_value(R9, believed);
    code.sum(Sum::Add, R8, In(R9));
    code.set(R2, 1);
    code.add_to_word(R8, belief::OFFSETS[belief::ARRIVED], R2);
    code.load(Word, R2, R8, belief::OFFSETS[belief::WHO]);
    code.if_equal(R2, belief::ANYBODY.cast_signed(), Label::Believed);
    code.if_equal(R2, belief::HOST.cast_signed(), Label::Host);
    code.load(Half, R3, R6, context::REMOTE_PORT);
    code.sum(Sum::Add, R3, Of(belief::ONLY.cast_signed()));
    code.jump_if(If::NotEqual, R2, In(R3), Label::Stranger);
    code.label(Label::Host);
    for word in 0..belief::ADDRESS_WORDS {
        code.load(Word, R2, R8, belief::OFFSETS[belief::ADDRESS + word]);
        code.load(Word, R3, R6, context::REMOTE + belief::OFFSETS[word]);
        code.jump_if(If::NotEqual, R2, In(R3), Label::Stranger);
    }
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
        code.load(Word, R3, R6, offset);
        code.unless_equal(R3, i32::from_ne_bytes(*word), label);
    }
}
