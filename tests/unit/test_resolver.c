#include "core/io/resolver.h"

#include "core/base/check.h"
#include "core/io/clock.h"
#include "core/io/sock.h"
#include "core/io/udp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#define GIVE_UP_MS 30000u
#define TYPE_A     1u
#define TYPE_CNAME 5u
#define TYPE_AAAA  28u

enum behaviour { ANSWER, NXDOMAIN, SERVFAIL, SILENT, MANY, CNAME_LOOP, GARBAGE };

/* A name server on loopback, driven by the same loop. */
struct server {
    struct loop *loop;
    struct loop_timer guard;
    struct loop_io io;
    int fd;
    enum behaviour behaviour;
    unsigned asked;
    bool gave_up;
    struct resolver *resolver;
};

struct message {
    uint8_t byte[4096];
    size_t len;
};

static void put(struct message *m, const void *p, size_t len)
{
    assert_true(m->len + len <= sizeof(m->byte));
    memcpy(m->byte + m->len, p, len);
    m->len += len;
}

static void put16(struct message *m, unsigned v)
{
    const uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    put(m, bytes, 2);
}

/* Answers for the question's own name (a pointer to offset 12, RFC 1035 4.1.4), TTL 0. */
static void put_record(struct message *m, unsigned type, const void *data, size_t len)
{
    put16(m, 0xc00c);
    put16(m, type);
    put16(m, 1);
    put16(m, 0);
    put16(m, 0);
    put16(m, (unsigned)len);
    put(m, data, len);
}

static unsigned put_answers(struct message *m, enum behaviour behaviour, unsigned type)
{
    uint8_t ip[16] = {10, 0, 0, 1};
    if (behaviour == CNAME_LOOP) {
        put_record(m, TYPE_CNAME, "\xc0\x0c", 2);
        return 1;
    }
    if (behaviour == MANY && type == TYPE_A) {
        for (unsigned i = 0; i < 30; i++) {
            ip[3] = (uint8_t)i;
            put_record(m, TYPE_A, ip, 4);
        }
        return 30;
    }
    if (behaviour != ANSWER) return 0;
    if (type == TYPE_AAAA) ip[0] = 0xfd;
    put_record(m, type, ip, type == TYPE_AAAA ? 16 : 4);
    return 1;
}

static void answer(struct server *s, const struct udp_datagram *question)
{
    struct message m = {.len = 0};
    const uint8_t *q = (const uint8_t *)question->data.p;
    size_t len = question->data.len, at = 12;
    assert_true(len > 16);
    while (q[at] != 0)
        at += q[at] + 1u;
    unsigned type = (unsigned)(q[at + 1] << 8 | q[at + 2]);
    size_t handled;
    s->asked++;
    if (s->behaviour == SILENT) return;
    put(&m, q, 2);
    unsigned code = s->behaviour == NXDOMAIN ? 3 : s->behaviour == SERVFAIL ? 2 : 0;
    put16(&m, 0x8180 | code);
    put16(&m, 1);
    put16(&m, 0);
    put16(&m, 0);
    put16(&m, 0);
    put(&m, q + 12, at + 5 - 12);
    unsigned answers = put_answers(&m, s->behaviour, type);
    m.byte[6] = (uint8_t)(answers >> 8);
    m.byte[7] = (uint8_t)answers;
    if (s->behaviour == GARBAGE) {
        /* Says that it holds an answer, and ends. */
        m.byte[7] = 1;
    }
    struct udp_datagram out = {.peer = question->peer, .data = span_of(m.byte, m.len)};
    assert_int_equal(udp_send(s->fd, &out, 1, &handled, NULL), ERR_OK);
}

static void server_ready(struct loop_io *io, bool readable, bool writable)
{
    struct server *s = CONTAINER_OF(io, struct server, io);
    static uint8_t buffer[UDP_BATCH_MAX * 1024];
    struct udp_datagram in[UDP_BATCH_MAX];
    size_t count;
    (void)readable;
    (void)writable;
    enum err err = udp_recv(s->fd, buffer, sizeof(buffer), in, &count);
    assert_true(err == ERR_OK || err == ERR_AGAIN);
    for (size_t i = 0; i < count; i++)
        answer(s, &in[i]);
}

static void guard_expired(struct loop_timer *t)
{
    struct server *s = CONTAINER_OF(t, struct server, guard);
    s->gave_up = true;
    loop_stop(s->loop);
}

