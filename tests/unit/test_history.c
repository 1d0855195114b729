/* test_history.c - Asterisk's own records as calls: recorded ones beside what really
 * happened, and files that are torn, rotated, or something else. Run from the top of the
 * source tree. */
#include "lib/call_cases.h"

#include <asterisk/asterisk_history.h>
#include <calls/history.h>
#include <calls/history_csv.h>
#include <calls/history_source.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* When tests/data/history was recorded. */
#define FROM_US INT64_C(1795299300000000)
#define TO_US	INT64_C(1795299600000000)
#define DATA	"tests/data/history/"

/* ---- CSV ----------------------------------------------------------------------------- */

static const struct {
	const char *text,
		*records; /* fields in <>, records in lines; then what is left */
} csv_cases[] = {
	{"a,b\n", "<a><b>|"},
	{"a,b", "|a,b"},
	{"\"a\",\"b,c\"\r\n", "<a><b,c>|"},
	{"\"say \"\"hi\"\"\",\n", "<say \"hi\"><>|"},
	{"\"two\nlines\",x\ny,z\n", "<two\nlines><x><y><z>|"},
	{"\n\r\n,\n", "<><>|"},
	{"\"torn", "|\"torn"},
	{"\"torn\"", "|\"torn\""},
	{"a\"b,c\n", "<a\"b><c>|"},
	{"\"a\"b,c\n", "<ab><c>|"},
	{"王小明,\xff\n", "<王小明><\xff>|"},
};

static void
test_csv(void)
{
	struct csv_record *r = xcalloc(1, sizeof(*r));

	for (size_t i = 0; i < ARRAY_LEN(csv_cases); i++) {
		const char *at = csv_cases[i].text, *end = at + strlen(at);
		struct buf b = BUF_INIT;
		while (at < end && csv_next(&at, end, r) == CSV_RECORD)
			for (size_t f = 0; f < r->n; f++)
				buf_printf(&b, "<%s>", r->fields[f]);
		buf_printf(&b, "|%s", at);
		CHECK_STR(buf_str(&b), csv_cases[i].records);
		buf_fini(&b);
	}
	xfree(&r);
}

static void
test_csv_has_bounds(void)
{
	struct csv_record *r = xcalloc(1, sizeof(*r));
	struct buf b = BUF_INIT;
	const char *at, *end;

	buf_addc(&b, '"'); /* a quote that nobody closes */
	for (int i = 0; i < CSV_RECORD_MAX; i++)
		buf_adds(&b, i % 100 ? "x" : "\n");
	for (int i = 0; i < CSV_FIELDS_MAX + 1; i++)
		buf_adds(&b, "f,");
	buf_adds(&b, "\na,b\n");
	at = b.data;
	end = b.data + b.len;
	size_t refused = 0, records = 0;
	for (enum csv_result result; (result = csv_next(&at, end, r)) != CSV_MORE;)
		if (result == CSV_REFUSED)
			refused++;
		else
			records++;
	CHECK(refused >= 2);
	CHECK_INT(r->n, 1); /* the torn rest after the last record */
	CHECK(records >= 1);
	CHECK(at == end);
	buf_fini(&b);
	xfree(&r);
}

/* ---- Times, names -------------------------------------------------------------------- */

static void
test_times(void)
{
	struct history_zone z = {0};
	int64_t us;
	bool local;

	CHECK(history_time("1795299314.654527", &us, &local) && !local);
	CHECK_INT(us, INT64_C(1795299314654527));
	CHECK(history_time("2026-11-21T22:15:14.65+00:00", &us, &local) && !local);
	CHECK_INT(us, INT64_C(1795299314650000));
	CHECK(history_time("2026-11-21 22:15:14+08", &us, &local) && !local);
	CHECK_INT(us, INT64_C(1795270514000000));
	CHECK(history_time("2026-11-21 22:15:14", &us, &local) && local);
	CHECK_INT(us, INT64_C(1795299314000000));
	CHECK(!history_time("", &us, &local));
	CHECK(!history_time("yesterday, at noon sharp", &us, &local));
	CHECK(!history_time("1795299314.12x", &us, &local));
	/* Eight hours east: what the first record teaches holds for the later ones. */
	us = INT64_C(1795299314000000);
	CHECK_INT(
		history_utc(&z, us + 8 * INT64_C(3600000000), "pbx-1795299314.7"), us);
	CHECK_INT(history_utc(&z, us + 8 * INT64_C(3600000000) + INT64_C(1260000000),
			  "1795299314.7"),
		us + INT64_C(1260000000));
}

static void
test_dial_strings(void)
{
	static const char *const cases[][3] = {
		{"PJSIP/0911222333@trunk,60,tT", "PJSIP/trunk", "0911222333"},
		{"PJSIP/1001&PJSIP/0911@trunk&PJSIP/2@b", "PJSIP/trunk", "0911"},
		{"PJSIP/trunk/sip:0911@host,30", "PJSIP/trunk", "0911"},
		{"SIP/trunk/0911", "SIP/trunk", "0911"},
		{"PJSIP/1001,30", "PJSIP/1001", ""},
		{"", "PJSIP/1001", ""},
		{"&,&", "x", ""},
	};
	char dst[8];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char number[64];
		history_dialled(number, sizeof(number), cases[i][0], cases[i][1]);
		CHECK_STR(number, cases[i][2]);
	}
	history_endpoint(dst, sizeof(dst), "PJSIP/my-trunk-0000005c");
	CHECK_STR(dst, "PJSIP/m");
	history_word(dst, sizeof(dst), "support,tT");
	CHECK_STR(dst, "support");
}

/* ---- Records as calls ---------------------------------------------------------------- */

static struct history_job *
read_job(const struct channel_history *format, const char *path, int64_t from,
	int64_t to)
{
	struct history_job *job = xcalloc(1, sizeof(*job));

	job->format = format;
	job->path = xstrdup(path);
	job->from_us = from;
	job->until_us = to;
	history_job_run(job);
	return job;
}

static void
play_job(struct history_job *job)
{
	struct tracker *t = seen_tracker(&seen);
	struct call_var vars[CALL_VARS_MAX];
	struct call_event ev;
	size_t offset = 0;
	int64_t last = 0;

	while (history_job_next(job, &offset, &ev, vars)) {
		tracker_apply(t, &ev, 0);
		last = ev.at_us;
	}
	tracker_tick(t, last + 10000000);
	tracker_free(&t);
	CHECK_STR(seen.error, "");
}

/* In the order of the scenarios in truth.json. */
static const char cel_truth[] = "in 0912345678 answered 1001 talk 3\n"
				"in 0912345678 abandoned - talk 0\n"
				"in 0912345678 busy - talk 0\n"
				"in 0912345678 answered 1004 talk 3\n"
				"in 0912345678 abandoned - talk 0\n"
				"in 0912345678 queue_timeout - talk 0\n"
				"in 0912345678 answered 1002 talk 3\n"
				"in 0912345678 answered 1002 talk 2\n"
				"in 0912345678 rejected - talk 0\n"
				"in 0912345678 answered 1001 talk 5\n"
				"in 0912345678 answered 1002 talk 4\n"
				"in 0912345678 answered 1002 talk 6\n"
				"in 0912345678 answered 1002 talk 6\n"
				"out 0911222333 answered 1001 talk 3\n"
				"out 0911222333 busy 1001 talk 0\n"
				"out 0911222333 no_answer 1001 talk 0\n"
				"in 0912345678 answered 1002 talk 3\n"
				"in 0912345678 answered 1002 talk 3\n"
				"in 0912345678 answered 1004 talk 1\n"
				"in 0912345678 answered 1004 talk 1\n"
				"in withheld answered 1001 talk 2\n"
				"in 0912345678 voicemail - talk 0\n"
				"in 0911000001 answered 1001 talk 3\n"
				"in 0911000002 answered 1002 talk 4\n";

static void
print_calls(struct buf *b)
{
	for (unsigned i = 0; i < seen.n_calls; i++) {
		const struct seen_call *c = &seen.calls[i];
		buf_printf(b, "%s %s %s %s talk %d\n",
			c->direction == CALL_IN ? "in" : "out",
			c->withheld ? "withheld" : c->number,
			call_disposition_text(c->disposition),
			c->agent[0] ? c->agent : "-", (int)((c->talk_ms + 500) / 1000));
	}
}

static void
test_recorded_cel(void)
{
	struct history_job *job =
		read_job(&asterisk_cel, DATA "cel.csv", FROM_US, TO_US);
	struct buf b = BUF_INIT;

	CHECK_STR(job->err.text, "");
	CHECK_INT(job->records, 463);
	CHECK_INT(job->refused, 0);
	play_job(job);
	print_calls(&b);
	CHECK_STR(buf_str(&b), cel_truth);
	CHECK_INT(seen.calls[0].at_us, INT64_C(1795299314654527));
	CHECK_STR(seen.calls[18].display, "王小明(台北)");
	buf_fini(&b);
	history_job_free(job);
}

/* CDRs tell parties and talk, to the second. */
static void
test_recorded_cdr(void)
{
	struct history_job *job =
		read_job(&asterisk_cdr, DATA "cdr.csv", FROM_US, TO_US);
	unsigned answered = 0;

	CHECK_STR(job->err.text, "");
	CHECK_INT(job->refused, 0);
	play_job(job);
	CHECK_INT(seen.n_calls, 24);
	for (unsigned i = 0; i < seen.n_calls; i++)
		answered += seen.calls[i].disposition == CALL_DISP_ANSWERED;
	CHECK_INT(answered, 16);
	CHECK_STR(seen.calls[13].number, "0911222333");
	CHECK_INT(seen.calls[13].direction, CALL_OUT);
	history_job_free(job);
}

/* The same call, heard and read, is the same interaction. */
static void
test_ids_are_those_of_events(void)
{
	static const struct call_event heard[] = {{.type = CALL_CHANNEL_NEW,
		.at_us = INT64_C(1795299314700000),
		.uid = "1795299314.0",
		.linked = "1795299314.0",
		.endpoint = "PJSIP/trunk",
		.state = CALL_STATE_RING,
		.caller_number = "0912345678",
		.exten = "5001"}};
	struct tracker *t = seen_tracker(&seen);
	struct uuid id;

	PLAY(t, heard);
	id = seen.calls[0].id;
	tracker_free(&t);
	for (int i = 0; i < 2; i++) {
		struct history_job *job =
			i ? read_job(&asterisk_cdr, DATA "cdr.csv", FROM_US, TO_US)
			  : read_job(&asterisk_cel, DATA "cel.csv", FROM_US, TO_US);
		play_job(job);
		CHECK(uuid_eq(&seen.calls[0].id, &id));
		history_job_free(job);
	}
}

/* ---- Files --------------------------------------------------------------------------- */

static char dir[] = "/tmp/test-history-XXXXXX";

static char *
file_path(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static void
file_write(const char *name, const char *data, size_t len)
{
	char *path = file_path(name);
	FILE *f = fopen(path, "w");

	CHECK(f && fwrite(data, 1, len, f) == len);
	if (f)
		fclose(f);
	xfree(&path);
}

/* Direct calls, one a minute from FROM_US on, n of them. */
static void
add_calls(struct buf *b, int from, int n)
{
	for (int i = from; i < from + n; i++) {
		long long s = FROM_US / 1000000 + i * 60LL;
		buf_printf(b,
			"\"CHAN_START\",\"%lld.1\",\"\",\"0912345678\",\"\",\"\",\"\",\"5001\","
			"\"in\",\"PJSIP/trunk-%08x\",\"\",\"\",\"3\",\"\",\"%lld.1\","
			"\"%lld.1\",\"\",\"\",\"\",\"\"\n"
			"\"HANGUP\",\"%lld.9\",\"\",\"0912345678\",\"\",\"\",\"\",\"5001\","
			"\"in\",\"PJSIP/trunk-%08x\",\"\",\"\",\"3\",\"\",\"%lld.1\","
			"\"%lld.1\",\"\",\"\",\"\",\"{\"\"hangupcause\"\":16}\"\n",
			s, (unsigned)i, s, s, s, (unsigned)i, s, s);
	}
}

static void
check_file(const char *name, int64_t from, int64_t to, size_t records)
{
	char *path = file_path(name);
	struct history_job *job = read_job(&asterisk_cel, path, from, to);

	CHECK_STR(job->err.text, "");
	CHECK_INT(job->records, records);
	history_job_free(job);
	xfree(&path);
}

static void
test_a_place_in_a_long_file_is_found(void)
{
	const int n = 20000; /* two weeks: 7 MB */
	int64_t day = 86400 * INT64_C(1000000);
	struct buf b = BUF_INIT;

	add_calls(&b, 0, n);
	file_write("long", b.data, b.len);
	/* four hours before, one after: of calls of two records a minute */
	check_file("long", FROM_US + 7 * day, FROM_US + 7 * day + 60000000,
		2 * (240 + 61));
	check_file("long", FROM_US + 30 * day, FROM_US + 31 * day, 0);
	buf_fini(&b);
}

static void
test_the_last_line_may_be_torn(void)
{
	struct buf b = BUF_INIT;

	add_calls(&b, 0, 3);
	file_write("torn", b.data, b.len - 5);
	check_file("torn", FROM_US, TO_US, 5);
	buf_fini(&b);
}

static void
test_what_was_rotated_away_is_read_first(void)
{
	struct buf b = BUF_INIT;

	add_calls(&b, 0, 5);
	file_write("log.1", b.data, b.len);
	buf_clear(&b);
	add_calls(&b, 5, 2);
	file_write("log", b.data, b.len);
	check_file("log", FROM_US, TO_US, 14);
	file_write("log", "", 0);
	check_file("log", FROM_US, TO_US, 10);
	char *path = file_path("log");
	unlink(path); /* Asterisk makes it with the next record */
	check_file("log", FROM_US, TO_US, 10);
	xfree(&path);
	buf_fini(&b);
}

/* A pipe nobody writes to would hold the thread for ever. */
static void
test_what_is_no_file_is_told(void)
{
	char *path = file_path("pipe");

	CHECK(mkfifo(path, 0600) == 0);
	struct history_job *job = read_job(&asterisk_cel, path, FROM_US, TO_US);
	CHECK(strstr(job->err.text, "is no file"));
	history_job_free(job);
	job = read_job(&asterisk_cel, dir, FROM_US, TO_US);
	CHECK(strstr(job->err.text, "is no file"));
	history_job_free(job);
	unlink(path);
	xfree(&path);
}

static void
test_a_first_line_may_name_the_columns(void)
{
	static const char text[] =
		"uniqueid,linkedid,channame,eventtype,eventtime,cid_num,exten,extra\n"
		"1795299310.1,1795299310.1,PJSIP/trunk-1,CHAN_START,1795299310.5,0912345678,"
		"5001,\n"
		"1795299310.1,1795299310.1,PJSIP/trunk-1,HANGUP,1795299312.5,0912345678,5001,\n";
	char *path = file_path("named");

	file_write("named", text, sizeof(text) - 1);
	struct history_job *job = read_job(&asterisk_cel, path, FROM_US, TO_US);
	play_job(job);
	CHECK_INT(seen.n_calls, 1);
	CHECK_STR(seen.calls[0].number, "0912345678");
	history_job_free(job);
	xfree(&path);
}

static void
test_another_format_is_told(void)
{
	struct history_job *job =
		read_job(&asterisk_cel, DATA "cdr.csv", FROM_US, TO_US);

	CHECK(strstr(job->err.text, "is history_format right"));
	CHECK_INT(job->events.len, 0);
	history_job_free(job);
	job = read_job(&asterisk_cel, "/nowhere/at.all", FROM_US, TO_US);
	CHECK(strstr(job->err.text, "/nowhere/at.all"));
	history_job_free(job);
}

static void
remove_files(void)
{
	static const char *const names[] = {"long", "torn", "log", "log.1", "named"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *path = file_path(names[i]);
		unlink(path);
		xfree(&path);
	}
	rmdir(dir);
}

int
main(void)
{
	if (!mkdtemp(dir))
		return 1;
	TEST(test_csv);
	TEST(test_csv_has_bounds);
	TEST(test_times);
	TEST(test_dial_strings);
	TEST(test_recorded_cel);
	TEST(test_recorded_cdr);
	TEST(test_ids_are_those_of_events);
	TEST(test_a_place_in_a_long_file_is_found);
	TEST(test_the_last_line_may_be_torn);
	TEST(test_what_was_rotated_away_is_read_first);
	TEST(test_what_is_no_file_is_told);
	TEST(test_a_first_line_may_name_the_columns);
	TEST(test_another_format_is_told);
	remove_files();
	return test_done();
}
