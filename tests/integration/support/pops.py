"""A softphone's ear on Redis, and what must hold of all it hears (contract.md, "Redis")."""

import json
import threading
from collections import defaultdict

import jsonschema
import redis
from servers import wait_until

UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"
UUID_TEXT = {"type": "string", "pattern": UUID}
MAYBE_UUID = {"type": ["string", "null"], "pattern": UUID}
TEXT = {"type": "string"}
MAYBE = {"type": ["string", "null"]}
TIME_TEXT = {"type": "string", "pattern": TIME}
MAYBE_TIME = {"type": ["string", "null"], "pattern": TIME}
MS = {"type": "integer", "minimum": 0}
MAYBE_MS = {"type": ["integer", "null"], "minimum": 0}
TRUST = {"enum": ["claimed", "recorded", "network", "verified"]}
REASONS = ["completed", "answered_elsewhere", "no_answer", "busy", "rejected",
           "caller_hangup", "transferred", "unreachable", "interrupted", "reassigned"]


def record(**properties):
    """An object with all of these members, and maybe more: the contract grows."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def array(items):
    return {"type": "array", "items": items}


CONTACT_CARD = record(
    id=UUID_TEXT, name=MAYBE, roles=array(TEXT), language=MAYBE, timezone=MAYBE,
    vip={"type": "boolean"},
    identities=array(record(kind=TEXT, value=TEXT, trust=TRUST)),
    preferences=record(preferred=array(TEXT), denied=array({"type": "object"})),
    attributes={"type": "object"})
POP = record(
    v={"const": 1}, type={"enum": ["pop.open", "pop.update", "pop.close"]},
    epoch={"type": "string", "minLength": 1}, seq={"type": "integer", "minimum": 1},
    at=TIME_TEXT, tenant=TEXT, agent=MAYBE, pop=UUID_TEXT, interaction=UUID_TEXT,
    conversation={"type": "null"}, channel=TEXT, kind={"const": "call"},
    direction={"enum": ["in", "out"]},
    state={"enum": ["ringing", "talking", "held", "wrapup", "ended", "waiting"]},
    reason={"enum": [None, "answered", *REASONS]}, queue=MAYBE, waited_ms=MAYBE_MS,
    call_id=TEXT,
    remote=record(kind={"const": "phone"}, value=MAYBE, display=MAYBE,
                  withheld={"type": "boolean"}, trust=TRUST),
    local=MAYBE, variables={"type": "object", "additionalProperties": TEXT},
    contact={"anyOf": [{"type": "null"}, CONTACT_CARD]},
    candidates=array(record(id=UUID_TEXT, name=MAYBE)),
    recent=array(record(id=UUID_TEXT, kind=TEXT, direction={"enum": ["in", "out"]},
                        at=TIME_TEXT, agent=MAYBE, summary=MAYBE)),
    degraded={"type": "boolean"})
LEG = record(type={"enum": ["queue", "ring", "talk", "hold", "transfer"]}, agent=MAYBE,
             interface=MAYBE, at=TIME_TEXT, answered_at=MAYBE_TIME, ended_at=MAYBE_TIME,
             result=MAYBE)
TIMELINE_ITEM = record(
    id=UUID_TEXT, kind=TEXT, direction={"enum": ["in", "out"]}, channel=MAYBE,
    external_id=MAYBE, state=TEXT, contact=MAYBE_UUID, conversation={"type": "null"},
    agent=MAYBE, queue=MAYBE, local=MAYBE, at=TIME_TEXT, answered_at=MAYBE_TIME,
    ended_at=MAYBE_TIME, summary=TEXT, variables={"type": "object"})
INTERACTION = {"allOf": [TIMELINE_ITEM, record(
    remote=record(kind={"const": "phone"}, value=MAYBE, display=MAYBE,
                  withheld={"type": "boolean"}),
    disposition={"enum": [
        None, "answered", "abandoned", "busy", "no_answer", "rejected", "unreachable",
        "queue_timeout", "voicemail", "ivr_only", "failed", "interrupted"]},
    wait_ms=MAYBE_MS, talk_ms=MAYBE_MS, hold_ms=MAYBE_MS, legs=array(LEG))]}
EVENT = record(v={"const": 1}, id=UUID_TEXT, at=TIME_TEXT, tenant=TEXT,
               type={"type": "string", "pattern": r"^[a-z]+\.[a-z_]+$"},
               object={"type": "object"}, changes={"type": "object"})
VALIDATORS = {name: jsonschema.Draft7Validator(schema) for name, schema in (
    ("pop", POP), ("interaction", INTERACTION), ("timeline", TIMELINE_ITEM),
    ("event", EVENT))}


def validate(name, instance):
    errors = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}"
              for e in VALIDATORS[name].iter_errors(instance)]
    assert not errors, f"{name} is not as the contract has it: {errors[:5]}\n{instance}"


class Subscriber:
    """Everything published on interactd:*, in order. Survives a restart of Redis: after
    it, resume() subscribes again."""

    def __init__(self, path, pattern="interactd:*"):
        self.path, self.pattern = path, pattern
        self.messages = []  # (channel, object), as they came
        self.lock = threading.Lock()
        self.thread = None
        self.resume()

    def resume(self):
        self.close()
        client = redis.Redis(unix_socket_path=self.path)
        pubsub = client.pubsub()
        pubsub.psubscribe(self.pattern)
        # The confirmation: from here on nothing is missed.
        wait_until(lambda: pubsub.get_message(timeout=5), 10, "psubscribe")
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._listen, args=(pubsub, self.ended),
                                       daemon=True)
        self.thread.start()

    def _listen(self, pubsub, ended):
        try:
            while not ended.is_set():
                message = pubsub.get_message(timeout=0.1)
                if not message or message["type"] != "pmessage":
                    continue
                item = (message["channel"].decode(), json.loads(message["data"]))
                item[1]["_bytes"] = len(message["data"])
                with self.lock:
                    self.messages.append(item)
        except redis.ConnectionError:
            pass  # Redis is gone
        else:
            pubsub.close()

    def close(self):
        if self.thread:
            self.ended.set()
            self.thread.join(10)

    # ---- what came

    def snapshot(self):
        with self.lock:
            return list(self.messages)

    def all_pops(self, tenant="default", agent=None, queue=None):
        """Pop messages of one agent (or queue, or all agents), in the order they came."""
        kind, name = ("queue", queue) if queue else ("agent", agent)
        prefix = f"interactd:{tenant}:{kind}:"
        return [p for channel, p in self.snapshot() if channel.startswith(prefix)
                and (name is None or channel == prefix + name)]

    def events(self, tenant="default", type=None):
        return [e for channel, e in self.snapshot()
                if channel == f"interactd:{tenant}:events" and type in (None, e["type"])]

    def by_pop(self, tenant="default", agent=None, queue=None):
        """pop id -> its messages; in order of opening."""
        pops = defaultdict(list)
        for message in self.all_pops(tenant, agent, queue):
            pops[message["pop"]].append(message)
        return dict(pops)

    def wait_pop(self, tenant="default", agent=None, queue=None, timeout=10, **members):
        """The first message with these members: wait_pop(agent="1001", state="talking")."""
        def found():
            for p in self.all_pops(tenant, agent, queue):
                if all(p[k] == v for k, v in members.items()):
                    return p
            return None
        return wait_until(found, timeout, f"a pop of {agent or queue} with {members}")

    def wait_event(self, type, tenant="default", timeout=10, **members):
        def found():
            for e in self.events(tenant, type):
                if all(e["object"].get(k) == v for k, v in members.items()):
                    return e
            return None
        return wait_until(found, timeout, f"{type} with {members}")

    def states(self, messages):
        """The states one pop went through, repeated ones (other data) once."""
        states = []
        for m in messages:
            if m["type"] != "pop.close" and (not states or states[-1] != m["state"]):
                states.append(m["state"])
        return states

    def open_hash(self, tenant, agent):
        client = redis.Redis(unix_socket_path=self.path)
        return {k.decode(): json.loads(v) for k, v in
                client.hgetall(f"interactd:{tenant}:open:{agent}").items()}

    def stream(self, tenant, agent):
        """[(entry id, pop)] of the agent's stream."""
        client = redis.Redis(unix_socket_path=self.path)
        entries = client.xrange(f"interactd:{tenant}:pops:{agent}")
        return [(i.decode(), json.loads(next(iter(f.values())))) for i, f in entries]


