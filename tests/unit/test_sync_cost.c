#include "gossip/archive.h"
#include "gossip/catalogue.h"
#include "gossip/state.h"
#include "gossip/status.h"
#include "tests/sim/persona.h"
#include "tests/sim/prefill.h"

#include <stdlib.h>
#include <string.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#define NODES       10000u
#define DIFFERENT   10u
#define BYTES_MAX   20480u
#define WALL_MS     INT64_C(1767225600000)
#define START_MS    1000u
#define RECORD_TEXT 240u /* what a node with three services announces */
/* TCP and IP headers of each message's segment, and TLS 1.2's of its record. */
#define MESSAGE_OVERHEAD (4u + 40u + 29u)

/* Two machines of a mesh of 10 000, with real keys; all others exist as records only. */
struct pair {
    struct persona_issuer issuer;
    struct persona *persona; /* owned */
    struct archive *archive;
    struct prefill *image;
    struct gossip *g[2]; /* nodes 0 and 1 */
    struct gossip_effects fx[2];
    uint64_t now_ms;
    size_t bytes, messages;
    bool over;
};

static struct addr addr_of(uint32_t i)
{
    struct addr a = {.port = 7400, .family = ADDR_IP4, .ip = {10}};
    a.ip[1] = (uint8_t)((i + 1) >> 16);
    a.ip[2] = (uint8_t)((i + 1) >> 8);
    a.ip[3] = (uint8_t)(i + 1);
    return a;
}

/* A record of node i as it announces it in that version. */
static struct offer record(struct pair *p, uint32_t i, uint64_t version, uint8_t *body)
{
    const struct gossip_crypto *crypto = crypto_ops_real();
    struct persona *who = &p->persona[i];
    char text[RECORD_TEXT];
    struct status status = {0};
    size_t len;
    memset(text, 'a' + (int)(version % 26), sizeof(text));
    assert_int_equal(status_seal(span_of(text, sizeof(text)), &status, body,
                                 RECORD_TEXT + STATUS_BYTES_MAX + 16, &len),
                     ERR_OK);
    struct offer o = {.head = {.owner = who->id,
                               .epoch = (uint64_t)WALL_MS - 1000,
                               .version = version,
                               .addr = addr_of(i)},
                      .admission = span_of(who->admission, who->admission_len),
                      .body = span_of(body, len)};
    crypto->hash(o.admission, o.head.admission_hash);
    crypto->hash(o.body, o.head.body_hash);
    head_sign(crypto, persona_key(who), &o.head);
    return o;
}

static void take(struct pair *p, uint32_t by, uint32_t i, uint64_t version)
{
    uint8_t body[RECORD_TEXT + STATUS_BYTES_MAX + 16];
    struct offer o = record(p, i, version, body);
    assert_int_equal(catalogue_take(p->g[by], &o, NULL, CATALOGUE_RESTORED), CATALOGUE_NEW);
}

static void make(struct pair *p, uint32_t by)
{
    const struct persona *who = &p->persona[by];
    struct gossip_options o = {.mesh = p->issuer.mesh,
                               .key = persona_key(who),
                               .admission = span_of(who->admission, who->admission_len),
                               .ring = p->issuer.ring,
                               .addr = addr_of(by),
                               .epoch = (uint64_t)WALL_MS - 1000,
                               .wall_ms = WALL_MS,
                               .period_ms = 1000,
                               .datagram_bytes = DATAGRAM_BYTES_MAX,
                               .seed = by + 1,
                               .archive = p->archive,
                               .storeless = true};
    memcpy(o.issuer_pk, p->issuer.public_key, sizeof(o.issuer_pk));
    assert_int_equal(gossip_new(&o, &p->g[by]), ERR_OK);
    assert_int_equal(event_effects_init(&p->fx[by]), ERR_OK);
}

static void pair_init(struct pair *p)
{
    const struct hash_key key = {"sync cost"};
    *p = (struct pair){.now_ms = START_MS};
    p->persona = calloc(NODES, sizeof(p->persona[0]));
    assert_non_null(p->persona);
    assert_int_equal(archive_new(&key, &p->archive), ERR_OK);
    assert_int_equal(persona_issuer_init(&p->issuer, true, 3), ERR_OK);
    for (uint32_t i = 0; i < NODES; i++)
        assert_int_equal(persona_init(&p->persona[i], &p->issuer, i), ERR_OK);
    make(p, 0);
    make(p, 1);
    for (uint32_t i = 1; i < NODES; i++)
        take(p, 0, i, 1);
    assert_int_equal(prefill_new(p->g[0], &p->image), ERR_OK);
    assert_int_equal(prefill_take(p->g[1], p->image), ERR_OK);
}

static void pair_fini(struct pair *p)
{
    for (uint32_t by = 0; by < 2; by++) {
        gossip_free(p->g[by]);
        event_effects_fini(&p->fx[by]);
    }
    prefill_free(p->image);
    for (uint32_t i = 0; i < NODES; i++)
        persona_fini(&p->persona[i]);
    persona_issuer_fini(&p->issuer);
    archive_unref(p->archive);
    free(p->persona);
}