static void server_open(struct server *s, enum behaviour behaviour)
{
    const struct addr at = {.ip = {127, 0, 0, 1}, .family = ADDR_IP4};
    *s = (struct server){.guard.on_expire = guard_expired, .behaviour = behaviour};
    assert_int_equal(loop_new(&s->loop), ERR_OK);
    assert_int_equal(udp_bind(&at, &s->fd), ERR_OK);
    loop_io_init(&s->io, s->fd, server_ready);
    loop_io_set(s->loop, &s->io, true, false);
    struct addr local = sock_local(s->fd);
    const struct resolver_options o = {
        .server = &local, .server_count = 1, .timeout_ms = 20, .tries = 2};
    assert_int_equal(resolver_new(s->loop, &o, &s->resolver), ERR_OK);
}

static void server_run(struct server *s)
{
    loop_timer_set(s->loop, &s->guard, clock_mono_ms() + GIVE_UP_MS);
    loop_run(s->loop);
    loop_timer_clear(s->loop, &s->guard);
    assert_false(s->gave_up);
}

static void server_close(struct server *s)
{
    resolver_free(s->resolver);
    loop_io_set(s->loop, &s->io, false, false);
    close(s->fd);
    loop_free(s->loop);
}

struct asker {
    struct resolver_query query;
    struct server *server;
    unsigned calls;
    enum err err;
    size_t count;
    struct addr addr[RESOLVER_ADDRS_MAX];
    unsigned *left; /* stop when all have their answer */
};

static void got(struct resolver_query *q, enum err err, const struct addr *addr, size_t count)
{
    struct asker *a = CONTAINER_OF(q, struct asker, query);
    a->calls++;
    a->err = err;
    a->count = count;
    assert_true(count <= RESOLVER_ADDRS_MAX);
    memcpy(a->addr, addr, count * sizeof(*addr));
    if (--*a->left == 0) loop_stop(a->server->loop);
}

static void ask(struct server *s, struct asker *a, const char *host, unsigned *left)
{
    *a = (struct asker){.query.on_done = got, .server = s, .left = left};
    assert_int_equal(resolver_start(s->resolver, &a->query, span_str(host), 7400), ERR_OK);
    /* Never inside the call, even when the answer is known already. */
    assert_int_equal(a->calls, 0);
}

static struct asker ask_one(enum behaviour behaviour, const char *host)
{
    struct server s;
    struct asker a;
    unsigned left = 1;
    server_open(&s, behaviour);
    ask(&s, &a, host, &left);
    server_run(&s);
    assert_int_equal(a.calls, 1);
    server_close(&s);
    return a;
}

static void test_name_gives_addresses_of_both_families_with_the_port(void **state)
{
    (void)state;
    struct asker a = ask_one(ANSWER, "node.example");
    bool ip4 = false, ip6 = false;
    assert_int_equal(a.err, ERR_OK);
    assert_int_equal(a.count, 2);
    for (size_t i = 0; i < a.count; i++) {
        assert_int_equal(a.addr[i].port, 7400);
        ip4 = ip4 || (a.addr[i].family == ADDR_IP4 && a.addr[i].ip[0] == 10);
        ip6 = ip6 || (a.addr[i].family == ADDR_IP6 && a.addr[i].ip[0] == 0xfd);
    }
    assert_true(ip4 && ip6);
}

static void test_more_answers_than_the_bound_are_cut(void **state)
{
    (void)state;
    struct asker a = ask_one(MANY, "many.example");
    assert_int_equal(a.err, ERR_OK);
    assert_int_equal(a.count, RESOLVER_ADDRS_MAX);
}

static void test_each_failure_has_its_error(void **state)
{
    (void)state;
    assert_int_equal(ask_one(NXDOMAIN, "none.example").err, ERR_NOT_FOUND);
    assert_int_equal(ask_one(SILENT, "slow.example").err, ERR_TIMEOUT);
    struct asker failed = ask_one(SERVFAIL, "broken.example");
    assert_true(failed.err == ERR_IO || failed.err == ERR_REFUSED);
    assert_int_not_equal(ask_one(CNAME_LOOP, "loop.example").err, ERR_OK);
    assert_int_not_equal(ask_one(GARBAGE, "garbage.example").err, ERR_OK);
}

static void test_hosts_file_and_literals_ask_nobody(void **state)
{
    (void)state;
    struct server s;
    struct asker local, ip4, ip6;
    unsigned left = 3;
    server_open(&s, SILENT);
    ask(&s, &local, "localhost", &left);
    ask(&s, &ip4, "192.0.2.7", &left);
    ask(&s, &ip6, "2001:db8::7", &left);
    server_run(&s);
    assert_int_equal(s.asked, 0);
    assert_int_equal(local.err, ERR_OK);
    assert_true(local.count > 0 && addr_is_loopback(&local.addr[0]));
    assert_int_equal(ip4.count, 1);
    assert_int_equal(ip4.addr[0].ip[3], 7);
    assert_int_equal(ip4.addr[0].port, 7400);
    assert_int_equal(ip6.count, 1);
    assert_int_equal(ip6.addr[0].family, ADDR_IP6);
    server_close(&s);
}

