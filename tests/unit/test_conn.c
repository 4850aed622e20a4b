#include "core/io/conn.h"

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/io/sock.h"
#include "tests/unit/support_conn.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (1024u * 1024u)

static const struct pair_kind plain = {.phase = LOOP_FLUSH_PLAIN};
static const struct pair_kind by_blocks = {.phase = LOOP_FLUSH_PLAIN, .blocks = true};

static void test_echo_then_clean_end(void **state)
{
    (void)state;
    pair_case_echo_then_clean_end(&plain);
}

static void test_ten_mebibytes_both_ways_through_a_tiny_queue(void **state)
{
    (void)state;
    pair_case_bulk_both_ways(&plain, 10 * MIB, 20000);
    pair_case_bulk_both_ways(&plain, 100000, 100);
}

static void test_much_at_once_is_read_into_blocks_and_little_is_not(void **state)
{
    (void)state;
    pair_case_bulk_both_ways(&by_blocks, 10 * MIB, MIB);
    pair_case_pauses_keep_order(&by_blocks);
    pair_case_parts_without_pause_keep_order(&by_blocks);
    pair_case_echo_then_clean_end(&by_blocks);
}

static void test_ten_mebibytes_both_ways_by_producing_at_flush(void **state)
{
    (void)state;
    pair_case_bulk_by_producing(&plain, 10 * MIB);
}

static void test_pauses_in_the_middle_of_data_keep_order(void **state)
{
    (void)state;
    pair_case_pauses_keep_order(&plain);
}

static void test_parts_taken_without_a_pause_keep_order(void **state)
{
    (void)state;
    pair_case_parts_without_pause_keep_order(&plain);
}

static void test_close_in_each_callback_of_either_end(void **state)
{
    (void)state;
    pair_case_close_in_each_callback(&plain);
}

static void test_abort_is_a_reset_at_the_other_end(void **state)
{
    (void)state;
    pair_case_abort_is_reset(&plain);
}

static void test_close_sends_what_is_queued(void **state)
{
    (void)state;
    pair_case_close_sends_what_is_queued(&plain);
}

static void test_answer_survives_a_close_during_upload(void **state)
{
    (void)state;
    pair_case_answer_survives_close_during_upload(&plain);
}

static void test_closed_port_refuses(void **state)
{
    (void)state;
    pair_case_refused(&plain);
}

static void test_write_over_the_bound_takes_nothing_and_drains_later(void **state)
{
    (void)state;
    pair_case_full_queue_takes_nothing(&plain);
}

static void test_writes_of_a_turn_leave_together(void **state)
{
    (void)state;
    pair_case_writes_of_a_turn_leave_together(&plain, 0);
}

static void test_loop_ends_with_a_lingering_connection(void **state)
{
    (void)state;
    pair_case_loop_ends_with_lingering(&plain);
}

static struct loop_orphan later[LOOP_ORPHANS_MAX];
static struct loop *later_loop;

static void later_ended(struct loop_orphan *o, bool cut)
{
    assert_false(cut);
    loop_orphan_remove(later_loop, o);
}

static void crowd_event(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (s == &p->server && event == PAIR_OPEN) {
        pair_side_close(s, false);
        later_loop = p->loop;
        for (size_t i = 0; i < LOOP_ORPHANS_MAX; i++) {
            later[i] = (struct loop_orphan){.on_end = later_ended};
            loop_orphan_add(p->loop, &later[i]);
        }
    }
    if (s == &p->client && event == PAIR_ERROR) {
        pair_side_close(s, false);
        loop_stop(p->loop);
    }
}

/* It would wait for the end of its peer, which has none in mind. */
static void test_one_that_lingers_is_reset_when_too_many_do(void **state)
{
    struct pair p;
    (void)state;
    pair_open(&p, &plain);
    p.server.on_event = p.client.on_event = crowd_event;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(loop_orphans_cut(p.loop), 1);
    assert_int_equal(p.client.error, ERR_RESET);
    pair_close(&p);
}

static void test_warm_loop_takes_no_memory(void **state)
{
    (void)state;
    pair_case_no_memory_when_warm(&plain);
}

