//! The same SDP with the relay in the place of its author.

use std::borrow::Cow;
use std::net::IpAddr;

use super::attribute::{Attribute, PayloadAttribute};
use super::description::{Description, MediaSection};
use super::line;
use super::payload::static_encoding;
use super::profile::Profile;

/// Where the relay wants to receive one stream: what it advertises, not what it has bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The advertised address.
    pub address: IpAddr,
    /// The port for RTP.
    pub rtp: u16,
    /// The port for RTCP; the same as `rtp` when nothing but multiplexing is possible.
    pub rtcp: u16,
    /// Whether `a=rtcp-mux` is written.
    pub rtcp_mux: bool,
    /// What the `m=` line calls its transport protocol, if not what its author did.
    pub profile: Option<Profile>,
}

/// What is rewritten besides ports and the addresses of streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "clients wish for each by itself")]
pub struct RewriteOptions {
    /// The address in `o=`.
    pub replace_origin: bool,
    /// The session's `c=`, even where no stream depends on it.
    pub replace_session_connection: bool,
    /// The unspecified address, too, by which a party is on hold.
    pub replace_zero_address: bool,
    /// What is written for `a=rtcp`.
    pub rtcp_attribute: RtcpAttribute,
    /// `a=sendrecv` and its like stay where they were, and only there.
    pub original_direction: bool,
    /// The address for lines that belong to no stream, when no stream is placed from which to take it.
    pub address: Option<IpAddr>,
}

/// The form of `a=rtcp` (RFC 3605).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RtcpAttribute {
    /// `a=rtcp:30001`
    #[default]
    Port,
    /// `a=rtcp:30001 IN IP4 192.0.2.1`
    Full,
    /// None.
    Absent,
}

/// Writes the SDP anew. `placements` are those of [`Description::media`], in order; a relayed stream without one is
/// refused (port 0), for passing it through would lead the media past the relay.
#[must_use]
pub fn rewrite(description: &Description, placements: &[Option<Placement>], options: &RewriteOptions) -> Vec<u8> {
    let sections = description.media().iter().enumerate();
    let sections: Vec<_> = sections
        .map(|(index, section)| {
            let placement = placements.get(index).copied().flatten();
            (section, placement.filter(|_| section.relayed && !section.disabled))
        })
        .collect();
    let rewriter = Rewriter::new(description, &sections, options);
    let mut lines = rewriter.session();
    for (section, placement) in sections {
        match placement {
            Some(placement) => lines.extend(rewriter.placed(section, placement)),
            None if section.relayed => lines.extend(rewriter.refused(section)),
            None => lines.extend(rewriter.untouched(section)),
        }
    }
    let mut text = Vec::with_capacity(1024);
    for line in lines {
        text.extend_from_slice(&line);
        text.extend_from_slice(description.ending().as_bytes());
    }
    text
}

/// A line without its ending: most stay as they were.
type Line<'a> = Cow<'a, [u8]>;

struct Rewriter<'a> {
    description: &'a Description,
    options: &'a RewriteOptions,
    /// The address for lines that belong to no placed stream.
    address: Option<IpAddr>,
    /// The session's `c=` line, if it has one: as it was, and as it will be.
    connection: Option<(&'a [u8], Line<'a>)>,
}

impl<'a> Rewriter<'a> {
    fn new(
        description: &'a Description,
        sections: &[(&MediaSection, Option<Placement>)],
        options: &'a RewriteOptions,
    ) -> Self {
        let placed =
            || sections.iter().filter_map(|(section, placement)| Some((section, placement.as_ref()?.address)));
        let address = placed().next().map(|(_, address)| address).or(options.address);
        let dependent = placed().find(|(section, _)| !section.own_address).map(|(_, address)| address);
        let ended = sections.iter().any(|(section, _)| section.relayed && !section.own_address);
        let wanted = dependent.or(address.filter(|_| ended || options.replace_session_connection));
        let old = description.session_lines().find(|line| line.starts_with(b"c="));
        let connection = old.map(|old| (old, replaced_connection(old, wanted, options.replace_zero_address)));
        Self { description, options, address, connection }
    }

