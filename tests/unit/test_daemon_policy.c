/* A daemon that holds mesh policy, and a member that asks it for more than its share, over mutual
 * TLS as members do. */
#include "tests/unit/support_daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cmd/daemon/daemon.h"
#include "cmd/daemon/mesh.h"
#include "cmd/daemon/mesh_stream.h"
#include "core/crypto/sign_manifest.h"
#include "gossip/sync_message.h"
#include "tests/unit/support_offer.h"

#define SOON_MS    30000u
#define TEXT_BYTES 400000u
#define BURST      (1024u * 1024)     /* of answers, in bytes */
#define RATE       (2u * 1024 * 1024) /* a second */

struct rogue {
    struct support_daemon mesh;
    struct daemon *d; /* the member, of which the rogue has the keys */
    struct mesh_stream *streams;
    struct loop_timer guard;
    struct sign_key *operator_key;
    struct manifest_hash text;
    unsigned at_once, want, answers;
    size_t bytes;
    bool closed;
};

static void send_message(struct rogue *r, uint32_t stream, const struct sync_message *m)
{
    uint8_t bytes[4096];
    struct pack_writer w;
    pack_writer_init(&w, bytes, sizeof bytes);
    sync_message_write(&w, m);
    assert_true(pack_writer_ok(&w));
    mesh_stream_send(r->streams, stream, pack_writer_view(&w));
}

static void ask(struct rogue *r, uint32_t stream)
{
    const struct gossip *g = mesh_gossip(r->d->mesh);
    struct sync_message m = {.kind = SYNC_POLICY_ASK,
                             .root = gossip_policy_head(g, MANIFEST_ROOT),
                             .head = gossip_policy_head(g, MANIFEST_POLICY),
                             .bytes = span_of(r->text.byte, sizeof r->text.byte)};
    send_message(r, stream, &m);
}

static void on_opened(void *owner, uint32_t stream, bool inbound, const struct x509_leaf *peer)
{
    struct rogue *r = owner;
    struct sync_message hello = {.kind = SYNC_HELLO};
    (void)inbound;
    (void)peer;
    support_offer_self(mesh_gossip(r->d->mesh), &hello.offer);
    send_message(r, stream, &hello);
    for (unsigned i = 0; i < r->at_once; i++)
        ask(r, stream);
}

static void on_message(void *owner, uint32_t stream, struct span message)
{
    struct rogue *r = owner;
    struct sync_message m;
    if (sync_message_read(message, &m) != ERR_OK || m.kind != SYNC_POLICY_HAVE) return;
    r->bytes += message.len;
    if (++r->answers == r->want)
        loop_stop(r->d->loop);
    else if (r->at_once == 1)
        ask(r, stream);
}

static void on_closed(void *owner, uint32_t stream, enum err err)
{
    struct rogue *r = owner;
    (void)stream;
    (void)err;
    r->closed = true;
    loop_stop(r->d->loop);
}

static void guard_expired(struct loop_timer *t)
{
    loop_stop(CONTAINER_OF(t, struct rogue, guard)->d->loop);
}

/* So many asks at once, and with one, another after each answer; until `want` have come or the
 * stream is closed. */
static void flood(struct rogue *r, uint32_t stream, unsigned at_once, unsigned want)
{
    struct addr to;
    struct name name;
    assert_int_equal(addr_parse(span_str(r->mesh.node[0].addr), 7400, &to), ERR_OK);
    assert_int_equal(name_set(&name, SPAN_LIT("h1")), ERR_OK);
    r->at_once = at_once;
    r->want = want;
    r->answers = 0;
    r->bytes = 0;
    r->closed = false;
    r->guard.on_expire = guard_expired;
    mesh_stream_open(r->streams, stream, &to, &name);
    loop_timer_set(r->d->loop, &r->guard, loop_now_ms(r->d->loop) + SOON_MS);
    loop_run(r->d->loop);
    loop_timer_clear(r->d->loop, &r->guard);
    mesh_stream_close(r->streams, stream);
}

static bool both_are_there(struct daemon *d)
{
    return mesh_reachable(d->mesh) == 2;
}

static bool both_have_it(struct daemon *d)
{
    const struct gossip *g = mesh_gossip(d->mesh);
    struct gossip_member m;
    struct status s;
    size_t pos = 0, have = 0;
    while (gossip_member_next(g, &pos, &m)) {
        if (m.self)
            gossip_policy_status(g, &s);
        else if (gossip_policy_member_status(g, &m.id, &s) != ERR_OK)
            continue;
        have += s.state == STATUS_APPLIED;
    }
    return have == 2;
}

