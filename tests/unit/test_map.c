/* test_map.c - the map against a plain array, and the list beside it. */
#include <map.h>

#include <lib/test.h>
#include <list.h>
#include <mem.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define N 5000

static int values[N];

static const char *
key_of(int i)
{
	static char key[32];

	snprintf(key, sizeof(key), "1700000000.%d", i);
	return key;
}

static void
test_put_find_remove(void)
{
	struct map m;
	int other;

	map_init(&m);
	CHECK(!map_find(&m, "a") && !map_remove(&m, "a"));
	for (int i = 0; i < N; i++)
		CHECK(!map_put(&m, key_of(i), &values[i]));
	CHECK_INT((int64_t)m.len, N);
	CHECK(m.n_slots >= m.len);
	for (int i = 0; i < N; i++)
		CHECK(map_find(&m, key_of(i)) == &values[i]);
	CHECK(map_put(&m, key_of(3), &other) == &values[3]);
	CHECK(map_find(&m, key_of(3)) == &other);
	CHECK(map_put(&m, key_of(3), &values[3]) == &other);
	for (int i = 0; i < N; i += 2)
		CHECK(map_remove(&m, key_of(i)) == &values[i]);
	CHECK_INT((int64_t)m.len, N / 2);
	for (int i = 0; i < N; i++)
		CHECK(map_find(&m, key_of(i)) == (i % 2 ? &values[i] : NULL));
	CHECK(!map_put(&m, "", &other));
	CHECK(map_find(&m, "") == &other);
	map_fini(&m);
	CHECK(!map_find(&m, key_of(1)));
	map_fini(&m);
}

struct visit {
	struct map *m;
	int seen[N];
};

static void
on_entry(const char *key, void *value, void *arg)
{
	struct visit *v = arg;
	int i = (int)((int *)value - values);

	v->seen[i]++;
	if (i % 3 == 0)
		CHECK(map_remove(v->m, key) == value);
}

static void
test_each_may_remove_its_entry(void)
{
	struct map m;
	struct visit *v = xcalloc(1, sizeof(*v));

	map_init(&m);
	v->m = &m;
	for (int i = 0; i < N; i++)
		map_put(&m, key_of(i), &values[i]);
	map_each(&m, on_entry, v);
	for (int i = 0; i < N; i++)
		CHECK_INT(v->seen[i], 1);
	map_each(&m, on_entry, v);
	for (int i = 0; i < N; i++)
		CHECK_INT(v->seen[i], i % 3 ? 2 : 1);
	map_fini(&m);
	xfree(&v);
}

struct item {
	int n;
	struct list link;
};

static void
test_list(void)
{
	struct list head = {0};
	struct item items[4] = {{0, {0}}, {1, {0}}, {2, {0}}, {3, {0}}};
	int sum = 0;

	CHECK(list_is_empty(&head));
	list_init(&head);
	CHECK(list_is_empty(&head));
	list_append(&head, &items[1].link);
	list_append(&head, &items[2].link);
	list_prepend(&head, &items[0].link);
	list_append(&head, &items[3].link);
	list_for_each (&head, it)
		sum = 10 * sum + LIST_ENTRY(it, struct item, link)->n;
	CHECK_INT(sum, 123);
	list_for_each_safe (&head, it)
		if (LIST_ENTRY(it, struct item, link)->n != 2)
			list_remove(it);
	CHECK(head.next == &items[2].link && head.prev == &items[2].link);
	list_remove(&items[0].link);
	list_remove(&items[2].link);
	CHECK(list_is_empty(&head));
}

int
main(void)
{
	TEST(test_put_find_remove);
	TEST(test_each_may_remove_its_entry);
	TEST(test_list);
	return test_done();
}
