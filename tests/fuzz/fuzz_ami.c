/* fuzz_ami.c - any bytes as a manager's connection, after its greeting. However they are
 * cut, the same messages and refusals come out; every message can be looked up in and
 * translated, to call events that survive the spool and to member events. */
#include <asterisk/ami.h>
#include <asterisk/ami_events.h>
#include <asterisk/ami_members.h>
#include <calls/event_codec.h>

#include <mem.h>
#include <str.h>

#include <stdlib.h>
#include <string.h>

struct heard {
	struct buf text;
	struct ami_events *events;
};

static void
require(bool cond)
{
	if (!cond)
		abort();
}

static void
on_event(void *arg, const struct call_event *ev)
{
	struct heard *h = arg;
	struct buf first = BUF_INIT, second = BUF_INIT;
	struct call_var vars[CALL_VARS_MAX];
	struct call_event back;

	require(ev->at_us > 0 && (unsigned)ev->type < CALL_EVENT_TYPES);
	require(!ev->caller_name ||
		utf8_valid(ev->caller_name, strlen(ev->caller_name)));
	for (size_t i = 0; i < ev->n_vars; i++)
		require(ev->vars[i].value &&
			utf8_valid(ev->vars[i].value, strlen(ev->vars[i].value)));
	call_event_encode(&first, ev);
	require(call_event_decode(first.data, first.len, &back, vars) == 0);
	call_event_encode(&second, &back);
	require(first.len == second.len &&
		memcmp(first.data, second.data, first.len) == 0);
	buf_add(&h->text, first.data, first.len);
	buf_fini(&first);
	buf_fini(&second);
}

static void
on_member(void *arg, const struct member_event *ev)
{
	struct heard *h = arg;
	const char *const texts[] = {
		ev->interface, ev->member, ev->queue, ev->reason, ev->presence};

	require(ev->interface && ev->at_us > 0 && ev->mark == MEMBER_SAID);
	require(ev->paused >= -1 && ev->paused <= 1 && ev->last_pause_us >= 0);
	require(ev->queue || ev->device_said);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (texts[i]) {
			require(utf8_valid(texts[i], strlen(texts[i])));
			for (const char *c = texts[i]; *c; c++)
				require((unsigned char)*c >= 0x20 && *c != 0x7f);
			buf_adds(&h->text, texts[i]);
		}
}

static void
on_message(void *arg, const struct ami_message *m)
{
	struct heard *h = arg;

	require(m->n > 0 && m->n <= AMI_LINES_MAX);
	for (size_t i = 0; i < m->n; i++) {
		const struct ami_line *l = &m->lines[i];
		require(strlen(l->key) == l->key_len);
		require(strlen(l->value) == l->value_len);
		require(ami_get(m, l->key) != NULL);
		buf_add(&h->text, l->key, l->key_len + 1);
		buf_add(&h->text, l->value, l->value_len + 1);
	}
	ami_events_translate(h->events, m, 1, on_event, h);
	ami_members_translate(ami_events_fields(h->events), m, 1, on_member, h);
}

static void
on_refused(void *arg, enum ami_refusal why, const char *detail)
{
	struct heard *h = arg;

	require(utf8_valid(detail, strlen(detail)));
	buf_adds(&h->text, ami_refusal_text(why));
}

static const struct ami_parser_callbacks callbacks = {NULL, on_message, on_refused};

static void
listen_to(struct heard *h, const char *data, size_t len, size_t piece)
{
	struct ami_parser *p = ami_parser_new(&callbacks, h);
	const char *why;

	buf_clear(&h->text);
	require(ami_parser_feed(p, "Asterisk Call Manager/1\r\n", 25, &why));
	for (size_t at = 0; at < len; at += piece)
		require(ami_parser_feed(
			p, data + at, piece < len - at ? piece : len - at, &why));
	ami_parser_free(&p);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t len);

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t len)
{
	struct heard whole = {BUF_INIT, ami_events_new()};
	struct heard pieces = {BUF_INIT, ami_events_new()};
	size_t piece = len ? 1 + data[0] % 19 : 1;

	listen_to(&whole, (const char *)data, len, len ? len : 1);
	listen_to(&pieces, (const char *)data, len, piece);
	require(whole.text.len == pieces.text.len);
	require(!whole.text.len ||
		memcmp(whole.text.data, pieces.text.data, whole.text.len) == 0);
	ami_events_free(&whole.events);
	ami_events_free(&pieces.events);
	buf_fini(&whole.text);
	buf_fini(&pieces.text);
	return 0;
}
