"""An agent's screen: a WebSocket or an event stream, and what came over it."""

import asyncio
import json
import threading

import websockets
from servers import wait_until
from support.api import UnixConnection


class Refused(Exception):
    def __init__(self, status):
        super().__init__(f"refused with {status}")
        self.status = status


class WebSocket:
    def __init__(self, port, path, protocols=(), origin=None, headers=None):
        self.messages, self.code, self.error = [], None, None
        self.protocol = None
        self.up = threading.Event()
        self.args = (f"ws://127.0.0.1:{port}{path}", list(protocols) or None, origin, headers)
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.thread.start()
        assert self.up.wait(20), "no answer to the WebSocket's handshake"
        if self.error:
            raise self.error

    async def _run(self):
        uri, protocols, origin, headers = self.args
        self.loop = asyncio.get_running_loop()
        try:
            async with websockets.connect(uri, subprotocols=protocols, origin=origin,
                                          extra_headers=headers) as self.ws:
                self.protocol = self.ws.subprotocol
                self.up.set()
                try:
                    async for text in self.ws:
                        self.messages.append(json.loads(text))
                except websockets.ConnectionClosed:
                    pass
                self.code = self.ws.close_code
        except websockets.InvalidStatusCode as e:
            self.error = Refused(e.status_code)
        except OSError as e:
            self.error = e
        self.up.set()

    def wait(self, n, timeout=10):
        """The first n messages."""
        wait_until(lambda: len(self.messages) >= n, timeout,
                   f"{n} frames; there are {len(self.messages)}")
        return self.messages[:n]

    def close(self):
        asyncio.run_coroutine_threadsafe(self.ws.close(), self.loop).result(10)
        self.thread.join(10)


class EventStream:
    """Server-Sent Events."""

    def __init__(self, api, path, headers=None):
        self.messages, self.ids = [], []
        self.connection = api.connection()
        headers = {"Accept": "text/event-stream", **(headers or {})}
        if api.key:
            headers.setdefault("Authorization", f"Bearer {api.key}")
        if api.tenant and isinstance(self.connection, UnixConnection):
            headers.setdefault("Interactd-Tenant", api.tenant)
        self.connection.request("GET", path, headers=headers)
        self.response = self.connection.getresponse()
        if self.response.status != 200:
            self.body = self.response.read()
            raise Refused(self.response.status)
        self.type = self.response.headers["Content-Type"]
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        event = {}
        try:
            for line in self.response:
                line = line.decode().rstrip("\r\n")
                key, _, value = line.partition(":")
                if line and key:
                    event[key] = value.removeprefix(" ")
                elif not line and "data" in event:
                    self.ids.append(event.get("id"))
                    self.messages.append(json.loads(event["data"]))
                    event = {}
        except (OSError, ValueError, AttributeError):
            pass
        self.ended = True

    wait = WebSocket.wait

    def close(self):
        if self.connection.sock:
            self.connection.sock.close()
        self.connection.close()
