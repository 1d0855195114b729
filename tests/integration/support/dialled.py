"""A call that was asked for by POST /v1/calls, as Asterisk tells of it."""

import itertools

NUMBER = "0912345678"
channels = itertools.count(1)


class Call:
    """The events of a call that was asked for, as Asterisk sends them."""

    def __init__(self, fake, action):
        self.fake, self.uid = fake, action["channelid"]
        self.exten, self.action_id = action["exten"], action["actionid"]
        self.endpoint = action["channel"]
        n = next(channels)
        self.agent = dict(Channel=f"{self.endpoint}-{n:08x}", Uniqueid=self.uid,
                          Linkedid=self.uid)
        self.out = dict(Channel=f"PJSIP/trunk-{n:08x}", Uniqueid=f"{self.uid}.out",
                        Linkedid=self.uid)

    def event(self, name, of, **more):
        self.fake.send_event(name, **of, **more)

    @staticmethod
    def dest(of):
        return {f"Dest{k}": v for k, v in of.items()}

    def state(self, of, number, text):
        self.event("Newstate", of, ChannelState=number, ChannelStateDesc=text)

    def agent_rings(self):
        self.event("Newchannel", self.agent, ChannelState="0", ChannelStateDesc="Down",
                   Exten="s")
        self.event("DialBegin", self.dest(self.agent), DialString="1001")
        self.state(self.agent, "5", "Ringing")

    def response(self, reason, uid="<unknown>", name=None):
        self.fake.send_event(
            "OriginateResponse", ActionID=self.action_id, Channel=name or self.endpoint,
            Response="Success" if reason == "4" else "Failure", Exten=self.exten,
            Reason=reason, Uniqueid=uid)

    def agent_answers(self):
        self.state(self.agent, "6", "Up")
        self.event("DialEnd", self.dest(self.agent), DialStatus="ANSWER")
        self.response("4", self.uid, self.agent["Channel"])

    def hangup(self, of, cause):
        self.event("Hangup", of, Cause=cause)

    def customer_rings(self):
        self.event("Newchannel", self.out, ChannelState="0", ChannelStateDesc="Down")
        self.event("DialBegin", {**self.agent, **self.dest(self.out)},
                   DialString=f"{NUMBER}@trunk")
        self.state(self.out, "5", "Ringing")

    def customer_answers(self):
        self.state(self.out, "6", "Up")
        self.event("DialEnd", {**self.agent, **self.dest(self.out)}, DialStatus="ANSWER")
        for of in (self.agent, self.out):
            self.event("BridgeEnter", of, BridgeUniqueid=f"b{self.uid}")

    def ends(self):
        self.event("HangupRequest", self.out, Cause="16")
        self.hangup(self.out, "16")
        self.hangup(self.agent, "16")
