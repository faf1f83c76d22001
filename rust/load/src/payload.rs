//! What a packet of the load carries, so that whoever hears it can tell that it is the right one and whole.
//!
//! ```text
//! 0   RTP header: version 2, PCMU, sequence and timestamp derived from the number, SSRC from the sender (RFC 3550 5.1)
//! 12  run      8 bytes   which Load has sent it
//! 20  sender   4 bytes   which endpoint of the Load
//! 24  number   8 bytes   0, 1, 2, … of this sender
//! 32  sent at  8 bytes   nanoseconds of the monotonic clock
//! 40  filling  132 bytes derived from all of the above but the time
//! ```
use mediaha_time::Time;

/// A packet as it is sent: 12 bytes of header, 160 of payload, like 20 ms of G.711.
pub const PACKET_LEN: usize = 172;

const FILLING_AT: usize = 40;
const SAMPLES_PER_PACKET: u32 = 160;

/// Who sent a packet, as its how manieth, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Tells the packets of one Load from those of another.
    pub run: u64,
    /// The endpoint that sends.
    pub sender: u32,
    /// Counts the packets of the sender from 0.
    pub number: u64,
    /// When it was sent, by the clock of the sending thread.
    pub sent_at: Time,
}

/// Why bytes are not a packet of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// Not the length of our packets.
    Length,
    /// The RTP header is not the one that belongs to the payload.
    Header,
    /// Sent by another Load.
    Foreign,
    /// The filling is not what follows from sender and number.
    Filling,
}

/// Writes the packet that `stamp` describes.
#[must_use]
pub fn packet(stamp: &Stamp) -> [u8; PACKET_LEN] {
    let mut bytes = [0; PACKET_LEN];
    bytes[..12].copy_from_slice(&header(stamp));
    bytes[12..20].copy_from_slice(&stamp.run.to_be_bytes());
    bytes[20..24].copy_from_slice(&stamp.sender.to_be_bytes());
    bytes[24..32].copy_from_slice(&stamp.number.to_be_bytes());
    bytes[32..40].copy_from_slice(&stamp.sent_at.as_nanos().to_be_bytes());
    for (chunk, word) in bytes[FILLING_AT..].chunks_mut(8).zip(filling(stamp)) {
        chunk.copy_from_slice(&word.to_be_bytes()[..chunk.len()]);
    }
    bytes
}

/// Reads a packet and checks every byte of it but the time.
///
/// # Errors
/// The first thing that is not as `packet` of the Load `run` would have written it.
pub fn stamp_untrusted(bytes: &[u8], run: u64) -> Result<Stamp, PayloadError> {
    if bytes.len() != PACKET_LEN {
        return Err(PayloadError::Length);
    }
    let stamp = Stamp {
        run: u64::from_be_bytes(array(bytes, 12)),
        sender: u32::from_be_bytes(array(bytes, 20)),
        number: u64::from_be_bytes(array(bytes, 24)),
        sent_at: Time::from_nanos(u64::from_be_bytes(array(bytes, 32))),
    };
    if stamp.run != run {
        return Err(PayloadError::Foreign);
    }
    if bytes[..12] != header(&stamp) {
        return Err(PayloadError::Header);
    }
    let whole = bytes[FILLING_AT..]
        .chunks(8)
        .zip(filling(&stamp))
        .all(|(chunk, word)| *chunk == word.to_be_bytes()[..chunk.len()]);
    if whole { Ok(stamp) } else { Err(PayloadError::Filling) }
}

fn header(stamp: &Stamp) -> [u8; 12] {
    // RTP counts packets in 16 bits and samples in 32: both wrap, which is what the casts do.
    #[allow(clippy::cast_possible_truncation)]
    let (sequence, packets) = (stamp.number as u16, stamp.number as u32);
    let mut bytes = [0; 12];
    bytes[0] = 0x80;
    bytes[2..4].copy_from_slice(&sequence.to_be_bytes());
    bytes[4..8].copy_from_slice(&packets.wrapping_mul(SAMPLES_PER_PACKET).to_be_bytes());
    bytes[8..12].copy_from_slice(&stamp.sender.wrapping_add(0x6d68_0000).to_be_bytes());
    bytes
}

/// An endless row of words that differs between any two packets (xorshift64*, Vigna 2016).
fn filling(stamp: &Stamp) -> impl Iterator<Item = u64> {
    let mut state = (stamp.run ^ stamp.number.rotate_left(32) ^ u64::from(stamp.sender)) | 1;
    std::iter::from_fn(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        Some(state.wrapping_mul(0x2545_f491_4f6c_dd1d))
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { run: 7, sender: 3, number: 70_000, sent_at: Time::from_millis(5) };

    #[test]
    fn a_packet_is_read_as_it_was_written() {
        assert_eq!(stamp_untrusted(&packet(&STAMP), 7), Ok(STAMP));
    }

    #[test]
    fn every_broken_byte_but_those_of_the_time_is_noticed() {
        let whole = packet(&STAMP);
        for at in (0..PACKET_LEN).filter(|at| !(32..40).contains(at)) {
            let mut broken = whole;
            broken[at] ^= 0x10;
            assert!(stamp_untrusted(&broken, 7).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_packet_of_another_load_is_foreign() {
        assert_eq!(stamp_untrusted(&packet(&STAMP), 8), Err(PayloadError::Foreign));
    }

    #[test]
    fn a_packet_cut_short_is_refused() {
        assert_eq!(stamp_untrusted(&packet(&STAMP)[..171], 7), Err(PayloadError::Length));
        assert_eq!(stamp_untrusted(&[], 7), Err(PayloadError::Length));
    }
}
