/* list.h - an intrusive doubly linked list; a head points at itself when empty.
 * No locking: the owner's lock or thread protects a list. */
#ifndef PAILFS_BASE_LIST_H
#define PAILFS_BASE_LIST_H

#include <stdbool.h>
#include "pailfs/base/xalloc.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) {&(name), &(name)}

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert(struct list *before, struct list *node)
{
	node->prev = before->prev;
	node->next = before;
	before->prev->next = node;
	before->prev = node;
}

/* At the end, for a list whose head is `head`. */
static inline void list_append(struct list *head, struct list *node)
{
	list_insert(head, node);
}

static inline void list_prepend(struct list *head, struct list *node)
{
	list_insert(head->next, node);
}

/* Takes a node out; a node that is in no list (initialised) stays so. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Moves all of `from` to the end of `to`; `from` is empty then. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_first(head, type, member) list_entry((head)->next, type, member)
#define list_last(head, type, member) list_entry((head)->prev, type, member)

/* The walk is along the nodes: a node is taken for a part of an element only when it is not the
 * head, since a head's links may not be read as an element's. After a whole walk `it` is the
 * last element, or as it was. The body must not take `it` out of the list unless it leaves the
 * loop. */
#define list_for_each(it, head, member)                                                            \
	for (struct list *it##_node = (head)->next;                                                \
	     it##_node != (head) && (it = list_entry(it##_node, __typeof__(*it), member), true);   \
	     it##_node = it##_node->next)
/* Here it may. */
#define list_for_each_safe(it, head, member)                                                       \
	for (struct list *it##_node = (head)->next, *it##_next;                                    \
	     it##_node != (head) && (it##_next = it##_node->next,                                  \
	                            it = list_entry(it##_node, __typeof__(*it), member), true);    \
	     it##_node = it##_next)

#endif
