#include "core/io/conn.h"

#include "core/base/check.h"
#include "core/io/sock.h"
#include "tests/unit/support_conn.h"
#include "tests/unit/support_rogue.h"
#include "tests/unit/support_tls.h"
#include "tests/unit/support_x509.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (1024u * 1024u)
#define RAW (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
/* TLS 1.2 with AES-128-GCM: header 5, explicit nonce 8, tag 16 (RFC 5288 3). */
#define RECORD_OVERHEAD 29u

struct tls_world {
    struct tls_profile *profile;
    struct trust *trust;
    struct identity *client, *server;
    struct spiffe_id expect;
    const char *client_alpn;
    bool anonymous; /* no certificate is asked for */
};

static struct tls_engine *make_client(void *context)
{
    const struct tls_world *w = context;
    const struct tls_client_options o = {.profile = w->profile,
                                         .self = w->client,
                                         .trust = w->trust,
                                         .expect = &w->expect,
                                         .sni = "api.shop",
                                         .alpn = w->client_alpn,
                                         .now_s = SUPPORT_X509_NOW};
    struct tls_engine *e = NULL;
    assert_int_equal(tls_engine_client(&o, &e), ERR_OK);
    return e;
}

static struct tls_engine *make_server(void *context)
{
    const struct tls_world *w = context;
    const struct tls_server_options o = {.profile = w->profile,
                                         .self = w->server,
                                         .trust = w->trust,
                                         .anonymous_clients = w->anonymous,
                                         .alpn = "h2",
                                         .now_s = SUPPORT_X509_NOW};
    struct tls_engine *e = NULL;
    assert_int_equal(tls_engine_server(&o, &e), ERR_OK);
    return e;
}

static int world_open(void **state)
{
    static struct tls_world w;
    struct support_x509_ca ca;
    w = (struct tls_world){.client_alpn = "h2"};
    support_x509_ca_new("shop", &ca);
    w.client = support_x509_identity(&ca, "spiffe://shop/service/web");
    w.server = support_x509_identity(&ca, "spiffe://shop/service/api");
    w.trust = support_x509_trust(&ca);
    w.expect = *identity_spiffe(w.server);
    assert_int_equal(tls_engine_profile_new(&w.profile), ERR_OK);
    *state = &w;
    return 0;
}

static int world_close(void **state)
{
    struct tls_world *w = *state;
    tls_engine_profile_free(w->profile);
    identity_unref(w->client);
    identity_unref(w->server);
    identity_trust_unref(w->trust);
    return 0;
}

static struct pair_kind kind_of(void **state)
{
    return (struct pair_kind){
        .client = make_client, .server = make_server, .context = *state, .phase = LOOP_FLUSH_LINK};
}

static void test_echo_then_clean_end(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_echo_then_clean_end(&kind);
}

static void test_ten_mebibytes_both_ways_through_a_small_queue(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_bulk_both_ways(&kind, 10 * MIB, 20000);
    pair_case_bulk_both_ways(&kind, 100000, 100);
}

static void test_ten_mebibytes_both_ways_by_producing_at_flush(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_bulk_by_producing(&kind, 10 * MIB);
}

static void test_pauses_in_the_middle_of_data_keep_order(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_pauses_keep_order(&kind);
}

static void test_parts_taken_without_a_pause_keep_order(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_parts_without_pause_keep_order(&kind);
}

static void test_close_in_each_callback_of_either_end(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_close_in_each_callback(&kind);
}

static void test_abort_is_a_reset_at_the_other_end(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_abort_is_reset(&kind);
}

static void test_close_sends_what_is_queued(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_close_sends_what_is_queued(&kind);
}

static void test_answer_survives_a_close_during_upload(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_answer_survives_close_during_upload(&kind);
}

static void test_closed_port_refuses(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_refused(&kind);
}

static void test_write_over_the_bound_takes_nothing_and_drains_later(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_full_queue_takes_nothing(&kind);
}

static void test_writes_of_a_turn_leave_in_one_record(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_writes_of_a_turn_leave_together(&kind, RECORD_OVERHEAD);
}

static void test_loop_ends_with_a_lingering_connection(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_loop_ends_with_lingering(&kind);
}

