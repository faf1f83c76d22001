//! One offer or answer, applied to a dialogue: streams come, go and move, and the other party's SDP is placed.
//!
//! All ports that are needed are opened before anything is changed, so that a refused request changes nothing.

use std::net::{IpAddr, SocketAddr};

use mediaha_ng::{Options, RtcpMux};

use super::call::{Dialogue, End, MediaStream, Party, word};
use super::config::ControllerConfig;
use super::interfaces::{candidates, family_of};
use super::mux::Mux;
use super::switchboard::Switchboard;
use crate::blocks::{Blocks, Events};
use crate::clocks::Clocks;
use crate::datapath::PortsExhausted;
use crate::interface::Interface;
use crate::plan::Side;
use crate::sdp::{self, Description, MediaSection, Placement, Profile, RewriteOptions, RtcpAttribute};

/// Which of the two an SDP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Offer,
    Answer,
}

/// One SDP on its way through.
#[derive(Clone, Copy)]
pub(super) struct Exchange<'a> {
    pub(super) act: Act,
    /// Who sent it.
    pub(super) from: Side,
    /// Both parties have names already: a stream that has to be made for it may have been on another server before.
    pub(super) anew: bool,
    pub(super) description: &'a Description,
    pub(super) options: &'a Options,
    pub(super) config: &'a ControllerConfig,
}

/// Ends that were opened for one `m=` line, indexed by [`Side::index`]; `None` where the present one stays.
type Opened = [Option<End>; 2];

