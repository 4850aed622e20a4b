/* Two ends of a connection over loopback for the tests of core/io/conn: the same cases run plain
 * and over TLS.
 *
 * One thread. A pair owns its loop, its listener and two sides; a deadline fails the test instead
 * of hanging it. Each side checks that what arrives is the other's pattern, that callbacks come in
 * order and none after conn_close.
 */
#ifndef TESTS_UNIT_SUPPORT_CONN_H
#define TESTS_UNIT_SUPPORT_CONN_H

#include "core/base/rng.h"
#include "core/io/conn.h"

enum pair_event { PAIR_OPEN, PAIR_DATA, PAIR_EOF, PAIR_ERROR, PAIR_DRAIN, PAIR_FLUSH };

struct pair;
struct pair_side {
    struct pair *pair;
    struct conn *conn; /* NULL: not there yet, or closed */
    bool closed;       /* conn_close was called */
    bool opened, ended;
    enum err error;
    unsigned drains, flushes, events, blocks;
    uint64_t to_send; /* bytes of pattern; pair_side_pump goes on from `sent` */
    uint64_t sent, received;
    size_t piece_max;    /* 0: conn_room */
    struct rng rng;      /* for `take_part` */
    bool take_part;      /* on_data takes a random part, pauses, and goes on a little later */
    bool take_on;        /* with take_part: without the pause */
    bool produce;        /* pumps from on_flush instead of on_drain */
    bool shut_when_sent; /* conn_shutdown after `to_send` */
    void (*on_event)(struct pair_side *s, enum pair_event event);
    struct loop_timer resume;
};

/* What differs between plain and TLS; NULL members: plain. */
struct pair_kind {
    struct tls_engine *(*client)(void *context);
    struct tls_engine *(*server)(void *context);
    void *context;
    enum loop_flush_phase phase;
    bool blocks; /* much at once is taken by on_blocks */
};

struct pair {
    const struct pair_kind *kind;
    struct loop *loop;
    struct loop_timer guard;
    struct loop_io listener;
    int listen_fd;
    struct target target;
    struct pair_side client, server;
    size_t out_max;
    uint64_t open_deadline_ms;
    struct span seen; /* for the next accept */
    bool gave_up;
};

void pair_open(struct pair *p, const struct pair_kind *kind);
/* Connects the client; the server side is there when the listener has accepted. */
void pair_connect(struct pair *p);
/* Until loop_stop; fails the test after 20 s. */
void pair_run(struct pair *p);
/* Closes what is open, with abort, and frees all. */
void pair_close(struct pair *p);
struct pair_side *pair_other(struct pair_side *s);

/* Byte `at` of what each side sends. */
uint8_t pair_pattern(uint64_t at);
void pair_side_pump(struct pair_side *s);
void pair_side_close(struct pair_side *s, bool abort);
struct conn_options pair_options(struct pair *p, struct pair_side *s);
/* Stops the loop when both sides are closed. */
void pair_stop_when_closed(struct pair *p);

/* The cases that hold for both kinds. */
void pair_case_echo_then_clean_end(const struct pair_kind *kind);
void pair_case_bulk_both_ways(const struct pair_kind *kind, uint64_t bytes, size_t out_max);
void pair_case_bulk_by_producing(const struct pair_kind *kind, uint64_t bytes);
void pair_case_pauses_keep_order(const struct pair_kind *kind);
void pair_case_parts_without_pause_keep_order(const struct pair_kind *kind);
void pair_case_close_in_each_callback(const struct pair_kind *kind);
void pair_case_abort_is_reset(const struct pair_kind *kind);
void pair_case_close_sends_what_is_queued(const struct pair_kind *kind);
void pair_case_answer_survives_close_during_upload(const struct pair_kind *kind);
void pair_case_refused(const struct pair_kind *kind);
void pair_case_full_queue_takes_nothing(const struct pair_kind *kind);
void pair_case_writes_of_a_turn_leave_together(const struct pair_kind *kind, uint64_t overhead);
void pair_case_loop_ends_with_lingering(const struct pair_kind *kind);
void pair_case_no_memory_when_warm(const struct pair_kind *kind);

#endif
