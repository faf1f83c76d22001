//! What a controller is told at its start.

use std::net::SocketAddr;

use mediaha_time::Duration;

use crate::interface::Interface;
use crate::ours::Ours;

/// The settings of a controller. [`ControllerConfig::new`] gives the usual values.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// The addresses to relay on, in order of preference. Not empty.
    pub interfaces: Vec<Interface>,
    /// Which ports are this server's own: parties that name them must not have packets go in a circle.
    pub ours: Ours,
    /// Where requests are taken: no media is sent there, whatever a party says.
    pub control: Option<SocketAddr>,
    /// Random bytes chosen at start; a client that sees them change knows that this server's memory is gone.
    pub instance: Vec<u8>,
    /// How many calls there may be at once.
    pub sessions_max: usize,
    /// How many `m=` lines one SDP may have.
    pub streams_max: usize,
    /// How many dialogues (pairs of tags) one call may have.
    pub dialogues_max: usize,
    /// How many bytes one SDP may have.
    pub sdp_bytes_max: usize,
    /// At which load of the busiest worker, in thousandths, new calls are refused; 1000 for never.
    pub busy_permille_max: u32,
    /// After which silence of all parties an answered call is ended.
    pub silence_timeout: Duration,
    /// The same for a call on hold.
    pub held_timeout: Duration,
    /// After which time without answer and without RTP an offer is forgotten.
    pub orphan_timeout: Duration,
    /// How long a deleted call goes on, unless the request says otherwise.
    pub delete_delay: Duration,
    /// The Unix time at [`mediaha_time::Time::ZERO`], for the timestamps in replies.
    pub unix_at_zero: Duration,
    /// What the datapath is called, for statistics.
    pub datapath: String,
    /// Why it is that one.
    pub datapath_reason: String,
}

impl ControllerConfig {
    /// The usual settings.
    #[must_use]
    pub fn new(interfaces: Vec<Interface>, instance: Vec<u8>) -> Self {
        Self {
            interfaces,
            ours: Ours::default(),
            control: None,
            instance,
            sessions_max: 20_000,
            streams_max: 16,
            dialogues_max: 16,
            sdp_bytes_max: 32 * 1024,
            busy_permille_max: 1_000,
            silence_timeout: Duration::from_secs(60),
            held_timeout: Duration::from_secs(3_600),
            orphan_timeout: Duration::from_secs(180),
            delete_delay: Duration::ZERO,
            unix_at_zero: Duration::ZERO,
            datapath: String::new(),
            datapath_reason: String::new(),
        }
    }
}
