/* asterisk_check.c - `interactctl channel check`: asks Asterisk what this manager user can
 * see and do.
 *
 * It is a session like the daemon's (the same login, so the same reasons why it fails),
 * and a second one beside it does no harm. Nothing is tried that changes anything:
 * ListCommands names the actions that the user may use, lists of phones and queues show
 * whether the patterns fit, and what comes by itself while we listen shows which classes
 * of events are let through. What is said of it all is in asterisk_findings.c. */
#include "asterisk_check.h"

#include <clock.h>
#include <mem.h>
#include <str.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const action_names[] = {
#define A(name, text) [CHECK_##name] = text,
	CHECK_ACTIONS(A)
#undef A
};

const char *const check_classes[CHECK_CLASSES_N] = {
	"call", "agent", "system", "user", "dialplan", "dtmf"};

static const struct {
	enum check_action action;
	const char *item;
} lists[CHECK_LISTS] = {
	[CHECK_LIST_PJSIP] = {CHECK_PJSIP, "EndpointList"},
	[CHECK_LIST_SIP] = {CHECK_SIP, "PeerEntry"},
	[CHECK_LIST_IAX] = {CHECK_IAX, "PeerEntry"},
	[CHECK_LIST_QUEUES] = {CHECK_QUEUES, "QueueMember"},
	[CHECK_LIST_DIALPLAN] = {CHECK_DIALPLAN, "ListDialplan"},
};

