#include "proxy/filters/filter_headers.h"

#include "core/base/check.h"
#include "core/model/addr.h"
#include "proxy/filters/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct rig {
    struct filter_slot slot;
    struct arena arena;
    struct chain chain;
    struct headers headers;
    struct request req;
    struct response resp;
    struct addr client;
};

static void rig_up(struct rig *r, enum filter_direction direction, const char *client)
{
    *r = (struct rig){.slot = {.ops = &filter_headers}};
    arena_init(&r->arena, 1024, 8192);
    if (client != NULL) assert_int_equal(addr_parse(span_str(client), 0, &r->client), ERR_OK);
    chain_init(&r->chain, &r->slot, 1, direction, &r->arena, client != NULL ? &r->client : NULL);
    r->req.headers = &r->headers;
    r->req.id = SPAN_LIT("01JD9C");
    r->req.peer_uri = SPAN_LIT("spiffe://shop/service/web");
    r->resp.headers = &r->headers;
}

static void add(struct rig *r, const char *name, const char *value)
{
    assert_int_equal(headers_add(&r->headers, span_str(name), span_str(value)), ERR_OK);
}

static void expect(const struct rig *r, const char *name, const char *value)
{
    const struct header *f = headers_find(&r->headers, name);
    if (value == NULL) {
        if (f != NULL) fail_msg("%s is still there", name);
        return;
    }
    if (f == NULL) fail_msg("%s is missing", name);
    if (!span_eq_str(f->value, value)) fail_msg("%s: %.*s", name, SPAN_ARG(f->value));
    for (const struct header *g = f + 1; g < r->headers.field + r->headers.count; g++)
        if (span_eq(g->name, f->name)) fail_msg("%s is there twice", name);
}

/* What a client may send to pass as somebody (security.md G06, G08). */
static const char *const spoofed[] = {
    "parley-peer", "parley-request-id", "parley-reason",           "parley-anything",
    "parley_peer", "parley-_",          "x-forwarded-for",         "x_forwarded_for",
    "forwarded",   "x-real-ip",         "x-forwarded-client-cert", "x_forwarded-client_cert",
    "client-cert", "client-cert-chain"};

static void test_identity_headers_of_a_client_are_replaced(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, DIRECTION_INBOUND, "10.0.0.2:51000");
    add(&r, "accept", "*/*");
    for (size_t i = 0; i < ARRAY_LEN(spoofed); i++) {
        add(&r, spoofed[i], "spiffe://shop/service/admin");
        add(&r, spoofed[i], "twice");
    }
    add(&r, "x-parley-peer", "mine");
    assert_int_equal(chain_request(&r.chain, &r.req, 1), FILTER_NEXT);
    assert_int_equal(r.headers.count, 5);
    expect(&r, "accept", "*/*");
    expect(&r, "x-parley-peer", "mine");
    expect(&r, "parley-peer", "spiffe://shop/service/web");
    expect(&r, "parley-request-id", "01JD9C");
    expect(&r, "x-forwarded-for", "10.0.0.2");
    arena_fini(&r.arena);
}

static void test_outbound_sends_the_id_and_no_identity(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, DIRECTION_OUTBOUND, "127.0.0.1:40000");
    for (size_t i = 0; i < ARRAY_LEN(spoofed); i++)
        add(&r, spoofed[i], "x");
    assert_int_equal(chain_request(&r.chain, &r.req, 1), FILTER_NEXT);
    assert_int_equal(r.headers.count, 1);
    expect(&r, "parley-request-id", "01JD9C");
    arena_fini(&r.arena);
}

static void test_addresses_are_written_without_their_port(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, DIRECTION_INBOUND, "[fd00::2]:7400");
    assert_int_equal(chain_request(&r.chain, &r.req, 1), FILTER_NEXT);
    expect(&r, "x-forwarded-for", "fd00::2");
    arena_fini(&r.arena);
    rig_up(&r, DIRECTION_INBOUND, NULL);
    add(&r, "x-forwarded-for", "1.2.3.4");
    assert_int_equal(chain_request(&r.chain, &r.req, 1), FILTER_NEXT);
    expect(&r, "x-forwarded-for", NULL);
    arena_fini(&r.arena);
}

static void test_an_application_cannot_speak_for_the_mesh(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, DIRECTION_INBOUND, NULL);
    assert_int_equal(chain_request(&r.chain, &r.req, 1), FILTER_NEXT);
    r.headers = (struct headers){.count = 0};
    add(&r, "parley-reason", "denied_rule");
    add(&r, "parley_request_id", "x");
    add(&r, "server", "nginx");
    assert_int_equal(chain_response(&r.chain, &r.resp, 1), FILTER_NEXT);
    assert_int_equal(r.headers.count, 1);
    expect(&r, "server", "nginx");
    arena_fini(&r.arena);
}

static void test_the_caller_gets_id_and_reason_once(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, DIRECTION_OUTBOUND, NULL);
    assert_int_equal(chain_request(&r.chain, &r.req, 1), FILTER_NEXT);
    r.headers = (struct headers){.count = 0};
    add(&r, "parley-reason", "denied_default");
    add(&r, "parley-peer", "spiffe://shop/service/api");
    add(&r, "parley-request-id", "other");
    assert_int_equal(chain_response(&r.chain, &r.resp, 1), FILTER_NEXT);
    assert_int_equal(r.headers.count, 2);
    expect(&r, "parley-reason", "denied_default");
    expect(&r, "parley-request-id", "01JD9C");
    arena_fini(&r.arena);
}

static void test_no_room_for_ours_refuses_rather_than_forwards_without(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r, DIRECTION_INBOUND, "10.0.0.2:1");
    for (size_t i = 0; i < HEADER_FIELDS_MAX - 2; i++)
        add(&r, "a", "b");
    assert_int_equal(chain_request(&r.chain, &r.req, 1), FILTER_REPLY);
    assert_int_equal(r.chain.ctx.reason, REASON_HEADERS_TOO_LARGE);
    arena_fini(&r.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity_headers_of_a_client_are_replaced),
        cmocka_unit_test(test_outbound_sends_the_id_and_no_identity),
        cmocka_unit_test(test_addresses_are_written_without_their_port),
        cmocka_unit_test(test_an_application_cannot_speak_for_the_mesh),
        cmocka_unit_test(test_the_caller_gets_id_and_reason_once),
        cmocka_unit_test(test_no_room_for_ours_refuses_rather_than_forwards_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
