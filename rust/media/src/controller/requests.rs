//! What offers, answers, deletes, queries and pings do to the table of calls.

use mediaha_ng::{Adoption, Delete, Media, Query, Reply};
use mediaha_time::{Duration, Time};

use super::Controller;
use super::admission::Comer;
use super::blocking::Blocked;
use super::call::{Call, Dialogue};
use super::config::ControllerConfig;
use super::exchange::{Act, Exchange};
use super::expiry;
use super::matching::{self, Names};
use super::refusal::Refusal;
use super::report;
use super::switchboard::Switchboard;
use crate::blocks::Blocks;
use crate::datapath::Datapath;
use crate::plan::Side;
use crate::sdp::{self, Description, Profile};

/// The longest call-id, tag or branch that is kept, in bytes.
const NAME_BYTES_MAX: usize = 1_024;

impl Controller {
    /// Begins a call or a branch of it, or changes one.
    pub(super) fn offer(&mut self, media: &Media, datapath: &mut dyn Datapath, now: Time) -> Reply {
        self.passed_over.note(&media.options);
        let outcome = self.try_offer(media, Comer::New, datapath, now).map(Reply::Sdp);
        self.counted.offers += u64::from(outcome.is_ok());
        self.replied(outcome, media.options.supports_load_limit)
    }

    /// Takes the answer to an offer.
    pub(super) fn answer(&mut self, media: &Media, datapath: &mut dyn Datapath, now: Time) -> Reply {
        self.passed_over.note(&media.options);
        let outcome = self.try_answer(media, &media.sdp, datapath, now).map(Reply::Sdp);
        self.counted.answers += u64::from(outcome.is_ok());
        self.replied(outcome, media.options.supports_load_limit)
    }

    /// Takes an offer and the answer to it, or neither: a call that is new with them is not kept when the answer is no good.
    pub(super) fn take_over(&mut self, adoption: &Adoption, datapath: &mut dyn Datapath, now: Time) -> Reply {
        let Adoption { offer, answer_sdp } = adoption;
        let was_known = self.calls.find(&offer.call_id).is_some();
        let outcome = self.try_offer(offer, Comer::Bereft, datapath, now).and_then(|sdp| {
            let Some(answer_sdp) = answer_sdp else { return Ok(Reply::Sdp(sdp)) };
            let answered = self.try_answer(offer, answer_sdp, datapath, now);
            if answered.is_err() && !was_known {
                self.end(&offer.call_id, datapath, now);
            }
            answered.map(|answer_sdp| Reply::Adopted { sdp, answer_sdp })
        });
        self.counted.offers += u64::from(outcome.is_ok());
        self.counted.answers += u64::from(matches!(outcome, Ok(Reply::Adopted { .. })));
        self.replied(outcome, offer.options.supports_load_limit)
    }

    /// Ends a call at once, with all its streams.
    pub(super) fn end(&mut self, call_id: &[u8], datapath: &mut dyn Datapath, now: Time) {
        let Some(call) = self.calls.remove(call_id) else { return };
        let mut board = Switchboard { datapath, ledger: &mut self.ledger, now };
        for dialogue in &call.dialogues {
            board.end_dialogue(dialogue);
        }
    }

    /// Ends what the tags and the branch name, now or later. Deleting nothing is not an error, unless the client says so: it
    /// wanted it gone, and it is.
    pub(super) fn delete(&mut self, delete: &Delete, datapath: &mut dyn Datapath, now: Time) -> Reply {
        let (from, to) = (delete.from_tag.as_deref(), delete.to_tag.as_deref());
        let named = |call: &Call| matching::named(&call.dialogues, from, to, delete.via_branch.as_deref());
        let meant = self.calls.find(&delete.call_id).map(named).unwrap_or_default();
        let call = self.calls.find_mut(&delete.call_id).filter(|_| !meant.is_empty());
        let Some(call) = call else {
            return if delete.fatal {
                self.replied(Err(Refusal::NothingDeleted), false)
            } else {
                report::nothing_deleted()
            };
        };
        self.counted.deletes += 1;
        let summary = report::call(call, call.dialogues.iter(), datapath, &self.config);
        let delay = delete.delay_s.map_or(self.config.delete_delay, |s| Duration::from_secs(u64::from(s)));
        let whole = meant.len() == call.dialogues.len();
        if whole && !delay.is_zero() {
            call.ends_at = Some(now + delay);
            self.calls.check_at(&delete.call_id, now + delay);
            return summary;
        }
        let mut board = Switchboard { datapath, ledger: &mut self.ledger, now };
        for index in meant.into_iter().rev() {
            board.end_dialogue(&call.dialogues.remove(index));
        }
        if whole {
            self.calls.remove(&delete.call_id);
        }
        summary
    }

