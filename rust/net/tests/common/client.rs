//! An `ng` client, and the SDP of the parties it speaks for.

use std::net::{SocketAddr, UdpSocket};

use mediaha_ng::{Datagram, Dictionary, Encoding, Value, datagram_untrusted};

use super::{PATIENCE, Party};

/// Asks one media server.
pub struct Client {
    pub socket: UdpSocket,
    asked: u32,
}

impl Client {
    pub fn of(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((server.ip(), 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, asked: 0 }
    }

    /// Sends a command with a fresh cookie; returns the dictionary that comes back.
    pub fn ask(&mut self, command: &str, fields: &[(&str, &str)]) -> Dictionary {
        self.asked += 1;
        let cookie = format!("cookie-{}", self.asked);
        let reply = self.exchange(&request(&cookie, command, fields));
        let reply = datagram_untrusted(&reply).unwrap();
        assert_eq!(reply.cookie, cookie.as_bytes());
        reply.body
    }

    /// Sends a datagram; returns the one that comes back.
    pub fn exchange(&self, datagram: &[u8]) -> Vec<u8> {
        self.socket.send(datagram).unwrap();
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer).expect("a reply comes");
        buffer[..length].to_vec()
    }

    /// Offers and answers a call between two parties; returns the ports that they are told to send to.
    pub fn call(&mut self, call_id: &str, parties: [&Party; 2], attributes: &str) -> [SocketAddr; 2] {
        let [offer, answer] = parties.map(|party| sdp(party.address(), attributes));
        let tags = [("call-id", call_id), ("from-tag", "a")];
        let for_b = self.ask("offer", &[&tags[..], &[("sdp", &offer)]].concat());
        let for_a = self.ask("answer", &[&tags[..], &[("to-tag", "b"), ("sdp", &answer)]].concat());
        [address_in(&for_a), address_in(&for_b)]
    }
}

/// One datagram with a command.
pub fn request(cookie: &str, command: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Dictionary::default();
    for (key, value) in [("command", command)].iter().chain(fields) {
        body.set(key.as_bytes().to_vec(), Value::Text(value.as_bytes().to_vec()));
    }
    Datagram { cookie: cookie.as_bytes().to_vec(), encoding: Encoding::Bencode, body }.to_bytes()
}

/// The text under `key`.
pub fn text(reply: &Dictionary, key: &str) -> String {
    match reply.get(key.as_bytes()) {
        Some(Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("no text under {key} but {other:?} in {reply:?}"),
    }
}

/// A session description of one audio stream at `address`.
pub fn sdp(address: SocketAddr, attributes: &str) -> String {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let (ip, port) = (address.ip(), address.port());
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n{attributes}a=sendrecv\r\n"
    )
}

/// Where the SDP in `reply` says that RTP is wanted.
pub fn address_in(reply: &Dictionary) -> SocketAddr {
    assert_eq!(text(reply, "result"), "ok", "{reply:?}");
    let sdp = text(reply, "sdp");
    let after = |prefix: &str| {
        let line =
            sdp.lines().find(|line| line.starts_with(prefix)).unwrap_or_else(|| panic!("{prefix} in {sdp}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let (connection, media) = (after("c=IN"), after("m=audio"));
    SocketAddr::new(connection[2].parse().unwrap(), media[1].parse().unwrap())
}
