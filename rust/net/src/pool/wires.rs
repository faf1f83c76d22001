//! One connected UDP socket for each media server, so that the kernel tells whose port is unreachable.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mediaha_failover::{ServerId, ServerView};
use mediaha_ng::bundle::Bundle;

use crate::sys::udp::{Options, ReceiveBatch, SendBatch, UdpSocket};
use crate::sys::{Epoll, Trigger};

/// Hundreds of replies arrive at once while a dead server's calls are moved.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
const BATCH_DATAGRAMS: usize = 64;
/// Nearly all requests are shorter; a longer one is sent by itself.
const BATCH_BYTES: usize = 4096;
/// How long a bundle of requests may get: some six packets on an Ethernet, of which the loss of one loses all.
const BUNDLE_BYTES_MAX: usize = 8_192;
/// Nobody looks at it: each request in a bundle has its own.
const BUNDLE_COOKIE: &[u8] = b"mh-bundle";
/// No more are read from one server in one round, so that time and the other servers get their turn.
const RECEIVED_PER_ROUND_MAX: usize = 64 * BATCH_DATAGRAMS;
/// How often a send is tried again after an ICMP error, each of which costs one call.
const REFUSALS_PER_SEND_MAX: usize = 3;

/// The sockets.
pub(super) struct Wires {
    by_server: HashMap<ServerId, Wire>,
    incoming: ReceiveBatch,
    outgoing: SendBatch,
    dropped: u64,
}

/// What came from a server.
pub(super) enum Signal<'a> {
    /// A datagram, whole.
    Datagram(&'a [u8]),
    /// Nobody listens there.
    Unreachable,
}

struct Wire {
    address: SocketAddr,
    /// `None` while there is no way to the address.
    socket: Option<UdpSocket>,
    to_send: Vec<Vec<u8>>,
    /// What goes there together.
    bundle: Bundle,
}

impl Wires {
    pub(super) fn new() -> Self {
        Self {
            by_server: HashMap::new(),
            incoming: ReceiveBatch::new(BATCH_DATAGRAMS, mediaha_ng::DATAGRAM_BYTES_MAX),
            outgoing: SendBatch::new(BATCH_DATAGRAMS, BATCH_BYTES),
            dropped: 0,
        }
    }

    /// Has a wire for each of `servers` and for nobody else.
    pub(super) fn connect(&mut self, servers: &[ServerView], epoll: &Epoll) {
        self.by_server
            .retain(|id, wire| servers.iter().any(|server| server.id == *id && server.address == wire.address));
        for server in servers {
            let wire =
                || Wire { address: server.address, socket: None, to_send: Vec::new(), bundle: Bundle::default() };
            self.by_server.entry(server.id).or_insert_with(wire).open(server.id, epoll);
        }
    }

    /// Puts a datagram to the others that go to the server at the next `flush`.
    pub(super) fn push(&mut self, server: ServerId, datagram: Vec<u8>) {
        match self.by_server.get_mut(&server) {
            Some(wire) => wire.to_send.push(datagram),
            None => self.dropped += 1,
        }
    }

    /// The same for a request that may travel with others.
    pub(super) fn bundle(&mut self, server: ServerId, datagram: Vec<u8>) {
        match self.by_server.get_mut(&server) {
            Some(wire) => wire.bundle(datagram),
            None => self.dropped += 1,
        }
    }

    /// Sends what was pushed; gives those servers that turned out to be unreachable. What does not fit into a full
    /// send queue is dropped, like on any network; the pool sends it again when no reply comes.
    pub(super) fn flush(&mut self, epoll: &Epoll) -> Vec<ServerId> {
        let mut unreachable = Vec::new();
        for (id, wire) in &mut self.by_server {
            wire.close_bundle();
            if wire.to_send.is_empty() {
                continue;
            }
            wire.open(*id, epoll);
            let sent = wire.flush(&mut self.outgoing);
            self.dropped += sent.dropped;
            if sent.unreachable {
                unreachable.push(*id);
            }
        }
        unreachable
    }

    /// The address of this host from which a server is reached.
    pub(super) fn from(&self, server: ServerId) -> Option<IpAddr> {
        let socket = self.by_server.get(&server)?.socket.as_ref()?;
        socket.local_address().ok().map(|local| local.ip())
    }

    /// Reads what has arrived from a server.
    pub(super) fn receive(&mut self, server: ServerId, mut each: impl FnMut(Signal<'_>)) {
        let Some(socket) = self.by_server.get(&server).and_then(|wire| wire.socket.as_ref()) else { return };
        let mut received = 0;
        while received < RECEIVED_PER_ROUND_MAX {
            match socket.receive_batch(&mut self.incoming) {
                Ok(count) => {
                    received += count;
                    for datagram in self.incoming.iter().filter(|datagram| !datagram.truncated) {
                        each(Signal::Datagram(datagram.bytes));
                    }
                    if !self.incoming.is_full() {
                        return;
                    }
                }
                Err(error) if is_unreachable(&error) => {
                    received += 1;
                    each(Signal::Unreachable);
                }
                Err(_) => return,
            }
        }
    }

    /// How many requests could not be given to the kernel.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[derive(Default)]
struct Sent {
    unreachable: bool,
    dropped: u64,
}

impl Wire {
    fn open(&mut self, id: ServerId, epoll: &Epoll) {
        if self.socket.is_none() {
            // Without a way to the server there is no socket; each flush tries again and reports it as unreachable.
            self.socket = connected(self.address, id, epoll).ok();
        }
    }

    fn bundle(&mut self, datagram: Vec<u8>) {
        if let Err(datagram) = self.bundle.add(datagram, BUNDLE_BYTES_MAX) {
            self.close_bundle();
            if let Err(too_long) = self.bundle.add(datagram, BUNDLE_BYTES_MAX) {
                self.to_send.push(too_long);
            }
        }
    }

    fn close_bundle(&mut self) {
        if !self.bundle.is_empty() {
            self.to_send.push(std::mem::take(&mut self.bundle).into_requests(BUNDLE_COOKIE));
        }
    }

    fn flush(&mut self, batch: &mut SendBatch) -> Sent {
        let Some(socket) = &self.socket else {
            let dropped = self.to_send.drain(..).count() as u64;
            return Sent { unreachable: true, dropped };
        };
        let mut sent = Sent::default();
        for datagram in self.to_send.drain(..) {
            if batch.push(&datagram, None) {
                continue;
            }
            send_all(socket, batch, &mut sent);
            if !batch.push(&datagram, None) && socket.send(&datagram).is_err() {
                sent.dropped += 1;
            }
        }
        send_all(socket, batch, &mut sent);
        sent
    }
}

/// Empties the batch, whatever comes of it.
fn send_all(socket: &UdpSocket, batch: &mut SendBatch, sent: &mut Sent) {
    let mut refusals = 0;
    while !batch.is_empty() {
        match socket.send_batch(batch) {
            Ok(_) => {}
            Err(error) if is_unreachable(&error) && refusals < REFUSALS_PER_SEND_MAX => {
                // The error belongs to an earlier datagram and has been taken by this call.
                refusals += 1;
                sent.unreachable = true;
            }
            Err(_) => {
                sent.dropped += batch.len() as u64;
                batch.clear();
            }
        }
    }
}

fn connected(address: SocketAddr, id: ServerId, epoll: &Epoll) -> io::Result<UdpSocket> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let options = Options { receive_buffer: Some(RECEIVE_BUFFER_BYTES), ..Options::default() };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0), &options)?;
    socket.connect(address)?;
    epoll.add(&socket, u64::from(id.0), Trigger::Level)?;
    Ok(socket)
}

fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}
