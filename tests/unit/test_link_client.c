#include "proxy/http/link_client.h"

#include "proxy/http/exchange.h"
#include "proxy/net/context.h"
#include "tests/unit/support_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define LOOK_MS 5u
#define LOOKS   1000u /* then the link has not ended */
#define HOST    "@28:17400"

/* A link of a worker that is not there, and all that it asks for. */
struct rig {
    struct support_mesh mesh;
    struct context ctx;
    struct metrics_shard *metrics;
    struct snapshot snapshot;
    struct snapshot_upstream upstream;
    struct snapshot_endpoint endpoint;
    struct endpoint_state state;
    struct view view;
    struct exchange ex;
    struct loop_timer look;
    unsigned looks;
    size_t told; /* WORKER_DEAD_LINK messages */
};

static void look(struct loop_timer *t)
{
    struct rig *r = CONTAINER_OF(t, struct rig, look);
    if (list_empty(&r->ctx.links) || ++r->looks == LOOKS)
        loop_stop(r->ctx.loop);
    else
        loop_timer_set(r->ctx.loop, t, loop_now_ms(r->ctx.loop) + LOOK_MS);
}

static struct rig *rig_new(void)
{
    char text[ADDR_TEXT_MAX];
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    support_mesh_init(&r->mesh);
    assert_int_equal(metrics_shard_new(&r->metrics), ERR_OK);
    const struct worker_options o = {
        .seed = 1, .profile = r->mesh.profile, .log = &r->mesh.log, .metrics = r->metrics};
    assert_int_equal(context_init(&r->ctx, &o), ERR_OK);
    r->snapshot.trust = r->mesh.trust;
    r->upstream.identity = support_mesh_identity(&r->mesh, IDENTITY_SERVICE, "web");
    r->upstream.connect_timeout_ms = 5000;
    r->endpoint.expect = *identity_spiffe(r->upstream.identity);
    assert_int_equal(name_set(&r->endpoint.expect.name, SPAN_LIT("api")), ERR_OK);
    support_expand(HOST, text, sizeof text);
    assert_int_equal(addr_parse(span_str(text), 0, &r->endpoint.addr), ERR_OK);
    list_init(&r->state.links);
    r->view.snapshot = &r->snapshot;
    r->ex.ctx = &r->ctx;
    r->ex.view = &r->view;
    r->ex.upstream = &r->upstream;
    r->ex.attempt.endpoint = &r->endpoint;
    r->ex.attempt.state = &r->state;
    r->look.on_expire = look;
    return r;
}

/* Opens a link to a host that does `serve`, until it has ended. */
static void run(struct rig *r, void (*serve)(int fd, void *arg))
{
    char text[ADDR_TEXT_MAX];
    struct link_client *link;
    struct worker_message *m;
    struct support_app *host =
        support_app_start(support_expand(HOST, text, sizeof text), serve, &r->mesh);
    assert_int_equal(link_client_open(&r->ex, &link), ERR_OK);
    loop_timer_set(r->ctx.loop, &r->look, loop_now_ms(r->ctx.loop) + LOOK_MS);
    loop_run(r->ctx.loop);
    assert_true(list_empty(&r->ctx.links));
    while ((m = ring_pop(&r->ctx.mailbox)) != NULL) {
        r->told += m->kind == WORKER_DEAD_LINK;
        free(m);
    }
    support_app_stop(host);
}

static void rig_free(struct rig *r)
{
    context_fini(&r->ctx);
    metrics_shard_free(r->metrics);
    identity_unref(r->upstream.identity);
    support_mesh_fini(&r->mesh);
    free(r);
}

static void test_a_host_that_hangs_up_is_avoided_and_told_of(void **state)
{
    struct rig *r = rig_new();
    (void)state;
    run(r, support_peer_hang_up);
    assert_int_equal(r->state.failures, 1);
    assert_int_equal(r->told, 1);
    assert_int_equal(metrics_count_get(r->metrics, METRICS_SHED_MEMORY), 0);
    rig_free(r);
}

static void test_our_own_want_of_memory_says_nothing_of_the_host(void **state)
{
    struct rig *r = rig_new();
    (void)state;
    loop_held(r->ctx.loop)->waiting_max = 0;
    run(r, support_peer_part_of_a_record);
    assert_int_equal(r->state.failures, 0);
    assert_int_equal(r->told, 0);
    assert_int_equal(metrics_count_get(r->metrics, METRICS_SHED_MEMORY), 1);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_host_that_hangs_up_is_avoided_and_told_of),
        cmocka_unit_test(test_our_own_want_of_memory_says_nothing_of_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
