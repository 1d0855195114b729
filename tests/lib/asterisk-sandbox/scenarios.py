"""The scenarios. Each makes calls while `a`, a manager connection, listens, and returns
the truth: one call() per call. SC has them all by name, each with its description."""

import re
import subprocess
import time

import sandbox
from sandbox import (
    BIG, SEQ, Ami, agent_dials, caller, cli, customer_phone, hold, info_dtmf, pause, phone,
    refer, register, reinvite, sipp,
)

CUST = "0912345678"
SC = {}


def scenario(desc):
    def deco(fn):
        SC[fn.__name__.replace("_", "-")] = (fn, desc)
        return fn

    return deco


def call(num, did, direction="inbound", **kw):
    d = dict(
        direction=direction,
        customer=num,
        did=did,
        queue=None,
        rang=[],
        answered_by=None,
        ring_s=None,
        talk_s=None,
        disposition=None,
        interactions=1,
    )
    d.update(kw)
    return d


def chan_of(a, num, timeout=5):
    """full channel name of the caller or agent leg whose CallerIDNum/endpoint matches"""
    e = a.wait(
        lambda e: e.get("Event") == "Newchannel"
        and (e.get("CallerIDNum") == num or f"PJSIP/{num}-" in e.get("Channel", "")),
        timeout,
        f"channel of {num}",
    )
    return e["Channel"] if e else None


@scenario("phones 1001..1006 register, then unregister and register again")
def agents_register(a):
    register(range(1001, 1007))
    time.sleep(1)
    register([1001], expires=0)
    time.sleep(0.5)
    register([1001])
    time.sleep(0.5)
    return []


@scenario("customer dials DID 5001, agent 1001 rings 1 s and answers, talk 3 s, the customer hangs up")
def direct_answered(a):
    phone(1001, ring=1000)
    caller(CUST, "5001", talk=3000, name="Wang Da-Ming")
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST,
            "5001",
            rang=["1001"],
            answered_by="1001",
            ring_s=1,
            talk_s=3,
            disposition="answered",
            hung_up_by="customer",
        )
    ]


@scenario("as direct-answered, but the agent hangs up after 2 s")
def direct_agent_hangup(a):
    phone(1001, ring=1000, talk=2000)
    caller(CUST, "5001", talk=BIG)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST,
            "5001",
            rang=["1001"],
            answered_by="1001",
            ring_s=1,
            talk_s=2,
            disposition="answered",
            hung_up_by="agent",
        )
    ]


@scenario("customer dials DID 5001, gives up (CANCEL) after 2 s of ringing")
def direct_cancel(a):
    phone(1001, do="noanswer")
    caller(CUST, "5001", giveup=2000)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [call(CUST, "5001", rang=["1001"], ring_s=2, disposition="abandoned")]


@scenario("customer dials DID 5001, the agent's phone says 486 busy at once")
def direct_busy(a):
    phone(1001, do="busy")
    caller(CUST, "5001", talk=BIG)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [call(CUST, "5001", rang=[], tried=["1001"], disposition="busy")]


@scenario(
    "DID 6001, IVR, queue sales (leastrecent, dynamic member 1004 added just before); 1004 rings 1.5 s, answers, talk 3 s"
)
def queue_answered(a):
    a.action(
        "QueueAdd",
        Queue="sales",
        Interface="PJSIP/1004",
        MemberName="Agent Four",
        StateInterface="PJSIP/1004",
        Penalty=0,
    )
    phone(1004, ring=1500)
    caller(CUST, "6001", talk=5000, name="Lin")
    a.ev("AgentComplete", timeout=20)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    a.action("QueueRemove", Queue="sales", Interface="PJSIP/1004")
    return [
        call(
            CUST,
            "6001",
            queue="sales",
            rang=["1004"],
            answered_by="1004",
            ring_s=1.5,
            talk_s=3.5,
            disposition="answered",
            hung_up_by="customer",
        )
    ]


@scenario("DID 6000, queue support rings 1001, 1002, 1003; 1002 answers after 2 s, talk 3 s, agent hangs up")
def queue_ringall_second(a):
    phone(1001, do="noanswer")
    phone(1002, ring=2000, talk=3000)
    phone(1003, do="noanswer")
    caller(CUST, "6000", talk=BIG, name="Chen")
    a.ev("AgentComplete", timeout=20)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST,
            "6000",
            queue="support",
            rang=["1001", "1002", "1003"],
            answered_by="1002",
            ring_s=2,
            talk_s=3,
            disposition="answered",
            hung_up_by="agent",
        )
    ]