static void test_cancelled_query_stays_silent_and_its_memory_may_go(void **state)
{
    (void)state;
    struct server s;
    struct asker kept;
    unsigned left = 1, none = 1;
    server_open(&s, ANSWER);
    {
        struct asker gone;
        ask(&s, &gone, "gone.example", &none);
        resolver_cancel(&gone.query);
        resolver_cancel(&gone.query);
        assert_null(gone.query.job);
        memset(&gone, 0xee, sizeof(gone));
    }
    ask(&s, &kept, "kept.example", &left);
    server_run(&s);
    assert_int_equal(kept.err, ERR_OK);
    assert_int_equal(none, 1);
    server_close(&s);
}

static void test_freeing_the_resolver_ends_queries_silently(void **state)
{
    (void)state;
    struct server s;
    struct asker a, known;
    unsigned left = 2;
    server_open(&s, SILENT);
    ask(&s, &a, "pending.example", &left);
    ask(&s, &known, "192.0.2.7", &left);
    server_close(&s);
    assert_int_equal(a.calls, 0);
    assert_int_equal(known.calls, 0);
}

static void test_queries_are_bounded_and_names_checked(void **state)
{
    (void)state;
    struct server s;
    static struct asker a[RESOLVER_QUERIES_MAX];
    struct resolver_query more = {.on_done = got};
    char host[300];
    unsigned left = RESOLVER_QUERIES_MAX;
    server_open(&s, ANSWER);
    memset(host, 'a', sizeof(host));
    assert_int_equal(resolver_start(s.resolver, &more, span_of(host, 254), 1), ERR_INVALID);
    assert_int_equal(resolver_start(s.resolver, &more, SPAN_LIT(""), 1), ERR_INVALID);
    assert_int_equal(resolver_start(s.resolver, &more, SPAN_LIT("a\0b"), 1), ERR_INVALID);
    for (size_t i = 0; i < RESOLVER_QUERIES_MAX; i++) {
        snprintf(host, sizeof(host), "n%zu.example", i);
        ask(&s, &a[i], host, &left);
    }
    assert_int_equal(resolver_start(s.resolver, &more, SPAN_LIT("x.example"), 1), ERR_FULL);
    assert_null(more.job);
    server_run(&s);
    for (size_t i = 0; i < RESOLVER_QUERIES_MAX; i++)
        assert_int_equal(a[i].err, ERR_OK);
    left = 1;
    ask(&s, &a[0], "later.example", &left);
    server_run(&s);
    assert_int_equal(a[0].err, ERR_OK);
    server_close(&s);
}

struct again {
    struct resolver_query query;
    struct server *server;
    unsigned rounds;
};

static void ask_again(struct resolver_query *q, enum err err, const struct addr *addr, size_t count)
{
    struct again *a = CONTAINER_OF(q, struct again, query);
    (void)addr;
    assert_int_equal(err, ERR_OK);
    assert_true(count > 0);
    if (--a->rounds == 0)
        loop_stop(a->server->loop);
    else
        assert_int_equal(resolver_start(a->server->resolver, q, SPAN_LIT("again.example"), 1),
                         ERR_OK);
}

static void test_query_may_be_started_again_from_its_answer(void **state)
{
    (void)state;
    struct server s;
    struct again a = {.query.on_done = ask_again, .server = &s, .rounds = 5};
    server_open(&s, ANSWER);
    assert_int_equal(resolver_start(s.resolver, &a.query, SPAN_LIT("again.example"), 1), ERR_OK);
    server_run(&s);
    assert_int_equal(a.rounds, 0);
    assert_int_equal(s.asked, 10);
    server_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_gives_addresses_of_both_families_with_the_port),
        cmocka_unit_test(test_more_answers_than_the_bound_are_cut),
        cmocka_unit_test(test_each_failure_has_its_error),
        cmocka_unit_test(test_hosts_file_and_literals_ask_nobody),
        cmocka_unit_test(test_cancelled_query_stays_silent_and_its_memory_may_go),
        cmocka_unit_test(test_freeing_the_resolver_ends_queries_silently),
        cmocka_unit_test(test_queries_are_bounded_and_names_checked),
        cmocka_unit_test(test_query_may_be_started_again_from_its_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
