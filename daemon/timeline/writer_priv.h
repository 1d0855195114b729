/* writer_priv.h - for writer*.c and quarantine.c only: what a unit is. */
#ifndef INTERACTD_TIMELINE_WRITER_PRIV_H
#define INTERACTD_TIMELINE_WRITER_PRIV_H

#include <list.h>
#include <timeline/writer.h>

#define WRITER_BATCH_MAX 64

/* One saving that waits or is under way. Its strings and legs live in `memory`. */
struct writer_unit {
	struct list
		link; /* in writer.waiting, batch.units, or an earlier unit's `older` */
	struct list older; /* savings of the same interaction that this one replaces */
	struct interaction in;
	bool has_interaction;	      /* false: a checkpoint alone */
	struct checkpoint checkpoint; /* channel NULL = none */
	const struct tenant *tenant;
	struct interaction_event event; /* in.event, which is NULL or points here */
	char *event_object, *event_contact;
	struct uuid quarantine; /* not nil: a retry of that row */
	write_done_fn *done;
	void *arg;
	int64_t given_mono_us, given_wall_us;
	char memory[]; /* legs first: they need the alignment */
};

/* The fields of an interaction (and of a leg) in the order of interactions_save's
 * arrays; the same table writes and reads a quarantined unit's payload. */
enum field_type {
	FIELD_TEXT,
	FIELD_UUID, /* nil = null */
	FIELD_BOOL,
	FIELD_TIME, /* us; 0 = null */
	FIELD_MS,   /* < 0 = null */
	FIELD_TRUST,
	FIELD_TENANT,
};
struct field {
	const char *name;
	enum field_type type;
	size_t offset;
};
extern const struct field interaction_fields[];
extern const size_t interaction_n_fields;
extern const struct field leg_fields[];
extern const size_t leg_n_fields;

/* NULL interaction: a checkpoint alone. Copies; returns, caller frees. */
struct writer_unit *writer_unit_new(
	const struct tenant *, const struct interaction *, const struct checkpoint *);
void writer_unit_free(struct writer_unit *);

/* The statement that saves these units (those with an interaction; units is a list of
 * struct writer_unit) and all their checkpoints. */
void writer_sql_save(struct pg_unit *, const struct list *units);
/* The statement that writes the checkpoints of one unit and those it replaces. */
void writer_sql_checkpoints(struct pg_unit *, const struct writer_unit *);

/* Puts a unit that failed alone aside, in one transaction with its checkpoint. */
void quarantine_add(struct pg_unit *, const struct writer_unit *, const char *sqlstate,
	const char *error);
/* The store the writer writes to; and writer_save for a unit made by quarantine.c. */
struct store *writer_store(struct writer *);
void
writer_save_unit(struct writer *, struct writer_unit *, write_done_fn *, void *arg);

#endif
