/* call_cases.h - tables of events and the outcome wanted, for the tracker's tests. */
#ifndef INTERACTD_CALL_CASES_H
#define INTERACTD_CALL_CASES_H

#include "calls_seen.h"
#include "test.h"

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define T0 INT64_C(1795277508000000)
#define EV(ms, name, ...)                                                              \
	{                                                                              \
		.type = CALL_##name, .at_us = T0 + (ms)*INT64_C(1000), __VA_ARGS__     \
	}
#define U(n)		 .uid = "1795277508." #n
#define L(n)		 .linked = "1795277508." #n
#define OTHER(n)	 .other_uid = "1795277508." #n
#define TRUNK		 .endpoint = "PJSIP/trunk"
#define PHONE(n)	 .endpoint = "PJSIP/" #n
#define PLAY(t, events)	 case_play(t, events, ARRAY_LEN(events))
#define CHECK_TOLD(want) case_check(__FILE__, __LINE__, want)

void case_play(struct tracker *, const struct call_event *, size_t n);
/* "in 0912345678 answered 1001 | 1001 ringing talking completed | …", a line per call. */
void case_check(const char *file, int line, const char *want);
/* Plays them to a new tracker, twice, and checks after each. */
void case_run(const char *file, int line, const struct call_event *, size_t n,
	const char *want);
#define RUN(events, want) case_run(__FILE__, __LINE__, events, ARRAY_LEN(events), want)

/* A customer (10) calls 5001 and talks with 1001 (11) in bridge b1 from 1 s on. */
#define CUSTOMER_CALLS                                                                 \
	EV(0, CHANNEL_NEW, U(10), L(10), TRUNK, .state = CALL_STATE_RING,              \
		.caller_number = "0912345678", .exten = "5001"),                       \
		EV(10, CHANNEL_NEW, U(11), L(10), PHONE(1001),                         \
			.state = CALL_STATE_DOWN),                                     \
		EV(20, DIAL_BEGIN, U(10), L(10), OTHER(11)),                           \
		EV(20, CHANNEL_STATE, U(11), L(10), .state = CALL_STATE_RINGING)
#define AGENT_ANSWERS                                                                  \
	EV(1000, CHANNEL_STATE, U(11), L(10), .state = CALL_STATE_UP),                 \
		EV(1000, DIAL_END, U(10), L(10), OTHER(11),                            \
			.result = CALL_RESULT_ANSWER),                                 \
		EV(1000, CHANNEL_STATE, U(10), L(10), .state = CALL_STATE_UP),         \
		EV(1000, BRIDGE_ENTER, U(11), L(10), .bridge = "b1"),                  \
		EV(1000, BRIDGE_ENTER, U(10), L(10), .bridge = "b1")
#define CUSTOMER_HANGS_UP(ms)                                                          \
	EV(ms, HANGUP_REQUEST, U(10), L(10), .cause = 16),                             \
		EV(ms, BRIDGE_LEAVE, U(10), L(10), .bridge = "b1"),                    \
		EV(ms, CHANNEL_HANGUP, U(10), L(10), .cause = 16)

#define RING(n, phone)                                                                 \
	EV(10, CHANNEL_NEW, U(n), L(10), PHONE(phone), .state = CALL_STATE_DOWN),      \
		EV(20, DIAL_BEGIN, U(10), L(10), OTHER(n)),                            \
		EV(20, CHANNEL_STATE, U(n), L(10), .state = CALL_STATE_RINGING)
#define LOSES(ms, n, why)                                                              \
	EV(ms, DIAL_END, U(10), L(10), OTHER(n), .result = CALL_RESULT_CANCEL),        \
		EV(ms, CHANNEL_HANGUP, U(n), L(10), .cause = why)

#endif
