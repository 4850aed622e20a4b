#include "proxy/filters/retry.h"

#include "core/base/check.h"
#include "core/model/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RETRY true
#define FINAL false

struct row {
    const char *what;
    struct filter_attempt attempt; /* failure, reached, begun, attempts, safe */
    bool on_connect, on_reset;
    uint32_t tries;
    bool want;
};

static const struct row rows[] = {
    {"success", {REASON_NONE, true, true, 1, true}, true, true, 3, FINAL},
    {"connection refused", {REASON_CONN_REFUSED, false, false, 1, true}, true, true, 3, RETRY},
    {"refused, a POST", {REASON_CONN_REFUSED, false, false, 1, false}, true, true, 3, RETRY},
    {"connect timeout", {REASON_CONN_TIMEOUT, false, false, 2, false}, true, true, 3, RETRY},
    {"refused stream", {REASON_UPSTREAM_RESET, false, false, 1, false}, true, true, 3, RETRY},
    {"draining host", {REASON_DRAINING, false, false, 1, false}, true, true, 3, RETRY},
    {"certificate expired",
     {REASON_PEER_CERT_EXPIRED, false, false, 1, false},
     true,
     true,
     3,
     RETRY},
    {"last try", {REASON_CONN_REFUSED, false, false, 3, true}, true, true, 3, FINAL},
    {"one try only", {REASON_CONN_REFUSED, false, false, 1, true}, true, true, 1, FINAL},
    {"connect not wanted", {REASON_CONN_REFUSED, false, false, 1, true}, false, true, 3, FINAL},
    {"died, a GET", {REASON_UPSTREAM_RESET, true, false, 1, true}, true, true, 3, RETRY},
    {"died, a POST", {REASON_UPSTREAM_RESET, true, false, 1, false}, true, true, 3, FINAL},
    {"died within the response",
     {REASON_UPSTREAM_RESET, true, true, 1, true},
     true,
     true,
     3,
     FINAL},
    {"begun, yet not reached", {REASON_UPSTREAM_RESET, false, true, 1, true}, true, true, 3, FINAL},
    {"died, reset not wanted",
     {REASON_UPSTREAM_RESET, true, false, 1, true},
     true,
     false,
     3,
     FINAL},
    {"died at the last try", {REASON_UPSTREAM_RESET, true, false, 3, true}, true, true, 3, FINAL},
    {"broken answer", {REASON_PROTOCOL_ERROR, true, false, 1, true}, true, true, 3, FINAL},
    {"timeout after sending",
     {REASON_UPSTREAM_TIMEOUT, true, false, 1, true},
     true,
     true,
     3,
     FINAL},
    {"timeout of the exchange",
     {REASON_UPSTREAM_TIMEOUT, false, false, 1, true},
     true,
     true,
     3,
     FINAL},
    {"client gone", {REASON_CLIENT_GONE, false, false, 1, true}, true, true, 3, FINAL},
    {"bad request", {REASON_BAD_REQUEST, false, false, 1, true}, true, true, 3, FINAL},
    {"denied there", {REASON_DENIED_DEFAULT, false, false, 1, true}, true, true, 3, FINAL},
    {"own fault", {REASON_INTERNAL, false, false, 1, true}, true, true, 3, FINAL},
};

struct rig {
    struct arena arena;
    struct filter_ctx ctx;
};

static void rig_up(struct rig *r, const struct config_retry *retry)
{
    struct filter_config config = {.direction = DIRECTION_OUTBOUND, .retry = retry};
    arena_init(&r->arena, 1024, 4096);
    r->ctx = (struct filter_ctx){.direction = DIRECTION_OUTBOUND, .arena = &r->arena};
    r->ctx.state = arena_alloc(&r->arena, retry_filter.state_size);
    assert_int_equal(retry_filter.compile(&config, &r->arena, &r->ctx.conf, NULL), ERR_OK);
}

static void test_every_kind_of_failure_has_its_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config_retry retry = {rows[i].tries, rows[i].on_connect, rows[i].on_reset};
        struct rig r;
        rig_up(&r, &retry);
        enum filter_verdict got = retry_filter.attempt_end(&r.ctx, &rows[i].attempt);
        if (got != (rows[i].want ? FILTER_RETRY : FILTER_NEXT)) fail_msg("%s", rows[i].what);
        arena_fini(&r.arena);
    }
}

static void test_a_request_that_may_have_arrived_is_replayed_once(void **state)
{
    (void)state;
    struct config_retry retry = {5, true, true};
    struct filter_attempt died = {REASON_UPSTREAM_RESET, true, false, 1, true};
    struct filter_attempt refused = {REASON_CONN_REFUSED, false, false, 2, true};
    struct rig r;
    rig_up(&r, &retry);
    assert_int_equal(retry_filter.attempt_end(&r.ctx, &died), FILTER_RETRY);
    assert_int_equal(retry_filter.attempt_end(&r.ctx, &refused), FILTER_RETRY);
    died.attempts = 3;
    assert_int_equal(retry_filter.attempt_end(&r.ctx, &died), FILTER_NEXT);
    arena_fini(&r.arena);
}

static void test_connect_failures_use_every_try(void **state)
{
    (void)state;
    struct config_retry retry = {5, true, true};
    struct filter_attempt refused = {REASON_CONN_REFUSED, false, false, 1, false};
    struct rig r;
    rig_up(&r, &retry);
    for (; refused.attempts < 5; refused.attempts++)
        assert_int_equal(retry_filter.attempt_end(&r.ctx, &refused), FILTER_RETRY);
    assert_int_equal(retry_filter.attempt_end(&r.ctx, &refused), FILTER_NEXT);
    arena_fini(&r.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_failure_has_its_answer),
        cmocka_unit_test(test_a_request_that_may_have_arrived_is_replayed_once),
        cmocka_unit_test(test_connect_failures_use_every_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
