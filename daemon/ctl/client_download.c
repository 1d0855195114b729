/* client_download.c - an answer of any length, handed on as it comes. That it was all is
 * told by its last chunk: without it curl says so, and so do we. */
#include <ctl/client_priv.h>

#include <stdio.h>

#define SILENCE_S     120L
#define PROBLEM_BYTES 65536

struct download {
	const struct client_download *to;
	struct client_request request;
	struct buf problem; /* body of an answer that is no result */
	bool refused;	    /* by take */
};

static size_t
on_bytes(char *data, size_t size, size_t n, void *arg)
{
	struct download *d = arg;
	size_t len = size * n;
	long status = 0;

	curl_easy_getinfo(d->request.curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		if (d->problem.len + len <= PROBLEM_BYTES)
			buf_add(&d->problem, data, len);
		return len;
	}
	d->refused = !d->to->take(d->to->arg, data, len);
	return d->refused ? 0 : len;
}

int
client_download(struct ctl *ctl, const char *path, const struct client_download *to)
{
	struct download d = {.to = to};
	struct client_answer a = {0};
	CURLcode code = CURLE_OK;
	int rc = client_request_init(ctl, &d.request, path);

	if (!rc) {
		CURL *curl = d.request.curl;
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, d.request.headers);
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, &d);
		curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
		code = curl_easy_perform(curl);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a.status);
	}
	if (!rc && d.refused) {
		rc = CTL_USAGE;
	} else if (!rc && code != CURLE_OK && a.status == 200) {
		fprintf(stderr, "interactctl: cut off: %s\n",
			client_curl_error(&d.request, code));
		rc = CTL_REFUSED;
	} else if (!rc && code != CURLE_OK) {
		rc = client_unreachable(ctl, &d.request, code);
	} else if (!rc && a.status != 200) {
		a.text = d.problem;
		d.problem = (struct buf)BUF_INIT;
		a.json = json_loadb(buf_str(&a.text), a.text.len, 0, NULL);
		rc = client_refused(ctl, &a);
	}
	client_answer_fini(&a);
	buf_fini(&d.problem);
	client_request_fini(&d.request);
	return rc;
}
