/* lookup_url.c - a configured URL with its placeholders, made into the one to ask.
 *
 * Whatever is put in is percent-encoded but for RFC 3986's unreserved characters, so that
 * no value can leave its place in the path or the query. */
#include <people/lookup_priv.h>

#include <people/phone.h>

#include <fetch.h>
#include <mem.h>
#include <str.h>

#include <string.h>

enum { P_NUMBER, P_E164, P_NATIONAL, P_CHANNEL, P_QUEUE, P_TENANT, N_PLACEHOLDERS };

static const char *const placeholders[N_PLACEHOLDERS] = {
	"{number}", "{e164}", "{national}", "{channel}", "{queue}", "{tenant}"};

/* The one that s begins with, or -1. */
static int
placeholder_at(const char *s)
{
	for (int i = 0; i < N_PLACEHOLDERS; i++)
		if (str_starts(s, placeholders[i]))
			return i;
	return -1;
}

static void
add_encoded(struct buf *out, const char *s)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789-._~";

	for (; s && *s; s++)
		if (strchr(plain, *s))
			buf_addc(out, *s);
		else
			buf_printf(out, "%%%02X", (unsigned char)*s);
}

static void
add_national(struct buf *out, const struct lookup_question *q)
{
	struct phone_target t;

	phone_examine(q->address->value, q->tenant->region, &t);
	add_encoded(out, t.dialled[0] ? t.dialled : q->address->value);
}

static void
add_value(struct buf *out, int which, const struct lookup_question *q)
{
	const char *number = q->address->value;

	switch (which) {
	case P_NUMBER: add_encoded(out, number + (*number == '+')); break;
	case P_E164: add_encoded(out, number); break;
	case P_NATIONAL: add_national(out, q); break;
	case P_CHANNEL: add_encoded(out, q->channel); break;
	case P_QUEUE: add_encoded(out, q->queue); break;
	default: add_encoded(out, q->tenant->name); break;
	}
}

char *
lookup_url_make(const char *url, const struct lookup_question *q)
{
	struct buf out = BUF_INIT;

	while (*url) {
		int which = *url == '{' ? placeholder_at(url) : -1;
		if (which < 0) {
			buf_addc(&out, *url++);
			continue;
		}
		add_value(&out, which, q);
		url += strlen(placeholders[which]);
	}
	return buf_steal(&out);
}

int
lookup_check_url(const char *url, struct err *err)
{
	static const struct tenant tenant = {.name = "default"};
	static const struct address address = {
		.kind = "phone", .value = "+886912345678", .normal = true};
	const struct lookup_question q = {.tenant = &tenant, .address = &address};
	const char *host_end = strstr(url, "://");
	bool number = false;
	int rc;

	host_end = host_end ? host_end + 3 + strcspn(host_end + 3, "/?#") : url;
	for (const char *s = strchr(url, '{'); s; s = strchr(s + 1, '{')) {
		int which = placeholder_at(s);
		if (which < 0 || s < host_end)
			return err_set(err,
				"placeholders are {number}, {e164}, {national}, "
				"{channel}, {queue} and {tenant}, after the host");
		number |= which <= P_NATIONAL;
	}
	if (!number)
		return err_set(err, "{number}, {e164} or {national} must be in it");
	char *made = lookup_url_make(url, &q);
	rc = fetch_check_url(made, err);
	xfree(&made);
	return rc;
}

int
lookup_check_header(const char *header, struct err *err)
{
	size_t n = strcspn(header, ":");

	if (!n || header[n] != ':' || strcspn(header, " \t") < n)
		return err_set(err, "a header is written Name: value");
	for (const char *s = header; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return err_set(err, "control characters in a header");
	return 0;
}
