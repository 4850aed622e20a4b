#include "gossip/keyring.h"

#include "gossip/self.h"
#include "gossip/state.h"

#define HLC_COUNTER_BITS 16u /* core/model/manifest.h */

/* Where the key that seals stands on the list; the list's length: nowhere. */
static uint32_t place_of(const struct keyring_view *v, uint32_t id)
{
    uint32_t i = 0;
    while (i < v->listed_count && v->listed[i].id != id)
        i++;
    return i;
}

bool keyring_enough(uint32_t holders, uint32_t alive, uint32_t known)
{
    return (uint64_t)holders * 100 >= (uint64_t)alive * 99 && (uint64_t)alive * 2 >= known;
}

/* The newest that may seal, if it is newer than what does. */
static bool to_use(const struct keyring_view *v, uint32_t sealing, uint32_t *id)
{
    uint32_t newest = v->listed_count - 1;
    bool listed = sealing < v->listed_count;
    for (uint32_t i = v->listed_count; i-- > 0;) {
        const struct keyring_listed *key = &v->listed[i];
        if (listed && i <= sealing) return false;
        if (!key->held) continue;
        /* What is on no list must not seal: there, any that all are to have is better. */
        bool may = key->in_use || !listed || (i == newest && v->enough_ms >= KEYRING_SETTLE_MS);
        if (!may) continue;
        *id = key->id;
        return true;
    }
    return false;
}

/* Of the keys that do not seal, one whose time is over; with a full ring, the oldest of them. */
static bool to_drop(const struct keyring_view *v, uint32_t sealing, bool must, uint32_t *id)
{
    uint32_t oldest = v->ring_count, oldest_place = v->listed_count;
    for (uint32_t i = 1; i < v->ring_count; i++) {
        uint32_t at = place_of(v, v->ring[i]);
        bool unlisted = at == v->listed_count;
        bool older = !unlisted && sealing < v->listed_count && at < sealing;
        if ((unlisted && (must || v->unlisted_ms >= KEYRING_UNLISTED_MS)) ||
            (older && v->age_ms >= v->hold_ms)) {
            *id = v->ring[i];
            return true;
        }
        if (older && at < oldest_place) {
            oldest = i;
            oldest_place = at;
        }
    }
    if (!must || oldest == v->ring_count) return false;
    *id = v->ring[oldest];
    return true;
}

/* The newest that we lack and someone has; what is older than what seals only while it is held. */
static bool to_ask(const struct keyring_view *v, uint32_t sealing, uint32_t *id)
{
    for (uint32_t i = v->listed_count; i-- > 0;) {
        const struct keyring_listed *key = &v->listed[i];
        bool older = sealing < v->listed_count && i < sealing;
        if (key->held || !key->available || (older && v->age_ms >= v->hold_ms)) continue;
        *id = key->id;
        return true;
    }
    return false;
}

struct keyring_decision keyring_decide(const struct keyring_view *v)
{
    uint32_t id = 0;
    if (v->listed_count == 0 || v->ring_count == 0)
        return (struct keyring_decision){KEYRING_WAIT, 0};
    uint32_t sealing = place_of(v, v->ring[0]);
    if (to_use(v, sealing, &id)) return (struct keyring_decision){KEYRING_USE, id};
    if (to_drop(v, sealing, false, &id)) return (struct keyring_decision){KEYRING_DROP, id};
    if (!to_ask(v, sealing, &id)) return (struct keyring_decision){KEYRING_WAIT, 0};
    if (v->ring_count < SEAL_KEYS_MAX) return (struct keyring_decision){KEYRING_ASK, id};
    bool newer = sealing == v->listed_count || place_of(v, id) > sealing;
    if (newer && to_drop(v, sealing, true, &id)) return (struct keyring_decision){KEYRING_DROP, id};
    return (struct keyring_decision){KEYRING_WAIT, 0};
}

static void write_ids(struct status *s, const uint32_t *ids, uint32_t count)
{
    s->key_count = count;
    for (uint32_t i = 0; i < count; i++)
        head_put_u32(s->key[i], ids[i]);
}

uint32_t keyring_ids(const struct gossip *g, uint32_t ids[SEAL_KEYS_MAX])
{
    uint32_t n = 0;
    while (n < SEAL_KEYS_MAX && g->crypto->ring_key(g->ring, n, &ids[n]) != NULL)
        n++;
    return n;
}

