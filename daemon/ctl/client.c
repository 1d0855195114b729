/* client.c - see client.h: requests by libcurl's easy interface. Streams are in
 * client_stream.c.
 *
 * Where: --url, --socket, INTERACTD_URL, the configuration's [http] socket, the default
 * one: the first of these that is given. */
#include <ctl/client_priv.h>

#include <base/settings.h>
#include <mem.h>
#include <str.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)64 * 1024 * 1024)

/* ---- Where ------------------------------------------------------------------------ */

const struct conf *
ctl_conf(struct ctl *ctl, int *rc_r)
{
	struct err err;
	*rc_r = CTL_OK;
	if (!ctl->conf)
		ctl->conf = settings_load(ctl->conf_path, &err);
	if (!ctl->conf) {
		fprintf(stderr, "interactctl: %s\n%s", err.text,
			ctl->conf_given ? "" : "Give the daemon's: -c FILE\n");
		*rc_r = CTL_USAGE;
	}
	return ctl->conf;
}

/* Not readable for everybody, as it may hold passwords: then the default is tried. */
static const char *
socket_of_conf(struct ctl *ctl, int *rc_r)
{
	*rc_r = CTL_OK;
	if (!ctl->conf_given && access(ctl->conf_path, R_OK) != 0)
		return CTL_DEFAULT_SOCKET;
	const struct conf *conf = ctl_conf(ctl, rc_r);
	if (!conf)
		return NULL;
	const struct http_settings *http = conf_values(conf, "http");
	if (str_empty(http->socket)) {
		*rc_r = args_wrong(NULL,
			"%s has no [http] socket; give --url and --key",
			ctl->conf_path);
		return NULL;
	}
	return http->socket;
}

static const char *
url_from_environment(const struct ctl *ctl)
{
	const char *url = getenv("INTERACTD_URL");
	return ctl->socket || ctl->conf_given || str_empty(url) ? NULL : url;
}

static int
target_find(struct ctl *ctl, struct client_target *t)
{
	int rc = CTL_OK;
	const char *url = ctl->url ? ctl->url : url_from_environment(ctl);
	memset(t, 0, sizeof(*t));
	if (url && !str_starts(url, "http://") && !str_starts(url, "https://"))
		return args_wrong(
			NULL, "%s: a URL begins with http:// or https://", url);
	if (url) {
		size_t n = strlen(url);
		while (n > 0 && url[n - 1] == '/')
			n--;
		str_copy(t->base, sizeof(t->base), url);
		if (n < sizeof(t->base))
			t->base[n] = '\0';
		t->key = ctl->key ? ctl->key : getenv("INTERACTD_KEY");
	} else {
		t->socket = ctl->socket ? ctl->socket : socket_of_conf(ctl, &rc);
		str_copy(t->base, sizeof(t->base), "http://localhost");
		t->key = ctl->key;
	}
	snprintf(ctl->reached, sizeof(ctl->reached), "%s%s", t->socket ? "socket " : "",
		t->socket ? t->socket : t->base);
	return rc;
}

/* ---- A request -------------------------------------------------------------------- */

static void
add_header(struct client_request *q, const char *name, const char *value)
{
	char *line = xasprintf("%s: %s", name, value);
	q->headers = curl_slist_append(q->headers, line);
	xfree(&line);
}

