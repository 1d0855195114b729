/* client_stream.c - Server-Sent Events of the daemon, kept up. Their form is sse.c's.
 *
 * The daemon sends a comment every 15 s, so silence of 45 s is a lost connection. */
#include <ctl/client_priv.h>
#include <ctl/sse.h>

#include <mem.h>
#include <str.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SILENCE_S     45L
#define RETRY_MIN_MS  500
#define RETRY_MAX_MS  5000
#define PROBLEM_BYTES 65536

struct stream {
	const struct client_stream *to;
	struct client_request request;
	struct sse sse;
	struct buf problem; /* body of an answer that is no stream */
	bool ended;
	bool up;	/* it has been connected before: losses are told, not fatal */
	bool connected; /* this attempt got through */
	bool lost_told;
};

static void
mark_up(struct stream *s)
{
	s->up = s->connected = true;
	if (s->lost_told)
		s->to->on_lost(s->to->arg, NULL);
	s->lost_told = false;
}

static size_t
on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
	struct stream *s = arg;
	long status = 0;
	size_t len = size * n;
	curl_easy_getinfo(s->request.curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		if (s->problem.len + len <= PROBLEM_BYTES)
			buf_add(&s->problem, bytes, len);
		return len;
	}
	mark_up(s);
	enum sse_result r = sse_feed(&s->sse, bytes, len, s->to->on_data, s->to->arg);
	s->ended = r == SSE_ENDED;
	return r == SSE_MORE ? len : 0;
}

static bool
is_passing(long status)
{
	return status == 0 || status == 200 || status == 429 || status >= 500;
}

static void
tell_lost(struct stream *s, const char *why)
{
	if (!s->lost_told)
		s->to->on_lost(s->to->arg, why);
	s->lost_told = true;
}

/* One connection, until it ends. 0: to be tried again. */
static int
run_once(struct ctl *ctl, struct stream *s, const char *path, bool *again_r)
{
	struct client_request *q = &s->request;
	struct client_answer a = {0};
	char why[64];
	*again_r = s->connected = false;
	int rc = client_request_init(ctl, q, path);
	if (rc)
		return rc;
	sse_clear(&s->sse);
	buf_clear(&s->problem);
	q->headers = curl_slist_append(q->headers, "Accept: text/event-stream");
	curl_easy_setopt(q->curl, CURLOPT_HTTPHEADER, q->headers);
	curl_easy_setopt(q->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(q->curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	curl_easy_setopt(q->curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(q->curl, CURLOPT_WRITEDATA, s);
	CURLcode code = curl_easy_perform(q->curl);
	curl_easy_getinfo(q->curl, CURLINFO_RESPONSE_CODE, &a.status);
	if (s->ended)
		return CTL_OK;
	if (!is_passing(a.status) || (a.status > 200 && !s->up)) {
		a.json = json_loadb(buf_str(&s->problem), s->problem.len, 0, NULL);
		rc = client_refused(ctl, &a);
		client_answer_fini(&a);
		return rc;
	}
	if (!s->up)
		return client_unreachable(ctl, q, code);
	snprintf(why, sizeof(why), "the daemon answers with status %ld", a.status);
	tell_lost(s, a.status > 200	? why
		     : code == CURLE_OK ? "the daemon closed the connection"
					: client_curl_error(q, code));
	*again_r = true;
	return CTL_OK;
}

static void
pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};
	nanosleep(&t, NULL);
}

int
client_stream(struct ctl *ctl, const char *path, const struct client_stream *to)
{
	struct stream s = {.to = to};
	bool again = true;
	int rc = CTL_OK;
	for (long wait = RETRY_MIN_MS; again;) {
		rc = run_once(ctl, &s, path, &again);
		client_request_fini(&s.request);
		if (!again)
			break;
		if (s.connected)
			wait = RETRY_MIN_MS;
		pause_ms(wait);
		wait = wait < RETRY_MAX_MS / 2 ? wait * 2 : RETRY_MAX_MS;
	}
	sse_fini(&s.sse);
	buf_fini(&s.problem);
	return rc;
}
