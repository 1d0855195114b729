/* test_buf.c - buffers, and struct err beside them. */
#include <buf.h>

#include <err.h>
#include <lib/test.h>
#include <mem.h>

#include <errno.h>
#include <string.h>

static void
test_empty_is_a_string(void)
{
	struct buf b = BUF_INIT;

	CHECK_STR(buf_str(&b), "");
	buf_drop_front(&b, 0);
	buf_clear(&b);
	buf_add(&b, NULL, 0);
	CHECK_STR(b.data, "");
	char *s = buf_steal(&b);
	CHECK_STR(s, "");
	xfree(&s);
	s = buf_steal(&b);
	CHECK_STR(s, "");
	xfree(&s);
	buf_fini(&b);
	buf_fini(&b);
}

static void
test_add_and_drop(void)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "hello");
	buf_addc(&b, ' ');
	buf_add(&b, "w\0d", 3);
	CHECK_INT((int64_t)b.len, 9);
	CHECK(!memcmp(b.data, "hello w\0d", 10));
	buf_drop_front(&b, 6);
	CHECK(b.len == 3 && !memcmp(b.data, "w\0d", 4));
	buf_drop_front(&b, 3);
	CHECK_STR(buf_str(&b), "");
	buf_adds(&b, "again");
	CHECK_STR(buf_str(&b), "again");
	buf_clear(&b);
	CHECK_STR(buf_str(&b), "");
	buf_fini(&b);
}

static void
test_printf_grows(void)
{
	struct buf b = BUF_INIT;

	for (int i = 0; i < 1000; i++) {
		buf_printf(&b, "%0*d", i % 200, i);
		CHECK(b.len < b.cap && !b.data[b.len]);
	}
	buf_clear(&b);
	buf_printf(&b, "%s", "");
	CHECK_STR(buf_str(&b), "");
	/* exactly what is free, and one byte more */
	for (int extra = -1; extra <= 1; extra++) {
		buf_fini(&b);
		buf_printf(&b, "%*s", 64 + extra, "x");
		CHECK_INT((int64_t)b.len, 64 + extra);
		CHECK_INT((int64_t)strlen(b.data), 64 + extra);
	}
	buf_fini(&b);
}

static void
test_err_may_wrap_itself(void)
{
	struct err e;

	CHECK_INT(err_set(&e, "cannot open %s", "x"), -1);
	CHECK_INT(err_set(&e, "file %d: %s", 7, e.text), -1);
	CHECK_STR(e.text, "file 7: cannot open x");
	CHECK_INT(e.code, 0);
	CHECK_INT(err_set(NULL, "%s", "nobody listens"), -1);
	errno = ENOENT;
	CHECK_INT(err_errno(&e, "open %s", "y"), -1);
	CHECK_STR(e.text, "open y: No such file or directory");
	CHECK_INT(e.code, ENOENT);
	CHECK_INT(errno, ENOENT);
}

static void
test_err_is_cut_between_characters(void)
{
	struct err e;
	struct buf b = BUF_INIT;

	for (int i = 0; i < 300; i++)
		buf_adds(&b, "\xe5\xae\xa2");
	err_set(&e, "%s", buf_str(&b));
	CHECK_INT((int64_t)strlen(e.text), 510);
	errno = EIO;
	err_errno(&e, "%s", buf_str(&b));
	CHECK(strlen(e.text) < sizeof(e.text));
	buf_fini(&b);
}

static void
test_mem(void)
{
	char *s = xasprintf("%s-%d", "a", 1), *t = xstrndup("abc", 2),
	     *u = xstrdup(NULL);

	CHECK_STR(s, "a-1");
	CHECK_STR(t, "ab");
	CHECK(!u && !xstrndup(NULL, 3));
	xfree(&s);
	CHECK(!s);
	xfree(&s);
	xfree(&t);
	void *zero = xmalloc(0), *none = xcalloc(0, 8);
	CHECK(zero && none);
	zero = xrealloc(zero, 0);
	CHECK(zero);
	xfree(&zero);
	xfree(&none);
}

int
main(void)
{
	TEST(test_empty_is_a_string);
	TEST(test_add_and_drop);
	TEST(test_printf_grows);
	TEST(test_err_may_wrap_itself);
	TEST(test_err_is_cut_between_characters);
	TEST(test_mem);
	return test_done();
}
