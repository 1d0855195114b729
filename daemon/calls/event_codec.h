/* event_codec.h - call events as bytes, for the spool. Fields by number: a newer daemon
 * reads an older one's records and the other way round. */
#ifndef INTERACTD_CALLS_EVENT_CODEC_H
#define INTERACTD_CALLS_EVENT_CODEC_H

#include <buf.h>
#include <channel.h>

void call_event_encode(struct buf *out, const struct call_event *);
/* data must stay while ev is used: its strings point into it (they end with NUL there).
 * vars_r has room for CALL_VARS_MAX. Returns -1 for damaged bytes. */
int call_event_decode(const void *data, size_t len, struct call_event *ev,
	struct call_var *vars_r) MUST_CHECK;

#endif
