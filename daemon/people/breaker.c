/* breaker.c - see breaker.h. Pure: the same calls give the same answers. */
#include <people/breaker.h>

#include <string.h>

#define WINDOW_US 10000000

void
breaker_init(struct breaker *b, unsigned failures, unsigned pause_s)
{
	memset(b, 0, sizeof(*b));
	b->max_failures = failures;
	b->pause_us = (int64_t)pause_s * 1000000;
}

bool
breaker_may(struct breaker *b, int64_t now_us)
{
	if (b->state == BREAKER_CLOSED)
		return true;
	if (b->state == BREAKER_OPEN && now_us < b->until_us)
		return false;
	b->state = BREAKER_HALF;
	if (b->probing)
		return false;
	b->probing = true;
	return true;
}

static void
open_it(struct breaker *b, int64_t now_us)
{
	b->state = BREAKER_OPEN;
	b->until_us = now_us + b->pause_us;
	b->failed = b->all = 0;
	b->probing = false;
}

bool
breaker_done(struct breaker *b, bool ok, int64_t now_us)
{
	if (b->state == BREAKER_OPEN) /* one that began before it opened */
		return false;
	if (b->state == BREAKER_HALF) {
		open_it(b, now_us);
		if (ok)
			b->state = BREAKER_CLOSED;
		return true;
	}
	if (now_us - b->began_us > WINDOW_US) {
		b->began_us = now_us;
		b->failed = b->all = 0;
	}
	b->all++;
	b->failed += !ok;
	if (ok || b->failed < b->max_failures || b->failed * 2 < b->all)
		return false;
	open_it(b, now_us);
	return true;
}

void
breaker_forget(struct breaker *b)
{
	b->probing = false;
}

const char *
breaker_text(const struct breaker *b)
{
	static const char *const texts[] = {"closed", "open", "half_open"};

	return texts[b->state];
}
