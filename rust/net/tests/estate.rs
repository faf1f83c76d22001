//! A media-server process is killed, and another one goes on with what it has left. Real processes, and real kills.
//!
//! A process is this test program again, told by its environment to be a media server; its line is its standard input.

mod common;

use std::fs::OpenOptions;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use common::client::{Client, text};
use common::{Party, eventually, ports, rtp};
use mediaha_net::estate::{Keeper, Line, LineId, News};
use mediaha_net::{DatapathChoice, MediaServer, MediaServerConfig};
use mediaha_ng::{Dictionary, Value};

const WORDS: &str = "MEDIAHA_TEST_WORDS";
const HERE: &str = "127.0.0.1";
/// Of the packets of `rtp`.
const PTIME: Duration = Duration::from_millis(20);

/// Not a story: what a child does that is started by one.
#[test]
fn child() {
    let Ok(first) = std::env::var(WORDS) else { return };
    let mut line = Line::inherited(0).unwrap();
    if first == "spare" {
        line.ready().unwrap();
    }
    // The story may end before it needs a spare.
    let Ok(words) = line.assignment().map(<[u8]>::to_vec) else { return };
    let words = String::from_utf8(words).unwrap();
    let server = MediaServer::start_on(config(&words), Some(line)).unwrap();
    while !server.is_handed_over() {
        for record in server.records().take() {
            eprintln!("[{}] {} {}", std::process::id(), record.event, record.fields_json());
        }
        thread::sleep(Duration::from_millis(1));
    }
    std::process::exit(0);
}

/// `ng port, first port, last port, datapath`.
fn config(words: &str) -> MediaServerConfig {
    let [ng, first, last, datapath] = words.split(' ').collect::<Vec<_>>()[..] else { panic!("{words}") };
    let here: IpAddr = HERE.parse().unwrap();
    let listen_ng = SocketAddr::new(here, ng.parse().unwrap());
    let ports = first.parse().unwrap()..=last.parse().unwrap();
    MediaServerConfig {
        name: "media".to_owned(),
        workers: 2,
        datapath: datapath.parse().unwrap(),
        ..MediaServerConfig::new(listen_ng, vec![HERE.parse().unwrap()], ports)
    }
}

/// A keeper, a server that works, and a spare that waits.
struct House {
    keeper: Keeper,
    words: String,
    server: Process,
    spare: Process,
    ng: SocketAddr,
}

struct Process {
    child: Child,
    line: LineId,
}

