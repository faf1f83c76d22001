"""A call told step by step: both parties and the pool are played by the test, the clock is a number."""

from __future__ import annotations

import dataclasses

from mediaha.model.address import Address
from mediaha.model.media import Anchored, Fault, MediaRefused, Moved, Stranded
from mediaha.model.site import Domain
from mediaha.nets.call import Over, wake_at
from mediaha.nets.decide import begin, decide
from mediaha.nets.destination import phones_of, plain
from mediaha.nets.events import (
    Acked,
    AnswerMedia,
    Cancelled,
    DropMedia,
    EndStray,
    MediaFailed,
    MediaReady,
    Note,
    OfferMedia,
    Received,
    Reply,
    Responded,
    Send,
    SendAck,
    SendCancel,
    Stop,
    Tick,
    Tried,
    Unanswered,
)
from mediaha.nets.rules import Limits, Rules
from mediaha.nets.underway import Party
from mediaha.nets.written import read_back, write_down
from mediaha.sip.message import Headers, Request
from mediaha.sip.registration import Contact
from mediaha.sip.target import UDP, Target

RULES = Rules(contact="sip:nets@192.0.2.1:5060", host="192.0.2.1", limits=Limits())
TARGETS = tuple(plain(Address(host, 5060)) for host in ("198.51.100.1", "198.51.100.2"))
DOMAIN = Domain("desk.test", ("a", "b"), (Address("198.51.100.1", 5060), Address("198.51.100.2", 5060)))
CALLER = Target(UDP, Address("203.0.113.5", 5062))


def phones_at(*places):
    """Destinations of a user's phones: a name, whose address comes of it, and a q each. Behind a NAT, all of them.

    A name in capitals is of a phone that is reached by IPv6.
    """
    hosts = [f"2001:db8::{ord(name):x}" if name.isupper() else f"198.51.100.{ord(name)}" for name, _ in places]
    contacts = [
        Contact(f"sip:{name}@10.1.1.1:5060", Target(UDP, Address(host, 40000), "", "udp"), q=q)
        for host, (name, q) in zip(hosts, places, strict=True)
    ]
    return phones_of(contacts, lambda contact: contact.flow)


def sdp(host="203.0.113.5", port=4000, direction="sendrecv", version=1):
    return (
        f"v=0\r\no=- 7 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na={direction}\r\n"
    ).encode()


def media_sdp(server="a", port=30000):
    return sdp(f"10.0.0.{ord(server) - 96}", port)


OFFER = sdp()
ANSWER = sdp("198.51.100.1", 6000)


def invite(body=OFFER, *, headers=(), uri="sip:desk@desk.test", cseq=1):
    fields = [
        ("Via", "SIP/2.0/UDP 203.0.113.5:5062;branch=z9hG4bKcaller"),
        ("From", '"Ann" <sip:ann@pbx.test>;tag=ann'),
        ("To", "<sip:desk@desk.test>"),
        ("Call-ID", "caller-call"),
        ("CSeq", f"{cseq} INVITE"),
        ("Contact", "<sip:ann@203.0.113.5:5062>"),
        ("Max-Forwards", "70"),
        *headers,
    ]
    if body:
        fields.append(("Content-Type", "application/sdp"))
    return Request("INVITE", uri, Headers(fields), body)