static void test_warm_loop_takes_no_blocks(void **state)
{
    struct pair_kind kind = kind_of(state);
    pair_case_no_memory_when_warm(&kind);
}

static void stop_when_both_open(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (event == PAIR_OPEN && p->client.opened && p->server.opened) loop_stop(p->loop);
}

static void test_each_end_knows_whom_it_speaks_to(void **state)
{
    struct pair_kind kind = kind_of(state);
    const struct tls_world *w = *state;
    struct pair p;
    pair_open(&p, &kind);
    p.client.on_event = p.server.on_event = stop_when_both_open;
    pair_connect(&p);
    assert_null(conn_peer(p.client.conn));
    pair_run(&p);
    const struct x509_leaf *server = conn_peer(p.client.conn);
    const struct x509_leaf *client = conn_peer(p.server.conn);
    assert_non_null(server);
    assert_non_null(client);
    assert_memory_equal(&server->id, identity_spiffe(w->server), sizeof(server->id));
    assert_memory_equal(&client->id, identity_spiffe(w->client), sizeof(client->id));
    assert_non_null(conn_engine(p.client.conn));
    pair_close(&p);
}

/* Each end that has failed closes; the loop stops when the client has. */
static void failing_event(struct pair_side *s, enum pair_event event)
{
    if (event != PAIR_ERROR) return;
    if (s == &s->pair->server)
        pair_side_close(s, false);
    else
        loop_stop(s->pair->loop);
}

static void test_peer_with_another_identity_is_a_mismatch_with_its_fault(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct tls_world w = *(struct tls_world *)*state;
    struct pair p;
    kind.context = &w;
    w.expect = *identity_spiffe(w.client);
    pair_open(&p, &kind);
    p.client.on_event = p.server.on_event = failing_event;
    p.client.to_send = 100;
    pair_connect(&p);
    pair_run(&p);
    assert_false(p.client.opened);
    assert_int_equal(p.client.error, ERR_MISMATCH);
    assert_int_equal(tls_engine_fault(conn_engine(p.client.conn)), X509_OTHER_IDENTITY);
    assert_int_equal(p.server.received, 0);
    pair_close(&p);
}

static void test_caller_of_another_mesh_is_untrusted_at_the_server(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct tls_world w = *(struct tls_world *)*state;
    struct support_x509_ca other;
    struct pair p;
    support_x509_ca_new("shop", &other);
    w.client = support_x509_identity(&other, "spiffe://shop/service/web");
    kind.context = &w;
    pair_open(&p, &kind);
    p.client.on_event = p.server.on_event = failing_event;
    pair_connect(&p);
    pair_run(&p);
    assert_false(p.server.opened);
    assert_int_equal(p.server.error, ERR_UNTRUSTED);
    /* The alert reached the client before the connection went. */
    assert_int_equal(p.client.error, ERR_AUTH);
    pair_close(&p);
    identity_unref(w.client);
}

static void test_protocol_that_the_server_does_not_speak_is_an_error(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct tls_world w = *(struct tls_world *)*state;
    struct pair p;
    w.client_alpn = "parley-sync/1";
    kind.context = &w;
    pair_open(&p, &kind);
    p.client.on_event = p.server.on_event = failing_event;
    pair_connect(&p);
    pair_run(&p);
    assert_false(p.client.opened);
    assert_false(p.server.opened);
    assert_int_equal(p.client.error, ERR_PROTOCOL);
    pair_close(&p);
}

static void stop_at_error(struct pair_side *s, enum pair_event event)
{
    if (event == PAIR_ERROR) loop_stop(s->pair->loop);
}

static void test_listener_that_never_answers_the_hello_times_out(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct pair p;
    pair_open(&p, &kind);
    loop_io_set(p.loop, &p.listener, false, false);
    p.client.on_event = stop_at_error;
    p.open_deadline_ms = loop_now_ms(p.loop) + 50;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.error, ERR_TIMEOUT);
    pair_close(&p);
}

/* A server side over one end of a socket pair; the test holds the other. */
static int raw_peer(struct pair *p, const struct pair_kind *kind, struct span seen)
{
    int fd[2];
    struct conn_options o = pair_options(p, &p->server);
    assert_int_equal(socketpair(AF_UNIX, RAW, 0, fd), 0);
    struct tls_engine *tls = kind->server(kind->context);
    assert_int_equal(conn_accept(&o, fd[0], tls, seen, &p->server.conn), ERR_OK);
    return fd[1];
}