impl Exchange<'_> {
    /// Changes the dialogue and the datapath. Gives the SDP for the other party.
    pub(super) fn apply(
        &self,
        dialogue: &mut Dialogue,
        board: &mut Switchboard<'_>,
    ) -> Result<Vec<u8>, PortsExhausted> {
        let sections = self.description.media();
        let opened = self.open(&dialogue.streams, board)?;
        for stream in dialogue.streams.iter().skip(sections.len()).flatten() {
            board.end(stream);
        }
        // Most calls have one stream: room for as many as there would be by itself is half of what a call takes.
        dialogue.streams.reserve_exact(sections.len().saturating_sub(dialogue.streams.len()));
        dialogue.streams.resize_with(sections.len(), || None);
        dialogue.answered |= self.act == Act::Answer;
        if let Some(label) = &self.options.label {
            dialogue.labels[self.from.index()] = Some(label.as_slice().into());
        }
        let blocks = dialogue.blocked.of_both();
        let placed = sections.iter().zip(opened).zip(&mut dialogue.streams);
        let placements: Vec<_> = placed
            .map(|((section, opened), stream)| self.settle(section, opened, stream, blocks, board))
            .collect();
        Ok(sdp::rewrite(self.description, &placements, &self.rewrite_options()))
    }

    fn rewrite_options(&self) -> RewriteOptions {
        let rtcp_attribute = match (self.options.no_rtcp_attribute, self.options.full_rtcp_attribute) {
            (true, _) => RtcpAttribute::Absent,
            (false, true) => RtcpAttribute::Full,
            (false, false) => RtcpAttribute::Port,
        };
        let others = self.candidates(self.from.other(), None);
        RewriteOptions {
            replace_origin: self.options.replace_origin,
            replace_session_connection: self.options.replace_session_connection,
            replace_zero_address: self.options.replace_zero_address,
            rtcp_attribute,
            original_direction: self.options.original_sendrecv,
            address: self.options.media_address.or(others.first().map(|interface| interface.advertised)),
        }
    }

    /// Opens what is missing for all sections, or nothing.
    fn open(
        &self,
        streams: &[Option<MediaStream>],
        board: &mut Switchboard<'_>,
    ) -> Result<Vec<Opened>, PortsExhausted> {
        let mut all: Vec<Opened> = Vec::with_capacity(self.description.media().len());
        for (index, section) in self.description.media().iter().enumerate() {
            all.push([None, None]);
            for side in Side::BOTH {
                let present = streams.get(index).and_then(Option::as_ref).map(|stream| &stream.ends[side.index()]);
                let Some(candidates) = self.missing(section, side, present) else { continue };
                match board.open(&candidates) {
                    Ok(end) => all[index][side.index()] = Some(end),
                    Err(exhausted) => {
                        all.iter().flatten().flatten().for_each(|end| board.close(end));
                        return Err(exhausted);
                    }
                }
            }
        }
        Ok(all)
    }

    /// The interfaces to open a pair of ports on; `None` when this side needs none.
    fn missing(&self, section: &MediaSection, side: Side, present: Option<&End>) -> Option<Vec<&Interface>> {
        if !carried(section) {
            return None;
        }
        let candidates = self.candidates(side, section.address);
        match present {
            Some(end) if !self.chooses(side, section, end) || candidates.contains(&&end.interface) => None,
            _ => Some(candidates),
        }
    }

    /// Whether the request says something about the interface of this side. Only an offer can: an answer finds its
    /// ports open. A sender whose address is now of another family says so, too; on hold it has no address.
    fn chooses(&self, side: Side, section: &MediaSection, present: &End) -> bool {
        let family = if side == self.from {
            let now = section.address.filter(|address| !address.is_unspecified());
            now.is_some_and(|now| family_of(now) != family_of(present.interface.local))
        } else {
            self.options.address_family.is_some()
        };
        self.act == Act::Offer && (self.options.direction.is_some() || family)
    }

    /// The interfaces for a side, best first. Both sides are given the sender's address family, unless
    /// `address family` asks for another one on the far side.
    fn candidates(&self, side: Side, signalled: Option<IpAddr>) -> Vec<&Interface> {
        let same = signalled.map(family_of);
        let (name, family) = match &self.options.direction {
            Some((near, _)) if side == self.from => (Some(near.as_slice()), same),
            Some((_, far)) => (Some(far.as_slice()), self.options.address_family.or(same)),
            None if side == self.from => (None, same),
            None => (None, self.options.address_family.or(same)),
        };
        candidates(&self.config.interfaces, name, family)
    }

    /// Brings one stream to what its section says.
    fn settle(
        &self,
        section: &MediaSection,
        opened: Opened,
        slot: &mut Option<MediaStream>,
        blocks: [Blocks; 2],
        board: &mut Switchboard<'_>,
    ) -> Option<Placement> {
        if !carried(section) {
            if let Some(stream) = slot.take() {
                board.end(&stream);
            }
            return None;
        }
        let wary = self.anew && board.is_young();
        let left = adopt(section, opened, slot, wary, board);
        let stream = slot.as_mut()?;
        // A new offer may change it, for instance from plain RTP to DTLS-SRTP, or from audio to fax.
        let profile = self.profile(section, stream);
        stream.kind = word(&section.kind);
        if self.act == Act::Offer || profile.is_none() {
            stream.protocol = word(&section.protocol);
        }
        stream.blocks = blocks;
        let mux = self.listen(section, stream);
        board.lead(stream, &self.config.ours);
        board.install(stream);
        for end in &left {
            board.close(end);
        }
        Some(Placement { profile, ..self.placement(stream, mux) })
    }

    /// What the other party is shown in place of the section's profile: what the client asks for in an offer, and in an answer what
    /// was offered. `None` where it is the same, or the packets would have to be others.
    fn profile(&self, section: &MediaSection, stream: &MediaStream) -> Option<Profile> {
        let said = Profile::of_untrusted(&section.protocol)?;
        let shown = match self.act {
            Act::Offer => Profile::of_untrusted(self.options.transport_protocol.as_deref()?),
            Act::Answer => Profile::of_untrusted(stream.protocol.as_bytes()),
        };
        shown.filter(|shown| *shown != said && shown.stands_for(said))
    }

    /// Takes what the section says of its author. Gives whether the other party is shown multiplexing.
    fn listen(&self, section: &MediaSection, stream: &mut MediaStream) -> bool {
        // What has no reports shares no port with them.
        let wish = if section.rtp { self.options.rtcp_mux } else { RtcpMux::default() };
        let asks = section.rtp && section.rtcp_mux;
        let (mux, strict) = match self.act {
            Act::Offer => (stream.mux.offered(self.from, asks, wish), self.options.strict_source),
            Act::Answer => {
                let strict = self.options.strict_source || stream.parties[self.from.index()].strict_source;
                (stream.mux.answered(self.from, asks, wish), strict)
            }
        };
        for party in &mut stream.parties {
            party.strict_source = strict;
        }
        for rtpmap in self.description.rtpmaps(section) {
            stream.clocks.note(rtpmap.payload_type, rtpmap.hertz().unwrap_or_default());
            stream.events.note(rtpmap.payload_type, rtpmap.is_event());
        }
        let local = stream.ends[self.from.index()].ports.rtp;
        stream.parties[self.from.index()] = Party {
            rtp: self.reachable(section.rtp_address(), local),
            rtcp: self.reachable(section.rtcp_address(), local),
            held: section.held,
            strict_source: strict,
        };
        mux
    }

    /// A signalled address as it can be sent to. Behind a proxy that says so, the address the SIP message came
    /// from is believed instead of the one in the SDP.
    fn reachable(&self, signalled: Option<SocketAddr>, local: SocketAddr) -> Option<SocketAddr> {
        let mut address = signalled?;
        if let (false, Some(source)) = (self.options.trust_address, self.options.received_from) {
            address.set_ip(source);
        }
        let sendable = address.is_ipv4() == local.is_ipv4() && address.port() != 0;
        // A port of ours is reached here, not by way of the NAT in front of us.
        let address = self.config.ours.here(address).unwrap_or(address);
        Some(address).filter(|&address| sendable && is_one_host(address.ip()) && !self.is_control(address))
    }

    /// Whether requests are taken there: who chooses what media says must not be able to make one of it.
    fn is_control(&self, address: SocketAddr) -> bool {
        self.config.control.is_some_and(|control| {
            let anywhere = control.ip().is_unspecified();
            control.port() == address.port() && (anywhere || control.ip() == address.ip())
        })
    }

    fn placement(&self, stream: &MediaStream, mux: bool) -> Placement {
        let end = &stream.ends[self.from.other().index()];
        let alone = mux && (self.act == Act::Answer || self.options.rtcp_mux.require);
        Placement {
            address: self.options.media_address.unwrap_or(end.interface.advertised),
            rtp: end.ports.rtp.port(),
            rtcp: if alone { end.ports.rtp.port() } else { end.ports.rtcp.port() },
            rtcp_mux: mux,
            profile: None,
        }
    }
}

