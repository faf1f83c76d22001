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

use mediaha_ng::AddressFamily;

use crate::family;
use crate::story::Asked;

/// An SDP on its way from one party to the other. In an answer, `from` is still the one who made the offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Option<Vec<u8>>,
    pub(crate) sdp: Vec<u8>,
    /// What the party that it goes to is reached by; `None`: as its sender is.
    pub(crate) family: Option<AddressFamily>,
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
    /// What each is reached by, as session control has said last.
    caller_family: Option<AddressFamily>,
    callee_family: Option<AddressFamily>,
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
            caller_family: None,
            callee_family: offer.family,
            proposed: None,
        }
    }

    /// A call as somebody else left it. An answer without a tag for its sender is not one.
    pub(crate) fn adopted(caller: Proposal, callee_sdp: Option<Vec<u8>>) -> Self {
        let callee_sdp = callee_sdp.filter(|_| caller.to.is_some());
        let callee_family = caller.family.or_else(|| callee_sdp.as_deref().and_then(family::of));
        Self { callee_sdp, callee_family, ..Self::new(caller) }
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
            (self.caller_sdp, self.callee_family) = (offer.sdp, offer.family);
        } else {
            self.proposed = Some(offer);
        }
    }

    /// A server has taken this answer.
    pub(crate) fn answered(&mut self, answer: Proposal) {
        if let Some(offer) = self.proposed.take_if(|offer| offer.from == answer.from) {
            self.reached(offer.from != self.caller_tag, offer.family);
            self.agree(Some(&offer.from), offer.sdp);
        }
        self.reached(answer.from == self.caller_tag, answer.family);
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
        let proposal = Proposal { from, to, sdp, family: self.callee_family };
        Step { asked: Asked::Offer, proposal, reply_is_for: Party::Callee }
    }

    fn answer_step(&self) -> Option<Step> {
        let (from, to) = (self.caller_tag.clone(), self.callee_tag.clone());
        let proposal = Proposal { from, to, sdp: self.callee_sdp.clone()?, family: self.caller_family };
        Some(Step { asked: Asked::Answer, proposal, reply_is_for: Party::Caller })
    }

    /// The address families that a server must have for the call, as far as that is known.
    pub(crate) fn families(&self) -> impl Iterator<Item = AddressFamily> {
        let caller = family::of(&self.caller_sdp).or(self.caller_family);
        [caller, self.callee_family].into_iter().flatten()
    }

    /// Session control has said what the caller, or else the callee, is reached by.
    fn reached(&mut self, is_caller: bool, family: Option<AddressFamily>) {
        let known = if is_caller { &mut self.caller_family } else { &mut self.callee_family };
        *known = family.or(*known);
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
        Proposal { from: from.into(), to: to.map(Into::into), sdp: sdp.into(), family: None }
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