static void hand_in(struct rogue *r, struct manifest *m, const struct sign_key *by,
                    const struct span *text)
{
    uint8_t wire[MANIFEST_BYTES_MAX];
    size_t len;
    enum policy_refusal why;
    m->hlc = loop_wall_us(r->d->loop) / 1000u << 16;
    m->author = (struct name){"op"};
    m->signer_count = 1;
    m->signer[0] = sign_manifest_key_id(sign_key_public(by));
    assert_int_equal(sign_manifest_make(&r->mesh.id, m, &by, wire, &len), ERR_OK);
    assert_int_equal(mesh_intent(r->d->mesh, span_of(wire, len), text, text != NULL, &why), ERR_OK);
}

/* One operator, and one generation with a text so long that three answers with it are a burst. */
static void apply_long_text(struct rogue *r)
{
    struct manifest root = {.scope = MANIFEST_ROOT, .gen = 1, .operator_count = 1};
    struct manifest policy = {.scope = MANIFEST_POLICY,
                              .gen = 1,
                              .root_gen = 1,
                              .plan = manifest_plan_default(),
                              .text_count = 1};
    char *bytes = malloc(TEXT_BYTES);
    assert_non_null(bytes);
    memset(bytes, '#', TEXT_BYTES);
    struct span text = span_of(bytes, TEXT_BYTES);
    assert_int_equal(sign_key_new(NULL, &r->operator_key), ERR_OK);
    root.op[0] = (struct manifest_operator){.name = {"op"}, .role = MANIFEST_ROLE_ADMIN};
    memcpy(root.op[0].public_key, sign_key_public(r->operator_key), SIGN_PUBLIC_BYTES);
    hand_in(r, &root, r->mesh.issuer, NULL);
    r->text = sign_manifest_hash(text);
    policy.text[0] = (struct manifest_text){{"long"}, r->text, TEXT_BYTES};
    hand_in(r, &policy, r->operator_key, &text);
    free(bytes);
}

static int setup(void **state)
{
    static const struct mesh_stream_events events = {on_opened, on_message, on_closed};
    struct rogue *r = calloc(1, sizeof *r);
    assert_non_null(r);
    support_daemon_open(&r->mesh);
    struct support_node *a = support_daemon_node(&r->mesh, NULL, "");
    struct support_node *b = support_daemon_node(&r->mesh, NULL, "");
    support_daemon_up(a, false);
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    r->d = support_daemon_here(b);
    assert_true(support_daemon_until(r->d, both_are_there, SOON_MS));
    apply_long_text(r);
    assert_true(support_daemon_until(r->d, both_have_it, SOON_MS));
    assert_int_equal(mesh_stream_new(r->d, &events, r, &r->streams), ERR_OK);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rogue *r = *state;
    mesh_stream_free(r->streams);
    daemon_free(r->d);
    sign_key_free(r->operator_key);
    support_daemon_close(&r->mesh);
    free(r);
    return 0;
}

/* However fast it asks: what it gets is a burst and then a rate. */
static void test_answers_are_rationed(void **state)
{
    struct rogue *r = *state;
    uint64_t start_us = loop_now_us(r->d->loop);
    flood(r, 1, 1, 7);
    uint64_t us = loop_now_us(r->d->loop) - start_us;
    assert_int_equal(r->answers, 7);
    assert_true(r->bytes > 7 * TEXT_BYTES);
    assert_true(r->bytes - BURST <= RATE * us / 1000000 + TEXT_BYTES);
}

static void test_who_asks_again_before_the_answer_is_cut_off_and_may_come_back(void **state)
{
    struct rogue *r = *state;
    flood(r, 1, 8, 8);
    assert_true(r->closed);
    assert_true(r->answers < 8);
    flood(r, 2, 1, 1);
    assert_false(r->closed);
    assert_int_equal(r->answers, 1);
    assert_true(r->bytes > TEXT_BYTES);
    assert_true(both_are_there(r->d));
    assert_true(both_have_it(r->d));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers_are_rationed, setup, teardown),
        cmocka_unit_test_setup_teardown(
            test_who_asks_again_before_the_answer_is_cut_off_and_may_come_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
