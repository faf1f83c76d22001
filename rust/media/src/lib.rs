//! What a media server decides: where each packet goes, which source is believed, how SDP is rewritten.
//!
//! No I/O and no clock here: `mediaha-net` owns the sockets and asks this crate.
//!
//! A [`Controller`] takes the datagrams of the control port and keeps the calls. It tells a [`Datapath`] which
//! ports to open and which streams to forward between them. Each worker of the datapath keeps its streams as
//! [`Stream`]s and asks them about every packet.
//!
//! ```
//! use mediaha_media::testing::TableDatapath;
//! use mediaha_media::{Controller, ControllerConfig};
//! use mediaha_time::Time;
//!
//! let interface = "pub/10.0.0.5!203.0.113.5".parse().unwrap();
//! let mut controller = Controller::new(ControllerConfig::new(vec![interface], b"started-1".to_vec()));
//! let mut datapath = TableDatapath::new(30_000..=30_999);
//! let offer = concat!(
//!     r#"1 {"command":"offer","call-id":"c","from-tag":"a","sdp":"v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\n"#,
//!     r#"s=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"}"#
//! );
//! let client = "127.0.0.1:9".parse().unwrap();
//! let reply = controller.handle(offer.as_bytes(), client, &mut datapath, Time::ZERO).unwrap();
//! let reply = String::from_utf8(reply).unwrap();
//! assert!(reply.contains("c=IN IP4 203.0.113.5"), "{reply}");
//! assert_eq!(controller.sessions(), 1);
//! ```
#![forbid(unsafe_code)]

mod blocks;
mod clocks;
mod content;
mod controller;
mod counters;
mod datapath;
mod demux;
mod interface;
mod latch;
mod ours;
mod plan;
mod repeats;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
mod sequence;
mod stream;
pub mod testing;

pub use self::blocks::{Blocks, Events};
pub use self::clocks::Clocks;
pub use self::content::Content;
pub use self::controller::{
    Controller, ControllerConfig, Expired, ExpiryReason, NoRoom, Refused, Statistics, Trend, Trends, Unadoptable,
    Written,
};
pub use self::counters::{Cause, STREAM_WORDS, SideCounters, StreamCounters};
pub use self::datapath::{Datapath, Load, PortsExhausted};
pub use self::interface::{DEFAULT_NAME, Interface, InterfaceError};
pub use self::latch::{ALIVE, Believed, Latch, WINDOW};
pub use self::ours::Ours;
pub use self::plan::{Component, PortPair, Side, SidePlan, StreamId, StreamPlan};
pub use self::sequence::{Arrival, Run, Sequence};
pub use self::stream::{Route, Stream, Verdict};