class Story:
    """One call and what has been asked to be done about it."""

    def __init__(
        self, request=None, *, domain=DOMAIN, targets=TARGETS, rules=RULES, seed="seed", begun=None, trusted=True
    ):
        self.now = 100.0
        self.rules = rules
        self.effects = []
        self.notes = []
        self.tx = 1
        self.call, effects = begun or begin(
            request or invite(), 1, CALLER, id="call-1", seed=seed, placed_at=0.0, domain=domain, targets=targets,
            now=self.now, rules=rules, trusted=trusted,
        )  # fmt: skip
        self._took(effects)
        self._serials = {Party.CALLER: 1, Party.CALLEE: 0}

    def _took(self, effects):
        self.notes += [effect for effect in effects if isinstance(effect, Note)]
        self.effects += [effect for effect in effects if not isinstance(effect, Note)]
        self.last = [effect for effect in effects if not isinstance(effect, Note | Tried)]
        assert read_back(write_down(self.call)) == self.call

    def happens(self, event):
        self.call, effects = decide(self.call, event, self.now, self.rules)
        self._took(effects)
        return self.last

    # What the test reads

    def the(self, kind):
        """The one effect of this kind in the last decision."""
        found = [effect for effect in self.last if isinstance(effect, kind)]
        assert len(found) == 1, f"{kind.__name__}: {self.last}"
        return found[0]

    def those(self, kind):
        return [effect for effect in self.last if isinstance(effect, kind)]

    def none(self, kind):
        return not self.those(kind)

    def sent(self, method, leg=None):
        """The one request of this method in the last decision (to this leg)."""
        found = [
            effect for effect in self.those(Send)
            if effect.request.method == method
            and (leg is None or effect.request.call_id == self.call.leg(leg).dialog.call_id)
        ]  # fmt: skip
        assert len(found) == 1, f"{method}: {self.last}"
        return found[0]

    @property
    def told(self):
        return [note.what for note in self.notes]

    @property
    def over(self):
        return isinstance(self.call.phase, Over)

    # What the pool says

    def anchored(self, server="a", port=30000, ask=None):
        question = ask or self.question()
        return self.happens(MediaReady(question.ask, Anchored(server, media_sdp(server, port), ())))

    def refused(self, fault=Fault.NO_SERVER, reason="nobody"):
        return self.happens(MediaFailed(self.question().ask, MediaRefused(fault, reason)))

    def question(self):
        questions = [effect for effect in self.effects if isinstance(effect, OfferMedia | AnswerMedia)]
        assert questions, "the pool was asked nothing"
        return questions[-1]

    def moved(self, server="b", *, answered=True, port=31000):
        caller = media_sdp(server, port) if answered else None
        return self.happens(Moved("call-1", "a", server, caller, media_sdp(server, port + 2), ()))

    def stranded(self):
        return self.happens(Stranded("call-1", "a", "dead"))

    # What the parties say

    def responds(self, send, status, body=b"", *, tag="far", headers=(), contact="<sip:bob@198.51.100.1:5060>"):
        fields = [("Contact", contact), *headers] if status > 100 else list(headers)
        if body:
            fields.append(("Content-Type", "application/sdp"))
        request = send.request.with_headers(
            send.request.headers.with_first("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx")
        )
        response = request.response(status, to_tag=tag if status > 100 else None, headers=fields, body=body)
        return self.happens(Responded(send.ref, send.request, response))

    def silent(self, send, *, unreachable=False):
        return self.happens(Unanswered(send.ref, unreachable))

    def asks(self, party, method, body=b"", *, headers=(), cseq=None, contact=None, dialog=None):
        """A party's request inside its dialog, as it would write it; ``dialog``: a fork's, while it rings."""
        dialog = dialog or self.call.leg(party).dialog
        self._serials[party] = cseq if cseq is not None else self._serials[party] + 1
        fields = [
            ("Via", "SIP/2.0/UDP 203.0.113.5:5062;branch=z9hG4bKin"),
            ("From", f"{dialog.remote};tag={dialog.remote_tag}"),
            ("To", f"{dialog.local};tag={dialog.local_tag}"),
            ("Call-ID", dialog.call_id),
            ("CSeq", f"{self._serials[party]} {method}"),
            ("Contact", contact or f"<{dialog.remote_target}>"),
            ("Max-Forwards", "70"),
            *headers,
        ]
        if body:
            fields.append(("Content-Type", "application/sdp" if method != "INFO" else "application/dtmf-relay"))
        self.tx += 1
        return self.happens(Received(party, self.tx, Request(method, "sip:nets@192.0.2.1", Headers(fields), body)))

    def acks(self, party, body=b"", tx=None):
        return self.happens(Acked(party, self.tx if tx is None else tx, body))

    def cancels(self, tx=1):
        return self.happens(Cancelled(tx))

    def stops(self, why="drained"):
        return self.happens(Stop(why))

    def waits(self, seconds=None):
        """Until something is due, or for so long; what falls due on the way happens in its time."""
        end = self.now + seconds if seconds is not None else wake_at(self.call)
        assert end is not None, "nothing is due"
        done = []
        while (due := wake_at(self.call)) is not None and due <= end:
            self.now = max(due, self.now)
            done += self.happens(Tick())
        self.now = end
        self.last = done
        return done


def talking(**options):
    """A call that is connected on server a."""
    story = Story(**options)
    story.anchored("a", 30000)
    setup = story.sent("INVITE")
    story.responds(setup, 180)
    story.responds(setup, 200, ANSWER)
    story.anchored("a", 30002)
    story.acks(Party.CALLER, tx=1)
    assert "connected" in story.told
    return story


def replace_rules(**limits):
    return dataclasses.replace(RULES, limits=dataclasses.replace(RULES.limits, **limits))


__all__ = [
    "ANSWER", "CALLER", "DOMAIN", "OFFER", "RULES", "Acked", "AnswerMedia", "Cancelled", "DropMedia", "EndStray",
    "Fault", "MediaFailed", "MediaReady", "Note", "OfferMedia", "Party", "Received", "Reply", "Responded", "Send",
    "SendAck", "SendCancel", "Stop", "Story", "Tick", "Tried", "Unanswered", "invite", "media_sdp",
    "phones_at", "replace_rules", "sdp", "talking",
]  # fmt: skip
