//! Whole sequences of requests to a media server, of packets to its ports, and of time: the bytes are a program.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use mediaha_media::testing::TableDatapath;
use mediaha_media::{Controller, ControllerConfig, StreamId, Written};
use mediaha_ng::bundle::{self, Bundle};
use mediaha_ng::{
    DATAGRAM_BYTES_MAX, Datagram, Dictionary, Encoding, Value, datagram_untrusted, reply_untrusted,
    request_untrusted,
};
use mediaha_time::{Duration, Time};

use crate::script::Script;

const STEPS_MAX: usize = 200;
const SESSIONS_MAX: usize = 4;
const COMMANDS: [&str; 14] = [
    "offer",
    "answer",
    "offer",
    "answer",
    "delete",
    "query",
    "adopt",
    "offer",
    "list",
    "ping",
    "statistics",
    "play",
    "block media",
    "unblock DTMF",
];
const CALLS: [&str; 5] = ["one", "two", "three", "four", "five"];
const TAGS: [&str; 4] = ["a", "b", "c", ""];
const SECTIONS: [&str; 13] = [
    "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
    "m=audio 4000 RTP/AVP 0\r\na=rtcp-mux\r\n",
    "m=audio 0 RTP/AVP 0\r\n",
    "m=audio 4002 RTP/AVP 8\r\na=sendonly\r\n",
    "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n",
    "m=video 5000 RTP/SAVPF 96\r\na=rtcp:5009\r\na=mid:v\r\n",
    "m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::7\r\n",
    "m=audio 4000 RTP/AVP 0\r\na=candidate:1 1 UDP 1 198.51.100.1 4000 typ host\r\na=ice-ufrag:x\r\n",
    "m=image 6000 udptl t38\r\n",
    "m=audio 4000/2 RTP/AVP 0\r\n",
    "m=message 7000 TCP/MSRP *\r\n",
    "m=audio 65535 RTP/AVP 0\r\n",
    "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=setup:actpass\r\na=rtcp-mux-only\r\n",
];
const OPTIONS: [(&str, &str); 20] = [
    ("flags", "strict-source"),
    ("flags", "media-handover trust-address"),
    ("flags", "port-latching asymmetric"),
    ("flags", "SIP-source-address full-rtcp-attribute"),
    ("replace", "origin session-connection"),
    ("direction", "pub priv"),
    ("direction", "priv nowhere"),
    ("received from", "IP4 203.0.113.9"),
    ("address family", "IP6"),
    ("rtcp-mux", "offer"),
    ("rtcp-mux", "require"),
    ("rtcp-mux", "demux reject"),
    ("ICE", "remove"),
    ("transport protocol", "RTP/SAVPF"),
    ("media address", "192.0.2.77"),
    ("supports", "load limit"),
    ("label", "somebody"),
    ("flags", "codec-strip-all codec-offer-PCMA codec-except-telephone-event"),
    ("replace", "zero-address"),
    ("rtpp-flags", "replace-origin direction=pub direction=priv all"),
];

/// A media server is driven through its two doors by a program of bytes. No request and no packet breaks it; each
/// request that has a cookie gets one legible answer under it, and the same one again when it comes again; the ports
/// that are open are those of the streams, within the limits; a name of a stream is used once; a successor knows the
/// same calls; and when nothing happens any more, nothing is left.
pub fn check_control(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut server = Server::new(script.byte());
    for _ in 0..STEPS_MAX {
        if script.is_over() {
            break;
        }
        server.step(&mut script);
        server.holds();
    }
    server.ends();
}

