/* metrics.c - /metrics in Prometheus' text format.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4). Names
 * begin with interactd_, counters end in _total, times are seconds. Labels never hold
 * anything a stranger can size: routes are patterns, channels are configured. */
#include <api/metrics.h>

#include <api/app.h>
#include <clock.h>
#include <map.h>
#include <mem.h>

#include <stdio.h>
#include <unistd.h>

struct route_count {
	unsigned long long by_class[6]; /* 1xx … 5xx */
	struct histogram times;
};

struct metrics {
	struct map routes;
};

struct metrics *
metrics_new(void)
{
	struct metrics *m = xcalloc(1, sizeof(*m));
	map_init(&m->routes);
	return m;
}

static void
free_count(const char *key, void *value, void *arg)
{
	(void)key;
	(void)arg;
	mem_free(value);
}

void
metrics_free(struct metrics **mp)
{
	if (!*mp)
		return;
	map_each(&(*mp)->routes, free_count, NULL);
	map_fini(&(*mp)->routes);
	xfree(mp);
}

void
metrics_request(struct metrics *m, const char *pattern, int status, int64_t took_us)
{
	const char *key = pattern && *pattern ? pattern : "none";
	struct route_count *c = map_find(&m->routes, key);
	if (!c) {
		c = xcalloc(1, sizeof(*c));
		map_put(&m->routes, key, c);
	}
	if (status >= 100 && status < 600)
		c->by_class[status / 100]++;
	histogram_add(&c->times, took_us);
}

void
metrics_head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP interactd_%s %s\n# TYPE interactd_%s %s\n", name, help,
		name, type);
}

static void
gauge(struct buf *b, const char *name, const char *help, double value)
{
	metrics_head(b, name, "gauge", help);
	buf_printf(b, "interactd_%s %.17g\n", name, value);
}

static void
counter(struct buf *b, const char *name, const char *help, unsigned long long value)
{
	metrics_head(b, name, "counter", help);
	buf_printf(b, "interactd_%s %llu\n", name, value);
}

/* The samples of one histogram; label NULL: it has none. */
void
metrics_put_times(struct buf *b, const char *name, const char *label, const char *value,
	const struct histogram *h)
{
	unsigned long long sum = 0;
	char labels[256] = "";
	if (label)
		snprintf(labels, sizeof(labels), "%s=\"%s\"", label, value);
	const char *comma = label ? "," : "";
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		sum += h->counts[i];
		buf_printf(b, "interactd_%s_bucket{%s%sle=\"%g\"} %llu\n", name, labels,
			comma, (double)histogram_bounds_us[i] / 1e6, sum);
	}
	sum += h->counts[HISTOGRAM_BOUNDS];
	buf_printf(b, "interactd_%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels,
		comma, sum);
	const char *open = label ? "{" : "", *close = label ? "}" : "";
	buf_printf(b, "interactd_%s_sum%s%s%s %.9g\ninteractd_%s_count%s%s%s %llu\n",
		name, open, labels, close, (double)h->sum_us / 1e6, name, open, labels,
		close, sum);
}

static void
times(struct buf *b, const char *name, const char *help, const struct histogram *h)
{
	metrics_head(b, name, "histogram", help);
	metrics_put_times(b, name, NULL, NULL, h);
}

static void
write_route_requests(const char *key, void *value, void *arg)
{
	const struct route_count *c = value;
	for (int i = 1; i < 6; i++)
		if (c->by_class[i])
			buf_printf(arg,
				"interactd_http_requests_total{route=\"%s\",status=\"%"
				"dxx\"} "
				"%llu\n",
				key, i, c->by_class[i]);
}

static void
write_route_times(const char *key, void *value, void *arg)
{
	const struct route_count *c = value;
	metrics_put_times(arg, "http_request_seconds", "route", key, &c->times);
}

