/* pg_conninfo.c - the user's conninfo, with host names replaced by addresses.
 *
 * libpq resolves names inside PQconnectStart and PQconnectPoll, blocking. So the host
 * list is taken apart here, names are resolved by the caller, and libpq gets hostaddr
 * beside host, an entry per address (host stays: certificates are checked against it).
 * Hosts that come from a service file are not seen here; name them in conninfo.
 *
 * libpq's connect_timeout does not work without blocking either: when a host is silent
 * the caller's own deadline ends the attempt, and the next one starts at another host.
 */
#include "io/pg_priv.h"

#include <mem.h>
#include <str.h>

#include <netdb.h>
#include <stdlib.h>
#include <string.h>

struct pg_host {
	char *name, *addr, *port; /* "" = not given */
	bool is_name;
};

struct pg_conninfo {
	PQconninfoOption *options;
	struct pg_host *hosts;
	size_t n_hosts;
	char *application_name;
	char *server_options; /* the user's `options` and ours */
};

/* Ours are for sessions that outlive any single statement; the user's conninfo wins. */
static const char *const defaults[][2] = {{"keepalives_idle", "30"},
	{"keepalives_interval", "5"}, {"keepalives_count", "3"},
	{"tcp_user_timeout", "15000"},
	/* A ticket cache may be on a network file system: never by itself. */
	{"gssencmode", "disable"}};

char *
pg_one_line(char *dst, size_t cap, const char *message)
{
	size_t len = 0;

	for (; *message && len + 4 < cap; message++) {
		bool blank = strchr(" \t\r\n", *message) != NULL;
		if (!blank)
			dst[len++] = *message;
		else if (len && dst[len - 1] != ' ')
			dst[len++] = ' ';
	}
	while (len && dst[len - 1] == ' ')
		len--;
	dst[len] = '\0';
	return dst;
}

static const char *
option_get(const PQconninfoOption *o, const char *keyword)
{
	for (; o->keyword; o++) {
		if (strcmp(o->keyword, keyword) == 0)
			return o->val && *o->val ? o->val : NULL;
	}
	return NULL;
}

static size_t
list_count(const char *s)
{
	size_t n = s ? 1 : 0;

	for (; s && *s; s++)
		n += *s == ',';
	return n;
}

/* The i-th part of a list with commas; "" beyond its end. */
static char *
list_part(const char *s, size_t i)
{
	while (s && i--) {
		s = strchr(s, ',');
		s += s != NULL;
	}
	return s ? xstrndup(s, strcspn(s, ",")) : xstrdup("");
}

static bool
is_numeric(const char *name)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
	struct addrinfo *list = NULL;

	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return false;
	freeaddrinfo(list);
	return true;
}

static int
hosts_split(struct pg_conninfo *ci, const char *names, struct err *err)
{
	const char *addrs = option_get(ci->options, "hostaddr");
	const char *ports = option_get(ci->options, "port");
	size_t n_names = list_count(names), n_addrs = list_count(addrs);
	size_t n_ports = list_count(ports);

	ci->n_hosts = n_addrs ? n_addrs : n_names ? n_names : 1;
	if ((n_addrs && n_names && n_addrs != n_names) ||
		(n_ports > 1 && n_ports != ci->n_hosts))
		return err_set(err,
			"conninfo: %zu host, %zu hostaddr and %zu port values do not "
			"belong together",
			n_names, n_addrs, n_ports);
	ci->hosts = xcalloc(ci->n_hosts, sizeof(*ci->hosts));
	for (size_t i = 0; i < ci->n_hosts; i++) {
		struct pg_host *h = &ci->hosts[i];
		h->name = list_part(names, i);
		h->addr = list_part(addrs, i);
		h->port = list_part(ports, n_ports > 1 ? i : 0);
		h->is_name = !*h->addr && *h->name && !strchr("/@", *h->name) &&
			     !is_numeric(h->name);
	}
	return 0;
}

/* libpq's message can quote a piece of a malformed conninfo, and so of the password. */
static int
options_parse(struct pg_conninfo *ci, const char *conninfo, struct err *err)
{
	char *message = NULL;
	char line[256];

	ci->options = PQconninfoParse(conninfo, &message);
	if (ci->options)
		return 0;
	pg_one_line(line, sizeof(line), message ? message : "out of memory");
	PQfreemem(message);
	if (str_starts(line, "invalid connection option"))
		return err_set(err, "conninfo: %s", line);
	return err_set(err, "conninfo: it is not keyword=value pairs or a "
			    "postgresql:// URI as libpq wants them");
}