static void step(struct pair *p, uint32_t by, struct gossip_event *e)
{
    e->now_ms = p->now_ms;
    e->wall_ms = WALL_MS + (int64_t)p->now_ms;
    enum err err = gossip_step(p->g[by], e, &p->fx[by]);
    assert_true(err == ERR_OK || err == ERR_FULL);
}

#define INBOUND (STREAM_INBOUND_BIT | 7u)
#define QUEUE   64u

/* What is on its way between the two, oldest first. */
struct way {
    struct {
        uint32_t to;
        char *data; /* owned */
        size_t len;
    } message[QUEUE];
    size_t first, count;
    uint32_t dialled; /* node 0's stream to node 1; 0: none yet */
};

static void opened(struct pair *p, struct way *w, uint32_t by)
{
    struct gossip_event e = {.kind = GOSSIP_STREAM_OPENED,
                             .stream = by == 0 ? w->dialled : INBOUND,
                             .inbound = by == 1,
                             .peer_name = p->persona[1 - by].name};
    memcpy(e.peer_spki, p->persona[1 - by].spki, sizeof(e.peer_spki));
    step(p, by, &e);
}

static void apply(struct pair *p, struct way *w, uint32_t by)
{
    for (size_t i = 0; i < p->fx[by].count; i++) {
        const struct gossip_effect *e = &p->fx[by].effect[i];
        uint32_t ours = by == 0 ? w->dialled : INBOUND;
        bool to_peer = name_node_id_cmp(&e->node, &p->persona[1].id) == 0;
        if (by == 0 && e->kind == GOSSIP_STREAM_OPEN && to_peer && w->dialled == 0)
            w->dialled = e->stream;
        if (w->dialled == 0 || e->stream != ours) continue;
        if (e->kind == GOSSIP_STREAM_CLOSE) p->over = true;
        if (e->kind != GOSSIP_STREAM_SEND) continue;
        assert_true(w->count < QUEUE);
        w->message[w->count].to = 1 - by;
        w->message[w->count].len = e->data.len;
        w->message[w->count].data = malloc(e->data.len);
        memcpy(w->message[w->count++].data, e->data.p, e->data.len);
        p->bytes += e->data.len + MESSAGE_OVERHEAD;
        p->messages++;
    }
}

static void deliver(struct pair *p, struct way *w)
{
    for (; w->first < w->count; w->first++) {
        uint32_t to = w->message[w->first].to;
        struct gossip_event e = {.kind = GOSSIP_STREAM_DATA,
                                 .stream = to == 0 ? w->dialled : INBOUND,
                                 .data =
                                     span_of(w->message[w->first].data, w->message[w->first].len)};
        step(p, to, &e);
        apply(p, w, to);
        free(w->message[w->first].data);
    }
}

/* Node 0 has twice heard another digest from node 1, and looks for the difference. */
static void synchronise(struct pair *p)
{
    struct way w = {0};
    struct gossip_event tick = {.kind = GOSSIP_TICK};
    struct sync *y = &p->g[0]->sync;
    step(p, 0, &tick);
    step(p, 1, &tick);
    memcpy(y->mismatch_id, p->persona[1].id.byte, sizeof(y->mismatch_id));
    y->mismatches = 2;
    for (uint32_t i = 0; i < 200 && !p->over; i++) {
        p->now_ms += 10;
        for (uint32_t by = 0; by < 2; by++) {
            bool was = w.dialled != 0;
            tick = (struct gossip_event){.kind = GOSSIP_TICK};
            step(p, by, &tick);
            apply(p, &w, by);
            if (was || w.dialled == 0) continue;
            opened(p, &w, 1);
            apply(p, &w, 1);
            opened(p, &w, 0);
            apply(p, &w, 0);
        }
        deliver(p, &w);
    }
}

static uint64_t version_at(struct pair *p, uint32_t by, uint32_t i)
{
    const struct member *m = member_find(&p->g[by]->members, &p->persona[i].id);
    assert_non_null(m);
    assert_false(m->body_missing);
    return m->head->version;
}

static void test_ten_differences_of_ten_thousand_cost_20_kb(void **state)
{
    struct pair *p = *state;
    for (uint32_t i = 0; i < DIFFERENT; i++)
        take(p, i % 2, 1000 + 700 * i, 2);
    synchronise(p);
    assert_true(p->over);
    print_message("# %zu bytes in %zu messages, headers of TCP, IP and TLS included\n", p->bytes,
                  p->messages);
    for (uint32_t by = 0; by < 2; by++)
        for (uint32_t i = 0; i < DIFFERENT; i++)
            assert_int_equal(version_at(p, by, 1000 + 700 * i), 2);
    assert_int_equal(p->g[0]->counters.dropped_malformed, 0);
    assert_int_equal(p->g[1]->counters.dropped_malformed, 0);
    assert_in_range(p->bytes, 1, BYTES_MAX);
}

static int setup(void **state)
{
    struct pair *p = malloc(sizeof(*p));
    if (p == NULL) return -1;
    pair_init(p);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    pair_fini(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ten_differences_of_ten_thousand_cost_20_kb, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
