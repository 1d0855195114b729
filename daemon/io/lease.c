/* lease.c - one row in `lease`, renewed every second by whoever holds it.
 *
 *	SEEKING -> HELD        the row became ours, with its fence
 *	HELD -> SEEKING        somebody else's name stands in it: their fence is higher
 *
 * One question is under way at a time; its deadline is shorter than the time after which
 * another may take over, so a slow answer cannot be mistaken for a fresh one. Holding
 * goes on while the database is away: whoever would take over needs the database too. A
 * lease closed with a question under way is freed when its answer has come. */
#include <io/lease.h>

#include <io/loop.h>
#include <log.h>
#include <mem.h>
#include <str.h>
#include <uuid.h>

#include <clock.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RENEW_MS     1000
#define DEADLINE_MS  3000
#define GIVE_BACK_MS 1000
#define SILENT_US    INT64_C(5000000)
#define HOLDER_MAX   200

struct lease {
	struct loop *loop;
	struct pg *pg;
	struct loop_timer *timer;
	struct lease_callbacks callbacks;
	void *arg;
	int tenant_id;
	char *name;
	char holder[HOLDER_MAX]; /* as last seen */
	int64_t fence;
	int64_t answered_us; /* monotonic: when the database answered last */
	int64_t patience_us; /* from the first answer on; 0 = none */
	int64_t first_us;    /* monotonic: the first answer; 0 = none yet */
	char why[200];	     /* the last answer was none; "" = it was one */
	bool held, asking, closed;
};

/* What process ids mean here: the machine's boot and the pid namespace (containers). */
static void
pid_space(char *dst, size_t cap)
{
	char boot[37] = "", ns[64] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
	if (f) {
		if (!fgets(boot, sizeof(boot), f))
			boot[0] = '\0';
		fclose(f);
	}
	ssize_t n = readlink("/proc/self/ns/pid", ns, sizeof(ns) - 1);
	ns[n > 0 ? n : 0] = '\0';
	snprintf(dst, cap, "%.8s-%016llx", boot, (unsigned long long)str_hash(ns));
}

const char *
lease_holder_name(void)
{
	/* Made once; forked children of tests get their own by their pid. */
	static char name[HOLDER_MAX];
	static pid_t of;
	char host[64] = "localhost", word[UUID_TEXT_LEN], space[40];
	struct uuid u;

	if (of == getpid())
		return name;
	of = getpid();
	gethostname(host, sizeof(host) - 1);
	u = uuid_new(clock_wall_us());
	uuid_format(word, &u);
	pid_space(space, sizeof(space));
	snprintf(name, sizeof(name), "%s/%ld/%s/%s", host, (long)of, space, word + 28);
	return name;
}

/* A holder whose process, seen from here, no longer is: it was killed, and a restart need
 * not wait until the lease has run out. */
