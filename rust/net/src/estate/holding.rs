//! What a running media server leaves, as its control thread has it.

use std::collections::HashMap;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use mediaha_media::{Controller, Written};
use mediaha_time::Duration;

use super::courier::Courier;
use super::line::Line;
use super::lives::Lives;
use super::message::{Key, MESSAGE_MAX, Message};
use super::table::{Shape, Table};
use crate::sys::ParcelSocket;
use crate::sys::udp::UdpSocket;

/// How soon it is tried again to send to a keeper that is busy.
const NAP: Duration = Duration::from_millis(1);

/// What a datapath needs so that its parts outlive it.
#[derive(Debug)]
pub struct Share {
    pub(crate) courier: Courier,
    pub(crate) lives: Lives,
    /// What a former life of the server has left; what is taken out is ours.
    pub(crate) inherited: HashMap<Key, OwnedFd>,
}

/// The table of calls, and the line to the keeper.
#[derive(Debug)]
pub(crate) struct Estate {
    table: Table,
    courier: Courier,
    ear: ParcelSocket,
}

/// What a keeper may say to a server that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Another process is to go on.
    HandOver,
    /// Nothing that concerns it.
    Nothing,
    /// There is none any more.
    Gone,
}

/// What was found at the start.
#[derive(Debug)]
pub(crate) struct Claim {
    courier: Courier,
    ear: ParcelSocket,
    owner: u64,
    inherited: HashMap<Key, OwnedFd>,
    /// Something was left, whatever has become of it.
    inherited_any: bool,
}

/// A server's former life.
#[derive(Debug)]
pub(crate) struct Legacy {
    pub(crate) written: Written,
    pub(crate) instance: Vec<u8>,
}

impl Claim {
    /// Takes what a former life has left, if anything. `configuration` is everything that must not have changed since.
    ///
    /// # Errors
    /// The keeper is gone, or says something unheard of.
    pub(crate) fn on(mut line: Line, configuration: &str) -> io::Result<Self> {
        let inherited = line.inherit()?;
        let socket = line.into_socket();
        let ear = ParcelSocket::from(socket.as_fd().try_clone_to_owned()?);
        let (owner, inherited_any) = (fingerprint(configuration), !inherited.is_empty());
        Ok(Self { courier: Courier::new(socket), ear, owner, inherited, inherited_any })
    }

    /// Lets go of what was left, and waits until the keeper has: programs that were left at work would get in the way.
    fn discard(&mut self) -> io::Result<()> {
        self.inherited.clear();
        self.courier.say(Message::Discard);
        while self.courier.flush()? {
            thread::sleep(NAP);
        }
        Line::over(self.ear.as_fd().try_clone_to_owned()?.into()).hear_complete()
    }

    /// The socket of the control port. It is good whatever becomes of the calls, and requests may wait in it.
    pub(crate) fn control(&mut self) -> Option<UdpSocket> {
        self.inherited.remove(&Key::Control).map(UdpSocket::from)
    }

    /// Whether the former life steered its packets.
    pub(crate) fn steered(&self) -> bool {
        self.inherited.contains_key(&Key::Steered)
    }

    /// The table of a former life; `None` if there was none.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(crate) fn open(&mut self) -> Option<Result<(Estate, Legacy, Share), String>> {
        let memory = self.inherited.remove(&Key::Memory)?;
        Some(match Table::open(memory, self.owner) {
            Ok(Ok((table, found))) => {
                let legacy = Legacy { written: found.written, instance: found.instance.to_vec() };
                self.estate(table).map_err(|error| error.to_string()).map(|estate| {
                    let share = estate.share(mem::take(&mut self.inherited));
                    (estate, legacy, share)
                })
            }
            Ok(Err(damage)) => Err(damage.to_string()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// An empty table, for a server of this `instance`. What was left before is let go of.
    ///
    /// # Errors
    /// No descriptor or memory is left.
    pub(crate) fn begin(
        &mut self,
        instance: [u8; 16],
        calls_max: usize,
        streams_max: usize,
    ) -> io::Result<(Estate, Share)> {
        if self.inherited_any {
            self.discard()?;
        }
        let table = Table::new(Shape { owner: self.owner, calls_max, streams_max }, instance)?;
        self.courier.keep(Key::Memory, table.descriptor());
        let estate = self.estate(table)?;
        let share = estate.share(HashMap::new());
        Ok((estate, share))
    }

    fn estate(&self, table: Table) -> io::Result<Estate> {
        let ear = ParcelSocket::from(self.ear.as_fd().try_clone_to_owned()?);
        Ok(Estate { table, courier: self.courier.clone(), ear })
    }
}

impl Estate {
    fn share(&self, inherited: HashMap<Key, OwnedFd>) -> Share {
        Share { courier: self.courier.clone(), lives: self.table.lives(), inherited }
    }

    /// Has the socket of the control port outlive us.
    pub(crate) fn keep_control(&self, socket: &UdpSocket) {
        self.courier.keep(Key::Control, socket.as_fd());
    }

    /// Writes down what has changed.
    pub(crate) fn write_down(&mut self, controller: &mut Controller) {
        let changed = controller.take_changed();
        if changed.is_empty() {
            return;
        }
        for call_id in &changed {
            self.table.put(call_id, controller.written_call(call_id).as_deref());
        }
        self.write_ledger(controller);
    }

    /// Writes down what outlives every call.
    pub(crate) fn write_ledger(&mut self, controller: &Controller) {
        self.table.put_ledger(&controller.written_ledger());
    }

    /// Sends the keeper what it is to keep; whether some is left to be sent soon. A keeper that is gone keeps nothing: whoever
    /// holds the other end of our standard input then ends us, too.
    pub(crate) fn flush(&self) -> bool {
        self.courier.flush().unwrap_or(false)
    }

    /// What the keeper says.
    pub(crate) fn heard(&self) -> Heard {
        let mut buffer = [0; MESSAGE_MAX];
        match self.ear.receive(&mut buffer) {
            Ok(Some(parcel)) if buffer[..parcel.length] == Message::HandOver.to_bytes() => Heard::HandOver,
            Ok(None) => Heard::Gone,
            Ok(Some(_)) | Err(_) => Heard::Nothing,
        }
    }

    /// Says that nothing is to be kept, and closes the line.
    pub(crate) fn farewell(self) {
        self.courier.say(Message::Farewell);
        self.flush();
        self.courier.close();
    }

    /// Closes the line, upon which the keeper gives what is there to another process. Nobody of us may use it any more.
    pub(crate) fn leave(self) {
        self.flush();
        self.courier.close();
    }
}

/// Readable when the keeper has something to say.
impl AsFd for Estate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ear.as_fd()
    }
}

/// FNV-1a: two configurations that differ have, but for one chance in 2⁶⁴, different numbers.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
