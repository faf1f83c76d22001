//! What is counted of a packet: RTP as its receiver would (RFC 3550, appendix A), RTCP by its length.

use super::super::lane::{self, at};
use super::super::lanes::RATES_AT;
use super::{Family, Label, Program, context, stack};
use crate::relay::assembly::{Assembly, If, R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, Sum, Value, Width};
use Value::{In, Of};
use Width::{Byte, Double, Half, Word};

/// RFC 3550 A.1.
const DROPOUT_MAX: i32 = 3_000;
const MISORDER_MAX: i32 = 100;

impl Program<'_> {
    pub(super) fn count(&mut self, family: Family) {
        let code = &mut self.code;
        code.load(Double, R3, R10, stack::NOW);
        code.store(Double, R7, at::LAST_SEEN, R3);
        code.load(Double, R2, R10, stack::OCTETS);
        code.set(R1, 1);
        code.load(Double, R4, R10, stack::IS_RTCP);
        code.jump_if(If::NotEqual, R4, Of(0), Label::CountRtcp(family));
        // Before anything is counted: this much must be there.
        code.load(Word, R4, R6, context::DATA_END);
        code.copy(R5, R8);
        code.sum(Sum::Add, R5, Of(family.with_rtp().into()));
        code.jump_if(If::Above, R5, In(R4), Label::Up);
        code.add_atomically(R7, at::PACKETS, R1);
        code.add_atomically(R7, at::OCTETS, R2);
        self.rate(family);
        self.follow(family);
        self.jitter(family);
        let code = &mut self.code;
        code.jump(Label::Counted(family));
        code.label(Label::CountRtcp(family));
        code.add_atomically(R7, at::RTCP_PACKETS, R1);
        code.add_atomically(R7, at::RTCP_OCTETS, R2);
        code.label(Label::Counted(family));
    }

    /// Leaves in R5 how fast the packet's clock runs.
    fn rate(&mut self, family: Family) {
        let code = &mut self.code;
        code.load(Byte, R1, R8, family.payload() + 1);
        code.mask(R1, 0x7f);
        code.load(Word, R2, R7, at::NOTED);
        for number in 0..i16::try_from(mediaha_media::Clocks::NOTED_MAX).unwrap_or(0) {
            code.jump_if(If::Equal, R2, Of(number.into()), Label::Unlisted(family));
            code.load(Byte, R3, R7, at::TYPES + number);
            code.jump_if(If::NotEqual, R3, In(R1), Label::Listed(family, number));
            code.load(Word, R5, R7, at::RATES + 4 * number);
            code.jump(Label::Rated(family));
            code.label(Label::Listed(family, number));
        }
        code.label(Label::Unlisted(family));
        code.sum(Sum::ShiftLeft, R1, Of(2));
        code.map_value(R5, self.lanes);
        code.sum(Sum::Add, R5, In(R1));
        code.load(Word, R5, R5, RATES_AT);
        code.label(Label::Rated(family));
    }

    /// RFC 3550 A.1 and A.3, as [`mediaha_media::Sequence`] has them. R1 holds the number, R2 the timestamp, R3 the SSRC, R5 the
    /// rate.
    fn follow(&mut self, family: Family) {
        let code = &mut self.code;
        code.load(Half, R1, R8, family.payload() + 2);
        code.swap_to_host_16(R1);
        code.load(Word, R2, R8, family.payload() + 4);
        code.swap_to_host_32(R2);
        code.load(Word, R3, R8, family.payload() + 8);
        code.swap_to_host_32(R3);
        code.load(Word, R4, R7, at::RUNNING);
        code.jump_if(If::Equal, R4, Of(0), Label::Begin(family));
        code.load(Word, R0, R7, at::SSRC);
        code.jump_if(If::Equal, R0, In(R3), Label::SameSource(family));
        add_to(code, at::SSRC_CHANGES, Of(1));
        code.jump(Label::Begin(family));

        code.label(Label::SameSource(family));
        code.load(Half, R0, R7, at::HIGHEST);
        code.copy(R9, R1);
        code.sum(Sum::Subtract, R9, In(R0));
        code.mask(R9, 0xffff);
        code.jump_if(If::Above, R9, Of(DROPOUT_MAX - 1), Label::Strayed(family));
        code.store(Half, R7, at::HIGHEST, R1);
        add_to(code, at::EXPECTED, In(R9));
        code.jump(Label::Numbered(family));
        code.label(Label::Strayed(family));
        // A late one.
        code.jump_if(If::Above, R9, Of(0xffff - MISORDER_MAX), Label::Numbered(family));
        // From nowhere: two in a row are a restart.
        code.load(Half, R0, R7, at::RESTART);
        code.copy(R9, R4);
        code.mask(R9, lane::STRAYED.cast_signed());
        code.sum(Sum::Add, R1, Of(1));
        code.mask(R1, 0xffff);
        code.store(Half, R7, at::RESTART, R1);
        code.sum(Sum::Subtract, R1, Of(1));
        code.mask(R1, 0xffff);
        code.set(R4, (lane::RUNS | lane::STRAYED).cast_signed());
        code.store(Word, R7, at::RUNNING, R4);
        code.jump_if(If::Equal, R9, Of(0), Label::Jitter(family));
        code.jump_if(If::NotEqual, R0, In(R1), Label::Jitter(family));

        code.label(Label::Begin(family));
        code.store(Word, R7, at::SSRC, R3);
        code.store(Half, R7, at::HIGHEST, R1);
        code.store(Word, R7, at::TIMESTAMP, R2);
        code.store(Word, R7, at::HERTZ, R5);
        code.load(Double, R0, R10, stack::NOW);
        code.store(Double, R7, at::ARRIVED, R0);
        code.set(R0, 0);
        code.store(Double, R7, at::JITTER, R0);
        code.set(R0, lane::RUNS.cast_signed());
        code.store(Word, R7, at::RUNNING, R0);
        // Duplicates of one run do not hide what another one loses.
        code.load(Double, R0, R7, at::RECEIVED);
        code.load(Double, R1, R7, at::EXPECTED);
        code.jump_if(If::Above, R1, In(R0), Label::NoFewer(family));
        code.copy(R1, R0);
        code.label(Label::NoFewer(family));
        code.sum(Sum::Add, R1, Of(1));
        code.store(Double, R7, at::EXPECTED, R1);
        code.sum(Sum::Add, R0, Of(1));
        code.store(Double, R7, at::RECEIVED, R0);
        code.jump(Label::Counted(family));

        code.label(Label::Numbered(family));
        code.set(R4, lane::RUNS.cast_signed());
        code.store(Word, R7, at::RUNNING, R4);
        add_to(code, at::RECEIVED, Of(1));
        code.label(Label::Jitter(family));
    }

    /// RFC 3550 A.8, in nanoseconds. R2 holds the timestamp, R5 the rate.
    fn jitter(&mut self, family: Family) {
        let code = &mut self.code;
        code.load(Double, R4, R10, stack::NOW);
        code.load(Word, R0, R7, at::HERTZ);
        code.load(Word, R1, R7, at::TIMESTAMP);
        code.load(Double, R3, R7, at::ARRIVED);
        code.store(Word, R7, at::HERTZ, R5);
        code.store(Word, R7, at::TIMESTAMP, R2);
        code.store(Double, R7, at::ARRIVED, R4);
        // Timestamps of different clocks cannot be subtracted.
        code.jump_if(If::NotEqual, R0, In(R5), Label::Counted(family));
        code.jump_if(If::Equal, R5, Of(0), Label::Counted(family));
        // R4: how long it took; R2: how long it was meant to take.
        code.sum(Sum::Subtract, R4, In(R3));
        code.sum(Sum::Subtract, R2, In(R1));
        code.sum(Sum::ShiftLeft, R2, Of(32));
        code.copy(R1, R2);
        code.sum(Sum::ShiftRightSigned, R2, Of(32));
        code.sum(Sum::ShiftRight, R1, Of(63));
        code.jump_if(If::NotEqual, R1, Of(0), Label::Backwards(family));
        code.sum(Sum::Multiply, R2, Of(1_000_000_000));
        code.sum(Sum::Divide, R2, In(R5));
        code.jump(Label::Meant(family));
        code.label(Label::Backwards(family));
        code.set(R1, 0);
        code.sum(Sum::Subtract, R1, In(R2));
        code.sum(Sum::Multiply, R1, Of(1_000_000_000));
        code.sum(Sum::Divide, R1, In(R5));
        code.sum(Sum::Add, R4, In(R1));
        code.set(R2, 0);
        code.label(Label::Meant(family));
        code.jump_if(If::Above, R2, In(R4), Label::Early(family));
        code.sum(Sum::Subtract, R4, In(R2));
        code.copy(R2, R4);
        code.jump(Label::Deviated(family));
        code.label(Label::Early(family));
        code.sum(Sum::Subtract, R2, In(R4));
        code.label(Label::Deviated(family));
        code.load(Double, R1, R7, at::JITTER);
        code.sum(Sum::Add, R2, In(R1));
        code.sum(Sum::Add, R1, Of(8));
        code.sum(Sum::ShiftRight, R1, Of(4));
        code.sum(Sum::Subtract, R2, In(R1));
        code.store(Double, R7, at::JITTER, R2);
    }
}

/// Adds to a number that only one CPU at a time writes, as all packets of a flow come to one; R0 is lost.
fn add_to(code: &mut Assembly<Label>, offset: i16, value: Value) {
    code.load(Double, R0, R7, offset);
    code.sum(Sum::Add, R0, value);
    code.store(Double, R7, offset, R0);
}
