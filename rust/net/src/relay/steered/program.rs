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
pub(super) fn program(addresses: &[IpAddr], ports: RawFd, sockets: RawFd) -> Vec<u64> {
    let mut code = Assembly::default();
    code.copy(R6, R1);
    code.load_word(R1, R6, context::PROTOCOL);
    code.unless_equal(R1, libc::IPPROTO_UDP, Label::Pass);
    code.load_word(R7, R6, context::LOCAL_PORT);
    // So that the verifier knows it, too.
    code.mask(R7, 0xffff);
    code.load_word(R2, R6, context::FAMILY);
    for (number, address) in (0..).zip(addresses) {
        code.unless_address(address, Label::After(number));
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

/// A register. R1 to R5 hold arguments and are lost in calls, R0 takes results, R10 is the end of the stack.
#[derive(Clone, Copy)]
struct Register(u8);

const R0: Register = Register(0);
const R1: Register = Register(1);
const R2: Register = Register(2);
const R3: Register = Register(3);
const R6: Register = Register(6);
const R7: Register = Register(7);
const R8: Register = Register(8);
const R10: Register = Register(10);

/// Where jumps go. All go forward.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    Pass,
    Found,
    After(i32),
}

/// Instructions (`Documentation/bpf/standardization/instruction-set.rst` of Linux), and jumps whose labels are still to come.
#[derive(Default)]
struct Assembly {
    code: Vec<[u8; 8]>,
    pending: Vec<(usize, Label)>,
}

impl Assembly {
    fn push(&mut self, operation: u8, target: Register, source: Register, offset: i16, number: i32) {
        let registers =
            if cfg!(target_endian = "little") { source.0 << 4 | target.0 } else { target.0 << 4 | source.0 };
        let [o0, o1] = offset.to_ne_bytes();
        let [n0, n1, n2, n3] = number.to_ne_bytes();
        self.code.push([operation, registers, o0, o1, n0, n1, n2, n3]);
    }

    fn copy(&mut self, target: Register, source: Register) {
        self.push(0xbf, target, source, 0, 0);
    }

    fn set(&mut self, target: Register, number: i32) {
        self.push(0xb7, target, R0, 0, number);
    }

    fn add(&mut self, target: Register, source: Register) {
        self.push(0x0f, target, source, 0, 0);
    }

    fn add_number(&mut self, target: Register, number: i32) {
        self.push(0x07, target, R0, 0, number);
    }

    fn mask(&mut self, target: Register, number: i32) {
        self.push(0x57, target, R0, 0, number);
    }

    fn load_word(&mut self, target: Register, source: Register, offset: i16) {
        self.push(0x61, target, source, offset, 0);
    }

    fn load_byte(&mut self, target: Register, source: Register) {
        self.push(0x71, target, source, 0, 0);
    }

    fn store_word(&mut self, target: Register, offset: i16, source: Register) {
        self.push(0x63, target, source, offset, 0);
    }

    /// The map itself, as calls take it.
    fn map(&mut self, target: Register, map: RawFd) {
        self.push(0x18, target, Register(1), 0, map);
        self.push(0, R0, R0, 0, 0);
    }

    /// The memory of a shared map.
    fn map_value(&mut self, target: Register, map: RawFd) {
        self.push(0x18, target, Register(2), 0, map);
        self.push(0, R0, R0, 0, 0);
    }

    fn call(&mut self, function: i32) {
        self.push(0x85, R0, R0, 0, function);
    }

    fn exit(&mut self) {
        self.push(0x95, R0, R0, 0, 0);
    }

    fn jump(&mut self, label: Label) {
        self.pending.push((self.code.len(), label));
        self.push(0x05, R0, R0, 0, 0);
    }

    fn if_zero(&mut self, register: Register, label: Label) {
        self.pending.push((self.code.len(), label));
        self.push(0x15, register, R0, 0, 0);
    }

    /// Compares 32 bits.
    fn unless_equal(&mut self, register: Register, number: i32, label: Label) {
        self.pending.push((self.code.len(), label));
        self.push(0x56, register, R0, 0, number);
    }

    /// Compares the family in R2 and the local address; R3 is lost.
    fn unless_address(&mut self, address: &IpAddr, label: Label) {
        let (family, first, octets) = match address {
            IpAddr::V4(address) => (libc::AF_INET, context::LOCAL_IPV4, address.octets().to_vec()),
            IpAddr::V6(address) => (libc::AF_INET6, context::LOCAL_IPV6, address.octets().to_vec()),
        };
        self.unless_equal(R2, family, label);
        let (words, _) = octets.as_chunks::<4>();
        for (word, offset) in words.iter().zip((first..).step_by(4)) {
            self.load_word(R3, R6, offset);
            self.unless_equal(R3, i32::from_ne_bytes(*word), label);
        }
    }

    /// Lets the jumps to `label` go here.
    fn label(&mut self, label: Label) {
        let here = self.code.len();
        let code = &mut self.code;
        self.pending.retain(|&(jump, to)| {
            if to == label {
                // Counted from the instruction after the jump; the whole program has some hundred instructions.
                let distance = i16::try_from(here - jump - 1).unwrap_or(i16::MAX);
                code[jump][2..4].copy_from_slice(&distance.to_ne_bytes());
            }
            to != label
        });
    }

    fn finish(self) -> Vec<u64> {
        debug_assert!(self.pending.is_empty(), "a jump goes nowhere");
        self.code.into_iter().map(u64::from_ne_bytes).collect()
    }
}
