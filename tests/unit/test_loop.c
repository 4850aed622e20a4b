#include "core/io/loop.h"

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/io/clock.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define GIVE_UP_MS 30000u

/* A loop with a deadline that fails the test instead of hanging it. */
struct world {
    struct loop *loop;
    struct loop_timer guard;
    bool gave_up;
    char trace[64];
    size_t trace_len;
};

static void guard_expired(struct loop_timer *t)
{
    struct world *w = CONTAINER_OF(t, struct world, guard);
    w->gave_up = true;
    loop_stop(w->loop);
}

static void trace(struct world *w, char c)
{
    assert_true(w->trace_len + 1 < sizeof(w->trace));
    w->trace[w->trace_len++] = c;
    w->trace[w->trace_len] = '\0';
}

static void world_open(struct world *w)
{
    *w = (struct world){.guard.on_expire = guard_expired};
    assert_int_equal(loop_new(&w->loop), ERR_OK);
}

static void world_run(struct world *w)
{
    loop_timer_set(w->loop, &w->guard, clock_mono_ms() + GIVE_UP_MS);
    loop_run(w->loop);
    loop_timer_clear(w->loop, &w->guard);
    assert_false(w->gave_up);
}

static void world_close(struct world *w)
{
    loop_free(w->loop);
}

struct step {
    struct loop_timer timer;
    struct loop_flush flush;
    struct world *world;
    struct step *other;
    struct step *victim;
    char letter;
    unsigned again;
    enum loop_flush_phase phase;
};

static void step_expired(struct loop_timer *t)
{
    struct step *s = CONTAINER_OF(t, struct step, timer);
    trace(s->world, s->letter);
    if (s->letter == '!') loop_stop(s->world->loop);
}

static void test_timers_expire_in_order_of_deadline_then_of_setting(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    struct step s[4];
    static const uint64_t after_ms[4] = {4, 2, 2, 6};
    uint64_t now = loop_now_ms(w.loop);
    for (size_t i = 0; i < 4; i++) {
        s[i] = (struct step){
            .timer.on_expire = step_expired, .world = &w, .letter = i == 3 ? '!' : (char)('a' + i)};
        loop_timer_set(w.loop, &s[i].timer, now + after_ms[i]);
    }
    world_run(&w);
    assert_string_equal(w.trace, "bca!");
    assert_true(clock_mono_ms() >= now + 6);
    world_close(&w);
}

static void test_cleared_timer_stays_silent_and_moved_timer_uses_its_last_deadline(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    uint64_t now = loop_now_ms(w.loop);
    struct step a = {.timer.on_expire = step_expired, .world = &w, .letter = 'a'};
    struct step b = {.timer.on_expire = step_expired, .world = &w, .letter = 'b'};
    struct step end = {.timer.on_expire = step_expired, .world = &w, .letter = '!'};
    loop_timer_set(w.loop, &a.timer, now + 1);
    loop_timer_set(w.loop, &b.timer, now + 1000000);
    loop_timer_set(w.loop, &end.timer, now + 5);
    loop_timer_clear(w.loop, &a.timer);
    loop_timer_set(w.loop, &b.timer, now + 2);
    world_run(&w);
    assert_string_equal(w.trace, "b!");
    world_close(&w);
}

static void past_expired(struct loop_timer *t)
{
    struct step *s = CONTAINER_OF(t, struct step, timer);
    trace(s->world, s->letter);
    if (s->again-- == 0) {
        loop_stop(s->world->loop);
        return;
    }
    loop_timer_set(s->world->loop, &s->timer, 0);
}

static void test_deadline_in_the_past_set_by_its_own_callback_waits_for_the_next_turn(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    struct step s = {.timer.on_expire = past_expired, .world = &w, .letter = 'p', .again = 3};
    loop_timer_set(w.loop, &s.timer, 0);
    world_run(&w);
    assert_string_equal(w.trace, "pppp");
    world_close(&w);
}

static void step_flush(struct loop_flush *f)
{
    struct step *s = CONTAINER_OF(f, struct step, flush);
    trace(s->world, s->letter);
    if (s->again > 0) {
        s->again--;
        loop_flush_mark(s->world->loop, &s->flush, s->phase);
    }
    if (s->other != NULL) {
        loop_flush_mark(s->world->loop, &s->other->flush, s->other->phase);
        s->other = NULL;
    }
    if (s->victim != NULL) loop_flush_clear(&s->victim->flush);
    if (s->letter == '!') loop_stop(s->world->loop);
}

