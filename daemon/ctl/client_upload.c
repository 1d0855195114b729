/* client_upload.c - a request with a long body: sent piece by piece, as fast as the daemon
 * takes it. There is no limit to the whole time; two minutes of silence are the end. */
#include <ctl/client_priv.h>

#include <mem.h>

#include <stdio.h>

#define SILENCE_S 120L

static size_t
on_fill(char *dst, size_t size, size_t n, void *arg)
{
	const struct client_upload *up = arg;
	int len = up->fill(up->arg, dst, size * n);

	return len < 0 ? CURL_READFUNC_ABORT : (size_t)len;
}

static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct client_upload *up = arg;

	(void)a, (void)b, (void)c, (void)d;
	up->tick(up->arg);
	return 0;
}

static void
set_upload(struct client_request *q, const struct client_upload *up)
{
	char *type = xasprintf("Content-Type: %s", up->type);

	q->headers = curl_slist_append(q->headers, type);
	xfree(&type);
	curl_easy_setopt(q->curl, CURLOPT_POST, 1L);
	if (up->size >= 0)
		curl_easy_setopt(
			q->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)up->size);
	else
		q->headers =
			curl_slist_append(q->headers, "Transfer-Encoding: chunked");
	curl_easy_setopt(q->curl, CURLOPT_HTTPHEADER, q->headers);
	curl_easy_setopt(q->curl, CURLOPT_READFUNCTION, on_fill);
	curl_easy_setopt(q->curl, CURLOPT_READDATA, up);
	curl_easy_setopt(q->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(q->curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	if (!up->tick)
		return;
	curl_easy_setopt(q->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(q->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(q->curl, CURLOPT_XFERINFODATA, up);
}

int
client_upload(struct ctl *ctl, const char *path, const struct client_upload *up,
	struct client_answer *a)
{
	struct client_request q;
	CURLcode code = CURLE_OK;

	*a = (struct client_answer){0};
	int rc = client_request_init(ctl, &q, path);
	if (!rc) {
		set_upload(&q, up);
		curl_easy_setopt(q.curl, CURLOPT_WRITEFUNCTION, client_on_body);
		curl_easy_setopt(q.curl, CURLOPT_WRITEDATA, &a->text);
		code = curl_easy_perform(q.curl);
		curl_easy_getinfo(q.curl, CURLINFO_RESPONSE_CODE, &a->status);
		a->json = json_loadb(buf_str(&a->text), a->text.len, 0, NULL);
	}
	/* An answer that came before all was sent is one. */
	if (!rc && code != CURLE_OK && (a->status <= 100 || !a->json))
		rc = code == CURLE_ABORTED_BY_CALLBACK
			     ? CTL_USAGE
			     : client_unreachable(ctl, &q, code);
	else if (!rc && (a->status < 200 || a->status > 299))
		rc = client_refused(ctl, a);
	client_request_fini(&q);
	return rc;
}
