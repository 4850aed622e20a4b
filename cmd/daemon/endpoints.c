#include "cmd/daemon/endpoints.h"

#include <stdlib.h>

#include "cmd/daemon/mesh.h"
#include "core/base/map.h"

#define ENDPOINTS_MAGIC 0x65707431u

struct decoded { /* one member's record, as far as rows need it */
    struct node_id node;
    uint64_t epoch, version;
    uint64_t round; /* of the last collect that saw the member */
    bool draining;
    struct name zone;
    struct service_tag *tag; /* owned: of all instances, one after the other */
    size_t count;
    struct decoded_instance {
        struct name service;
        enum service_protocol protocol;
        enum service_health health;
        enum protocol_origin origin;
        bool draining;
        uint32_t weight;
        uint32_t tag_first, tag_count;
    } instance[];
};

struct endpoints {
    uint32_t magic;
    struct map decoded; /* by node id; values owned */
    struct node_record *scratch;
    struct build_endpoint *row; /* owned */
    size_t count, cap;
    uint64_t round;
};

enum err endpoints_new(const struct hash_key *key, struct endpoints **out)
{
    struct endpoints *e = calloc(1, sizeof *e);
    if (e == NULL) return ERR_NOMEM;
    e->scratch = calloc(1, sizeof *e->scratch);
    if (e->scratch == NULL) {
        free(e);
        return ERR_NOMEM;
    }
    e->magic = ENDPOINTS_MAGIC;
    map_init(&e->decoded, key, MEMBERS_MAX);
    *out = e;
    return ERR_OK;
}

static void decoded_free(struct decoded *d)
{
    if (d == NULL) return;
    free(d->tag);
    free(d);
}

void endpoints_free(struct endpoints *e)
{
    if (e == NULL) return;
    CHECK_OBJ(e, ENDPOINTS_MAGIC);
    size_t pos = 0;
    for (void *v; (v = map_next(&e->decoded, &pos)) != NULL;)
        decoded_free(v);
    map_fini(&e->decoded);
    free(e->scratch);
    free(e->row);
    e->magic = MAGIC_POISON;
    free(e);
}

const struct build_endpoint *endpoints_rows(const struct endpoints *e, size_t *count)
{
    CHECK_OBJ(e, ENDPOINTS_MAGIC);
    *count = e->count;
    return e->row;
}

static enum endpoint_status status_of(enum member_state state, bool draining,
                                      enum service_health health)
{
    if (state != MEMBER_ALIVE && state != MEMBER_SUSPECT) return ENDPOINT_UNREACHABLE;
    if (draining) return ENDPOINT_DRAINING;
    return health == HEALTH_DOWN ? ENDPOINT_DOWN : ENDPOINT_UP;
}

const char *endpoints_status_word(enum endpoint_status status)
{
    static const char *const words[] = {[ENDPOINT_UP] = "up",
                                        [ENDPOINT_DRAINING] = "draining",
                                        [ENDPOINT_DOWN] = "down",
                                        [ENDPOINT_UNREACHABLE] = "unreachable"};
    return words[status];
}

enum endpoint_status endpoints_status(enum member_state state, bool node_draining,
                                      const struct service_instance *s)
{
    return status_of(state, node_draining || s->draining, s->health);
}

static struct decoded *decode(const struct node_record *r, const struct gossip_member *m)
{
    uint32_t tags = 0;
    for (size_t i = 0; i < r->service_count; i++)
        tags += r->service[i].tag_count;
    struct decoded *d = calloc(1, sizeof *d + r->service_count * sizeof d->instance[0]);
    if (d == NULL) return NULL;
    d->tag = calloc(tags + 1, sizeof *d->tag);
    if (d->tag == NULL) {
        free(d);
        return NULL;
    }
    d->node = m->id;
    d->epoch = m->epoch;
    d->version = m->version;
    d->draining = r->draining;
    d->zone = r->zone;
    d->count = r->service_count;
    tags = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct service_instance *s = &r->service[i];
        d->instance[i] = (struct decoded_instance){
            .service = s->service,
            .protocol = s->protocol,
            .origin = s->origin,
            .health = s->health,
            .draining = s->draining,
            .weight = s->weight,
            .tag_first = tags,
            .tag_count = s->tag_count,
        };
        memcpy(d->tag + tags, s->tag, s->tag_count * sizeof s->tag[0]);
        tags += s->tag_count;
    }
    return d;
}

static struct span id_span(const struct node_id *id)
{
    return span_of(id->byte, sizeof id->byte);
}

/* The member's decoded record, from the cache while its version stands. NULL in `*out`: it has
 * announced nothing readable yet. */
