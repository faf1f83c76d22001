//! Programs for the kernel, instruction by instruction (`Documentation/bpf/standardization/instruction-set.rst` of Linux).

use std::os::fd::RawFd;

/// A register. R1 to R5 hold arguments and are lost in calls, R0 takes results, R10 is the end of the stack.
#[derive(Clone, Copy)]
pub(super) struct Register(u8);

pub(super) const R0: Register = Register(0);
pub(super) const R1: Register = Register(1);
pub(super) const R2: Register = Register(2);
pub(super) const R3: Register = Register(3);
pub(super) const R6: Register = Register(6);
pub(super) const R7: Register = Register(7);
pub(super) const R8: Register = Register(8);
pub(super) const R9: Register = Register(9);
pub(super) const R10: Register = Register(10);

/// Instructions, and jumps whose labels are still to come: all go forward.
pub(super) struct Assembly<Label> {
    code: Vec<[u8; 8]>,
    pending: Vec<(usize, Label)>,
}

impl<Label: Copy + PartialEq> Assembly<Label> {
    /// No instruction yet.
    pub(super) fn new() -> Self {
        Self { code: Vec::new(), pending: Vec::new() }
    }

    fn push(&mut self, operation: u8, target: Register, source: Register, offset: i16, number: i32) {
        let registers =
            if cfg!(target_endian = "little") { source.0 << 4 | target.0 } else { target.0 << 4 | source.0 };
        let [o0, o1] = offset.to_ne_bytes();
        let [n0, n1, n2, n3] = number.to_ne_bytes();
        self.code.push([operation, registers, o0, o1, n0, n1, n2, n3]);
    }

    pub(super) fn copy(&mut self, target: Register, source: Register) {
        self.push(0xbf, target, source, 0, 0);
    }

    pub(super) fn set(&mut self, target: Register, number: i32) {
        self.push(0xb7, target, R0, 0, number);
    }

    pub(super) fn add(&mut self, target: Register, source: Register) {
        self.push(0x0f, target, source, 0, 0);
    }

    pub(super) fn or(&mut self, target: Register, source: Register) {
        self.push(0x4f, target, source, 0, 0);
    }

    pub(super) fn add_number(&mut self, target: Register, number: i32) {
        self.push(0x07, target, R0, 0, number);
    }

    pub(super) fn shift_left(&mut self, target: Register, bits: i32) {
        self.push(0x67, target, R0, 0, bits);
    }

    pub(super) fn mask(&mut self, target: Register, number: i32) {
        self.push(0x57, target, R0, 0, number);
    }

    pub(super) fn load_word(&mut self, target: Register, source: Register, offset: i16) {
        self.push(0x61, target, source, offset, 0);
    }

    pub(super) fn load_byte(&mut self, target: Register, source: Register) {
        self.push(0x71, target, source, 0, 0);
    }

    pub(super) fn load_half(&mut self, target: Register, source: Register, offset: i16) {
        self.push(0x69, target, source, offset, 0);
    }

    pub(super) fn store_word(&mut self, target: Register, offset: i16, source: Register) {
        self.push(0x63, target, source, offset, 0);
    }

    /// Adds to a word of memory in one step, whoever else does.
    pub(super) fn add_to_word(&mut self, target: Register, offset: i16, source: Register) {
        self.push(0xc3, target, source, offset, 0);
    }

    /// The map itself, as calls take it.
    pub(super) fn map(&mut self, target: Register, map: RawFd) {
        self.push(0x18, target, Register(1), 0, map);
        self.push(0, R0, R0, 0, 0);
    }

    /// The memory of a shared map.
    pub(super) fn map_value(&mut self, target: Register, map: RawFd) {
        self.push(0x18, target, Register(2), 0, map);
        self.push(0, R0, R0, 0, 0);
    }

    pub(super) fn call(&mut self, function: i32) {
        self.push(0x85, R0, R0, 0, function);
    }

    pub(super) fn exit(&mut self) {
        self.push(0x95, R0, R0, 0, 0);
    }

    pub(super) fn jump(&mut self, label: Label) {
        self.pending.push((self.code.len(), label));
        self.push(0x05, R0, R0, 0, 0);
    }

    pub(super) fn if_zero(&mut self, register: Register, label: Label) {
        self.pending.push((self.code.len(), label));
        self.push(0x15, register, R0, 0, 0);
    }

    /// Swaps the bytes of 16 bits that are in network byte order, where this machine has another one.
    pub(super) fn swap_to_host_16(&mut self, target: Register) {
        self.push(0xdc, target, R0, 0, 16);
    }

    /// Loads 64 bits.
    pub(super) fn load_double(&mut self, target: Register, source: Register, offset: i16) {
        self.push(0x79, target, source, offset, 0);
    }

    /// A number of 64 bits.
    pub(super) fn set_double(&mut self, target: Register, number: u64) {
        let [l0, l1, l2, l3, h0, h1, h2, h3] = number.to_le_bytes();
        let (low, high) = (i32::from_le_bytes([l0, l1, l2, l3]), i32::from_le_bytes([h0, h1, h2, h3]));
        self.push(0x18, target, R0, 0, low);
        self.push(0, R0, R0, 0, high);
    }

    /// Compares 64 bits of two registers.
    pub(super) fn unless_same(&mut self, register: Register, other: Register, label: Label) {
        self.pending.push((self.code.len(), label));
        self.push(0x5d, register, other, 0, 0);
    }

    /// Compares 32 bits.
    pub(super) fn if_equal(&mut self, register: Register, number: i32, label: Label) {
        self.pending.push((self.code.len(), label));
        self.push(0x16, register, R0, 0, number);
    }

    /// Compares 32 bits.
    pub(super) fn unless_equal(&mut self, register: Register, number: i32, label: Label) {
        self.pending.push((self.code.len(), label));
        self.push(0x56, register, R0, 0, number);
    }

    /// Lets the jumps to `label` go here.
    pub(super) fn label(&mut self, label: Label) {
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

    pub(super) fn finish(self) -> Vec<u64> {
        debug_assert!(self.pending.is_empty(), "a jump goes nowhere");
        self.code.into_iter().map(u64::from_ne_bytes).collect()
    }
}