static void test_plaintext_is_a_protocol_error(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct pair p;
    pair_open(&p, &kind);
    p.server.on_event = stop_at_error;
    int fd = raw_peer(&p, &kind, SPAN_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    pair_run(&p);
    assert_int_equal(p.server.error, ERR_PROTOCOL);
    pair_close(&p);
    close(fd);
}

static void test_end_in_the_handshake_is_a_reset(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct pair p;
    pair_open(&p, &kind);
    p.server.on_event = stop_at_error;
    int fd = raw_peer(&p, &kind, span_of(NULL, 0));
    close(fd);
    pair_run(&p);
    assert_int_equal(p.server.error, ERR_RESET);
    pair_close(&p);
}

static unsigned turns;

/* Stands before libc's: the loop calls it once a turn. */
int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
    turns++;
    return epoll_pwait(fd, events, max, timeout, NULL);
}

/* The answer cannot leave, and what came behind the hello cannot be taken before it has. */
static void test_handshake_that_cannot_be_answered_waits_without_spinning(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct tls_engine *client = kind.client(kind.context);
    struct pair p;
    uint8_t hello[2048];
    int fd[2];
    size_t len = support_tls_drain(client, hello, sizeof(hello) - 1);
    hello[len++] = 0x16;
    pair_open(&p, &kind);
    assert_int_equal(socketpair(AF_UNIX, RAW, 0, fd), 0);
    while (send(fd[0], hello, sizeof(hello), 0) > 0)
        continue;
    p.server.on_event = stop_at_error;
    p.open_deadline_ms = loop_now_ms(p.loop) + 100;
    struct conn_options o = pair_options(&p, &p.server);
    struct tls_engine *server = kind.server(kind.context);
    assert_int_equal(conn_accept(&o, fd[0], server, span_of(hello, len), &p.server.conn), ERR_OK);
    turns = 0;
    pair_run(&p);
    assert_int_equal(p.server.error, ERR_TIMEOUT);
    assert_in_range(turns, 1, 20); /* spinning makes thousands */
    pair_close(&p);
    tls_engine_free(client);
    close(fd[1]);
}

/* A server of our own that the test drives: it sends its Finished and close_notify at once. */
struct hasty {
    struct pair pair; /* first: sides lead here */
    struct loop_io io;
    struct tls_engine *tls;
    int fd;
};

static void hasty_ready(struct loop_io *io, bool readable, bool writable)
{
    struct hasty *h = CONTAINER_OF(io, struct hasty, io);
    uint8_t bytes[8192];
    (void)writable;
    ssize_t n = readable ? recv(h->fd, bytes, sizeof(bytes), 0) : 0;
    if (n <= 0) return;
    assert_int_equal(tls_engine_feed(h->tls, bytes, (size_t)n), n);
    size_t len = support_tls_drain(h->tls, bytes, sizeof(bytes));
    if (tls_engine_ready(h->tls)) tls_engine_close(h->tls);
    len += support_tls_drain(h->tls, bytes + len, sizeof(bytes) - len);
    assert_int_equal(send(h->fd, bytes, len, MSG_NOSIGNAL), len);
}

static void pause_when_open(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (event == PAIR_OPEN) {
        conn_pause(s->conn);
        loop_timer_set(p->loop, &s->resume, loop_now_ms(p->loop));
    }
    if (event == PAIR_EOF || event == PAIR_ERROR) loop_stop(p->loop);
}

static void test_end_that_came_with_the_handshake_is_told_after_a_pause(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct hasty h = {.tls = kind.server(kind.context)};
    int fd[2];
    pair_open(&h.pair, &kind);
    assert_int_equal(socketpair(AF_UNIX, RAW, 0, fd), 0);
    h.fd = fd[1];
    loop_io_init(&h.io, h.fd, hasty_ready);
    loop_io_set(h.pair.loop, &h.io, true, false);
    h.pair.client.on_event = pause_when_open;
    struct conn_options o = pair_options(&h.pair, &h.pair.client);
    struct tls_engine *tls = kind.client(kind.context);
    assert_int_equal(conn_accept(&o, fd[0], tls, SPAN_LIT(""), &h.pair.client.conn), ERR_OK);
    pair_run(&h.pair);
    assert_true(h.pair.client.ended && h.pair.client.error == ERR_OK);
    loop_io_set(h.pair.loop, &h.io, false, false);
    pair_close(&h.pair);
    tls_engine_free(h.tls);
    close(h.fd);
}