static enum err member_record(struct endpoints *e, const struct mesh *mesh,
                              const struct gossip_member *m, struct decoded **out)
{
    struct decoded *old = map_get(&e->decoded, id_span(&m->id));
    *out = old;
    if (old != NULL && old->epoch == m->epoch && old->version == m->version) return ERR_OK;
    enum err err = mesh_record(mesh, &m->id, e->scratch);
    if (err != ERR_OK) return ERR_OK; /* keeps what it last announced, if anything */
    struct decoded *fresh = decode(e->scratch, m);
    if (fresh == NULL) return ERR_NOMEM;
    if (old != NULL) (void)map_del(&e->decoded, id_span(&old->node));
    decoded_free(old);
    *out = NULL;
    err = map_put(&e->decoded, id_span(&fresh->node), fresh);
    if (err != ERR_OK) {
        decoded_free(fresh);
        return err;
    }
    *out = fresh;
    return ERR_OK;
}

static enum err row_add(struct endpoints *e, const struct build_endpoint *row)
{
    if (e->count == ENDPOINTS_MAX) return ERR_FULL;
    if (e->count == e->cap) {
        size_t cap = e->cap == 0 ? 64 : e->cap * 2;
        struct build_endpoint *grown = realloc(e->row, cap * sizeof *grown);
        if (grown == NULL) return ERR_NOMEM;
        e->row = grown;
        e->cap = cap;
    }
    e->row[e->count++] = *row;
    return ERR_OK;
}

static enum err add_member(struct endpoints *e, const struct mesh *mesh,
                           const struct gossip_member *m)
{
    struct decoded *d = NULL;
    enum err err = member_record(e, mesh, m, &d);
    if (err != ERR_OK || d == NULL) return err;
    d->round = e->round;
    for (size_t i = 0; i < d->count; i++) {
        const struct decoded_instance *s = &d->instance[i];
        struct build_endpoint row = {
            .service = s->service,
            .node = m->name,
            .node_id = m->id,
            .addr = m->addr,
            .protocol = s->protocol,
            .origin = s->origin,
            .status = status_of(m->state, d->draining || s->draining, s->health),
            .weight = s->weight,
            .zone = &d->zone,
            .tag = d->tag + s->tag_first,
            .tag_count = s->tag_count,
        };
        err = row_add(e, &row);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

static enum err add_own(struct endpoints *e, const struct gossip_member *m,
                        const struct node_record *own)
{
    for (size_t i = 0; i < own->service_count; i++) {
        const struct service_instance *s = &own->service[i];
        struct build_endpoint row = {
            .service = s->service,
            .node = own->node,
            .node_id = m->id,
            .addr = m->addr,
            .protocol = s->protocol,
            .origin = s->origin,
            .status = endpoints_status(MEMBER_ALIVE, own->draining, s),
            .weight = s->weight,
            .zone = &own->zone,
            .tag = s->tag,
            .tag_count = s->tag_count,
            .self = true,
        };
        enum err err = row_add(e, &row);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

static int row_cmp(const void *a, const void *b)
{
    const struct build_endpoint *x = a, *y = b;
    int by_service = strcmp(x->service.text, y->service.text);
    if (by_service != 0) return by_service;
    int by_node = strcmp(x->node.text, y->node.text);
    return by_node != 0 ? by_node : name_node_id_cmp(&x->node_id, &y->node_id);
}

/* Members that the machine has forgotten leave the cache too: one a call, for the map must not
 * change under its iterator. */
static bool forget_unseen(struct endpoints *e)
{
    size_t pos = 0;
    for (struct decoded *d; (d = map_next(&e->decoded, &pos)) != NULL;) {
        if (d->round == e->round) continue;
        (void)map_del(&e->decoded, id_span(&d->node));
        decoded_free(d);
        return true;
    }
    return false;
}

enum err endpoints_collect(struct endpoints *e, const struct mesh *mesh,
                           const struct node_record *own)
{
    CHECK_OBJ(e, ENDPOINTS_MAGIC);
    const struct gossip *g = mesh_gossip(mesh);
    struct gossip_member m;
    enum err err = ERR_OK;
    e->round++;
    e->count = 0;
    for (size_t pos = 0; err == ERR_OK && gossip_member_next(g, &pos, &m);) {
        bool gone = m.state == MEMBER_LEFT || m.state == MEMBER_BANNED;
        if (m.self)
            err = add_own(e, &m, own);
        else if (!gone && m.name.text[0] != '\0')
            err = add_member(e, mesh, &m);
    }
    while (err == ERR_OK && forget_unseen(e))
        continue;
    if (e->count > 1) qsort(e->row, e->count, sizeof e->row[0], row_cmp);
    return err;
}
