"""A PostgreSQL server reached through a bad line: a Unix socket that passes everything on
to the real one, later, or not at all.

    with PgProxy(directory, postgres.directory) as proxy:
        ... connect with host=<proxy.directory>
        proxy.delay = 0.6      # each piece, on its way to the server
        proxy.silent = True    # accepts, takes, and never says a word
"""

import asyncio
import os
import threading

SOCKET = ".s.PGSQL.5432"


class PgProxy:
    def __init__(self, directory, server_directory):
        self.directory = str(directory)
        self.server = os.path.join(server_directory, SOCKET)
        self.delay = 0.0
        self.silent = False
        self.loop = asyncio.new_event_loop()
        self.writers = set()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        os.makedirs(self.directory, exist_ok=True)
        up = threading.Event()
        self.up = up
        self.thread.start()
        up.wait(10)
        return self

    def __exit__(self, *_):
        self.cut()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def cut(self):
        """Ends the connections there are."""
        def close():
            for writer in list(self.writers):
                writer.transport.abort()
        self.loop.call_soon_threadsafe(close)

    def _run(self):
        asyncio.set_event_loop(self.loop)

        async def serve():
            self.listening = await asyncio.start_unix_server(
                self._client, os.path.join(self.directory, SOCKET))
            self.up.set()

        self.loop.run_until_complete(serve())
        self.loop.run_forever()
        self.listening.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0.01))
        self.loop.close()

    async def _pump(self, reader, writer, slowly):
        try:
            while data := await reader.read(65536):
                if slowly and self.delay:
                    await asyncio.sleep(self.delay)
                while self.silent:
                    await asyncio.sleep(0.02)
                writer.write(data)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _client(self, reader, writer):
        try:
            there, back = await asyncio.open_unix_connection(self.server)
        except OSError:
            writer.close()
            return
        self.writers |= {writer, back}
        await asyncio.gather(self._pump(reader, back, True),
                             self._pump(there, writer, False))
        self.writers -= {writer, back}
