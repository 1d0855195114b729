"""What an Asterisk would list, kept from the events it has sent.

Model.apply takes each event; channels(), waiting() and parked() give the items of
CoreShowChannels, QueueStatus and ParkedCalls, each as a list of (key, value) strings.
"""

import time

SNAPSHOT = ("Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum", "CallerIDName",
            "ConnectedLineNum", "ConnectedLineName", "Language", "AccountCode", "Context",
            "Exten", "Priority", "Uniqueid", "Linkedid")
# Events name several channels, each with all of its fields under a prefix.
PREFIXES = ("", "Dest", "OrigTransferer", "Transferer", "Transferee", "SecondTransferer",
            "TransferTarget", "LocalOne", "LocalTwo", "Parkee", "Retriever")
STATES = {"Ring": "4", "Ringing": "5", "Up": "6"}


class Channel:
    def __init__(self, now):
        self.fields, self.variables = {}, []
        self.bridge = self.application = self.data = ""
        self.since = now

    def item(self, now):
        seconds = max(0, int(now - self.since))
        duration = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return (
            [(k, self.fields.get(k, "")) for k in SNAPSHOT]
            + [("ChanVariable", v) for v in self.variables]
            + [("Application", self.application), ("ApplicationData", self.data),
               ("Duration", duration), ("BridgeId", self.bridge)]
        )


class Model:
    def __init__(self, now=time.time):
        self.now = now
        self.live = {}  # Uniqueid -> Channel
        self.queued = {}  # Uniqueid -> [since, [(key, value)]]
        self.in_parking = {}  # Uniqueid -> [since, [(key, value)]]
        self.variables = {}  # (channel name, variable) -> value

    def clear(self):
        self.live.clear()
        self.queued.clear()
        self.in_parking.clear()

    # ---- what the events say

    def apply(self, pairs, now=None):
        now = self.now() if now is None else now
        pairs = [(k.decode(), v.decode("utf-8", "surrogateescape")) for k, v in pairs]
        d = {}
        for k, v in pairs:
            d.setdefault(k, v)
        event = d.get("Event", "")
        for prefix in PREFIXES:
            self._update(prefix, d, pairs, event, now)
        handler = getattr(self, f"_on_{event.lower()}", None)
        if handler:
            handler(d, pairs, now)

    def _update(self, prefix, d, pairs, event, now):
        uid = d.get(f"{prefix}Uniqueid")
        if not uid or f"{prefix}ChannelState" not in d:
            return
        ch = self.live.get(uid)
        if not ch:
            if event != "Newchannel" and event != "CoreShowChannel":
                return
            ch = self.live[uid] = Channel(now)
        for k in SNAPSHOT:
            if prefix + k in d:
                ch.fields[k] = d[prefix + k]
        variables = [v for k, v in pairs if k == f"{prefix}ChanVariable"]
        if variables:
            ch.variables = variables

    def _on_coreshowchannel(self, d, pairs, now):
        ch = self.live[d["Uniqueid"]]
        ch.bridge = d.get("BridgeId", "")
        ch.application = d.get("Application", "")
        ch.data = d.get("ApplicationData", "")
        parts = [int(p) for p in d.get("Duration", "0:0:0").split(":")]
        ch.since = now - (parts[0] * 3600 + parts[1] * 60 + parts[2])

    def _on_newexten(self, d, pairs, now):
        ch = self.live.get(d["Uniqueid"])
        if ch:
            ch.application, ch.data = d.get("Application", ""), d.get("AppData", "")

    def _on_dialbegin(self, d, pairs, now):
        ch = self.live.get(d.get("DestUniqueid"))
        if ch:
            ch.application, ch.data = "AppDial", "(Outgoing Line)"

    def _on_bridgeenter(self, d, pairs, now):
        ch = self.live.get(d["Uniqueid"])
        if ch:
            ch.bridge = d.get("BridgeUniqueid", "")

    def _on_bridgeleave(self, d, pairs, now):
        ch = self.live.get(d["Uniqueid"])
        if ch and ch.bridge == d.get("BridgeUniqueid"):
            ch.bridge = ""

    def _on_hangup(self, d, pairs, now):
        uid = d.get("Uniqueid")
        self.live.pop(uid, None)
        self.queued.pop(uid, None)
        self.in_parking.pop(uid, None)

    def _on_queuecallerjoin(self, d, pairs, now):
        keys = ("Queue", "Position", "Channel", "Uniqueid", "CallerIDNum", "CallerIDName",
                "ConnectedLineNum", "ConnectedLineName")
        item = [(k, d.get(k, "").replace("<unknown>", "unknown")) for k in keys]
        self.queued[d["Uniqueid"]] = [now, item]

    def _on_queueentry(self, d, pairs, now):
        self._on_queuecallerjoin(d, pairs, now - int(d.get("Wait") or 0))

    def _on_queuecallerleave(self, d, pairs, now):
        self.queued.pop(d["Uniqueid"], None)

    _on_queuecallerabandon = _on_queuecallerleave

    def _on_parkedcall(self, d, pairs, now):
        item = [(k, v) for k, v in pairs if k.startswith("Park") and k != "ParkingDuration"]
        since = now - int(d.get("ParkingDuration") or 0)
        self.in_parking[d["ParkeeUniqueid"]] = [since, item]

    def _on_unparkedcall(self, d, pairs, now):
        self.in_parking.pop(d.get("ParkeeUniqueid"), None)

    _on_parkedcalltimeout = _on_parkedcallgiveup = _on_parkedcallswap = _on_unparkedcall

    def _on_shutdown(self, d, pairs, now):
        self.clear()

    # ---- the lists

    def channels(self):
        now = self.now()
        return [ch.item(now) for ch in self.live.values()]

    def waiting(self):
        now = self.now()
        return [item + [("Wait", str(int(now - since))), ("Priority", "0")]
                for since, item in self.queued.values()]

    def parked(self):
        now = self.now()
        return [item + [("ParkingDuration", str(int(now - since)))]
                for since, item in self.in_parking.values()]

    def channel_named(self, name):
        for ch in self.live.values():
            if ch.fields.get("Channel") == name:
                return ch
        return None
