//! One media server, and what its clients and the parties of its calls can do to it.

use std::fmt::Write;
use std::net::SocketAddr;

use mediaha_media::sdp::{MediaSection, description_untrusted};
use mediaha_media::testing::TableDatapath;
use mediaha_media::{Controller, ControllerConfig, Verdict};
use mediaha_ng::{Datagram, Delete, Media, Options, Query, Reply, Request, datagram_untrusted, reply_untrusted};
use mediaha_time::{Duration, Time};

/// The caller's address in its SDP.
pub(crate) const CALLER: &str = "198.51.100.1:4000";
/// The callee's.
pub(crate) const CALLEE: &str = "198.51.100.2:5000";
/// Somebody else's.
pub(crate) const STRANGER: &str = "203.0.113.66:666";

/// A G.711 packet of two samples.
pub(crate) const RTP: [u8; 14] = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 5, b'h', b'i'];
/// An empty receiver report.
pub(crate) const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 5];

pub(crate) struct World {
    pub(crate) controller: Controller,
    pub(crate) datapath: TableDatapath,
    pub(crate) now: Time,
    pub(crate) cookies: u64,
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(30_000..=30_999, |_| {})
    }

    pub(crate) fn with(ports: std::ops::RangeInclusive<u16>, change: impl FnOnce(&mut ControllerConfig)) -> Self {
        let interfaces = ["pub/10.0.0.1!203.0.113.1", "pub/2001:db8::1", "priv/192.168.0.1"];
        let interfaces = interfaces.map(|text| text.parse().unwrap()).to_vec();
        let mut config = ControllerConfig::new(interfaces, b"instance".to_vec());
        change(&mut config);
        Self {
            datapath: TableDatapath::new(ports).beside(&config.ours),
            controller: Controller::new(config),
            now: Time::from_millis(1_000),
            cookies: 0,
        }
    }

    pub(crate) fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }

    /// Asks under a fresh cookie.
    pub(crate) fn ask(&mut self, request: &Request) -> Reply {
        self.cookies += 1;
        self.ask_as(&format!("c{}", self.cookies), request)
    }

    pub(crate) fn ask_as(&mut self, cookie: &str, request: &Request) -> Reply {
        let datagram = Datagram::asking(cookie.as_bytes().to_vec(), request).to_bytes();
        let reply = self.controller.handle(&datagram, at("127.0.0.1:2222"), &mut self.datapath, self.now).unwrap();
        let reply = datagram_untrusted(&reply).unwrap();
        assert_eq!(reply.cookie, cookie.as_bytes());
        reply_untrusted(&reply.body).unwrap()
    }

    pub(crate) fn offer(&mut self, from: &str, to: Option<&str>, sdp: &str) -> Sdp {
        self.ask(&Request::Offer(media(from, to, sdp))).into()
    }

    pub(crate) fn answer(&mut self, from: &str, to: &str, sdp: &str) -> Sdp {
        self.ask(&Request::Answer(media(from, Some(to), sdp))).into()
    }

    pub(crate) fn delete(&mut self) -> Reply {
        self.ask(&Request::Delete(Delete { call_id: b"call".to_vec(), ..Delete::default() }))
    }

    pub(crate) fn query(&mut self) -> Reply {
        self.ask(&Request::Query(Query { call_id: b"call".to_vec(), ..Query::default() }))
    }

    /// A usual call: what the callee was offered, and what the caller was answered.
    pub(crate) fn call(&mut self) -> (Sdp, Sdp) {
        let offered = self.offer("a", None, &sdp(CALLER));
        let answered = self.answer("a", "b", &sdp(CALLEE));
        (offered, answered)
    }

    /// A party at `source` sends RTP to where an SDP told it to; gives where that arrives.
    pub(crate) fn speak(&mut self, source: &str, told: &Sdp) -> Option<SocketAddr> {
        self.send(&RTP, source, told.rtp(0))
    }

    /// Gives where a packet sent to an advertised address arrives; `None` when it is dropped.
    pub(crate) fn send(&mut self, bytes: &[u8], source: &str, advertised: SocketAddr) -> Option<SocketAddr> {
        self.forwarded(bytes, at(source), advertised).map(|(_, to)| to)
    }

    /// The same, and from where it goes there.
    pub(crate) fn forwarded(
        &mut self,
        bytes: &[u8],
        source: SocketAddr,
        advertised: SocketAddr,
    ) -> Option<(SocketAddr, SocketAddr)> {
        match self.datapath.packet(behind_nat(advertised), bytes, source, self.now)? {
            Verdict::Forward { from, to, .. } => Some((from, to)),
            Verdict::Drop(_) => None,
        }
    }

    pub(crate) fn tick(&mut self) -> Vec<mediaha_media::Expired> {
        self.controller.tick(&mut self.datapath, self.now)
    }
}

/// What the NAT in front of `pub` does.
fn behind_nat(advertised: SocketAddr) -> SocketAddr {
    if advertised.ip().to_string() == "203.0.113.1" {
        SocketAddr::new([10, 0, 0, 1].into(), advertised.port())
    } else {
        advertised
    }
}

pub(crate) fn media(from: &str, to: Option<&str>, sdp: &str) -> Media {
    Media {
        call_id: b"call".to_vec(),
        from_tag: from.as_bytes().to_vec(),
        to_tag: to.map(|to| to.as_bytes().to_vec()),
        via_branch: None,
        sdp: sdp.as_bytes().to_vec(),
        options: Options::default(),
    }
}

/// An SDP with one audio stream.
pub(crate) fn sdp(address: &str) -> String {
    sdp_with(address, &[""])
}

/// An SDP with one audio stream for each piece of attributes; the ports are two apart. The attribute `off` makes a
/// stream disabled.
pub(crate) fn sdp_with(address: &str, streams: &[&str]) -> String {
    let address = at(address);
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let mut text =
        format!("v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n", ip = address.ip());
    for (attributes, port) in streams.iter().zip((address.port()..).step_by(2)) {
        let port = if *attributes == "off" { 0 } else { port };
        write!(text, "m=audio {port} RTP/AVP 0\r\n").unwrap();
        for attribute in attributes.split_whitespace().filter(|attribute| *attribute != "off") {
            write!(text, "a={attribute}\r\n").unwrap();
        }
    }
    text
}

/// The SDP in a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sdp(pub(crate) Vec<u8>);

impl From<Reply> for Sdp {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Sdp(sdp) => Self(sdp),
            other => panic!("no SDP but {other:?}"),
        }
    }
}

impl Sdp {
    pub(crate) fn section(&self, index: usize) -> MediaSection {
        description_untrusted(&self.0).unwrap().media()[index].clone()
    }

    pub(crate) fn rtp(&self, index: usize) -> SocketAddr {
        self.section(index).rtp_address().unwrap()
    }

    pub(crate) fn rtcp(&self, index: usize) -> SocketAddr {
        self.section(index).rtcp_address().unwrap()
    }
}
