//! The counter at which requests are taken in and replies handed out, several with one system call.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use crate::sys::udp::{Options, ReceiveBatch, SendBatch, UdpSocket};

/// Bytes of receive queue for requests: some hundreds of offers, which a failover may send at once.
const RECEIVE_BUFFER: usize = 1 << 20;
/// How many requests are taken in at once: their replies leave together, and the first must not wait long for the last.
const REQUESTS_MAX: usize = 16;
const REQUEST_BYTES_MAX: usize = 65_536;
/// Longer replies are sent one by one.
const REPLY_BYTES_MAX: usize = 8_192;

/// The socket of the control port. Memory for batches is the system's until a datagram has been in it.
pub(super) struct Counter {
    socket: UdpSocket,
    requests: ReceiveBatch,
    replies: SendBatch,
}

/// A reply that the kernel did not take.
pub(super) struct Unsent {
    pub(super) client: SocketAddr,
    pub(super) error: io::Error,
}

impl Counter {
    /// # Errors
    /// The kernel's: the port is taken, or the address is none of ours.
    pub(super) fn open(listen_ng: SocketAddr) -> io::Result<Self> {
        let options = Options { receive_buffer: Some(RECEIVE_BUFFER), ..Options::default() };
        UdpSocket::bind(listen_ng, &options).map(Self::at)
    }

    /// At a socket that is bound already, in which requests may wait.
    pub(super) fn at(socket: UdpSocket) -> Self {
        let requests = ReceiveBatch::new(REQUESTS_MAX, REQUEST_BYTES_MAX);
        Self { socket, requests, replies: SendBatch::new(REQUESTS_MAX, REPLY_BYTES_MAX) }
    }

    /// The socket itself.
    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Where it is.
    ///
    /// # Errors
    /// The kernel's; none is expected.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_address()
    }

    /// Answers the requests that wait, up to [`REQUESTS_MAX`]; `settle` is called when all have been carried out, before the first
    /// reply leaves. Both are lent `what`. Gives the replies that could not be sent: they are lost like one on the way, and the
    /// client asks again, with the same cookie.
    pub(super) fn serve<T>(
        &mut self,
        what: &mut T,
        mut answer: impl FnMut(&mut T, &[u8], SocketAddr) -> Option<Vec<u8>>,
        settle: impl FnOnce(&mut T),
    ) -> Vec<Unsent> {
        let Self { socket, requests, replies } = self;
        let (mut unsent, mut long) = (Vec::new(), Vec::new());
        let mut clients = Vec::with_capacity(REQUESTS_MAX);
        if socket.receive_batch(requests).is_err() {
            return unsent;
        }
        for request in requests.iter() {
            let client = request.source;
            let Some(reply) = answer(what, request.bytes, client) else { continue };
            if replies.push(&reply, Some(client)) {
                clients.push(client);
            } else {
                long.push((reply, client));
            }
        }
        settle(what);
        for (reply, client) in long {
            if let Err(error) = socket.send_to(&reply, client) {
                unsent.push(Unsent { client, error });
            }
        }
        let mut clients = clients.into_iter();
        while !replies.is_empty() {
            match socket.send_batch(replies) {
                Ok(sent) => clients.by_ref().take(sent).for_each(drop),
                Err(error) => {
                    replies.skip();
                    unsent.extend(clients.next().map(|client| Unsent { client, error }));
                }
            }
        }
        unsent
    }
}

impl AsFd for Counter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
