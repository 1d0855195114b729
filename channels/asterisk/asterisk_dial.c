/* asterisk_dial.c - calls placed for agents: Originate.
 *
 * Asterisk rings the agent's phone (Channel) and, once it is picked up, sends it into the
 * dialplan (Context, Exten), which calls the customer as if the agent had dialled. The
 * leg gets the unique id that the core chose (ChannelId), so the call is known before its
 * first event. The answer to the action says only that it is under way; that the phone
 * did not take it comes later, as OriginateResponse, under the same ActionID but without
 * the unique id: that is why calls are remembered here until then.
 *
 * What goes into the action is checked by letters allowed, though the core has checked
 * it: a number that is anything but digits would be an expression to the dialplan, and a
 * line break another action. */
#include "asterisk.h"

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define DIGITS	"0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

struct dial {
	struct list link;
	uint64_t id; /* of the action */
	char uid[ASTERISK_UID_MAX];
	char exten[64];
	channel_done_fn *done; /* NULL: it has been told */
	void *arg;
};

/* ---- What may go to the wire ----------------------------------------------- */

static bool
is_made_of(const char *s, const char *letters, size_t max)
{
	size_t n = s ? strlen(s) : 0;

	return n > 0 && n <= max && strspn(s, letters) == n;
}

/* "PJSIP/1001", "Local/1004@agents/n", "SIP/user-1" */
static bool
is_endpoint(const char *s)
{
	size_t tech = s ? strspn(s, LETTERS DIGITS "_") : 0;

	return tech && s[tech] == '/' && s[tech + 1] &&
	       is_made_of(s, LETTERS DIGITS "_.+@/:*#-", 128);
}

int
asterisk_dial_check(const struct asterisk_conf *conf, struct err *err)
{
	if (!str_empty(conf->dial_context) &&
		!is_made_of(conf->dial_context, LETTERS DIGITS "_.-", 79))
		return err_set(
			err, "dial_context: a context's name, letters, digits and _.-");
	if (!str_empty(conf->dial_prefix) &&
		!is_made_of(conf->dial_prefix, DIGITS "*#+", 10))
		return err_set(err, "dial_prefix: digits, * and # only");
	if (!str_empty(conf->dial_caller_id) &&
		!is_made_of(conf->dial_caller_id, DIGITS "+", 32))
		return err_set(err, "dial_caller_id: digits only, maybe after a +");
	return 0;
}

static int
call_check(const struct channel_dial *call, struct err *err)
{
	if (!is_endpoint(call->endpoint))
		return err_set(err, "\"%.60s\" is no phone that Asterisk can ring",
			call->endpoint ? call->endpoint : "");
	if (!is_made_of(call->number, DIGITS "*#+", 40))
		return err_set(err, "the number is not made of digits");
	if (!is_made_of(call->uid, LETTERS DIGITS ".-", ASTERISK_UID_MAX - 1))
		return err_set(
			err, "the unique id holds other than letters and digits");
	return 0;
}

/* The name that the agent's phone shows, and the number that the call shows outside. */
static void
make_caller_id(char *dst, size_t cap, const char *display, const char *number)
{
	char name[64];
	size_t n = 0;

	for (const char *s = display ? display : ""; *s && n + 1 < sizeof(name); s++)
		if (strchr(LETTERS DIGITS " +.-", *s))
			name[n++] = *s;
	name[n] = '\0';
	snprintf(dst, cap, "\"%s\" <%s>", name, number ? number : "");
}

/* ---- Calls under way --------------------------------------------------------- */

static struct dial *
dial_find(struct asterisk *a, uint64_t id)
{
	list_for_each (&a->dials, it) {
		struct dial *d = LIST_ENTRY(it, struct dial, link);
		if (d->id == id)
			return d;
	}
	return NULL;
}

static void
dial_free(struct asterisk *a, struct dial *d)
{
	list_remove(&d->link);
	a->n_dials--;
	mem_free(d);
}

static void
dial_tell(struct dial *d, const char *error)
{
	channel_done_fn *done = d->done;

	d->done = NULL;
	if (done)
		done(d->arg, error);
}

const char *
asterisk_dial_ended(
	struct asterisk *a, const char *action_id, char uid_r[ASTERISK_UID_MAX])
{
	int64_t n;

