#include "gossip/member.h"

#include "gossip/status.h"

#include <assert.h>
#include <stdlib.h>

#define MEMBERS_FIRST_CAP 64u
#define PAGE_MEMBERS      8u   /* a table with an image copies so many when one is wanted */
#define OTHER_TIMERS_MAX  256u /* nodes of the heap that are not members' */

static_assert(sizeof(struct member) <= 80, "a view of 10 000 is held 10 000 times");

void member_table_init(struct member_table *t, struct archive *archive, struct heap *timers)
{
    *t = (struct member_table){.archive = archive_ref(archive), .timers = timers};
    slab_init(&t->contacts, sizeof(struct member_contact), MEMBERS_MAX);
    slab_init(&t->cares, sizeof(struct member_care), MEMBERS_MAX);
    slab_init(&t->accusations, sizeof(struct accusation), MEMBERS_MAX);
    list_init(&t->idle);
}

/* Parts that a member shares with its row of the image are the image's references: whoever takes
 * such a part up gives its own reference back. */
static const struct member *original(const struct member_table *t, const struct member *m)
{
    static const struct member none = {0};
    return m->index < t->rows ? &t->row[m->index] : &none;
}

static void drop_head(struct member_table *t, const struct member *m)
{
    if (m->head != original(t, m)->head) archive_drop_head(t->archive, m->head, 1);
}

static void drop_admission(struct member_table *t, const struct member *m)
{
    if (m->admission != original(t, m)->admission)
        archive_drop_admission(t->archive, m->admission, 1);
}

static void drop_body(struct member_table *t, const struct member *m)
{
    if (m->body != original(t, m)->body) archive_drop_body(t->archive, m->body, 1);
}

static void drop_parts(struct member_table *t, const struct member *m)
{
    drop_head(t, m);
    drop_admission(t, m);
    drop_body(t, m);
}

static void give_back_common(struct member_table *t, const struct member *m)
{
    const struct member *o = original(t, m);
    if (m->head == o->head) archive_drop_head(t->archive, m->head, 1);
    if (m->admission == o->admission) archive_drop_admission(t->archive, m->admission, 1);
    if (m->body == o->body) archive_drop_body(t->archive, m->body, 1);
}

static bool is_of_image(const struct member_table *t, const struct member *row)
{
    return (uintptr_t)row - (uintptr_t)t->row < t->rows * sizeof(struct member);
}

void member_table_fini(struct member_table *t)
{
    for (size_t i = 0; i < t->pages; i++) {
        struct member *page = t->page[i];
        if (is_of_image(t, page)) continue;
        for (size_t k = 0; k < PAGE_MEMBERS && i * PAGE_MEMBERS + k < t->made; k++)
            drop_parts(t, &page[k]);
        free(page);
    }
    free(t->page);
    free(t->order);
    member_index_fini(&t->ids);
    member_index_fini(&t->names);
    slab_fini(&t->contacts);
    slab_fini(&t->cares);
    slab_fini(&t->accusations);
    archive_unref(t->archive);
    *t = (struct member_table){0};
}

static const struct member *peek(const struct member_table *t, uint32_t index)
{
    return &t->page[index / PAGE_MEMBERS][index % PAGE_MEMBERS];
}

/* Only simulators make tables of an image: that there is no memory for a copy of its page ends
 * them. */
static struct member *at_index(const struct member_table *t, uint32_t index)
{
    struct member **page = &t->page[index / PAGE_MEMBERS];
    if (is_of_image(t, *page)) {
        struct member *copy = malloc(PAGE_MEMBERS * sizeof(struct member));
        CHECK(copy != NULL);
        memcpy(copy, *page, PAGE_MEMBERS * sizeof(struct member));
        *page = copy;
    }
    return &(*page)[index % PAGE_MEMBERS];
}

static uint32_t index_at(const struct member_table *t, size_t i)
{
    return t->order != NULL ? t->order[i] : (uint32_t)i;
}

struct member *member_at(const struct member_table *t, size_t i)
{
    return at_index(t, index_at(t, i));
}

const struct member *member_peek(const struct member_table *t, size_t i)
{
    return peek(t, index_at(t, i));
}

