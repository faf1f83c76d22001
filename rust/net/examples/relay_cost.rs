//! What a relay pays per packet: `relay_cost NG_ADDRESS PID CALLS [WINDOWS]`.
//!
//! Sets up calls on any server that speaks `ng`, sends G.711 both ways (100 packets a second and call), checks the content
//! and order of what arrives, and prints for each window of five seconds the CPU time that the threads of process PID took
//! per packet, the packets lost, and the delay. Pin it and the server to different cores: `taskset -c 1 relay_cost ...`.

use std::error::Error;
use std::fs;
use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::time::Duration;

use mediaha_net::sys::udp::{Options, UdpSocket};
use mediaha_net::sys::{Epoll, Events, Trigger, monotonic, precise_timers, raise_open_files};
use mediaha_ng::{Dictionary, Value};
use mediaha_time::Time;

const PACKET_TIME: Duration = Duration::from_millis(20);
const WARM_UP: Duration = Duration::from_secs(5);
const WINDOW: Duration = Duration::from_secs(5);
/// RTP header, then when it was sent, then who sent it, then filler.
const PACKET_BYTES: usize = 172;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [ng, pid, calls, rest @ ..] = arguments.as_slice() else {
        return Err("relay_cost NG_ADDRESS PID CALLS [WINDOWS]".into());
    };
    let windows: usize = rest.first().map_or(Ok(3), |text| text.parse())?;
    raise_open_files(65_536)?;
    precise_timers()?;
    let began = monotonic();
    let mut load = Load::new(ng.parse()?, calls.parse()?)?;
    println!("{calls} calls set up one after another in {} ms", monotonic().since(began).as_millis());
    load.run(WARM_UP)?;
    for _ in 0..windows {
        load.window = Window::default();
        let before = cpu_time(pid)?;
        load.run(WINDOW)?;
        let spent = cpu_time(pid)?.saturating_sub(before);
        load.window.print(spent);
    }
    Ok(())
}

/// CPU time of all threads of a process so far.
fn cpu_time(pid: &str) -> Result<Duration, Box<dyn Error>> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let line = fs::read_to_string(task?.path().join("schedstat"))?;
        total += line.split(' ').next().unwrap_or("0").parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}

/// Parties `2n` and `2n + 1` talk to each other.
struct Load {
    parties: Vec<Party>,
    epoll: Epoll,
    events: Events,
    /// The next party to send.
    turn: usize,
    round: Time,
    window: Window,
}

struct Party {
    socket: UdpSocket,
    sequence: u16,
    expected: u16,
}

#[derive(Default)]
struct Window {
    sent: u64,
    received: u64,
    wrong: u64,
    delays_us: Vec<u32>,
}

impl Load {
    fn new(ng: SocketAddr, calls: usize) -> Result<Self, Box<dyn Error>> {
        let control = StdSocket::bind("127.0.0.1:0")?;
        control.connect(ng)?;
        control.set_read_timeout(Some(Duration::from_secs(2)))?;
        let epoll = Epoll::new()?;
        let mut parties = Vec::new();
        for call in 0..calls {
            let sockets = [bind()?, bind()?];
            let relays = set_up(&control, call, &sockets)?;
            for (socket, relay) in sockets.into_iter().zip(relays) {
                socket.connect(relay)?;
                epoll.add(&socket, parties.len() as u64, Trigger::Level)?;
                parties.push(Party { socket, sequence: 0, expected: 0 });
            }
        }
        Ok(Self {
            parties,
            epoll,
            events: Events::new(256),
            turn: 0,
            round: monotonic(),
            window: Window::default(),
        })
    }

    fn run(&mut self, span: Duration) -> Result<(), Box<dyn Error>> {
        let end = monotonic() + span;
        loop {
            let now = monotonic();
            if now >= end {
                return Ok(());
            }
            let due = self.send_due(now)?;
            self.epoll.wait(&mut self.events, Some(due.since(monotonic())))?;
            self.receive();
        }
    }

