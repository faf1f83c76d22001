//! What the owner of a media server asks of its control thread.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use crossbeam_queue::ArrayQueue;

use crate::sys::EventFd;

/// How many orders may wait; a further one is answered with its reply channel closed.
const WAITING_MAX: usize = 16;

/// Something to be done once.
pub(crate) enum Order {
    /// Send the statistics as JSON.
    Statistics(SyncSender<String>),
}

/// What was asked: two switches, of which only the last position matters, and a queue; with a bell.
pub(crate) struct Orders {
    queue: ArrayQueue<Order>,
    draining: AtomicBool,
    stopping: AtomicBool,
    closed: AtomicBool,
    handed_over: AtomicBool,
    pub(crate) bell: EventFd,
}

impl Orders {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            queue: ArrayQueue::new(WAITING_MAX),
            draining: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            handed_over: AtomicBool::new(false),
            bell: EventFd::new()?,
        })
    }

    pub(crate) fn give(&self, order: Order) {
        // A refused order is dropped, and with it the sender that its owner listens to.
        let _ = self.queue.push(order);
        if self.closed.load(Ordering::SeqCst) {
            self.forget();
        }
        self.bell.ring();
    }

    pub(crate) fn drain(&self, draining: bool) {
        self.draining.store(draining, Ordering::Release);
        self.bell.ring();
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(crate) fn take(&self) -> Option<Order> {
        self.queue.pop()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Another process has taken over, and this one relays no more.
    pub(crate) fn handed_over(&self) {
        self.handed_over.store(true, Ordering::Release);
    }

    pub(crate) fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Acquire)
    }

    /// Control takes no more: whoever waits for an answer is told by the closing of its channel.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.forget();
    }

    fn forget(&self) {
        while self.take().is_some() {}
    }
}

impl std::fmt::Debug for Orders {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.queue.len();
        formatter.debug_struct("Orders").field("waiting", &waiting).finish_non_exhaustive()
    }
}
