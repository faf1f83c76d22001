//! The control side of a media server: `ng` requests in, replies out.

mod config;

use std::net::SocketAddr;

use mediaha_time::Time;

pub use self::config::ControllerConfig;
use crate::datapath::{Datapath, Load};

/// Owns the calls, and tells a [`Datapath`] what to forward.
#[derive(Debug)]
pub struct Controller {
    config: ControllerConfig,
    draining: bool,
}

impl Controller {
    /// A controller without calls.
    #[must_use]
    pub fn new(config: ControllerConfig) -> Self {
        Self { config, draining: false }
    }

    /// Takes one datagram from the control port; gives the datagram to send back to `source`, if any. A repeated
    /// cookie gets the same answer again, and nothing is done twice.
    pub fn handle(
        &mut self,
        datagram: &[u8],
        source: SocketAddr,
        datapath: &mut impl Datapath,
        now: Time,
    ) -> Option<Vec<u8>> {
        let _ = (datagram, source, datapath, now, &self.config);
        None
    }

    /// Ends the calls whose time has come.
    pub fn tick(&mut self, datapath: &mut impl Datapath, now: Time) -> Vec<Expired> {
        let _ = (datapath, now);
        Vec::new()
    }

    /// When [`Controller::tick`] wants to be called next; `None` while there is nothing to wait for.
    #[must_use]
    pub fn wake_at(&self) -> Option<Time> {
        None
    }

    /// Starts or stops refusing new calls. Calls that exist go on, and can be changed.
    pub fn drain(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// How many calls there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        0
    }

    /// What this server has done since it started, and is doing now.
    #[must_use]
    pub fn statistics(&self, datapath: &impl Datapath, now: Time) -> Statistics {
        let _ = now;
        Statistics { load: datapath.load(), draining: self.draining, ..Statistics::default() }
    }
}

/// A call that was ended by the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Which one.
    pub call_id: Vec<u8>,
    /// Why.
    pub reason: ExpiryReason,
}

/// Why the clock ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryReason {
    /// It was answered, and nobody sent anything for too long.
    Silent,
    /// It was on hold for too long.
    Held,
    /// Its offer was never answered.
    Orphan,
    /// It had been deleted with a delay, which is over.
    Deleted,
}

/// What a controller has done since it started, and is doing now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Calls at the moment.
    pub sessions: u64,
    /// Calls since the start.
    pub sessions_total: u64,
    /// Streams at the moment.
    pub streams: u64,
    /// Offers that were answered with SDP.
    pub offers: u64,
    /// Answers that were answered with SDP.
    pub answers: u64,
    /// Deletes of a call that was known.
    pub deletes: u64,
    /// Requests that were answered with an error, all reasons together.
    pub refused: u64,
    /// Calls refused because there were too many.
    pub refused_sessions: u64,
    /// Calls refused because no ports were free.
    pub refused_ports: u64,
    /// Requests answered from the cache because their cookie was known.
    pub duplicates: u64,
    /// Datagrams that were no ng request.
    pub unreadable: u64,
    /// Calls ended by the clock.
    pub expired: u64,
    /// RTP and RTCP packets forwarded, ended calls included.
    pub packets: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// RTP packets that never arrived.
    pub lost: u64,
    /// Packets dropped, indexed as [`crate::Cause::ALL`].
    pub dropped: [u64; 3],
    /// New calls are refused.
    pub draining: bool,
    /// What the datapath says.
    pub load: Load,
}
