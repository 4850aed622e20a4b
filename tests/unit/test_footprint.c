#include "tests/unit/support_peer.h"
#include "tests/unit/support_rig.h"

#include <malloc.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/check.h"
#include "proxy/snapshot/build.h"
#include "proxy/snapshot/view.h"

/* What is kept for connections, links and a large mesh, in bytes of the heap: architecture.md 9.
 * Counted is what the workers hold, each for itself. */

#define PORT           17680u
#define MESH           "@22:17680"
#define SLOTS          64u /* workers of all the rigs */
#define LINKS          16u
#define LINK_BYTES_MAX (72u * 1024)
#define IDLE           1900u /* with their part of arrays that grow by doubling */
#define IDLE_BYTES_MAX 512u
#define SERVICES       20u
#define ENDPOINTS      200u /* of each */
#define HOST_BYTES_MAX (40u << 20)
#define PEAK           96u /* requests at once */
#define PEAK_EACH      10000
#define PEAK_OVER_S    15u        /* idle exchanges go after 5 s, and at most 5 s later */
#define DAEMON_BYTES   (8u << 20) /* all else, of an idle daemon */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int main(void)
{
    return cmocka_run_group_tests_name("skipped under a sanitizer", (struct CMUnitTest[1]){{0}},
                                       NULL, NULL);
}

#else

static _Atomic uintptr_t worker_thread[SLOTS];
static _Atomic int64_t worker_bytes[SLOTS];
static _Atomic int64_t all_bytes;

/* Where this thread's bytes are counted; SLOTS: it is no worker. */
static size_t slot_of_thread(void)
{
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    if (strncmp(name, "worker", 6) != 0) return SLOTS;
    uintptr_t self = (uintptr_t)pthread_self();
    for (size_t i = 0; i < SLOTS; i++) {
        uintptr_t none = 0;
        if (atomic_load(&worker_thread[i]) == self) return i;
        if (atomic_compare_exchange_strong(&worker_thread[i], &none, self)) return i;
    }
    return SLOTS;
}

static void *count(void *p, int sign)
{
    int64_t bytes = p != NULL ? sign * (int64_t)malloc_usable_size(p) : 0;
    size_t slot = slot_of_thread();
    atomic_fetch_add(&all_bytes, bytes);
    if (slot < SLOTS) atomic_fetch_add(&worker_bytes[slot], bytes);
    return p;
}

/* glibc's own, beside which a program may put its own (malloc(3), "Replacing malloc"). */
extern void *__libc_malloc(size_t len);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *p, size_t len);
extern void __libc_free(void *p);

void *malloc(size_t len)
{
    return count(__libc_malloc(len), 1);
}

void *calloc(size_t n, size_t size)
{
    return count(__libc_calloc(n, size), 1);
}

void *realloc(void *p, size_t len)
{
    (void)count(p, -1);
    void *moved = __libc_realloc(p, len);
    /* Of what could not grow nothing has changed. */
    (void)count(moved != NULL ? moved : p, 1);
    return moved;
}

void free(void *p)
{
    __libc_free(count(p, -1));
}

/* The most that any worker holds more than when `before` was taken. */
static int64_t grown(const int64_t before[SLOTS])
{
    int64_t most = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        int64_t more = atomic_load(&worker_bytes[i]) - before[i];
        if (more > most) most = more;
    }
    return most;
}