@scenario("DID 6002, queue linear: 1001 rings 4 s without answer, then 1002 rings 1 s and answers, talk 2 s")
def queue_rna_then_second(a):
    phone(1001, do="noanswer")
    phone(1002, ring=1000, talk=2000)
    caller(CUST, "6002", talk=BIG)
    a.ev("AgentComplete", timeout=25)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST,
            "6002",
            queue="linear",
            rang=["1001", "1002"],
            no_answer=["1001"],
            answered_by="1002",
            ring_s=1,
            talk_s=2,
            disposition="answered",
            hung_up_by="agent",
        )
    ]


@scenario("DID 6002, queue linear: 1001's phone rejects (486), then 1002 answers")
def queue_reject_then_second(a):
    phone(1001, do="busy")
    phone(1002, ring=1000, talk=2000)
    caller(CUST, "6002", talk=BIG)
    a.ev("AgentComplete", timeout=25)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST,
            "6002",
            queue="linear",
            rang=["1002"],
            tried=["1001"],
            answered_by="1002",
            ring_s=1,
            talk_s=2,
            disposition="answered",
            hung_up_by="agent",
        )
    ]


@scenario(
    "DID 6000 (answered by the IVR), three phones ring, the customer hangs up (BYE) after 3 s in the queue"
)
def queue_abandon(a):
    for e in (1001, 1002, 1003):
        phone(e, do="noanswer")
    caller(CUST, "6000", talk=3000)
    a.ev("QueueCallerAbandon")
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(CUST, "6000", queue="support", rang=["1001", "1002", "1003"], ring_s=3, disposition="abandoned")
    ]


@scenario("DID 6007 (queue without Answer), the customer cancels (CANCEL) after 3 s")
def queue_abandon_unanswered(a):
    for e in (1001, 1002, 1003):
        phone(e, do="noanswer")
    caller(CUST, "6007", giveup=3000)
    a.ev("QueueCallerAbandon")
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(CUST, "6007", queue="support", rang=["1001", "1002", "1003"], ring_s=3, disposition="abandoned")
    ]


@scenario("DID 6003: queue gives up after 5 s (no one answers), dialplan hangs up")
def queue_timeout_exit(a):
    for e in (1001, 1002, 1003):
        phone(e, do="noanswer")
    caller(CUST, "6003", talk=BIG)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST,
            "6003",
            queue="support",
            rang=["1001", "1002", "1003"],
            ring_s=5,
            disposition="queue-timeout",
        )
    ]


@scenario("DID 6005: queue strict has no members, the caller is turned away (JOINEMPTY)")
def queue_joinempty(a):
    caller(CUST, "6005", talk=BIG)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [call(CUST, "6005", queue="strict", disposition="rejected", pops=0)]


@scenario("1001 answers a direct call, AMI BlindTransfer to 1002, 1002 rings 1 s, answers, customer hangs up")
def transfer_blind_ami(a):
    phone(1001, ring=500)
    phone(1002, ring=1000)
    caller(CUST, "5001", talk=7000)
    e = a.ev("BridgeEnter", Channel="PJSIP/1001-.*")
    time.sleep(2)
    a.action("BlindTransfer", Channel=e["Channel"], Context="from-internal", Exten="1002")
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST,
            "5001",
            rang=["1001", "1002"],
            answered_by="1001",
            transferred_to="1002",
            transfer="blind",
            disposition="answered",
            talk_s=7,
        )
    ]


@scenario("1001 answers a direct call, its phone sends REFER to 1002 (blind), 1002 answers, 1002 hangs up")
def transfer_blind_refer(a):
    phone(1001, ring=500, mid=refer(2000, "1002"))
    phone(1002, ring=1000, talk=2000)
    caller(CUST, "5001", talk=BIG)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST,
            "5001",
            rang=["1001", "1002"],
            answered_by="1001",
            transferred_to="1002",
            transfer="blind",
            disposition="answered",
        )
    ]


@scenario("1001 answers, REFER to 1002 (blind), 1002 does not pick up, the customer hangs up 3 s later")
def transfer_blind_noanswer(a):
    phone(1001, ring=500, mid=refer(2000, "1002"))
    phone(1002, do="noanswer")
    caller(CUST, "5001", talk=6000)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST,
            "5001",
            rang=["1001", "1002"],
            answered_by="1001",
            transferred_to=None,
            transfer="blind",
            disposition="answered-then-lost-in-transfer",
        )
    ]


@scenario(
    "1001 answers, AMI Atxfer to 1002 (Asterisk's own attended transfer), 1002 answers, 1001 hangs up = complete, customer hangs up"
)
def transfer_attended_ami(a):
    phone(1001, ring=500, talk=6500)
    phone(1002, ring=1000)
    caller(CUST, "5001", talk=10000)
    e = a.ev("BridgeEnter", Channel="PJSIP/1001-.*")
    time.sleep(2)
    a.action("Atxfer", Channel=e["Channel"], Exten="1002", Context="from-internal")
    a.ev("Hangup", Channel="PJSIP/trunk-.*", timeout=20)
    return [
        call(
            CUST,
            "5001",
            rang=["1001", "1002"],
            answered_by="1001",
            transferred_to="1002",
            transfer="attended",
            disposition="answered",
        )
    ]