impl Process {
    /// Stops it; once this returns, none of its threads does anything any more.
    fn stop(&self) {
        self.signal("STOP");
        // One thread takes the signal, whenever that may be, and only then stops the others.
        let threads = format!("/proc/{}/task", self.child.id());
        eventually("all its threads stand still", || {
            std::fs::read_dir(&threads).unwrap().all(|thread| {
                let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap_or_default();
                stat.rsplit(") ").next().is_some_and(|after_name| after_name.starts_with('T'))
            })
        });
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl House {
    fn new(datapath: DatapathChoice) -> Self {
        let free = UdpSocket::bind((HERE, 0)).unwrap();
        let (ng, range) = (free.local_addr().unwrap(), ports(64));
        drop(free);
        let datapath = match datapath {
            DatapathChoice::Kernel => "kernel",
            DatapathChoice::Steered => "steered",
            DatapathChoice::Sockets | DatapathChoice::Auto => "sockets",
        };
        let words = format!("{} {} {} {datapath}", ng.port(), range.start(), range.end());
        let keeper = Keeper::start().unwrap();
        let server = process(&keeper, Some(&words));
        let spare = process(&keeper, None);
        let house = Self { keeper, words, server, spare, ng };
        house.ready(house.spare.line);
        house.answers();
        house
    }

    fn client(&self) -> Client {
        Client::of(self.ng)
    }

    fn answers(&self) {
        eventually("the server answers", || {
            let socket = UdpSocket::bind((HERE, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            socket.send_to(b"1 d7:command4:pinge", self.ng).is_ok() && socket.recv(&mut [0; 512]).is_ok()
        });
    }

    /// Waits for the news, and forgets those that come before.
    fn hears(&self, what: impl Fn(&News) -> bool) -> News {
        let mut found = None;
        eventually("the keeper has news", || {
            found = self.keeper.news().into_iter().find(&what);
            found.is_some()
        });
        found.unwrap()
    }

    fn ready(&self, spare: LineId) {
        self.hears(|news| *news == News::Ready { line: spare });
    }

    /// The server is killed; the spare goes on, and a new one waits. Waits for nothing but that.
    fn kill(&mut self) {
        self.server.child.kill().unwrap();
        self.succeed();
    }

    fn succeed(&mut self) {
        let line = self.spare.line;
        self.hears(|news| matches!(news, News::Given { line: given, .. } if *given == line));
        let spare = process(&self.keeper, None);
        let former = std::mem::replace(&mut self.server, std::mem::replace(&mut self.spare, spare));
        drop(former);
        self.ready(self.spare.line);
    }

    /// Changes some bytes of the table under the server.
    fn damage(&self, at: u64, bytes: &[u8]) {
        let folder = format!("/proc/{}/fd", self.server.child.id());
        let memory = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find(|path| {
            std::fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("memfd:mediaha-estate"))
        });
        let file = OpenOptions::new().write(true).open(memory.expect("the table is a descriptor")).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }
}

fn process(keeper: &Keeper, words: Option<&str>) -> Process {
    let (line, end) = keeper.line(words.map(|words| ("media", words.as_bytes()))).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(WORDS, words.unwrap_or("spare"))
        .stdin(Stdio::from(end))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Process { child, line }
}

fn instance(client: &mut Client) -> String {
    text(&client.ask("ping", &[]), "instance")
}

/// The number at the end of a path of keys; lists are searched for their first item.
fn number(value: &Dictionary, path: &[&str]) -> i64 {
    let (key, rest) = path.split_first().unwrap();
    match value.get(key.as_bytes()) {
        Some(Value::Integer(number)) if rest.is_empty() => *number,
        Some(Value::Dictionary(inner)) => number(inner, rest),
        Some(Value::List(items)) => match items.first() {
            Some(Value::Dictionary(inner)) => number(inner, rest),
            other => panic!("{key}: {other:?}"),
        },
        other => panic!("{key}: {other:?}"),
    }
}

fn packets(client: &mut Client, call_id: &str) -> i64 {
    number(&client.ask("query", &[("call-id", call_id)]), &["totals", "RTP", "packets"])
}

fn each(story: impl Fn(DatapathChoice)) {
    story(DatapathChoice::Sockets);
    for datapath in [DatapathChoice::Steered, DatapathChoice::Kernel] {
        if can_be_had(datapath) {
            story(datapath);
        }
    }
}

fn can_be_had(datapath: DatapathChoice) -> bool {
    let here = vec![HERE.parse().unwrap()];
    let config = MediaServerConfig::new(SocketAddr::new(HERE.parse().unwrap(), 0), here, ports(4));
    match MediaServer::start(MediaServerConfig { datapath, ..config }) {
        Ok(_) => true,
        Err(error) => {
            println!("skipped: {error}");
            false
        }
    }
}

#[test]
fn a_call_goes_on_in_the_next_process_and_what_is_sent_meanwhile_arrives() {
    each(|datapath| {
        let mut house = House::new(datapath);
        let mut client = house.client();
        let born = instance(&mut client);
        let [a, b] = [(); 2].map(|()| Party::at(HERE.parse().unwrap()));
        let [for_a, for_b] = client.call("call", [&a, &b], "");
        a.send(&rtp(1), for_a);
        b.send(&rtp(1), for_b);
        assert_eq!((a.hear().0, b.hear().0), (rtp(1), rtp(1)));
        let before = packets(&mut client, "call");
        house.server.child.kill().unwrap();
        house.server.child.wait().unwrap();
        // Nobody may be there to hear it yet.
        a.send(&rtp(2), for_a);
        house.succeed();
        assert_eq!(b.hear(), (rtp(2), for_b), "it waited in the socket");
        b.send(&rtp(2), for_b);
        assert_eq!(a.hear(), (rtp(2), for_a));
        assert_eq!(instance(&mut client), born);
        assert_eq!(packets(&mut client, "call"), before + 2);
        // Again, at once; and then an end in order.
        house.kill();
        a.send(&rtp(3), for_a);
        assert_eq!(b.hear().0, rtp(3));
        client.ask("delete", &[("call-id", "call")]);
        client.call("another", [&a, &b], "");
    });
}

#[test]
fn packets_that_wait_for_the_next_process_have_no_jitter_of_that() {
    each(|datapath| {
        let mut house = House::new(datapath);
        let mut client = house.client();
        let [a, b] = [(); 2].map(|()| Party::at(HERE.parse().unwrap()));
        let [for_a, _] = client.call("call", [&a, &b], "");
        // Before and after each was sent: in between, the kernel saw it.
        let mut sent: Vec<[Instant; 2]> = Vec::new();
        let mut talk = |sequences: std::ops::Range<u16>| {
            for sequence in sequences {
                let before = Instant::now();
                a.send(&rtp(sequence), for_a);
                sent.push([before, Instant::now()]);
                thread::sleep(PTIME);
            }
        };
        talk(0..5);
        house.server.stop();
        talk(5..20);
        house.kill();
        talk(20..21);
        eventually("all is forwarded", || packets(&mut client, "call") == 21);
        let reply = client.ask("query", &[("call-id", "call")]);
        let reported_us = number(&reply, &["tags", "a", "medias", "streams", "jitter us"]);
        // RFC 3550 A.8, of how this thread has slept. Read all at once, fifteen packets would have 12 ms.
        let slept_us = sent.windows(2).fold(0, |jitter, pair| {
            let late = (pair[1][0] - pair[0][0]).abs_diff(PTIME).as_micros().cast_signed();
            jitter + (late - jitter) / 16
        });
        // A thread that was interrupted while it sent does not know better; each time counts for two packets, by a sixteenth.
        let unsure_us: i128 =
            sent.iter().map(|[before, after]| (*after - *before).as_micros().cast_signed() / 8).sum();
        let wrong_us = (i128::from(reported_us) - slept_us).abs();
        assert!(wrong_us < 4_000 + unsure_us, "{datapath:?}: {reported_us}, {slept_us} and {unsure_us} µs");
    });
}

#[test]
fn what_found_no_room_while_nobody_read_is_counted_by_the_successor() {
    each(|datapath| {
        let mut house = House::new(datapath);
        let mut client = house.client();
        let [a, b] = [(); 2].map(|()| Party::at(HERE.parse().unwrap()));
        let [for_a, _] = client.call("call", [&a, &b], "");
        a.send(&rtp(1), for_a);
        assert_eq!(b.hear().0, rtp(1));
        let mut sent = 1;
        for life in 1..=2 {
            house.server.stop();
            (0..8_000).for_each(|_| a.send(&rtp(2), for_a));
            sent += 8_000;
            house.kill();
            let [mut forwarded, mut dropped] = [0, 0];
            eventually("each packet is counted, and once", || {
                let call = client.ask("query", &[("call-id", "call")]);
                [forwarded, dropped] = ["packets", "errors"].map(|what| number(&call, &["totals", "RTP", what]));
                forwarded + dropped >= sent
            });
            assert_eq!(forwarded + dropped, sent, "in life {life}");
            // The kernel forwards without anybody.
            assert!(dropped > 0 || datapath == DatapathChoice::Kernel, "the queue of {datapath:?} has no end");
        }
    });
}

#[test]
fn who_was_a_stranger_is_one_to_the_successor_however_many_come_while_the_process_is_killed() {
    each(|datapath| {
        let mut house = House::new(datapath);
        let mut client = house.client();
        let [a, b, stranger] = [(); 3].map(|()| Party::at(HERE.parse().unwrap()));
        let [for_a, for_b] = client.call("call", [&a, &b], "");
        a.send(&rtp(1), for_a);
        b.hear();
        // The window closes, and the socket is connected where there is one.
        thread::sleep(Duration::from_millis(3_700));
        let (over, sender) = (AtomicBool::new(false), a.0.try_clone().unwrap());
        let (mut heard, mut came) = (0, 0);
        thread::scope(|scope| {
            // Ten times as much as the call itself, to either port, while its process is killed.
            let flood = || {
                while !over.load(Relaxed) {
                    stranger.send(&rtp(7), for_a);
                    stranger.send(&rtp(7), SocketAddr::new(for_a.ip(), for_a.port() + 1));
                    thread::sleep(Duration::from_micros(100));
                }
            };
            scope.spawn(flood);
            let talk = scope.spawn(move || {
                for sequence in 2..202 {
                    sender.send_to(&rtp(sequence), for_a).unwrap();
                    thread::sleep(Duration::from_millis(3));
                }
            });
            house.kill();
            talk.join().unwrap();
            over.store(true, Relaxed);
        });
        while !b.hears_nothing() {
            let (packet, from) = b.hear();
            let number = u16::from_be_bytes([packet[2], packet[3]]);
            assert!(from == for_b && number > heard && packet == rtp(number), "a stranger, or out of order");
            (heard, came) = (number, came + 1);
        }
        assert!(came >= 198, "{came} of 200 came");
        // With sockets it is counted once its doorstep is there.
        eventually("the stranger is counted", || {
            stranger.send(&rtp(8), for_a);
            let reply = client.ask("query", &[("call-id", "call")]);
            number(&reply, &["tags", "a", "medias", "streams", "dropped", "stranger"]) > 0
        });
        assert!(b.hears_nothing());
        a.send(&rtp(202), for_a);
        assert_eq!(b.hear().0, rtp(202));
    });
}

#[test]
fn handing_over_loses_nothing() {
    each(|datapath| {
        let mut house = House::new(datapath);
        let mut client = house.client();
        let [a, b] = [(); 2].map(|()| Party::at(HERE.parse().unwrap()));
        let [for_a, _] = client.call("call", [&a, &b], "");
        let sender = a.0.try_clone().unwrap();
        let talk = thread::spawn(move || {
            for sequence in 0..500 {
                sender.send_to(&rtp(sequence), for_a).unwrap();
                thread::sleep(Duration::from_millis(2));
            }
        });
        assert_eq!(b.hear().0, rtp(0));
        house.keeper.hand_over("media");
        house.succeed();
        for sequence in 1..500 {
            assert_eq!(b.hear().0, rtp(sequence), "none is lost, none overtakes another");
        }
        talk.join().unwrap();
        assert_eq!(packets(&mut client, "call"), 500);
    });
}

#[test]
fn what_the_kernel_forwards_needs_no_process_and_is_the_next_ones() {
    if !can_be_had(DatapathChoice::Kernel) {
        return;
    }
    let mut house = House::new(DatapathChoice::Kernel);
    let mut client = house.client();
    let [a, b] = [(); 2].map(|()| Party::at(HERE.parse().unwrap()));
    let [for_a, for_b] = client.call("call", [&a, &b], "");
    let talk = |sequences: std::ops::Range<u16>| {
        for sequence in sequences {
            a.send(&rtp(sequence), for_a);
            b.send(&rtp(sequence), for_b);
            assert_eq!((b.hear(), a.hear()), ((rtp(sequence), for_b), (rtp(sequence), for_a)));
        }
    };
    talk(1..2);
    // Once the parties are certain, and it has seen some packets of both, the process need not run.
    let mut next = 2;
    eventually("the kernel forwards both ways", || {
        house.server.stop();
        a.send(&rtp(next), for_a);
        b.send(&rtp(next), for_b);
        thread::sleep(Duration::from_millis(50));
        let needs_nobody = !a.hears_nothing() && !b.hears_nothing();
        house.server.signal("CONT");
        assert_eq!((b.hear().0, a.hear().0), (rtp(next), rtp(next)));
        next += 1;
        needs_nobody
    });
    let end = next + 300;
    // Nobody who could forward is left: the spare dies, too.
    house.spare.child.kill().unwrap();
    house.spare.child.wait().unwrap();
    house.server.child.kill().unwrap();
    house.server.child.wait().unwrap();
    talk(next..end - 10);
    house.spare = process(&house.keeper, None);
    house.succeed();
    talk(end - 10..end);
    // The whole account is the next process's.
    assert_eq!(packets(&mut client, "call"), 2 * i64::from(end - 1));
    let reply = client.ask("query", &[("call-id", "call")]);
    let stream = |name| number(&reply, &["tags", "a", "medias", "streams", name]);
    assert_eq!((stream("lost"), stream("SSRC")), (0, 0x1234_5678));
    // An end that it is told of is one.
    client.ask("delete", &[("call-id", "call"), ("delete delay", "0")]);
    eventually("nothing is forwarded any more", || {
        a.send(&rtp(999), for_a);
        thread::sleep(Duration::from_millis(5));
        let forwarded = !b.hears_nothing();
        if forwarded {
            b.hear();
        }
        !forwarded
    });
}

#[test]
fn a_damaged_table_is_refused_and_clients_see_that_the_memory_is_gone() {
    each(|datapath| {
        // The layout in the header, a checksum, the first block of a record.
        for at in [8, 64, 512 + 40] {
            let mut house = House::new(datapath);
            let mut client = house.client();
            let born = instance(&mut client);
            let [a, b] = [(); 2].map(|()| Party::at(HERE.parse().unwrap()));
            let [for_a, _] = client.call("call", [&a, &b], "");
            // Every other block may be free, and what is in it of no account.
            house.damage(at, &[0xa5; 3]);
            house.damage(at.max(512) + 512, &[0xa5; 3]);
            house.kill();
            assert_ne!(instance(&mut client), born);
            a.send(&rtp(1), for_a);
            let reply = client.ask("query", &[("call-id", "call")]);
            assert_eq!(text(&reply, "result"), "error");
            assert!(b.hears_nothing());
            // And it is as good as any server that has just started.
            let [for_a, _] = client.call("call", [&a, &b], "");
            a.send(&rtp(2), for_a);
            assert_eq!(b.hear().0, rtp(2));
        }
    });
}

#[test]
fn whoever_dies_too_often_leaves_nothing() {
    let mut house = House::new(DatapathChoice::Sockets);
    for _ in 0..4 {
        house.kill();
    }
    house.server.child.kill().unwrap();
    let news = house.hears(|news| matches!(news, News::Lost { .. } | News::Given { .. }));
    assert_eq!(news, News::Lost { server: "media".to_owned(), why: "it has died too often" });
    let words = house.words.clone();
    house.server = process(&house.keeper, Some(&words));
    house.answers();
}
