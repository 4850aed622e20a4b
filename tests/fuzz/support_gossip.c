#include "tests/fuzz/support_gossip.h"

#include "core/base/check.h"
#include "gossip/catalogue.h"
#include "gossip/packet.h"

#include <stdio.h>

#define WALL_MS    INT64_C(1767225600000)
#define CERT_BYTES (SIGN_PUBLIC_BYTES + 2u)
#define KEY_ID_AT  4u /* its last byte, which says for whom a packet was sealed */
#define EPOCH_AT   13u
#define COUNTER_AT 19u

static enum err seal(const struct seal_scope *scope, const struct seal_header *h, struct span plain,
                     uint8_t *out, size_t cap, size_t *len)
{
    (void)scope;
    (void)h;
    if (plain.len + SEAL_OVERHEAD_BYTES > cap) return ERR_TOO_LARGE;
    memset(out, 0, plain.len + SEAL_OVERHEAD_BYTES);
    *len = plain.len + SEAL_OVERHEAD_BYTES;
    return ERR_OK;
}

static enum err open_packet(const struct seal_scope *scope, struct span packet, uint8_t *out,
                            size_t cap, size_t *len)
{
    bool hail = packet.len > KEY_ID_AT && packet.p[KEY_ID_AT] == 'h';
    if (hail != (scope->receiver_epoch == 0)) return ERR_AUTH;
    if (packet.len < SEAL_OVERHEAD_BYTES || packet.len - SEAL_OVERHEAD_BYTES > cap) return ERR_AUTH;
    *len = packet.len - SEAL_OVERHEAD_BYTES;
    memcpy(out, packet.p + SEAL_HEADER_BYTES, *len);
    return ERR_OK;
}

static void sign(const struct sign_key *k, const char *domain, struct span msg,
                 uint8_t sig[SIGN_BYTES])
{
    (void)k;
    (void)domain;
    (void)msg;
    memset(sig, 1, SIGN_BYTES);
}

/* A signature is good when it begins with anything but nought. */
static bool verify(const uint8_t pk[SIGN_PUBLIC_BYTES], const char *domain, struct span msg,
                   const uint8_t sig[SIGN_BYTES])
{
    (void)pk;
    (void)domain;
    (void)msg;
    return sig[0] != 0;
}

/* Public key, of which the first half is the id, then the name. */
static enum err admission_open(struct span cert, const uint8_t issuer_pk[SIGN_PUBLIC_BYTES],
                               const struct mesh_id *mesh, int64_t now_s,
                               struct sign_admission *out)
{
    (void)issuer_pk;
    (void)now_s;
    if (cert.len <= SIGN_PUBLIC_BYTES) return ERR_INVALID;
    *out = (struct sign_admission){.mesh = *mesh, .not_after_s = INT64_MAX};
    memcpy(out->public_key, cert.p, SIGN_PUBLIC_BYTES);
    memcpy(out->node.byte, cert.p, NODE_ID_BYTES);
    return name_set(&out->name, span_skip(cert, SIGN_PUBLIC_BYTES));
}

void rig_hash(struct span bytes, uint8_t out[CRYPTO_OPS_HASH_BYTES])
{
    memset(out, 0, CRYPTO_OPS_HASH_BYTES);
    for (size_t i = 0; i < bytes.len; i++)
        out[i % CRYPTO_OPS_HASH_BYTES] ^= (uint8_t)bytes.p[i];
}

static const uint8_t *ring_key(const struct seal_ring *r, size_t i, uint32_t *key_id)
{
    static const uint8_t key[SEAL_KEY_BYTES] = {'k', 'e', 'y'};
    (void)r;
    *key_id = 1;
    return i == 0 ? key : NULL;
}

static const struct gossip_crypto permissive = {.seal = seal,
                                                .open = open_packet,
                                                .ring_key = ring_key,
                                                .sign = sign,
                                                .verify = verify,
                                                .admission_open = admission_open,
                                                .hash = rig_hash};

static const uint8_t cert[RIG_PEERS_MAX + 1][CERT_BYTES] = {
    {[0] = 'a', [SIGN_PUBLIC_BYTES] = 'n', '0'}, {[0] = 'b', [SIGN_PUBLIC_BYTES] = 'n', '1'},
    {[0] = 'c', [SIGN_PUBLIC_BYTES] = 'n', '2'}, {[0] = 'd', [SIGN_PUBLIC_BYTES] = 'n', '3'},
    {[0] = 'e', [SIGN_PUBLIC_BYTES] = 'n', '4'}, {[0] = 'f', [SIGN_PUBLIC_BYTES] = 'n', '5'},
    {[0] = 'g', [SIGN_PUBLIC_BYTES] = 'n', '6'}, {[0] = 'h', [SIGN_PUBLIC_BYTES] = 'n', '7'}};

struct offer rig_offer(const struct rig *r, uint32_t peer)
{
    return (struct offer){.head = r->head[peer],
                          .admission = span_of(cert[peer], CERT_BYTES),
                          .body = span_str("web")};
}

void rig_restore(struct rig *r, struct span persisted)
{
    *r = (struct rig){.now_ms = 1000};
    CHECK(event_effects_init(&r->fx) == ERR_OK);
    struct gossip_options o = {.admission = span_of(cert[0], CERT_BYTES),
                               .addr = {.ip = {10, 0, 0, 1}, .port = 7400, .family = ADDR_IP4},
                               .epoch = (uint64_t)WALL_MS,
                               .period_ms = 1000,
                               .datagram_bytes = DATAGRAM_BYTES_MAX,
                               .seed = 1,
                               .persisted = persisted,
                               .crypto = &permissive};
    CHECK(gossip_new(&o, &r->g) == ERR_OK);
}

