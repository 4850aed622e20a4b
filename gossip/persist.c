#include "gossip/persist.h"

#include "gossip/catalogue.h"
#include "gossip/state.h"
#include "gossip/transition.h"

#define PERSIST_VERSION   1u
#define PERSIST_DEPTH_MAX 4u
#define HEADING_BYTES_MAX 16u
#define OFFER_EXTRA_BYTES (HEAD_BYTES + 32u)
#define MEMBERS_BYTES_MAX (PERSIST_BYTES_MAX - GRAVES_MAX * GRAVE_BYTES - HEADING_BYTES_MAX)

static size_t room_for(const struct member *m)
{
    size_t body = member_body(m).len <= PERSIST_BODY_MAX ? member_body(m).len : 0;
    return member_admission(m).len + body + OFFER_EXTRA_BYTES;
}

static bool worth_keeping(const struct member *m)
{
    return !m->self && m->state != MEMBER_LEFT && m->state != MEMBER_BANNED;
}

/* Whether it goes in, behind others that take `*room`; both passes must choose the same. */
static bool fits(const struct member *m, size_t *room)
{
    if (!worth_keeping(m) || *room + room_for(m) > MEMBERS_BYTES_MAX) return false;
    *room += room_for(m);
    return true;
}

struct kept {
    uint32_t live, dead;
};

static struct kept choose(const struct gossip *g, size_t *room)
{
    struct kept n = {0};
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        if (!fits(m, room)) continue;
        if (member_is_live(m))
            n.live++;
        else
            n.dead++;
    }
    return n;
}

/* Those of one kind, of what was chosen. */
static void write_kept(const struct gossip *g, struct pack_writer *w, bool live, uint32_t count)
{
    size_t room = CRYPTO_OPS_HASH_BYTES + HEADING_BYTES_MAX;
    pack_write_array(w, count);
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        struct offer o;
        if (!fits(m, &room) || member_is_live(m) != live) continue;
        catalogue_offer(m, true, member_body(m).len <= PERSIST_BODY_MAX, &o);
        offer_write(w, &o);
    }
}

static bool write_graves(struct gossip *g, struct pack_writer *w)
{
    size_t len = g->graves.count * GRAVE_BYTES;
    uint8_t *bytes = arena_alloc(&g->fx->arena, len > 0 ? len : 1);
    if (bytes == NULL) return false;
    grave_encode(&g->graves, bytes);
    pack_write_bin(w, bytes, len);
    return true;
}

void persist_timer(struct gossip *g)
{
    state_timer(g, &g->persist_timer, g->now_ms + g->tuning.persist_ms);
    if (!g->persist_due) return;
    size_t room = CRYPTO_OPS_HASH_BYTES + HEADING_BYTES_MAX;
    struct kept n = choose(g, &room);
    grave_expire(&g->graves, g->wall_ms);
    room += g->graves.count * GRAVE_BYTES + HEADING_BYTES_MAX;
    uint8_t *bytes = arena_alloc(&g->fx->arena, room);
    if (bytes == NULL) return;
    struct pack_writer w;
    pack_writer_init(&w, bytes + CRYPTO_OPS_HASH_BYTES, room - CRYPTO_OPS_HASH_BYTES);
    pack_write_array(&w, 4);
    pack_write_u64(&w, PERSIST_VERSION);
    write_kept(g, &w, true, n.live);
    write_kept(g, &w, false, n.dead);
    if (!write_graves(g, &w)) return;
    CHECK(pack_writer_ok(&w));
    struct gossip_effect *e = event_push(g->fx, GOSSIP_PERSIST);
    if (e == NULL) return;
    g->crypto->hash(pack_writer_view(&w), bytes);
    e->data = span_of(bytes, CRYPTO_OPS_HASH_BYTES + w.len);
    g->persist_due = false;
}

static void restore_one(struct gossip *g, const struct offer *o, bool live)
{
    if (member_find_short(&g->members, o->head.owner.byte) != NULL) return;
    if (catalogue_take(g, o, NULL, CATALOGUE_RESTORED) != CATALOGUE_NEW) {
        sync_seed(g, &o->head.addr);
        return;
    }
    struct member *m = member_find(&g->members, &o->head.owner);
    m->restored = true;
    if (!live) transition_to(g, m, MEMBER_DEAD);
}

/* False: it is damaged before anything was taken. */
static bool restore_all(struct gossip *g, struct pack_reader *r, bool live)
{
    struct offer o;
    uint32_t outer;
    uint32_t count = pack_read_array(r, 0, &outer);
    for (uint32_t i = 0; i < count; i++) {
        offer_read(r, &o);
        if (pack_reader_err(r) != ERR_OK) return i > 0;
        restore_one(g, &o, live);
    }
    pack_read_array_end(r, outer);
    return true;
}

bool persist_restore(struct gossip *g, struct span blob)
{
    uint8_t hash[CRYPTO_OPS_HASH_BYTES];
    struct pack_reader r;
    uint32_t outer;
    if (blob.len <= CRYPTO_OPS_HASH_BYTES || blob.len > PERSIST_BYTES_MAX) return false;
    struct span doc = span_skip(blob, CRYPTO_OPS_HASH_BYTES);
    g->crypto->hash(doc, hash);
    if (memcmp(hash, blob.p, sizeof(hash)) != 0) return false;
    if (pack_reader_init(&r, doc, PERSIST_DEPTH_MAX, 8 + 8 * (size_t)MEMBERS_MAX) != ERR_OK)
        return false;
    uint32_t items = pack_read_array(&r, 2, &outer);
    if (pack_read_u64(&r) != PERSIST_VERSION) return false;
    if (!restore_all(g, &r, true)) return false;
    if (items >= 3 && !restore_all(g, &r, false)) return state_live(g) > 1;
    if (items >= 4) grave_restore(&g->graves, pack_read_bin(&r));
    return true;
}
