//! A media server of the stories: what it knows, how it misbehaves, and what it answers.

use std::collections::BTreeMap;

use mediaha_failover::{AddressFamily, Cookie, ServerId};
use mediaha_ng::{Adoption, Reply, Request};
use mediaha_time::Duration;

/// A server: what it knows, and how it behaves.
#[allow(clippy::struct_excessive_bools, reason = "each is one way to misbehave")]
pub(crate) struct Server {
    pub(crate) id: ServerId,
    pub(crate) up: bool,
    pub(crate) hung: bool,
    /// Whether its host says that nobody listens, when nobody does.
    pub(crate) refuses: bool,
    /// What it answers to offers and answers instead of doing them.
    pub(crate) error: Option<&'static str>,
    /// It answers offers and answers so much later; and this is for pings.
    pub(crate) slow: Duration,
    pub(crate) slow_pongs: Duration,
    /// It does not tell its instance.
    pub(crate) is_foreign: bool,
    pub(crate) draining: bool,
    /// It answers, and forwards nothing; or so much later.
    pub(crate) gray: bool,
    pub(crate) late: Duration,
    /// It forwards nothing of what comes from the first party.
    pub(crate) gray_one_way: bool,
    /// It takes calls over with one request, and says so; or only says so.
    pub(crate) adopts: bool,
    pub(crate) adopts_no_more: bool,
    /// It has addresses of this family alone.
    pub(crate) only: Option<AddressFamily>,
    pub(crate) life: u8,
    /// Its calls, and the SDP each party was last heard to say.
    pub(crate) calls: BTreeMap<String, BTreeMap<String, String>>,
    /// Every request other than pings, retransmissions included.
    pub(crate) asked: Vec<String>,
    pub(crate) waiting: Vec<(Cookie, Request)>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            id: ServerId(0),
            up: true,
            hung: false,
            refuses: true,
            error: None,
            slow: Duration::ZERO,
            slow_pongs: Duration::ZERO,
            is_foreign: false,
            draining: false,
            gray: false,
            late: Duration::ZERO,
            gray_one_way: false,
            adopts: false,
            adopts_no_more: false,
            only: None,
            life: 1,
            calls: BTreeMap::new(),
            asked: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// A session of the pool's own, and not what it knew before it was restarted.
    pub(crate) fn forwards(&self) -> bool {
        self.up && !self.hung && !self.gray && self.calls.keys().any(|call| is_probe(call))
    }

    /// What it was asked, the probe's session left out.
    pub(crate) fn asked_for_calls(&self) -> Vec<&str> {
        self.asked.iter().map(String::as_str).filter(|asked| !asked.contains(mediaha_ng::PROBE_CALL_IDS)).collect()
    }

    /// Its own address in the SDP, of the family that is asked for if it has one.
    fn rewritten(&self, name: &str, sdp: &str, family: Option<AddressFamily>) -> Vec<u8> {
        let address = match family.map(|wanted| self.only.unwrap_or(wanted)) {
            None => String::new(),
            Some(AddressFamily::V4) => "\nc=IN IP4 10.0.0.1".to_owned(),
            Some(AddressFamily::V6) => "\nc=IN IP6 ::1".to_owned(),
        };
        let sdp = if family.is_some() { "" } else { sdp };
        format!("{sdp}@{name}{address}").into_bytes()
    }

    pub(crate) fn reply(&mut self, name: &str, request: &Request) -> Reply {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        match request {
            Request::Ping => {
                let instance = (!self.is_foreign).then(|| vec![self.life]);
                Reply::Pong { instance, load: None, draining: self.draining, adopts: self.adopts }
            }
            Request::Offer(media) | Request::Answer(media) => {
                let is_offer = matches!(request, Request::Offer(_));
                let (call, sdp) = (text(&media.call_id), text(&media.sdp));
                let speaker = if is_offer { text(&media.from_tag) } else { text(media.to_tag.as_ref().unwrap()) };
                let to = media
                    .options
                    .address_family
                    .map(|family| format!(" to {}", family.text()))
                    .unwrap_or_default();
                self.asked.push(format!("{} {call} {sdp}{to}", if is_offer { "offer" } else { "answer" }));
                if let Some(error) = self.error {
                    return Reply::error(error);
                }
                if !is_offer && !self.calls.contains_key(&call) {
                    return Reply::error(mediaha_ng::reason::UNKNOWN_CALL);
                }
                self.calls.entry(call).or_default().insert(speaker, sdp.clone());
                Reply::Sdp(self.rewritten(name, &sdp, media.options.address_family))
            }
            Request::Adopt(_) if self.adopts_no_more => {
                self.adopts = false;
                Reply::error(mediaha_ng::reason::UNRECOGNIZED_COMMAND)
            }
            Request::Adopt(Adoption { offer, answer_sdp }) if self.adopts => {
                let call = text(&offer.call_id);
                let answer = answer_sdp.as_ref().map(|answer| text(answer));
                self.asked.push(format!("adopt {call} {} {}", text(&offer.sdp), answer.as_deref().unwrap_or("-")));
                if let Some(error) = self.error {
                    return Reply::error(error);
                }
                let parties = self.calls.entry(call).or_default();
                parties.insert(text(&offer.from_tag), text(&offer.sdp));
                let families =
                    (offer.options.address_family, offer.options.address_family.map(|_| family_of(&offer.sdp)));
                let sdp = self.rewritten(name, &text(&offer.sdp), families.0);
                let Some(answer) = answer else { return Reply::Sdp(sdp) };
                let parties = self.calls.entry(text(&offer.call_id)).or_default();
                parties.insert(text(offer.to_tag.as_ref().unwrap()), answer.clone());
                Reply::Adopted { sdp, answer_sdp: self.rewritten(name, &answer, families.1) }
            }
            Request::Delete(delete) => {
                let call = text(&delete.call_id);
                self.asked.push(format!("delete {call}"));
                self.calls.remove(&call);
                Reply::ok()
            }
            Request::Query(query) if self.calls.contains_key(&text(&query.call_id)) => Reply::ok(),
            _ => Reply::error(mediaha_ng::reason::UNKNOWN_CALL),
        }
    }
}

fn family_of(sdp: &[u8]) -> AddressFamily {
    if sdp.starts_with(b"c=IN IP6") { AddressFamily::V6 } else { AddressFamily::V4 }
}

pub(crate) fn is_probe(call: &str) -> bool {
    call.starts_with(mediaha_ng::PROBE_CALL_IDS)
}
