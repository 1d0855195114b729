/* history_source.h - reading the records of a period: blocking, for a thread of its own.
 *
 * Everything here is the job's own copy. Nothing is remembered from one job to the next:
 * the place in a file is found by the records' times, so that rotation, truncation and
 * copies of other machines need no care. */
#ifndef INTERACTD_CALLS_HISTORY_SOURCE_H
#define INTERACTD_CALLS_HISTORY_SOURCE_H

#include <buf.h>
#include <channel.h>

#define HISTORY_RECORDS_MAX 500000
#define HISTORY_BYTES_MAX   (INT64_C(256) * 1024 * 1024)
/* A call may have begun so long before it ended, or before the gap. */
#define HISTORY_BEFORE_US (4 * 3600 * INT64_C(1000000))
#define HISTORY_AFTER_US  (3600 * INT64_C(1000000))

struct history_job {
	const struct channel_history *format;
	char *path; /* or: */
	char *conninfo, *table;
	char **column_names; /* of the file, if configured */
	size_t n_column_names;
	int64_t from_us, until_us; /* the gap */

	/* The answer. */
	struct buf events; /* encoded, each after its length (uint32_t) */
	size_t records, refused;
	struct err err; /* text "" = it was read */
};

void history_job_free(void *job);
/* Reads, and fills the answer. A work_fn. */
void history_job_run(void *job);
/* The next event in job->events from *offset on; false at the end. vars: CALL_VARS_MAX. */
bool history_job_next(const struct history_job *, size_t *offset, struct call_event *,
	struct call_var *vars);

/* The record's texts by the format's columns. order[i]: which field is column i, or -1. */
#define HISTORY_COLUMNS_MAX 32
bool history_name_is(const char *names, const char *name); /* "a|b" */
size_t history_order(const struct channel_history *, const char *const *names, size_t n,
	int order[HISTORY_COLUMNS_MAX]);

#endif