    fn session(&self) -> Vec<Line<'_>> {
        let lines = self.description.session_lines();
        let kept = |line: &&[u8]| !is_dropped_from_session(line) || self.is_kept_direction(line);
        lines.filter(kept).map(|line| self.session_line(line)).collect()
    }

    fn session_line(&self, text: &'a [u8]) -> Line<'_> {
        match (&text[..2], &self.connection, self.address) {
            (b"c=", Some((_, new)), _) => Cow::Borrowed(new),
            (b"o=", _, Some(address)) if self.options.replace_origin => replaced_origin(text, address).into(),
            _ => text.into(),
        }
    }

    /// A stream that goes through the relay.
    fn placed(&self, section: &'a MediaSection, placement: Placement) -> Vec<Line<'a>> {
        let mut lines = self.kept_lines(section, placement.rtp, Some(placement.address), placement.profile);
        if !section.own_address {
            let needed = Line::from(connection_line(placement.address));
            // Hold by the unspecified address stays in the session's line and needs no other.
            let held = !self.options.replace_zero_address
                && section.address.is_some_and(|address| address.is_unspecified());
            if !held && self.connection.as_ref().is_none_or(|(_, new)| *new != needed) {
                lines.push(needed);
            }
        }
        if !self.options.original_direction {
            lines.push([b"a=", section.direction.text().as_bytes()].concat().into());
        }
        if section.rtp {
            lines.extend(missing_rtpmaps(&lines, section).into_iter().map(Line::from));
            lines.extend(rtcp_attribute(placement, self.options.rtcp_attribute).map(Line::from));
            lines.extend(placement.rtcp_mux.then(|| Line::from(b"a=rtcp-mux".as_slice())));
        }
        in_order(lines, section)
    }

    /// A stream that is refused or has ended; what concerns its media is left out.
    fn refused(&self, section: &'a MediaSection) -> Vec<Line<'a>> {
        let mut lines = self.kept_lines(section, 0, self.address, None);
        lines.retain(|line| !matches!(Attribute::of(line), Some(Attribute::Payload(..) | Attribute::Ptime)));
        in_order(lines, section)
    }

    /// A stream that is none of the relay's business. If it depended on the session's `c=`, it gets it as its own.
    fn untouched(&self, section: &'a MediaSection) -> Vec<Line<'a>> {
        let mut lines: Vec<_> = self.description.section_lines(section).map(Line::from).collect();
        let depends = !section.own_address && !section.disabled;
        if let Some((old, _)) = self.connection.as_ref().filter(|(old, new)| depends && **old != **new) {
            let place = lines.iter().take_while(|line| matches!(line[0], b'm' | b'i')).count();
            lines.insert(place, Cow::Borrowed(*old));
        }
        lines
    }

    fn is_kept_direction(&self, line: &[u8]) -> bool {
        self.options.original_direction && matches!(Attribute::of(line), Some(Attribute::Direction(_)))
    }

    /// The section's lines with port and address replaced, without those that are written anew or not at all.
    fn kept_lines(
        &self,
        section: &'a MediaSection,
        port: u16,
        address: Option<IpAddr>,
        profile: Option<Profile>,
    ) -> Vec<Line<'a>> {
        let kept = |line: &&[u8]| !is_dropped_from_section(line, section) || self.is_kept_direction(line);
        let lines = self.description.section_lines(section).filter(kept);
        lines
            .map(|line| match &line[..2] {
                b"m=" => media_line(section, port, profile).into(),
                b"c=" => replaced_connection(line, address, self.options.replace_zero_address),
                _ => line.into(),
            })
            .collect()
    }
}

/// `m=`, `i=`, `c=` and whatever else is no attribute first (RFC 8866 section 5), then the attributes.
fn in_order<'a>(mut lines: Vec<Line<'a>>, section: &MediaSection) -> Vec<Line<'a>> {
    lines.sort_by_cached_key(|line| match Attribute::of(line) {
        Some(attribute) => (4, attribute.rank(&section.formats)),
        None => (b"mic".iter().position(|letter| *letter == line[0]).unwrap_or(3), (0, 0, 0)),
    });
    lines
}

fn is_dropped_from_session(text: &[u8]) -> bool {
    matches!(Attribute::of(text), Some(Attribute::Direction(_) | Attribute::Elsewhere | Attribute::Bundle))
}

fn is_dropped_from_section(text: &[u8], section: &MediaSection) -> bool {
    let attribute = Attribute::of(text);
    let written_anew =
        matches!(attribute, Some(Attribute::Direction(_) | Attribute::Rtcp(_) | Attribute::RtcpMux));
    let stripped = matches!(attribute, Some(Attribute::Payload(_, payload)) if section.stripped.iter().any(|it| it == payload));
    written_anew || stripped || matches!(attribute, Some(Attribute::Elsewhere))
}

fn media_line(section: &MediaSection, port: u16, profile: Option<Profile>) -> Vec<u8> {
    let mut text = [b"m=", section.kind.as_slice(), b" ", port.to_string().as_bytes(), b" "].concat();
    text.extend_from_slice(profile.map_or(&section.protocol, |profile| profile.name().as_bytes()));
    for format in &section.formats {
        text.push(b' ');
        text.extend_from_slice(format);
    }
    text
}

fn connection_line(address: IpAddr) -> Vec<u8> {
    [b"c=IN ", line::family_and_address(address).as_bytes()].concat()
}

/// The `c=` line with `address` in it; as it was without one, or when it says "on hold" by the unspecified address, unless
/// that is replaced as well.
fn replaced_connection(text: &[u8], address: Option<IpAddr>, zero: bool) -> Line<'_> {
    let held = !zero && line::connection_untrusted(&text[2..]).is_some_and(|address| address.is_unspecified());
    address.filter(|_| !held).map_or(text.into(), |address| connection_line(address).into())
}

fn replaced_origin(text: &[u8], address: IpAddr) -> Vec<u8> {
    let kept = line::origin_without_address(&text[2..]).unwrap_or_default();
    [b"o=", kept, b" ", line::family_and_address(address).as_bytes()].concat()
}

/// `a=rtpmap` for the static payload types whose author left it out.
fn missing_rtpmaps(lines: &[Line<'_>], section: &MediaSection) -> Vec<Vec<u8>> {
    let mapped: Vec<&[u8]> = lines
        .iter()
        .filter_map(|line| match Attribute::of(line) {
            Some(Attribute::Payload(PayloadAttribute::Rtpmap, payload)) => Some(payload),
            _ => None,
        })
        .collect();
    let missing = section.formats.iter().filter(|format| !mapped.contains(&format.as_slice()));
    missing
        .filter_map(|format| {
            Some([b"a=rtpmap:", format.as_slice(), b" ", static_encoding(format)?.as_bytes()].concat())
        })
        .collect()
}

fn rtcp_attribute(placement: Placement, form: RtcpAttribute) -> Option<Vec<u8>> {
    let port = placement.rtcp;
    match form {
        RtcpAttribute::Port => Some(format!("a=rtcp:{port}").into_bytes()),
        RtcpAttribute::Full => {
            let address = line::family_and_address(placement.address);
            Some(format!("a=rtcp:{port} IN {address}").into_bytes())
        }
        RtcpAttribute::Absent => None,
    }
}