static void test_flush_runs_plain_before_links_before_free_and_once_for_two_marks(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    struct step free_it = {
        .flush.on_flush = step_flush, .world = &w, .letter = '!', .phase = LOOP_FLUSH_FREE};
    struct step link = {
        .flush.on_flush = step_flush, .world = &w, .letter = 'l', .phase = LOOP_FLUSH_LINK};
    struct step plain = {.flush.on_flush = step_flush, .world = &w, .letter = 'p'};
    loop_flush_mark(w.loop, &free_it.flush, LOOP_FLUSH_FREE);
    loop_flush_mark(w.loop, &link.flush, LOOP_FLUSH_LINK);
    loop_flush_mark(w.loop, &plain.flush, LOOP_FLUSH_PLAIN);
    loop_flush_mark(w.loop, &plain.flush, LOOP_FLUSH_PLAIN);
    world_run(&w);
    assert_string_equal(w.trace, "pl!");
    world_close(&w);
}

static void test_mark_made_in_a_flush_runs_in_the_next_turn_without_sleeping(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    struct step end = {
        .flush.on_flush = step_flush, .world = &w, .letter = '!', .phase = LOOP_FLUSH_FREE};
    /* The plain step marks the link of the same turn and itself for the next two. */
    struct step plain_later = {
        .flush.on_flush = step_flush, .world = &w, .letter = 'q', .other = &end};
    struct step link = {.flush.on_flush = step_flush,
                        .world = &w,
                        .letter = 'l',
                        .phase = LOOP_FLUSH_LINK,
                        .other = &plain_later};
    struct step plain = {
        .flush.on_flush = step_flush, .world = &w, .letter = 'p', .again = 1, .other = &link};
    loop_flush_mark(w.loop, &plain.flush, LOOP_FLUSH_PLAIN);
    world_run(&w);
    assert_string_equal(w.trace, "plpq!");
    world_close(&w);
}

static void test_cleared_flush_does_not_run_even_from_within_the_same_batch(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    struct step victim = {.flush.on_flush = step_flush, .world = &w, .letter = 'v'};
    struct step end = {
        .flush.on_flush = step_flush, .world = &w, .letter = '!', .phase = LOOP_FLUSH_FREE};
    struct step killer = {
        .flush.on_flush = step_flush, .world = &w, .letter = 'k', .victim = &victim};
    loop_flush_mark(w.loop, &killer.flush, LOOP_FLUSH_PLAIN);
    loop_flush_mark(w.loop, &victim.flush, LOOP_FLUSH_PLAIN);
    loop_flush_mark(w.loop, &end.flush, LOOP_FLUSH_FREE);
    world_run(&w);
    assert_string_equal(w.trace, "k!");
    world_close(&w);
}

struct pipe_end {
    struct loop_io io;
    struct world *world;
    int fd;
    unsigned reads, writes;
};

static void pipe_ready(struct loop_io *io, bool readable, bool writable)
{
    struct pipe_end *p = CONTAINER_OF(io, struct pipe_end, io);
    if (writable) {
        p->writes++;
        assert_int_equal(write(p->fd, "x", 1), 1);
        loop_io_set(p->world->loop, io, true, false);
    }
    if (readable) {
        char byte;
        p->reads++;
        assert_int_equal(read(p->fd, &byte, 1), 1);
        loop_io_set(p->world->loop, io, false, false);
        loop_stop(p->world->loop);
    }
}

static void test_descriptor_reports_only_the_interest_that_is_set(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct pipe_end a = {.world = &w, .fd = fd[0]}, b = {.world = &w, .fd = fd[1]};
    loop_io_init(&a.io, fd[0], pipe_ready);
    loop_io_init(&b.io, fd[1], pipe_ready);
    loop_io_set(w.loop, &a.io, false, true);
    loop_io_set(w.loop, &b.io, true, false);
    world_run(&w);
    assert_int_equal(a.writes, 1);
    assert_int_equal(a.reads, 0);
    assert_int_equal(b.reads, 1);
    assert_int_equal(b.writes, 0);
    loop_io_set(w.loop, &a.io, false, false);
    close(fd[0]);
    close(fd[1]);
    world_close(&w);
}

struct letterbox {
    struct loop_post post;
    struct world *world;
    _Atomic unsigned sent;
    unsigned received;
};

static void letter_came(struct loop_post *p)
{
    struct letterbox *box = CONTAINER_OF(p, struct letterbox, post);
    box->received++;
    if (box->sent == 2) loop_stop(box->world->loop);
}

static void *send_letters(void *arg)
{
    struct letterbox *box = arg;
    for (unsigned i = 0; i < 2; i++) {
        box->sent++;
        loop_post(&box->post);
    }
    return NULL;
}

static void test_post_from_another_thread_wakes_a_sleeping_loop(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    struct letterbox box = {.world = &w};
    loop_post_init(w.loop, &box.post, letter_came);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, send_letters, &box), 0);
    world_run(&w);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_in_range(box.received, 1, 2);
    loop_post_fini(&box.post);
    world_close(&w);
}

struct bell {
    struct loop_signal signal;
    struct world *world;
    int signum;
};

