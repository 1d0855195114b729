"""HTTP to interactd: one request, one connection, over TCP or a Unix socket."""

import http.client
import json
import socket
from urllib.parse import quote, urlencode


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def is_problem(self):
        """An RFC 9457 document that agrees with the status."""
        kind = self.headers.get("Content-Type", "").partition(";")[0]
        if kind != "application/problem+json":
            return False
        problem = self.json
        return problem.get("status") == self.status and bool(problem.get("title"))

    def __repr__(self):
        return f"<{self.status} {self.body[:600]!r}>"


class Api:
    def __init__(self, address, key=None, tenant=None, timeout=30):
        self.address, self.key, self.tenant, self.timeout = address, key, tenant, timeout

    def connection(self):
        if isinstance(self.address, str):
            return UnixConnection(self.address, self.timeout)
        return http.client.HTTPConnection(*self.address, timeout=self.timeout)

    def request(self, method, path, body=None, headers=None, query=None):
        headers = dict(headers or {})
        if query:
            path += "?" + urlencode(query, quote_via=quote)
        if self.key and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.key}"
        if self.tenant:
            headers.setdefault("Interactd-Tenant", self.tenant)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = self.connection()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, **query):
        return self.request("GET", path, query=query or None)

    def post(self, path, body=None, idempotency=None, **headers):
        if idempotency:
            headers["Idempotency-Key"] = idempotency
        return self.request("POST", path, body, headers)

    def patch(self, path, body):
        return self.request("PATCH", path, body)

    def put(self, path, body):
        return self.request("PUT", path, body)

    def delete(self, path):
        return self.request("DELETE", path)

    # ---- shorthands that insist

    def ok(self, path, **query):
        answer = self.get(path, **query)
        assert answer.status == 200, (path, query, answer)
        return answer.json

    def create(self, path, body):
        answer = self.post(path, body)
        assert answer.status == 201, (path, answer)
        return answer.json

    def contact(self, name, phone=None, **more):
        """A new contact, as an operator makes it."""
        if phone:
            more["identities"] = [{"kind": "phone", "value": phone}]
        return self.create("/v1/contacts", {"name": name, **more})

    def find(self, identity):
        return self.ok("/v1/contacts", identity=identity)["items"]

    def pops(self, agent):
        return self.ok(f"/v1/agents/{agent}/pops")["items"]


def raw_exchange(address, data, timeout=10, shut=False):
    """Bytes out, all bytes in until the peer closes or nothing comes for `timeout`."""
    s = socket.create_connection(address, timeout=timeout)
    with s:
        s.sendall(data)
        if shut:
            s.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while True:
                part = s.recv(65536)
                if not part:
                    break
                got += part
        except (TimeoutError, ConnectionResetError):
            pass
        return got


def split_answers(data):
    """[(status, body)] of what a connection answered; the last may be cut."""
    answers = []
    while data.startswith(b"HTTP/1."):
        head, _, rest = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        answers.append((int(head.split(b" ")[1]), rest[:length]))
        data = rest[length:]
    return answers
