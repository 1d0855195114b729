/* fetch.h - HTTP requests to others: libcurl on the loop.
 *
 * Nothing blocks: names are resolved off the loop, connections are kept and shared. Only
 * HTTP/1.1 with and without TLS is spoken, redirects are not followed, proxies of the
 * environment and .netrc are not looked at, certificates are checked, and an answer past
 * max_answer bytes ends the request. Hosts take turns: one that does not answer holds
 * max_per_host places and no more. Everything runs on the loop's thread. */
#ifndef INTERACTD_FETCH_H
#define INTERACTD_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"
#include "loop.h"

struct fetch;
struct fetch_job;

struct fetch_opts {
	unsigned max_running;	/* requests at once; more wait their turn; 0 = 64 */
	unsigned max_per_host;	/* requests at once to one host and port; 0 = 8 */
	size_t max_waiting;	/* past it a request fails at once; 0 = 10000 */
	const char *user_agent; /* NULL: "interactd/<version>" */
};

struct fetch *fetch_open(struct loop *, const struct fetch_opts *);
/* Every job still there is answered ("the daemon ends") before this returns. NULL-safe. */
void fetch_close(struct fetch **);

/* Where a request may go, for URLs that users choose; judged by the address itself. None
 * of them: anywhere (URLs from the configuration). With any of them link-local, metadata
 * and other special addresses are refused always. */
#define FETCH_TO_PUBLIC	 1u
#define FETCH_TO_PRIVATE 2u /* loopback and private networks */

struct fetch_request {
	const char *method;	    /* NULL: GET, or POST with a body */
	const char *url;	    /* http:// or https:// */
	const char *const *headers; /* "Name: value", ended by NULL; or NULL */
	const void *body;	    /* copied */
	size_t body_len;
	unsigned timeout_ms; /* of the whole, waiting for its turn too; 0 = 30000 */
	unsigned connect_timeout_ms;	 /* 0 = 5000 */
	size_t max_answer;		 /* bytes of the body kept; 0 = 65536 */
	const char *ca_file;		 /* PEM; NULL = the system's */
	const char *username, *password; /* Basic; or NULL */
	unsigned to;			 /* FETCH_TO_*, or 0 */
	/* It does no harm if the other side gets it twice: then a kept connection may be
	 * used for it, on which curl sends again what met its end. GET, HEAD, PUT and
	 * DELETE are so (RFC 9110 §9.2.2); others go over a connection of their own. */
	bool repeatable;
};

struct fetch_answer {
	int status;	   /* HTTP's; 0 = there was no answer: see error */
	const char *error; /* a sentence, NULL if there was an answer */
	/* The request's first byte was written: the other side may have acted on it. */
	bool sent;
	const char *body; /* ends with NUL */
	size_t len;
	bool cut;	       /* the body goes on past max_answer; that was not read */
	const char *type;      /* Content-Type; "" if none */
	int64_t retry_after_s; /* Retry-After in seconds (RFC 9110 §10.2.3); -1 = none */
	int64_t took_us;
};
/* Everything is borrowed until it returns. */
typedef void fetch_fn(void *arg, const struct fetch_answer *);

/* Says whether a URL is one we would fetch: scheme, a host, no user information, no
 * control characters, at most 2048 bytes. */
int fetch_check_url(const char *url, struct err *) MUST_CHECK;
/* The same, and that its scheme and (if it is an address) its host agree with `to`; plain
 * http goes to private addresses only. A name is judged when it is resolved. */
int fetch_check_url_to(const char *url, unsigned to, struct err *) MUST_CHECK;
/* Borrows the request until return. done comes exactly once, never before this returns.
 * The job is good until then. */
struct fetch_job *
fetch_start(struct fetch *, const struct fetch_request *, fetch_fn *done, void *arg);
/* done is not called any more. */
void fetch_cancel(struct fetch_job **);

struct fetch_stats {
	unsigned running;
	size_t waiting;
	unsigned long long started, answered, failed;
};
void fetch_get_stats(const struct fetch *, struct fetch_stats *);

#endif
