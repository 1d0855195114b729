/* health.c - troubles: found by looking at what each room says of itself.
 *
 * look() goes through the rooms and tells each trouble it finds to found(); what was known
 * before and is not found any more has ended. So a trouble has one place where it is
 * detected and needs no word of its end. What each room says of since when is kept; if it
 * does not say, it is since it was first found. Read next: status.c, which answers. */
#include <api/health.h>

#include <api/app.h>
#include <clock.h>
#include <list.h>
#include <log.h>
#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>

#define LOOK_MS 1000
/* What is over sooner is not worth a line: a start, a connection made anew. */
#define SAY_US INT64_C(900000)

struct trouble {
	struct list link; /* in health.troubles, as found */
	char what[96], why[256];
	const char *advice;
	int64_t since_us; /* wall */
	int64_t since_mono_us, found_mono_us;
	unsigned long long waited; /* the most, of `unit` */
	const char *unit;
	bool seen, said;
};

struct health {
	struct app *app;
	struct loop_timer *timer;
	struct list troubles;
};

/* ---- What to do --------------------------------------------------------------------
 */

struct advice {
	const char *words; /* in the reason; NULL = any */
	const char *text;
};

static const struct advice postgresql_advice[] = {
	{"another interactd", "end one of the two, or give it a database of its own"},
	{"password", "correct the password in [postgresql] conninfo and restart"},
	{"authentication failed", "correct [postgresql] conninfo, or pg_hba.conf"},
	{"pg_hba.conf", "let this host in by pg_hba.conf, and reload PostgreSQL"},
	{"not permitted to log in", "allow the role to log in (ALTER ROLE … LOGIN)"},
	{"too many clients", "raise max_connections, or end other clients"},
	{"connection slots", "raise max_connections, or end other clients"},
	{"too many connections", "raise the limit, or end other clients"},
	{"does not exist", "create it (see README, Install it), or correct conninfo"},
	{"read-only", "point [postgresql] conninfo at the primary; several hosts and "
		      "target_session_attrs=read-write find it"},
	{"No space left", "make room on the database server's disk"},
	{"disk full", "make room on the database server's disk"},
	{"starting up", "wait: PostgreSQL is coming up"},
	{"does not answer", "look at PostgreSQL's machine, its locks and its disk"},
	{NULL, "start PostgreSQL, or correct [postgresql] conninfo; calls are kept in the "
	       "spool meanwhile"},
};

static const struct advice redis_advice[] = {
	{"OOM", "raise Redis' maxmemory"},
	{"MISCONF", "Redis cannot save to its disk: see its log"},
	{"READONLY", "point [redis] address at the master"},
	{"WRONGPASS", "correct [redis] username and password, and restart"},
	{"NOAUTH", "set [redis] password, and restart"},
	{"NOPERM", "give the user of [redis] username the right (ACL SETUSER)"},
	{"LOADING", "wait: Redis is reading its data"},
	{NULL, "start Redis, or correct [redis] address; pops are issued when it is back"},
};

static const struct advice spool_advice[] = {
	{"No space left", "make room where [daemon] state_dir is"},
	{"quota", "raise the quota of [daemon] state_dir"},
	{"File too large", "raise the limit on file sizes (LimitFSIZE=)"},
	{"Read-only", "make [daemon] state_dir writable (mount … -o remount,rw)"},
	{"Permission", "give interactd the right to write to [daemon] state_dir"},
	{"Too many open files", "raise the limit on open files (LimitNOFILE=)"},
	{"written by and by", "nothing: it ends by itself"},
	{NULL, "look at the disk that holds [daemon] state_dir"},
};

static const struct advice channel_advice[] = {
	{NULL, "check that the phone system runs, and address, username and secret of its "
	       "section"},
};

static const char *
advise(const struct advice *a, const char *why)
{
	while (a->words && !strstr(why, a->words))
		a++;
	return a->text;
}

/* ---- Beginning and end -------------------------------------------------------------
 */

static struct trouble *
find(struct health *h, const char *what)
{
	list_for_each (&h->troubles, it) {
		struct trouble *t = LIST_ENTRY(it, struct trouble, link);
		if (str_eq(t->what, what))
			return t;
	}
	return NULL;
}

