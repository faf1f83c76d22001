//! What a worker has for the flows that it looks after.

use std::sync::Arc;

use mediaha_media::Ours;
use mediaha_time::Time;

use crate::relay::RelayConfig;
use crate::relay::kernel::Usher;
use crate::relay::stamps::Stamps;
use crate::relay::tally::Tally;
use crate::sys::{monotonic, realtime};

/// Longer than any UDP datagram, so that none is ever cut.
pub(super) const DATAGRAM_MAX: usize = 65_536;

/// One for all flows of a worker.
pub(super) struct Tools {
    pub(super) tally: Arc<Tally>,
    pub(super) stamps: Stamps,
    pub(super) usher: Option<Usher>,
    buffer: Box<[u8]>,
    ours: Arc<Ours>,
}

impl Tools {
    pub(super) fn new(config: &RelayConfig, tally: Arc<Tally>, usher: Option<Usher>) -> Self {
        Self {
            tally,
            stamps: Stamps::new(monotonic(), realtime()),
            usher,
            buffer: vec![0; DATAGRAM_MAX].into_boxed_slice(),
            ours: config.ours(),
        }
    }

    /// All of it, for a moment.
    pub(super) fn desk(&mut self, now: Time) -> Desk<'_> {
        let Self { tally, stamps, usher, buffer, ours } = self;
        Desk { buffer, tally, now, arrived: None, stamps, ours, usher: usher.as_mut() }
    }
}

/// What a worker lends to the flow it looks after.
pub(super) struct Desk<'a> {
    pub(super) buffer: &'a mut [u8],
    pub(super) tally: &'a Tally,
    pub(super) now: Time,
    /// When the packet arrived that is to be taken; `None`: the kernel knows.
    pub(super) arrived: Option<Time>,
    pub(super) stamps: &'a Stamps,
    /// The ports that packets of ours may come from.
    pub(super) ours: &'a Arc<Ours>,
    /// Shows packets into the lanes of the kernel.
    pub(super) usher: Option<&'a mut Usher>,
}
