#include "proxy/http/exchange_idle.h"

#include "proxy/http/exchange.h"
#include "proxy/net/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY         20u
#define MEMORY_BYTES ((size_t)1 << 20)

static int set_up(void **state)
{
    const struct worker_options o = {.seed = 1};
    struct context *ctx = calloc(1, sizeof *ctx);
    if (ctx == NULL || context_init(ctx, &o) != ERR_OK) return -1;
    ctx->memory_bytes = MEMORY_BYTES;
    *state = ctx;
    return 0;
}

static int tear_down(void **state)
{
    context_fini(*state);
    free(*state);
    return 0;
}

static struct exchange *fresh(void)
{
    struct exchange *ex = calloc(1, sizeof *ex);
    assert_non_null(ex);
    arena_init(&ex->arena, 4096, 65536);
    return ex;
}

/* So many are needed at once. */
static void use(struct context *ctx, size_t count)
{
    struct exchange *ex[MANY];
    for (size_t i = 0; i < count; i++)
        if ((ex[i] = exchange_idle_take(ctx)) == NULL) ex[i] = fresh();
    for (size_t i = 0; i < count; i++)
        exchange_idle_put(ctx, ex[i]);
}

static void test_the_one_used_last_is_used_next_with_an_empty_arena(void **state)
{
    struct context *ctx = *state;
    struct exchange *a = fresh(), *b = fresh();
    assert_null(exchange_idle_take(ctx));
    void *first = arena_alloc(&b->arena, 100);
    assert_non_null(first);
    exchange_idle_put(ctx, a);
    exchange_idle_put(ctx, b);
    assert_ptr_equal(exchange_idle_take(ctx), b);
    assert_ptr_equal(arena_alloc(&b->arena, 100), first);
    assert_int_equal(ctx->idle_exchange_count, 1);
    exchange_idle_put(ctx, b);
}

static void test_trim_frees_what_nobody_needed_since_the_last(void **state)
{
    struct context *ctx = *state;
    use(ctx, MANY);
    assert_int_equal(exchange_idle_trim(ctx, 4), 0);
    assert_int_equal(ctx->idle_exchange_count, MANY);
    use(ctx, 3);
    use(ctx, 6);
    assert_int_equal(exchange_idle_trim(ctx, 4), (MANY - 6 - 4) * sizeof(struct exchange));
    assert_int_equal(ctx->idle_exchange_count, 10);
    assert_int_equal(exchange_idle_trim(ctx, 4), 6 * sizeof(struct exchange));
    assert_int_equal(exchange_idle_trim(ctx, 4), 0);
    assert_int_equal(ctx->idle_exchange_count, 4);
}

static void test_a_worker_that_lacks_memory_or_stops_keeps_none(void **state)
{
    struct context *ctx = *state;
    ctx->memory_bytes = 0;
    exchange_idle_put(ctx, fresh());
    assert_int_equal(ctx->idle_exchange_count, 0);
    ctx->memory_bytes = MEMORY_BYTES;
    exchange_idle_put(ctx, fresh());
    assert_int_equal(ctx->idle_exchange_count, 1);
    ctx->stopping = true;
    exchange_idle_put(ctx, fresh());
    assert_int_equal(ctx->idle_exchange_count, 1);
}

/* The loop has a timer only while there is something to give back. */
static void test_a_few_idle_ones_wake_nobody(void **state)
{
    struct context *ctx = *state;
    use(ctx, 16);
    assert_int_equal(ctx->trim.node.pos, 0);
    use(ctx, 17);
    assert_int_not_equal(ctx->trim.node.pos, 0);
}

#define WITH_CONTEXT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CONTEXT(test_the_one_used_last_is_used_next_with_an_empty_arena),
        WITH_CONTEXT(test_trim_frees_what_nobody_needed_since_the_last),
        WITH_CONTEXT(test_a_worker_that_lacks_memory_or_stops_keeps_none),
        WITH_CONTEXT(test_a_few_idle_ones_wake_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
