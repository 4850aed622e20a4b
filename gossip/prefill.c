#include "gossip/prefill.h"

#include "gossip/state.h"
#include "gossip/transition.h"

#include <stdlib.h>

#define REFS_HELD (UINT64_C(1) << 32) /* of a part that all members may share */

/* The one at place i of `count` is number i + 1 in the pages: number 0 is each machine's own. */
struct prefill {
    struct archive *archive;
    struct mesh_id mesh;
    struct member *row;    /* owned: numbers 0 to count */
    uint32_t *own;         /* owned: takes of machines that were it themselves, by place */
    struct member **order; /* owned: the rows */
    size_t count;
    uint32_t takes;
    struct member_index ids, names;
    size_t bodies_bytes;
    uint64_t bucket[DIGEST_BUCKETS];
};

static enum err copy_row(struct prefill *p, const struct gossip *from, size_t i)
{
    const struct member *theirs = from->members.order[i];
    struct member *m = &p->row[i + 1];
    bool complete = theirs->admission != NULL && theirs->body != NULL && !theirs->body_missing &&
                    !theirs->admission_missing;
    if (theirs->state != MEMBER_ALIVE || !complete) return ERR_INVALID;
    *m = (struct member){.head = theirs->head,
                         .admission = theirs->admission,
                         .body = theirs->body,
                         .body_version = theirs->body_version,
                         .digest_print = digest_print(&from->digest, theirs->head),
                         .index = (uint32_t)i + 1,
                         .reported = true};
    p->order[i] = m;
    p->bucket[m->head->owner.byte[0]] += m->digest_print;
    p->bodies_bytes += member_body(m).len;
    enum err err = member_index_put(&p->ids, archive_id_hash(m->head), m->index);
    if (err == ERR_OK) err = member_index_put(&p->names, m->admission->name_hash, m->index);
    return err;
}

static void hold(struct prefill *p)
{
    for (size_t i = 0; i < p->count; i++) {
        archive_keep_head(p->order[i]->head, REFS_HELD);
        archive_keep_admission(p->order[i]->admission, REFS_HELD);
        archive_keep_body(p->order[i]->body, REFS_HELD);
    }
}

static void let_go(struct prefill *p)
{
    for (size_t i = 0; i < p->count; i++) {
        uint64_t refs = REFS_HELD - (p->takes - p->own[i]);
        archive_drop_head(p->archive, p->order[i]->head, refs);
        archive_drop_admission(p->archive, p->order[i]->admission, refs);
        archive_drop_body(p->archive, p->order[i]->body, refs);
    }
}

static void free_storage(struct prefill *p)
{
    member_index_fini(&p->ids);
    member_index_fini(&p->names);
    archive_unref(p->archive);
    free(p->row);
    free(p->own);
    free(p->order);
    free(p);
}

enum err prefill_new(const struct gossip *from, struct prefill **out)
{
    const struct member_table *t = &from->members;
    struct prefill *p = calloc(1, sizeof(*p));
    if (p == NULL) return ERR_NOMEM;
    p->archive = archive_ref(t->archive);
    p->mesh = from->mesh;
    p->count = t->count;
    p->row = calloc(t->count + 1, sizeof(p->row[0]));
    p->own = calloc(t->count, sizeof(p->own[0]));
    p->order = calloc(t->count, sizeof(struct member *));
    enum err err = p->row != NULL && p->own != NULL && p->order != NULL ? ERR_OK : ERR_NOMEM;
    for (size_t i = 0; i < t->count && err == ERR_OK; i++)
        err = copy_row(p, from, i);
    if (err != ERR_OK) {
        free_storage(p);
        return err;
    }
    hold(p);
    *out = p;
    return ERR_OK;
}

void prefill_free(struct prefill *p)
{
    if (p == NULL) return;
    let_go(p);
    free_storage(p);
}

/* Where `id` is in the order; `count`: nowhere. */
static size_t find(const struct prefill *p, const struct node_id *id)
{
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = name_node_id_cmp(&p->order[mid]->head->owner, id);
        if (order == 0) return mid;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return p->count;
}

enum err prefill_take(struct gossip *g, struct prefill *p)
{
    const struct member *self = g->self.member;
    size_t at = find(p, &self->head->owner);
    bool fit = !g->started && g->members.count == 1 && g->members.archive == p->archive &&
               memcmp(&g->mesh, &p->mesh, sizeof(g->mesh)) == 0 && at < p->count;
    if (!fit) return ERR_INVALID;
    struct member_image image = {.row = p->row,
                                 .count = p->count,
                                 .own = (uint32_t)at + 1,
                                 .ids = &p->ids,
                                 .names = &p->names};
    enum err err = member_table_fill(&g->members, &image);
    if (err != ERR_OK) return err;
    p->takes++;
    p->own[at]++;
    for (size_t b = 0; b < DIGEST_BUCKETS; b++)
        g->digest.bucket[b] += p->bucket[b];
    g->digest.bucket[self->head->owner.byte[0]] -= p->order[at]->digest_print;
    g->digest.root_stale = true;
    g->bodies_bytes += p->bodies_bytes - member_body(p->order[at]).len;
    transition_prefilled(g, (uint32_t)p->count - 1);
    return ERR_OK;
}
