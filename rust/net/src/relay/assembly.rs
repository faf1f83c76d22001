//! Programs for the kernel, instruction by instruction (`Documentation/bpf/standardization/instruction-set.rst` of Linux).

use std::os::fd::RawFd;

/// A register. R1 to R5 hold arguments and are lost in calls, R0 takes results, R10 is the end of the stack.
#[derive(Clone, Copy)]
pub(in crate::relay) struct Register(u8);

pub(in crate::relay) const R0: Register = Register(0);
pub(in crate::relay) const R1: Register = Register(1);
pub(in crate::relay) const R2: Register = Register(2);
pub(in crate::relay) const R3: Register = Register(3);
pub(in crate::relay) const R4: Register = Register(4);
pub(in crate::relay) const R5: Register = Register(5);
pub(in crate::relay) const R6: Register = Register(6);
pub(in crate::relay) const R7: Register = Register(7);
pub(in crate::relay) const R8: Register = Register(8);
pub(in crate::relay) const R9: Register = Register(9);
pub(in crate::relay) const R10: Register = Register(10);

/// How much is loaded or stored.
#[derive(Clone, Copy)]
pub(in crate::relay) enum Width {
    Byte,
    Half,
    Word,
    Double,
}

impl Width {
    fn bits(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
            Self::Double => 0x18,
        }
    }
}

/// Arithmetic on 64 bits, without signs but for the last.
#[derive(Clone, Copy)]
pub(in crate::relay) enum Sum {
    Add = 0x00,
    Subtract = 0x10,
    Multiply = 0x20,
    Divide = 0x30,
    Or = 0x40,
    ShiftLeft = 0x60,
    ShiftRight = 0x70,
    Xor = 0xa0,
    ShiftRightSigned = 0xc0,
}

/// When a jump is taken; 64 bits without signs are compared.
#[derive(Clone, Copy)]
pub(in crate::relay) enum If {
    Equal = 0x10,
    Above = 0x20,
    AnyBitOf = 0x40,
    NotEqual = 0x50,
    Below = 0xa0,
}

/// The second operand.
#[derive(Clone, Copy)]
pub(in crate::relay) enum Value {
    In(Register),
    Of(i32),
}

/// Instructions, and jumps whose labels are still to come: all go forward.
pub(in crate::relay) struct Assembly<Label> {
    code: Vec<[u8; 8]>,
    pending: Vec<(usize, Label)>,
}

impl<Label: Copy + PartialEq> Assembly<Label> {
    /// No instruction yet.
    pub(in crate::relay) fn new() -> Self {
        Self { code: Vec::new(), pending: Vec::new() }
    }

    fn push(&mut self, operation: u8, target: Register, source: Register, offset: i16, number: i32) {
        let registers =
            if cfg!(target_endian = "little") { source.0 << 4 | target.0 } else { target.0 << 4 | source.0 };
        let [o0, o1] = offset.to_ne_bytes();
        let [n0, n1, n2, n3] = number.to_ne_bytes();
        self.code.push([operation, registers, o0, o1, n0, n1, n2, n3]);
    }

    pub(in crate::relay) fn copy(&mut self, target: Register, source: Register) {
        self.push(0xbf, target, source, 0, 0);
    }

    pub(in crate::relay) fn set(&mut self, target: Register, number: i32) {
        self.push(0xb7, target, R0, 0, number);
    }

    /// A number of 64 bits.
    pub(in crate::relay) fn set_double(&mut self, target: Register, number: u64) {
        let [l0, l1, l2, l3, h0, h1, h2, h3] = number.to_le_bytes();
        let (low, high) = (i32::from_le_bytes([l0, l1, l2, l3]), i32::from_le_bytes([h0, h1, h2, h3]));
        self.push(0x18, target, R0, 0, low);
        self.push(0, R0, R0, 0, high);
    }

    /// The map itself, as calls take it.
    pub(in crate::relay) fn map(&mut self, target: Register, map: RawFd) {
        self.push(0x18, target, Register(1), 0, map);
        self.push(0, R0, R0, 0, 0);
    }

