/* fetch_priv.h - what the files of fetch share. For fetch*.c only.
 *
 * A job is in exactly one place: waiting at its host, running inside curl, or done and
 * waiting to be told. */
#ifndef INTERACTD_IO_FETCH_PRIV_H
#define INTERACTD_IO_FETCH_PRIV_H

#include <buf.h>
#include <fetch.h>
#include <list.h>
#include <map.h>

#include "io/resolve.h"

#include <curl/curl.h>

enum fetch_job_state { FETCH_WAITING, FETCH_RUNNING, FETCH_DONE };

struct fetch_host {
	struct fetch *fetch;
	char *key;  /* "host:port" */
	char *name; /* as curl compares it, an IPv6 address without its brackets */
	unsigned port;
	struct list waiting; /* of struct fetch_job */
	unsigned running;
	struct list link; /* in ready or stale, or in neither */
	struct resolve *resolve;
	struct resolve_addr addrs[RESOLVE_MAX];
	size_t n_addrs;
	int64_t fresh_until_us; /* monotonic; of a failure too */
	char why[160];		/* it could not be resolved */
};

struct fetch {
	struct loop *loop;
	struct fetch_opts opts;
	char *user_agent;
	CURLM *multi;
	struct list socks; /* of struct sock, fetch_curl.c */
	struct loop_timer *curl_timer, *tell_timer;
	struct map hosts;	   /* by key */
	struct list ready;	   /* hosts that have a job to start, taking turns */
	struct list stale;	   /* hosts that must be resolved first */
	struct list running, done; /* of struct fetch_job */
	unsigned n_resolving;
	bool closing;
	struct fetch_stats stats;
};

struct fetch_job {
	struct fetch *fetch;
	struct list link;
	enum fetch_job_state state;
	struct fetch_host *host; /* NULL before it has one, and when done */
	fetch_fn *fn;
	void *arg;
	struct loop_timer *deadline;
	int64_t started_us;
	/* the request */
	unsigned to, timeout_ms;
	size_t max_answer;
	CURL *easy;
	CURLU *url;
	struct curl_slist *headers, *resolved;
	/* the answer */
	char curl_error[CURL_ERROR_SIZE];
	char error[CURL_ERROR_SIZE + 64];
	struct buf body;
	size_t header_bytes;
	bool header_whole;
	char type[128];
	struct fetch_answer answer;
};

/* fetch_url.c */
struct fetch_target {
	CURLU *url; /* the caller frees it */
	char host[256];
	unsigned port;
	bool plain; /* http */
};
int fetch_url_parse(const char *url, struct fetch_target *, struct err *) MUST_CHECK;
bool fetch_may_go(unsigned to, const struct sockaddr *);
/* Takes name and value apart only to refuse what would break the request. */
bool fetch_header_is_sound(const char *line);

/* fetch_curl.c */
void fetch_curl_open(struct fetch *);
void fetch_curl_close(struct fetch *);
/* Makes the handle from the request; the job keeps what curl borrows. */
void fetch_curl_prepare(struct fetch_job *, const struct fetch_request *);
/* The host has addresses. */
void fetch_curl_start(struct fetch_job *);
/* Takes it out of curl, noting whether the request had begun to go out. */
void fetch_curl_stop(struct fetch_job *);
void fetch_curl_free(struct fetch_job *);

/* fetch.c: the job has left curl; answer is filled but for what is common to all. */
void fetch_job_finish(struct fetch_job *);

#endif
