//! What an offer or an answer asks for besides its SDP: the keys, the `flags` list and the `replace` list.

use std::net::IpAddr;

use crate::codecs::Codecs;
use crate::value::{Dictionary, Value};
use crate::{fields, unknown};

/// The options of an offer or an answer. [`Options::default`] is what a request without options means.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the protocol has independent flags; each is one bool")]
pub struct Options {
    /// `replace: origin`: the address in `o=` becomes the media server's.
    pub replace_origin: bool,
    /// `replace: session-connection`: the session level `c=` becomes the media server's.
    pub replace_session_connection: bool,
    /// `replace: zero-address`: an address that says "on hold" is replaced like any other.
    pub replace_zero_address: bool,
    /// `strict source`: packets from elsewhere than the endpoint's address are dropped.
    pub strict_source: bool,
    /// `media handover`: a change of the source address during the call is followed.
    pub media_handover: bool,
    /// `asymmetric`: the endpoint does not send from the port it receives on; no latching.
    pub asymmetric: bool,
    /// `port latching`: keep the server's ports even when the endpoint has moved.
    pub port_latching: bool,
    /// True unless `SIP source address` is given: addresses in the SDP are believed.
    pub trust_address: bool,
    /// `no rtcp attribute`: write no `a=rtcp`.
    pub no_rtcp_attribute: bool,
    /// `full rtcp attribute`: write the address in `a=rtcp` too.
    pub full_rtcp_attribute: bool,
    /// `original sendrecv`: who may send stays written as it was, or not written.
    pub original_sendrecv: bool,
    /// `supports: load limit`: a refusal for load may come as `result: load limit`.
    pub supports_load_limit: bool,
    /// `rtcp-mux`: what is wished for the side the SDP goes to.
    pub rtcp_mux: RtcpMux,
    /// `address family`: the side the SDP goes to speaks this one.
    pub address_family: Option<AddressFamily>,
    /// `direction`: the names of the interfaces towards this SDP's sender and towards its receiver.
    pub direction: Option<(Vec<u8>, Vec<u8>)>,
    /// `received from`: where the SIP message came from.
    pub received_from: Option<IpAddr>,
    /// `media address`: written into the SDP instead of the interface's advertised address.
    pub media_address: Option<IpAddr>,
    /// `transport protocol`, such as `RTP/AVP`: what the side the SDP goes to is to be offered.
    pub transport_protocol: Option<Vec<u8>>,
    /// `ICE`, such as `remove` or `force`, verbatim.
    pub ice: Option<Vec<u8>>,
    /// `label`: what the client calls the party that sent the SDP.
    pub label: Option<Vec<u8>>,
    /// `codec`: what of the offer's codecs the other party is not shown.
    pub codecs: Codecs,
    /// Flags that this crate has no name for, verbatim and bounded; kept so that a log can name them.
    pub unknown_flags: Vec<Vec<u8>>,
    /// The same of keys.
    pub unknown_keys: Vec<Vec<u8>>,
}

/// The `rtcp-mux` list (RFC 5761 as rtpengine lets it be steered).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the protocol has independent flags; each is one bool")]
pub struct RtcpMux {
    /// Offer multiplexing to the receiver of the SDP, whether or not its sender did.
    pub offer: bool,
    /// Offer it, and do without a port for RTCP.
    pub require: bool,
    /// Take it from the sender, and do not offer it to the receiver.
    pub demux: bool,
    /// In an answer: accept towards the offerer what it had offered.
    pub accept: bool,
    /// In an answer: refuse it.
    pub reject: bool,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFamily {
    /// `IP4`
    V4,
    /// `IP6`
    V6,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            replace_origin: false,
            replace_session_connection: false,
            replace_zero_address: false,
            strict_source: false,
            media_handover: false,
            asymmetric: false,
            port_latching: false,
            trust_address: true,
            no_rtcp_attribute: false,
            full_rtcp_attribute: false,
            original_sendrecv: false,
            supports_load_limit: false,
            rtcp_mux: RtcpMux::default(),
            address_family: None,
            direction: None,
            received_from: None,
            media_address: None,
            transport_protocol: None,
            ice: None,
            label: None,
            codecs: Codecs::default(),
            unknown_flags: Vec::new(),
            unknown_keys: Vec::new(),
        }
    }
}

impl Options {
    /// Reads the options of an offer or answer. What is misspelt or unknown is passed over, as rtpengine does.
    pub(crate) fn from_dictionary(dictionary: &Dictionary) -> Self {
        let (codecs, unknown_keys) = (Codecs::from_dictionary(dictionary), unknown::keys(dictionary));
        let mut options = Self { codecs, unknown_keys, ..Self::default() };
        for flag in fields::words(dictionary, "flags") {
            options.raise(flag);
        }
        for what in fields::words(dictionary, "replace") {
            options.replace(what);
        }
        for wish in fields::words(dictionary, "rtcp-mux") {
            options.rtcp_mux.wish(wish);
        }
        for ability in fields::words(dictionary, "supports") {
            options.supports_load_limit |= fields::same_word(ability, "load limit");
        }
        options.address_family = fields::text(dictionary, "address family").and_then(AddressFamily::from_text);
        options.direction = direction(dictionary);
        options.received_from = received_from(dictionary);
        options.media_address = fields::text(dictionary, "media address").and_then(ip_address);
        options.transport_protocol = fields::text(dictionary, "transport protocol").map(<[u8]>::to_vec);
        options.ice = fields::text(dictionary, "ICE").map(<[u8]>::to_vec);
        options.label = fields::text(dictionary, "label").map(<[u8]>::to_vec);
        options
    }

