//! The heap of this process.

/// Has all threads that begin from here on share one heap: to be called before the first. The GNU library gives each thread a heap
/// of its own otherwise, which grows by a page and a system call at a time. A server has one thread that allocates much, so that
/// they hardly ever wait for each other.
pub fn share_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes no pointers, and may be called at any time (mallopt(3)). A failure leaves everything as it was.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