    /// What is known of one call, or of the dialogues in it that the tags name.
    pub(super) fn query(&mut self, query: &Query, datapath: &dyn Datapath) -> Reply {
        match self.calls.find(&query.call_id) {
            Some(call) => {
                let (from, to) = (query.from_tag.as_deref(), query.to_tag.as_deref());
                let meant = matching::named(&call.dialogues, from, to, None);
                let meant = meant.into_iter().map(|index| &call.dialogues[index]);
                report::call(call, meant, datapath, &self.config)
            }
            None => self.replied(Err(Refusal::UnknownCall), false),
        }
    }

    /// That this server lives, who it is, and how much it could still take.
    pub(super) fn pong(&self, datapath: &dyn Datapath) -> Reply {
        let sessions = percent(self.calls.counted() as u64, self.config.sessions_max as u64);
        let load = datapath.load();
        let ports = percent(u64::from(load.ports_open), u64::from(load.ports_max));
        Reply::Pong {
            instance: Some(self.config.instance.clone()),
            load: Some(sessions.max(ports).max(load.for_new_calls_permille() / 10)),
            draining: self.draining,
            adopts: true,
        }
    }

    fn try_offer(
        &mut self,
        media: &Media,
        comer: Comer,
        datapath: &mut dyn Datapath,
        now: Time,
    ) -> Result<Vec<u8>, Refusal> {
        let mut description = self.description(media, &media.sdp)?;
        description.strip(&media.options.codecs);
        if let Some(wanted) = media.options.transport_protocol.as_deref().and_then(Profile::of_untrusted)
            && !description.can_be_shown_as(wanted)
        {
            return Err(Refusal::Keys);
        }
        let Some(call) = self.calls.find_mut(&media.call_id) else {
            self.admit(comer, &datapath.load())?;
            return self.begin(media, &description, datapath, now);
        };
        let names = names(media);
        let mut board = Switchboard { datapath, ledger: &mut self.ledger, now };
        let sdp = if let Some((index, side)) = matching::offer(&call.dialogues, names) {
            let dialogue = &mut call.dialogues[index];
            let sdp = exchange(Act::Offer, side, &description, media, &self.config).apply(dialogue, &mut board)?;
            name_other(dialogue, side, names);
            sdp
        } else {
            let crowded_out = crowded_out(call, self.config.dialogues_max)?;
            let mut dialogue = new_dialogue(names, now);
            dialogue.blocked = of_a_further_dialogue(call, names.from_tag);
            let exchange = exchange(Act::Offer, Side::A, &description, media, &self.config);
            let sdp = exchange.apply(&mut dialogue, &mut board)?;
            if let Some(index) = crowded_out {
                board.end_dialogue(&call.dialogues.remove(index));
            }
            call.dialogues.push(dialogue);
            sdp
        };
        call.touched(now);
        self.reschedule(&media.call_id);
        Ok(sdp)
    }

    /// The first offer of a call.
    fn begin(
        &mut self,
        media: &Media,
        description: &Description,
        datapath: &mut dyn Datapath,
        now: Time,
    ) -> Result<Vec<u8>, Refusal> {
        let exchange = exchange(Act::Offer, Side::A, description, media, &self.config);
        let mut board = Switchboard { datapath, ledger: &mut self.ledger, now };
        let mut dialogue = new_dialogue(names(media), now);
        let sdp = exchange.apply(&mut dialogue, &mut board)?;
        let mut call =
            Call { created: now, signalled: now, ends_at: None, check_at: now, dialogues: vec![dialogue] };
        call.check_at = expiry::end_of(&call, None, &self.config).0;
        self.calls.insert(&media.call_id, call);
        self.counted.sessions_total += 1;
        Ok(sdp)
    }

