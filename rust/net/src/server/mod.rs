//! A media server: a control port that speaks `ng`, and a relay behind it.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mediaha_net::{MediaServer, MediaServerConfig};
//!
//! let config = MediaServerConfig::new("127.0.0.1:2223".parse()?, vec!["127.0.0.1".parse()?], 20_000..=29_999);
//! let server = MediaServer::start(config)?;
//! println!("ng on {}", server.listen_ng());
//! for record in server.records().take() {
//!     println!("{} {}", record.event, record.fields_json());
//! }
//! server.close();
//! # Ok(())
//! # }
//! ```

mod config;
mod control;
mod counter;
mod orders;
mod statistics;
mod succession;

pub use config::{MediaServerConfig, StartError};

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use control::Control;
use orders::{Order, Orders};

use crate::estate::Line;
use crate::failure::Failure;
use crate::record::{Level, Record, Records};

/// A running media server. Dropping it closes it.
#[derive(Debug)]
pub struct MediaServer {
    listen_ng: SocketAddr,
    orders: Arc<Orders>,
    records: Records,
    failure: Failure,
    control: Option<JoinHandle<()>>,
}

/// The server has been closed, or has failed; see [`MediaServer::failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl std::fmt::Display for Stopped {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the media server has stopped")
    }
}

impl std::error::Error for Stopped {}

impl MediaServer {
    /// Binds the control port, and starts the control thread and the workers. It answers from here on.
    ///
    /// # Errors
    /// Each names what was asked for and why it cannot be had.
    pub fn start(config: MediaServerConfig) -> Result<Self, StartError> {
        Self::start_on(config, None)
    }

    /// The same, with a line to a keeper: what this server leaves when its process ends is kept there, and it goes on itself where a
    /// former life of it stopped.
    ///
    /// # Errors
    /// As [`Self::start`]. An estate that cannot be taken over is none: then the server begins with nothing.
    #[allow(clippy::needless_pass_by_value)] // It is the server's from here on, whatever it makes of it.
    pub fn start_on(config: MediaServerConfig, line: Option<Line>) -> Result<Self, StartError> {
        config.check()?;
        let records = Records::new().map_err(StartError::Resources)?;
        let failure = Failure::new().map_err(StartError::Resources)?;
        let orders = Arc::new(Orders::new().map_err(StartError::Resources)?);
        let control = Control::start(&config, line, Arc::clone(&orders), records.clone(), failure.clone())?;
        let listen_ng = control.listen_ng();
        let (last_words, doomed) = (records.clone(), failure.clone());
        let thread = thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| control.run())).is_err() {
                    doomed.report("control panicked".to_owned());
                }
                // By now the control port is closed and the workers have ended: clients find it unreachable, and move the calls.
                if let Some(why) = doomed.why() {
                    let facts = serde_json::json!({ "why": why });
                    last_words.push(Record::now(Level::Error, "media_server_failed", facts));
                }
            })
            .map_err(StartError::Resources)?;
        Ok(Self { listen_ng, orders, records, failure, control: Some(thread) })
    }

    /// Where the control port is bound.
    #[must_use]
    pub fn listen_ng(&self) -> SocketAddr {
        self.listen_ng
    }

    /// Refuses new calls, or takes them again. Calls that are there go on either way.
    pub fn drain(&self, draining: bool) {
        self.orders.drain(draining);
    }

    /// Calls, streams, packets, refusals, and the work of each worker, as a JSON object. Waits for control to come round.
    ///
    /// # Errors
    /// It has stopped.
    pub fn statistics_json(&self) -> Result<String, Stopped> {
        let (reply, statistics) = std::sync::mpsc::sync_channel(1);
        self.orders.give(Order::Statistics(reply));
        statistics.recv().map_err(|_| Stopped)
    }

    /// What the threads have to say. The last one of a server that failed is `media_server_failed`, at level error: its
    /// control port is closed by then, it relays no more, and the process should end, to be started anew.
    #[must_use]
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Why it has stopped by itself, if it has.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.why()
    }

    /// Whether another process has taken over: this one relays no more, and has nothing left to do.
    #[must_use]
    pub fn is_handed_over(&self) -> bool {
        self.orders.is_handed_over()
    }

    /// Stops relaying, gives the ports back and joins the threads. Calls that are there are lost.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for MediaServer {
    fn drop(&mut self) {
        self.orders.stop();
        if let Some(control) = self.control.take() {
            // Its panics are caught, so that this cannot fail.
            let _ = control.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{Epoll, Events, Trigger};
    use std::net::UdpSocket;
    use std::time::Duration;

    #[test]
    fn a_server_whose_worker_died_closes_its_control_port_and_says_why() {
        let config = MediaServerConfig::new(
            "127.0.0.1:0".parse().unwrap(),
            vec!["127.0.0.1".parse().unwrap()],
            20_000..=29_999,
        );
        let server = MediaServer::start(config).unwrap();
        server.failure.report("relay worker 0 panicked".to_owned());
        let (epoll, mut events) = (Epoll::new().unwrap(), Events::new(1));
        epoll.add(server.records(), 0, Trigger::Level).unwrap();
        let mut records = server.records().take();
        while records.last().is_none_or(|record| record.event != "media_server_failed") {
            epoll.wait(&mut events, Some(Duration::from_secs(20))).unwrap();
            assert!(!events.is_empty(), "only {records:?}");
            records.extend(server.records().take());
        }
        assert_eq!(records.last().unwrap().fields_json(), r#"{"why":"relay worker 0 panicked"}"#);
        assert_eq!(server.failure(), Some("relay worker 0 panicked"));
        assert_eq!(server.statistics_json(), Err(Stopped));
        UdpSocket::bind(server.listen_ng()).expect("the control port is free");
    }
}
