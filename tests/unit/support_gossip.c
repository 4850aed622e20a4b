#include "tests/unit/support_gossip.h"

#include "core/base/check.h"
#include "gossip/catalogue.h"

#include <stdio.h>
#include <stdlib.h>

static struct addr addr_of(uint32_t i)
{
    struct addr a = {.port = 7400, .family = ADDR_IP4, .ip = {10, 0, 0}};
    a.ip[3] = (uint8_t)(i + 1);
    return a;
}

static uint32_t peer_at(const struct addr *a)
{
    return (uint32_t)a->ip[3] - 1;
}

void lab_sign(struct lab *lab, uint32_t i)
{
    struct lab_peer *p = &lab->peer[i];
    const struct gossip_crypto *crypto = fake_crypto_ops();
    CHECK(status_seal(span_str(p->body), &p->status, p->envelope, sizeof(p->envelope),
                      &p->envelope_len) == ERR_OK);
    crypto->hash(span_of(p->persona.admission, p->persona.admission_len), p->head.admission_hash);
    crypto->hash(span_of(p->envelope, p->envelope_len), p->head.body_hash);
    head_sign(crypto, persona_key(&p->persona), &p->head);
}

struct offer lab_offer(struct lab *lab, uint32_t i)
{
    const struct lab_peer *p = &lab->peer[i];
    return (struct offer){.head = p->head,
                          .admission = span_of(p->persona.admission, p->persona.admission_len),
                          .body = span_of(p->envelope, p->envelope_len)};
}

static void make_machine(struct lab *lab)
{
    const struct persona *me = &lab->peer[0].persona;
    struct gossip_options o = {.mesh = lab->issuer.mesh,
                               .key = persona_key(me),
                               .admission = span_of(me->admission, me->admission_len),
                               .addr = addr_of(0),
                               .epoch = (uint64_t)LAB_WALL_MS,
                               .period_ms = 1000,
                               .datagram_bytes = DATAGRAM_BYTES_MAX,
                               .seed = 42,
                               .crypto = fake_crypto_ops()};
    memcpy(o.issuer_pk, lab->issuer.public_key, sizeof(o.issuer_pk));
    CHECK(gossip_new(&o, &lab->g) == ERR_OK);
}

void lab_init(struct lab *lab, uint32_t known)
{
    *lab = (struct lab){.now_ms = LAB_START_MS, .peers = known};
    CHECK(known <= LAB_PEERS && event_effects_init(&lab->fx) == ERR_OK);
    CHECK(persona_issuer_init(&lab->issuer, false, 7) == ERR_OK);
    for (uint32_t i = 0; i <= LAB_PEERS; i++) {
        struct lab_peer *p = &lab->peer[i];
        CHECK(persona_init(&p->persona, &lab->issuer, i) == ERR_OK);
        p->body = "web";
        p->head = (struct head){.owner = p->persona.id,
                                .epoch = (uint64_t)LAB_WALL_MS - 1000,
                                .version = 1,
                                .addr = addr_of(i)};
        lab_sign(lab, i);
    }
    make_machine(lab);
    for (uint32_t i = 1; i <= known; i++) {
        struct offer o = lab_offer(lab, i);
        CHECK(catalogue_take(lab->g, &o, NULL, CATALOGUE_RESTORED) == CATALOGUE_NEW);
    }
    struct gossip_event e = {.kind = GOSSIP_TICK};
    CHECK(lab_step(lab, &e) == ERR_OK);
    lab_run(lab, 4000, UINT32_MAX); /* its own record is told, and digests settle */
    lab_forget(lab);
}

void lab_fini(struct lab *lab)
{
    gossip_free(lab->g);
    for (uint32_t i = 0; i <= LAB_PEERS; i++)
        persona_fini(&lab->peer[i].persona);
    persona_issuer_fini(&lab->issuer);
    event_effects_fini(&lab->fx);
    free(lab->stream_data);
    free(lab->store);
}

static void keep_messages(struct lab *lab, const struct gossip_effect *e)
{
    uint32_t to = peer_at(&e->to);
    uint64_t summary;
    struct message_reader mr;
    CHECK(message_reader_init(&mr, fake_crypto_plain(e->data), &summary) == ERR_OK);
    while (lab->sent_count < LAB_SENT && message_next(&mr, &lab->sent[lab->sent_count].message)) {
        struct lab_sent *s = &lab->sent[lab->sent_count++];
        s->to = to;
        s->message.offer.admission.p = s->message.offer.admission.p ? "" : NULL;
        s->message.offer.body.p = s->message.offer.body.p ? "" : NULL;
    }
}