static void
set_target(struct ctl *ctl, struct client_request *q, const char *path)
{
	char *url = xasprintf("%s%s", q->target.base, path);
	curl_easy_setopt(q->curl, CURLOPT_URL, url);
	xfree(&url);
	curl_easy_setopt(q->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (q->target.socket) {
		curl_easy_setopt(q->curl, CURLOPT_UNIX_SOCKET_PATH, q->target.socket);
		curl_easy_setopt(q->curl, CURLOPT_PROXY, "");
	}
	if (ctl->ca_file)
		curl_easy_setopt(q->curl, CURLOPT_CAINFO, ctl->ca_file);
	if (!str_empty(q->target.key)) {
		char *bearer = xasprintf("Bearer %s", q->target.key);
		add_header(q, "Authorization", bearer);
		xfree(&bearer);
	}
	if (ctl->tenant)
		add_header(q, "Interactd-Tenant", ctl->tenant);
}

/* Nothing that a caller gives may end a header's line. */
static bool
is_header_text(const char *s)
{
	for (; s && *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

int
client_request_init(struct ctl *ctl, struct client_request *q, const char *path)
{
	memset(q, 0, sizeof(*q));
	int rc = target_find(ctl, &q->target);
	if (rc)
		return rc;
	if (!is_header_text(ctl->tenant) || !is_header_text(q->target.key))
		return args_wrong(NULL, "control characters in --tenant or in the key");
	q->curl = curl_easy_init();
	if (!q->curl) {
		fputs("interactctl: libcurl does not start\n", stderr);
		return CTL_UNREACHABLE;
	}
	curl_easy_setopt(q->curl, CURLOPT_ERRORBUFFER, q->error);
	curl_easy_setopt(q->curl, CURLOPT_CONNECTTIMEOUT_MS, 10000L);
	curl_easy_setopt(q->curl, CURLOPT_USERAGENT, "interactctl/" INTERACTD_VERSION);
	set_target(ctl, q, path);
	return 0;
}

void
client_request_fini(struct client_request *q)
{
	if (q->curl)
		curl_easy_cleanup(q->curl);
	curl_slist_free_all(q->headers);
	xfree(&q->body);
	memset(q, 0, sizeof(*q));
}

const char *
client_curl_error(const struct client_request *q, CURLcode code)
{
	return q->error[0] ? q->error : curl_easy_strerror(code);
}

size_t
client_on_body(char *data, size_t size, size_t n, void *arg)
{
	struct buf *text = arg;
	if (text->len + size * n > ANSWER_MAX)
		return 0;
	buf_add(text, data, size * n);
	return size * n;
}

static void
set_body(struct client_request *q, const char *method, const json_t *body)
{
	curl_easy_setopt(q->curl, CURLOPT_CUSTOMREQUEST, method);
	if (!body)
		return;
	q->body = json_dumps(body, JSON_COMPACT);
	add_header(q, "Content-Type", "application/json");
	curl_easy_setopt(q->curl, CURLOPT_POSTFIELDS, q->body);
}

/* ---- What failed, and what to do -------------------------------------------------- */

int
client_unreachable(const struct ctl *ctl, const struct client_request *q, CURLcode code)
{
	long os_errno = 0;
	curl_easy_getinfo(q->curl, CURLINFO_OS_ERRNO, &os_errno);
	/* Of a socket, curl would tell a host and a port that nobody gave. */
	bool no_socket = q->target.socket && code == CURLE_COULDNT_CONNECT && os_errno;
	fprintf(stderr, "interactctl: cannot reach interactd at %s: %s\n", ctl->reached,
		no_socket ? strerror((int)os_errno) : client_curl_error(q, code));
	if (q->target.socket)
		fputs("Is it running? See: systemctl status interactd. If it has "
		      "another socket, give\n--socket PATH or -c FILE (its "
		      "configuration); to reach it over the network, --url and\n--key. "
		      "Its socket opens to root and to its own user only.\n",
			stderr);
	else
		fputs("Check the URL, and that interactd listens there ([http] listen). "
		      "On its own machine,\nno URL is needed.\n",
			stderr);
	return CTL_UNREACHABLE;
}

static const char *
hint(const struct ctl *ctl, long status)
{
	if (status == 401 && ctl->url)
		return "Give a key: --key, --key-file or INTERACTD_KEY.";
	if (status == 401)
		return "Run it as root or as the daemon's own user, or give --key.";
	if (status == 503)
		return "See: interactctl status";
	return NULL;
}

/* Further members of a problem: whose an address or an interface is. */
static void
tell_holder(const json_t *problem)
{
	static const char *const kinds[] = {"contact", "agent"};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *id = json_string_value(json_object_get(problem, kinds[i]));
		struct buf b = BUF_INIT;
		print_safe(&b, id);
		if (id)
			fprintf(stderr, "See: interactctl %s show %s\n", kinds[i],
				buf_str(&b));
		buf_fini(&b);
	}
}

int
client_refused(const struct ctl *ctl, const struct client_answer *a)
{
	const char *detail = json_string_value(json_object_get(a->json, "detail"));
	const char *title = json_string_value(json_object_get(a->json, "title"));
	const char *more = hint(ctl, a->status);
	struct buf b = BUF_INIT;
	print_safe(&b, detail ? detail : title ? title : "the daemon refused");
	fprintf(stderr, "interactctl: %s", buf_str(&b));
	if (!detail)
		fprintf(stderr, " (HTTP status %ld)", a->status);
	fprintf(stderr, "%s%s\n", more ? "\n" : "", more ? more : "");
	tell_holder(a->json);
	buf_fini(&b);
	return a->status == 404 ? CTL_NOT_FOUND : CTL_REFUSED;
}

/* ---- Calls ------------------------------------------------------------------------ */

int
client_call_any(struct ctl *ctl, const char *method, const char *path,
	const json_t *body, struct client_answer *a)
{
	struct client_request q;
	memset(a, 0, sizeof(*a));
	int rc = client_request_init(ctl, &q, path);
	if (!rc) {
		set_body(&q, method, body);
		curl_easy_setopt(q.curl, CURLOPT_HTTPHEADER, q.headers);
		curl_easy_setopt(q.curl, CURLOPT_TIMEOUT_MS, 60000L);
		curl_easy_setopt(q.curl, CURLOPT_WRITEFUNCTION, client_on_body);
		curl_easy_setopt(q.curl, CURLOPT_WRITEDATA, &a->text);
		CURLcode code = curl_easy_perform(q.curl);
		if (code != CURLE_OK)
			rc = client_unreachable(ctl, &q, code);
		curl_easy_getinfo(q.curl, CURLINFO_RESPONSE_CODE, &a->status);
		a->json = json_loadb(buf_str(&a->text), a->text.len, 0, NULL);
	}
	client_request_fini(&q);
	return rc;
}

int
client_call(struct ctl *ctl, const char *method, const char *path, const json_t *body,
	struct client_answer *a)
{
	int rc = client_call_any(ctl, method, path, body, a);
	if (rc)
		return rc;
	if (a->status < 200 || a->status > 299)
		return client_refused(ctl, a);
	if (a->status != 204 && !a->json) {
		fprintf(stderr, "interactctl: %s does not answer like interactd\n",
			ctl->reached);
		return CTL_UNREACHABLE;
	}
	return CTL_OK;
}

void
client_answer_fini(struct client_answer *a)
{
	json_decref(a->json);
	buf_fini(&a->text);
	a->json = NULL;
}

void
client_print(const struct client_answer *a)
{
	if (!a->text.len)
		return;
	fwrite(a->text.data, 1, a->text.len, stdout);
	if (a->text.data[a->text.len - 1] != '\n')
		putchar('\n');
}

/* ---- Paths ------------------------------------------------------------------------ */

static void
add_escaped(struct buf *out, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || strchr("-._~", c);
		if (plain)
			buf_addc(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

void
client_path_add(struct buf *path, const char *segment)
{
	buf_addc(path, '/');
	add_escaped(path, segment);
}

void
client_query_add(struct buf *path, const char *name, const char *value)
{
	if (!value)
		return;
	buf_addc(path, strchr(buf_str(path), '?') ? '&' : '?');
	buf_adds(path, name);
	buf_addc(path, '=');
	add_escaped(path, value);
}
