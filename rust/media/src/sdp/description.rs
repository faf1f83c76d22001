//! A parsed SDP: all its lines, and per media section what a relay must know.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use super::attribute::Attribute;
use super::profile::Profile;
use super::{LINES_MAX, SDP_BYTES_MAX, SECTIONS_MAX, SdpError, line};
use crate::content::Content;

/// An SDP with its lines kept as they came, in order. Empty lines are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    text: Vec<u8>,
    /// Each line's place in `text`, without its ending.
    lines: Vec<Range<usize>>,
    /// `\r\n` or `\n`, whichever the first line has.
    ending: &'static str,
    media: Vec<MediaSection>,
}

/// One `m=` line and what follows it, as far as a relay is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "what an SDP says and leaves unsaid is independent of each other"
)]
pub struct MediaSection {
    /// `audio`, `video`, ...
    pub kind: Vec<u8>,
    /// Where its author wants to receive RTP; 0 when the stream is refused or ended.
    pub port: u16,
    /// Such as `RTP/AVP`.
    pub protocol: Vec<u8>,
    /// The formats; RTP payload types when the protocol is RTP.
    pub formats: Vec<Vec<u8>>,
    /// The section's own `c=` or else the session's; the unspecified address is an old way to say "on hold".
    pub address: Option<IpAddr>,
    /// `a=rtcp` (RFC 3605): port, and address if it says one.
    pub rtcp: Option<(Option<IpAddr>, u16)>,
    /// `a=rtcp-mux` (RFC 5761).
    pub rtcp_mux: bool,
    /// The direction, from its author's point of view; the unspecified address is accounted for.
    pub direction: Direction,
    /// Its author does not want to receive: `sendonly`, `inactive` or the unspecified address.
    pub held: bool,
    /// Port 0.
    pub disabled: bool,
    /// Whether a relay carries it: RTP and other datagrams. The rest passes through untouched.
    pub relayed: bool,
    /// Whether it is RTP, which has reports and payload types.
    pub rtp: bool,
    /// Formats that were taken out, of which nothing is to be said.
    pub(super) stripped: Vec<Vec<u8>>,
    /// Its lines, the `m=` line first.
    pub(super) lines: Range<usize>,
    /// Whether it has a `c=` line of its own.
    pub(super) own_address: bool,
}

/// Who sends, from the point of view of the SDP's author (RFC 8866 section 6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both.
    #[default]
    SendRecv,
    /// The author sends.
    SendOnly,
    /// The author receives.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// The name of the attribute.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The same, but that the author no longer receives.
    const fn without_receiving(self) -> Self {
        match self {
            Self::SendRecv | Self::SendOnly => Self::SendOnly,
            Self::RecvOnly | Self::Inactive => Self::Inactive,
        }
    }
}

impl MediaSection {
    /// Where its author wants RTP; `None` when disabled, on hold by the unspecified address, or without address.
    #[must_use]
    pub fn rtp_address(&self) -> Option<SocketAddr> {
        let address = self.address.filter(|address| !address.is_unspecified() && !self.disabled)?;
        Some(SocketAddr::new(address, self.port))
    }

    /// Where its author wants RTCP when it is not multiplexed: `a=rtcp`, or else the port after RTP's (RFC 3550
    /// section 11).
    #[must_use]
    pub fn rtcp_address(&self) -> Option<SocketAddr> {
        let rtp = self.rtp_address()?;
        match self.rtcp {
            Some((address, port)) => Some(SocketAddr::new(address.unwrap_or(rtp.ip()), port)),
            None => rtp.port().checked_add(1).map(|port| SocketAddr::new(rtp.ip(), port)),
        }
    }
}

/// Parses an SDP.
///
/// # Errors
///
/// The SDP cannot be used by a relay; see [`SdpError`].
pub fn description_untrusted(bytes: &[u8]) -> Result<Description, SdpError> {
    let lines = lines_untrusted(bytes)?;
    let starts: Vec<usize> =
        (0..lines.len()).filter(|index| bytes[lines[*index].clone()].starts_with(b"m=")).collect();
    let first = *starts.first().ok_or(SdpError::NoMedia)?;
    if starts.len() > SECTIONS_MAX {
        return Err(SdpError::TooLarge);
    }
    let mut session = Context::default();
    session.read(lines[..first].iter().map(|line| &bytes[line.clone()]));
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    let sections = starts.iter().copied().zip(ends);
    let media = sections
        .map(|(start, end)| section_untrusted(bytes, &lines, start..end, &session))
        .collect::<Result<_, _>>()?;
    let ending = if bytes[lines[0].end..].starts_with(b"\n") { "\n" } else { "\r\n" };
    Ok(Description { text: bytes.to_vec(), lines, ending, media })
}

impl Description {
    /// Whether every stream of RTP could be shown to the other party under this profile.
    #[must_use]
    pub fn can_be_shown_as(&self, profile: Profile) -> bool {
        let carried = self.media().iter().filter(|section| section.rtp && !section.disabled);
        carried.filter_map(|section| Profile::of_untrusted(&section.protocol)).all(|said| profile.stands_for(said))
    }

