//! What ends a media server before its time.

use std::io;
use std::sync::{Arc, OnceLock};

use crate::sys::EventFd;

/// The first thing that went wrong for good, and a bell for who must act on it; clones share it.
///
/// A server that has lost a worker must not go on as if nothing were wrong: the calls of that worker would be silent, and
/// nobody would move them.
#[derive(Clone, Debug)]
pub struct Failure(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    why: OnceLock<String>,
    bell: EventFd,
}

impl Failure {
    /// Nothing has gone wrong.
    ///
    /// # Errors
    /// The kernel's, when the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Shared { why: OnceLock::new(), bell: EventFd::new()? })))
    }

    /// Says that it has. Only the first reason is kept: the others follow from it.
    pub fn report(&self, why: String) {
        let _ = self.0.why.set(why);
        self.0.bell.ring();
    }

    /// What went wrong, if anything did.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.0.why.get().map(String::as_str)
    }

    /// Rings once something has gone wrong.
    #[must_use]
    pub fn bell(&self) -> &EventFd {
        &self.0.bell
    }
}