@scenario("queue call answered by 1002, AMI Atxfer to 1004 (consults 2 s), completed")
def transfer_attended_ami_queue(a):
    phone(1001, do="noanswer")
    phone(1003, do="noanswer")
    phone(1002, ring=1000, talk=6500)
    phone(1004, ring=1000)
    caller(CUST, "6000", talk=11000)
    e = a.ev("BridgeEnter", Channel="PJSIP/1002-.*")
    time.sleep(2)
    a.action("Atxfer", Channel=e["Channel"], Exten="1004", Context="from-internal")
    a.ev("Hangup", Channel="PJSIP/trunk-.*", timeout=20)
    return [
        call(
            CUST,
            "6000",
            queue="support",
            rang=["1001", "1002", "1003", "1004"],
            answered_by="1002",
            transferred_to="1004",
            transfer="attended",
            disposition="answered",
        )
    ]


def dialog_of(logfile, who):
    """Call-ID, local tag, remote tag, remote contact of an answered sipp dialog, from its message log"""
    s = open(logfile, errors="replace").read().replace("\r", "")
    if who == "uas":
        inv = re.search(r"\nINVITE sip:.*?\n\n", s, re.S).group(0)
        ok = [
            m for m in re.findall(r"\nSIP/2.0 200 OK.*?\n\n", s, re.S) if re.search(r"CSeq: *\d+ INVITE", m)
        ][0]
        cid = re.search(r"Call-ID: *(\S+)", ok).group(1)
        inv = [m for m in re.findall(r"\nINVITE sip:.*?\n\n", s, re.S) if cid in m][0]
        return dict(
            cid=re.search(r"Call-ID: *(\S+)", inv).group(1),
            ltag=re.search(r"\nTo:.*;tag=(\S+)", ok).group(1),
            rtag=re.search(r"\nFrom:.*;tag=(\S+)", inv).group(1),
            lto=re.search(r"\nTo: *(.*);tag", ok).group(1),
            rfrom=re.search(r"\nFrom: *(.*);tag", inv).group(1),
            rc=re.search(r"\nContact: *<([^>]*)>", inv).group(1),
        )
    oks = [m for m in re.findall(r"\nSIP/2.0 200 OK.*?\n\n", s, re.S) if "INVITE" in m]
    ok = oks[0]
    return dict(
        cid=re.search(r"Call-ID: *(\S+)", ok).group(1),
        ltag=re.search(r"\nFrom:.*;tag=(\S+)", ok).group(1),
        rtag=re.search(r"\nTo:.*;tag=(\S+)", ok).group(1),
        rc=re.search(r"\nContact: *<([^>]*)>", ok).group(1),
    )


@scenario("1001 answers, holds the customer 2 s (re-INVITE sendonly), takes back, talk, agent hangs up")
def hold_unhold(a):
    phone(1001, ring=500, mid=hold(1500, 2000), talk=1500)
    caller(CUST, "5001", talk=BIG)
    a.ev("Unhold")
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST,
            "5001",
            rang=["1001"],
            answered_by="1001",
            holds=1,
            hold_s=2,
            talk_s=5,
            disposition="answered",
            hung_up_by="agent",
        )
    ]


@scenario(
    "1001 answers, AMI Park puts the customer on 701, 1002 dials 701 three seconds later and takes the call, customer hangs up"
)
def park_retrieve(a):
    phone(1001, ring=500)
    caller(CUST, "5001", talk=10000)
    a.ev("BridgeEnter", Channel="PJSIP/1001-.*")
    time.sleep(2)
    cust, ag = chan_of(a, CUST), a.ev("BridgeEnter", Channel="PJSIP/1001-.*")["Channel"]
    a.action("Park", Channel=cust, AnnounceChannel=ag, Timeout=20000)
    p = a.ev("ParkedCall")
    time.sleep(3)
    agent_dials("1002", p["ParkingSpace"] if p else "701", talk=BIG)
    a.ev("UnParkedCall")
    a.ev("Hangup", Channel="PJSIP/trunk-.*", timeout=20)
    return [
        call(
            CUST,
            "5001",
            rang=["1001"],
            answered_by="1001",
            parked_s=3,
            retrieved_by="1002",
            disposition="answered",
            note="1002's call to 701 is a channel of its own, with its own linkedid until the bridge",
        )
    ]


