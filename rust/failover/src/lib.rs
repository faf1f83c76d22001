//! What the failover pool decides: which media servers are usable, in which order they are asked, where a
//! dead server's calls go.
//!
//! A [`Pool`] is given what happened and the time ([`Pool::handle`]), and asked what to do
//! ([`Pool::next_output`]) and when it next wants a [`Input::Tick`] ([`Pool::wake_at`]). It opens no socket, reads no
//! clock and draws no random number: `mediaha-net` runs it over sockets, `mediaha-sim` in a seeded world.
//!
//! From the outside in: [`Command`] is what session control asks for, [`Event`] what it is told, [`Input`] and
//! [`Output`] are what crosses the network.
#![forbid(unsafe_code)]

mod audit;
mod call;
mod command;
mod config;
mod event;
mod exchange;
mod family;
mod fence;
mod flights;
mod liveness;
mod order;
mod pool;
mod probe;
mod registry;
mod rtt;
mod servers;
mod stall;
mod story;
mod timers;
mod walk;
mod window;

pub use mediaha_ng::AddressFamily;

pub use command::{Command, ServerSpec, Token};
pub use config::Config;
pub use event::{Event, Fault, ServerState, ServerView};
pub use exchange::{Cookie, Input, Output, ServerId};
pub use pool::Pool;
pub use story::{Asked, Attempt, Outcome};
