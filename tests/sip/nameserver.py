"""A small DNS server on loopback: it says what a zone file says, and can fall silent."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.zone
import trio

from mediaha.model.address import Address

LOOPBACK = Address("127.0.0.1", 0)


class NameServer:
    """Serves one zone over UDP."""

    def __init__(self, zone: str, origin: str = "example.test", where: Address = LOOPBACK) -> None:
        self.address = where
        self.asked: collections.Counter[tuple[str, str]] = collections.Counter()
        """How often each name and kind was asked for."""
        self.silent = False
        self.broken = False
        """Whether it answers everything with SERVFAIL."""
        self.renew(zone, origin)

    def renew(self, zone: str, origin: str = "example.test") -> None:
        """Serve something else."""
        header = f"$ORIGIN {origin}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n"
        self._zone = dns.zone.from_text(header + zone, origin=f"{origin}.", relativize=False, check_origin=False)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
            await sock.bind(tuple(self.address))
            self.address = Address(*sock.getsockname())
            task_status.started()
            while True:
                query, source = await sock.recvfrom(4096)
                answer = self._answer(dns.message.from_wire(query))
                if not self.silent:
                    await sock.sendto(answer.to_wire(), source)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serve in a thread of its own for as long as the block lasts, for tests that know no trio."""
        ready = threading.Event()

        async def serve() -> None:
            async with trio.open_nursery() as nursery:
                await nursery.start(self.run)
                self._token, self._scope = trio.lowlevel.current_trio_token(), nursery.cancel_scope
                ready.set()

        thread = threading.Thread(target=trio.run, args=(serve,), daemon=True)
        thread.start()
        assert ready.wait(20)
        try:
            yield
        finally:
            self._token.run_sync_soon(self._scope.cancel)
            thread.join(20)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA | dns.flags.RA
        (question,) = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked[question.name.to_text(omit_final_dot=True).lower(), kind] += 1
        if self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        name = question.name
        while (alias := self._zone.get_rrset(name, "CNAME")) is not None:
            answer.answer.append(alias)
            name = alias[0].target
        found = self._zone.get_rrset(name, question.rdtype)
        if found is not None:
            answer.answer.append(found)
        else:
            answer.authority.append(self._zone.get_rrset(self._zone.origin, "SOA"))
            if self._zone.get_node(name) is None:
                answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer
