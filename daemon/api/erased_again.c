/* erased_again.c - see erased_again.h. */
#include <api/erased_again.h>

#include <log.h>
#include <mem.h>
#include <str.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_LEN 160
#define DEADLINE_MS  60000

static char *
path_of(const struct app *app)
{
	const struct daemon_settings *d = conf_values(app->conf, "daemon");
	return xasprintf("%s/erased", d->state_dir);
}

void
erased_note(struct app *app, const struct privacy_subject *who, bool bar)
{
	char *path = path_of(app), *lines = xstrdup("");
	for (size_t i = 0; i < who->n_ids; i++) {
		char id[UUID_TEXT_LEN];
		char *longer = xasprintf("%s%s %s %d\n", lines, who->tenant->name,
			uuid_format(id, &who->ids[i]), bar);
		xfree(&lines);
		lines = longer;
	}
	const size_t len = strlen(lines);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	/* A few bytes, a few times a year: it may wait for the disk. */
	if (fd < 0 || write(fd, lines, len) != (ssize_t)len || fdatasync(fd) < 0)
		log_error(NULL,
			"an erasure could not be noted in %s: a backup that is "
			"restored will bring the contact back",
			path);
	if (fd >= 0)
		close(fd);
	xfree(&lines);
	xfree(&path);
}

struct again {
	char id[UUID_TEXT_LEN];
};

static void
on_erased(void *arg, const struct store_answer *a, struct privacy_subject *who)
{
	struct again *g = arg;
	if (who)
		log_warnx(NULL,
			"contact %s was erased before this database was restored; it "
			"is erased again",
			g->id);
	else if (a->status != STORE_NOT_FOUND && a->status != STORE_OK)
		log_errorx(NULL, "contact %s could not be erased again: %s", g->id,
			a->detail);
	privacy_subject_free(&who);
	mem_free(g);
}

struct missing {
	struct app *app;
	const struct tenant *tenant;
	bool bar;
};

/* Contacts that are there again. */
static void
on_there(void *arg, const struct pg_answer *a)
{
	struct missing *m = arg;
	struct actor actor = {.tenant = m->tenant, .name = "daemon", .role = "admin"};
	for (size_t i = 0; a->status == PG_OK && i < pg_rows(a, 0); i++) {
		struct again *g = xcalloc(1, sizeof(*g));
		struct uuid id = pg_uuid(a, 0, i, 0);
		uuid_format(g->id, &id);
		privacy_erase(&m->app->store, &actor, &id, m->bar, on_erased, g);
	}
	if (a->status != PG_OK)
		log_errorx(NULL,
			"whether erased contacts are there again could not be asked: %s",
			a->message);
	mem_free(m);
}

struct group {
	struct app *app;
	const struct tenant *tenant;
	bool bar;
	struct pg_unit *unit; /* its array is open */
};

static void
end_group(struct group *g)
{
	if (!g->unit)
		return;
	struct missing *m = xcalloc(1, sizeof(*m));
	m->app = g->app;
	m->tenant = g->tenant;
	m->bar = g->bar;
	pg_array_end(g->unit);
	pg_submit(&g->unit, DEADLINE_MS, on_there, m);
}

/* Lines of one tenant and one kind that follow one another are asked for together. */
static void
take_line(struct group *g, const char *line)
{
	char name[TENANT_NAME_MAX + 1], text[UUID_TEXT_LEN];
	struct uuid id;
	int bar;
	if (sscanf(line, "%64s %36s %d", name, text, &bar) != 3 ||
		!uuid_parse(text, &id))
		return; /* torn by a crash */
	const struct tenant *tenant = store_tenant(&g->app->store, name);
	if (!tenant)
		return;
	if (tenant != g->tenant || (bar != 0) != g->bar)
		end_group(g);
	if (!g->unit) {
		g->tenant = tenant;
		g->bar = bar != 0;
		g->unit = pg_unit_new(g->app->store.reads);
		pg_add(g->unit, "erased_there");
		pg_param_int(g->unit, tenant->id);
		pg_array_begin(g->unit);
	}
	pg_array_add_uuid(g->unit, &id);
}

void
erased_again(struct app *app)
{
	struct group g = {.app = app};
	char *path = path_of(app), line[LINE_MAX_LEN];
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		take_line(&g, line);
	end_group(&g);
	if (!f && errno != ENOENT)
		log_error(NULL, "cannot read %s", path);
	if (f)
		fclose(f);
	xfree(&path);
}
