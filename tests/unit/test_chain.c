#include "proxy/filters/chain.h"

#include "core/base/check.h"
#include "core/model/config.h"
#include "proxy/filters/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Filters that write a letter into a log for every call, and refuse when their configuration says
 * so: 'q' request, 'r' response, 'a' attempt_end, 'f' finish, 's' session. */
struct probe {
    char letter;
    char refuse_at; /* 0: never */
    enum filter_verdict verdict;
    char *log;
};

static enum filter_verdict note(struct filter_ctx *ctx, char call)
{
    const struct probe *p = ctx->conf;
    char *counter = ctx->state;
    size_t len = strlen(p->log);
    p->log[len] = p->letter;
    p->log[len + 1] = call;
    (*counter)++;
    if (p->refuse_at != call) return FILTER_NEXT;
    ctx->reason = REASON_DENIED_RULE;
    return p->verdict;
}

static enum filter_verdict probe_request(struct filter_ctx *ctx, struct request *req)
{
    (void)req;
    return note(ctx, 'q');
}
static enum filter_verdict probe_response(struct filter_ctx *ctx, struct response *resp)
{
    (void)resp;
    return note(ctx, 'r');
}
static enum filter_verdict probe_session(struct filter_ctx *ctx, const struct filter_session *s)
{
    (void)s;
    return note(ctx, 's');
}
static enum filter_verdict probe_attempt(struct filter_ctx *ctx, const struct filter_attempt *a)
{
    (void)a;
    return note(ctx, 'a');
}
static void probe_finish(struct filter_ctx *ctx, const struct filter_outcome *o)
{
    (void)o;
    note(ctx, 'f');
}

static const struct filter_ops probe_ops = {.name = "probe",
                                            .state_size = 8,
                                            .session = probe_session,
                                            .request = probe_request,
                                            .response = probe_response,
                                            .attempt_end = probe_attempt,
                                            .finish = probe_finish};
static const struct filter_ops deaf_ops = {.name = "deaf"};

struct rig {
    struct probe probe[3];
    struct filter_slot slot[4];
    char log[64];
    struct arena arena;
    struct chain chain;
    struct request req;
    struct response resp;
    struct filter_attempt attempt;
    struct filter_outcome outcome;
};

static void rig_up(struct rig *r)
{
    *r = (struct rig){.slot = {{.ops = NULL}}};
    arena_init(&r->arena, 1024, 4096);
    for (size_t i = 0; i < 3; i++) {
        r->probe[i] = (struct probe){.letter = (char)('A' + (char)i), .log = r->log};
        r->slot[i] = (struct filter_slot){&probe_ops, &r->probe[i]};
    }
    r->slot[3] = (struct filter_slot){&deaf_ops, NULL};
    chain_init(&r->chain, r->slot, 4, DIRECTION_INBOUND, &r->arena, NULL);
}

static void test_request_runs_in_order_and_the_way_back_in_reverse(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r);
    assert_int_equal(chain_request(&r.chain, &r.req, 1), FILTER_NEXT);
    assert_int_equal(chain_attempt_end(&r.chain, &r.attempt, 2), FILTER_NEXT);
    assert_int_equal(chain_response(&r.chain, &r.resp, 3), FILTER_NEXT);
    chain_finish(&r.chain, &r.outcome, 4);
    assert_string_equal(r.log, "AqBqCqCaBaAaCrBrArCfBfAf");
    assert_int_equal(*(char *)r.chain.state[0], 4);
    chain_finish(&r.chain, &r.outcome, 5);
    assert_int_equal(strlen(r.log), 24);
    arena_fini(&r.arena);
}

static void test_only_filters_that_started_hear_of_the_rest(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r);
    r.probe[1].refuse_at = 'q';
    r.probe[1].verdict = FILTER_REPLY;
    assert_int_equal(chain_request(&r.chain, &r.req, 1), FILTER_REPLY);
    assert_int_equal(r.chain.ctx.reason, REASON_DENIED_RULE);
    assert_int_equal(chain_response(&r.chain, &r.resp, 1), FILTER_NEXT);
    chain_finish(&r.chain, &r.outcome, 1);
    assert_string_equal(r.log, "AqBqBrArBfAf");
    arena_fini(&r.arena);
}

static void test_the_first_retry_on_the_way_back_decides(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r);
    r.probe[1].refuse_at = 'a';
    r.probe[1].verdict = FILTER_RETRY;
    assert_int_equal(chain_request(&r.chain, &r.req, 1), FILTER_NEXT);
    assert_int_equal(chain_attempt_end(&r.chain, &r.attempt, 1), FILTER_RETRY);
    assert_string_equal(r.log, "AqBqCqCaBa");
    arena_fini(&r.arena);
}

static void test_sessions_run_in_order_and_abort(void **state)
{
    (void)state;
    struct rig r;
    struct filter_session s = {NULL, NULL};
    rig_up(&r);
    r.probe[2].refuse_at = 's';
    r.probe[2].verdict = FILTER_ABORT;
    assert_int_equal(chain_session(&r.chain, &s, 1), FILTER_ABORT);
    chain_finish(&r.chain, &r.outcome, 1);
    assert_string_equal(r.log, "AsBsCsCfBfAf");
    arena_fini(&r.arena);
}

static void test_an_exhausted_arena_refuses_the_exchange(void **state)
{
    (void)state;
    struct rig r;
    rig_up(&r);
    arena_fini(&r.arena);
    arena_init(&r.arena, 32, 32); /* two states of 8 bytes, padded to 16 */
    assert_int_equal(chain_request(&r.chain, &r.req, 1), FILTER_REPLY);
    assert_int_equal(r.chain.ctx.reason, REASON_INTERNAL);
    chain_finish(&r.chain, &r.outcome, 1);
    assert_string_equal(r.log, "AqBqBfAf");
    arena_fini(&r.arena);
}

static void test_registry_orders_each_direction(void **state)
{
    (void)state;
    struct arena arena;
    struct filter_slot slot[FILTERS_MAX];
    size_t count = 0;
    struct policy policy = {.fallback = POLICY_DEFAULT_DENY};
    struct config_retry retry = {.tries = 3};
    struct filter_config in = {.direction = DIRECTION_INBOUND, .policy = &policy};
    struct filter_config out = {.direction = DIRECTION_OUTBOUND, .retry = &retry};
    arena_init(&arena, 4096, 65536);
    assert_int_equal(registry_compile(&in, &arena, slot, &count, NULL), ERR_OK);
    assert_int_equal(count, 2);
    assert_string_equal(slot[0].ops->name, "authz");
    assert_string_equal(slot[1].ops->name, "headers");
    assert_int_equal(registry_compile(&out, &arena, slot, &count, NULL), ERR_OK);
    assert_int_equal(count, 2);
    assert_string_equal(slot[0].ops->name, "headers");
    assert_string_equal(slot[1].ops->name, "retry");
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_runs_in_order_and_the_way_back_in_reverse),
        cmocka_unit_test(test_only_filters_that_started_hear_of_the_rest),
        cmocka_unit_test(test_the_first_retry_on_the_way_back_decides),
        cmocka_unit_test(test_sessions_run_in_order_and_abort),
        cmocka_unit_test(test_an_exhausted_arena_refuses_the_exchange),
        cmocka_unit_test(test_registry_orders_each_direction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