@scenario("agent 1001 calls agent 1002, 1002 rings 1 s, answers, talk 2 s: no customer, no pop")
def internal_call(a):
    phone(1002, ring=1000)
    agent_dials("1001", "1002", talk=2000)
    a.ev("Hangup", Channel="PJSIP/1001-.*")
    return [
        call(
            None,
            None,
            "internal",
            agent="1001",
            rang=["1002"],
            answered_by="1002",
            ring_s=1,
            talk_s=2,
            disposition="answered",
            interactions=0,
        )
    ]


def originate(a, num="0911222333", agent="1001", **kw):
    return a.action(
        "Originate",
        Channel=f"PJSIP/{agent}",
        Context="click-to-call",
        Exten=num,
        Priority=1,
        Timeout=15000,
        CallerID=f"Click <{num}>",
        Async="true",
        Account="crm",
        _vars=["__CUSTOMER_ID=C-77", "__CRM_NOTE=a=b;c,d", "ENTRY_DID=originate"],
        **kw,
    )


@scenario(
    "AMI Originate: 1001's phone rings 1 s, agent picks up, customer 0911222333 is dialled, rings 1.5 s, answers, talk 3 s, customer hangs up"
)
def originate_answered(a):
    phone(1001, ring=1000)
    customer_phone("0911222333", ring=1500, talk=3000)
    originate(a)
    a.ev("OriginateResponse")
    a.ev("Hangup", Channel="PJSIP/1001-.*")
    return [
        call(
            "0911222333",
            None,
            "outbound",
            agent="1001",
            rang=["1001"],
            answered_by="customer",
            ring_s=1.5,
            talk_s=3,
            disposition="answered",
            hung_up_by="customer",
        )
    ]


@scenario("AMI Originate, the customer is busy (486)")
def originate_busy(a):
    phone(1001, ring=500)
    customer_phone("0911222333", do="busy")
    originate(a)
    a.ev("Hangup", Channel="PJSIP/1001-.*")
    return [call("0911222333", None, "outbound", agent="1001", rang=["1001"], disposition="busy")]


@scenario("AMI Originate, the customer's phone rings 4 s, then the agent hangs up")
def originate_noanswer(a):
    phone(1001, ring=500, talk=4500)
    customer_phone("0911222333", do="noanswer")
    originate(a)
    a.ev("Hangup", Channel="PJSIP/1001-.*")
    return [
        call("0911222333", None, "outbound", agent="1001", rang=["1001"], ring_s=4, disposition="no-answer")
    ]


@scenario(
    "AMI Originate, the agent's own phone never answers (Originate Timeout 3 s): the customer is never called"
)
def originate_agent_noanswer(a):
    phone(1001, do="noanswer")
    a.action(
        "Originate",
        Channel="PJSIP/1001",
        Context="click-to-call",
        Exten="0911222333",
        Priority=1,
        Timeout=3000,
        CallerID="Click <0911222333>",
        Async="true",
    )
    a.ev("OriginateResponse")
    a.ev("Hangup", Channel="PJSIP/1001-.*")
    return [
        call(
            "0911222333",
            None,
            "outbound",
            agent="1001",
            rang=["1001"],
            ring_s=3,
            disposition="agent-no-answer",
        )
    ]


@scenario("AMI Originate to a phone that does not exist: an error response or a failed OriginateResponse")
def originate_bad(a):
    originate(a, agent="1999")
    a.ev("OriginateResponse", timeout=5)
    a.action(
        "Originate",
        Channel="NoSuchTech/1",
        Context="click-to-call",
        Exten="1",
        Priority=1,
        Async="false",
        Timeout=2000,
    )
    return []


@scenario("caller withholds the number: From anonymous@anonymous.invalid, name Anonymous")
def cid_anonymous(a):
    phone(1001, ring=800, talk=1500)
    caller("anonymous", "5001", talk=BIG, frm='"Anonymous" <sip:anonymous@anonymous.invalid>')
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            "anonymous",
            "5001",
            rang=["1001"],
            answered_by="1001",
            ring_s=0.8,
            talk_s=1.5,
            disposition="answered",
            caller_name="Anonymous",
            number_withheld=True,
        )
    ]


def cid_case(a, name, num=CUST, frm=None, did="6001"):
    phone(1004, ring=800, talk=1200)
    a.action(
        "QueueAdd",
        Queue="sales",
        Interface="PJSIP/1004",
        MemberName="Agent Four",
        StateInterface="PJSIP/1004",
    )
    caller(num, did, talk=BIG, frm=frm)
    a.ev("AgentComplete")
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    a.action("QueueRemove", Queue="sales", Interface="PJSIP/1004")
    return [
        call(
            num,
            did,
            queue="sales",
            rang=["1004"],
            answered_by="1004",
            ring_s=0.8,
            talk_s=1.2,
            disposition="answered",
            caller_name=name,
        )
    ]


