#include "gossip/packet.h"

#include "gossip/state.h"
#include "gossip/suspicion.h"

#define EPOCH_MASK UINT64_C(0xffffffffffff)
#define HAIL_EPOCH 0u /* nobody's life: they are numbered by the clock */

uint64_t packet_epoch(const struct head *h)
{
    return h->epoch & EPOCH_MASK;
}

/* The newest life of a member that we know of, by its record or an authentic packet. */
static uint64_t epoch_of(const struct member *m)
{
    uint64_t announced = packet_epoch(m->head);
    uint64_t seen = m->contact != NULL ? m->contact->window.epoch : 0;
    return announced > seen ? announced : seen;
}

static void begin(const struct gossip *g, struct packet *p, struct member *to, uint64_t to_epoch)
{
    p->to = to;
    p->to_epoch = to_epoch;
    p->messages = p->rumours = 0;
    memset(p->kinds, 0, sizeof(p->kinds));
    pack_writer_init(&p->writer, p->bytes + PACKET_HEADING_BYTES,
                     g->datagram_bytes - SEAL_OVERHEAD_BYTES - PACKET_HEADING_BYTES);
}

void packet_begin_hail(const struct gossip *g, struct packet *p, struct member *to)
{
    begin(g, p, to, HAIL_EPOCH);
}

void packet_begin(struct gossip *g, struct packet *p, struct member *to)
{
    begin(g, p, to, epoch_of(to));
    /* gossip.md 3.2 item 6: whoever is accused hears of it first. */
    struct message m = {.kind = MESSAGE_ACCUSED};
    if (!suspicion_charge(g, to, &m.accusation)) return;
    accusation_shorten(&m.accusation, TUNING_ACCUSED_VOTES);
    (void)packet_add(p, &m);
    if (to->care != NULL) to->care->poked_ms = g->now_ms > 0 ? g->now_ms : 1;
}

bool packet_add(struct packet *p, const struct message *m)
{
    size_t before = p->writer.len;
    message_write(&p->writer, m);
    if (pack_writer_ok(&p->writer)) {
        p->messages++;
        p->kinds[m->kind]++;
        return true;
    }
    p->writer.len = before;
    p->writer.overflow = false;
    return false;
}

/* The plaintext, its heading put right in front of the messages. */
static struct span finish(struct gossip *g, struct packet *p)
{
    uint8_t heading[PACKET_HEADING_BYTES];
    struct pack_writer w;
    pack_writer_init(&w, heading, sizeof(heading));
    pack_write_array(&w, p->messages + 1);
    pack_write_u64(&w, digest_summary(&g->digest));
    CHECK(pack_writer_ok(&w));
    uint8_t *start = p->bytes + PACKET_HEADING_BYTES - w.len;
    memcpy(start, heading, w.len);
    return span_of(start, w.len + p->writer.len);
}

static bool seal(struct gossip *g, struct packet *p, struct gossip_effect *e)
{
    size_t len;
    struct span text = finish(g, p);
    uint8_t *out = arena_alloc(&g->fx->arena, text.len + SEAL_OVERHEAD_BYTES);
    if (out == NULL) return false;
    struct seal_scope scope = {.ring = g->ring,
                               .mesh = &g->mesh,
                               .sender = &g->self.member->head->owner,
                               .receiver = &p->to->head->owner,
                               .receiver_epoch = p->to_epoch};
    if (!pairing_secret(g, p->to, &scope.shared)) return false;
    struct seal_header h = {.epoch = g->self.member->head->epoch, .counter = ++g->packet_counter};
    if (g->crypto->seal(&scope, &h, text, out, text.len + SEAL_OVERHEAD_BYTES, &len) != ERR_OK)
        return false;
    e->data = span_of(out, len);
    return true;
}

bool packet_send_plain(struct gossip *g, struct packet *p, enum packet_pay pay,
                       const struct addr *to)
{
    if (p->messages == 0) return false;
    uint64_t bytes = SEAL_OVERHEAD_BYTES + PACKET_HEADING_BYTES + p->writer.len;
    if (!bucket_take(&g->pay, g->now_ms, bytes, pay == PACKET_PROBE ? 0 : TUNING_RESERVE_BYTES)) {
        g->counters.dropped_budget++;
        return false;
    }
    struct gossip_effect *e = event_push(g->fx, GOSSIP_SEND_DATAGRAM);
    if (e == NULL || !seal(g, p, e)) {
        if (e != NULL) g->fx->count--;
        g->counters.dropped_budget++;
        return false;
    }
    e->to = *to;
    e->node = p->to->head->owner;
    g->counters.datagrams_sent++;
    g->counters.bytes_sent += e->data.len;
    for (size_t i = 0; i < MESSAGE_KINDS; i++)
        g->told[i].sent += p->kinds[i];
    return true;
}

bool packet_send(struct gossip *g, struct packet *p, enum packet_pay pay)
{
    /* Who is probably not there is told no news: it would count as sent. */
    if (p->to->state < MEMBER_UNREACHABLE || p->to->lossy) broadcast_fill(g, p);
    return packet_send_plain(g, p, pay, &p->to->head->addr);
}

void packet_send_one(struct gossip *g, struct member *to, const struct message *m)
{
    struct packet p;
    packet_begin(g, &p, to);
    if (packet_add(&p, m)) (void)packet_send(g, &p, PACKET_PROBE);
}

/* A restarted member's datagrams are good before its new record has come, from the address we know
 * or when it is missed already. While it is well, a newer epoch from elsewhere is a clone's, and
 * must not move the window away from the one who is there. */
static bool epoch_fits(const struct member *m, uint64_t epoch, const struct addr *from)
{
    uint64_t known = packet_epoch(m->head);
    if (epoch <= known) return epoch == known;
    return m->state != MEMBER_ALIVE || addr_eq(from, &m->head->addr);
}

struct member *packet_open(struct gossip *g, struct span datagram, const struct addr *from,
                           uint8_t *plain, size_t *len, bool *hail)
{
    struct seal_header h;
    *hail = false;
    if (datagram.len > PACKET_BYTES_MAX || seal_peek(datagram, &h) != ERR_OK) {
        g->counters.dropped_malformed++;
        return NULL;
    }
    struct member *m = member_find_short(&g->members, h.sender);
    if (m == NULL || m->self) {
        if (m == NULL) pull_stranger(g, h.sender);
        g->counters.dropped_unknown_sender++;
        return NULL;
    }
    struct seal_scope scope = {.ring = g->ring,
                               .mesh = &g->mesh,
                               .sender = &m->head->owner,
                               .receiver = &g->self.member->head->owner,
                               .receiver_epoch = packet_epoch(g->self.member->head)};
    if (!pairing_secret(g, m, &scope.shared)) return NULL;
    enum err err = g->crypto->open(&scope, datagram, plain, PACKET_BYTES_MAX, len);
    if (err == ERR_NOT_FOUND) keyring_missed(g, m);
    if (err == ERR_AUTH) {
        scope.receiver_epoch = HAIL_EPOCH;
        err = g->crypto->open(&scope, datagram, plain, PACKET_BYTES_MAX, len);
        *hail = err == ERR_OK;
    }
    if (err != ERR_OK) {
        g->counters.dropped_auth++;
        return NULL;
    }
    if (*hail) return m;
    struct member_contact *c = member_contact(&g->members, m);
    if (c == NULL || !epoch_fits(m, h.epoch, from) ||
        seal_window_check(&c->window, h.epoch, h.counter) != ERR_OK) {
        g->counters.dropped_replay++;
        return NULL;
    }
    c->heard_ms = g->now_ms;
    m->restored = false;
    return m;
}
