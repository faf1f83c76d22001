//! What a media server decides: where each packet goes, which source is believed, how SDP is rewritten.
//!
//! No I/O and no clock here: `mediaha-net` owns the sockets and asks this crate.
//!
//! A [`Controller`] takes the datagrams of the control port and keeps the calls. It tells a [`Datapath`] which
//! ports to open and which streams to forward between them. Each worker of the datapath keeps its streams as
//! [`Stream`]s and asks them about every packet.
#![forbid(unsafe_code)]

mod clocks;
mod controller;
mod counters;
mod datapath;
mod interface;
mod latch;
mod plan;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
mod sequence;
mod stream;
pub mod testing;

pub use self::clocks::Clocks;
pub use self::controller::{Controller, ControllerConfig, Expired, ExpiryReason, Statistics};
pub use self::counters::{Cause, SideCounters, StreamCounters};
pub use self::datapath::{Datapath, Load, PortsExhausted};
pub use self::interface::{DEFAULT_NAME, Interface, InterfaceError};
pub use self::latch::{ALIVE, Latch, WINDOW};
pub use self::plan::{Component, PortPair, Side, SidePlan, StreamId, StreamPlan};
pub use self::sequence::Sequence;
pub use self::stream::{Stream, Verdict};
