"""A receiver of webhooks: an HTTP server on loopback that keeps what it gets, and answers
as the test says."""

import hashlib
import hmac
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def verify(secret, signature, body, now=None, tolerance=300):
    """As the README's example does it."""
    parts = [p.partition("=")[::2] for p in signature.split(",")]
    t = dict(parts)["t"]
    if abs((now or time.time()) - int(t)) > tolerance:
        return False
    good = hmac.new(secret.encode(), t.encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(k == "v1" and hmac.compare_digest(v, good) for k, v in parts)


class Delivery:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.at = time.monotonic()
        self.event = json.loads(body)
        self.id = headers["Interactd-Delivery"]
        self.answer = None

    def __repr__(self):
        return f"<{self.event['type']} {self.id} -> {self.answer}>"


class Receiver:
    """answer(delivery) -> status or (status, headers); None = never."""

    def __init__(self, answer=lambda d: 204, port=0):
        self.answer, self.got, self.lock = answer, [], threading.Lock()
        self.silence = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                receiver.handle(self)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def handle(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        d = Delivery(request.path, request.headers, body)
        with self.lock:
            self.got.append(d)
            answer = self.answer(d)
        if answer is None:
            self.silence.wait(60)
            request.close_connection = True
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        d.answer = status
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    def deliveries(self, path=None, ok=None):
        with self.lock:
            return [d for d in self.got if path in (None, d.path)
                    and (ok is None or ok == (d.answer is not None and d.answer < 300))]

    def types(self, path=None):
        return [d.event["type"] for d in self.deliveries(path)]

    def close(self):
        self.silence.set()
        self.server.shutdown()
        self.server.server_close()
