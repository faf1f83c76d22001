"""The endpoint: transactions over one UDP socket, on trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import trio

from mediaha.model.address import Address
from mediaha.sip.message import Request, Response
from mediaha.sip.transaction.events import ClientKey, OnClientEvent, ServerEvent, ServerKey
from mediaha.sip.transaction.timers import Timers


class Endpoint:
    """Sends and receives SIP at one address. Every method but ``requests.receive`` returns at once."""

    address: Address
    """Where it listens, with the real port."""
    requests: trio.MemoryReceiveChannel[ServerEvent]
    """New requests, ACKs of 2xx, CANCELs, missing ACKs. Bounded: when it is full, new requests are answered 503.

    To save wake-ups, take what else is there with ``receive_nowait`` after each ``receive``.
    """

    def respond(self, transaction: ServerKey, response: Response) -> None:
        """Answer a request; the layer repeats what must be repeated (2xx of INVITE until its ACK included).

        A response to a transaction that is over, or a second final one, is dropped and counted.
        """
        raise NotImplementedError

    def send(self, request: Request, target: Address, on: OnClientEvent) -> ClientKey:
        """Start a client transaction. The request has no Via: it is added here.

        ``on`` is called with each ClientEvent, later, from the endpoint's task: it must not block nor raise.
        ``target`` must be an IP address; a name gives Unreachable. Raises TransactionsFull.
        """
        raise NotImplementedError

    def send_ack(self, ack: Request, target: Address, invite: ClientKey) -> None:
        """Acknowledge a 2xx of our INVITE. When that 2xx is repeated, the layer repeats this ACK by itself."""
        raise NotImplementedError

    def cancel(self, invite: ClientKey, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Cancel our INVITE, as soon as a provisional response allows it (section 9.1).

        Its end is still told to ``on``: a final response (487, or a 2xx that must be acknowledged and ended), or
        TimedOut at most 64*T1 after the CANCEL. ``headers`` may hold a Reason.
        """
        raise NotImplementedError


@asynccontextmanager
async def open_endpoint(
    address: Address, *, advertised: str | None = None, timers: Timers | None = None
) -> AsyncIterator[Endpoint]:
    """Listen at ``address`` (port 0 picks one) for as long as the block lasts. Raises OSError when it cannot.

    ``advertised`` is the host written into Via; needed when the address is a wildcard or behind NAT.
    """
    raise NotImplementedError
    yield Endpoint()
