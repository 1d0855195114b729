/* list.h - intrusive doubly linked lists. The head is a struct list pointing at itself.
 *
 *	struct list calls;                        list_init(&calls);
 *	struct call { struct list link; ... };    list_append(&calls, &c->link);
 *	list_for_each(&calls, it)
 *		call_print(LIST_ENTRY(it, struct call, link));
 */
#ifndef INTERACTD_LIST_H
#define INTERACTD_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_ENTRY(ptr, type, member)                                                  \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define list_for_each(head, it)                                                        \
	for (struct list *it = (head)->next; it != (head); it = it->next)
/* The current entry may be removed (or freed) inside the body. */
#define list_for_each_safe(head, it)                                                   \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head);      \
		it = it##_next, it##_next = it->next)

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_is_empty(const struct list *l)
{
	return l->next == l || !l->next;
}

static inline void
list_append(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

static inline void
list_prepend(struct list *head, struct list *item)
{
	list_append(head->next, item);
}

/* Safe to call on an item that is in no list (zeroed or removed before). */
static inline void
list_remove(struct list *item)
{
	if (!item->next)
		return;
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->next = item->prev = NULL;
}

#endif
