"""The queue members and phones of a fake Asterisk: who is in which queue, paused or not.

An Asterisk's behaviour as recorded (traces 16 and 22, queue-member-admin): a pause is told
once per queue, LastPause stays when it ends, and a member made anew has none.
"""

import time

KEYS = ("Queue", "MemberName", "Interface", "StateInterface", "Membership", "Penalty",
        "CallsTaken", "LastCall", "LastPause", "LoginTime", "InCall", "Status", "Paused",
        "PausedReason", "Ringinuse", "Wrapuptime")
STATUS = {"UNKNOWN": 0, "NOT_INUSE": 1, "INUSE": 2, "BUSY": 3, "INVALID": 4,
          "UNAVAILABLE": 5, "RINGING": 6, "RINGINUSE": 7, "ONHOLD": 8}


class Member:
    def __init__(self, queue, interface, phone, paused=False, reason="", now=None):
        self.queue, self.interface, self.phone = queue, interface, phone
        self.paused, self.reason = paused, reason
        self.login, self.last_pause = int(now or time.time()), 0

    def fields(self, status):
        values = {"Queue": self.queue, "MemberName": self.interface,
                  "Interface": self.interface, "StateInterface": self.phone,
                  "Membership": "dynamic", "Penalty": 0, "CallsTaken": 0, "LastCall": 0,
                  "LastPause": self.last_pause, "LoginTime": self.login, "InCall": 0,
                  "Status": status, "Paused": int(self.paused),
                  "PausedReason": self.reason, "Ringinuse": 0, "Wrapuptime": 0}
        return [(k, str(values[k])) for k in KEYS]


class Queues:
    def __init__(self):
        self.members = []
        self.devices = {}  # "PJSIP/1001": "NOT_INUSE"

    def status(self, member):
        return STATUS[self.devices.get(member.phone, "UNKNOWN")]

    def find(self, interface, queue=None):
        return [m for m in self.members if m.interface == interface
                and queue in (None, m.queue)]

    def pause(self, interface, paused, reason="", queue=None):
        """The events it gives: one per queue; none: not a member."""
        told = []
        for m in self.find(interface, queue):
            m.paused, m.reason = paused, reason if paused else ""
            if paused:
                m.last_pause = int(time.time())
            told.append(("QueueMemberPause", m.fields(self.status(m))))
        return told

    def restart(self, keep_pauses=False):
        """Members are there again; pauses only where they were persistent."""
        for m in self.members:
            m.login, m.last_pause = int(time.time()), 0
            if not keep_pauses:
                m.paused, m.reason = False, ""

    def items(self):
        """Of QueueStatus, without who waits."""
        out = []
        for queue in sorted({m.queue for m in self.members}):
            out.append(("QueueParams", [("Queue", queue), ("Max", "0"), ("Calls", "0")]))
            for m in self.members:
                if m.queue == queue:
                    fields = [("Name" if k == "MemberName" else
                               "Location" if k == "Interface" else k, v)
                              for k, v in m.fields(self.status(m)) if k != "Ringinuse"]
                    out.append(("QueueMember", fields))
        return out

    def device_items(self):
        return [("DeviceStateChange", [("Device", d), ("State", s)])
                for d, s in self.devices.items()]
