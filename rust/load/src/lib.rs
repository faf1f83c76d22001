//! An RTP load generator that checks what it hears: sender, order and content of every packet.
//!
//! A [`Load`] is for the drill, for benchmarks and for tests: it tells to the packet what a fault has cost. What is
//! expected, and what a packet is found to be, is decided in [`payload`], [`listener`], [`gaps`], [`histogram`],
//! [`timeline`] and [`pace`], which know neither clock nor socket.
#![forbid(unsafe_code)]

mod arrivals;
mod floor;
pub mod gaps;
mod generator;
pub mod histogram;
pub mod listener;
pub mod pace;
pub mod payload;
pub mod setups;
pub mod timeline;

pub use arrivals::Arrivals;
pub use gaps::Gap;
pub use generator::{EndpointId, Heard, Load, LoadConfig, LoadError};
