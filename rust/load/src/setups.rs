//! Many calls set up through one control port, a few at a time, by a client that costs less than the media server it measures.
//!
//! It does not sleep while it waits for replies: whoever sends to a program that sleeps on another core pays for waking it, on a
//! virtual machine as much as for the datagram. A media server whose client is on another host pays nothing of the kind.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::{fmt, io};

use mediaha_net::sys::monotonic;
use mediaha_ng::bundle::{self, Bundle};
use mediaha_ng::datagram_untrusted;
use mediaha_time::{Duration, Time};

/// How long a reply may take. Nothing is asked again: on loopback nothing is lost, unless the measurement is worth nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longer than any reply.
const REPLY_BYTES_MAX: usize = 65_536;
const OK: &[u8] = b"6:result2:ok";
/// As long as the failover pool makes them.
const BUNDLE_BYTES_MAX: usize = 8_192;

/// The datagrams of one call. Their cookies begin with the call's place in the list, in digits, and a `-`.
#[derive(Clone, Debug)]
pub struct PreparedCall {
    /// The first.
    pub offer: Vec<u8>,
    /// Sent when the offer has been answered.
    pub answer: Vec<u8>,
}

/// How long it took.
#[derive(Clone, Debug)]
pub struct SetUps {
    /// From the first datagram to the last reply.
    pub lasted: Duration,
    /// From each offer to its reply.
    pub offers: Vec<Duration>,
}

/// Why calls were not set up.
#[derive(Debug)]
pub enum SetUpError {
    /// The socket's.
    Socket(io::Error),
    /// A reply did not come.
    Silence,
    /// A reply was not what was asked for.
    Reply(Vec<u8>),
}

/// Sets up all calls at `server`, so many of them at a time.
///
/// # Errors
/// A call could not be set up; the others may have been.
pub fn set_up(server: SocketAddr, calls: &[PreparedCall], in_flight: usize) -> Result<SetUps, SetUpError> {
    let socket = connected(server)?;
    let mut asked: Vec<Option<Time>> = vec![None; calls.len()];
    let mut waiting: VecDeque<usize> = (0..calls.len()).collect();
    let mut offers = Vec::with_capacity(calls.len());
    let mut buffer = vec![0; REPLY_BYTES_MAX];
    let mut open = 0;
    let began = monotonic();
    let mut begin_next = |asked: &mut [Option<Time>]| -> io::Result<bool> {
        let Some(call) = waiting.pop_front() else { return Ok(false) };
        asked[call] = Some(monotonic());
        socket.send(&calls[call].offer).map(|_| true)
    };
    while open < in_flight && begin_next(&mut asked)? {
        open += 1;
    }
    while open > 0 {
        let length = receive(&socket, &mut buffer)?;
        let call = call_untrusted(&buffer[..length], calls.len())?;
        if let Some(asked) = asked[call].take() {
            offers.push(monotonic().since(asked));
            socket.send(&calls[call].answer)?;
        } else if !begin_next(&mut asked)? {
            open -= 1;
        }
    }
    Ok(SetUps { lasted: monotonic().since(began), offers })
}

/// Has `server` take over calls, by prepared `adopt` requests whose cookies are as in a [`PreparedCall`], many in a datagram and so
/// many datagrams at a time; gives how long it took.
///
/// # Errors
/// A call was not taken over; others may have been.
pub fn adopt(server: SocketAddr, requests: &[Vec<u8>], in_flight: usize) -> Result<Duration, SetUpError> {
    let socket = connected(server)?;
    let mut bundles = bundles(requests);
    let mut buffer = vec![0; REPLY_BYTES_MAX];
    let mut adopted = 0;
    let began = monotonic();
    for bundle in bundles.by_ref().take(in_flight) {
        socket.send(&bundle)?;
    }
    while adopted < requests.len() {
        let length = receive(&socket, &mut buffer)?;
        let refused = || SetUpError::Reply(buffer[..length].to_vec());
        let datagram = datagram_untrusted(&buffer[..length]).map_err(|_| refused())?;
        // One that travels alone is answered alone.
        let alone = bundle::replies(&datagram.body).is_none().then_some(&buffer[..length]);
        for reply in bundle::replies(&datagram.body).into_iter().flatten().chain(alone) {
            call_untrusted(reply, requests.len())?;
            adopted += 1;
        }
        if let Some(bundle) = bundles.next() {
            socket.send(&bundle)?;
        }
    }
    Ok(monotonic().since(began))
}

fn bundles(requests: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> {
    let (mut all, mut bundle) = (Vec::new(), Bundle::default());
    for request in requests {
        if let Err(request) = bundle.add(request.clone(), BUNDLE_BYTES_MAX) {
            all.push(std::mem::take(&mut bundle).into_requests(b"bundle"));
            let _ = bundle.add(request, BUNDLE_BYTES_MAX);
        }
    }
    all.push(bundle.into_requests(b"bundle"));
    all.into_iter()
}

fn connected(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.connect(server)?;
    Ok(socket)
}

/// The next reply, waited for without sleeping.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Result<usize, SetUpError> {
    let give_up_at = monotonic() + PATIENCE;
    loop {
        match socket.recv(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && monotonic() < give_up_at => {
                std::hint::spin_loop();
            }
            received => return received.map_err(SetUpError::from),
        }
    }
}

/// Which call a reply belongs to; it must say that all went well.
fn call_untrusted(reply: &[u8], calls: usize) -> Result<usize, SetUpError> {
    let refused = || SetUpError::Reply(reply.to_vec());
    let digits = reply.split(|byte| *byte == b'-').next().unwrap_or_default();
    let call: usize =
        std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or_else(refused)?;
    let ok = reply.windows(OK.len()).rev().any(|words| words == OK);
    if ok && call < calls { Ok(call) } else { Err(refused()) }
}

impl From<io::Error> for SetUpError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silence,
            _ => Self::Socket(error),
        }
    }
}

impl fmt::Display for SetUpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(formatter, "the media server cannot be asked: {error}"),
            Self::Silence => write!(formatter, "no answer within {PATIENCE:?}"),
            Self::Reply(reply) => write!(formatter, "the answer was {:?}", String::from_utf8_lossy(reply)),
        }
    }
}

impl std::error::Error for SetUpError {}
