"""A recording played by hand: up to the ring, up to the answer, to its end."""

import asyncio
import itertools
import time

from ami_trace import Rewrite, first, with_timestamp
from servers import wait_until
from support.truth import load

instances = itertools.count(1000)


class Steps:
    """Sends a recorded scenario to whoever listens to `fake`, as far as told. Its ids are
    new, and its times are the moments of sending. words: {"0912345678": "0911222333"}."""

    def __init__(self, fake, name, words=None):
        self.fake, self.trace = fake, load(name)
        self.rewrite = Rewrite(time.time() - self.trace.wall, next(instances), words)
        self.at = 0
        self.skew = 0  # seconds that the phone system's clock is ahead of ours

    def _send(self, until):
        async def send():
            # Nobody may be connected: then it happens unheard.
            for message in self.trace.messages[self.at:until]:
                raw = with_timestamp(self.rewrite(message.raw),
                                     time.time() + self.skew)
                await self.fake.deliver(raw)
        asyncio.run_coroutine_threadsafe(send(), self.fake.loop).result(30)
        self.at = until
        return self

    def to(self, event, **fields):
        """Through the next event of that name whose fields begin so."""
        for n in range(self.at, len(self.trace.messages)):
            message = self.trace.messages[n]
            if message.event == event and all(
                    first(message.pairs, k.encode()).decode("utf-8", "replace").startswith(v)
                    for k, v in fields.items()):
                return self._send(n + 1)
        raise LookupError(f"no {event} {fields} comes any more")

    def ring(self, agent):
        return self.to("Newstate", Channel=f"PJSIP/{agent}-", ChannelStateDesc="Ringing")

    def answer(self, agent):
        return self.to("BridgeEnter", Channel=f"PJSIP/{agent}-")

    def rest(self):
        return self._send(len(self.trace.messages))

    def whole(self, agent, subscriber, tenant="default", shown_to=None):
        """All of it, with the time that a screen needs between ring and end: an answered
        call of one agent (shown_to, if the daemon knows them by another name)."""
        def shown(kind):
            return [p for p in subscriber.all_pops(tenant, shown_to or agent)
                    if p["type"] == kind]
        before = len(shown("pop.open"))
        self.ring(agent)
        wait_until(lambda: len(shown("pop.open")) > before, 20, f"a pop of {agent}")
        self.answer(agent).rest()
        wait_until(lambda: len(shown("pop.close")) > before, 20, f"its close, of {agent}")
        return shown("pop.open")[-1]
