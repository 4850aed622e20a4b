#include "proxy/net/pressure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Half heads, and answers that nobody reads; over TLS what is sealed of them, too. */
static void test_what_connections_hold_for_their_streams_counts(void **state)
{
    struct context *ctx = calloc(1, sizeof *ctx);
    (void)state;
    assert_non_null(ctx);
    assert_int_equal(loop_new(&ctx->loop), ERR_OK);
    ctx->pool = loop_pool(ctx->loop);
    ctx->memory_bytes = (size_t)1 << 20;
    mux_alloc_init(&ctx->mux_alloc, ctx->memory_bytes);
    assert_int_equal(pressure_now(ctx), PRESSURE_NONE);
    void *half = mux_alloc_get(&ctx->mux_alloc, ctx->memory_bytes / 2);
    assert_int_equal(pressure_now(ctx), PRESSURE_HIGH);
    void *rest = mux_alloc_get(&ctx->mux_alloc, ctx->memory_bytes / 2);
    assert_int_equal(pressure_now(ctx), PRESSURE_FULL);
    mux_alloc_put(&ctx->mux_alloc, half);
    assert_int_equal(pressure_now(ctx), PRESSURE_HIGH);
    loop_held(ctx->loop)->bytes += ctx->memory_bytes / 2;
    assert_int_equal(pressure_now(ctx), PRESSURE_FULL);
    loop_held(ctx->loop)->bytes -= ctx->memory_bytes / 2;
    mux_alloc_put(&ctx->mux_alloc, rest);
    assert_int_equal(pressure_now(ctx), PRESSURE_NONE);
    mux_alloc_fini(&ctx->mux_alloc);
    loop_free(ctx->loop);
    free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_connections_hold_for_their_streams_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
