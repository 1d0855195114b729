/* dial.c - a call asked for, from the request to the phone system's answer.
 *
 * Everything is decided at once (phone, number, rate), then written down, and only then
 * is the phone system asked: what rings cannot be taken back, so the record comes first,
 * and a request sent again (Idempotency-Key) finds it. A refusal too looks whether the
 * same request was answered before: its phone may be busy now with the very call.
 *
 * While the record is written channels may go: phone and driver are looked up anew. The
 * rate is per agent, a window that slides over a minute, in memory: after a restart
 * everybody begins anew. Next: dial_number.c, dial_phone.c; asterisk_dial.c. */
#include <calls/dial.h>
#include <calls/dial_phone.h>

#include <calls/phone_priv.h>

#include <clock.h>
#include <mem.h>
#include <people/store_ask.h>
#include <str.h>

#include <sodium.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WINDOW_US INT64_C(60000000)
#define RATES_MAX 20000
#define UID_MAX	  64

/* When an agent's last calls were placed, oldest first; at most dial_rate of them. */
struct rate {
	int64_t *at_us; /* monotonic */
	unsigned n, room;
};

struct dialler {
	struct dialler_opts opts;
	struct map rates; /* "tenant\nagent" -> struct rate */
};

/* One request under way. */
struct dial {
	struct dialler *dialler;
	dial_fn *done;
	void *arg;
	const struct tenant *tenant;
	char *actor, *role, *agent;
	char *caller, *method, *path, *key; /* of the idempotency; NULL without */
	enum dial_refusal refusal;
	int retry_after_s;
	struct err why;
	/* of one that is placed */
	char channel[129], endpoint[DIAL_ENDPOINT_MAX], uid[UID_MAX];
	struct dial_number number;
	struct uuid id;
	char *json;
};

/* ---- The rate ----------------------------------------------------------------------- */

static void
free_rate(const char *key, void *value, void *arg)
{
	struct rate *r = value;

	(void)key, (void)arg;
	xfree(&r->at_us);
	mem_free(r);
}

static void
forget_old(struct rate *r, int64_t now_us)
{
	unsigned old = 0;

	while (old < r->n && r->at_us[old] <= now_us - WINDOW_US)
		old++;
	r->n -= old;
	if (old)
		memmove(r->at_us, r->at_us + old, r->n * sizeof(*r->at_us));
}

struct sweep {
	struct dialler *dialler;
	int64_t now_us;
};

static void
sweep_rate(const char *key, void *value, void *arg)
{
	struct sweep *s = arg;

	forget_old(value, s->now_us);
	if (!((struct rate *)value)->n)
		free_rate(key, map_remove(&s->dialler->rates, key), NULL);
}

static struct rate *
find_rate(struct dialler *d, const char *tenant, const char *agent)
{
	struct sweep sweep = {d, clock_mono_us()};
	char *key = xasprintf("%s\n%s", tenant, agent);
	struct rate *r = map_find(&d->rates, key);

	if (!r && d->rates.len >= RATES_MAX)
		map_each(&d->rates, sweep_rate, &sweep);
	if (!r && d->rates.len < RATES_MAX) {
		r = xcalloc(1, sizeof(*r));
		map_put(&d->rates, key, r);
	}
	xfree(&key);
	return r;
}

/* Takes one call of the agent's; false, with the seconds to wait, if there is none. */
static bool
take_rate(struct dial *d, int64_t limit)
{
	struct rate *r = find_rate(d->dialler, d->tenant->name, d->agent);
	int64_t now_us = clock_mono_us();

	if (r)
		forget_old(r, now_us);
	if (r && r->n < limit) {
		if (r->n == r->room) {
			r->room = r->room ? r->room * 2 : 8;
			r->at_us = xrealloc(r->at_us, r->room * sizeof(*r->at_us));
		}
		r->at_us[r->n++] = now_us;
		return true;
	}
	int64_t left_us = r ? r->at_us[0] + WINDOW_US - now_us : WINDOW_US;
	d->retry_after_s = (int)(left_us / 1000000 + 1);
	return false;
}

/* It was no call: it had been placed before. */
static void
give_rate_back(struct dial *d)
{
	struct rate *r = find_rate(d->dialler, d->tenant->name, d->agent);

	if (r && r->n)
		r->n--;
}

/* ---- The answer --------------------------------------------------------------------- */

static void
dial_free(struct dial *d)
{
	xfree(&d->actor);
	xfree(&d->role);
	xfree(&d->agent);
	xfree(&d->caller);
	xfree(&d->method);
	xfree(&d->path);
	xfree(&d->key);
	xfree(&d->json);
	mem_free(d);
}

