/* breaker.h - leaves somebody alone who keeps failing.
 *
 *	CLOSED --failures--> OPEN --pause over--> HALF (one may try) --it worked--> CLOSED
 *	                       ^---------------------'--it failed
 *
 * Opens when within a window of 10 s there were `failures` of them, and they were at least
 * half of all. No clock of its own: pass clock_mono_us(). */
#ifndef INTERACTD_PEOPLE_BREAKER_H
#define INTERACTD_PEOPLE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF };

struct breaker {
	enum breaker_state state;
	unsigned max_failures;
	int64_t pause_us;
	unsigned failed, all; /* in the window */
	int64_t began_us;     /* of the window */
	int64_t until_us;     /* OPEN */
	bool probing;	      /* HALF: somebody tries */
};

void breaker_init(struct breaker *, unsigned failures, unsigned pause_s);
/* May one be asked now? If so breaker_done follows, or breaker_forget. */
bool breaker_may(struct breaker *, int64_t now_us);
/* How it went; true if that opened or closed it. */
bool breaker_done(struct breaker *, bool ok, int64_t now_us);
void breaker_forget(struct breaker *); /* it was given up, and says nothing */
const char *breaker_text(const struct breaker *);

#endif