/* The client ends its half at once; the server answers after it has seen that. */
static void half_event(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (s == &p->client && event == PAIR_OPEN) {
        conn_shutdown(s->conn);
        assert_int_equal(conn_write(s->conn, SPAN_LIT("more")), ERR_EOF);
        assert_int_equal(conn_room(s->conn), 0);
    }
    if (event != PAIR_EOF) return;
    if (s == &p->server) {
        s->to_send = MIB;
        pair_side_pump(s);
        pair_side_close(s, false);
        return;
    }
    pair_side_close(s, false);
    loop_stop(p->loop);
}

static void test_half_closed_connection_still_carries_the_answer(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, &plain);
    p.out_max = 2 * MIB;
    p.client.on_event = p.server.on_event = half_event;
    p.client.to_send = 3;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.server.received, 3);
    assert_int_equal(p.client.received, MIB);
    pair_close(&p);
}

#define READ_LIMIT LOOP_BLOCK_BYTES

/* No more than the limit is taken from the socket at once, whichever way it is read. */
static void limited_event(struct pair_side *s, enum pair_event event)
{
    static const uint64_t bytes = 4 * MIB;
    struct pair *p = s->pair;
    if (s == &p->client && event == PAIR_OPEN) {
        s->to_send = bytes;
        pair_side_pump(s);
    }
    if (s != &p->server || event != PAIR_DATA) return;
    assert_true(s->received - s->sent <= READ_LIMIT);
    s->sent = s->received; /* it sends nothing: what it had before the last read */
    if (s->received == bytes) loop_stop(p->loop);
}

static void test_reads_keep_to_the_limit_of_the_loop(void **state)
{
    static const struct pair_kind *const kind[] = {&plain, &by_blocks};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct pair p;
        pair_open(&p, kind[i]);
        loop_limit_reads(p.loop, READ_LIMIT);
        p.client.on_event = p.server.on_event = limited_event;
        pair_connect(&p);
        pair_run(&p);
        assert_int_equal(p.server.received, 4 * MIB);
        assert_int_equal(p.server.blocks > 0, kind[i]->blocks);
        pair_close(&p);
    }
}

static void seen_event(struct pair_side *s, enum pair_event event)
{
    struct pair *p = s->pair;
    if (s == &p->client && event == PAIR_OPEN) {
        /* The first three bytes of the pattern are not sent: the server has them already. */
        s->sent = 3;
        s->to_send = 10;
        pair_side_pump(s);
    }
    if (s == &p->server && s->received == 10) loop_stop(p->loop);
}

static void test_bytes_seen_before_come_first(void **state)
{
    (void)state;
    const uint8_t first[3] = {pair_pattern(0), pair_pattern(1), pair_pattern(2)};
    struct pair p;
    pair_open(&p, &plain);
    p.seen = span_of(first, sizeof(first));
    p.client.on_event = p.server.on_event = seen_event;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.server.received, 10);
    struct addr client = conn_local(p.client.conn), server = conn_local(p.server.conn);
    assert_true(addr_eq(conn_remote(p.server.conn), &client));
    assert_true(addr_eq(conn_remote(p.client.conn), &p.target.addr));
    assert_true(addr_eq(&server, &p.target.addr));
    assert_null(conn_peer(p.client.conn));
    assert_null(conn_engine(p.client.conn));
    pair_close(&p);
}

static void test_more_bytes_seen_than_a_read_buffer_are_refused(void **state)
{
    (void)state;
    static const char large[READ_BUFFER_BYTES + 1];
    int fd[2];
    char byte;
    struct conn *c = NULL;
    struct pair p;
    pair_open(&p, &plain);
    struct conn_options o = pair_options(&p, &p.server);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    assert_int_equal(conn_accept(&o, fd[0], NULL, span_of(large, sizeof(large)), &c),
                     ERR_TOO_LARGE);
    assert_null(c);
    /* The descriptor was taken all the same. */
    assert_int_equal(recv(fd[1], &byte, 1, 0), 0);
    close(fd[1]);
    pair_close(&p);
}

static void stop_when_open(struct pair_side *s, enum pair_event event)
{
    if (event == PAIR_OPEN || event == PAIR_ERROR) loop_stop(s->pair->loop);
}