static void
answer(struct dial *d, const struct dial_answer *a)
{
	d->done(d->arg, a);
	dial_free(d);
}

static int
status_of(enum dial_refusal refusal)
{
	switch (refusal) {
	case DIAL_NO_AGENT: return 404;
	case DIAL_NO_PHONE:
	case DIAL_CHANNEL_DOWN: return 409;
	case DIAL_RATE: return 429;
	case DIAL_REFUSED: return 502;
	case DIAL_NONE: return 202;
	default: return 422;
	}
}

static void
answer_refused(struct dial *d)
{
	struct dial_answer a = {.status = status_of(d->refusal),
		.refusal = d->refusal,
		.retry_after_s = d->retry_after_s,
		.detail = d->why.text};

	answer(d, &a);
}

static void
on_refused(void *arg)
{
	answer_refused(arg);
}

static void
answer_placed(struct dial *d)
{
	struct dial_answer a = {
		.status = 202, .json = d->json, .json_len = strlen(d->json)};

	answer(d, &a);
}

/* ---- Asking the phone system --------------------------------------------------------- */

static void
undo(struct dial *d)
{
	struct pg_unit *u = pg_unit_new(d->dialler->opts.store->writes);

	pg_add(u, "call_dial_undo");
	pg_param_int(u, d->tenant->id);
	pg_param_text(u, d->actor);
	pg_param_text(u, d->role);
	pg_param_uuid(u, &d->id);
	pg_param_text(u, d->caller);
	pg_param_text(u, d->method);
	pg_param_text(u, d->path);
	pg_param_text(u, d->key);
	pg_submit(&u, STORE_DEADLINE_MS, NULL, NULL);
}

static void
refuse(struct dial *d, const char *why)
{
	d->refusal = DIAL_REFUSED;
	err_set(&d->why, "%s", why);
	undo(d);
	answer_refused(d);
}

static void
on_dialled(void *arg, const char *error)
{
	struct dial *d = arg;

	if (error)
		refuse(d, error);
	else
		answer_placed(d);
}

static void
tell(struct dial *d, struct phone *ph, enum call_event_type type)
{
	struct call_event ev = {.type = type,
		.flags = CALL_EXTERNAL | CALL_OUTGOING,
		.uid = d->uid,
		.linked = d->uid,
		.endpoint = d->endpoint,
		.exten = d->number.to,
		.result = type == CALL_ORIGINATE ? CALL_RESULT_NONE
						 : CALL_RESULT_INVALID};

	phone_event(ph, &ev);
}

static void
place(struct dial *d)
{
	struct channel *ch = channel_core_find(d->dialler->opts.channels, d->channel);
	struct phone *ph = ch ? d->dialler->opts.phone_of(ch) : NULL;
	struct err err;

	if (!ph || channel_core_state(ch) != CHANNEL_UP) {
		refuse(d, "the channel went down just now");
		return;
	}
	struct channel_dial call = {
		.endpoint = d->endpoint,
		.number = d->number.number,
		.uid = d->uid,
		.display = d->number.to,
		.ring_timeout_ms = (unsigned)ph->conf->dial_timeout_ms,
	};
	tell(d, ph, CALL_ORIGINATE);
	phone_flush(ph); /* so that the interaction is there when the answer is */
	if (channel_core_ops(ch)->dial(ch, &call, on_dialled, d, &err) == 0)
		return;
	tell(d, ph, CALL_ORIGINATE_RESULT);
	refuse(d, err.text);
}

/* ---- Writing it down ------------------------------------------------------------------ */

static void
answer_stored(struct dial *d, const struct pg_answer *pa)
{
	bool replayed = str_eq(pg_text(pa, 0, 0, 0), "replayed");
	bool reused = str_eq(pg_text(pa, 0, 0, 0), "key_reused");
	struct dial_answer a = {.status = reused ? 422 : 409,
		.retry_after_s = reused ? 0 : 1,
		.detail = reused ? "this Idempotency-Key was used with another body"
				 : "the first request with this Idempotency-Key is "
				   "still running"};

	if (!d->refusal)
		give_rate_back(d);
	if (replayed)
		a = (struct dial_answer){.status = (int)pg_int(pa, 0, 0, 1),
			.replayed = true,
			.json = pg_text(pa, 0, 0, 2),
			.json_len = pg_text_len(pa, 0, 0, 2)};
	answer(d, &a);
}