void
check_name_add(struct check_names *names, const char *fmt, ...)
{
	char text[CHECK_NAME_MAX];
	va_list ap;

	if (names->n == CHECK_NAMES_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	names->items = xrealloc(names->items, (names->n + 1) * sizeof(*names->items));
	names->items[names->n++] = xstrdup(text);
}

static void
names_fini(struct check_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		xfree(&names->items[i]);
	xfree(&names->items);
	names->n = 0;
}

/* ---- The end ---------------------------------------------------------------- */

static void
check_done(struct asterisk *a)
{
	struct asterisk_check *c = a->check;
	channel_checked_fn *done = c->done;
	struct buf text = BUF_INIT;

	c->finished = true;
	loop_timer_stop(c->timer);
	findings_to_write(a, &text);
	c->done = NULL;
	if (done)
		done(c->arg, text.len ? buf_str(&text) : NULL);
	buf_fini(&text);
}

void
asterisk_check_ended(struct asterisk *a, const char *why)
{
	if (!a->check || a->check->finished)
		return;
	findings_refused(a, why);
	check_done(a);
}

void
asterisk_check_fini(struct asterisk *a)
{
	struct asterisk_check *c = a->check;

	if (!c)
		return;
	if (c->done)
		check_done(a);
	a->check = NULL;
	loop_timer_free(&c->timer);
	names_fini(&c->endpoints);
	names_fini(&c->members);
	mem_free(c);
}

/* ---- Lists -------------------------------------------------------------------- */

static void
listen(struct asterisk *a)
{
	struct asterisk_check *c = a->check;

	if (c->listed)
		return;
	c->listed = true;
	loop_timer_start(c->timer, c->listen_ms);
}

static void
go_on(struct asterisk *a)
{
	for (size_t i = 0; i < CHECK_LISTS; i++)
		if (a->check->lists[i].running)
			return;
	if (a->check->ping_took_us)
		listen(a);
}

static size_t
list_of(const struct asterisk_check *c, uint64_t id)
{
	for (size_t i = 0; id && i < CHECK_LISTS; i++)
		if (c->lists[i].id == id)
			return i;
	return CHECK_LISTS;
}

static void
on_list_answer(struct asterisk *a, uint64_t id, const struct ami_message *m)
{
	struct asterisk_check *c = a->check;
	size_t i = c ? list_of(c, id) : CHECK_LISTS;
	const char *why = m ? ami_get(m, "Message") : NULL;

	if (i == CHECK_LISTS || (m && str_ieq(ami_get(m, "Response"), "Success")))
		return;
	c->lists[i].running = false;
	str_copy(c->lists[i].error, sizeof(c->lists[i].error), why ? why : "no answer");
	go_on(a);
}

static void
ask_list(struct asterisk *a, enum check_list i)
{
	struct asterisk_check *c = a->check;
	const char *const context[][2] = {
		{"Context", a->conf->dial_context}, {NULL, NULL}};

	if (c->commands_known && !c->may[lists[i].action])
		return;
	c->lists[i].id = asterisk_action(a, action_names[lists[i].action],
		i == CHECK_LIST_DIALPLAN ? context : NULL, on_list_answer);
	c->lists[i].asked = c->lists[i].running = c->lists[i].id != 0;
}

static void
take_member(struct asterisk_check *c, const struct ami_message *m)
{
	const char *state = ami_get_known(m, "StateInterface");
	const char *location = ami_get_known(m, "Location");
	const char *queue = ami_get_known(m, "Queue");

	if (!location || !queue)
		return;
	/* A Local member stands for the phone whose state it takes. */
	check_name_add(&c->members, "%s %s", queue,
		str_starts(location, "Local/") && state ? state : location);
}

static void
take_item(struct asterisk_check *c, enum check_list i, const struct ami_message *m)
{
	const char *name = ami_get_known(m, "ObjectName");
	const char *tech = i == CHECK_LIST_PJSIP ? "PJSIP"
			   : i == CHECK_LIST_SIP ? "SIP"
						 : "IAX2";

	if (i == CHECK_LIST_QUEUES)
		take_member(c, m);
	else if (i != CHECK_LIST_DIALPLAN && name)
		check_name_add(&c->endpoints, "%s/%s", tech, name);
}

/* ---- What comes by itself ------------------------------------------------------ */

static void
hear(struct asterisk_check *c, const struct ami_message *m, const char *event)
{
	const char *privilege = ami_get(m, "Privilege");

	if (!privilege || ami_get(m, "ActionID"))
		return;
	for (size_t i = 0; i < CHECK_CLASSES_N; i++) {
		size_t n = strlen(check_classes[i]);
		if (strncmp(privilege, check_classes[i], n) == 0 &&
			(privilege[n] == ',' || privilege[n] == '\0'))
			c->by_class[i]++;
	}
	if (str_ieq(event, "FullyBooted"))
		return; /* the login's answer: it never has a time */
	c->heard++;
	c->heard_timestamp |= ami_get(m, "Timestamp") != NULL;
}

void
asterisk_check_event(struct asterisk *a, const struct ami_message *m, const char *event)
{
	struct asterisk_check *c = a->check;
	size_t i;

	if (!c || c->finished)
		return;
	hear(c, m, event);
	i = list_of(c, asterisk_action_id(a, m));
	if (i == CHECK_LISTS || !c->lists[i].running)
		return;
	if (str_ieq(event, lists[i].item))
		take_item(c, i, m);
	if (str_ieq(ami_get(m, "EventList"), "Complete")) {
		c->lists[i].running = false;
		c->lists[i].whole = true;
		go_on(a);
	}
}

/* ---- The beginning --------------------------------------------------------------- */

static void
on_pong(struct asterisk *a, uint64_t id, const struct ami_message *m)
{
	struct asterisk_check *c = a->check;

	if (!c || id != c->ping_id)
		return;
	c->ping_took_us = m ? clock_mono_us() - c->ping_us : -1;
	go_on(a);
}

static void
on_commands(struct asterisk *a, uint64_t id, const struct ami_message *m)
{
	struct asterisk_check *c = a->check;

	if (!c || id != c->command_id || c->finished)
		return;
	c->commands_known = m && ami_get(m, "Ping");
	for (size_t i = 0; c->commands_known && i < CHECK_ACTIONS_N; i++)
		c->may[i] = ami_get(m, action_names[i]) != NULL;
	c->ping_us = clock_mono_us();
	c->ping_id = asterisk_action(a, "Ping", NULL, on_pong);
	for (size_t i = 0; i < CHECK_LISTS; i++)
		ask_list(a, i);
	loop_timer_start(c->timer, a->conf->answer_ms);
}

/* The lists' time is over, or the listening's. */
static void
on_timer(void *arg)
{
	struct asterisk *a = arg;

	if (!a->check->listed) {
		listen(a);
		return;
	}
	findings_all(a);
	check_done(a);
}

void
asterisk_check_ready(struct asterisk *a)
{
	struct asterisk_check *c = a->check;

	if (!c || c->begun)
		return;
	c->begun = true;
	c->command_id = asterisk_action(a, "ListCommands", NULL, on_commands);
}

void
asterisk_check(struct channel *ch, int64_t listen_ms, channel_report_fn *report,
	channel_checked_fn *done, void *arg)
{
	struct asterisk *a = channel_private(ch);
	struct asterisk_check *c = xcalloc(1, sizeof(*c));

	c->report = report;
	c->done = done;
	c->arg = arg;
	c->listen_ms = listen_ms;
	c->timer = loop_timer_new(channel_loop(ch), on_timer, a);
	a->check = c;
	if (a->state == ASTERISK_READY)
		asterisk_check_ready(a);
}