/* A client that shows no certificate and offers no protocol, on the other end of a socket pair. */
struct rogue_end {
    struct support_rogue rogue;
    struct loop_io io;
    int fd;
};

static void rogue_ready(struct loop_io *io, bool readable, bool writable)
{
    struct rogue_end *r = CONTAINER_OF(io, struct rogue_end, io);
    size_t len;
    (void)writable;
    unsigned char *buf = br_ssl_engine_recvrec_buf(r->rogue.eng, &len);
    ssize_t n = readable && buf != NULL ? recv(r->fd, buf, len, 0) : 0;
    if (n > 0) br_ssl_engine_recvrec_ack(r->rogue.eng, (size_t)n);
    while ((buf = br_ssl_engine_sendrec_buf(r->rogue.eng, &len)) != NULL) {
        assert_int_equal(send(r->fd, buf, len, MSG_NOSIGNAL), len);
        br_ssl_engine_sendrec_ack(r->rogue.eng, len);
    }
}

/* T15: known only when our own Finished has left, which no more bytes of the peer's follow. */
static void test_client_without_a_protocol_is_refused_at_once(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct tls_world w = *(struct tls_world *)*state;
    struct support_rogue_options o = {.profile = w.profile};
    static struct rogue_end r;
    struct pair p;
    w.anonymous = true;
    kind.context = &w;
    pair_open(&p, &kind);
    p.server.on_event = stop_at_error;
    r.fd = raw_peer(&p, &kind, span_of(NULL, 0));
    support_rogue_client(&r.rogue, &o);
    support_rogue_start(&r.rogue, false);
    loop_io_init(&r.io, r.fd, rogue_ready);
    loop_io_set(p.loop, &r.io, true, false);
    rogue_ready(&r.io, false, true);
    pair_run(&p);
    assert_int_equal(p.server.error, ERR_PROTOCOL);
    loop_io_set(p.loop, &r.io, false, false);
    pair_close(&p);
    close(r.fd);
}

/* T17: the client's process dies: its kernel ends the stream without close_notify. */
static void truncate_event(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (s == &p->server && s->received == 1000 && p->client.conn != NULL) {
        int fd = p->listen_fd;
        struct addr local = conn_local(p->client.conn);
        /* Nothing in the interface ends TCP alone: find the client's descriptor by its address. */
        for (fd = 3; fd < 1024; fd++) {
            struct addr found = sock_local(fd);
            if (addr_eq(&found, &local)) break;
        }
        assert_true(fd < 1024);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
    }
    if (s == &p->server && event == PAIR_ERROR) loop_stop(p->loop);
}

static void test_end_without_close_notify_is_a_reset(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct pair p;
    pair_open(&p, &kind);
    p.client.on_event = p.server.on_event = truncate_event;
    p.client.to_send = 1000;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.server.received, 1000);
    assert_false(p.server.ended);
    assert_int_equal(p.server.error, ERR_RESET);
    pair_close(&p);
}

struct hello_thief {
    struct pair pair; /* first: sides lead here */
    int fd;
};

/* The listener of a worker: reads the hello itself, then hands descriptor and bytes on. */
static void steal_hello(struct loop_io *io, bool readable, bool writable)
{
    struct pair *p = CONTAINER_OF(io, struct pair, listener);
    struct hello_thief *t = (struct hello_thief *)(void *)p;
    uint8_t hello[2048];
    (void)readable;
    (void)writable;
    if (t->fd < 0) {
        struct sock_accepted accepted;
        size_t count;
        assert_int_equal(sock_accept(p->listen_fd, &accepted, 1, &count), ERR_OK);
        t->fd = accepted.fd;
        loop_io_set(p->loop, io, false, false);
        loop_io_init(io, t->fd, steal_hello);
        loop_io_set(p->loop, io, true, false);
        return;
    }
    ssize_t n = recv(t->fd, hello, sizeof(hello), 0);
    assert_true(n > 0);
    loop_io_set(p->loop, io, false, false);
    struct conn_options o = pair_options(p, &p->server);
    struct tls_engine *tls = p->kind->server(p->kind->context);
    struct span seen = span_of(hello, (size_t)n);
    assert_int_equal(conn_accept(&o, t->fd, tls, seen, &p->server.conn), ERR_OK);
}