/* since_us: 0 = not known. unit: what waits or is missed, and how many by now. */
static void
found(struct health *h, const char *what, const char *why, int64_t since_us,
	const struct advice *advice, const char *unit, unsigned long long waited)
{
	struct trouble *t = find(h, what);
	if (!t) {
		t = xcalloc(1, sizeof(*t));
		str_copy(t->what, sizeof(t->what), what);
		t->since_us = since_us ? since_us : clock_wall_us();
		/* Told before the clock jumped, it may say anything. */
		int64_t age = clock_wall_us() - t->since_us;
		t->since_mono_us = clock_mono_us() - (age > 0 ? age : 0);
		t->found_mono_us = clock_mono_us();
		t->unit = unit;
		list_append(&h->troubles, &t->link);
	}
	t->seen = true;
	if (waited > t->waited)
		t->waited = waited;
	str_copy(t->why, sizeof(t->why), why);
	t->advice = advise(advice, why);
	if (!t->said && clock_mono_us() - t->found_mono_us >= SAY_US) {
		t->said = true;
		log_warnx(
			NULL, "%s does not work: %s (%s)", t->what, t->why, t->advice);
	}
}

static void
ended(struct trouble *t)
{
	char waited[80] = "";
	if (t->unit && t->waited)
		snprintf(waited, sizeof(waited), "; %llu %s", t->waited, t->unit);
	if (t->said)
		log_info(NULL, "%s works again, after %.1f s%s", t->what,
			(double)(clock_mono_us() - t->since_mono_us) / 1e6, waited);
	list_remove(&t->link);
	mem_free(t);
}

/* ---- Looking -----------------------------------------------------------------------
 */

static void
look_at_postgresql(struct health *h)
{
	struct writer_stats w;
	int64_t since = 0;
	const char *why = app_postgresql_why(h->app, &since);
	if (!why)
		return;
	writer_get_stats(h->app->writer, &w);
	found(h, "postgresql", why, since, postgresql_advice, "savings waited at most",
		w.waiting + w.in_batch);
}

static void
look_at_redis(struct health *h)
{
	struct pops_stats p;
	int64_t since = 0;
	const char *why = app_redis_why(h->app, &since);
	if (!why)
		return;
	pops_get_stats(h->app->pops, &p);
	found(h, "redis", why, since, redis_advice, "pops were open at most", p.open);
}

static void
look_at_channel(void *arg, struct channel *ch)
{
	struct health *h = arg;
	struct phone_stats st;
	char what[96];
	if (channel_core_state(ch) == CHANNEL_DOWN && channel_core_why(ch)) {
		snprintf(what, sizeof(what), "channel %s", channel_name(ch));
		found(h, what, channel_core_why(ch), channel_core_since_us(ch),
			channel_advice, NULL, 0);
	}
	if (!app_phone(ch))
		return;
	phone_get_stats(app_phone(ch), &st);
	if (!st.spool.write_error)
		return;
	snprintf(what, sizeof(what), "spool %s", channel_name(ch));
	found(h, what, st.spool.write_error, 0, spool_advice,
		"events since the start are not on disk", st.not_spooled);
}

static void
look(struct health *h)
{
	list_for_each (&h->troubles, it)
		LIST_ENTRY(it, struct trouble, link)->seen = false;
	look_at_postgresql(h);
	look_at_redis(h);
	channel_core_each(h->app->channels, look_at_channel, h);
	list_for_each_safe (&h->troubles, it) {
		struct trouble *t = LIST_ENTRY(it, struct trouble, link);
		if (!t->seen)
			ended(t);
	}
}

static void
on_look(void *arg)
{
	struct health *h = arg;
	loop_timer_start(h->timer, LOOK_MS);
	if (h->app->stage != APP_STOPPING)
		look(h);
}

struct health *
health_new(struct app *app)
{
	struct health *h = xcalloc(1, sizeof(*h));
	h->app = app;
	list_init(&h->troubles);
	h->timer = loop_timer_new(app->loop, on_look, h);
	loop_timer_start(h->timer, LOOK_MS);
	return h;
}

void
health_free(struct health **hp)
{
	struct health *h = *hp;
	if (!h)
		return;
	*hp = NULL;
	loop_timer_free(&h->timer);
	list_for_each_safe (&h->troubles, it)
		mem_free(LIST_ENTRY(it, struct trouble, link));
	mem_free(h);
}

void
health_put(struct health *h, struct json_out *j)
{
	if (h->app->stage != APP_STOPPING)
		look(h);
	json_put_array(j, "failing");
	list_for_each (&h->troubles, it) {
		const struct trouble *t = LIST_ENTRY(it, struct trouble, link);
		json_put_object(j, NULL);
		json_put_string(j, "what", t->what);
		json_put_time(j, "since", t->since_us);
		json_put_string(j, "why", t->why);
		json_put_string(j, "do", t->advice);
		json_put_object_end(j);
	}
	json_put_array_end(j);
}