void rig_init(struct rig *r)
{
    rig_init_of(r, RIG_PEERS);
}

void rig_init_of(struct rig *r, uint32_t peers)
{
    rig_restore(r, span_of(NULL, 0));
    for (uint32_t i = 1; i <= peers; i++) {
        struct head *h = &r->head[i];
        *h = (struct head){
            .epoch = (uint64_t)WALL_MS,
            .version = 1,
            .addr = {.ip = {10, 0, 0, (uint8_t)(i + 1)}, .port = 7400, .family = ADDR_IP4}};
        memcpy(h->owner.byte, cert[i], NODE_ID_BYTES);
        rig_hash(span_of(cert[i], CERT_BYTES), h->admission_hash);
        rig_hash(span_str("web"), h->body_hash);
        h->sig[0] = 1;
        struct offer offer = rig_offer(r, i);
        CHECK(catalogue_take(r->g, &offer, NULL, CATALOGUE_RESTORED) == CATALOGUE_NEW);
    }
}

void rig_fini(struct rig *r)
{
    gossip_free(r->g);
    event_effects_fini(&r->fx);
}

void rig_step(struct rig *r, struct gossip_event *e)
{
    e->now_ms = r->now_ms;
    e->wall_ms = WALL_MS + (int64_t)r->now_ms;
    enum err err = gossip_step(r->g, e, &r->fx);
    CHECK(err == ERR_OK || err == ERR_FULL);
}

void rig_datagram(struct rig *r, uint32_t who, struct span plain, bool hail)
{
    uint8_t packet[PACKET_BYTES_MAX] = {1};
    if (plain.len > sizeof(packet) - SEAL_OVERHEAD_BYTES) return;
    const struct head *h = &r->head[who];
    if (hail) packet[KEY_ID_AT] = 'h';
    memcpy(packet + 5, h->owner.byte, NODE_ID_SHORT_BYTES);
    for (size_t i = 0; i < 6; i++) {
        packet[EPOCH_AT + i] = (uint8_t)(h->epoch >> (40 - 8 * i));
        packet[COUNTER_AT + i] = (uint8_t)(r->counter >> (40 - 8 * i));
    }
    r->counter++;
    if (plain.len > 0) memcpy(packet + SEAL_HEADER_BYTES, plain.p, plain.len);
    struct gossip_event e = {.kind = GOSSIP_DATAGRAM,
                             .from = h->addr,
                             .data = span_of(packet, plain.len + SEAL_OVERHEAD_BYTES)};
    rig_step(r, &e);
}

static void check_member(const struct member *m)
{
    const struct member_care *c = m->care;
    bool waits = m->state != MEMBER_ALIVE && m->state != MEMBER_BANNED;
    CHECK(!m->lossy || m->state == MEMBER_UNREACHABLE);
    CHECK(!waits || (c != NULL && timer_armed(&c->timer)));
    if (c == NULL) return;
    const struct accusation *a = c->accusation;
    CHECK(!list_linked(&c->rumour[RUMOUR_ACCUSATION].link) || a != NULL);
    CHECK(!list_linked(&c->accused_link) || a != NULL);
    CHECK((c->accused_print != 0) == list_linked(&c->accused_link));
    if (a == NULL) return;
    CHECK(a->count > 0 && a->count <= TUNING_ACCUSERS_MAX);
    CHECK(name_node_id_cmp(&a->target, &m->head->owner) == 0 && !m->self);
    CHECK(!m->lossy || a->inc == m->head->inc);
}

void rig_check(const struct rig *r)
{
    const struct gossip *g = r->g;
    uint32_t live = 0, dead = 0, alive = 0;
    size_t rumours = 0;
    uint64_t accused = 0;
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        live += member_is_live(m);
        dead += m->state == MEMBER_DEAD;
        alive += m->state == MEMBER_ALIVE;
        check_member(m);
        for (size_t k = 0; m->care != NULL && k < RUMOUR_KINDS; k++)
            rumours += list_linked(&m->care->rumour[k].link);
        if (m->care != NULL) accused += m->care->accused_print;
    }
    CHECK(live == g->members.live && dead == g->members.dead && alive == g->alive);
    CHECK(rumours == g->broadcast.count);
    CHECK(accused == g->digest.accused);
}

void rig_run(struct rig *r, uint64_t ms)
{
    uint64_t end = r->now_ms + ms;
    while (gossip_next_deadline_ms(r->g) <= end) {
        uint64_t due = gossip_next_deadline_ms(r->g);
        struct gossip_event tick = {.kind = GOSSIP_TICK};
        if (due > r->now_ms) r->now_ms = due;
        rig_step(r, &tick);
    }
    r->now_ms = end;
    rig_check(r);
}

bool rig_next(struct span *input, uint32_t *who, struct span *message)
{
    if (input->len < 2) return false;
    const uint8_t *p = (const uint8_t *)input->p;
    size_t len = (size_t)(p[0] & 0x3f) << 8 | p[1];
    *who = p[0] >> 6;
    *input = span_skip(*input, 2);
    if (len > input->len) len = input->len;
    *message = span_of(input->p, len);
    *input = span_skip(*input, len);
    return true;
}
