//! The pool's timings and limits.

use mediaha_ng::Options;

/// Timings and limits. [`Config::default`] suits media servers within some ten milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A server is pinged this often.
    pub heartbeat_ms: u64,
    /// A suspect server is pinged this often, so that loss alone is unlikely to kill it.
    pub heartbeat_suspect_ms: u64,
    /// A server that has been silent for this long is suspect: two heartbeats missed.
    pub suspect_ms: u64,
    /// A server that has been silent for this long, while another one was heard, is dead.
    pub silence_ms_max: u64,
    /// One whose answers have been late lately may be silent for longer than that, and for this long at most.
    pub silence_late_ms_max: u64,
    /// When all servers are silent the fault is more likely on this side; then they are dead after this long.
    pub silence_all_ms_max: u64,
    /// A tick this late means that the pool itself was stopped, and much may have come meanwhile; nothing times out before it is read.
    pub stall_ms_min: u64,
    /// A server that came back takes new calls after this long without a fault, and
    pub hold_down_ms: u64,
    /// after this many answered pings in a row.
    pub recovery_pongs: u32,
    /// Bounds of the time within which a server must answer a request before the next one is asked too.
    pub try_ms_min: u64,
    /// See `try_ms_min`. Also used while nothing has been measured.
    pub try_ms_max: u64,
    /// Bounds of the time after which the second server is asked while the first may still answer.
    pub hedge_ms_min: u64,
    /// See `hedge_ms_min`.
    pub hedge_ms_max: u64,
    /// While a dead server's calls are moved, the next server is busy: it is given at least this long to answer.
    pub move_try_ms_min: u64,
    /// A server that took the offer of a call being moved and then leaves a step unanswered for this long is left.
    pub move_step_ms_max: u64,
    /// An offer, answer or deletion is settled within this time, one way or the other.
    pub command_ms_max: u64,
    /// How many calls are being created anew at the same time, at most; fewer while requests are lost.
    pub moves_in_flight_max: usize,
    /// How many deletions are on their way to one server at the same time.
    pub deletes_in_flight_max: usize,
    /// A stranded call is tried again after this long, doubling up to `strand_retry_ms_max`.
    pub strand_retry_ms_min: u64,
    /// See `strand_retry_ms_min`.
    pub strand_retry_ms_max: u64,
    /// How many deletions a server may be owed; the oldest is forgotten (the server's own timeouts end that session).
    pub owed_max: usize,
    /// A deletion that could not be delivered for this long is forgotten.
    pub owed_ms_max: u64,
    /// A request that nobody has answered may still arrive this much later; what it creates is deleted again then.
    pub straggler_ms: u64,
    /// A server that does not name its instance is asked this often whether it still knows one of its calls.
    pub audit_ms: u64,
    /// How often a packet is sent through each server's media and back; 0 for never.
    pub probe_ms: u64,
    /// One that has not come back by then is missed.
    pub probe_late_ms: u64,
    /// How many calls the pool holds; further ones are refused as `Busy`.
    pub calls_max: usize,
    /// Sent with each offer and answer.
    pub options: Options,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat_ms: 50,
            heartbeat_suspect_ms: 20,
            suspect_ms: 110,
            silence_ms_max: 200,
            silence_late_ms_max: 400,
            silence_all_ms_max: 2_000,
            stall_ms_min: 20,
            hold_down_ms: 2_000,
            recovery_pongs: 5,
            try_ms_min: 20,
            try_ms_max: 500,
            hedge_ms_min: 20,
            hedge_ms_max: 100,
            move_try_ms_min: 200,
            move_step_ms_max: 500,
            command_ms_max: 2_000,
            moves_in_flight_max: 256,
            deletes_in_flight_max: 64,
            strand_retry_ms_min: 250,
            strand_retry_ms_max: 4_000,
            owed_max: 20_000,
            owed_ms_max: 3_600_000,
            straggler_ms: 1_000,
            audit_ms: 1_000,
            probe_ms: 0,
            probe_late_ms: 250,
            calls_max: 100_000,
            options: Options {
                replace_origin: true,
                replace_session_connection: true,
                ice: Some(b"remove".to_vec()),
                ..Options::default()
            },
        }
    }
}