    /// The memory of a shared map.
    pub(in crate::relay) fn map_value(&mut self, target: Register, map: RawFd) {
        self.push(0x18, target, Register(2), 0, map);
        self.push(0, R0, R0, 0, 0);
    }

    pub(in crate::relay) fn load(&mut self, width: Width, target: Register, source: Register, offset: i16) {
        self.push(0x61 | width.bits(), target, source, offset, 0);
    }

    pub(in crate::relay) fn store(&mut self, width: Width, target: Register, offset: i16, source: Register) {
        self.push(0x63 | width.bits(), target, source, offset, 0);
    }

    pub(in crate::relay) fn sum(&mut self, sum: Sum, target: Register, value: Value) {
        self.operate(0x07 | sum as u8, target, value);
    }

    pub(in crate::relay) fn mask(&mut self, target: Register, number: i32) {
        self.push(0x57, target, R0, 0, number);
    }

    /// Swaps the bytes of 16 bits that are in network byte order, where this machine has another one.
    pub(in crate::relay) fn swap_to_host_16(&mut self, target: Register) {
        self.push(0xdc, target, R0, 0, 16);
    }

    /// Swaps the bytes of 32 bits that are in network byte order, where this machine has another one.
    pub(in crate::relay) fn swap_to_host_32(&mut self, target: Register) {
        self.push(0xdc, target, R0, 0, 32);
    }

    /// Adds `source` to 32 bits of memory, whoever else does so at the same time.
    pub(in crate::relay) fn add_to_word(&mut self, target: Register, offset: i16, source: Register) {
        self.push(0xc3, target, source, offset, 0);
    }

    /// Adds `source` to 64 bits of memory, whoever else does so at the same time.
    pub(in crate::relay) fn add_atomically(&mut self, target: Register, offset: i16, source: Register) {
        self.push(0xdb, target, source, offset, 0x00);
    }

    /// The same, and leaves in `source` what was there before. Nothing that stands behind it is done before it.
    pub(in crate::relay) fn fetch_and_add(&mut self, target: Register, offset: i16, source: Register) {
        self.push(0xdb, target, source, offset, 0x01);
    }

    /// Puts `source` where R0 is now in memory, or nothing; leaves in R0 what was there.
    pub(in crate::relay) fn replace_r0(&mut self, target: Register, offset: i16, source: Register) {
        self.push(0xdb, target, source, offset, 0xf1);
    }

    pub(in crate::relay) fn jump(&mut self, label: Label) {
        self.pending.push((self.code.len(), label));
        self.push(0x05, R0, R0, 0, 0);
    }

    pub(in crate::relay) fn jump_if(&mut self, condition: If, register: Register, value: Value, label: Label) {
        self.pending.push((self.code.len(), label));
        self.operate(0x05 | condition as u8, register, value);
    }

    /// Compares 32 bits.
    pub(in crate::relay) fn if_equal(&mut self, register: Register, number: i32, label: Label) {
        self.pending.push((self.code.len(), label));
        self.push(0x16, register, R0, 0, number);
    }

    /// Compares 32 bits.
    pub(in crate::relay) fn unless_equal(&mut self, register: Register, number: i32, label: Label) {
        self.pending.push((self.code.len(), label));
        self.push(0x56, register, R0, 0, number);
    }

    pub(in crate::relay) fn call(&mut self, function: i32) {
        self.push(0x85, R0, R0, 0, function);
    }

    pub(in crate::relay) fn exit(&mut self) {
        self.push(0x95, R0, R0, 0, 0);
    }

    fn operate(&mut self, operation: u8, target: Register, value: Value) {
        match value {
            Value::In(source) => self.push(operation | 0x08, target, source, 0, 0),
            Value::Of(number) => self.push(operation, target, R0, 0, number),
        }
    }

    /// Lets the jumps to `label` go here.
    pub(in crate::relay) fn label(&mut self, label: Label) {
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

    pub(in crate::relay) fn finish(self) -> Vec<u64> {
        debug_assert!(self.pending.is_empty(), "a jump goes nowhere");
        self.code.into_iter().map(u64::from_ne_bytes).collect()
    }
}