@scenario("caller ID name in Chinese (UTF-8): 王小明(台北)")
def cid_utf8(a):
    return cid_case(a, "王小明(台北)", frm=f'"王小明(台北)" <sip:{CUST}@127.0.0.2>')


@scenario("caller ID name with quotes, semicolon, angle brackets, comma, equals, colon, percent, backslash")
def cid_odd(a):
    return cid_case(
        a,
        'O"Neil; <sip:x@y>, a=b: 100% \\',
        frm=f'"O\\"Neil; <sip:x@y>, a=b: 100% \\\\" <sip:{CUST}@127.0.0.2>',
    )


@scenario("caller ID name of 300 characters and a number of 60 digits")
def cid_long(a):
    return cid_case(a, "N" * 300, num="9" * 60, frm='"' + "N" * 300 + '" <sip:' + "9" * 60 + "@127.0.0.2>")


@scenario("caller with +886 E.164 number and no display name; plus sip user with spaces escaped")
def cid_e164(a):
    return cid_case(a, None, num="+886912345678", frm="<sip:+886912345678@127.0.0.2;user=phone>")


@scenario(
    "QueueAdd, QueuePause with reason, QueuePause for all queues, unpause, QueuePenalty, QueueRemove, and wrong ones; no calls"
)
def queue_member_admin(a):
    m = "PJSIP/1004"
    a.action(
        "QueueAdd",
        Queue="sales",
        Interface=m,
        MemberName="Agent Four",
        StateInterface=m,
        Penalty=2,
        Paused="false",
    )
    a.action("QueueAdd", Queue="sales", Interface=m)  # already there
    a.action("QueuePause", Queue="sales", Interface=m, Paused="true", Reason="lunch 午餐")
    a.action("QueuePause", Queue="sales", Interface=m, Paused="false")
    a.action("QueuePause", Interface="PJSIP/1001", Paused="true", Reason="meeting")  # every queue it is in
    a.action("QueuePause", Interface="PJSIP/1001", Paused="false")
    a.action("QueuePenalty", Interface=m, Penalty=5, Queue="sales")
    a.action("QueueMemberRingInUse", Interface=m, RingInUse="true", Queue="sales")
    a.action("QueuePause", Queue="sales", Interface="PJSIP/9999", Paused="true")  # unknown
    a.action("QueueRemove", Queue="sales", Interface=m)
    a.action("QueueRemove", Queue="sales", Interface=m)  # not there any more
    a.action("QueueRemove", Queue="support", Interface="PJSIP/1003")  # a static one
    a.action(
        "QueueAdd",
        Queue="support",
        Interface="PJSIP/1003",
        MemberName="Agent Three",
        StateInterface="PJSIP/1003",
    )
    a.action("QueueAdd", Queue="nosuch", Interface=m)
    time.sleep(0.5)
    return []


@scenario(
    "two customers at once: A dials 5001, B dials 5002 half a second later, both answered, A ends first"
)
def two_interleaved(a):
    phone(1001, ring=1000)
    phone(1002, ring=1000)
    caller("0911000001", "5001", talk=3000, name="A")
    time.sleep(0.5)
    caller("0911000002", "5002", talk=4000, name="B")
    a.ev("Hangup", Channel="PJSIP/trunk-.*", CallerIDNum="0911000001")
    a.ev("Hangup", Channel="PJSIP/trunk-.*", CallerIDNum="0911000002")
    return [
        call(
            "0911000001",
            "5001",
            rang=["1001"],
            answered_by="1001",
            ring_s=1,
            talk_s=3,
            disposition="answered",
        ),
        call(
            "0911000002",
            "5002",
            rang=["1002"],
            answered_by="1002",
            ring_s=1,
            talk_s=4,
            disposition="answered",
        ),
    ]


def register_alt(ext, port):
    csv = f"{sandbox.GEN}/alt.csv"
    open(csv, "w").write(f"SEQUENTIAL\n{ext};{port};3600\n")
    sipp(f"{sandbox.HERE}/sipp/register.xml", "127.0.0.1", sandbox.PHONE0 + 51, "-inf", csv, wait=True)


@scenario(
    "two customers wait in queue sales (one agent, 1004, 12 s): A is answered after 1 s and talks 2 s, then B gets the agent; positions and counts change"
)
def queue_two_waiting(a):
    a.action(
        "QueueAdd",
        Queue="sales",
        Interface="PJSIP/1004",
        MemberName="Agent Four",
        StateInterface="PJSIP/1004",
    )
    phone(1004, ring=1000)
    caller("0911000001", "6001", talk=4000, name="A")
    time.sleep(0.4)
    caller("0911000002", "6001", talk=9000, name="B")
    a.ev("Hangup", Channel="PJSIP/trunk-.*", CallerIDNum="0911000002", timeout=30)
    a.action("QueueRemove", Queue="sales", Interface="PJSIP/1004")
    return [
        call(
            "0911000001",
            "6001",
            queue="sales",
            rang=["1004"],
            answered_by="1004",
            ring_s=1,
            talk_s=2.5,
            disposition="answered",
        ),
        call(
            "0911000002",
            "6001",
            queue="sales",
            rang=["1004"],
            answered_by="1004",
            ring_s=1,
            disposition="answered",
        ),
    ]


