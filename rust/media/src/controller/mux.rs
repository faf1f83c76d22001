//! RTP and RTCP on one port (RFC 5761 §5.1.1), agreed on with each party by itself.

use mediaha_ng::RtcpMux;

use crate::plan::Side;

/// What was asked in the last offer, and what is agreed. Arrays are indexed by [`Side::index`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mux {
    /// The party asked us, or we asked it.
    asked: [bool; 2],
    agreed: [bool; 2],
    answered: bool,
    to_offerer: ToOfferer,
}

/// What the offerer will be answered, if it asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ToOfferer {
    /// What the other party answers.
    #[default]
    Mirrored,
    Accepted,
    Refused,
}

impl Mux {
    /// Takes an offer by `from` that asks for multiplexing, or does not. Gives what the other party is asked.
    pub(super) fn offered(&mut self, from: Side, asks: bool, wish: RtcpMux) -> bool {
        let forwarded = !wish.demux && (asks || wish.offer || wish.require);
        self.asked[from.index()] = asks;
        self.asked[from.other().index()] = forwarded;
        self.to_offerer = if wish.reject {
            ToOfferer::Refused
        } else if wish.accept || wish.demux {
            ToOfferer::Accepted
        } else {
            ToOfferer::Mirrored
        };
        // A party may multiplex from the moment it answers, which may be before we hear of its answer.
        if !self.answered {
            self.agreed[from.other().index()] = forwarded;
        }
        forwarded
    }

    /// Takes an answer by `from`. Gives what the offerer is answered.
    pub(super) fn answered(&mut self, from: Side, accepts: bool, wish: RtcpMux) -> bool {
        let towards = match self.to_offerer {
            _ if wish.reject => false,
            _ if wish.accept => true,
            ToOfferer::Mirrored => accepts,
            ToOfferer::Accepted => true,
            ToOfferer::Refused => false,
        };
        self.answered = true;
        self.agreed[from.index()] = self.asked[from.index()] && accepts;
        self.agreed[from.other().index()] = self.asked[from.other().index()] && towards;
        self.agreed[from.other().index()]
    }

    /// All of it in a byte.
    pub(super) fn to_bits(self) -> u8 {
        let flags = [self.asked[0], self.asked[1], self.agreed[0], self.agreed[1], self.answered];
        let flags = flags.into_iter().zip(0..).fold(0, |bits, (flag, place)| bits | u8::from(flag) << place);
        flags | (self.to_offerer as u8) << 5
    }

    /// What [`Self::to_bits`] gave; `None` if it cannot have.
    pub(super) fn from_bits(bits: u8) -> Option<Self> {
        let flag = |place: u8| bits >> place & 1 == 1;
        let to_offerer = match bits >> 5 {
            0 => ToOfferer::Mirrored,
            1 => ToOfferer::Accepted,
            2 => ToOfferer::Refused,
            _ => return None,
        };
        Some(Self { asked: [flag(0), flag(1)], agreed: [flag(2), flag(3)], answered: flag(4), to_offerer })
    }

    /// Whether this party's RTP and RTCP share a port.
    pub(super) fn agreed(self, side: Side) -> bool {
        self.agreed[side.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(change: impl FnOnce(&mut RtcpMux)) -> RtcpMux {
        let mut wish = RtcpMux::default();
        change(&mut wish);
        wish
    }

    fn outcome(asks: bool, offer: RtcpMux, accepts: bool) -> (bool, bool, [bool; 2]) {
        let mut mux = Mux::default();
        let forwarded = mux.offered(Side::A, asks, offer);
        let answered = mux.answered(Side::B, accepts, RtcpMux::default());
        (forwarded, answered, [mux.agreed(Side::A), mux.agreed(Side::B)])
    }

    #[test]
    fn without_wishes_the_parties_agree_with_each_other() {
        assert_eq!(outcome(true, RtcpMux::default(), true), (true, true, [true, true]));
        assert_eq!(outcome(true, RtcpMux::default(), false), (true, false, [false, false]));
        assert_eq!(outcome(false, RtcpMux::default(), true), (false, false, [false, false]));
    }

    #[test]
    fn demux_multiplexes_with_the_offerer_alone() {
        assert_eq!(outcome(true, wish(|it| it.demux = true), false), (false, true, [true, false]));
    }

    #[test]
    fn an_offer_can_be_made_on_our_own() {
        assert_eq!(outcome(false, wish(|it| it.offer = true), true), (true, false, [false, true]));
    }

    #[test]
    fn a_refusal_towards_the_offerer_does_not_bind_the_other_party() {
        assert_eq!(outcome(true, wish(|it| it.reject = true), true), (true, false, [false, true]));
    }

    #[test]
    fn a_second_offer_changes_nothing_before_it_is_answered() {
        let mut mux = Mux::default();
        mux.offered(Side::A, true, RtcpMux::default());
        mux.answered(Side::B, true, RtcpMux::default());
        mux.offered(Side::B, false, RtcpMux::default());
        assert!(mux.agreed(Side::A) && mux.agreed(Side::B));
        mux.answered(Side::A, false, RtcpMux::default());
        assert!(!mux.agreed(Side::A) && !mux.agreed(Side::B));
    }
}
