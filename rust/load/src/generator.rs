//! `Load`: the threads, and how to tell them what to do.
use crate::arrivals::Arrivals;
use crate::floor::Floor;
use crate::gaps::Gap;
use mediaha_net::sys::udp::{Options, UdpSocket};
use mediaha_net::sys::{Epoll, EventFd, Events, Trigger, monotonic, precise_timers, seed};
use mediaha_time::{Duration, Time};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::{fmt, io, thread};

const BELL: u64 = u64::MAX;
const EVENTS_PER_WAIT: usize = 512;
/// When something is to be sent this soon, what arrives waits until then. The kernel has stamped it, so that nothing is judged
/// otherwise; but on loopback it is the sender who pays for waking a hearer, which no sender to another host does.
const NAP_MAX: Duration = Duration::from_micros(500);

/// How a load is generated.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Threads that share the endpoints.
    pub threads: usize,
    /// Time between two packets of an endpoint.
    pub packet_time: Duration,
    /// The shortest silence that is remembered.
    pub gap_min: Duration,
    /// How long the timeline reaches back.
    pub timeline: Duration,
}

/// An endpoint of a Load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(pub u32);

/// Why a Load did not do as told.
#[derive(Debug)]
pub enum LoadError {
    /// There is no such endpoint, or it was shut.
    NoEndpoint(EndpointId),
    /// A socket could not be had.
    Socket(io::Error),
}

impl fmt::Display for LoadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEndpoint(EndpointId(id)) => write!(out, "endpoint {id} was not opened, or was shut"),
            Self::Socket(error) => write!(out, "no socket for an endpoint: {error}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// Threads that send from many sockets and check every packet they hear. Dropping it ends them.
pub struct Load {
    workers: Vec<Worker>,
    opened: AtomicUsize,
}

/// Packets heard right, by time.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When the first bucket began.
    pub began: Time,
    /// How long a bucket is.
    pub bucket: Duration,
    /// Packets per bucket.
    pub packets: Vec<u64>,
}

struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    floor: Mutex<Floor>,
    epoll: Epoll,
    bell: EventFd,
    ending: AtomicBool,
}

impl Load {
    /// Starts the threads.
    ///
    /// # Errors
    /// When descriptors or threads are used up.
    pub fn start(config: &LoadConfig) -> io::Result<Self> {
        let run = seed()?;
        let workers = (0..config.threads.max(1)).map(|number| Worker::start(number, run, config));
        Ok(Self { workers: workers.collect::<io::Result<_>>()?, opened: AtomicUsize::new(0) })
    }

    /// Binds a socket on a free port of `address`. It hears from now on, and sends when paired, aimed and started.
    ///
    /// # Errors
    /// When no socket can be bound there.
    pub fn open(&self, address: IpAddr) -> Result<(EndpointId, SocketAddr), LoadError> {
        let options = Options { timestamps: true, ..Options::default() };
        let socket = UdpSocket::bind(SocketAddr::new(address, 0), &options).map_err(LoadError::Socket)?;
        let local = socket.local_address().map_err(LoadError::Socket)?;
        // Two that are opened one after the other are usually a pair, and are served by the same thread.
        let number = self.opened.fetch_add(1, Ordering::Relaxed) / 2 % self.workers.len();
        let shared = &self.workers[number].shared;
        let mut floor = shared.floor();
        let (slot, id) = floor.add(socket, |slot| self.id_of(number, slot));
        if let Some(socket) = floor.socket(slot) {
            shared.epoll.add(socket, slot as u64, Trigger::Level).map_err(LoadError::Socket)?;
        }
        Ok((EndpointId(id), local))
    }

    /// Lets each of the two expect the packets of the other.
    ///
    /// # Errors
    /// When one of them does not exist.
    pub fn pair(&self, a: EndpointId, b: EndpointId) -> Result<(), LoadError> {
        self.tell(a, |floor, slot| floor.expect(slot, b.0))?;
        self.tell(b, |floor, slot| floor.expect(slot, a.0))
    }

    /// Sends to `remote` from now on.
    ///
    /// # Errors
    /// When there is no such endpoint.
    pub fn aim(&self, endpoint: EndpointId, remote: SocketAddr) -> Result<(), LoadError> {
        self.tell(endpoint, |floor, slot| floor.aim(slot, remote))
    }

    /// Begins to send, as soon as the endpoint is aimed.
    ///
    /// # Errors
    /// When there is no such endpoint.
    pub fn begin(&self, endpoint: EndpointId) -> Result<(), LoadError> {
        self.tell(endpoint, |floor, slot| floor.start(slot, monotonic()))?;
        self.worker(endpoint).0.shared.bell.ring();
        Ok(())
    }

    /// Sends no more. The silence that its peer hears is no gap.
    ///
    /// # Errors
    /// When there is no such endpoint.
    pub fn stop(&self, endpoint: EndpointId) -> Result<(), LoadError> {
        self.tell(endpoint, Floor::stop)?;
        self.rest_peer(endpoint);
        Ok(())
    }

    /// Closes the socket. What the endpoint has heard stays in the totals.
    ///
    /// # Errors
    /// When there is no such endpoint.
    pub fn shut(&self, endpoint: EndpointId) -> Result<(), LoadError> {
        self.rest_peer(endpoint);
        self.tell(endpoint, |floor, slot| floor.shut(slot, monotonic()))
    }