@scenario(
    "1001 answers, its phone REFERs the customer to an outside number 90911222333, which answers: two outside parties, no agent left"
)
def transfer_blind_external(a):
    phone(1001, ring=500, mid=refer(1500, "90911222333"))
    customer_phone("0911222333", ring=1000)
    caller(CUST, "5001", talk=6500)
    a.ev("Hangup", Channel=re.escape(chan_of(a, CUST)), timeout=20)
    return [
        call(
            CUST,
            "5001",
            rang=["1001"],
            answered_by="1001",
            transferred_to="external 0911222333",
            transfer="blind",
            disposition="answered",
        )
    ]


@scenario("DID 6040: Dial(Local/1002@agents); no RTP flows, so the Local pair stays in the call")
def local_dial(a):
    phone(1002, ring=1000)
    caller(CUST, "6040", talk=3000)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [call(CUST, "6040", rang=["1002"], answered_by="1002", ring_s=1, talk_s=3, disposition="answered")]


RTP = '<nop><action><exec rtp_stream="%s/sipp/silence.ulaw,-1,0"/></action></nop>\n' % sandbox.HERE


@scenario(
    "DID 6040: Dial(Local/1002@agents); both sides send RTP, so the Local pair optimises itself away after the answer"
)
def local_optimised(a):
    phone(1002, ring=1000, mid=RTP)
    caller(CUST, "6040", talk=3000, mid=RTP)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [call(CUST, "6040", rang=["1002"], answered_by="1002", ring_s=1, talk_s=3, disposition="answered")]


@scenario("1005's phone redirects (302) to 1004; Asterisk builds a Local channel; 1004 answers")
def phone_redirect(a):
    phone(1005, do="redirect:1004")
    phone(1004, ring=1000)
    caller(CUST, "5005", talk=3500)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST, "5005", rang=["1004"], tried=["1005"], answered_by="1004", ring_s=1, disposition="answered"
        )
    ]


@scenario(
    "1006's phone is off (qualify fails): its device state goes UNAVAILABLE, a call to DID 5006 fails at once; phone comes back"
)
def phone_unreachable(a):
    register([1006], expires=0)
    time.sleep(0.5)
    register([1006])
    a.ev("ContactStatus", timeout=12, ContactStatus="Unreachable")
    time.sleep(0.5)
    caller(CUST, "5006", talk=BIG)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    phone(1006, ring=500, talk=1500, n=20)
    a.ev("ContactStatus", timeout=12, ContactStatus="Reachable", AOR="1006")
    time.sleep(0.5)
    return [call(CUST, "5006", rang=[], tried=["1006"], disposition="unreachable")]


@scenario(
    "IVR menu: DID 6010, caller presses 2 (SIP INFO), goes to queue sales, 1004 answers; in the call the agent's phone sends 1 2 #"
)
def dtmf_menu(a):
    a.action(
        "QueueAdd",
        Queue="sales",
        Interface="PJSIP/1004",
        MemberName="Agent Four",
        StateInterface="PJSIP/1004",
    )
    phone(1004, ring=800, mid=info_dtmf(1000, "12#", side="uas"), talk=1500)
    caller(CUST, "6010", talk=BIG, mid=info_dtmf(1500, "2"))
    a.ev("AgentComplete", timeout=25)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    a.action("QueueRemove", Queue="sales", Interface="PJSIP/1004")
    return [
        call(
            CUST,
            "6010",
            queue="sales",
            rang=["1004"],
            answered_by="1004",
            ring_s=0.8,
            disposition="answered",
            dtmf="2 by caller, 12# by agent",
        )
    ]


@scenario("DID 6020: MixMonitor recording, 1001 answers")
def recorded_call(a):
    phone(1001, ring=500, talk=2000)
    caller(CUST, "6020", talk=BIG)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [
        call(
            CUST,
            "6020",
            rang=["1001"],
            answered_by="1001",
            ring_s=0.5,
            talk_s=2,
            disposition="answered",
            recorded=True,
        )
    ]


@scenario("DID 6030: the customer leaves voicemail for 1001 (with RTP; MessageWaiting)")
def voicemail(a):
    caller(CUST, "6030", talk=6000, mid=RTP)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [call(CUST, "6030", disposition="voicemail", pops=0)]