    /// Sets the flag that `word` names.
    fn raise(&mut self, word: &[u8]) {
        match fields::normal(word).as_slice() {
            b"strict source" => self.strict_source = true,
            b"media handover" => self.media_handover = true,
            b"asymmetric" => self.asymmetric = true,
            b"symmetric" => self.asymmetric = false,
            b"port latching" => self.port_latching = true,
            b"trust address" => self.trust_address = true,
            b"sip source address" => self.trust_address = false,
            b"no rtcp attribute" => self.no_rtcp_attribute = true,
            b"full rtcp attribute" => self.full_rtcp_attribute = true,
            b"original sendrecv" => self.original_sendrecv = true,
            normal => match (normal.strip_prefix(b"replace "), normal.strip_prefix(b"rtcp mux ")) {
                (Some(what), _) if self.replace(what) => {}
                (_, Some(wish)) => self.rtcp_mux.wish(wish),
                _ if self.codecs.flag(word) => {}
                _ if self.unknown_flags.len() < UNKNOWN_FLAGS_MAX => self.unknown_flags.push(word.to_vec()),
                _ => {}
            },
        }
    }

    /// Asks for the replacement that `word` names; false when there is none of that name.
    fn replace(&mut self, word: &[u8]) -> bool {
        match fields::normal(word).as_slice() {
            b"origin" => self.replace_origin = true,
            b"session connection" => self.replace_session_connection = true,
            b"zero address" => self.replace_zero_address = true,
            _ => return false,
        }
        true
    }

    /// Writes the options into a request; only what differs from the default.
    pub(crate) fn write_to(&self, dictionary: &mut Dictionary) {
        let mut flags = self.flags();
        flags.extend(self.unknown_flags.iter().cloned().map(Value::Text));
        fields::set_list(dictionary, "flags", flags);
        let replace = [
            ("origin", self.replace_origin),
            ("session-connection", self.replace_session_connection),
            ("zero-address", self.replace_zero_address),
        ];
        fields::set_list(dictionary, "replace", chosen(&replace));
        fields::set_list(dictionary, "rtcp-mux", self.rtcp_mux.wishes());
        fields::set_list(dictionary, "supports", chosen(&[("load limit", self.supports_load_limit)]));
        if let Some(family) = self.address_family {
            dictionary.set("address family", family.text());
        }
        if let Some((from, to)) = &self.direction {
            dictionary.set("direction", vec![Value::from(from.clone()), Value::from(to.clone())]);
        }
        if let Some(address) = self.received_from {
            let family = AddressFamily::of(address).text();
            dictionary.set("received-from", vec![Value::from(family), Value::from(address.to_string())]);
        }
        if let Some(address) = self.media_address {
            dictionary.set("media address", address.to_string());
        }
        if let Some(protocol) = &self.transport_protocol {
            dictionary.set("transport protocol", protocol.clone());
        }
        if let Some(ice) = &self.ice {
            dictionary.set("ICE", ice.clone());
        }
        if let Some(label) = &self.label {
            dictionary.set("label", label.clone());
        }
        self.codecs.write_to(dictionary);
        unknown::write(&self.unknown_keys, dictionary);
    }

    fn flags(&self) -> Vec<Value> {
        chosen(&[
            ("strict source", self.strict_source),
            ("media handover", self.media_handover),
            ("asymmetric", self.asymmetric),
            ("port latching", self.port_latching),
            ("SIP source address", !self.trust_address),
            ("no rtcp attribute", self.no_rtcp_attribute),
            ("full rtcp attribute", self.full_rtcp_attribute),
            ("original sendrecv", self.original_sendrecv),
        ])
    }
}

impl RtcpMux {
    fn wish(&mut self, word: &[u8]) {
        match fields::normal(word).as_slice() {
            b"offer" => self.offer = true,
            b"require" => self.require = true,
            b"demux" => self.demux = true,
            b"accept" => self.accept = true,
            b"reject" => self.reject = true,
            _ => {}
        }
    }

    fn wishes(self) -> Vec<Value> {
        chosen(&[
            ("offer", self.offer),
            ("require", self.require),
            ("demux", self.demux),
            ("accept", self.accept),
            ("reject", self.reject),
        ])
    }
}

impl AddressFamily {
    /// The family of `address`.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// `IP4` or `IP6`, as SDP and the protocol write it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::V4 => "IP4",
            Self::V6 => "IP6",
        }
    }

    /// `IP4` or `IP6` in any case; anything else is no family.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        [Self::V4, Self::V6].into_iter().find(|family| text.eq_ignore_ascii_case(family.text().as_bytes()))
    }
}

/// How many unknown flags are kept; the rest is passed over.
const UNKNOWN_FLAGS_MAX: usize = 32;

fn chosen(words: &[(&str, bool)]) -> Vec<Value> {
    words.iter().filter(|(_, chosen)| *chosen).map(|(word, _)| Value::from(*word)).collect()
}

/// The two interface names; fewer than two name nothing.
fn direction(dictionary: &Dictionary) -> Option<(Vec<u8>, Vec<u8>)> {
    match fields::words(dictionary, "direction").collect::<Vec<_>>().as_slice() {
        [from, to, ..] => Some((from.to_vec(), to.to_vec())),
        _ => None,
    }
}

/// `received from` is a list of family and address; the old form, the address alone, is read too.
fn received_from(dictionary: &Dictionary) -> Option<IpAddr> {
    fields::words(dictionary, "received from").find_map(ip_address)
}

fn ip_address(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
