//! Does: sockets, threads and timers for the relay, the control port and the failover pool.
//!
//! [`sys`] is the kernel's door and holds all of the project's `unsafe`.
#![deny(unsafe_code)]

pub mod pool;
pub mod sys;
