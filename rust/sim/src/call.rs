//! One call of the world's session control, as it is remembered.

use mediaha_failover::Token;

/// Where a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not yet begun.
    Idle,
    /// The first offer is being done.
    Setup,
    /// It has media on one side.
    Ringing,
    /// The answer is being done.
    Answering,
    /// Both talk.
    Talking,
    /// A re-offer is being done.
    Changing,
    /// The re-offer is done and waits for its answer.
    Changed,
    /// That answer is being done.
    Confirming,
    /// Over.
    Gone,
}

impl Call {
    /// The pool says that it is there now.
    pub(crate) fn place(&mut self, server: &str) {
        (self.server, self.stranded) = (Some(server.to_owned()), false);
        self.placed += 1;
    }
}

impl Phase {
    /// Whether a server has something of the call.
    pub(crate) const fn has_media(self) -> bool {
        !matches!(self, Self::Idle | Self::Setup | Self::Gone)
    }
}

/// One party's media.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leg {
    /// The port of the last SDP that both agreed on.
    pub(crate) port: u16,
    /// The ports of those that were offered since, and perhaps never agreed on.
    pub(crate) offered: Vec<u16>,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    /// As servers know it.
    pub(crate) id: Vec<u8>,
    /// Its servers in order.
    pub(crate) list: Vec<String>,
    /// Where it is.
    pub(crate) phase: Phase,
    /// Where its media is, as the pool has said last.
    pub(crate) server: Option<String>,
    /// How many places it has had.
    pub(crate) placed: u32,
    /// The pool has created it anew.
    pub(crate) has_moved: bool,
    /// The pool has said that nobody takes it.
    pub(crate) stranded: bool,
    /// Both parties; the caller first.
    pub(crate) legs: [Leg; 2],
    /// Who made the last re-offer, and with which port.
    pub(crate) change: (usize, u16),
    /// The command that is being done.
    pub(crate) open: Option<Token>,
}

/// The tags of both parties.
pub(crate) fn tags(id: &[u8]) -> [Vec<u8>; 2] {
    [[b"a-", id].concat(), [b"b-", id].concat()]
}

/// An SDP of one of the two: the caller is at 10.1.0.1, the callee at 10.1.0.2.
pub(crate) fn sdp(party: usize, port: u16) -> Vec<u8> {
    let address = format!("10.1.0.{}", party + 1);
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
    )
    .into_bytes()
}
