/* history_play.h - the whole way of a history file's bytes, for its two fuzz targets. */
#ifndef INTERACTD_HISTORY_PLAY_H
#define INTERACTD_HISTORY_PLAY_H

#include <asterisk/asterisk_history.h>
#include <calls/event_codec.h>
#include <calls/history_csv.h>
#include <calls/history_source.h>
#include <calls/tracker.h>
#include <mem.h>
#include <str.h>

#include <assert.h>
#include <string.h>

/* The events leave for the database: they must survive their own encoding. */
static void
history_play_event(void *arg, const struct call_event *ev)
{
	struct tracker *t = arg;
	struct call_var vars[CALL_VARS_MAX];
	struct call_event copy;
	struct buf b = BUF_INIT;

	call_event_encode(&b, ev);
	assert(call_event_decode(b.data, b.len, &copy, vars) == 0);
	assert(str_eq(copy.uid, ev->uid) && copy.at_us == ev->at_us);
	tracker_apply(t, &copy, 0);
	buf_fini(&b);
}

static void
history_play_records(const struct channel_history *format, void *state, const char *at,
	const char *end)
{
	static struct csv_record record;
	const char *values[HISTORY_COLUMNS_MAX];
	int order[HISTORY_COLUMNS_MAX];
	enum csv_result result;
	size_t n = 0;

	while (format->csv_order[n])
		n++;
	history_order(format, format->csv_order, n, order);
	while ((result = csv_next(&at, end, &record)) != CSV_MORE) {
		int64_t us;
		if (result == CSV_REFUSED)
			continue;
		for (size_t i = 0; i < HISTORY_COLUMNS_MAX; i++) {
			bool there = order[i] >= 0 && (size_t)order[i] < record.n;
			values[i] = there ? record.fields[order[i]] : "";
			if (!utf8_valid(values[i], strlen(values[i])))
				values[i] = "";
		}
		if (format->near(values, &us))
			format->add(state, values);
	}
}

static void
history_play(const struct channel_history *format, const uint8_t *data, size_t size)
{
	static const struct tracker_observer observer;
	static struct phone_conf conf;
	struct tracker_opts opts = {.tenant = "t",
		.channel = "c",
		.conf = &conf,
		.observer = &observer,
		.max_channels = 1000};
	struct tracker *t;
	void *state;
	char *text;

	if (!conf.trunks.text) {
		if (regcomp(&conf.trunks.re, "^PJSIP/trunk", REG_EXTENDED) ||
			regcomp(&conf.agents.re, "^PJSIP/(100[1-6])$", REG_EXTENDED))
			return;
		conf.trunks.text = conf.agents.text = xstrdup("x");
	}
	text = xmalloc(size + 1); /* so that reading past the end is seen */
	memcpy(text, data, size);
	t = tracker_new(&opts);
	state = format->begin();
	history_play_records(format, state, text, text + size);
	format->emit(state, history_play_event, t);
	format->end(state);
	tracker_free(&t);
	mem_free(text);
}

#endif