@scenario(
    "DID 6060: dialplan UserEvent with custom headers, then AMI UserEvent and AMI Setvar/Getvar on the channel"
)
def user_event(a):
    caller(CUST, "6060", talk=2500)
    a.ev("UserEvent")
    c = chan_of(a, CUST)
    a.action("Setvar", Channel=c, Variable="CUSTOMER_ID", Value='C-set-by-ami; "q" 客戶')
    a.action("Getvar", Channel=c, Variable="CUSTOMER_ID")
    a.action("UserEvent", UserEvent="Screen", Header1="a: b", Header2="客戶")
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [call(CUST, "6060", disposition="ivr-only", pops=0)]


@scenario(
    "what AMI escapes: Setvar of CALLERID(name), a plain variable and UserEvent values with quotes, backslash, tab, percent, a comma and an equals sign"
)
def escapes(a):
    caller(CUST, "6060", talk=3500)
    a.ev("UserEvent")
    c = chan_of(a, CUST)
    v = 'a"b \\c %41 x=y,z \tTab; é'
    a.action("Setvar", Channel=c, Variable="PLAIN", Value=v)
    a.action("Setvar", Channel=c, Variable="CALLERID(name)", Value=v)
    a.action("Setvar", Channel=c, Variable="CALLERID(num)", Value=v)
    a.action("Getvar", Channel=c, Variable="PLAIN")
    a.action("Getvar", Channel=c, Variable="CALLERID(name)")
    a.action("UserEvent", UserEvent="Esc", Text=v)
    a.action("Setvar", Channel=c, Variable="NL", Value="${SHELL(printf 'one')}${QUOTE(two)}")
    a.action("Status", Channel=c)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    return [call(CUST, "6060", disposition="ivr-only", pops=0)]


@scenario(
    "Asterisk 'core stop now' with a call in progress; AMI connection is closed after a Shutdown event; started again, reconnect"
)
def restart_graceful(a):
    phone(1001, ring=500)
    caller(CUST, "5001", talk=BIG)
    a.ev("BridgeEnter", Channel="PJSIP/1001-.*")
    time.sleep(1.5)
    subprocess.run([sandbox.SANDBOX, "stop", sandbox.ROOT])
    time.sleep(0.3)
    return [
        call(
            CUST,
            "5001",
            rang=["1001"],
            answered_by="1001",
            disposition="lost",
            note="no Hangup may come for these channels",
        )
    ]


@scenario("first connection after a start: login while booting is over, FullyBooted, then registrations")
def after_restart(a):
    time.sleep(1)
    register(range(1001, 1007))
    time.sleep(1)
    return []


@scenario(
    "resync: the connection is opened while 1 call is up with 1001, 1 is ringing at 1002, 1 waits in queue sales, 1 is parked, 1 on hold at 1004; every listing action is asked; then all calls are hung up"
)
def resync_live(a):
    for act, kw in (
        ("CoreSettings", {}),
        ("CoreStatus", {}),
        ("CoreShowChannels", {}),
        ("Status", {}),
        ("Status", dict(AllVariables="true")),
        ("BridgeList", {}),
        ("QueueStatus", {}),
        ("QueueSummary", {}),
        ("QueueStatus", dict(Queue="sales")),
        ("DeviceStateList", {}),
        ("ExtensionStateList", {}),
        ("PJSIPShowEndpoints", {}),
        ("PJSIPShowContacts", {}),
        ("ParkedCalls", {}),
        ("PresenceStateList", {}),
        ("ListCommands", {}),
        ("Ping", {}),
        ("QueueStatus", dict(Queue="nosuch")),
    ):
        r = a.action(act, **kw)
        aid = f"{a.name}-{a.n}"
        if r.get("EventList", "").lower() == "start":
            a.wait(
                lambda e: e.get("ActionID") == aid
                and e.get("EventList", "").lower() in ("complete", "cancelled"),
                5,
                act + " Complete",
            )
    e = a.wait(lambda e: e.get("Event") == "BridgeListItem", 1, "bridge")
    if e:
        a.action("BridgeInfo", BridgeUniqueid=e["BridgeUniqueid"])
        time.sleep(0.3)
    time.sleep(1)
    cli("channel request hangup all")
    time.sleep(1.5)  # the ends of calls whose start was never seen
    return resync_truth