static void note(int64_t bytes[SLOTS])
{
    for (size_t i = 0; i < SLOTS; i++)
        bytes[i] = atomic_load(&worker_bytes[i]);
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

static void ask(struct support_peer *p)
{
    struct mux_head head = {.method = SPAN_LIT("GET"),
                            .scheme = SPAN_LIT("http"),
                            .authority = SPAN_LIT("api.shop"),
                            .path = SPAN_LIT("/plain"),
                            .content_length = -1};
    support_peer_request(p, &head, NULL);
    assert_int_equal(p->status, 200);
}

static void test_a_link_of_a_stranger_with_its_session_is_small(void **state)
{
    struct support_rig *r = *state;
    static struct support_peer peer[LINKS + 1];
    int64_t before[SLOTS];
    assert_true(support_peer_open(&peer[LINKS], &r->mesh, "web", MESH, "api.shop", "h2"));
    ask(&peer[LINKS]);
    note(before);
    for (size_t i = 0; i < LINKS; i++) {
        assert_true(support_peer_open(&peer[i], &r->mesh, "web", MESH, "api.shop", "h2"));
        ask(&peer[i]);
    }
    int64_t each = grown(before) / LINKS;
    print_message("a link, accepting end: %lld bytes\n", (long long)each);
    assert_in_range(each, 10000, LINK_BYTES_MAX);
    for (size_t i = 0; i <= LINKS; i++)
        support_peer_close(&peer[i]);
}

/* Both workers: the calling end is in one, the accepting end in the other. */
static void test_a_link_between_two_parleys_is_small_at_both_ends(void **state)
{
    struct support_rig *r = *state;
    int64_t before[SLOTS];
    support_rig_get(r, "/big?65536", "");
    support_rig_settle(r);
    note(before);
    int fd = support_dial(r->db_addr);
    support_read(fd, r->buf, sizeof r->buf, "hello\n", NULL);
    int64_t most = grown(before);
    print_message("a link between two parleys, the larger end: %lld bytes\n", (long long)most);
    assert_in_range(most, 10000, LINK_BYTES_MAX);
    close(fd);
    support_rig_settle(r);
}

/* The clients are a process of their own, so that this one has no descriptors but the workers'. */
static int helper[2]; /* what we say to it, and hear of it */

static void helper_serves(int from, int to)
{
    static char buf[4096];
    char addr[32] = "";
    if (read(from, addr, sizeof addr - 1) <= 0) return;
    for (size_t i = 0; i < IDLE; i++) {
        int fd = support_dial(addr);
        support_send(fd, "GET /plain HTTP/1.1\r\nHost: api\r\n\r\n");
        support_read(fd, buf, sizeof buf, "ok", NULL);
    }
    if (write(to, "k", 1) != 1) return;
    while (read(from, addr, sizeof addr) > 0)
        continue;
}

static void helper_start(void)
{
    struct rlimit most;
    int to[2], from[2];
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &most), 0);
    most.rlim_cur = most.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &most), 0);
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    if (fork() == 0) {
        close(to[1]);
        close(from[0]);
        helper_serves(to[0], from[1]);
        _exit(0);
    }
    close(to[0]);
    close(from[1]);
    helper[0] = to[1];
    helper[1] = from[0];
}

static void test_an_idle_connection_is_small(void **state)
{
    struct support_rig *r = *state;
    int64_t before[SLOTS];
    char word;
    support_rig_get(r, "/plain", "");
    support_rig_settle(r);
    note(before);
    char addr[32];
    support_expand(r->api_addr, addr, sizeof addr);
    assert_true(write(helper[0], addr, strlen(addr)) > 0);
    assert_int_equal(read(helper[1], &word, 1), 1);
    int64_t each = grown(before) / IDLE;
    print_message("an idle connection: %lld bytes\n", (long long)each);
    assert_in_range(each, 100, IDLE_BYTES_MAX);
    close(helper[0]);
    close(helper[1]);
}

/* Requests that wait for their bodies, all at once, and then none. */
static void test_what_a_peak_needed_is_given_back(void **state)
{
    struct support_rig *r = *state;
    int64_t before[SLOTS];
    int fd[PEAK];
    support_rig_get(r, "/plain", "");
    support_rig_settle(r);
    note(before);
    for (size_t i = 0; i < PEAK; i++) {
        fd[i] = support_dial(r->api_addr);
        support_send(fd[i], "POST /length HTTP/1.1\r\nHost: api\r\nContent-Length: 5\r\n\r\n");
    }
    for (size_t i = 0; i < PEAK; i++)
        support_send(fd[i], "12345");
    for (size_t i = 0; i < PEAK; i++) {
        support_read(fd[i], r->buf, sizeof r->buf, "0000000005", NULL);
        close(fd[i]);
    }
    support_rig_settle(r);
    int64_t held = grown(before), left = held;
    assert_true(held > (int64_t)PEAK * PEAK_EACH);
    for (unsigned i = 0; i < PEAK_OVER_S && left > held / 3; i++) {
        sleep(1);
        left = grown(before);
    }
    print_message("%u requests at once: %lld bytes, later %lld\n", PEAK, (long long)held,
                  (long long)left);
    assert_true(left <= held / 3);
}