static void bell_rang(struct loop_signal *s, int signum)
{
    struct bell *bell = CONTAINER_OF(s, struct bell, signal);
    bell->signum = signum;
    loop_stop(bell->world->loop);
}

static void test_signal_arrives_as_a_callback(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    struct bell bell = {.world = &w};
    loop_signal_start(w.loop, &bell.signal, SIGUSR1, bell_rang);
    assert_int_equal(raise(SIGUSR1), 0);
    world_run(&w);
    assert_int_equal(bell.signum, SIGUSR1);
    loop_signal_stop(w.loop, &bell.signal);
    world_close(&w);
}

struct orphan {
    struct loop_orphan orphan;
    struct loop_flush flush;
    struct loop *loop;
    bool freed, cut;
};

static void orphan_freed(struct loop_flush *f)
{
    CONTAINER_OF(f, struct orphan, flush)->freed = true;
}

static void orphan_ended(struct loop_orphan *o, bool cut)
{
    struct orphan *orphan = CONTAINER_OF(o, struct orphan, orphan);
    orphan->cut = cut;
    loop_orphan_remove(orphan->loop, o);
    loop_flush_mark(orphan->loop, &orphan->flush, LOOP_FLUSH_FREE);
}

static void test_freeing_the_loop_ends_orphans_and_their_free_marks(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    struct orphan a = {
        .orphan.on_end = orphan_ended, .flush.on_flush = orphan_freed, .loop = w.loop};
    struct orphan b = a;
    loop_orphan_add(w.loop, &a.orphan);
    loop_orphan_add(w.loop, &b.orphan);
    loop_orphan_remove(w.loop, &b.orphan);
    loop_orphan_remove(w.loop, &b.orphan);
    world_close(&w);
    assert_true(a.freed);
    assert_false(a.cut);
    assert_false(b.freed);
}

static void test_the_oldest_orphan_goes_when_there_are_too_many(void **state)
{
    static struct orphan o[LOOP_ORPHANS_MAX + 2];
    (void)state;
    struct world w;
    world_open(&w);
    for (size_t i = 0; i < LOOP_ORPHANS_MAX + 2; i++) {
        o[i] = (struct orphan){
            .orphan.on_end = orphan_ended, .flush.on_flush = orphan_freed, .loop = w.loop};
        loop_orphan_add(w.loop, &o[i].orphan);
        /* One that has ended by itself makes room. */
        if (i == 1) loop_orphan_remove(w.loop, &o[1].orphan);
    }
    assert_int_equal(loop_orphans_cut(w.loop), 1);
    assert_true(o[0].cut);
    assert_false(o[2].cut);
    world_close(&w);
    assert_false(o[1].freed);
    assert_true(o[0].freed && o[2].freed && !o[2].cut);
}

static void test_slab_is_one_a_size_and_block_pool_and_buffers_are_shared(void **state)
{
    (void)state;
    struct world w;
    world_open(&w);
    struct slab *small = loop_slab(w.loop, 40);
    assert_ptr_equal(loop_slab(w.loop, 40), small);
    assert_ptr_not_equal(loop_slab(w.loop, 80), small);
    void *object = slab_get(small);
    assert_non_null(object);
    slab_put(small, object);
    assert_int_equal(loop_pool(w.loop)->block_bytes, LOOP_BLOCK_BYTES);
    /* What is read stays while what answers it is made. */
    memset(loop_read_buffer(w.loop), 'r', READ_BUFFER_BYTES);
    memset(loop_write_buffer(w.loop), 'w', WRITE_BUFFER_BYTES);
    for (size_t i = 0; i < READ_BUFFER_BYTES; i++)
        assert_int_equal(loop_read_buffer(w.loop)[i], 'r');
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_expire_in_order_of_deadline_then_of_setting),
        cmocka_unit_test(test_cleared_timer_stays_silent_and_moved_timer_uses_its_last_deadline),
        cmocka_unit_test(test_deadline_in_the_past_set_by_its_own_callback_waits_for_the_next_turn),
        cmocka_unit_test(test_flush_runs_plain_before_links_before_free_and_once_for_two_marks),
        cmocka_unit_test(test_mark_made_in_a_flush_runs_in_the_next_turn_without_sleeping),
        cmocka_unit_test(test_cleared_flush_does_not_run_even_from_within_the_same_batch),
        cmocka_unit_test(test_descriptor_reports_only_the_interest_that_is_set),
        cmocka_unit_test(test_post_from_another_thread_wakes_a_sleeping_loop),
        cmocka_unit_test(test_signal_arrives_as_a_callback),
        cmocka_unit_test(test_freeing_the_loop_ends_orphans_and_their_free_marks),
        cmocka_unit_test(test_the_oldest_orphan_goes_when_there_are_too_many),
        cmocka_unit_test(test_slab_is_one_a_size_and_block_pool_and_buffers_are_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