size_t member_next_own(const struct member_table *t, size_t i)
{
    while (t->order == NULL && i < t->count && is_of_image(t, t->page[i / PAGE_MEMBERS]))
        i = (i / PAGE_MEMBERS + 1) * PAGE_MEMBERS;
    return i < t->count ? i : t->count;
}

static size_t pages_for(size_t count)
{
    return count / PAGE_MEMBERS + 1;
}

size_t member_image_room(size_t count)
{
    return pages_for(count) * PAGE_MEMBERS;
}

/* Room for so many members in all, exactly. */
static enum err reserve(struct member_table *t, size_t count)
{
    if (count <= t->cap) return ERR_OK;
    uint32_t *order = realloc(t->order, count * sizeof(order[0]));
    if (order == NULL) return ERR_NOMEM;
    for (size_t i = 0; t->order == NULL && i < t->count; i++)
        order[i] = (uint32_t)i;
    t->order = order;
    struct member **page = realloc(t->page, pages_for(count) * sizeof(struct member *));
    if (page == NULL) return ERR_NOMEM;
    t->page = page;
    enum err err = member_index_reserve(&t->ids, count);
    if (err == ERR_OK) t->cap = count;
    return err;
}

static struct member *make(struct member_table *t)
{
    if (t->free > 0) {
        struct member *m = at_index(t, t->free - 1);
        uint32_t index = m->index;
        t->free = (uint32_t)m->since_ms;
        *m = (struct member){.index = index};
        return m;
    }
    if (t->made == t->pages * PAGE_MEMBERS) {
        t->page[t->pages] = malloc(PAGE_MEMBERS * sizeof(struct member));
        if (t->page[t->pages] == NULL) return NULL;
        t->pages++;
    }
    struct member *m = at_index(t, (uint32_t)t->made);
    *m = (struct member){.index = (uint32_t)t->made++};
    return m;
}

static void put_back(struct member_table *t, struct member *m)
{
    uint32_t index = m->index;
    *m = (struct member){.index = index, .since_ms = t->free};
    t->free = index + 1;
}