/* --- a host that calls many services --- */

struct large {
    struct config config;
    struct config_upstream upstream[SERVICES];
    struct build_endpoint row[SERVICES * ENDPOINTS];
    struct build_input in;
    struct endpoint_table table;
    struct snapshot *snapshot[2];
    struct view *view[2];
};

static struct name name_of(const char *kind, unsigned number)
{
    struct name n = {{0}};
    snprintf(n.text, sizeof n.text, "%s%u", kind, number);
    return n;
}

static struct large *large_new(void)
{
    struct large *l = calloc(1, sizeof *l);
    assert_non_null(l);
    l->config.node.mesh = name_of("shop", 1);
    l->config.node.name = name_of("h", 1);
    for (unsigned s = 0; s < SERVICES; s++) {
        struct config_upstream *u = &l->upstream[s];
        u->name = name_of("service", s);
        u->as = (struct spiffe_id){l->config.node.mesh, name_of("web", 1), IDENTITY_SERVICE};
        u->balance = (enum config_balance)(s % (BALANCE_ROUND_ROBIN + 1));
        u->aperture = CONFIG_APERTURE;
        u->retry.tries = 3;
        for (unsigned i = 0; i < ENDPOINTS; i++) {
            struct build_endpoint *row = &l->row[s * ENDPOINTS + i];
            *row = (struct build_endpoint){
                .service = u->name, .node = name_of("node", i), .weight = 100};
            row->node_id.byte[0] = (uint8_t)i;
            row->addr = (struct addr){.family = ADDR_IP4, .ip = {10, 0, 0, (uint8_t)i}, .port = 1};
        }
    }
    l->config.upstream = l->upstream;
    l->config.upstream_count = SERVICES;
    l->in = (struct build_input){
        .config = &l->config, .endpoint = l->row, .endpoint_count = SERVICES * ENDPOINTS};
    return l;
}

/* Two snapshots and two views, as while a new one comes, the states of all endpoints, and every
 * link that the apertures allow at its bound. */
static void test_a_host_that_calls_twenty_large_services_is_bounded(void **state)
{
    static const struct hash_key key = {{3}};
    struct large *l = large_new();
    (void)state;
    int64_t before = atomic_load(&all_bytes);
    endpoint_state_table_init(&l->table, &key);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(build_snapshot(&l->in, NULL, &l->snapshot[i]), ERR_OK);
        assert_int_equal(view_new(l->snapshot[i], &l->table, 1000, &l->view[i]), ERR_OK);
    }
    int64_t planes = atomic_load(&all_bytes) - before;
    size_t links = 0;
    for (unsigned s = 0; s < SERVICES; s++) {
        const struct snapshot_upstream *u = &l->snapshot[0]->upstream[s];
        assert_int_equal(u->endpoint_count, ENDPOINTS);
        assert_int_equal(u->group_count, 1);
        links += u->group[0].near.count + u->group[0].far.count;
    }
    assert_int_equal(links, SERVICES * CONFIG_APERTURE);
    int64_t bytes = planes + (int64_t)links * LINK_BYTES_MAX + DAEMON_BYTES;
    print_message("%u services of %u endpoints: %lld KiB, %zu links: %zu KiB\n", SERVICES,
                  ENDPOINTS, (long long)planes / 1024, links, links * LINK_BYTES_MAX / 1024);
    assert_in_range(bytes, 0, HOST_BYTES_MAX);
    for (unsigned i = 0; i < 2; i++)
        snapshot_unref(view_unpin(l->view[i], &l->table));
    endpoint_state_table_fini(&l->table);
    assert_int_equal(atomic_load(&all_bytes), before);
    free(l);
}

#define WITH_RIG(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_a_link_of_a_stranger_with_its_session_is_small),
        WITH_RIG(test_a_link_between_two_parleys_is_small_at_both_ends),
        WITH_RIG(test_an_idle_connection_is_small),
        WITH_RIG(test_what_a_peak_needed_is_given_back),
        cmocka_unit_test(test_a_host_that_calls_twenty_large_services_is_bounded),
    };
    helper_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