    /// The media sections in order.
    #[must_use]
    pub fn media(&self) -> &[MediaSection] {
        &self.media
    }

    /// Gives a section these formats; what is said of the others is left out.
    pub(super) fn keep(&mut self, index: usize, formats: Vec<Vec<u8>>, stripped: Vec<Vec<u8>>) {
        if let Some(section) = self.media.get_mut(index) {
            (section.formats, section.stripped) = (formats, stripped);
        }
    }

    /// What ends a line here.
    pub(super) fn ending(&self) -> &'static str {
        self.ending
    }

    /// The lines before the first `m=`.
    pub(super) fn session_lines(&self) -> impl Iterator<Item = &[u8]> {
        let end = self.media.first().map_or(self.lines.len(), |section| section.lines.start);
        self.lines[..end].iter().map(|line| &self.text[line.clone()])
    }

    /// The lines of one section, the `m=` line first.
    pub(super) fn section_lines(&self, section: &MediaSection) -> impl Iterator<Item = &[u8]> {
        self.lines[section.lines.clone()].iter().map(|line| &self.text[line.clone()])
    }
}

/// The places of the lines that are not empty, each of the form `<letter>=<value>`, the first `v=0`.
fn lines_untrusted(bytes: &[u8]) -> Result<Vec<Range<usize>>, SdpError> {
    if bytes.len() > SDP_BYTES_MAX {
        return Err(SdpError::TooLarge);
    }
    let mut lines = Vec::with_capacity(32);
    let mut start = 0;
    for piece in bytes.split(|byte| *byte == b'\n') {
        let text = piece.strip_suffix(b"\r").unwrap_or(piece);
        if !text.is_empty() {
            check_line(text, lines.is_empty())?;
            lines.push(start..start + text.len());
        }
        start += piece.len() + 1;
    }
    match lines.len() {
        0 => Err(SdpError::NotSdp),
        1..=LINES_MAX => Ok(lines),
        _ => Err(SdpError::TooLarge),
    }
}

fn check_line(text: &[u8], first: bool) -> Result<(), SdpError> {
    let well_formed = text.len() >= 2 && text[0].is_ascii_lowercase() && text[1] == b'=';
    let origin_complete = !text.starts_with(b"o=") || line::origin_without_address(&text[2..]).is_some();
    // A carriage return alone would end a line for some readers and not for others: what is relayed here could
    // mean something else there.
    if !well_formed || !origin_complete || text.contains(&b'\r') || (first && text != b"v=0") {
        return Err(SdpError::NotSdp);
    }
    Ok(())
}

/// What a section inherits from the session, and then says itself.
#[derive(Default)]
struct Context<'a> {
    connection: Option<&'a [u8]>,
    direction: Option<Direction>,
    rtcp: Option<(Option<IpAddr>, u16)>,
    rtcp_mux: bool,
}

impl<'a> Context<'a> {
    /// Of what is said twice the first counts, as in rtpengine.
    fn read(&mut self, lines: impl Iterator<Item = &'a [u8]>) {
        for text in lines {
            if let Some(connection) = text.strip_prefix(b"c=") {
                self.connection = self.connection.or(Some(connection));
            }
            match Attribute::of(text) {
                Some(Attribute::Direction(direction)) => self.direction = self.direction.or(Some(direction)),
                Some(Attribute::Rtcp(value)) => self.rtcp = self.rtcp.or_else(|| line::rtcp_untrusted(value)),
                Some(Attribute::RtcpMux) => self.rtcp_mux = true,
                _ => {}
            }
        }
    }
}

fn section_untrusted(
    bytes: &[u8],
    lines: &[Range<usize>],
    range: Range<usize>,
    session: &Context<'_>,
) -> Result<MediaSection, SdpError> {
    let mut own = Context::default();
    own.read(lines[range.clone()].iter().map(|line| &bytes[line.clone()]));
    let media = line::media_untrusted(&bytes[lines[range.start].clone()][2..])?;
    let connection = own.connection.or(session.connection);
    let address = connection.and_then(line::connection_untrusted);
    let (disabled, content) = (media.port == 0, Content::over_untrusted(media.protocol));
    let relayed = content.is_some();
    if relayed && !disabled && address.is_none() {
        return Err(if connection.is_none() { SdpError::NoAddress } else { SdpError::BadAddress });
    }
    let mut direction = own.direction.or(session.direction).unwrap_or_default();
    if address.is_some_and(|address| address.is_unspecified()) {
        direction = direction.without_receiving();
    }
    Ok(MediaSection {
        kind: media.kind.to_vec(),
        port: media.port,
        protocol: media.protocol.to_vec(),
        formats: media.formats,
        address,
        rtcp: own.rtcp,
        rtcp_mux: own.rtcp_mux,
        direction,
        held: matches!(direction, Direction::SendOnly | Direction::Inactive),
        disabled,
        relayed,
        rtp: content.is_some_and(Content::is_rtp),
        stripped: Vec::new(),
        lines: range,
        own_address: own.connection.is_some(),
    })
}
