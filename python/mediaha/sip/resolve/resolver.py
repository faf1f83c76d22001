"""Asks the DNS, by dnspython on trio. Does; `locate` and `cache` decide."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import inf

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rdtypes.IN.NAPTR
import dns.rdtypes.IN.SRV
import dns.resolver
import structlog
import trio

from mediaha.model.address import Address
from mediaha.sip.resolve.cache import SILENCE_S, TTL_S_MAX, Believed, Cache, Doubtful
from mediaha.sip.resolve.locate import NotLocated, locate
from mediaha.sip.resolve.records import AAAA, A, Naptr, Question, Record, Records, Srv
from mediaha.sip.target import TRANSPORTS, Target
from mediaha.sip.uri import Uri

ANSWER_S_MAX = 4.0
"""How long a question may take, all servers and repetitions included."""
DOUBT_S_MAX = 0.5
"""The same, when there is an old answer to fall back on: nobody's call is to wait for a dead server."""
GRACE_S = 0.2
"""One who waits for somebody else's question waits longer than that one, so as to hear what became of it."""
TRY_S_MAX = 1.0
"""How long one server is waited for before the next is asked."""
DNS_PORT = 53
ASKING_MAX = 256
"""Questions under way; more count as not answered."""

_IMPOSSIBLE = (dns.exception.SyntaxError, dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel)
"""There can be no such name."""

_LOCALHOST: dict[str, Records] = {A: ("127.0.0.1",), AAAA: ("::1",)}

_log = structlog.get_logger(__name__)


