/* lease.h - what must be done by one daemon only is owned through a row in `lease`.
 *
 * A holder renews every second; a lease not renewed for 5 s (the database's clock) may
 * be taken, which raises its fence. While the database is away the holder keeps on; it
 * yields only when it sees a higher fence. */
#ifndef INTERACTD_IO_LEASE_H
#define INTERACTD_IO_LEASE_H

#include <err.h>
#include <io/pg.h>

struct lease;
struct lease_callbacks {
	void (*on_taken)(void *arg, int64_t fence);
	void (*on_lost)(
		void *arg, const char *holder); /* somebody holds a higher fence */
};

/* The name of this instance: host name, pid, what pids mean here, and a random word. A
 * holder on the same machine whose process has ended is followed at once. */
const char *lease_holder_name(void);
/* Tries until it has it. tenant_id 0 = not a tenant's. */
struct lease *lease_open(struct loop *, struct pg *, int tenant_id, const char *name,
	const struct lease_callbacks *, void *arg);
/* The database was away: for so long from its first answer on a lease that ran out is
 * left alone, for its holder may be alive and could not renew it. */
void lease_be_patient(struct lease *, unsigned ms);
bool lease_is_held(const struct lease *);
/* How long the database has not answered; a healthy one does every second. */
int64_t lease_silent_us(const struct lease *);
/* Why it was not renewed when last asked for, or that nothing has answered for 5 s; "" if
 * it was. */
const char *lease_why(const struct lease *);
const char *lease_current_holder(const struct lease *); /* as last seen; "" unknown */
/* Gives it back if the database is there, running the loop until that is answered. */
void lease_close(struct lease **);

#endif
