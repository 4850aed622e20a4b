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
#define ATTEMPT(why, reached, begun, count, safe)                                                  \
    {                                                                                              \
        .failure = why, .reached_application = reached, .response_begun = begun,                   \
        .attempts = count, .replay_safe = safe                                                     \
    }

struct row {
    const char *what;
    struct filter_attempt attempt; /* failure, reached, begun, attempts, safe */
    bool on_connect, on_reset;
    uint32_t tries;
    bool want;
};

static const struct row rows[] = {
    {"success", ATTEMPT(REASON_NONE, true, true, 1, true), true, true, 3, FINAL},
    {"connection refused", ATTEMPT(REASON_CONN_REFUSED, false, false, 1, true), true, true, 3,
     RETRY},
    {"refused, a POST", ATTEMPT(REASON_CONN_REFUSED, false, false, 1, false), true, true, 3, RETRY},
    {"connect timeout", ATTEMPT(REASON_CONN_TIMEOUT, false, false, 2, false), true, true, 3, RETRY},
    {"refused stream", ATTEMPT(REASON_UPSTREAM_RESET, false, false, 1, false), true, true, 3,
     RETRY},
    {"draining host", ATTEMPT(REASON_DRAINING, false, false, 1, false), true, true, 3, RETRY},
    {"certificate expired", ATTEMPT(REASON_PEER_CERT_EXPIRED, false, false, 1, false), true, true,
     3, RETRY},
    {"last try", ATTEMPT(REASON_CONN_REFUSED, false, false, 3, true), true, true, 3, FINAL},
    {"one try only", ATTEMPT(REASON_CONN_REFUSED, false, false, 1, true), true, true, 1, FINAL},
    {"connect not wanted", ATTEMPT(REASON_CONN_REFUSED, false, false, 1, true), false, true, 3,
     FINAL},
    {"died, a GET", ATTEMPT(REASON_UPSTREAM_RESET, true, false, 1, true), true, true, 3, RETRY},
    {"died, a POST", ATTEMPT(REASON_UPSTREAM_RESET, true, false, 1, false), true, true, 3, FINAL},
    {"died within the response", ATTEMPT(REASON_UPSTREAM_RESET, true, true, 1, true), true, true, 3,
     FINAL},
    {"begun, yet not reached", ATTEMPT(REASON_UPSTREAM_RESET, false, true, 1, true), true, true, 3,
     FINAL},
    {"died, reset not wanted", ATTEMPT(REASON_UPSTREAM_RESET, true, false, 1, true), true, false, 3,
     FINAL},
    {"died at the last try", ATTEMPT(REASON_UPSTREAM_RESET, true, false, 3, true), true, true, 3,
     FINAL},
    {"broken answer", ATTEMPT(REASON_PROTOCOL_ERROR, true, false, 1, true), true, true, 3, FINAL},
    {"timeout after sending", ATTEMPT(REASON_UPSTREAM_TIMEOUT, true, false, 1, true), true, true, 3,
     FINAL},
    {"timeout of the exchange", ATTEMPT(REASON_UPSTREAM_TIMEOUT, false, false, 1, true), true, true,
     3, FINAL},
    {"client gone", ATTEMPT(REASON_CLIENT_GONE, false, false, 1, true), true, true, 3, FINAL},
    {"bad request", ATTEMPT(REASON_BAD_REQUEST, false, false, 1, true), true, true, 3, FINAL},
    {"denied there", ATTEMPT(REASON_DENIED_DEFAULT, false, false, 1, true), true, true, 3, FINAL},
    {"own fault", ATTEMPT(REASON_INTERNAL, false, false, 1, true), true, true, 3, FINAL},
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
        struct config_retry retry = {
            .tries = rows[i].tries, .on_connect = rows[i].on_connect, .on_reset = rows[i].on_reset};
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
    struct config_retry retry = {.tries = 5, .on_connect = true, .on_reset = true};
    struct filter_attempt died = ATTEMPT(REASON_UPSTREAM_RESET, true, false, 1, true);
    struct filter_attempt refused = ATTEMPT(REASON_CONN_REFUSED, false, false, 2, true);
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
    struct config_retry retry = {.tries = 5, .on_connect = true, .on_reset = true};
    struct filter_attempt refused = ATTEMPT(REASON_CONN_REFUSED, false, false, 1, false);
    struct rig r;
    rig_up(&r, &retry);
    for (; refused.attempts < 5; refused.attempts++)
        assert_int_equal(retry_filter.attempt_end(&r.ctx, &refused), FILTER_RETRY);
    assert_int_equal(retry_filter.attempt_end(&r.ctx, &refused), FILTER_NEXT);
    arena_fini(&r.arena);
}

/* An answer is repeated when its status is asked for, the method may be, and nobody forbids it. */
static void test_statuses_are_repeated_as_configured(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        bool on_5xx, any_method, safe, forbidden, want;
    } row[] = {
        {503, false, false, true, false, RETRY}, {503, false, false, false, false, FINAL},
        {503, false, true, false, false, RETRY}, {503, false, true, true, true, FINAL},
        {429, false, false, true, false, RETRY}, {502, false, false, true, false, FINAL},
        {502, true, false, true, false, RETRY},  {500, true, false, true, false, RETRY},
        {404, true, false, true, false, FINAL},  {600, true, false, true, false, FINAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        struct config_retry retry = {.tries = 3,
                                     .on_5xx = row[i].on_5xx,
                                     .any_method = row[i].any_method,
                                     .status = {503, 429},
                                     .status_count = 2};
        struct filter_attempt answered = {.reached_application = true,
                                          .attempts = 1,
                                          .replay_safe = row[i].safe,
                                          .forbidden = row[i].forbidden,
                                          .status = row[i].status};
        struct rig r;
        rig_up(&r, &retry);
        bool got = retry_filter.attempt_end(&r.ctx, &answered) == FILTER_RETRY;
        if (got != row[i].want) fail_msg("row %zu: %u", i, row[i].status);
        answered.attempts = 3;
        assert_int_equal(retry_filter.attempt_end(&r.ctx, &answered), FILTER_NEXT);
        arena_fini(&r.arena);
    }
}

static void test_only_the_time_of_one_try_is_worth_another(void **state)
{
    (void)state;
    struct config_retry retry = {.tries = 3, .on_timeout = true};
    struct filter_attempt late = ATTEMPT(REASON_UPSTREAM_TIMEOUT, true, false, 1, true);
    struct rig r;
    rig_up(&r, &retry);
    assert_int_equal(retry_filter.attempt_end(&r.ctx, &late), FILTER_NEXT);
    late.try_expired = true;
    assert_int_equal(retry_filter.attempt_end(&r.ctx, &late), FILTER_RETRY);
    late.replay_safe = false;
    assert_int_equal(retry_filter.attempt_end(&r.ctx, &late), FILTER_NEXT);
    arena_fini(&r.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_failure_has_its_answer),
        cmocka_unit_test(test_a_request_that_may_have_arrived_is_replayed_once),
        cmocka_unit_test(test_connect_failures_use_every_try),
        cmocka_unit_test(test_statuses_are_repeated_as_configured),
        cmocka_unit_test(test_only_the_time_of_one_try_is_worth_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
