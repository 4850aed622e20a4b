#include "gossip/member.h"

#include "gossip/status.h"

#include <stdlib.h>

#define ID_SHORT_BYTES    8u
#define MEMBERS_FIRST_CAP 64u

void member_table_init(struct member_table *t, const struct hash_key *key)
{
    *t = (struct member_table){0};
    map_init(&t->by_id, key, MEMBERS_MAX);
    map_init(&t->by_name, key, MEMBERS_MAX);
    slab_init(&t->members, sizeof(struct member), MEMBERS_MAX);
    slab_init(&t->accusations, sizeof(struct accusation), MEMBERS_MAX);
}

void member_table_fini(struct member_table *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->order[i]->admission);
        free(t->order[i]->body);
    }
    free(t->order);
    map_fini(&t->by_id);
    map_fini(&t->by_name);
    slab_fini(&t->members);
    slab_fini(&t->accusations);
    *t = (struct member_table){0};
}

static enum err grow(struct member_table *t)
{
    if (t->count < t->cap) return ERR_OK;
    size_t cap = t->cap > 0 ? t->cap * 2 : MEMBERS_FIRST_CAP;
    struct member **order = realloc(t->order, cap * sizeof(struct member *));
    if (order == NULL) return ERR_NOMEM;
    t->order = order;
    t->cap = cap;
    return ERR_OK;
}

size_t member_lower_bound(const struct member_table *t, const struct node_id *id)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (name_node_id_cmp(&t->order[mid]->head.owner, id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

enum err member_add(struct member_table *t, const struct node_id *id, struct member **out)
{
    if (member_find_short(t, id->byte) != NULL) return ERR_EXISTS;
    if (t->count == MEMBERS_MAX) return ERR_FULL;
    enum err err = grow(t);
    if (err != ERR_OK) return err;
    struct member *m = slab_get(&t->members);
    if (m == NULL) return ERR_NOMEM;
    m->head.owner = *id;
    m->timer.kind = TIMER_MEMBER;
    err = map_put(&t->by_id, span_of(m->head.owner.byte, ID_SHORT_BYTES), m);
    if (err != ERR_OK) {
        slab_put(&t->members, m);
        return err;
    }
    size_t at = member_lower_bound(t, id);
    memmove(t->order + at + 1, t->order + at, (t->count - at) * sizeof(struct member *));
    t->order[at] = m;
    t->count++;
    *out = m;
    return ERR_OK;
}

void member_remove(struct member_table *t, struct member *m)
{
    CHECK(!timer_armed(&m->timer) && !list_linked(&m->digest_link));
    CHECK(!list_linked(&m->change_link) && !list_linked(&m->accused_link));
    size_t at = member_lower_bound(t, &m->head.owner);
    CHECK(at < t->count && t->order[at] == m);
    memmove(t->order + at, t->order + at + 1, (t->count - at - 1) * sizeof(struct member *));
    t->count--;
    member_acquit(t, m);
    member_drop_name(t, m);
    (void)map_del(&t->by_id, span_of(m->head.owner.byte, ID_SHORT_BYTES));
    free(m->admission);
    free(m->body);
    slab_put(&t->members, m);
}

struct member *member_find_short(const struct member_table *t, const uint8_t id8[8])
{
    return map_get(&t->by_id, span_of(id8, ID_SHORT_BYTES));
}

struct member *member_find(const struct member_table *t, const struct node_id *id)
{
    struct member *m = member_find_short(t, id->byte);
    return m != NULL && name_node_id_cmp(&m->head.owner, id) == 0 ? m : NULL;
}

struct member *member_find_name(const struct member_table *t, const struct name *name)
{
    return map_get(&t->by_name, span_str(name->text));
}

enum err member_take_name(struct member_table *t, struct member *m, const struct name *name)
{
    CHECK(member_find_name(t, name) == NULL);
    member_drop_name(t, m);
    m->name = *name;
    enum err err = map_put(&t->by_name, span_str(m->name.text), m);
    if (err != ERR_OK) m->name.text[0] = '\0';
    return err;
}

void member_drop_name(struct member_table *t, struct member *m)
{
    if (map_get(&t->by_name, span_str(m->name.text)) == m)
        (void)map_del(&t->by_name, span_str(m->name.text));
}

static enum err replace(char **owned, size_t *len, struct span bytes)
{
    char *copy = malloc(bytes.len > 0 ? bytes.len : 1);
    if (copy == NULL) return ERR_NOMEM;
    if (bytes.len > 0) memcpy(copy, bytes.p, bytes.len);
    free(*owned);
    *owned = copy;
    *len = bytes.len;
    return ERR_OK;
}

enum err member_set_admission(struct member *m, struct span bytes)
{
    return replace(&m->admission, &m->admission_len, bytes);
}

enum err member_set_body(struct member *m, struct span bytes)
{
    return replace(&m->body, &m->body_len, bytes);
}

struct span member_announced(const struct member *m)
{
    struct span driver, status;
    bool whole =
        m->body != NULL && status_open(span_of(m->body, m->body_len), &driver, &status) == ERR_OK;
    return whole ? driver : span_of(NULL, 0);
}

struct span member_status(const struct member *m)
{
    struct span driver, status;
    bool whole =
        m->body != NULL && status_open(span_of(m->body, m->body_len), &driver, &status) == ERR_OK;
    return whole ? status : span_of(NULL, 0);
}

struct accusation *member_accuse(struct member_table *t, struct member *m)
{
    if (m->accusation == NULL) m->accusation = slab_get(&t->accusations);
    return m->accusation;
}

void member_acquit(struct member_table *t, struct member *m)
{
    if (m->accusation != NULL) slab_put(&t->accusations, m->accusation);
    m->accusation = NULL;
}
