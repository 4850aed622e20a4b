#include "tests/sim/prefill.h"

#include "gossip/change.h"
#include "gossip/state.h"
#include "gossip/transition.h"

#include <stdlib.h>

struct prefill {
    struct archive *archive;
    struct mesh_id mesh;
    struct member_image image; /* its rows are owned */
    size_t bodies_bytes;
    uint64_t bucket[DIGEST_BUCKETS];
};

static enum err copy_row(struct prefill *p, const struct gossip *from, size_t i)
{
    const struct member *theirs = member_peek(&from->members, i);
    bool complete = theirs->admission != NULL && theirs->body != NULL && !theirs->body_missing &&
                    !theirs->admission_missing;
    if (theirs->state != MEMBER_ALIVE || !complete) return ERR_INVALID;
    struct member *m = &p->image.row[i];
    *m = (struct member){.head = theirs->head,
                         .admission = theirs->admission,
                         .body = theirs->body,
                         .body_version = theirs->body_version,
                         .digest_print = digest_print(&from->digest, theirs->head),
                         .index = (uint32_t)i,
                         .vouched = true,
                         .reported = true};
    archive_keep_head(m->head, 1);
    archive_keep_admission(m->admission, 1);
    archive_keep_body(m->body, 1);
    p->bucket[m->head->owner.byte[0]] += m->digest_print;
    p->bodies_bytes += member_body(m).len;
    p->image.count++;
    enum err err = member_index_put(&p->image.ids, archive_id_hash(m->head), m->index);
    if (err != ERR_OK) return err;
    return member_index_put(&p->image.names, m->admission->name_hash, m->index);
}

enum err prefill_new(const struct gossip *from, struct prefill **out)
{
    const struct member_table *t = &from->members;
    struct prefill *p = calloc(1, sizeof(*p));
    if (p == NULL) return ERR_NOMEM;
    p->archive = archive_ref(t->archive);
    p->mesh = from->mesh;
    p->image.row = calloc(member_image_room(t->count), sizeof(p->image.row[0]));
    enum err err = p->image.row != NULL ? ERR_OK : ERR_NOMEM;
    for (size_t i = 0; i < t->count && err == ERR_OK; i++)
        err = copy_row(p, from, i);
    if (err != ERR_OK) {
        prefill_free(p);
        return err;
    }
    *out = p;
    return ERR_OK;
}

void prefill_free(struct prefill *p)
{
    if (p == NULL) return;
    for (size_t i = 0; i < p->image.count; i++) {
        const struct member *m = &p->image.row[i];
        archive_drop_head(p->archive, m->head, 1);
        archive_drop_admission(p->archive, m->admission, 1);
        archive_drop_body(p->archive, m->body, 1);
    }
    member_index_fini(&p->image.ids);
    member_index_fini(&p->image.names);
    archive_unref(p->archive);
    free(p->image.row);
    free(p);
}

/* Which row is `id`'s; the count: none. */
static size_t find(const struct member_image *image, const struct node_id *id)
{
    size_t low = 0, high = image->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = name_node_id_cmp(&image->row[mid].head->owner, id);
        if (order == 0) return mid;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return image->count;
}

enum err prefill_take(struct gossip *g, const struct prefill *p)
{
    const struct node_id *id = &g->self.member->head->owner;
    size_t at = find(&p->image, id);
    bool fit = !g->started && g->members.count == 1 && g->members.archive == p->archive &&
               memcmp(&g->mesh, &p->mesh, sizeof(g->mesh)) == 0 && at < p->image.count;
    if (!fit) return ERR_INVALID;
    const struct member *replaced = &p->image.row[at];
    /* Its member moves, and what points to it must follow. */
    change_forget(g, g->self.member);
    enum err err = member_table_fill(&g->members, &p->image, (uint32_t)at, &g->self.member);
    change_state(g, g->self.member);
    if (err != ERR_OK) return err;
    for (size_t b = 0; b < DIGEST_BUCKETS; b++)
        g->digest.bucket[b] += p->bucket[b];
    g->digest.bucket[replaced->head->owner.byte[0]] -= replaced->digest_print;
    g->digest.root_stale = true;
    g->bodies_bytes += p->bodies_bytes - member_body(replaced).len;
    transition_prefilled(g, (uint32_t)p->image.count - 1);
    return ERR_OK;
}