    /// Takes the answer `sdp`; the rest of `media` says to what.
    fn try_answer(
        &mut self,
        media: &Media,
        sdp: &[u8],
        datapath: &mut dyn Datapath,
        now: Time,
    ) -> Result<Vec<u8>, Refusal> {
        let description = self.description(media, sdp)?;
        let names = names(media);
        let call = self.calls.find_mut(&media.call_id).ok_or(Refusal::UnknownCall)?;
        let (index, side) = matching::answer(&call.dialogues, names).ok_or(Refusal::UnknownCall)?;
        let dialogue = &mut call.dialogues[index];
        let mut board = Switchboard { datapath, ledger: &mut self.ledger, now };
        let sdp = exchange(Act::Answer, side, &description, media, &self.config).apply(dialogue, &mut board)?;
        if side == Side::B {
            let tags_swapped =
                media.to_tag.as_ref() == Some(&dialogue.offerer) && media.from_tag != dialogue.offerer;
            let answerer = if tags_swapped { Some(&media.from_tag) } else { media.to_tag.as_ref() };
            dialogue.answerer = answerer.cloned();
        }
        call.touched(now);
        self.reschedule(&media.call_id);
        Ok(sdp)
    }

    /// The SDP, if this server would relay it, and keep the names of `media`.
    fn description(&self, media: &Media, sdp: &[u8]) -> Result<Description, Refusal> {
        let tags = [Some(&media.call_id), Some(&media.from_tag), media.to_tag.as_ref(), media.via_branch.as_ref()];
        if tags.into_iter().chain([media.options.label.as_ref()]).flatten().any(|name| name.len() > NAME_BYTES_MAX)
        {
            return Err(Refusal::NameTooLong);
        }
        if sdp.len() > self.config.sdp_bytes_max {
            return Err(Refusal::TooLarge);
        }
        let description = sdp::description_untrusted(sdp)?;
        if description.media().len() > self.config.streams_max { Err(Refusal::TooLarge) } else { Ok(description) }
    }

    /// Sets the clock by what a call has become. Being heard is found out when the clock strikes.
    fn reschedule(&mut self, call_id: &[u8]) {
        if let Some(call) = self.calls.find(call_id) {
            let (at, _) = expiry::end_of(call, None, &self.config);
            self.calls.check_at(call_id, at);
        }
    }

    pub(super) fn replied(&mut self, outcome: Result<Reply, Refusal>, supports_load_limit: bool) -> Reply {
        match outcome {
            Ok(reply) => reply,
            Err(refusal) => {
                self.counted.refused += 1;
                if let Some(wanting) = refusal.wanting() {
                    self.counted.refused_calls[wanting as usize] += 1;
                }
                refusal.reply(supports_load_limit)
            }
        }
    }
}

impl Call {
    /// An offer or answer has come: a deletion that was under way is called off.
    fn touched(&mut self, now: Time) {
        self.signalled = now;
        self.ends_at = None;
    }
}

fn names(media: &Media) -> Names<'_> {
    Names { from_tag: &media.from_tag, to_tag: media.to_tag.as_deref(), via_branch: media.via_branch.as_deref() }
}

/// What is withheld from the beginning: what is withheld of everybody, and of the same party elsewhere in the call.
fn of_a_further_dialogue(call: &Call, offerer: &[u8]) -> Blocked {
    let everybody = call.dialogues.first().map(|it| it.blocked.everybody).unwrap_or_default();
    let same = call.dialogues.iter().find(|it| it.offerer == offerer).map(|it| it.blocked.parties[0]);
    Blocked { everybody, parties: [same.unwrap_or_default(), Blocks::default()] }
}

fn new_dialogue(names: Names<'_>, now: Time) -> Dialogue {
    Dialogue::new(names.from_tag, names.to_tag, names.via_branch, now)
}

/// A re-offer may be the first to name the other party, by either tag.
fn name_other(dialogue: &mut Dialogue, side: Side, names: Names<'_>) {
    let other = match side {
        Side::A => names.to_tag,
        Side::B => Some(names.from_tag),
    };
    if let (None, Some(tag)) = (&dialogue.answerer, other) {
        dialogue.answerer = Some(tag.to_vec());
    }
}

/// Which dialogue must go for another one: the oldest that was never answered. A caller that tries one destination
/// after the other may not have told us that it gave up. `None`: there is room.
fn crowded_out(call: &Call, dialogues_max: usize) -> Result<Option<usize>, Refusal> {
    if call.dialogues.len() < dialogues_max {
        return Ok(None);
    }
    call.dialogues.iter().position(|it| !it.answered).map(Some).ok_or(Refusal::Sessions)
}

fn exchange<'a>(
    act: Act,
    from: Side,
    description: &'a Description,
    media: &'a Media,
    config: &'a ControllerConfig,
) -> Exchange<'a> {
    let anew = act == Act::Offer && media.to_tag.is_some();
    Exchange { act, from, anew, description, options: &media.options, config }
}

fn percent(part: u64, whole: u64) -> u32 {
    u32::try_from((part * 100).checked_div(whole).unwrap_or(0)).unwrap_or(u32::MAX)
}