static void
write_http(struct buf *b, struct app *app)
{
	struct http_counters c;
	http_get_counters(app->http, &c);
	metrics_head(b, "http_requests_total", "counter",
		"Requests answered, by route and status.");
	map_each(&app->metrics->routes, write_route_requests, b);
	metrics_head(b, "http_request_seconds", "histogram",
		"From the request's end to its answer.");
	map_each(&app->metrics->routes, write_route_times, b);
	gauge(b, "http_connections", "Connections open now.", c.connections);
	gauge(b, "http_streams", "WebSockets and event streams open now.", c.streams);
	counter(b, "http_refused_total", "Requests refused before any handler.",
		c.refused_header + c.refused_body + c.bad_requests);
	counter(b, "http_timeouts_total", "Connections that dripped or idled too long.",
		c.timeouts);
	counter(b, "http_refused_connections_total", "Connections past the limits.",
		c.refused_connections);
}

static void
write_pops(struct buf *b, struct app *app)
{
	struct pops_stats p;
	pops_get_stats(app->pops, &p);
	gauge(b, "redis_up", "1 while Redis answers.", p.redis_up);
	gauge(b, "pops_open", "Screen pops open now.", p.open);
	gauge(b, "pops_pending", "Screen pops that wait for contact data.", p.pending);
	counter(b, "pops_opened_total", "Screen pops opened.", p.opened);
	counter(b, "pops_updated_total", "Updates of screen pops.", p.updated);
	counter(b, "pops_closed_total", "Screen pops closed.", p.closed);
	counter(b, "pops_degraded_total", "Opened without contact data.", p.degraded);
	counter(b, "pops_reissued_total", "Opened again after Redis lost its data.",
		p.reissued);
	times(b, "pop_seconds",
		"From the sign that an agent's phone rings until Redis has published the "
		"screen pop.",
		&p.shown);
	times(b, "card_seconds",
		"From asking PostgreSQL who it is until contact and history were there.",
		&p.cards);
	counter(b, "events_dropped_total", "Events that Redis was away too long for.",
		events_dropped(app->events));
}

static void
write_agents(struct buf *b, struct app *app)
{
	unsigned long counts[AGENT_MODE_COUNT];
	agent_states_count(app->states, counts);
	metrics_head(b, "agents", "gauge", "Agents, by their state.");
	for (int i = 0; i < AGENT_MODE_COUNT; i++)
		buf_printf(b, "interactd_agents{state=\"%s\"} %lu\n",
			agent_mode_text((enum agent_mode)i), counts[i]);
}

static void
write_store(struct buf *b, struct app *app)
{
	struct writer_stats w;
	writer_get_stats(app->writer, &w);
	int64_t since;
	gauge(b, "postgresql_up", "1 while PostgreSQL answers.",
		!app_postgresql_why(app, &since));
	gauge(b, "writer_waiting", "Units that wait for a commit.", (double)w.waiting);
	gauge(b, "writer_oldest_seconds", "Age of the oldest of them.",
		(double)w.oldest_age_us / 1e6);
	counter(b, "writer_units_total", "Units committed.", w.units);
	counter(b, "writer_batches_total", "Batches committed.", w.batches);
	counter(b, "writer_batch_failures_total", "Batches rolled back and run singly.",
		w.batch_failures);
	counter(b, "writer_lost_total", "Batches repeated after a lost connection.",
		w.lost);
	counter(b, "writer_quarantined_total",
		"Units set aside: see interactctl quarantine.", w.quarantined);
	counter(b, "writer_refused_total", "Units left to the spool.", w.refused);
	times(b, "commit_seconds", "From handing an interaction over to its commit.",
		&w.commit);
}

struct channel_writing {
	struct buf *b;
	const char *name;
	bool refused;
	const struct phone_metric *metric;
};

static void
write_up(void *arg, struct channel *ch)
{
	struct channel_writing *w = arg;
	buf_printf(w->b, "interactd_channel_up{channel=\"%s\"} %d\n", channel_name(ch),
		channel_core_state(ch) == CHANNEL_UP);
}

static void
write_counter(void *arg, const char *name, bool refused, unsigned long long value)
{
	struct channel_writing *w = arg;
	if (refused == w->refused)
		buf_printf(w->b,
			"interactd_channel_%s_total{channel=\"%s\",%s=\"%s\"} %llu\n",
			refused ? "refused" : "events", w->name,
			refused ? "cause" : "event", name, value);
}

