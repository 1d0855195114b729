/* sse.h - Server-Sent Events as bytes come (HTML standard, §9.2.6): the data of each. */
#ifndef INTERACTD_CTL_SSE_H
#define INTERACTD_CTL_SSE_H

#include <buf.h>
#include <stdbool.h>

#define SSE_EVENT_MAX ((size_t)1024 * 1024)

/* Zeroed = at the beginning of a stream. */
struct sse {
	struct buf line; /* what came of the current one */
	struct buf data; /* of the current event, lines joined by \n */
	bool has_data, after_cr;
};

/* One event's data, ending with NUL; borrowed. Returns false to hear no more. */
typedef bool sse_event_fn(void *arg, const char *data, size_t len);

enum sse_result {
	SSE_MORE,
	SSE_ENDED,    /* fn wants no more; what follows was not looked at */
	SSE_TOO_LONG, /* an event of more than SSE_EVENT_MAX */
};
enum sse_result
sse_feed(struct sse *, const char *bytes, size_t len, sse_event_fn *, void *arg);
void sse_clear(struct sse *); /* for the next connection; memory is kept */
void sse_fini(struct sse *);

#endif
