/* retention.c - [tenant] retention_*_days: the rules for timeline/retention.h, and
 * GET /v1/privacy/retention, which shows what they would do now. */
#include <api/reply.h>
#include <api/routes.h>
#include <mem.h>
#include <str.h>

struct retention *
app_retention_new(struct app *app)
{
	struct retention_rule *rules =
		xcalloc(app->n_tenants * RETAIN_COUNT + 1, sizeof(*rules));
	const struct conf_section *s;
	size_t n = 0;
	for (size_t i = 0; (s = conf_nth(app->conf, "tenant", i)); i++) {
		const struct tenant_settings *values = s->values;
		for (size_t k = 0; k < RETAIN_COUNT; k++)
			if (values->retention_days[k])
				rules[n++] = (struct retention_rule){
					store_tenant(&app->store, s->name),
					retention_kinds[k], values->retention_days[k]};
	}
	struct retention *r = retention_new(&app->store, rules, n);
	xfree(&rules);
	return r;
}

void
route_retention(struct http_request *r, void *arg)
{
	struct app *app = arg;
	const struct tenant *tenant = caller_of(r)->tenant;
	const int64_t never[RETAIN_COUNT] = {0};
	const int64_t *days = never;
	const struct conf_section *s;
	for (size_t i = 0; (s = conf_nth(app->conf, "tenant", i)); i++)
		if (str_eq(s->name, tenant->name))
			days = ((const struct tenant_settings *)s->values)
				       ->retention_days;
	retention_due(&app->store, tenant, retention_kinds, days, RETAIN_COUNT,
		reply_from_store, r);
}