/// Whether media can be sent there: to one host, by its own address.
fn is_one_host(address: IpAddr) -> bool {
    let is_other = match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(address) => address.to_ipv4_mapped().is_some(),
    };
    !(is_other || address.is_unspecified() || address.is_multicast())
}

/// Whether a section is a stream that is to be forwarded.
fn carried(section: &MediaSection) -> bool {
    section.relayed && !section.disabled
}

/// Puts newly opened ends into the stream, which is made when there is none. Gives the ends that they replace.
fn adopt(
    section: &MediaSection,
    opened: Opened,
    slot: &mut Option<MediaStream>,
    wary: bool,
    board: &mut Switchboard<'_>,
) -> Vec<End> {
    match (slot, opened) {
        (Some(stream), opened) => {
            let replaced = stream.ends.iter_mut().zip(opened);
            replaced.filter_map(|(end, opened)| opened.map(|opened| std::mem::replace(end, opened))).collect()
        }
        (slot, [Some(a), Some(b)]) => {
            *slot = Some(MediaStream {
                id: board.name(),
                kind: word(&section.kind),
                protocol: word(&section.protocol),
                ends: [a, b],
                parties: [Party::default(); 2],
                mux: Mux::default(),
                clocks: Clocks::default(),
                events: Events::default(),
                blocks: <[Blocks; 2]>::default(),
                wary,
            });
            Vec::new()
        }
        // Both ends of a stream that does not exist are missing, so that both were opened.
        (_, opened) => opened.into_iter().flatten().collect(),
    }
}
