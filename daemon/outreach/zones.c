/* zones.c - the directory of the tz database, walked once; see zone.h for one zone.
 *
 * "posix" and "right" repeat all zones, the latter counting leap seconds: left out. */
#include <outreach/zones.h>

#include <buf.h>
#include <map.h>
#include <mem.h>
#include <str.h>

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DEPTH_MAX 3    /* America/Argentina/Ushuaia */
#define FILES_MAX 4000 /* some 600 are there */
#define TABLE_MAX (1024 * 1024)
/* Zones that are the same from here on count as one: nobody asks about earlier times. */
#define SAME_SINCE INT64_C(1577836800) /* 2020-01-01 */

struct zones {
	struct map by_name;    /* struct zone, owned */
	struct map by_country; /* struct zone_list, owned */
};

/* At most max bytes; -1 if it cannot be read or is longer. */
static int
read_whole(const char *path, size_t max, struct buf *out)
{
	FILE *f = fopen(path, "rbe");
	size_t n;

	if (!f)
		return -1;
	buf_clear(out);
	do {
		buf_reserve(out, 8192);
		n = fread(out->data + out->len, 1, 8192, f);
		out->len += n;
	} while (n > 0 && out->len <= max);
	bool bad = ferror(f) || out->len > max;
	fclose(f);
	return bad ? -1 : 0;
}

/* ---- Zones ---- */

static bool
is_plain_name(const char *s)
{
	return *s && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			       "0123456789_+-") == strlen(s);
}

static void
load_file(struct zones *zones, const char *path, const char *name)
{
	struct buf data = BUF_INIT;
	struct err ignored; /* tables and lists lie beside the zones */

	if (read_whole(path, ZONE_FILE_MAX, &data) == 0) {
		struct zone *z = zone_parse(name, data.data, data.len, &ignored);
		struct zone *twice = z ? map_put(&zones->by_name, name, z) : NULL;
		zone_free(&twice);
	}
	buf_fini(&data);
}

static void walk(struct zones *, const char *dir, const char *prefix, int depth);

static void
take_entry(struct zones *zones, const char *dir, const char *prefix, const char *entry,
	int depth)
{
	char path[4200], name[ZONE_NAME_MAX + 1];
	struct stat st;

	if (!is_plain_name(entry) || zones->by_name.len >= FILES_MAX ||
		snprintf(path, sizeof(path), "%s/%s", dir, entry) >=
			(int)sizeof(path) ||
		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? "/" : "",
			entry) >= (int)sizeof(name) ||
		stat(path, &st) < 0)
		return;
	if (S_ISREG(st.st_mode))
		load_file(zones, path, name);
	else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX && !str_eq(name, "posix") &&
		 !str_eq(name, "right"))
		walk(zones, path, name, depth + 1);
}

static void
walk(struct zones *zones, const char *dir, const char *prefix, int depth)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	if (!d)
		return;
	while ((entry = readdir(d)))
		take_entry(zones, dir, prefix, entry->d_name, depth);
	closedir(d);
}

bool
zones_has(const char *dir, const char *name)
{
	struct buf data = BUF_INIT;
	char path[4200], parts[ZONE_NAME_MAX + 1], *save;
	struct err ignored;
	struct zone *z = NULL;

	if (str_copy(parts, sizeof(parts), name) >= sizeof(parts) || *name == '/' ||
		snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return false;
	for (char *p = strtok_r(parts, "/", &save); p; p = strtok_r(NULL, "/", &save))
		if (!is_plain_name(p))
			return false;
	if (read_whole(path, ZONE_FILE_MAX, &data) == 0)
		z = zone_parse(name, data.data, data.len, &ignored);
	buf_fini(&data);
	bool has = z != NULL;
	zone_free(&z);
	return has;
}

/* ---- Countries ---- */

static void
add_to_country(struct zones *zones, const char *country, const struct zone *z)
{
	struct zone_list *list = map_find(&zones->by_country, country);

	if (!list) {
		list = xcalloc(1, sizeof(*list));
		map_put(&zones->by_country, country, list);
	}
	for (size_t i = 0; i < list->n; i++)
		if (zone_same_since(list->zones[i], z, SAME_SINCE))
			return;
	if (list->n < ZONES_COUNTRY_MAX)
		list->zones[list->n++] = z;
}

/* "AE,OM,RE<TAB>+2518+05518<TAB>Asia/Dubai<TAB>comment" */
static void
take_line(struct zones *zones, char *line)
{
	char *save, *codes = strtok_r(line, "\t", &save);
	char *where = codes && *codes != '#' ? strtok_r(NULL, "\t", &save) : NULL;
	char *name = where ? strtok_r(NULL, "\t", &save) : NULL;
	const struct zone *z = name ? map_find(&zones->by_name, name) : NULL;

	if (!z)
		return;
	for (char *code = strtok_r(codes, ",", &save); code;
		code = strtok_r(NULL, ",", &save))
		if (strlen(code) == 2)
			add_to_country(zones, code, z);
}

static int
read_table(struct zones *zones, const char *dir, const char *file)
{
	struct buf text = BUF_INIT;
	char path[4200], *save;
	int rc = -1;

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) < (int)sizeof(path) &&
		read_whole(path, TABLE_MAX, &text) == 0) {
		buf_addc(&text, '\0');
		for (char *line = strtok_r(text.data, "\n", &save); line;
			line = strtok_r(NULL, "\n", &save))
			take_line(zones, line);
		rc = 0;
	}
	buf_fini(&text);
	return rc;
}

struct zones *
zones_load(const char *dir, struct err *err)
{
	struct zones *zones = xcalloc(1, sizeof(*zones));

	map_init(&zones->by_name);
	map_init(&zones->by_country);
	walk(zones, dir, "", 1);
	/* zone1970.tab knows which zones of a country still differ, zone.tab all of
	 * them. */
	if (zones->by_name.len && (read_table(zones, dir, "zone1970.tab") == 0 ||
					  read_table(zones, dir, "zone.tab") == 0))
		return zones;
	err_set(err,
		zones->by_name.len
			? "%s: neither zone1970.tab nor zone.tab can be read there"
			: "%s: no time zones there; install the package tzdata",
		dir);
	zones_free(&zones);
	return NULL;
}

static void
free_zone(const char *name, void *value, void *arg)
{
	struct zone *z = value;

	(void)name, (void)arg;
	zone_free(&z);
}

static void
free_list(const char *country, void *value, void *arg)
{
	(void)country, (void)arg;
	xfree(&value);
}

void
zones_free(struct zones **zp)
{
	if (!*zp)
		return;
	map_each(&(*zp)->by_name, free_zone, NULL);
	map_each(&(*zp)->by_country, free_list, NULL);
	map_fini(&(*zp)->by_name);
	map_fini(&(*zp)->by_country);
	xfree(zp);
}

const struct zone *
zones_find(const struct zones *zones, const char *name)
{
	return map_find(&zones->by_name, name);
}

const struct zone_list *
zones_country(const struct zones *zones, const char *country)
{
	return map_find(&zones->by_country, country);
}

size_t
zones_count(const struct zones *zones)
{
	return zones->by_name.len;
}