static bool
holder_is_dead(const char *holder)
{
	char space[40];
	long pid;
	const char *slash = strchr(holder, '/');
	pid_space(space, sizeof(space));
	size_t n = strlen(space);
	if (!slash || sscanf(slash, "/%ld/", &pid) != 1 || pid <= 0)
		return false;
	const char *theirs = strchr(slash + 1, '/');
	if (!theirs || strncmp(theirs + 1, space, n) != 0 || theirs[1 + n] != '/')
		return false;
	return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static void
lease_free(struct lease *l)
{
	loop_timer_free(&l->timer);
	xfree(&l->name);
	xfree(&l);
}

/* Somebody's name stands in the row: ours, or not. */
static void
lease_see(struct lease *l, const char *holder, int64_t fence)
{
	bool ours = !strcmp(holder, lease_holder_name());
	bool lost = l->held && !ours, taken = ours && !l->held;

	str_copy(l->holder, sizeof(l->holder), holder);
	l->fence = fence;
	l->held = ours;
	if (taken) {
		log_info(l->name, "this instance has the lease (fence %lld)",
			(long long)fence);
		l->callbacks.on_taken(l->arg, fence);
	} else if (lost) {
		log_warnx(l->name, "the lease went to %s (fence %lld)", holder,
			(long long)fence);
		if (l->callbacks.on_lost)
			l->callbacks.on_lost(l->arg, holder);
	}
}

static void
on_taken_answer(void *arg, const struct pg_answer *a)
{
	struct lease *l = arg;

	l->asking = false;
	if (l->closed) {
		lease_free(l);
		return;
	}
	bool first = !l->holder[0];
	loop_timer_start(l->timer, RENEW_MS);
	if (a->status == PG_OK) {
		l->answered_us = clock_mono_us();
		l->first_us = l->first_us ? l->first_us : l->answered_us;
	}
	str_copy(l->why, sizeof(l->why), a->status == PG_OK ? "" : a->message);
	if (a->status == PG_OK && pg_rows(a, 0))
		lease_see(l, pg_text(a, 0, 0, 0), pg_int(a, 0, 0, 1));
	else if (a->status != PG_OK)
		log_debug(l->name, "asking for the lease: %s", a->message);
	if (first && !l->held && holder_is_dead(l->holder))
		loop_timer_start(l->timer, 0);
}

static struct pg_unit *
lease_unit(struct lease *l, const char *statement)
{
	struct pg_unit *u = pg_unit_new(l->pg);

	pg_add(u, statement);
	pg_param_int(u, l->tenant_id);
	pg_param_text(u, l->name);
	pg_param_text(u, lease_holder_name());
	return u;
}

static bool
is_patient(const struct lease *l)
{
	return !l->held && l->patience_us &&
	       (!l->first_us || clock_mono_us() - l->first_us < l->patience_us);
}

static void
lease_ask(void *arg)
{
	struct lease *l = arg;
	struct pg_unit *u = lease_unit(l, "lease_take");

	pg_param_text(u, !l->held && holder_is_dead(l->holder) ? l->holder : NULL);
	pg_param_bool(u, is_patient(l));
	l->asking = true;
	pg_submit(&u, DEADLINE_MS, on_taken_answer, l);
}

struct lease *
lease_open(struct loop *loop, struct pg *pg, int tenant_id, const char *name,
	const struct lease_callbacks *callbacks, void *arg)
{
	struct lease *l = xcalloc(1, sizeof(*l));

	l->loop = loop;
	l->pg = pg;
	l->tenant_id = tenant_id;
	l->name = xstrdup(name);
	l->callbacks = *callbacks;
	l->arg = arg;
	l->timer = loop_timer_new(loop, lease_ask, l);
	l->answered_us = clock_mono_us();
	loop_timer_start(l->timer, 0);
	return l;
}

void
lease_be_patient(struct lease *l, unsigned ms)
{
	l->patience_us = ms * INT64_C(1000);
}

bool
lease_is_held(const struct lease *l)
{
	return l && l->held;
}

int64_t
lease_silent_us(const struct lease *l)
{
	return clock_mono_us() - l->answered_us;
}

const char *
lease_why(const struct lease *l)
{
	return l->why[0] || lease_silent_us(l) < SILENT_US
		       ? l->why
		       : "it is connected but does not answer";
}

const char *
lease_current_holder(const struct lease *l)
{
	return l->holder;
}

static void
on_given_back(void *arg, const struct pg_answer *a)
{
	bool *answered = arg;

	(void)a;
	*answered = true;
}

/* Waits for the answer: the pool may be closed right after, and whoever comes next would
 * have to wait until the lease has run out. */
static void
lease_give_back(struct lease *l)
{
	struct pg_unit *u = lease_unit(l, "lease_give_back");
	bool answered = false;

	/* The units' own deadlines end both. A renewal must not come behind. */
	while (l->asking)
		loop_run_once(l->loop, GIVE_BACK_MS);
	loop_timer_stop(l->timer);
	pg_submit(&u, GIVE_BACK_MS, on_given_back, &answered);
	while (!answered)
		loop_run_once(l->loop, GIVE_BACK_MS);
}

void
lease_close(struct lease **lp)
{
	struct lease *l = *lp;

	*lp = NULL;
	if (!l)
		return;
	if (l->held && pg_is_up(l->pg))
		lease_give_back(l);
	l->closed = true;
	loop_timer_stop(l->timer);
	if (!l->asking)
		lease_free(l);
}