struct Server {
    controller: Controller,
    datapath: TableDatapath,
    now: Time,
    cookies: u32,
    /// What was asked, by whom, and the answer when it must be the same again.
    asked: Vec<(Vec<u8>, SocketAddr)>,
    here: BTreeSet<StreamId>,
    gone: BTreeSet<StreamId>,
    /// Each call as it was written down last.
    written: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Server {
    fn new(choice: u8) -> Self {
        // Few ports in some worlds, so that they run out.
        let last = if choice % 4 == 3 { 30_000 + u16::from(choice) / 8 } else { 30_399 };
        let mut controller = Controller::new(config());
        controller.note_changes();
        Self {
            controller,
            datapath: TableDatapath::new(30_000..=last),
            now: Time::from_millis(1_000),
            cookies: 0,
            asked: Vec::new(),
            here: BTreeSet::new(),
            gone: BTreeSet::new(),
            written: BTreeMap::new(),
        }
    }

    fn step(&mut self, script: &mut Script) {
        match script.byte() % 16 {
            0..=7 => {
                let datagram = self.request(script);
                self.ask(&script.spoil(datagram), client(0));
            }
            8 => self.ask_bundled(script),
            9 => self.ask_again(script),
            10..=12 => self.packet(script),
            13 => self.wait(script.pick(&[10, 900, 31_000, 61_000, 200_000, 4_000_000])),
            14 => self.succeed(),
            _ => match script.below(4) {
                0 => self.controller.drain(!self.controller.is_draining()),
                1 => self.datapath.pretend_busy(1_000),
                2 => self.datapath.pretend_busy(0),
                _ => self.look_around(),
            },
        }
    }

    // What clients do

    fn request(&mut self, script: &mut Script) -> Vec<u8> {
        self.cookies += 1;
        let mut body = Dictionary::new()
            .with("command", script.pick(&COMMANDS))
            .with("call-id", script.mostly(&CALLS))
            .with("from-tag", script.mostly(&TAGS));
        let to_tag = script.pick(&["b", "b", "b", "a", "c", ""]);
        if !to_tag.is_empty() {
            body.set("to-tag", to_tag);
        }
        if script.byte() > 200 {
            body.set("via-branch", script.pick(&["z1", "z2"]));
        }
        body.set("sdp", sdp(script));
        for _ in 0..script.byte().saturating_sub(180) % 4 {
            let (key, words) = script.pick(&OPTIONS);
            let words: Vec<Value> = words.split(' ').map(Value::from).collect();
            body.set(key, words);
        }
        match body.text("command") {
            Some(b"adopt") if script.byte() % 4 > 0 => body.set("answer sdp", sdp(script)),
            Some(b"delete") => body.set("delete delay", i64::from(script.byte() % 3)),
            Some(b"list") => body.set("limit", i64::from(script.byte()) - 2),
            _ => {}
        }
        let encoding = if script.byte() % 4 == 3 { Encoding::Json } else { Encoding::Bencode };
        Datagram { cookie: format!("c{}", self.cookies).into_bytes(), encoding, body }.to_bytes()
    }

    fn ask(&mut self, datagram: &[u8], client: SocketAddr) {
        let answer = self.controller.handle(datagram, client, &mut self.datapath, self.now);
        match datagram_untrusted(datagram) {
            Ok(asked) => self.answered(&asked, &answer.expect("what can be read is answered"), datagram, client),
            Err(error) => assert_eq!(answer.is_some(), error.reply().is_some()),
        }
        self.asked.push((datagram.to_vec(), client));
        self.write_down();
    }

    fn answered(&mut self, asked: &Datagram, answer: &[u8], datagram: &[u8], client: SocketAddr) {
        let reply = datagram_untrusted(answer).expect("our own answer is legible");
        assert_eq!((&reply.cookie, reply.encoding), (&asked.cookie, asked.encoding));
        if let Some(requests) = bundle::requests(&asked.body) {
            let replies = bundle::replies(&reply.body).expect("a bundle is answered by a bundle");
            assert!(replies.count() <= requests.count().min(bundle::BUNDLED_MAX));
            return;
        }
        assert!(reply_untrusted(&reply.body).is_ok());
        let changes = [&b"offer"[..], b"answer", b"adopt", b"delete", b"block media", b"unblock DTMF"];
        let command = asked.body.text("command").unwrap_or_default();
        if request_untrusted(&asked.body).is_ok() && changes.contains(&command) {
            let sessions = self.controller.sessions();
            let again = self.controller.handle(datagram, client, &mut self.datapath, self.now);
            assert_eq!(again.as_deref(), Some(answer), "a repetition gets the same answer");
            assert_eq!(self.controller.sessions(), sessions);
        }
    }

    fn ask_bundled(&mut self, script: &mut Script) {
        let mut bundle = Bundle::default();
        for _ in 0..=script.below(8) {
            let request = self.request(script);
            let _ = bundle.add(script.spoil(request), DATAGRAM_BYTES_MAX);
        }
        let datagram = script.spoil(bundle.into_requests(b"bundle"));
        self.ask(&datagram, client(1));
    }

    /// A datagram from before comes once more, as it was or not, from there or from elsewhere.
    fn ask_again(&mut self, script: &mut Script) {
        if self.asked.is_empty() {
            return;
        }
        let (datagram, client_before) = self.asked[script.below(self.asked.len())].clone();
        let from = if script.byte() % 4 == 3 { client(2) } else { client_before };
        self.ask(&script.spoil(datagram), from);
    }

    // What else happens

    fn packet(&mut self, script: &mut Script) {
        const RTP: [u8; 14] = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 5, b'h', b'i'];
        const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 5];
        let open: Vec<_> = self.datapath.open_ports().collect();
        if open.is_empty() {
            return;
        }
        let (pair, rtcp) = (script.pick(&open), script.byte() % 3 == 2);
        let bytes = if rtcp { RTCP.to_vec() } else { RTP.to_vec() };
        let (local, bytes) = (if rtcp { pair.rtcp } else { pair.rtp }, script.spoil(bytes));
        let port = script.mostly(&[4_000, 4_001, 4_002, 5_000, 9]);
        let source = SocketAddr::from(([198, 51, 100, script.pick(&[1, 2, 66])], port));
        let _ = self.datapath.packet(local, &bytes, source, self.now);
    }

    fn wait(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while let Some(at) = self.controller.wake_at().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.controller.tick(&mut self.datapath, self.now);
        }
        self.now = until;
        self.write_down();
    }

    /// The process is killed, and its successor goes on from what was written down.
    fn succeed(&mut self) {
        let before = self.calls();
        let written =
            Written { ledger: self.controller.written_ledger(), calls: self.written.values().cloned().collect() };
        let empty = TableDatapath::new(30_000..=30_001);
        let mut datapath = std::mem::replace(&mut self.datapath, empty).killed();
        self.controller =
            Controller::adopt(config(), &written, &mut datapath, self.now).expect("what we wrote ourselves");
        self.controller.note_changes();
        self.datapath = datapath;
        assert_eq!(self.calls(), before, "a successor knows the same calls");
        // Cookies are not written down, and an offer that is repeated to a successor is a new one to it.
        self.asked.clear();
    }

    fn look_around(&mut self) {
        self.controller.look(&self.datapath, self.now);
        let _ = self.controller.statistics(&self.datapath);
        for call in self.calls() {
            let body = Dictionary::new().with("command", "query").with("call-id", call);
            self.cookies += 1;
            let cookie = format!("q{}", self.cookies).into_bytes();
            self.ask(&Datagram { cookie, encoding: Encoding::Json, body }.to_bytes(), client(3));
        }
    }

    fn calls(&self) -> BTreeSet<Vec<u8>> {
        self.written.keys().cloned().collect()
    }

    fn write_down(&mut self) {
        for call_id in self.controller.take_changed() {
            match self.controller.written_call(&call_id) {
                Some(bytes) => drop(self.written.insert(call_id, bytes)),
                None => drop(self.written.remove(&call_id)),
            }
        }
    }

    // What must hold

    fn holds(&mut self) {
        assert!(self.controller.sessions() <= SESSIONS_MAX, "more calls than there may be");
        let plans = self.datapath.plans().count();
        assert_eq!(self.datapath.open_ports().count(), 2 * plans, "a port that no stream has");
        let now: BTreeSet<StreamId> = self.datapath.plans().map(|(id, _)| id).collect();
        self.gone.extend(self.here.difference(&now));
        assert!(self.gone.is_disjoint(&now), "a name of a stream is used twice");
        self.here = now;
        assert!(self.written.len() <= SESSIONS_MAX + 1, "a call is written down that is not there");
    }

    fn ends(&mut self) {
        while let Some(at) = self.controller.wake_at() {
            assert!(at < self.now + Duration::from_secs(100_000_000), "a call that never ends");
            self.now = self.now.max(at);
            self.controller.tick(&mut self.datapath, self.now);
        }
        self.write_down();
        assert_eq!(self.controller.sessions(), 0);
        assert!(self.datapath.is_empty(), "ports are left");
        assert!(self.written.is_empty(), "a call is written down that is gone");
    }
}

fn config() -> ControllerConfig {
    let interfaces = ["pub/10.0.0.1!203.0.113.1", "pub/2001:db8::1", "priv/192.168.0.1"];
    let interfaces = interfaces.map(|text| text.parse().expect("an interface")).to_vec();
    let mut config = ControllerConfig::new(interfaces, b"instance".to_vec());
    config.sessions_max = SESSIONS_MAX;
    config.dialogues_max = 3;
    config.streams_max = 4;
    config
}

fn client(number: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 2_000 + number))
}

fn sdp(script: &mut Script) -> Vec<u8> {
    let mut text = String::from("v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.");
    text.push_str(script.pick(&["1", "2", "1", "2", "66"]));
    text.push_str("\r\nt=0 0\r\n");
    for _ in 0..script.mostly(&[1, 2, 3, 5, 0]) {
        text.push_str(script.mostly(&SECTIONS));
    }
    script.spoil(text.into_bytes())
}
