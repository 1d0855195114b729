/* channels.c - one channel: comparing it with its phone system now, and its gaps.
 *
 * A comparison takes a second or two: the lists, and a moment for events that are behind
 * them. Who asks with wait=true gets its outcome; a comparison that is already under way
 * serves as well. */
#include <api/reply.h>
#include <api/routes.h>
#include <calls/gap.h>
#include <str.h>

/* NULL after a 404. */
static struct channel *
find_channel(struct http_request *r, struct app *app)
{
	struct channel *ch = channel_core_find(app->channels, http_path_arg(r, 0));

	if (ch && str_eq(channel_tenant(ch), caller_of(r)->tenant->name))
		return ch;
	http_problem(r, 404, NULL, "there is no channel with this name");
	return NULL;
}

static void
on_compared(void *arg, const struct phone_comparison *c)
{
	struct http_request *r = arg;
	struct buf b = BUF_INIT;
	struct json_out j;
	char id[UUID_TEXT_LEN];

	if (!c) {
		http_problem(r, 504, NULL,
			"the phone system did not list its calls in time");
		return;
	}
	json_out_init(&j, &b);
	json_put_object(&j, NULL);
	json_put_time(&j, "compared_at", c->compared.at_us);
	json_put_time(&j, "since", c->compared.since_us);
	json_put_bool(&j, "live", c->compared.live);
	gap_put_missed(&j, "missed", &c->compared);
	json_put_int(&j, "events_at_least", c->compared.events);
	json_put_string(&j, "gap", c->has_gap ? uuid_format(id, &c->gap) : NULL);
	json_put_object_end(&j);
	http_answer_json(r, 200, &b);
	buf_fini(&b);
}

void
route_channel_resync(struct http_request *r, void *arg)
{
	static const char *const known[] = {"wait", NULL};
	struct app *app = arg;
	struct channel *ch;
	struct err err;

	if (!reply_query_known(r, known) || !(ch = find_channel(r, app)))
		return;
	if (channel_core_resync(ch, &err) < 0)
		http_problem(r, 409, NULL, "%s", err.text);
	else if (str_eq(http_query(r, "wait"), "true") && app_phone(ch))
		phone_on_compared(app_phone(ch), on_compared, r);
	else
		http_answer(r, 202, "application/json", "{}", 2);
}

void
route_channel_gaps(struct http_request *r, void *arg)
{
	static const char *const known[] = {"limit", "cursor", NULL};
	struct app *app = arg;
	struct channel *ch;
	unsigned limit;

	if (reply_query_known(r, known) && reply_limit(r, 50, 200, &limit) &&
		(ch = find_channel(r, app)))
		gap_list(&app->store, caller_of(r)->tenant, channel_name(ch), limit,
			http_query(r, "cursor"), reply_from_store, r);
}