static void
write_counters(void *arg, struct channel *ch)
{
	struct channel_writing *w = arg;
	w->name = channel_name(ch);
	channel_core_counters(ch, write_counter, w);
}

/* One family per row: the format wants a family's samples together. */
static const struct phone_metric {
	const char *name, *type, *help;
	enum {
		CALLS,
		INTERRUPTED,
		MISSED_CALLS,
		MISSED_EVENTS,
		HISTORY_WRITTEN,
		HISTORY_COMPLETED,
		BYTES,
		DROPPED,
		DAMAGED,
		FAILED,
		FROZEN
	} value;
} phone_metrics[] = {
	{"calls", "gauge", "Calls alive now.", CALLS},
	{"calls_interrupted_total", "counter", "Calls we lost sight of.", INTERRUPTED},
	{"missed_calls_total", "counter",
		"Calls whose beginning, end or whole was not heard.", MISSED_CALLS},
	{"missed_events_total", "counter",
		"Events that comparisons proved missed, at least.", MISSED_EVENTS},
	{"history_written_total", "counter",
		"Calls that only the phone system's own records knew.",
		HISTORY_WRITTEN},
	{"history_completed_total", "counter",
		"Calls that its records knew to their end, and we did not.",
		HISTORY_COMPLETED},
	{"spool_bytes", "gauge", "Bytes of the spool on disk.", BYTES},
	{"spool_dropped_total", "counter", "Events set aside because it was full.",
		DROPPED},
	{"spool_damaged_total", "counter", "Damaged places found in it.", DAMAGED},
	{"spool_failed_total", "counter", "Events that could not be kept on disk.",
		FAILED},
	{"spool_frozen", "gauge",
		"1 while calls are in it that the database is yet to get.", FROZEN},
};

static unsigned long long
phone_value(const struct phone_metric *m, const struct phone_stats *st)
{
	switch (m->value) {
	case CALLS: return st->tracker.calls;
	case INTERRUPTED: return st->tracker.interrupted;
	case MISSED_CALLS: return st->gaps.missed_calls;
	case MISSED_EVENTS: return st->gaps.missed_events;
	case HISTORY_WRITTEN: return st->gaps.written;
	case HISTORY_COMPLETED: return st->gaps.completed;
	case BYTES: return (unsigned long long)st->spool.bytes;
	case DROPPED: return st->spool.dropped;
	case DAMAGED: return st->spool.damaged;
	case FAILED: return st->not_spooled;
	case FROZEN: return st->frozen;
	}
	return 0;
}

static void
write_phone(void *arg, struct channel *ch)
{
	struct channel_writing *w = arg;
	struct phone_stats st;
	if (!app_phone(ch))
		return;
	phone_get_stats(app_phone(ch), &st);
	buf_printf(w->b, "interactd_%s{channel=\"%s\"} %llu\n", w->metric->name,
		channel_name(ch), phone_value(w->metric, &st));
}

static void
write_handling(void *arg, struct channel *ch)
{
	struct channel_writing *w = arg;
	struct phone_stats st;
	if (!app_phone(ch))
		return;
	phone_get_stats(app_phone(ch), &st);
	metrics_put_times(
		w->b, "event_seconds", "channel", channel_name(ch), &st.handling);
}

static void
write_syncs(void *arg, struct channel *ch)
{
	struct channel_writing *w = arg;
	struct phone_stats st;
	if (!app_phone(ch))
		return;
	phone_get_stats(app_phone(ch), &st);
	metrics_put_times(w->b, "spool_sync_seconds", "channel", channel_name(ch),
		&st.spool.sync);
}

static void
write_gaps(void *arg, struct channel *ch)
{
	struct channel_writing *w = arg;
	struct phone_stats st;
	if (!app_phone(ch))
		return;
	phone_get_stats(app_phone(ch), &st);
	for (unsigned i = 0; i < GAP_CAUSE_COUNT; i++)
		buf_printf(w->b,
			"interactd_gaps_total{channel=\"%s\",cause=\"%s\"} %llu\n",
			channel_name(ch), gap_cause_text(i), st.gaps.by_cause[i]);
}

