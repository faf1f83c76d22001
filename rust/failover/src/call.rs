//! What both parties of a call have last agreed to: all that is needed to create its media anew.
//!
//! ```text
//!   offer of the caller     answer            offer of either party          answer
//!  ─────────────────────▶ ringing ─────▶ agreed ─────────────────▶ proposed ─────────▶ agreed
//!                                          ▲                          │ refused: nothing is told,
//!                                          └──────────────────────────┘ the next offer replaces it
//! ```
//!
//! A re-offer counts only once it is answered (RFC 3261 section 14.1: a refused one leaves the session as it was).
//! While it waits for its answer it is kept beside the agreement, so that the answer finds it on a new server too.

use crate::story::Asked;

/// An SDP on its way from one party to the other. In an answer, `from` is still the one who made the offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Option<Vec<u8>>,
    pub(crate) sdp: Vec<u8>,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Caller,
    Callee,
}

/// One request of those that create a call anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) asked: Asked,
    pub(crate) proposal: Proposal,
    /// Whom the SDP in the reply is for.
    pub(crate) reply_is_for: Party,
}

/// Both parties' last word.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    caller_tag: Vec<u8>,
    caller_sdp: Vec<u8>,
    callee_tag: Option<Vec<u8>>,
    callee_sdp: Option<Vec<u8>>,
    /// A later offer that a server took and nobody has answered.
    proposed: Option<Proposal>,
}

impl Agreement {
    /// A first offer.
    pub(crate) fn new(offer: Proposal) -> Self {
        Self {
            caller_tag: offer.from,
            caller_sdp: offer.sdp,
            callee_tag: offer.to,
            callee_sdp: None,
            proposed: None,
        }
    }

    /// A call as somebody else left it. An answer without a tag for its sender is not one.
    pub(crate) fn adopted(caller: Proposal, callee_sdp: Option<Vec<u8>>) -> Self {
        let callee_sdp = callee_sdp.filter(|_| caller.to.is_some());
        Self { callee_sdp, ..Self::new(caller) }
    }

    /// Whether the callee has answered, so that there is sound to be saved.
    pub(crate) fn is_answered(&self) -> bool {
        self.callee_sdp.is_some()
    }

    /// A further offer is on its way, so the one before it was refused: there is only one at a time (RFC 3264
    /// section 4).
    pub(crate) fn offering(&mut self) {
        self.proposed = None;
    }

    /// A server has taken this offer.
    pub(crate) fn offered(&mut self, offer: Proposal) {
        if offer.from != self.caller_tag {
            self.callee_tag = Some(offer.from.clone());
            self.proposed = Some(offer);
            return;
        }
        if offer.to.is_some() {
            self.callee_tag.clone_from(&offer.to);
        }
        if self.callee_sdp.is_none() {
            self.caller_sdp = offer.sdp;
        } else {
            self.proposed = Some(offer);
        }
    }

    /// A server has taken this answer.
    pub(crate) fn answered(&mut self, answer: Proposal) {
        if let Some(offer) = self.proposed.take_if(|offer| offer.from == answer.from) {
            self.agree(Some(&offer.from), offer.sdp);
        }
        self.agree(answer.to.as_deref(), answer.sdp);
    }

    /// The requests, in order, that create the call anew. Nothing after the last.
    pub(crate) fn step(&self, number: usize) -> Option<Step> {
        let rebuilt = if self.is_answered() { 2 } else { 1 };
        match number {
            0 => Some(self.offer_step()),
            1 if rebuilt == 2 => self.answer_step(),
            number if number == rebuilt => self.proposed.as_ref().map(|offer| Step {
                asked: Asked::Offer,
                reply_is_for: if offer.from == self.caller_tag { Party::Callee } else { Party::Caller },
                proposal: offer.clone(),
            }),
            _ => None,
        }
    }

    /// The requests that create the call anew, but for the re-offer that nobody has answered, as one.
    pub(crate) fn adoption(&self) -> (Proposal, Option<Vec<u8>>) {
        (self.offer_step().proposal, self.callee_sdp.clone())
    }

    fn offer_step(&self) -> Step {
        let (from, to, sdp) = (self.caller_tag.clone(), self.callee_tag.clone(), self.caller_sdp.clone());
        Step { asked: Asked::Offer, proposal: Proposal { from, to, sdp }, reply_is_for: Party::Callee }
    }

    fn answer_step(&self) -> Option<Step> {
        let (from, to) = (self.caller_tag.clone(), self.callee_tag.clone());
        let sdp = self.callee_sdp.clone()?;
        Some(Step { asked: Asked::Answer, proposal: Proposal { from, to, sdp }, reply_is_for: Party::Caller })
    }

    /// The party with this tag has committed itself to `sdp`.
    fn agree(&mut self, tag: Option<&[u8]>, sdp: Vec<u8>) {
        if tag == Some(&self.caller_tag) {
            self.caller_sdp = sdp;
        } else {
            self.callee_tag = tag.map(<[u8]>::to_vec).or(self.callee_tag.take());
            self.callee_sdp = Some(sdp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal(from: &str, to: Option<&str>, sdp: &str) -> Proposal {
        Proposal { from: from.into(), to: to.map(Into::into), sdp: sdp.into() }
    }

    fn script(agreement: &Agreement) -> Vec<(Asked, String, String)> {
        (0..)
            .map_while(|number| agreement.step(number))
            .map(|step| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                (step.asked, text(&step.proposal.from), text(&step.proposal.sdp))
            })
            .collect()
    }

    fn steps(expected: &[(Asked, &str, &str)]) -> Vec<(Asked, String, String)> {
        expected.iter().map(|&(asked, from, sdp)| (asked, from.to_owned(), sdp.to_owned())).collect()
    }

    #[test]
    fn a_ringing_call_is_created_anew_with_the_offer_alone() {
        let mut agreement = Agreement::new(proposal("a", None, "a1"));
        assert_eq!(script(&agreement), steps(&[(Asked::Offer, "a", "a1")]));
        agreement.offered(proposal("a", None, "a2"));
        assert_eq!(script(&agreement), steps(&[(Asked::Offer, "a", "a2")]));
    }

    #[test]
    fn a_re_offer_counts_only_once_it_is_answered() {
        let mut agreement = Agreement::new(proposal("a", None, "a1"));
        agreement.answered(proposal("a", Some("b"), "b1"));
        agreement.offered(proposal("b", Some("a"), "b2"));
        let before = [(Asked::Offer, "a", "a1"), (Asked::Answer, "a", "b1"), (Asked::Offer, "b", "b2")];
        assert_eq!(script(&agreement), steps(&before));
        agreement.answered(proposal("b", Some("a"), "a2"));
        assert_eq!(script(&agreement), steps(&[(Asked::Offer, "a", "a2"), (Asked::Answer, "a", "b2")]));
    }
}