def resync_prepare():
    global resync_truth
    c = Ami(None)
    c.action(
        "QueueAdd",
        Queue="sales",
        Interface="PJSIP/1005",
        MemberName="Agent Five",
        StateInterface="PJSIP/1005",
    )
    c.action("QueuePause", Queue="sales", Interface="PJSIP/1005", Paused="true", Reason="coffee")
    phone(1001, ring=300)
    phone(1002, do="noanswer")
    phone(1004, ring=300, mid=pause(500) + reinvite(11, "sendonly"))
    phone(1003, ring=300)
    caller("0911000001", "5001", talk=BIG, name="Up With 1001")
    caller("0911000002", "5002", talk=BIG, name="Ringing 1002")
    caller("0911000003", "6001", talk=BIG, name="等候 sales")
    caller("0911000004", "5004", talk=BIG, name="Held by 1004")
    caller("0911000005", "5003", talk=BIG, name="Parked")
    e = c.ev("BridgeEnter", Channel="PJSIP/1003-.*")
    time.sleep(0.7)
    c.action("Park", Channel=chan_of(c, "0911000005"), AnnounceChannel=e["Channel"], Timeout=60000)
    time.sleep(1)
    c.close()
    resync_truth = [
        call("0911000001", "5001", answered_by="1001", state="up"),
        call("0911000002", "5002", rang=["1002"], state="ringing"),
        call("0911000003", "6001", queue="sales", state="waiting", note="the only member, 1005, is paused"),
        call("0911000004", "5004", answered_by="1004", state="held"),
        call("0911000005", "5003", answered_by="1003", state="parked"),
    ]


def resync_cleanup():
    c = Ami(None)
    c.action("QueueRemove", Queue="sales", Interface="PJSIP/1005")
    c.close()
    cli("channel request hangup all")


@scenario(
    "AMI oddities: unknown action, missing parameters, Command with multi-line output and a failing one, Events off/on, an action with no ActionID, blank lines, an over-long line"
)
def ami_oddities(a):
    a.action("NoSuchAction")
    a.action("Originate")
    a.action("Getvar", Channel="PJSIP/none-1", Variable="X")
    a.action("Command", Command="core show version")
    a.action("Command", Command="queue show")
    a.action("Command", Command="no such command")
    a.action("Events", EventMask="off")
    a.action("Events", EventMask="call,agent")
    a.action("Events", EventMask="on")
    a.sock.sendall(b"Action: Ping\r\n\r\n")
    time.sleep(0.2)
    a.sock.sendall(b"\r\n\r\nAction: Ping\r\nActionID: after-blank\r\n\r\n")
    time.sleep(0.2)
    a.sock.sendall(b"action: ping\nactionid: bare-lf\n\n")
    time.sleep(0.3)
    a.sock.sendall(b"\r\n")
    time.sleep(0.2)
    a.sock.sendall(b"Action: Ping\r\nActionID: " + b"x" * 1500 + b"\r\n\r\n")
    time.sleep(0.3)
    a.action("Filter", Operation="Add", Filter="!Event: RTCP.*")
    a.action("ShowDialPlan", Context="ivr")
    time.sleep(0.5)
    return []


@scenario("wrong password: error response, connection closed by Asterisk")
def login_refused(a):
    a.action("Login", Username="ctl", Secret="wrong")
    time.sleep(1.5)
    return []


@scenario(
    "the restricted user (read=call,agent; eventfilter !RTCP !VarSet): the events a careful site would let through, for one queue call like queue-ringall-second"
)
def narrow_user(a):
    phone(1001, do="noanswer")
    phone(1002, ring=1500, talk=2000)
    phone(1003, do="noanswer")
    caller(CUST, "6000", talk=BIG)
    a.ev("AgentComplete", timeout=20)
    a.ev("Hangup", Channel="PJSIP/trunk-.*")
    a.action("QueueAdd", Queue="sales", Interface="PJSIP/1004")
    return [
        call(
            CUST,
            "6000",
            queue="support",
            rang=["1001", "1002", "1003"],
            answered_by="1002",
            ring_s=1.5,
            talk_s=2,
            disposition="answered",
            hung_up_by="agent",
        )
    ]


@scenario(
    "burst: 50 customers dial queue load (1004, 1005, any number of calls each) within 1 s; every call rings 0.5 s, answered, talk 3 s, customer hangs up"
)
def burst_50(a):
    phone(1004, ring=500, n=100)
    phone(1005, ring=500, n=100)
    caller_load("6006", 50, 50, 3500)
    end = time.time() + 40
    while (
        time.time() < end
        and sum(1 for e in a.events if e.get("Event") == "Hangup" and e["Channel"].startswith("PJSIP/trunk"))
        < 50
    ):
        time.sleep(0.2)
    time.sleep(1)
    return [
        call(f"0900{i}", "6006", queue="load", disposition="answered", talk_s=3, answered_by="1004 or 1005")
        for i in range(1, 51)
    ]


def caller_load(did, n, rate, dur, extra=()):
    SEQ[0] += 1
    return sipp(
        f"{sandbox.HERE}/sipp/load-uac.xml",
        "127.0.0.2",
        31990 if sandbox.V == "22" else 41990,
        "-key",
        "to",
        did,
        "-r",
        str(rate),
        "-d",
        str(dur),
        "-l",
        "2000",
        *extra,
        n=n,
    )