	if (!action_id || !str_starts(action_id, a->id_prefix) ||
		!str_int(action_id + strlen(a->id_prefix), 1, INT64_MAX, &n))
		return NULL;
	struct dial *d = dial_find(a, (uint64_t)n);
	if (!d)
		return NULL;
	str_copy(uid_r, ASTERISK_UID_MAX, d->uid);
	dial_tell(d, NULL); /* its answer got lost, it itself did not */
	dial_free(a, d);
	return uid_r;
}

void
asterisk_dial_forget(struct asterisk *a)
{
	while (!list_is_empty(&a->dials)) {
		struct dial *d = LIST_ENTRY(a->dials.next, struct dial, link);
		dial_tell(d, NULL);
		dial_free(a, d);
	}
}

/* ---- The answer ---------------------------------------------------------------- */

static void
explain(const struct asterisk *a, const struct dial *d, const char *message,
	char why[ERR_TEXT_MAX])
{
	if (message && strcasestr(message, "permission"))
		snprintf(why, ERR_TEXT_MAX,
			"the manager user \"%s\" may not place calls: its write = in "
			"manager.conf needs originate",
			a->conf->username);
	else if (message && strcasestr(message, "extension"))
		snprintf(why, ERR_TEXT_MAX,
			"the dialplan has no extension %s in context %s (dial_context, "
			"dial_prefix)",
			d->exten, a->conf->dial_context);
	else
		snprintf(why, ERR_TEXT_MAX, "the phone system refused: %.200s",
			message ? message : "no reason given");
}

static void
dial_refused(struct asterisk *a, struct dial *d, const char *message)
{
	struct call_event ev = {.type = CALL_ORIGINATE_RESULT,
		.uid = d->uid,
		.result = CALL_RESULT_INVALID};
	char why[ERR_TEXT_MAX];

	explain(a, d, message, why);
	channel_count(a->channel, "dials_refused", 1);
	channel_call_event(a->channel, &ev);
	dial_tell(d, why);
	dial_free(a, d);
}

static void
on_answer(struct asterisk *a, uint64_t id, const struct ami_message *m)
{
	struct dial *d = dial_find(a, id);

	if (!d)
		return;
	/* Without an answer the phone may ring all the same: that is no refusal. Its
	 * events, or the next snapshot, will tell. */
	if (!m || str_ieq(ami_get(m, "Response"), "Success"))
		dial_tell(d, NULL);
	else
		dial_refused(a, d, ami_get(m, "Message"));
}

/* ---- Asking ---------------------------------------------------------------------- */

static void
originate(struct asterisk *a, struct dial *d, const struct channel_dial *call)
{
	char timeout[24], caller_id[128];

	snprintf(timeout, sizeof(timeout), "%u", call->ring_timeout_ms);
	make_caller_id(
		caller_id, sizeof(caller_id), call->display, a->conf->dial_caller_id);
	const char *const fields[][2] = {{"Channel", call->endpoint},
		{"Context", a->conf->dial_context}, {"Exten", d->exten},
		{"Priority", "1"}, {"Timeout", timeout}, {"CallerID", caller_id},
		{"Async", "true"}, {"ChannelId", d->uid}, {NULL, NULL}};
	d->id = asterisk_action(a, "Originate", fields, on_answer);
}

int
asterisk_dial(struct channel *ch, const struct channel_dial *call,
	channel_done_fn *done, void *arg, struct err *err)
{
	struct asterisk *a = channel_private(ch);

	if (call_check(call, err) < 0)
		return -1;
	if (!asterisk_is_logged_in(a))
		return err_set(err, "the phone system is not connected");
	if (a->n_dials == ASTERISK_DIALS_MAX)
		return err_set(err, "%u calls wait for their phones already",
			ASTERISK_DIALS_MAX);
	struct dial *d = xcalloc(1, sizeof(*d));
	str_copy(d->uid, sizeof(d->uid), call->uid);
	snprintf(d->exten, sizeof(d->exten), "%s%s",
		a->conf->dial_prefix ? a->conf->dial_prefix : "", call->number);
	originate(a, d, call);
	if (!d->id) {
		mem_free(d);
		return err_set(err, "too many actions wait for the phone system");
	}
	d->done = done;
	d->arg = arg;
	list_append(&a->dials, &d->link);
	a->n_dials++;
	channel_count(a->channel, "dials", 1);
	return 0;
}
