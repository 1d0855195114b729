/* dial_phone.h - which phone of an agent a call is placed from. */
#ifndef INTERACTD_CALLS_DIAL_PHONE_H
#define INTERACTD_CALLS_DIAL_PHONE_H

#include <calls/dial.h>

#define DIAL_ENDPOINT_MAX 130

struct dial_phone {
	struct channel *channel; /* up, and its driver can dial */
	char endpoint[DIAL_ENDPOINT_MAX];
};

/* The agent's best phone on a channel that is up (on `channel` if that is not NULL), or
 * why there is none, with a sentence. */
enum dial_refusal dial_phone_find(const struct dialler_opts *, const char *tenant,
	const char *agent, const char *channel, struct dial_phone *out_r, struct err *);

#endif