void keyring_init(struct gossip *g, uint64_t hold_ms)
{
    uint32_t ids[SEAL_KEYS_MAX];
    g->keyring.hold_ms = hold_ms != 0 ? hold_ms : KEYRING_HOLD_MS;
    write_ids(&g->self.status, ids, keyring_ids(g, ids));
}

static uint32_t id_of(const struct manifest_key *k)
{
    return head_get_u32(k->id);
}

void keyring_root(struct gossip *g, const struct manifest *m, const struct manifest_ref *ref)
{
    struct keyring *k = &g->keyring;
    k->root = *ref;
    k->root_ms = m->hlc >> HLC_COUNTER_BITS;
    k->count = m->key_count;
    memcpy(k->key, m->key, sizeof(k->key));
    k->enough_since_ms = k->unlisted_since_ms = 0;
    k->ask_ms = g->now_ms;
    sync_look_by(g, g->now_ms);
}

static bool has(const struct status *s, uint32_t id)
{
    for (uint32_t i = 0; i < s->key_count; i++)
        if (head_get_u32(s->key[i]) == id) return true;
    return false;
}

/* What is stored is announced, and nothing else. */
static void announce(struct gossip *g, const struct keyring_view *v)
{
    struct status s = g->self.status;
    bool same = s.key_count == v->ring_count;
    for (uint32_t i = 0; i < v->ring_count && same; i++)
        same = has(&s, v->ring[i]);
    if (same) return;
    write_ids(&s, v->ring, v->ring_count);
    self_status(g, &s, 0);
}

static bool says(const struct member *m, struct status *out)
{
    struct span status = member_status(m);
    return status.len > 0 && status_decode(status, out) == ERR_OK;
}

bool keyring_announced(const struct gossip *g, const struct member *m, uint32_t id)
{
    struct status s;
    if (m->self) return has(&g->self.status, id);
    return says(m, &s) && has(&s, id);
}

static void ask_the_mesh(struct gossip *g, struct keyring_view *v)
{
    struct keyring *k = &g->keyring;
    uint32_t newest = v->listed[v->listed_count - 1].id, holders = 0, alive = 0, known = 0;
    struct status s;
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        if (m->state == MEMBER_LEFT || m->state == MEMBER_BANNED) continue;
        known++;
        if (m->state > MEMBER_SUSPECT) continue;
        alive++;
        if (m->self) {
            holders += v->listed[v->listed_count - 1].held;
            continue;
        }
        if (!says(m, &s)) continue;
        holders += has(&s, newest);
        for (uint32_t j = 0; j < v->listed_count; j++)
            v->listed[j].available = v->listed[j].available || has(&s, v->listed[j].id);
    }
    uint64_t now = g->now_ms > 0 ? g->now_ms : 1;
    if (!keyring_enough(holders, alive, known))
        k->enough_since_ms = 0;
    else if (k->enough_since_ms == 0)
        k->enough_since_ms = now;
    v->enough_ms = k->enough_since_ms != 0 ? now - k->enough_since_ms : 0;
}

/* True: there may be something to decide. */
static bool look_around(struct gossip *g, struct keyring_view *v)
{
    struct keyring *k = &g->keyring;
    bool all_listed = true, all_held = true;
    *v = (struct keyring_view){.listed_count = k->count, .hold_ms = k->hold_ms};
    v->ring_count = keyring_ids(g, v->ring);
    announce(g, v);
    if (k->count == 0 || v->ring_count == 0) return false;
    for (uint32_t i = 0; i < k->count; i++) {
        struct keyring_listed *l = &v->listed[i];
        l->id = id_of(&k->key[i]);
        l->in_use = k->key[i].stage == MANIFEST_KEY_USE;
        for (uint32_t j = 0; j < v->ring_count; j++)
            l->held = l->held || v->ring[j] == l->id;
        all_held = all_held && l->held;
    }
    for (uint32_t j = 0; j < v->ring_count; j++)
        all_listed = all_listed && place_of(v, v->ring[j]) < k->count;
    uint64_t now = g->now_ms > 0 ? g->now_ms : 1;
    if (all_listed)
        k->unlisted_since_ms = 0;
    else if (k->unlisted_since_ms == 0)
        k->unlisted_since_ms = now;
    v->unlisted_ms = k->unlisted_since_ms != 0 ? now - k->unlisted_since_ms : 0;
    uint64_t wall = g->wall_ms > 0 ? (uint64_t)g->wall_ms : 0;
    v->age_ms = wall > k->root_ms ? wall - k->root_ms : 0;
    bool newest_seals = v->ring[0] == v->listed[k->count - 1].id;
    if (all_held && newest_seals && all_listed) return k->count > 1;
    ask_the_mesh(g, v);
    return true;
}