struct pg_conninfo *
pg_conninfo_parse(const char *conninfo, const char *application_name,
	const char *server_options, struct err *err)
{
	struct pg_conninfo *ci = xcalloc(1, sizeof(*ci));
	PQconninfoOption *env = NULL;

	ci->application_name = xstrdup(application_name);
	if (options_parse(ci, conninfo, err) < 0) {
		pg_conninfo_free(&ci);
		return NULL;
	}
	const char *names = option_get(ci->options, "host");
	if (!names && !option_get(ci->options, "hostaddr")) {
		env = PQconndefaults(); /* PGHOST */
		names = env ? option_get(env, "host") : NULL;
	}
	/* A statement's plan is made once per session, perhaps while its tables are empty
	 * or without statistics, and all of ours go by a key: no plan may be a scan, or
	 * be made again for every execution. */
	const char *theirs = option_get(ci->options, "options");
	ci->server_options =
		xasprintf("%s -c timezone=UTC -c jit=off -c statement_timeout=0 "
			  "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan "
			  "%s",
			theirs ? theirs : "", server_options ? server_options : "");
	if (hosts_split(ci, names, err) < 0)
		pg_conninfo_free(&ci);
	PQconninfoFree(env);
	return ci;
}

void
pg_conninfo_free(struct pg_conninfo **cip)
{
	struct pg_conninfo *ci = *cip;

	*cip = NULL;
	if (!ci)
		return;
	for (size_t i = 0; ci->hosts && i < ci->n_hosts; i++) {
		xfree(&ci->hosts[i].name);
		xfree(&ci->hosts[i].addr);
		xfree(&ci->hosts[i].port);
	}
	xfree(&ci->hosts);
	PQconninfoFree(ci->options);
	xfree(&ci->application_name);
	xfree(&ci->server_options);
	xfree(&ci);
}

size_t
pg_conninfo_hosts(const struct pg_conninfo *ci)
{
	return ci->n_hosts;
}

const char *
pg_conninfo_name(const struct pg_conninfo *ci, size_t i)
{
	return ci->hosts[i].is_name ? ci->hosts[i].name : NULL;
}

/* host, hostaddr and port as libpq wants them: three lists of equal length. */
struct host_lists {
	struct buf name, addr, port;
	size_t n;
};

static void
lists_add(struct host_lists *l, const struct pg_host *h, const char *addr)
{
	const char *comma = l->n++ ? "," : "";

	buf_printf(&l->name, "%s%s", comma, h->name);
	buf_printf(&l->addr, "%s%s", comma, addr);
	buf_printf(&l->port, "%s%s", comma, h->port);
}

static int
lists_fill(struct host_lists *l, const struct pg_conninfo *ci,
	const struct pg_addresses *addrs, size_t first, struct err *err)
{
	const char *why = "";

	for (size_t k = 0; k < ci->n_hosts; k++) {
		size_t i = (first + k) % ci->n_hosts;
		const struct pg_host *h = &ci->hosts[i];
		if (!h->is_name)
			lists_add(l, h, h->addr);
		for (size_t j = 0; h->is_name && j < addrs[i].n; j++)
			lists_add(l, h, addrs[i].text[j]);
		if (h->is_name && !addrs[i].n)
			why = addrs[i].why;
	}
	return l->n ? 0 : err_set(err, "%s", why);
}

struct keywords {
	const char *keys[64], *values[64];
	size_t n;
};

static void
keyword_add(struct keywords *k, const char *key, const char *value)
{
	if (value && k->n + 1 < ARRAY_LEN(k->keys)) {
		k->keys[k->n] = key;
		k->values[k->n++] = value;
	}
}

/* Later entries win over earlier ones with the same keyword. */
static PGconn *
connect_with(const struct pg_conninfo *ci, const struct host_lists *l)
{
	struct keywords k = {.n = 0};

	for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
		keyword_add(&k, defaults[i][0], defaults[i][1]);
	keyword_add(&k, "fallback_application_name", ci->application_name);
	for (const PQconninfoOption *o = ci->options; o->keyword; o++)
		keyword_add(&k, o->keyword, o->val);
	keyword_add(&k, "host", buf_str(&l->name));
	keyword_add(&k, "hostaddr", buf_str(&l->addr));
	keyword_add(&k, "port", buf_str(&l->port));
	keyword_add(&k, "options", ci->server_options);
	keyword_add(&k, "client_encoding", "UTF8");
	return PQconnectStartParams(k.keys, k.values, 0);
}

PGconn *
pg_conninfo_connect(const struct pg_conninfo *ci, const struct pg_addresses *addrs,
	size_t first, struct err *err)
{
	struct host_lists l = {BUF_INIT, BUF_INIT, BUF_INIT, 0};
	PGconn *pq = NULL;

	if (lists_fill(&l, ci, addrs, first, err) == 0) {
		pq = connect_with(ci, &l);
		if (!pq)
			err_set(err, "libpq has no memory for a connection");
	}
	buf_fini(&l.name);
	buf_fini(&l.addr);
	buf_fini(&l.port);
	return pq;
}
