"""A network that loses, repeats and delays."""

from __future__ import annotations

import trio


class BadNetwork:
    """Between a phone and the world: loses, repeats and delays what goes either way, by a seed."""

    def __init__(self, endpoint, nursery, chance, loss):
        ((name, transport),) = endpoint._transports.items()
        self._transport, self._nursery, self._chance, self._loss = transport, nursery, chance, loss
        self._hear = endpoint.heard
        self.quiet = False
        endpoint._transports[name] = self
        endpoint.heard = lambda heard: self._hear(self._spoilt(heard))

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def vanish(self):
        """Nothing goes through any more, either way."""
        self._loss = 1.0

    def send(self, message, target):
        for _ in range(self._times()):
            if self._chance.random() < self._loss:
                self._nursery.start_soon(self._later, message, target, self._chance.random() * 0.1)
            else:
                self._transport.send(message, target)

    def receive(self):
        return self._spoilt(self._transport.receive())

    def _spoilt(self, heard):
        return heard._replace(messages=[message for message in heard.messages for _ in range(self._times())])

    def _times(self):
        drawn = self._chance.random()
        if self.quiet or drawn > 2 * self._loss:
            return 1
        return 0 if drawn < self._loss else 2

    async def _later(self, message, target, seconds):
        await trio.sleep(seconds)
        self._transport.send(message, target)