def check_pops(subscriber, tenant, agents, closed=True):
    """The rules that every agent's pops follow whatever happened: the schema, seq rising
    by one in an epoch, one open first and one close last. closed: all must be."""
    for agent in agents:
        messages = subscriber.all_pops(tenant, agent)
        last = {}
        for m in messages:
            assert m.pop("_bytes", 0) <= 64 * 1024
            validate("pop", m)
            assert m["agent"] == agent and m["tenant"] == tenant
            if m["epoch"] in last:
                assert m["seq"] == last[m["epoch"]] + 1, (agent, m)
            last[m["epoch"]] = m["seq"]
        check_each_pop(subscriber.by_pop(tenant, agent), closed)
        if closed:
            assert subscriber.open_hash(tenant, agent) == {}, f"{agent} has open pops"


def check_each_pop(pops, closed=True):
    for pop, messages in pops.items():
        types = [m["type"] for m in messages]
        epochs = {m["epoch"] for m in messages}
        assert types[0] == "pop.open", (pop, types)
        assert types.count("pop.open") <= len(epochs), (pop, types)
        assert types.count("pop.close") <= 1, (pop, types)
        if closed:
            assert types[-1] == "pop.close", (pop, types)
            assert messages[-1]["state"] == "ended" and messages[-1]["reason"], messages[-1]
        assert len({m["interaction"] for m in messages}) == 1
        for m in messages[:-1]:
            assert m["reason"] is None, m
