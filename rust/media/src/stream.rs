//! One `m=` line's two directions: what becomes of each packet.

use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_time::Time;

use crate::counters::{Cause, StreamCounters};
use crate::plan::{Component, Side, StreamPlan};

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent on unchanged.
    Forward {
        /// The local address of the other side to send it from.
        from: SocketAddr,
        /// Which of the other side's two ports that is.
        component: Component,
        /// Where it goes.
        to: SocketAddr,
    },
    /// It is not sent on. It has been counted.
    Drop(Cause),
}

/// A stream as its worker keeps it. Owned by exactly one worker, as nothing here is locked.
#[derive(Debug)]
pub struct Stream {
    plan: StreamPlan,
    counters: Arc<StreamCounters>,
}

impl Stream {
    /// A stream that has heard nobody yet; its learning windows open at `now`.
    #[must_use]
    pub fn new(plan: StreamPlan, counters: Arc<StreamCounters>, now: Time) -> Self {
        let _ = now;
        Self { plan, counters }
    }

    /// Takes a changed plan. Latches and counters are kept; a side that says `reopen` may be learnt anew.
    pub fn replan(&mut self, plan: StreamPlan, now: Time) {
        let _ = now;
        self.plan = plan;
    }

    /// Decides on one packet that arrived at the local port of `component` of `side`. No allocation, no lock.
    pub fn packet(
        &mut self,
        side: Side,
        component: Component,
        bytes: &[u8],
        source: SocketAddr,
        now: Time,
    ) -> Verdict {
        let _ = (&self.counters, side, component, bytes, source, now);
        Verdict::Drop(Cause::Malformed)
    }

    /// The only source that is still believed at this port until the next [`Stream::replan`]; a socket may be
    /// connected to it. `None` while another one could be learnt.
    #[must_use]
    pub fn only_source(&self, side: Side, component: Component, now: Time) -> Option<SocketAddr> {
        let _ = (side, component, now);
        None
    }

    /// What this stream is doing.
    #[must_use]
    pub fn plan(&self) -> &StreamPlan {
        &self.plan
    }
}
