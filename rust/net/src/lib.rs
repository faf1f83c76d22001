//! Does: sockets, threads and timers for the relay, the control port and the failover pool.
//!
//! [`sys`] is the kernel's door and holds all of the project's `unsafe`; [`relay`] moves packets; [`MediaServer`] is a
//! control port with a relay behind it; [`pool`] runs the failover pool.
#![deny(unsafe_code)]

pub mod estate;
mod failure;
pub mod pool;
mod record;
pub mod relay;
mod server;
pub mod sys;

pub use failure::Failure;
pub use record::{Level, Record, Records};
pub use relay::{DatapathChoice, UnknownDatapath};
pub use server::{MediaServer, MediaServerConfig, StartError, Stopped};
