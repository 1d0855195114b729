/* call_cases.c - see call_cases.h. */
#include "call_cases.h"

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

void
case_play(struct tracker *t, const struct call_event *events, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tracker_apply(t, &events[i], i + 1);
}

void
case_check(const char *file, int line, const char *want)
{
	struct buf b = BUF_INIT;

	for (unsigned i = 0; i < seen.n_calls; i++) {
		const struct seen_call *c = &seen.calls[i];
		buf_printf(&b, "%s%s %s %s %s", i ? "\n" : "",
			c->direction == CALL_IN ? "in" : "out",
			*c->number ? c->number : "-",
			c->absorbed ? "absorbed"
			: c->ended  ? call_disposition_text(c->disposition)
				    : call_phase_text(c->phase),
			*c->agent ? c->agent : "-");
		for (unsigned p = 0; p < seen.n_pops; p++)
			if (uuid_eq(&seen.pops[p].call, &c->id))
				buf_printf(&b, " | %s %s %s",
					*seen.pops[p].agent ? seen.pops[p].agent
							    : seen.pops[p].queue,
					seen.pops[p].states,
					seen.pops[p].open
						? "open"
						: call_reason_text(
							  seen.pops[p].reason));
	}
	if (seen.errors)
		test_fail(file, line, "%s", seen.error);
	if (strcmp(buf_str(&b), want) != 0)
		test_fail(
			__FILE__, line, "told\n\t%s\nand not\n\t%s", buf_str(&b), want);
	buf_fini(&b);
}

void
case_run(const char *file, int line, const struct call_event *events, size_t n,
	const char *want)
{
	struct tracker *t = seen_tracker(&seen);

	case_play(t, events, n);
	tracker_tick(t, events[n - 1].at_us + 5000000);
	case_check(file, line, want);
	/* And again: the repetition changes nothing. */
	case_play(t, events, n);
	tracker_tick(t, events[n - 1].at_us + 9000000);
	case_check(file, line, want);
	tracker_free(&t);
}