/* A random one of those who say that they have it. */
static struct member *holder_of(struct gossip *g, uint32_t id)
{
    struct member *chosen = NULL;
    struct status s;
    uint32_t seen = 0;
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        if (m->self || m->state > MEMBER_SUSPECT || !says(m, &s) || !has(&s, id)) continue;
        if (rng_below(&g->rng, ++seen) == 0) chosen = member_at(&g->members, i);
    }
    return chosen;
}

static void ask(struct gossip *g, uint32_t id)
{
    struct keyring *k = &g->keyring;
    struct member *m = g->now_ms >= k->ask_ms ? holder_of(g, id) : NULL;
    if (m == NULL) return;
    k->ask_ms = g->now_ms + KEYRING_ASK_MS;
    for (uint32_t i = 0; i < k->count; i++)
        if (id_of(&k->key[i]) == id) k->asked = k->key[i].hash;
    (void)stream_dial(g, m, NULL, STREAM_KEY);
}

static void follow_root(struct gossip *g)
{
    const struct manifest *root = g->policy.authority;
    struct manifest_ref ref = policy_root_ref(&g->policy);
    if (root != NULL && !manifest_ref_eq(&ref, &g->keyring.root)) keyring_root(g, root, &ref);
}

void keyring_look(struct gossip *g)
{
    struct keyring_view v;
    follow_root(g);
    if (!look_around(g, &v)) return;
    struct keyring_decision d = keyring_decide(&v);
    if (d.act == KEYRING_WAIT) return;
    if (d.act == KEYRING_ASK) {
        ask(g, d.id);
        return;
    }
    struct gossip_effect *e =
        event_push(g->fx, d.act == KEYRING_USE ? GOSSIP_KEY_USE : GOSSIP_KEY_DROP);
    if (e == NULL) return;
    e->key_id = d.id;
}

void keyring_missed(struct gossip *g, struct member *from)
{
    g->counters.dropped_key++;
    sync_suspect(g, from);
}

bool keyring_opened(struct gossip *g, struct stream *s)
{
    struct sync_message want = {.kind = SYNC_KEY_WANT,
                                .bytes =
                                    span_of(g->keyring.asked.byte, sizeof(g->keyring.asked.byte))};
    return stream_send(g, s, &want);
}

/* Who is bound is a member, by its admission and its TLS key; a group key is for no one else. */
bool keyring_wanted(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    struct sync_message answer = {.kind = SYNC_KEY, .bytes = span_of("", 0)};
    uint8_t hash[SEAL_KEY_HASH_BYTES];
    const uint8_t *key;
    uint32_t id;
    if (s->peer->state == MEMBER_LEFT || s->peer->state == MEMBER_BANNED) return false;
    for (size_t i = 0; (key = g->crypto->ring_key(g->ring, i, &id)) != NULL; i++) {
        seal_key_hash(key, hash);
        if (memcmp(hash, m->bytes.p, sizeof(hash)) == 0)
            answer.bytes = span_of(key, SEAL_KEY_BYTES);
    }
    return stream_send_secret(g, s, &answer);
}

static bool holds(const struct gossip *g, uint32_t id)
{
    uint32_t ids[SEAL_KEYS_MAX], count = keyring_ids(g, ids);
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id) return true;
    return false;
}

bool keyring_brought(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    uint8_t hash[SEAL_KEY_HASH_BYTES];
    if (s->purpose != STREAM_KEY || m->bytes.len != SEAL_KEY_BYTES) return false;
    seal_key_hash((const uint8_t *)m->bytes.p, hash);
    if (memcmp(hash, g->keyring.asked.byte, sizeof(hash)) != 0) return false;
    if (holds(g, head_get_u32(hash))) return false; /* asked twice */
    struct gossip_effect *e = event_push(g->fx, GOSSIP_KEY_STORE);
    if (e == NULL) return false;
    e->data = event_secret(g->fx, m->bytes);
    if (e->data.p == NULL) g->fx->count--;
    sync_look_by(g, g->now_ms + 1); /* it is stored then, and can be announced */
    return false;
}