class Resolver:
    """Finds targets, and remembers what it was told."""

    def __init__(
        self,
        servers: Sequence[Address] = (),
        *,
        answer_s_max: float = ANSWER_S_MAX,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``servers`` are asked in this order; none: those of /etc/resolv.conf. Raises OSError when there are none."""
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        except dns.resolver.NoResolverConfiguration as error:
            raise OSError("no name servers are configured: /etc/resolv.conf names none") from error
        if servers:
            self._resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
        self._resolver.timeout = min(TRY_S_MAX, answer_s_max)
        self._answer_s_max = answer_s_max
        self._chance = chance
        self._cache = Cache()
        self._asking: dict[Question, trio.Event] = {}
        self._silent_until = -inf
        """Until then nobody waits for what we have an old answer to: the DNS is down, as far as we know."""
        self.unanswered = 0
        """Questions that nobody answered, since the start."""

    async def targets(
        self, uri: Uri, *, transports: Sequence[str] = TRANSPORTS, kinds: Sequence[str] = (A, AAAA)
    ) -> tuple[Target, ...]:
        """Where requests to a URI go, in the order in which they are tried. Raises NotLocated.

        ``transports`` and ``kinds`` (address families) are what our listeners have, the preferred first.
        """
        locating = locate(uri, transports=transports, kinds=kinds, chance=self._chance)
        try:
            questions = next(locating)
            while True:
                questions = locating.send(await self._answers(questions))
        except StopIteration as found:
            targets: tuple[Target, ...] = found.value
            return targets

    def remembered(
        self, uri: Uri, *, transports: Sequence[str] = TRANSPORTS, kinds: Sequence[str] = (A, AAAA)
    ) -> tuple[Target, ...] | None:
        """The same from what was answered before, however old, asking nobody; None: not all of it is known.

        Of targets that share a priority each time another one may be first, by their weights.
        """
        locating = locate(uri, transports=transports, kinds=kinds, chance=self._chance)
        now = trio.current_time()
        try:
            questions = next(locating)
            while True:
                known = {question: self._cache.look(question, now) for question in questions}
                if None in known.values():
                    return None
                questions = locating.send({question: said.records for question, said in known.items() if said})
        except StopIteration as found:
            targets: tuple[Target, ...] = found.value
            return targets
        except NotLocated:
            return None

    async def _answers(self, questions: Sequence[Question]) -> dict[Question, Records | None]:
        answers: dict[Question, Records | None] = {}

        async def answer(question: Question) -> None:
            answers[question] = await self._answer(question)

        async with trio.open_nursery() as nursery:
            for question in questions:
                nursery.start_soon(answer, question)
        return answers

    async def _answer(self, question: Question) -> Records | None:
        known = self._cache.look(question, trio.current_time())
        with trio.move_on_after(self._patience(known) + GRACE_S):
            while not isinstance(known, Believed):
                if isinstance(known, Doubtful) and trio.current_time() < self._silent_until:
                    break
                asking = self._asking.get(question)
                if asking is not None:
                    await asking.wait()  # somebody else is about to know, unless he gives up
                elif len(self._asking) < ASKING_MAX:
                    await self._ask(question, self._patience(known))
                else:
                    break
                known = self._cache.look(question, trio.current_time())
        return None if known is None else known.records

    async def _ask(self, question: Question, seconds: float) -> None:
        """Have the cache learn the answer, or that there was none."""
        self._asking[question] = answered = trio.Event()
        try:
            records, ttl_s = await self._resolve(question, seconds)
        except (dns.exception.DNSException, OSError) as error:
            self.unanswered += 1
            _log.warning("dns_silent", name=question.name, kind=question.kind, why=str(error) or type(error).__name__)
            now = trio.current_time()
            self._silent_until = now + SILENCE_S
            self._cache.asked_in_vain(question, now)
        else:
            self._silent_until = -inf
            self._cache.learn(question, records, ttl_s, trio.current_time())
        finally:
            del self._asking[question]
            answered.set()

    def _prefer(self, answer: dns.resolver.Answer) -> None:
        """The server that answered is asked first from now on: those before it have let us wait."""
        servers = self._resolver.nameservers
        for server in servers[1:]:
            if _place(server) == (answer.nameserver, answer.port):
                self._resolver.nameservers = [server, *(other for other in servers if other is not server)]
                return

    def _patience(self, known: Believed | Doubtful | None) -> float:
        return self._answer_s_max if known is None else DOUBT_S_MAX

    async def _resolve(self, question: Question, seconds: float) -> tuple[Records, float]:
        if question.name == "localhost" or question.name.endswith(".localhost"):  # nobody is asked (RFC 6761 6.3)
            return _LOCALHOST.get(question.kind, ()), TTL_S_MAX
        try:
            answer = await self._resolver.resolve(
                question.name,
                question.kind,
                lifetime=seconds,
                raise_on_no_answer=False,
                search="." not in question.name,  # a bare host name means one of our own domain
            )
        except dns.resolver.NXDOMAIN as nothing:
            return (), _ttl(nothing)
        except _IMPOSSIBLE:
            return (), 0.0
        self._prefer(answer)
        records = [read for item in answer.rrset or () if (read := _record(item)) is not None]
        return tuple(records), float(answer.chaining_result.minimum_ttl)


def _place(server: str | dns.nameserver.Nameserver) -> tuple[str, int]:
    if isinstance(server, dns.nameserver.Do53Nameserver):
        return server.address, server.port
    return str(server), DNS_PORT


def _ttl(nothing: dns.resolver.NXDOMAIN) -> float:
    """How long it is true that there is nothing (RFC 2308)."""
    responses: dict[object, dns.message.QueryMessage] = nothing.responses()  # type: ignore[no-untyped-call]
    try:
        return min(float(response.resolve_chaining().minimum_ttl) for response in responses.values())
    except (dns.exception.DNSException, ValueError):
        return 0.0


def _record(item: dns.rdata.Rdata) -> Record | None:
    """What dnspython has read, as our own value."""
    if isinstance(item, dns.rdtypes.IN.SRV.SRV):
        return Srv(item.priority, item.weight, item.port, _text(item.target))
    if isinstance(item, dns.rdtypes.IN.NAPTR.NAPTR):
        flags, service = item.flags.decode("ascii", "replace"), item.service.decode("ascii", "replace")
        return Naptr(item.order, item.preference, flags, service, _text(item.replacement))
    return str(item.address) if isinstance(item, dns.rdtypes.IN.A.A | dns.rdtypes.IN.AAAA.AAAA) else None


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower().rstrip(".")
