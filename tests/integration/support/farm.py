"""Many FakeAsterisks on one event loop in one thread: a hundred phone systems that play
at once do not need a hundred threads."""

import asyncio
import threading

from fake_asterisk import FakeAsterisk


class Farm:
    def __init__(self):
        self.fakes = []
        up = threading.Event()

        async def main():
            self.loop = asyncio.get_running_loop()
            self.ended = asyncio.Event()
            up.set()
            await self.ended.wait()
            for fake in self.fakes:
                await fake.close()

        self.thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
        self.thread.start()
        up.wait(10)

    def add(self, **options):
        """A FakeAsterisk that serves."""
        fake = FakeAsterisk(**options)
        # It lives in our loop; calls from other threads go through that.
        fake._thread = self.thread
        asyncio.run_coroutine_threadsafe(fake.serve(), self.loop).result(10)
        self.fakes.append(fake)
        return fake

    def close(self):
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join(30)
