/* traces.c - reads recordings, and turns them into call events with the product's own
 * parser and translation. */
#include "traces.h"

#include <asterisk/ami.h>
#include <asterisk/ami_events.h>
#include <calls/event_codec.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
die(const char *why)
{
	fprintf(stderr, "%s\n", why);
	exit(1);
}

static const char *
traces_dir(void)
{
	const char *dir = getenv("TRACES");

	return dir ? dir : "build/traces";
}

static void
read_file(struct buf *out, const char *path)
{
	char chunk[65536];
	size_t n;
	FILE *f = fopen(path, "rb");

	if (!f) {
		fprintf(stderr,
			"%s is missing: run make build/traces/ground-truth.json\n",
			path);
		exit(1);
	}
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		buf_add(out, chunk, n);
	fclose(f);
}

static void
read_index(struct trace *tr, const char *path, double wall)
{
	struct buf text = BUF_INIT;
	char *save = NULL, *line;
	double seconds;
	size_t offset, len;

	read_file(&text, path);
	for (line = strtok_r(text.data, "\n", &save); line;
		line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "%lf %zu %zu", &seconds, &offset, &len) != 3 || !len)
			continue;
		tr->reads = xrealloc(tr->reads, (tr->n_reads + 1) * sizeof(*tr->reads));
		tr->reads[tr->n_reads++] = (struct trace_read){
			(int64_t)((wall + seconds) * 1e6), offset, len};
	}
	buf_fini(&text);
}

static void
load_one(struct trace *tr, const json_t *truth)
{
	char path[512];
	const char *file = json_string_value(json_object_get(truth, "file"));

	tr->truth = truth;
	snprintf(tr->name, sizeof(tr->name), "%.*s", (int)strcspn(file, "."), file);
	snprintf(path, sizeof(path), "%s/%s", traces_dir(), file);
	read_file(&tr->bytes, path);
	snprintf(path, sizeof(path), "%s/%s.idx", traces_dir(), file);
	read_index(tr, path, json_real_value(json_object_get(truth, "wall_start")));
}

void
traces_load(struct traces *all)
{
	struct buf text = BUF_INIT;
	char path[512];
	size_t i;
	json_t *list, *item;

	memset(all, 0, sizeof(*all));
	snprintf(path, sizeof(path), "%s/ground-truth.json", traces_dir());
	read_file(&text, path);
	all->truth = json_loadb(text.data, text.len, 0, NULL);
	buf_fini(&text);
	list = json_object_get(all->truth, "traces");
	all->items = xcalloc(json_array_size(list) + 1, sizeof(*all->items));
	json_array_foreach(list, i, item) load_one(&all->items[all->n++], item);
}

void
traces_free(struct traces *all)
{
	for (size_t i = 0; i < all->n; i++) {
		buf_fini(&all->items[i].bytes);
		xfree(&all->items[i].reads);
	}
	xfree(&all->items);
	json_decref(all->truth);
}

struct trace *
traces_find(struct traces *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (strcmp(all->items[i].name, name) == 0)
			return &all->items[i];
	return NULL;
}

/* ---- Events ------------------------------------------------------------------- */

struct reading {
	struct trace_events *out;
	struct ami_events *translate;
	int64_t at_us;
	unsigned repeat;
};

void
trace_events_add(struct trace_events *list, const struct call_event *ev)
{
	struct buf data = BUF_INIT;

	call_event_encode(&data, ev);
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 256;
		list->items = xrealloc(list->items, list->cap * sizeof(*list->items));
	}
	list->items[list->n].at_us = ev->at_us;
	list->items[list->n].type = ev->type;
	list->items[list->n].len = data.len;
	list->items[list->n++].data = buf_steal(&data);
}

static void
on_event(void *arg, const struct call_event *ev)
{
	trace_events_add(((struct reading *)arg)->out, ev);
}

static void
on_message(void *arg, const struct ami_message *m)
{
	struct reading *r = arg;

	for (unsigned i = 0; i <= r->repeat; i++)
		ami_events_translate(r->translate, m, r->at_us, on_event, r);
}

static const struct ami_parser_callbacks callbacks = {NULL, on_message, NULL};

static void
feed(struct ami_parser *p, const char *data, size_t len)
{
	const char *why;

	if (!ami_parser_feed(p, data, len, &why))
		die(why);
}

void
trace_events_read(struct trace_events *out, const struct trace *tr, size_t piece,
	unsigned seed, unsigned repeat)
{
	struct reading r = {out, ami_events_new(), 0, repeat};
	struct ami_parser *p = ami_parser_new(&callbacks, &r);

	for (size_t i = 0; i < tr->n_reads; i++) {
		const struct trace_read *rd = &tr->reads[i];
		r.at_us = rd->at_us;
		for (size_t done = 0, n; done < rd->len; done += n) {
			n = piece ? 1 + (size_t)rand_r(&seed) % piece : rd->len;
			n = n < rd->len - done ? n : rd->len - done;
			feed(p, tr->bytes.data + rd->offset + done, n);
		}
	}
	ami_parser_free(&p);
	ami_events_free(&r.translate);
}

void
trace_events_parse(struct trace_events *out, const char *ami, int64_t at_us)
{
	struct reading r = {out, ami_events_new(), at_us, 0};
	struct ami_parser *p = ami_parser_new(&callbacks, &r);

	feed(p, "Asterisk Call Manager/11.0.0\r\n", 30);
	feed(p, ami, strlen(ami));
	ami_parser_free(&p);
	ami_events_free(&r.translate);
}

void
trace_events_free(struct trace_events *list)
{
	for (size_t i = 0; i < list->n; i++)
		xfree(&list->items[i].data);
	xfree(&list->items);
	memset(list, 0, sizeof(*list));
}

void
trace_event_get(
	const struct trace_event *item, struct call_event *ev, struct call_var *vars)
{
	if (call_event_decode(item->data, item->len, ev, vars) != 0)
		die("an encoded event cannot be decoded");
	ev->at_us = item->at_us;
}
