/* asterisk_pause.c - has Asterisk's queues pause a member or take it back: QueuePause.
 *
 * Without a Queue it is for all queues the interface is a member of. Every order is
 * answered once: by Asterisk, or with what went wrong when no answer came or the
 * connection ended. The manager user needs "write = agent". */
#include "asterisk.h"

#include <mem.h>
#include <str.h>

struct asterisk_pause {
	struct list link; /* in asterisk.pauses */
	uint64_t id;
	channel_done_fn *done;
	void *arg;
};

static const char *
refusal(const struct ami_message *answer)
{
	const char *why;

	if (!answer)
		return "the phone system did not answer";
	if (str_ieq(ami_get(answer, "Response"), "Success"))
		return NULL;
	why = ami_get_known(answer, "Message");
	if (str_ieq(why, "Permission denied"))
		return "Permission denied: the manager user needs \"write = agent\" in "
		       "manager.conf";
	return why ? why : "refused without a reason";
}

static void
on_answer(struct asterisk *a, uint64_t id, const struct ami_message *answer)
{
	list_for_each_safe (&a->pauses, it) {
		struct asterisk_pause *p = LIST_ENTRY(it, struct asterisk_pause, link);
		if (p->id != id)
			continue;
		list_remove(&p->link);
		p->done(p->arg, refusal(answer));
		mem_free(p);
		return;
	}
}

int
asterisk_pause(struct channel *ch, const struct channel_pause *what,
	channel_done_fn *done, void *arg, struct err *err)
{
	struct asterisk *a = channel_private(ch);
	const char *const fields[][2] = {{"Interface", what->interface},
		{"Paused", what->paused ? "true" : "false"},
		{str_empty(what->reason) ? NULL : "Reason", what->reason},
		{NULL, NULL}};
	uint64_t id;

	if (!asterisk_is_logged_in(a))
		return err_set(err, "the phone system is away");
	id = asterisk_action(a, "QueuePause", fields, on_answer);
	if (!id)
		return err_set(err, "too many orders wait for the phone system");
	struct asterisk_pause *p = xcalloc(1, sizeof(*p));
	p->id = id;
	p->done = done;
	p->arg = arg;
	list_append(&a->pauses, &p->link);
	return 0;
}
