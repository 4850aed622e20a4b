/* Intrusive doubly linked list with a sentinel. Any one thread at a time. Owns nothing. A node not
 * on a list is {NULL,NULL}.
 */
#ifndef CORE_BASE_LIST_H
#define CORE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/check.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}
static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}
static inline bool list_linked(const struct list *node)
{
    return node->next != NULL;
}
static inline void list_push_back(struct list *head, struct list *node)
{
    CHECK(node->next == NULL);
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}
static inline void list_push_front(struct list *head, struct list *node)
{
    CHECK(node->next == NULL);
    node->next = head->next;
    node->prev = head;
    head->next->prev = node;
    head->next = node;
}
/* No effect on a node that is on no list. */
static inline void list_remove(struct list *node)
{
    if (node->next == NULL) return;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}
/* First or last node, or NULL. */
static inline struct list *list_first(const struct list *head)
{
    return head->next == head ? NULL : head->next;
}
static inline struct list *list_last(const struct list *head)
{
    return head->prev == head ? NULL : head->prev;
}

/* Moves all nodes of `from` to `to`, in order; what `to` was is lost. For a loop whose body may
 * remove any node: take the first of `to` until there is none. */
static inline void list_take(struct list *to, struct list *from)
{
    list_init(to);
    if (list_empty(from)) return;
    *to = *from;
    to->next->prev = to->prev->next = to;
    list_init(from);
}

#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)
/* `pos` may be removed or freed in the body; its successor may not. */
#define LIST_EACH(pos, tmp, head)                                                                  \
    for (struct list *pos = (head)->next, *tmp = pos->next; pos != (head);                         \
         pos = tmp, tmp = pos->next)

#endif