static void test_hello_that_was_peeked_is_fed_first(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct hello_thief t = {.fd = -1};
    pair_open(&t.pair, &kind);
    t.pair.listener.on_ready = steal_hello;
    t.pair.client.on_event = t.pair.server.on_event = stop_when_both_open;
    pair_connect(&t.pair);
    pair_run(&t.pair);
    assert_true(t.pair.server.opened);
    pair_close(&t.pair);
}

/* The client ends its side in the middle of a download. */
static void leaving_event(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (s == &p->client && event == PAIR_DATA && s->received > MIB) conn_shutdown(s->conn);
    if (event == PAIR_EOF && s == &p->server) pair_side_close(s, false);
    if (event == PAIR_EOF && s == &p->client) loop_stop(p->loop);
}

static void test_bytes_after_our_own_end_are_dropped_and_the_end_is_clean(void **state)
{
    struct pair_kind kind = kind_of(state);
    struct pair p;
    pair_open(&p, &kind);
    p.client.on_event = p.server.on_event = leaving_event;
    p.server.to_send = 64 * MIB;
    p.server.piece_max = 16384;
    pair_connect(&p);
    pair_run(&p);
    assert_true(p.server.ended && p.client.ended);
    assert_int_equal(p.server.error, ERR_OK);
    assert_int_equal(p.client.error, ERR_OK);
    assert_true(p.server.sent < p.server.to_send);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_then_clean_end),
        cmocka_unit_test(test_ten_mebibytes_both_ways_through_a_small_queue),
        cmocka_unit_test(test_ten_mebibytes_both_ways_by_producing_at_flush),
        cmocka_unit_test(test_pauses_in_the_middle_of_data_keep_order),
        cmocka_unit_test(test_parts_taken_without_a_pause_keep_order),
        cmocka_unit_test(test_close_in_each_callback_of_either_end),
        cmocka_unit_test(test_abort_is_a_reset_at_the_other_end),
        cmocka_unit_test(test_close_sends_what_is_queued),
        cmocka_unit_test(test_answer_survives_a_close_during_upload),
        cmocka_unit_test(test_closed_port_refuses),
        cmocka_unit_test(test_write_over_the_bound_takes_nothing_and_drains_later),
        cmocka_unit_test(test_writes_of_a_turn_leave_in_one_record),
        cmocka_unit_test(test_loop_ends_with_a_lingering_connection),
        cmocka_unit_test(test_warm_loop_takes_no_blocks),
        cmocka_unit_test(test_each_end_knows_whom_it_speaks_to),
        cmocka_unit_test(test_peer_with_another_identity_is_a_mismatch_with_its_fault),
        cmocka_unit_test(test_caller_of_another_mesh_is_untrusted_at_the_server),
        cmocka_unit_test(test_protocol_that_the_server_does_not_speak_is_an_error),
        cmocka_unit_test(test_listener_that_never_answers_the_hello_times_out),
        cmocka_unit_test(test_plaintext_is_a_protocol_error),
        cmocka_unit_test(test_end_in_the_handshake_is_a_reset),
        cmocka_unit_test(test_handshake_that_cannot_be_answered_waits_without_spinning),
        cmocka_unit_test(test_client_without_a_protocol_is_refused_at_once),
        cmocka_unit_test(test_end_that_came_with_the_handshake_is_told_after_a_pause),
        cmocka_unit_test(test_end_without_close_notify_is_a_reset),
        cmocka_unit_test(test_hello_that_was_peeked_is_fed_first),
        cmocka_unit_test(test_bytes_after_our_own_end_are_dropped_and_the_end_is_clean),
    };
    return cmocka_run_group_tests(tests, world_open, world_close);
}