static void test_unix_socket_connects_and_a_missing_one_is_not_found(void **state)
{
    (void)state;
    char folder[] = "/tmp/parley-conn-XXXXXX";
    struct pair p;
    int fd;
    assert_non_null(mkdtemp(folder));
    pair_open(&p, &plain);
    p.client.on_event = stop_when_open;
    p.target.addr = (struct addr){.family = ADDR_NONE};
    snprintf(p.target.path, sizeof(p.target.path), "%s/socket", folder);
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.error, ERR_NOT_FOUND);
    pair_close(&p);

    pair_open(&p, &plain);
    p.client.on_event = stop_when_open;
    p.target.addr = (struct addr){.family = ADDR_NONE};
    snprintf(p.target.path, sizeof(p.target.path), "%s/socket", folder);
    assert_int_equal(sock_listen_unix(p.target.path, 0600, &fd), ERR_OK);
    pair_connect(&p);
    pair_run(&p);
    assert_true(p.client.opened);
    assert_int_equal(conn_remote(p.client.conn)->family, ADDR_NONE);
    pair_close(&p);
    close(fd);
    assert_int_equal(unlink(p.target.path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* Linux drops the SYN when the accept queue (backlog + 1) is full. */
static void test_connect_that_nobody_answers_times_out(void **state)
{
    (void)state;
    struct pair p;
    int listener, filler[2];
    bool done;
    const struct addr at = {.ip = {127, 0, 0, 1}, .family = ADDR_IP4};
    pair_open(&p, &plain);
    assert_int_equal(sock_listen(&at, 0, &listener), ERR_OK);
    assert_int_equal(listen(listener, 0), 0);
    p.target.addr = sock_local(listener);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(sock_connect(&p.target, &filler[i], &done), ERR_OK);
    p.client.on_event = stop_when_open;
    p.open_deadline_ms = loop_now_ms(p.loop) + 50;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(p.client.error, ERR_TIMEOUT);
    pair_close(&p);
    close(filler[0]);
    close(filler[1]);
    close(listener);
}

/* The peer sent `len` bytes of the pattern and went: the next send fails with EPIPE. */
static void answer_before_reset(size_t len)
{
    static uint8_t answer[READ_BUFFER_BYTES];
    int fd[2];
    struct pair p;
    pair_open(&p, &plain);
    p.client.on_event = stop_when_open;
    struct conn_options o = pair_options(&p, &p.client);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    for (size_t i = 0; i < len; i++)
        answer[i] = pair_pattern(i);
    assert_int_equal(send(fd[1], answer, len, MSG_NOSIGNAL), len);
    close(fd[1]);
    p.client.to_send = 10;
    assert_int_equal(conn_accept(&o, fd[0], NULL, span_of(NULL, 0), &p.client.conn), ERR_OK);
    while (p.client.error == ERR_OK)
        pair_run(&p);
    assert_int_equal(p.client.received, len);
    assert_false(p.client.ended);
    assert_int_equal(p.client.error, ERR_RESET);
    pair_close(&p);
}

static void test_answer_before_a_reset_is_read_although_sending_fails_first(void **state)
{
    (void)state;
    answer_before_reset(1);
    /* A whole read buffer: the end behind it is met at once, and is no clean one. */
    answer_before_reset(READ_BUFFER_BYTES);
}

/* The server answers its peer's last request; the peer has sent `more` by the time it closes. */
struct farewell {
    struct pair p;
    int fd; /* of the peer */
    uint64_t answer;
    struct span more;
};

static void last_event(struct pair_side *s, enum pair_event event)
{
    struct farewell *f = CONTAINER_OF(s->pair, struct farewell, p);
    assert_true(event == PAIR_OPEN || event == PAIR_DATA);
    if (event != PAIR_DATA) return;
    s->to_send = f->answer;
    pair_side_pump(s);
    assert_int_equal(s->sent, f->answer);
    assert_int_equal(send(f->fd, f->more.p, f->more.len, MSG_NOSIGNAL), f->more.len);
    conn_close_last(s->conn);
    s->closed = true;
    s->conn = NULL;
    loop_stop(s->pair->loop);
}

/* What comes until the end, which is clean. */
static size_t read_answer(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t bytes[4096];
    size_t len = 0;
    for (;;) {
        assert_int_equal(poll(&p, 1, 20000), 1);
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        assert_true(n >= 0);
        if (n == 0) return len;
        for (size_t i = 0; i < (size_t)n; i++)
            assert_int_equal(bytes[i], pair_pattern(len + i));
        len += (size_t)n;
    }
}

static void close_last(uint64_t answer, struct span more)
{
    struct farewell f = {.answer = answer, .more = more};
    bool done;
    pair_open(&f.p, &plain);
    f.p.out_max = MIB;
    f.p.server.on_event = last_event;
    assert_int_equal(sock_connect(&f.p.target, &f.fd, &done), ERR_OK);
    const uint8_t request = pair_pattern(0);
    struct pollfd p = {.fd = f.fd, .events = POLLOUT};
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(send(f.fd, &request, 1, MSG_NOSIGNAL), 1);
    pair_run(&f.p);
    assert_int_equal(read_answer(f.fd), answer);
    /* It has not waited for the peer's end: what comes now is answered with RST. */
    (void)!send(f.fd, "x", 1, MSG_NOSIGNAL);
    p.events = 0;
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_true((p.revents & POLLHUP) != 0);
    close(f.fd);
    pair_close(&f.p);
}

static void test_the_last_answer_arrives_whatever_the_peer_sent_behind_its_request(void **state)
{
    (void)state;
    static const uint64_t answers[] = {10, 20000}; /* in one block and several */
    close_last(0, span_of("", 0));
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        close_last(answers[i], span_of("", 0));
        close_last(answers[i], SPAN_LIT("nobody reads it"));
    }
}

static void test_idle_connection_holds_no_buffers(void **state)
{
    (void)state;
    struct pair p;
    pair_open(&p, &plain);
    p.client.on_event = stop_when_open;
    pair_connect(&p);
    pair_run(&p);
    assert_int_equal(loop_pool(p.loop)->blocks_live, 0);
    pair_close(&p);
}

static void test_what_the_kernel_holds_is_known_before_it_is_read(void **state)
{
    (void)state;
    struct pair p;
    int fd[2];
    pair_open(&p, &plain);
    struct conn_options o = pair_options(&p, &p.server);
    for (unsigned ended = 0; ended < 2; ended++) {
        struct conn *c;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
        assert_int_equal(conn_accept(&o, fd[0], NULL, span_of(NULL, 0), &c), ERR_OK);
        assert_true(conn_still(c));
        if (!ended) assert_int_equal(write(fd[1], "x", 1), 1);
        if (ended) shutdown(fd[1], SHUT_WR);
        assert_false(conn_still(c));
        conn_close(c, true);
        close(fd[1]);
    }
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_echo_then_clean_end),
        cmocka_unit_test(test_ten_mebibytes_both_ways_through_a_tiny_queue),
        cmocka_unit_test(test_much_at_once_is_read_into_blocks_and_little_is_not),
        cmocka_unit_test(test_ten_mebibytes_both_ways_by_producing_at_flush),
        cmocka_unit_test(test_pauses_in_the_middle_of_data_keep_order),
        cmocka_unit_test(test_parts_taken_without_a_pause_keep_order),
        cmocka_unit_test(test_close_in_each_callback_of_either_end),
        cmocka_unit_test(test_abort_is_a_reset_at_the_other_end),
        cmocka_unit_test(test_close_sends_what_is_queued),
        cmocka_unit_test(test_answer_survives_a_close_during_upload),
        cmocka_unit_test(test_closed_port_refuses),
        cmocka_unit_test(test_write_over_the_bound_takes_nothing_and_drains_later),
        cmocka_unit_test(test_writes_of_a_turn_leave_together),
        cmocka_unit_test(test_loop_ends_with_a_lingering_connection),
        cmocka_unit_test(test_one_that_lingers_is_reset_when_too_many_do),
        cmocka_unit_test(test_warm_loop_takes_no_memory),
        cmocka_unit_test(test_half_closed_connection_still_carries_the_answer),
        cmocka_unit_test(test_reads_keep_to_the_limit_of_the_loop),
        cmocka_unit_test(test_bytes_seen_before_come_first),
        cmocka_unit_test(test_more_bytes_seen_than_a_read_buffer_are_refused),
        cmocka_unit_test(test_unix_socket_connects_and_a_missing_one_is_not_found),
        cmocka_unit_test(test_connect_that_nobody_answers_times_out),
        cmocka_unit_test(test_answer_before_a_reset_is_read_although_sending_fails_first),
        cmocka_unit_test(test_the_last_answer_arrives_whatever_the_peer_sent_behind_its_request),
        cmocka_unit_test(test_idle_connection_holds_no_buffers),
        cmocka_unit_test(test_what_the_kernel_holds_is_known_before_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
