//! A media-server process's end of the line to the keeper, before it is a media server.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use mediaha_time::Duration;

use super::message::{Key, MESSAGE_MAX, Message};
use crate::sys::{Epoll, Events, ParcelSocket, Trigger, monotonic};

/// How long the keeper, a thread that never waits, may take to say what it has.
const PATIENCE: Duration = Duration::from_secs(5);

/// The line. Reading it comes first, see [`Line::assignment`].
#[derive(Debug)]
pub struct Line {
    socket: ParcelSocket,
    assigned: Option<Vec<u8>>,
}

impl Line {
    /// The line that this process was started with, which is this value's from here on.
    ///
    /// # Errors
    /// `fd` is not open.
    pub fn inherited(fd: RawFd) -> io::Result<Self> {
        ParcelSocket::inherited(fd).map(Self::over)
    }

    pub(super) fn over(socket: ParcelSocket) -> Self {
        Self { socket, assigned: None }
    }

    /// Says that this process can take the place of another one at once.
    ///
    /// # Errors
    /// The keeper is gone.
    pub fn ready(&self) -> io::Result<()> {
        self.socket.send(&Message::Ready.to_bytes(), &[])
    }

    /// Whose place this process takes, in the supervisor's words; waits for it as long as it takes.
    ///
    /// # Errors
    /// The keeper is gone, or says something unheard of.
    pub fn assignment(&mut self) -> io::Result<&[u8]> {
        if self.assigned.is_none() {
            let (message, _) = self.next(None)?;
            let Message::Assigned(words) = message else { return Err(io::ErrorKind::InvalidData.into()) };
            self.assigned = Some(words);
        }
        Ok(self.assigned.as_deref().unwrap_or_default())
    }

    /// What that one has left.
    ///
    /// # Errors
    /// As [`Self::assignment`].
    pub(crate) fn inherit(&mut self) -> io::Result<HashMap<Key, OwnedFd>> {
        self.assignment()?;
        let mut inherited = HashMap::new();
        loop {
            match self.next(Some(PATIENCE))? {
                (Message::Keep(keys), descriptors) => inherited.extend(keys.into_iter().zip(descriptors)),
                (Message::Complete, _) => return Ok(inherited),
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Waits until the keeper says that it has done what it was asked.
    pub(super) fn hear_complete(&self) -> io::Result<()> {
        while self.next(Some(PATIENCE))?.0 != Message::Complete {}
        Ok(())
    }

    pub(super) fn into_socket(self) -> ParcelSocket {
        self.socket
    }

    fn next(&self, patience: Option<Duration>) -> io::Result<(Message, Vec<OwnedFd>)> {
        let give_up_at = patience.map(|patience| monotonic() + patience);
        let mut buffer = vec![0; MESSAGE_MAX];
        let (epoll, mut events) = (Epoll::new()?, Events::new(1));
        epoll.add(self, 0, Trigger::Level)?;
        loop {
            match self.socket.receive(&mut buffer) {
                Ok(Some(parcel)) => {
                    let message = Message::read_untrusted(&buffer[..parcel.length]);
                    let complete = match &message {
                        // Ports that could not be taken over are bound anew.
                        Some(Message::Keep(keys)) => parcel.cut || keys.len() == parcel.descriptors.len(),
                        _ => !parcel.cut,
                    };
                    let message = message.filter(|_| complete).ok_or(io::ErrorKind::InvalidData)?;
                    return Ok((message, parcel.descriptors));
                }
                Ok(None) => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if give_up_at.is_some_and(|at| monotonic() >= at) => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(_) => epoll.wait(&mut events, give_up_at.map(|at| at.since(monotonic())))?,
            }
        }
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Line {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