static void
write_channels(struct buf *b, struct app *app)
{
	struct channel_writing w = {.b = b};
	metrics_head(b, "channel_up", "gauge", "1 while the channel is connected.");
	channel_core_each(app->channels, write_up, &w);
	metrics_head(b, "channel_events_total", "counter", "What came in, by kind.");
	channel_core_each(app->channels, write_counters, &w);
	w.refused = true;
	metrics_head(
		b, "channel_refused_total", "counter", "What was refused, by cause.");
	channel_core_each(app->channels, write_counters, &w);
	metrics_head(b, "event_seconds", "histogram",
		"What one phone event took the loop: spooled, tracked, told on.");
	channel_core_each(app->channels, write_handling, &w);
	metrics_head(
		b, "spool_sync_seconds", "histogram", "One fdatasync of the spool.");
	channel_core_each(app->channels, write_syncs, &w);
	metrics_head(
		b, "gaps_total", "counter", "Times when a phone system was not heard.");
	channel_core_each(app->channels, write_gaps, &w);
	for (size_t i = 0; i < ARRAY_LEN(phone_metrics); i++) {
		w.metric = &phone_metrics[i];
		metrics_head(b, w.metric->name, w.metric->type, w.metric->help);
		channel_core_each(app->channels, write_phone, &w);
	}
}

static void
write_webhooks(struct buf *b, struct app *app)
{
	static const char name[] = "interactd_webhook_deliveries_total";
	struct webhooks_stats w;
	webhooks_get_stats(app->webhooks, &w);
	int64_t age = w.oldest_us ? clock_wall_us() - w.oldest_us : 0;
	metrics_head(b, "webhook_deliveries_total", "counter",
		"Deliveries sent to webhooks, by what came of it.");
	buf_printf(b,
		"%s{result=\"delivered\"} %llu\n%s{result=\"retried\"} %llu\n"
		"%s{result=\"dead\"} %llu\n",
		name, w.delivered, name, w.retried, name, w.dead);
	gauge(b, "webhook_running", "Requests to webhooks under way.", w.running);
	gauge(b, "webhook_waiting", "Deliveries that wait.", (double)w.waiting);
	gauge(b, "webhook_oldest_seconds", "How long the oldest of them has waited.",
		(double)age / 1e6);
	gauge(b, "webhook_dead_letters", "Dead letters kept.", (double)w.dead_kept);
	gauge(b, "webhook_failing", "Webhooks that only fail.", (double)w.failing);
}

static void
write_privacy(struct buf *b, struct app *app)
{
	struct reads_stats reads;
	struct retention_stats kept;
	reads_get_stats(app->reads, &reads);
	retention_get_stats(app->retention, &kept);
	counter(b, "audit_reads_total", "Reads of contacts written to the audit.",
		reads.written);
	gauge(b, "audit_reads_waiting", "Reads that are not in the audit yet.",
		(double)reads.waiting);
	counter(b, "audit_reads_dropped_total",
		"Reads that the audit lacks: too many waited, or it refused them.",
		reads.dropped);
	counter(b, "retention_deleted_total",
		"Interactions deleted one by one because they had served their time.",
		kept.deleted);
	counter(b, "retention_months_total", "Months dropped in whole.", kept.months);
	gauge(b, "retention_run_timestamp_seconds",
		"When retention went through all last; 0 = not yet.",
		(double)kept.run_us / 1e6);
}

void
metrics_write(struct buf *b, struct app *app)
{
	buf_printf(b,
		"# HELP interactd_info The version.\n# TYPE interactd_info gauge\n"
		"interactd_info{version=\"%s\"} 1\n",
		INTERACTD_VERSION);
	gauge(b, "start_time_seconds", "When this daemon started.",
		(double)app->started_us / 1e6);
	write_http(b, app);
	write_pops(b, app);
	write_agents(b, app);
	write_store(b, app);
	write_webhooks(b, app);
	write_privacy(b, app);
	metrics_write_lookups(b, app);
	write_channels(b, app);
}
