"""Media servers for tests of NeTS: a pool that only rewrites SDP, and can move calls."""

from __future__ import annotations

import re

import trio

from mediaha.model.media import (
    Anchored,
    Attempt,
    Family,
    Fault,
    MediaRefused,
    Moved,
    ServerCondition,
    ServerView,
    Stranded,
)


def rewritten(sdp, port, family=None):
    """What a media server makes of an SDP: its own port in it, and an address of the family that is asked for."""
    if family is not None and b"c=IN %s " % family.value.encode() not in sdp:
        address = b"IP6 ::1" if family is Family.IPV6 else b"IP4 127.0.0.1"
        sdp = re.sub(rb"(?m)^c=IN (?!IP4 0.0.0.0)[^\r\n]*", b"c=IN " + address, sdp)
    return re.sub(rb"m=audio \d+", b"m=audio %d" % port, sdp)


class FakePool:
    """Media servers that only rewrite ports. The thousands of a port tell the server, the rest the call's side."""

    def __init__(self, *names):
        self.live = dict.fromkeys(names, True)
        self.ports = {name: 10000 * (index + 1) for index, name in enumerate(names)}
        self.calls = {}
        self.deleted = []
        self.asked = []
        self.refuse = None
        self.hold = None
        self.notify = None
        self._count = 0

    def begin_offer(self, call_id, from_tag, to_tag, sdp, servers, family, on):
        trio.lowlevel.spawn_system_task(self._tell, on, self._offer, call_id, from_tag, to_tag, sdp, servers, family)

    def begin_answer(self, call_id, from_tag, to_tag, sdp, family, on):
        trio.lowlevel.spawn_system_task(self._tell, on, self._answer, call_id, from_tag, to_tag, sdp, family)

    async def _tell(self, on, ask, *arguments):
        try:
            outcome = await ask(*arguments)
        except MediaRefused as refused:
            outcome = refused
        on(outcome)

    async def _offer(self, call_id, from_tag, to_tag, sdp, servers, family):
        self.asked.append(("offer", call_id))
        await self._pause()
        call = self.calls.get(call_id)
        if call is None:
            server = next((name for name in servers if self.live[name]), None)
            if server is None:
                raise MediaRefused(Fault.NO_SERVER, "no server answers")
            self._count += 1
            call = self.calls[call_id] = {
                "server": server, "from": from_tag, "sdp": {}, "offered": None, "number": self._count, "list": servers,
                "families": {},
            }  # fmt: skip
        call["offered"] = (from_tag, sdp)
        call["families"][from_tag] = family
        return self._anchored(call, from_tag, sdp)

    async def _answer(self, call_id, from_tag, to_tag, sdp, family):
        self.asked.append(("answer", call_id))
        await self._pause()
        call = self.calls.get(call_id)
        if call is None:
            raise MediaRefused(Fault.UNKNOWN_CALL, "no such call")
        assert call["offered"][0] == from_tag, "an answer to an offer nobody made"
        call["sdp"] = {from_tag: call["offered"][1], to_tag: sdp}
        call["families"][to_tag] = family
        return self._anchored(call, to_tag, sdp)

    async def adopt(self, call_id, *, from_tag, to_tag, from_sdp, to_sdp, servers, current, to_family=None):
        self._count += 1
        self.calls[call_id] = {
            "server": current, "from": from_tag, "sdp": {from_tag: from_sdp, to_tag: to_sdp}, "offered": None,
            "number": self._count, "list": servers, "families": {from_tag: to_family},
        }  # fmt: skip
        return Anchored(current, b"", ())

    def begin_delete(self, call_id):
        self.deleted.append(call_id)
        self.calls.pop(call_id, None)

    def give_notices(self, on_notice):
        self.notify = on_notice

    def servers(self):
        return tuple(
            ServerView(
                name, "127.0.0.1:2223", ServerCondition.USABLE if live else ServerCondition.DEAD, "", 0.0, 0, 0.2
            )
            for name, live in self.live.items()
        )

    def crash(self, name):
        """The server dies; its calls move to the next live one of their list, or are stranded."""
        self.live[name] = False
        for call_id, call in list(self.calls.items()):
            if call["server"] == name:
                self._move(call_id, call)

    def revive(self, name):
        self.live[name] = True
        for call_id, call in list(self.calls.items()):
            if not self.live[call["server"]]:
                self._move(call_id, call)

    def _move(self, call_id, call):
        before = call["server"]
        after = next((name for name in call["list"] if self.live[name]), None)
        if after is None:
            self.notify(Stranded(call_id, before, "no server is alive"))
            return
        call["server"] = after
        first = call["from"]
        other = next((tag for tag in call["sdp"] if tag != first), None)
        offer = call["sdp"].get(first) or call["offered"][1]
        self.notify(
            Moved(
                call_id,
                before,
                after,
                rewritten(call["sdp"][other], self._port(call, other), call["families"].get(other)) if other else None,
                rewritten(offer, self._port(call, first), call["families"].get(first)),
                (),
            )
        )

    def _port(self, call, tag):
        return self.ports[call["server"]] + 4 * (call["number"] % 2000) + (0 if tag == call["from"] else 2)

    def _anchored(self, call, tag, sdp):
        story = (Attempt(call["server"], "offer", 1.0, 1.001, "answered"),)
        return Anchored(call["server"], rewritten(sdp, self._port(call, tag), call["families"].get(tag)), story)

    async def _pause(self):
        await trio.lowlevel.checkpoint()
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse is not None:
            raise self.refuse