size_t member_lower_bound(const struct member_table *t, const struct node_id *id)
{
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (name_node_id_cmp(&member_peek(t, mid)->head->owner, id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

enum err member_add(struct member_table *t, const struct head *head, struct member **out)
{
    if (member_find_short(t, head->owner.byte) != NULL) return ERR_EXISTS;
    if (t->count == MEMBERS_MAX) return ERR_FULL;
    enum err err = ERR_OK;
    if (t->count == t->cap) err = reserve(t, t->cap > 0 ? t->cap * 2 : MEMBERS_FIRST_CAP);
    if (err != ERR_OK) return err;
    struct member *m = make(t);
    if (m == NULL) return ERR_NOMEM;
    err = member_set_head(t, m, head);
    if (err == ERR_OK) err = member_index_put(&t->ids, archive_id_hash(m->head), m->index);
    if (err != ERR_OK) {
        drop_head(t, m);
        put_back(t, m);
        return err;
    }
    size_t at = member_lower_bound(t, &head->owner);
    memmove(t->order + at + 1, t->order + at, (t->count - at) * sizeof(t->order[0]));
    t->order[at] = m->index;
    t->count++;
    *out = m;
    return ERR_OK;
}

enum err member_table_fill(struct member_table *t, const struct member_image *image, uint32_t own,
                           struct member **self)
{
    struct member **page = malloc(pages_for(image->count) * sizeof(struct member *));
    if (page == NULL) return ERR_NOMEM;
    struct member **old_page = t->page;
    struct member moved = *member_at(t, 0);
    t->row = image->row;
    t->rows = image->count;
    t->pages = (image->count + PAGE_MEMBERS - 1) / PAGE_MEMBERS;
    for (size_t i = 0; i < t->pages; i++)
        page[i] = image->row + i * PAGE_MEMBERS;
    t->page = page;
    free(old_page[0]);
    free(old_page);
    free(t->order);
    t->order = NULL;
    t->made = t->count = t->cap = image->count;
    member_index_borrow(&t->ids, &image->ids);
    member_index_borrow(&t->names, &image->names);
    *self = at_index(t, own);
    **self = moved;
    (*self)->index = own;
    give_back_common(t, *self);
    if (moved.care != NULL) moved.care->member = *self;
    return ERR_OK;
}

/* So that it can change. */
static void number_order(struct member_table *t)
{
    if (t->order != NULL) return;
    t->order = malloc(t->cap * sizeof(t->order[0]));
    CHECK(t->order != NULL); /* as in at_index */
    for (size_t i = 0; i < t->count; i++)
        t->order[i] = (uint32_t)i;
}

void member_remove(struct member_table *t, struct member *m)
{
    CHECK(!m->change_waits && !m->digest_waits);
    member_acquit(t, m);
    if (m->care != NULL) {
        CHECK(!timer_armed(&m->care->timer) && !list_linked(&m->care->accused_link));
        list_remove(&m->care->idle_link);
        slab_put(&t->cares, m->care);
    }
    if (m->contact != NULL) slab_put(&t->contacts, m->contact);
    size_t at = member_lower_bound(t, &m->head->owner);
    CHECK(at < t->count && index_at(t, at) == m->index);
    number_order(t);
    memmove(t->order + at, t->order + at + 1, (t->count - at - 1) * sizeof(t->order[0]));
    t->count--;
    member_drop_name(t, m);
    member_index_del(&t->ids, archive_id_hash(m->head), m->index);
    drop_parts(t, m);
    put_back(t, m);
}

struct member *member_find_short(const struct member_table *t, const uint8_t *id8)
{
    uint32_t hash = archive_hash(t->archive, id8, NODE_ID_SHORT_BYTES);
    size_t at = 0;
    for (;;) {
        uint32_t index = member_index_next(&t->ids, hash, &at);
        if (index == MEMBER_INDEX_NONE) return NULL;
        if (head_is(peek(t, index)->head, id8)) return at_index(t, index);
    }
}

struct member *member_find(const struct member_table *t, const struct node_id *id)
{
    struct member *m = member_find_short(t, id->byte);
    return m != NULL && name_node_id_cmp(&m->head->owner, id) == 0 ? m : NULL;
}

struct member *member_find_name(const struct member_table *t, const struct name *name)
{
    uint32_t hash = archive_hash(t->archive, name->text, strlen(name->text));
    size_t at = 0;
    for (;;) {
        uint32_t index = member_index_next(&t->names, hash, &at);
        if (index == MEMBER_INDEX_NONE) return NULL;
        if (name_eq(member_name(peek(t, index)), name)) return at_index(t, index);
    }
}

enum err member_take_name(struct member_table *t, struct member *m)
{
    CHECK(m->admission != NULL && member_find_name(t, &m->admission->name) == NULL);
    return member_index_put(&t->names, m->admission->name_hash, m->index);
}

void member_drop_name(struct member_table *t, struct member *m)
{
    if (m->admission != NULL) member_index_del(&t->names, m->admission->name_hash, m->index);
}

enum err member_set_head(struct member_table *t, struct member *m, const struct head *h)
{
    const struct head *kept = archive_head(t->archive, h);
    if (kept == NULL) return ERR_NOMEM;
    drop_head(t, m);
    m->head = kept;
    if (kept == original(t, m)->head) archive_drop_head(t->archive, kept, 1);
    return ERR_OK;
}

enum err member_set_admission(struct member_table *t, struct member *m,
                              const uint8_t hash[CRYPTO_OPS_HASH_BYTES], struct span bytes,
                              const struct sign_admission *says)
{
    const struct archive_admission *kept = archive_admission(t->archive, hash, bytes, says);
    if (kept == NULL) return ERR_NOMEM;
    drop_admission(t, m);
    m->admission = kept;
    if (kept == original(t, m)->admission) archive_drop_admission(t->archive, kept, 1);
    return ERR_OK;
}

enum err member_set_body(struct member_table *t, struct member *m,
                         const uint8_t hash[CRYPTO_OPS_HASH_BYTES], struct span bytes)
{
    const struct archive_body *kept = archive_body(t->archive, hash, bytes);
    if (kept == NULL) return ERR_NOMEM;
    drop_body(t, m);
    m->body = kept;
    if (kept == original(t, m)->body) archive_drop_body(t->archive, kept, 1);
    return ERR_OK;
}

struct member_contact *member_contact(struct member_table *t, struct member *m)
{
    if (m->contact == NULL) m->contact = slab_get(&t->contacts);
    return m->contact;
}

/* Each has a timer, whose room on the heap is made here, so that arming it cannot fail. */
static bool reserve_timers(struct member_table *t)
{
    size_t need = t->cares.objects_live + 1 + OTHER_TIMERS_MAX;
    if (need <= t->timers->cap) return true;
    size_t cap = need + need / 2 < t->timers->count_max ? need + need / 2 : t->timers->count_max;
    return heap_reserve(t->timers, cap) == ERR_OK;
}

struct member_care *member_care(struct member_table *t, struct member *m)
{
    if (m->care != NULL) return m->care;
    m->care = reserve_timers(t) ? slab_get(&t->cares) : NULL;
    if (m->care == NULL) return NULL;
    m->care->member = m;
    m->care->timer.kind = TIMER_MEMBER;
    return m->care;
}

void member_arm(struct member_table *t, struct member *m, uint64_t at_ms)
{
    struct member_care *c = member_care(t, m);
    if (c != NULL) timer_set(t->timers, &c->timer, at_ms);
}

void member_disarm(struct member_table *t, struct member *m)
{
    if (m->care == NULL) return;
    timer_clear(t->timers, &m->care->timer);
    member_settle(t, m);
}

void member_settle(struct member_table *t, struct member *m)
{
    if (m->care != NULL && !list_linked(&m->care->idle_link))
        list_push_back(&t->idle, &m->care->idle_link);
}

static bool in_use(const struct member_care *c)
{
    for (size_t i = 0; i < RUMOUR_KINDS; i++)
        if (list_linked(&c->rumour[i].link)) return true;
    return timer_armed(&c->timer) || c->accusation != NULL || list_linked(&c->accused_link) ||
           c->conflict_ms != 0;
}

void member_sweep(struct member_table *t)
{
    for (;;) {
        struct list *link = list_first(&t->idle);
        if (link == NULL) return;
        struct member_care *c = LIST_ENTRY(link, struct member_care, idle_link);
        list_remove(link);
        if (in_use(c)) continue;
        c->member->care = NULL;
        slab_put(&t->cares, c);
    }
}

struct span member_announced(const struct member *m)
{
    struct span driver, status;
    bool whole = m->body != NULL && status_open(member_body(m), &driver, &status) == ERR_OK;
    return whole ? driver : span_of(NULL, 0);
}

struct span member_status(const struct member *m)
{
    struct span driver, status;
    bool whole = m->body != NULL && status_open(member_body(m), &driver, &status) == ERR_OK;
    return whole ? status : span_of(NULL, 0);
}

struct accusation *member_accuse(struct member_table *t, struct member *m)
{
    struct member_care *c = member_care(t, m);
    if (c != NULL && c->accusation == NULL) c->accusation = slab_get(&t->accusations);
    return c != NULL ? c->accusation : NULL;
}

void member_acquit(struct member_table *t, struct member *m)
{
    if (m->care == NULL || m->care->accusation == NULL) return;
    slab_put(&t->accusations, m->care->accusation);
    m->care->accusation = NULL;
    member_settle(t, m);
}

const struct name *member_name(const struct member *m)
{
    static const struct name none = {""};
    return m->admission != NULL ? &m->admission->name : &none;
}

struct span member_body(const struct member *m)
{
    return m->body != NULL ? span_of(m->body->bytes, m->body->len) : span_of(NULL, 0);
}

struct span member_admission(const struct member *m)
{
    return m->admission != NULL ? span_of(m->admission->bytes, m->admission->len)
                                : span_of(NULL, 0);
}

const struct tuning_rtt *member_rtt(const struct member *m)
{
    static const struct tuning_rtt never = {0};
    return m->contact != NULL ? &m->contact->rtt : &never;
}
