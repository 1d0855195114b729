/* cmd_db.c - db migrate, db status: the schema, straight from PostgreSQL with the
 * configuration's conninfo, because it is prepared before the daemon runs. */
#include <ctl/ctl.h>
#include <ctl/print.h>

#include <base/settings.h>
#include <io/migrate.h>

#include <jansson.h>

#include <stdio.h>

#define GROUP "Keeping it running"

struct pg_sync *
ctl_connect_db(struct ctl *ctl, int *rc_r)
{
	struct err err;
	const struct conf *conf = ctl_conf(ctl, rc_r);
	if (!conf)
		return NULL;
	const struct postgresql_settings *s = conf_values(conf, "postgresql");
	struct pg_sync *pg = pg_sync_open(s->conninfo, &err);
	if (pg)
		return pg;
	fprintf(stderr,
		"interactctl: cannot reach PostgreSQL: %s\n"
		"The connection is [postgresql] conninfo of %s; try it with psql, as the "
		"user that interactd runs as.\n",
		err.text, ctl->conf_path);
	*rc_r = CTL_UNREACHABLE;
	return NULL;
}

static int
refused(const struct err *err)
{
	struct buf b = BUF_INIT;
	print_safe(&b, err->text);
	fprintf(stderr, "interactctl: %s\n", buf_str(&b));
	buf_fini(&b);
	return CTL_REFUSED;
}

/* ---- status ----------------------------------------------------------------------- */

static void
show_status(const struct ctl *ctl, const struct migration_status *st)
{
	if (ctl->json) {
		json_t *o = json_pack("{s:i,s:i,s:i,s:i,s:s}", "known", st->known,
			"applied", st->applied, "pending", st->pending, "newer",
			st->newer, "last", st->last);
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(o);
		return;
	}
	printf("%d of %d migrations are applied", st->applied, st->known);
	if (st->last[0])
		printf(", the last is %s", st->last);
	puts(".");
	if (st->pending)
		printf("%s%d to be applied%s: interactctl db migrate (or start the "
		       "daemon)\n",
			print_color(ctl, COLOR_WARN), st->pending,
			print_color(ctl, COLOR_NONE));
	if (st->newer)
		printf("%s%d of a newer version%s: this program is older than the "
		       "database\n",
			print_color(ctl, COLOR_BAD), st->newer,
			print_color(ctl, COLOR_NONE));
}

static int
run_status(struct ctl *ctl, const struct ctl_args *a)
{
	struct migration_status st;
	struct err err;
	int rc;
	(void)a;
	struct pg_sync *pg = ctl_connect_db(ctl, &rc);
	if (!pg)
		return rc;
	if (migrate_status(pg, &st, &err) < 0)
		rc = refused(&err);
	else
		show_status(ctl, &st);
	pg_sync_close(&pg);
	return rc;
}

const struct ctl_command cmd_db_status = {
	.name = "db status",
	.usage = "",
	.group = GROUP,
	.summary = "is the database's schema what this version needs",
	.help = "Reads [postgresql] conninfo of the configuration; works while the daemon\n"
		"is down.\n\n"
		"  interactctl db status\n"
		"  interactctl -c /etc/interactd/test.conf db status\n",
	.run = run_status,
};

/* ---- migrate ---------------------------------------------------------------------- */

struct steps {
	const struct ctl *ctl;
	json_t *names;
};

static void
on_step(void *arg, const char *name)
{
	struct steps *s = arg;
	json_array_append_new(s->names, json_string(name));
	if (!s->ctl->json) {
		printf("applying %s\n", name);
		fflush(stdout);
	}
}

static void
show_steps(const struct ctl *ctl, const struct steps *s)
{
	if (ctl->json) {
		json_t *o = json_pack("{s:O}", "applied", s->names);
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(o);
	} else {
		puts(json_array_size(s->names) ? "The schema is up to date now."
					       : "The schema is up to date.");
	}
}

static void
on_lease_table(void *arg, int n, char *const *cols)
{
	(void)n;
	*(bool *)arg = cols[0] != NULL;
}

static void
on_pending(void *arg, const struct migration_info *m)
{
	*(bool *)arg |= m->state == MIGRATION_PENDING && !m->compatible;
}

static void
on_holder(void *arg, int n, char *const *cols)
{
	(void)n;
	print_safe(arg, cols[0]);
}

/* A daemon that runs was made for the schema as it is: it must not find another under its
 * hands, unless the migration says that it may. */
static int
refuse_while_running(struct pg_sync *pg, struct err *err)
{
	bool risky = false, leases = false;
	struct buf holder = BUF_INIT;
	int rc = migrate_list(pg, on_pending, &risky, err);
	if (rc == 0 && risky)
		rc = pg_sync_query(pg, "SELECT to_regclass('lease')::text", 0, NULL,
			on_lease_table, &leases, err);
	if (rc == 0 && leases)
		rc = pg_sync_query(pg,
			"SELECT holder FROM lease WHERE tenant_id = 0 AND "
			"name = 'daemon' AND "
			"renewed_at > clock_timestamp() - interval '5 seconds'",
			0, NULL, on_holder, &holder, err);
	if (rc == 0 && holder.len)
		rc = err_set(err,
			"an interactd runs on this database (%s), and what is to be "
			"applied is not for it: stop it first (or, if you know that "
			"it copes, --while-running)",
			buf_str(&holder));
	buf_fini(&holder);
	return rc;
}

static int
run_migrate(struct ctl *ctl, const struct ctl_args *a)
{
	struct err err;
	int rc;
	struct pg_sync *pg = ctl_connect_db(ctl, &rc);
	if (!pg)
		return rc;
	if (!args_has(a, "while-running") && refuse_while_running(pg, &err) < 0) {
		pg_sync_close(&pg);
		return refused(&err);
	}
	struct steps s = {ctl, json_array()};
	if (migrate_apply(pg, on_step, &s, &err) < 0)
		rc = refused(&err);
	else
		show_steps(ctl, &s);
	json_decref(s.names);
	pg_sync_close(&pg);
	return rc;
}

static const struct ctl_option migrate_options[] = {
	{"while-running", NULL, "also under a daemon that the migration is not for"},
	{NULL, NULL, NULL},
};

const struct ctl_command cmd_db_migrate = {
	.name = "db migrate",
	.usage = "[--while-running]",
	.options = migrate_options,
	.group = GROUP,
	.summary = "bring the database's schema to this version",
	.help = "The daemon does the same when it starts. Each migration is a transaction\n"
		"of its own; applied ones are skipped, so it can be run at any time. Back\n"
		"up first, and stop the daemon: while one runs, only migrations are\n"
		"applied that say that older versions cope.\n\n"
		"  interactctl db migrate\n",
	.run = run_migrate,
};