static void
on_written(void *arg, const struct pg_answer *pa)
{
	struct dial *d = arg;
	const char *state = pa->status == PG_OK ? pg_text(pa, 0, 0, 0) : NULL;
	struct dial_answer unavailable = {.status = 503,
		.retry_after_s = 2,
		.detail = "the database did not answer in time; nobody was called"};

	if (!state) {
		/* It may have been committed all the same, and then the same request
		 * would be told of a call that never was. */
		if (d->key && !d->refusal)
			undo(d);
		answer(d, &unavailable);
	} else if (str_eq(state, "new")) {
		place(d);
	} else if (str_eq(state, "refused")) {
		answer_refused(d);
	} else {
		answer_stored(d, pa);
	}
}

static void
write_down(struct dial *d, const struct idempotency *idem)
{
	struct pg_unit *u = pg_unit_new(d->dialler->opts.store->writes);

	pg_add(u, "call_dial");
	pg_param_int(u, d->tenant->id);
	pg_param_text(u, d->actor);
	pg_param_text(u, d->role);
	pg_param_uuid(u, &d->id);
	pg_array_begin(u);
	pg_array_add(u, "agent");
	pg_array_add(u, "to");
	pg_array_end(u);
	pg_param_text(u, d->json);
	pg_param_bool(u, !d->refusal);
	store_param_idempotency(u, idem);
	pg_submit(&u, STORE_DEADLINE_MS, on_written, d);
}

/* ---- Deciding -------------------------------------------------------------------------- */

/* The time is in it, as in Asterisk's own: an interaction's id is made from that. */
static void
make_uid(struct dial *d)
{
	uint64_t n;

	randombytes_buf(&n, sizeof(n));
	snprintf(d->uid, sizeof(d->uid), "interactd-%" PRId64 ".%018" PRIu64,
		clock_wall_us() / 1000000, n % UINT64_C(1000000000000000000));
	d->id = tracker_call_id(d->tenant->name, d->channel, d->uid);
}

static void
make_json(struct dial *d)
{
	struct buf b = BUF_INIT;
	struct json_out j;
	char id[UUID_TEXT_LEN];

	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	json_put_string(&j, "id", uuid_format(id, &d->id));
	json_put_string(&j, "agent", d->agent);
	json_put_string(&j, "to", d->number.to);
	json_put_string(&j, "channel", d->channel);
	json_put_string(&j, "interface", d->endpoint);
	json_put_string(&j, "state", "dialling");
	json_put_object_end(&j);
	d->json = buf_steal(&b);
}

static enum dial_refusal
decide(struct dial *d, const struct dial_request *q)
{
	const struct dialler_opts *opts = &d->dialler->opts;
	struct dial_phone phone;
	char digits[DIAL_NUMBER_MAX];
	enum dial_refusal no;

	if (!dial_number_read(q->to, digits, &d->why))
		return DIAL_NOT_A_NUMBER;
	no = dial_phone_find(
		opts, d->tenant->name, d->agent, q->channel, &phone, &d->why);
	if (no)
		return no;
	str_copy(d->channel, sizeof(d->channel), channel_name(phone.channel));
	str_copy(d->endpoint, sizeof(d->endpoint), phone.endpoint);
	const struct phone *ph = opts->phone_of(phone.channel);
	no = dial_number_check(ph->conf, phone_region(ph), digits, &d->number, &d->why);
	if (no)
		return no;
	if (take_rate(d, ph->conf->dial_rate))
		return DIAL_NONE;
	err_set(&d->why,
		"agent %s has placed %" PRId64 " calls in a minute (dial_rate)",
		d->agent, ph->conf->dial_rate);
	return DIAL_RATE;
}

void
dial_start(
	struct dialler *dialler, const struct dial_request *q, dial_fn *done, void *arg)
{
	struct dial *d = xcalloc(1, sizeof(*d));

	d->dialler = dialler;
	d->done = done;
	d->arg = arg;
	d->tenant = q->actor.tenant;
	d->actor = xstrdup(q->actor.name);
	d->role = xstrdup(q->actor.role);
	d->agent = xstrdup(q->agent);
	if (q->idem) {
		d->caller = xstrdup(q->idem->caller);
		d->method = xstrdup(q->idem->method);
		d->path = xstrdup(q->idem->path);
		d->key = xstrdup(q->idem->key);
	}
	d->refusal = decide(d, q);
	if (d->refusal && !q->idem) {
		loop_defer(dialler->opts.store->loop, on_refused, d);
		return;
	}
	if (!d->refusal) {
		make_uid(d);
		make_json(d);
	}
	write_down(d, q->idem);
}

struct dialler *
dialler_new(const struct dialler_opts *opts)
{
	struct dialler *d = xcalloc(1, sizeof(*d));

	d->opts = *opts;
	map_init(&d->rates);
	return d;
}

void
dialler_free(struct dialler **dp)
{
	if (!*dp)
		return;
	map_each(&(*dp)->rates, free_rate, NULL);
	map_fini(&(*dp)->rates);
	xfree(dp);
}
