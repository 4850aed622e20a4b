#include "core/wire/link.h"
#include "tests/unit/support_peer.h"
#include "tests/unit/support_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

/* architecture.md 9: heap calls on the warm request path: zero. What counts is what the workers'
 * threads ask for; the clients and applications of the test may. */

#define PORT     17600u
#define MESH     "@22:17600"
#define WARM     150u
#define AT_ONCE  24u /* more than are ever under way together when it counts */
#define MEASURED 300u

static _Atomic uint64_t heap_calls;

static void note_call(void)
{
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    if (strncmp(name, "worker", 6) == 0) atomic_fetch_add(&heap_calls, 1);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

/* sanitizer/allocator_interface.h, which gcc does not install. */
extern int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *,
                                                                       size_t),
                                                     void (*on_free)(const volatile void *));

static void on_malloc(const volatile void *p, size_t len)
{
    (void)p;
    (void)len;
    note_call();
}

static void on_free(const volatile void *p)
{
    (void)p;
}

static void count_calls(void)
{
    assert_true(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0);
}

#else

/* glibc's own, beside which a program may put its own (malloc(3), "Replacing malloc"). */
extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t len);

void *malloc(size_t len)
{
    note_call();
    return __libc_malloc(len);
}

void *calloc(size_t count, size_t size)
{
    note_call();
    return __libc_calloc(count, size);
}

void *realloc(void *p, size_t len)
{
    note_call();
    return __libc_realloc(p, len);
}

static void count_calls(void)
{
}

#endif

/* Once for all tests: a sanitizer has room for five hooks. */
static int group_setup(void **state)
{
    (void)state;
    count_calls();
    return 0;
}

static int setup(void **state)
{
    *state = support_rig_new(PORT, NULL);
    return 0;
}

static int teardown(void **state)
{
    support_rig_free(*state);
    return 0;
}

/* The counter counts: a worker allocates while it warms up. */
static uint64_t warmed(void)
{
    uint64_t calls = atomic_load(&heap_calls);
    assert_true(calls > 0);
    return calls;
}

/* Opens many connections to `addr` at once, says `text` on each and lets them go: pools hold then
 * what one after the other can never need. */
static void crowd(struct support_rig *r, const char *addr, const char *text, const char *until)
{
    int fd[AT_ONCE];
    for (unsigned i = 0; i < AT_ONCE; i++) {
        fd[i] = support_dial(addr);
        support_send(fd[i], text);
    }
    for (unsigned i = 0; i < AT_ONCE; i++)
        support_read(fd[i], r->buf, sizeof r->buf, until, NULL);
    for (unsigned i = 0; i < AT_ONCE; i++)
        close(fd[i]);
    support_rig_settle(r);
}

static void test_http1_requests_allocate_nothing(void **state)
{
    struct support_rig *r = *state;
    uint64_t before = 0;
    support_rig_settle(r);
    int fd = support_dial(r->api_addr);
    for (unsigned i = 0; i < WARM + MEASURED; i++) {
        if (i == WARM) before = warmed();
        support_send(fd, i % 2 == 0 ? "GET /plain?a=b HTTP/1.1\r\nHost: api\r\nX-A: b\r\n\r\n"
                                    : "POST /length HTTP/1.1\r\nHost: api\r\n"
                                      "Content-Length: 5\r\n\r\n12345");
        support_read(fd, r->buf, sizeof r->buf, i % 2 == 0 ? "ok" : "0000000005", NULL);
    }
    assert_int_equal(atomic_load(&heap_calls) - before, 0);
    close(fd);
}

static void test_http1_connections_allocate_nothing(void **state)
{
    struct support_rig *r = *state;
    uint64_t before = 0;
    crowd(r, r->api_addr, "GET /plain HTTP/1.1\r\nHost: api\r\n\r\n", "ok");
    for (unsigned i = 0; i < WARM + MEASURED; i++) {
        if (i == WARM) before = warmed();
        support_rig_get(r, "/plain", "");
        assert_non_null(strstr(r->buf, "ok"));
        support_rig_settle(r);
    }
    assert_int_equal(atomic_load(&heap_calls) - before, 0);
}

static void test_http1_bodies_allocate_nothing(void **state)
{
    struct support_rig *r = *state;
    uint64_t before = 0;
    crowd(r, r->api_addr, "GET /big?262144 HTTP/1.1\r\nHost: api\r\n\r\n", "x");
    for (unsigned i = 0; i < 40; i++) {
        if (i == 20) before = warmed();
        support_rig_get(r, "/big?65536", "");
        support_rig_settle(r);
    }
    assert_int_equal(atomic_load(&heap_calls) - before, 0);
}

static void requests_allocate_nothing(void **state, const char *alpn)
{
    struct support_rig *r = *state;
    struct support_peer p;
    uint64_t before = 0;
    struct mux_head head = {.method = SPAN_LIT("GET"),
                            .scheme = SPAN_LIT("http"),
                            .authority = SPAN_LIT("api.shop"),
                            .path = SPAN_LIT("/plain"),
                            .content_length = -1};
    assert_true(support_peer_open(&p, &r->mesh, "web", MESH, "api.shop", alpn));
    for (unsigned i = 0; i < WARM + MEASURED; i++) {
        if (i == WARM) before = warmed();
        support_peer_request(&p, &head, NULL);
        assert_int_equal(p.status, 200);
    }
    assert_int_equal(atomic_load(&heap_calls) - before, 0);
    support_peer_close(&p);
}

static void test_http2_requests_allocate_nothing(void **state)
{
    requests_allocate_nothing(state, "h2");
}

static void test_link_requests_allocate_nothing(void **state)
{
    requests_allocate_nothing(state, LINK_ALPN);
}

static void test_tcp_sessions_allocate_nothing(void **state)
{
    struct support_rig *r = *state;
    uint64_t before = 0;
    crowd(r, r->db_addr, "select 1", "select 1");
    for (unsigned i = 0; i < 60; i++) {
        if (i == 30) before = warmed();
        int fd = support_dial(r->db_addr);
        support_read(fd, r->buf, sizeof r->buf, "hello\n", NULL);
        for (unsigned k = 0; k < 10; k++) {
            support_send(fd, "select 1");
            support_read(fd, r->buf, sizeof r->buf, "select 1", NULL);
        }
        close(fd);
        support_rig_settle(r);
    }
    assert_int_equal(atomic_load(&heap_calls) - before, 0);
}

#define WITH_RIG(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_http1_requests_allocate_nothing),
        WITH_RIG(test_http1_connections_allocate_nothing),
        WITH_RIG(test_http1_bodies_allocate_nothing),
        WITH_RIG(test_http2_requests_allocate_nothing),
        WITH_RIG(test_link_requests_allocate_nothing),
        WITH_RIG(test_tcp_sessions_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