static void keep_bytes(char **owned, size_t *len, struct span s)
{
    free(*owned);
    *owned = malloc(s.len + 1);
    CHECK(*owned != NULL);
    memcpy(*owned, s.p, s.len);
    *len = s.len;
}

enum err lab_step(struct lab *lab, struct gossip_event *e)
{
    e->now_ms = lab->now_ms;
    e->wall_ms = LAB_WALL_MS + (int64_t)lab->now_ms + lab->wall_off_ms;
    enum err err = gossip_step(lab->g, e, &lab->fx);
    for (size_t i = 0; i < lab->fx.count; i++) {
        const struct gossip_effect *fx = &lab->fx.effect[i];
        if (fx->kind == GOSSIP_SEND_DATAGRAM) {
            keep_messages(lab, fx);
            continue;
        }
        if (fx->kind == GOSSIP_STREAM_SEND)
            keep_bytes(&lab->stream_data, &lab->stream_len, fx->data);
        if (fx->kind == GOSSIP_PERSIST) keep_bytes(&lab->store, &lab->store_len, fx->data);
        if (lab->effect_count < LAB_EFFECTS) lab->effect[lab->effect_count++] = *fx;
    }
    return err;
}

static size_t seal(struct lab *lab, uint32_t peer, uint64_t summary, const struct message *m,
                   uint8_t *out)
{
    struct lab_peer *p = &lab->peer[peer];
    uint8_t plain[PACKET_BYTES_MAX];
    struct pack_writer w;
    size_t len;
    pack_writer_init(&w, plain, sizeof(plain) - SEAL_OVERHEAD_BYTES);
    pack_write_array(&w, 2);
    pack_write_u64(&w, summary);
    message_write(&w, m);
    CHECK(pack_writer_ok(&w));
    struct seal_scope scope = {.mesh = &lab->issuer.mesh,
                               .sender = &p->persona.id,
                               .receiver = &lab->peer[0].persona.id,
                               .receiver_epoch = packet_epoch(lab->g->self.member->head)};
    struct seal_header h = {.epoch = p->head.epoch, .counter = ++p->counter};
    CHECK(fake_crypto_ops()->seal(&scope, &h, pack_writer_view(&w), out, PACKET_BYTES_MAX, &len) ==
          ERR_OK);
    return len;
}

size_t lab_seal(struct lab *lab, uint32_t peer, const struct message *m, uint8_t *out)
{
    return seal(lab, peer, digest_summary(&lab->g->digest), m, out);
}

void lab_datagram(struct lab *lab, uint32_t peer, const uint8_t *bytes, size_t len)
{
    struct gossip_event e = {
        .kind = GOSSIP_DATAGRAM, .from = lab->peer[peer].head.addr, .data = span_of(bytes, len)};
    CHECK(lab_step(lab, &e) == ERR_OK);
}

void lab_say(struct lab *lab, uint32_t peer, const struct message *m)
{
    uint8_t bytes[PACKET_BYTES_MAX];
    size_t len = lab_seal(lab, peer, m, bytes);
    lab_datagram(lab, peer, bytes, len);
}

void lab_differ(struct lab *lab, uint32_t peer)
{
    struct message m = {.kind = MESSAGE_NACK}; /* of nothing */
    uint8_t bytes[PACKET_BYTES_MAX];
    size_t len = seal(lab, peer, ~digest_summary(&lab->g->digest), &m, bytes);
    lab_datagram(lab, peer, bytes, len);
}

void lab_say_record(struct lab *lab, uint32_t peer, const struct offer *o)
{
    struct message m = {.kind = MESSAGE_RECORD, .offer = *o};
    lab_say(lab, peer, &m);
}

struct accusation lab_accuse(struct lab *lab, uint32_t target, uint32_t accuser)
{
    return lab_accuse_as(lab, target, accuser, ACCUSATION_SILENT);
}