    /// What an endpoint has sent and heard.
    ///
    /// # Errors
    /// When there is no such endpoint.
    pub fn arrivals(&self, endpoint: EndpointId) -> Result<Arrivals, LoadError> {
        let (worker, slot) = self.worker(endpoint);
        worker.shared.floor().arrivals(slot, monotonic()).ok_or(LoadError::NoEndpoint(endpoint))
    }

    /// What all endpoints have sent and heard, those included that were shut.
    #[must_use]
    pub fn totals(&self) -> Arrivals {
        let mut totals = Arrivals::default();
        for worker in &self.workers {
            totals.add(&worker.shared.floor().totals(monotonic()));
        }
        totals
    }

    /// Gaps longer than `longer_than` that ended, or have not ended, after `after`.
    #[must_use]
    pub fn gaps(&self, longer_than: Duration, after: Time) -> Vec<(EndpointId, Gap)> {
        let mut gaps = Vec::new();
        for worker in &self.workers {
            let now = monotonic();
            let floor = worker.shared.floor();
            let wanted = floor
                .gaps(now)
                .filter(|(_, gap)| gap.ended.is_none_or(|ended| ended > after) && gap.length(now) > longer_than);
            gaps.extend(wanted.map(|(id, gap)| (EndpointId(id), gap)));
        }
        gaps.sort_by_key(|(endpoint, gap)| (*endpoint, gap.began));
        gaps
    }

    /// Packets heard right in each bucket of the `last` so long, or since the first packet.
    #[must_use]
    pub fn heard(&self, last: Option<Duration>) -> Heard {
        let now = monotonic();
        let oldest = self.workers.iter().map(|worker| worker.shared.floor().timeline().oldest(now)).min();
        let since = last.map_or(Time::ZERO, |last| now - last).max(oldest.unwrap_or(now));
        let mut heard = Heard { began: since, bucket: Duration::ZERO, packets: Vec::new() };
        for worker in &self.workers {
            let floor = worker.shared.floor();
            heard.began = floor.timeline().begin(since);
            heard.bucket = floor.timeline().bucket();
            let packets = floor.timeline().between(since, now);
            heard.packets.resize(packets.len(), 0);
            for (sum, more) in heard.packets.iter_mut().zip(packets) {
                *sum += u64::from(more);
            }
        }
        heard
    }

    /// How late a packet was sent at worst.
    #[must_use]
    pub fn lateness(&self) -> Duration {
        self.workers.iter().map(|worker| worker.shared.floor().lateness()).max().unwrap_or_default()
    }

    fn rest_peer(&self, endpoint: EndpointId) {
        let (worker, slot) = self.worker(endpoint);
        let peer = worker.shared.floor().peer(slot);
        if let Some(peer) = peer {
            let (worker, slot) = self.worker(EndpointId(peer));
            worker.shared.floor().rest(slot, monotonic());
        }
    }

    fn tell(&self, endpoint: EndpointId, order: impl FnOnce(&mut Floor, usize) -> bool) -> Result<(), LoadError> {
        let (worker, slot) = self.worker(endpoint);
        if order(&mut worker.shared.floor(), slot) { Ok(()) } else { Err(LoadError::NoEndpoint(endpoint)) }
    }

    fn worker(&self, EndpointId(id): EndpointId) -> (&Worker, usize) {
        let id = id as usize;
        (&self.workers[id % self.workers.len()], id / self.workers.len())
    }

    fn id_of(&self, worker: usize, slot: usize) -> u32 {
        // A port each bounds the endpoints that live; ids would be used up after two thousand million opened.
        u32::try_from(slot * self.workers.len() + worker).unwrap_or(u32::MAX)
    }
}

impl Worker {
    fn start(number: usize, run: u64, config: &LoadConfig) -> io::Result<Self> {
        let floor = Floor::new(run, config.packet_time, config.gap_min, config.timeline, monotonic());
        let shared = Arc::new(Shared {
            floor: Mutex::new(floor),
            epoll: Epoll::new()?,
            bell: EventFd::new()?,
            ending: AtomicBool::new(false),
        });
        shared.epoll.add(&shared.bell, BELL, Trigger::Level)?;
        let thread = thread::Builder::new().name(format!("load-{number}")).spawn({
            let shared = Arc::clone(&shared);
            move || shared.work()
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        self.shared.bell.ring();
        if let Some(thread) = self.thread.take() {
            // A panic has been printed by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn floor(&self) -> MutexGuard<'_, Floor> {
        // Figures are valid after every single change, so a panic elsewhere leaves nothing half done.
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        // Without it packets go out up to 50 µs late, which is all that is lost.
        let _ = precise_timers();
        let mut events = Events::new(EVENTS_PER_WAIT);
        while !self.ending.load(Ordering::Acquire) {
            let mut timeout = self.floor().wake_at().map(|due| due.since(monotonic()));
            if let Some(nap) = timeout.filter(|timeout| *timeout <= NAP_MAX) {
                thread::sleep(nap);
                timeout = Some(Duration::ZERO);
            }
            if self.epoll.wait(&mut events, timeout).is_err() {
                return;
            }
            let mut floor = self.floor();
            // One slot a round, so that who sends does not starve who hears, and a stall is not made up for in one burst.
            floor.send_slot();
            for ready in events.iter() {
                match usize::try_from(ready.token) {
                    Ok(slot) if ready.token != BELL => floor.hear(slot),
                    _ => {
                        self.bell.drain();
                    }
                }
            }
        }
    }
}
