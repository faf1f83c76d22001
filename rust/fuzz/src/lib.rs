//! What must hold for any bytes from the network, one function per parser; and for whole sequences of requests.
//!
//! The fuzz targets and the test over mutated seeds call these. Each panics when something does not hold.

mod control;
mod relay;
mod script;
mod sip;

pub use control::check_control;
pub use sip::check_sip;

use std::net::{IpAddr, Ipv4Addr};

use mediaha_media::sdp::{Description, MediaSection, Placement, RewriteOptions, description_untrusted, rewrite};
use mediaha_media::{rtcp, rtp};
use mediaha_ng::{Datagram, DatagramError, datagram_untrusted, reply_untrusted, request_untrusted};

/// A datagram of the ng protocol is read, or refused with an answer that can be read; what was read is written so
/// that it reads the same, as bytes, as a request and as a reply.
pub fn check_ng(bytes: &[u8]) {
    match datagram_untrusted(bytes) {
        Ok(datagram) => check_ng_round_trips(&datagram),
        Err(DatagramError::NoCookie) => {}
        Err(error) => {
            let answer = error.reply().expect("there is a cookie to answer under").to_bytes();
            let answer = datagram_untrusted(&answer).expect("our own answer is legible");
            assert!(reply_untrusted(&answer.body).is_ok());
        }
    }
}

fn check_ng_round_trips(datagram: &Datagram) {
    // JSON may be written longer than it came, so that a datagram near the limit may cross it.
    let written = datagram.to_bytes();
    if written.len() <= mediaha_ng::DATAGRAM_BYTES_MAX {
        assert_eq!(datagram_untrusted(&written).as_ref(), Ok(datagram));
    }
    if let Ok(request) = request_untrusted(&datagram.body) {
        assert_eq!(request_untrusted(&request.to_dictionary()), Ok(request));
    }
    if let Ok(reply) = reply_untrusted(&datagram.body) {
        assert_eq!(reply_untrusted(&reply.to_dictionary()), Ok(reply));
    }
}

/// An SDP is read or refused; rewritten, it can be read again, and no stream that the relay carries leads elsewhere
/// than to the relay.
pub fn check_sdp(bytes: &[u8]) {
    let Ok(before) = description_untrusted(bytes) else { return };
    // The input itself chooses what is placed, so that the fuzzer can find its way.
    let choice = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let placements: Vec<_> = (0..before.media().len()).map(|index| placement(choice, index)).collect();
    let options = RewriteOptions {
        replace_origin: choice & 0x40 != 0,
        replace_session_connection: choice & 0x80 != 0,
        ..RewriteOptions::default()
    };
    let rewritten = rewrite(&before, &placements, &options);
    match description_untrusted(&rewritten) {
        Ok(after) => check_streams(&before, &after, &placements),
        // Static payload types are spelt out, so that an SDP near the limit may cross it.
        Err(error) => assert!(rewritten.len() > bytes.len(), "{error:?} in what we wrote ourselves"),
    }
}

fn placement(choice: u8, index: usize) -> Option<Placement> {
    let rtp = 30_000 + 2 * u16::try_from(index).expect("few sections");
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, choice & 0x0f));
    (choice >> (index % 4) & 1 == 0).then_some(Placement {
        address,
        rtp,
        rtcp: rtp + 1,
        rtcp_mux: choice & 0x10 != 0,
        profile: None,
    })
}

fn check_streams(before: &Description, after: &Description, placements: &[Option<Placement>]) {
    assert_eq!(before.media().len(), after.media().len());
    for ((old, new), placement) in before.media().iter().zip(after.media()).zip(placements) {
        assert_eq!((&old.kind, &old.protocol, &old.formats), (&new.kind, &new.protocol, &new.formats));
        match placement.filter(|_| old.relayed && !old.disabled) {
            Some(placement) => check_placed(new, placement),
            None if old.relayed => assert!(new.disabled, "a stream without a place is refused"),
            // Where nobody is to send, an inherited address may change with the session's.
            None => assert!(old.port == new.port && (old.disabled || old.address == new.address)),
        }
    }
}

fn check_placed(section: &MediaSection, placement: Placement) {
    assert_eq!(section.port, placement.rtp);
    if section.rtp {
        assert_eq!((section.rtcp, section.rtcp_mux), (Some((None, placement.rtcp)), placement.rtcp_mux));
    }
    let address = section.address.expect("a placed stream has an address");
    assert!(address == placement.address || address.is_unspecified(), "leads to {address}");
}

/// A relay forwards an RTP packet exactly when its fixed header can be read.
pub fn check_rtp(bytes: &[u8]) {
    assert_eq!(relay::forwards_rtp(bytes), rtp::header_untrusted(bytes).is_ok());
}

/// A relay forwards a compound of RTCP packets exactly when its first header can be read.
pub fn check_rtcp(bytes: &[u8]) {
    assert_eq!(relay::forwards_rtcp(bytes), rtcp::header_untrusted(bytes).is_ok());
}