struct accusation lab_accuse_as(struct lab *lab, uint32_t target, uint32_t accuser,
                                enum accusation_kind kind)
{
    const struct member *m = lab_member(lab, target);
    const struct persona *who = &lab->peer[accuser].persona;
    struct accusation a = {
        .target = m->head->owner, .epoch = m->head->epoch, .inc = m->head->inc, .count = 1};
    accusation_sign(fake_crypto_ops(), persona_key(who), &who->id, &a, kind, &a.vote[0]);
    return a;
}

/* Peers answer what was sent since `from`. */
static void answer(struct lab *lab, size_t from, uint32_t answers)
{
    for (size_t i = from; i < lab->sent_count; i++) {
        struct lab_sent s = lab->sent[i];
        if (s.message.kind != MESSAGE_PING || s.to > LAB_PEERS || !(answers >> s.to & 1)) continue;
        struct message ack = {.kind = MESSAGE_ACK, .seq = s.message.seq};
        lab_say(lab, s.to, &ack);
    }
}

void lab_run(struct lab *lab, uint64_t ms, uint32_t answers)
{
    uint64_t end = lab->now_ms + ms;
    for (;;) {
        uint64_t due = gossip_next_deadline_ms(lab->g);
        if (due > end) break;
        if (due > lab->now_ms) lab->now_ms = due;
        size_t before = lab->sent_count;
        struct gossip_event e = {.kind = GOSSIP_TICK};
        CHECK(lab_step(lab, &e) == ERR_OK);
        answer(lab, before, answers);
    }
    lab->now_ms = end;
}

void lab_stream_opened(struct lab *lab, uint32_t id, bool inbound, uint32_t peer)
{
    struct gossip_event e = {.kind = GOSSIP_STREAM_OPENED,
                             .stream = id,
                             .inbound = inbound,
                             .peer_name = lab->peer[peer].persona.name};
    memcpy(e.peer_spki, lab->peer[peer].persona.spki, sizeof(e.peer_spki));
    CHECK(lab_step(lab, &e) == ERR_OK);
}

void lab_stream_bytes(struct lab *lab, uint32_t id, struct span bytes)
{
    struct gossip_event e = {.kind = GOSSIP_STREAM_DATA, .stream = id, .data = bytes};
    CHECK(lab_step(lab, &e) == ERR_OK);
}

void lab_stream_data(struct lab *lab, uint32_t id, const struct sync_message *m)
{
    size_t room = SYNC_SMALL_BYTES_MAX + m->bytes.len + m->offer.admission.len + m->offer.body.len;
    uint8_t *bytes = malloc(room);
    struct pack_writer w;
    CHECK(bytes != NULL);
    pack_writer_init(&w, bytes, room);
    sync_message_write(&w, m);
    CHECK(pack_writer_ok(&w));
    lab_stream_bytes(lab, id, pack_writer_view(&w));
    free(bytes);
}

struct member *lab_member(struct lab *lab, uint32_t peer)
{
    return member_find(&lab->g->members, &lab->peer[peer].persona.id);
}

enum member_state lab_state(struct lab *lab, uint32_t peer)
{
    const struct member *m = lab_member(lab, peer);
    return m != NULL ? m->state : MEMBER_STATES;
}

size_t lab_count(const struct lab *lab, uint32_t to, enum message_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < lab->sent_count; i++) {
        const struct lab_sent *s = &lab->sent[i];
        n += s->message.kind == kind && (to == LAB_ANYONE || s->to == to);
    }
    return n;
}

const struct message *lab_last(const struct lab *lab, uint32_t to, enum message_kind kind)
{
    for (size_t i = lab->sent_count; i > 0; i--) {
        const struct lab_sent *s = &lab->sent[i - 1];
        if (s->message.kind == kind && (to == LAB_ANYONE || s->to == to)) return &s->message;
    }
    return NULL;
}

size_t lab_effects(const struct lab *lab, enum gossip_effect_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < lab->effect_count; i++)
        n += lab->effect[i].kind == kind;
    return n;
}

const struct gossip_effect *lab_effect(const struct lab *lab, enum gossip_effect_kind kind)
{
    for (size_t i = lab->effect_count; i > 0; i--)
        if (lab->effect[i - 1].kind == kind) return &lab->effect[i - 1];
    return NULL;
}

void lab_forget(struct lab *lab)
{
    lab->sent_count = 0;
    lab->effect_count = 0;
}