    /// Sends what is due; returns when the next packet is.
    fn send_due(&mut self, now: Time) -> Result<Time, Box<dyn Error>> {
        let spacing = PACKET_TIME / u32::try_from(self.parties.len())?;
        loop {
            let due = self.round + spacing * u32::try_from(self.turn)?;
            if due > now {
                return Ok(due);
            }
            let party = &mut self.parties[self.turn];
            party.sequence = party.sequence.wrapping_add(1);
            let _ = party.socket.send(&packet(self.turn, party.sequence, now));
            self.window.sent += 1;
            self.turn += 1;
            if self.turn == self.parties.len() {
                self.turn = 0;
                self.round = self.round + PACKET_TIME;
            }
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; 2048];
        for ready in self.events.iter() {
            let number = usize::try_from(ready.token).unwrap_or(0);
            let party = &mut self.parties[number];
            if let Ok(length) = party.socket.receive(&mut buffer) {
                self.window.check(party, number, &buffer[..length.min(buffer.len())]);
            }
        }
    }
}

impl Window {
    fn check(&mut self, party: &mut Party, number: usize, bytes: &[u8]) {
        let sequence = u16::from_be_bytes([bytes[2], bytes[3]]);
        let sent_at = Time::from_nanos(u64::from_be_bytes(bytes[12..20].try_into().unwrap_or_default()));
        self.received += 1;
        // Whole packet: from the right party, as it was sent, and none before it still to come.
        if bytes != packet(number ^ 1, sequence, sent_at) || sequence.wrapping_sub(party.expected) > 1000 {
            self.wrong += 1;
        }
        party.expected = sequence.wrapping_add(1);
        let delay = monotonic().since(sent_at).as_micros();
        self.delays_us.push(u32::try_from(delay).unwrap_or(u32::MAX));
    }

    fn print(&mut self, spent: Duration) {
        self.delays_us.sort_unstable();
        let percentile = |part: usize| self.delays_us.get(self.delays_us.len() * part / 100).copied().unwrap_or(0);
        println!(
            "{:.2} us/packet  cpu {:.1} %  sent {}  received {}  wrong {}  delay p50 {} us  p99 {} us",
            spent.as_secs_f64() * 1e6 / self.received.max(1) as f64,
            spent.as_secs_f64() * 100.0 / WINDOW.as_secs_f64(),
            self.sent,
            self.received,
            self.wrong,
            percentile(50),
            percentile(99),
        );
    }
}

fn bind() -> std::io::Result<UdpSocket> {
    UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &Options::default())
}

fn packet(party: usize, sequence: u16, sent_at: Time) -> [u8; PACKET_BYTES] {
    let mut bytes = [0x55 ^ u8::try_from(party & 0xff).unwrap_or(0); PACKET_BYTES];
    bytes[..2].copy_from_slice(&[0x80, 0]);
    bytes[2..4].copy_from_slice(&sequence.to_be_bytes());
    bytes[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    bytes[8..12].copy_from_slice(&u32::try_from(party).unwrap_or(0).to_be_bytes());
    bytes[12..20].copy_from_slice(&sent_at.as_nanos().to_be_bytes());
    bytes
}

/// Offers and answers one call; returns where each party is to send.
fn set_up(control: &StdSocket, call: usize, sockets: &[UdpSocket; 2]) -> Result<[SocketAddr; 2], Box<dyn Error>> {
    let call_id = format!("cost-{}-{call}", std::process::id());
    let offer = ask(control, "offer", &call_id, sockets[0].local_address()?.port())?;
    let answer = ask(control, "answer", &call_id, sockets[1].local_address()?.port())?;
    Ok([answer, offer])
}

/// Sends a request; returns the address in the SDP that comes back.
fn ask(control: &StdSocket, command: &str, call_id: &str, port: u16) -> Result<SocketAddr, Box<dyn Error>> {
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
         a=sendrecv\r\n"
    );
    let mut body = Dictionary::default();
    for (key, value) in [("command", command), ("call-id", call_id), ("from-tag", "a"), ("sdp", &sdp)] {
        body.set(key.as_bytes().to_vec(), Value::Text(value.as_bytes().to_vec()));
    }
    if command == "answer" {
        body.set(b"to-tag".to_vec(), Value::Text(b"b".to_vec()));
    }
    let cookie = format!("{call_id}-{command}").into_bytes();
    let request = mediaha_ng::Datagram { cookie, encoding: mediaha_ng::Encoding::Bencode, body };
    control.send(&request.to_bytes())?;
    let mut buffer = [0; 4096];
    let length = control.recv(&mut buffer)?;
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    let port = text.split("m=audio ").nth(1).and_then(|rest| rest.split(' ').next()).ok_or(text.clone())?;
    Ok(format!("127.0.0.1:{port}").parse()?)
}
