#include "cmd/daemon/access_sink.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
    char folder[64], path[96];
    struct loop *loop;
    struct log log;
    struct byte_ring ring[2];
    struct access_sink *sink;
    struct config_log config;
};

static int setup(void **state)
{
    struct world *w = aligned_alloc(64, sizeof *w);
    assert_non_null(w);
    memset(w, 0, sizeof *w);
    (void)snprintf(w->folder, sizeof w->folder, "/tmp/parley-access-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    (void)snprintf(w->path, sizeof w->path, "%s/access.log", w->folder);
    w->config = (struct config_log){.access_to = w->path};
    log_init(&w->log, -1, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    assert_int_equal(loop_new(&w->loop), ERR_OK);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(byte_ring_init(&w->ring[i], 65536), ERR_OK);
    struct access_sink_options o = {
        .loop = w->loop, .log = &w->log, .ring = {&w->ring[0], &w->ring[1]}, .ring_count = 2};
    assert_int_equal(access_sink_new(&o, &w->sink), ERR_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    access_sink_free(w->sink);
    loop_free(w->loop);
    for (size_t i = 0; i < 2; i++)
        byte_ring_fini(&w->ring[i]);
    (void)remove(w->path);
    assert_int_equal(rmdir(w->folder), 0);
    free(w);
    return 0;
}

static void use(struct world *w)
{
    assert_int_equal(access_sink_prepare(w->sink, &w->config, NULL), ERR_OK);
    access_sink_commit(w->sink);
}

static void assert_file(const struct world *w, const char *want)
{
    char got[256] = "";
    FILE *f = fopen(w->path, "r");
    assert_non_null(f);
    size_t n = fread(got, 1, sizeof got - 1, f);
    got[n] = '\0';
    assert_int_equal(fclose(f), 0);
    assert_string_equal(got, want);
}

static void test_lines_of_all_workers_reach_the_file(void **state)
{
    struct world *w = *state;
    use(w);
    assert_true(byte_ring_put(&w->ring[0], SPAN_LIT("{\"a\":1}")));
    assert_true(byte_ring_put(&w->ring[1], SPAN_LIT("{\"b\":2}")));
    assert_true(byte_ring_put(&w->ring[0], SPAN_LIT("{\"a\":3}")));
    assert_int_equal(access_sink_drain(w->sink), 3);
    assert_file(w, "{\"a\":1}\n{\"b\":2}\n{\"a\":3}\n");
    struct stat st;
    assert_int_equal(stat(w->path, &st), 0);
    assert_int_equal(st.st_mode & 0007, 0);
}

static void test_reload_reopens_a_rotated_file(void **state)
{
    struct world *w = *state;
    use(w);
    assert_true(byte_ring_put(&w->ring[0], SPAN_LIT("old")));
    assert_int_equal(access_sink_drain(w->sink), 1);
    assert_int_equal(remove(w->path), 0);
    use(w);
    assert_true(byte_ring_put(&w->ring[0], SPAN_LIT("new")));
    assert_int_equal(access_sink_drain(w->sink), 1);
    assert_file(w, "new\n");
}

static void test_file_that_cannot_open_keeps_the_present_one(void **state)
{
    struct world *w = *state;
    struct diag diag;
    diag_init(&diag);
    use(w);
    w->config.access_to = "/nowhere/access.log";
    assert_int_equal(access_sink_prepare(w->sink, &w->config, &diag), ERR_NOT_FOUND);
    assert_non_null(strstr(diag.entry[0].message, "/nowhere/access.log"));
    diag_fini(&diag);
    assert_true(byte_ring_put(&w->ring[0], SPAN_LIT("x")));
    assert_int_equal(access_sink_drain(w->sink), 1);
    assert_file(w, "x\n");
}

static void test_abort_keeps_the_present_file(void **state)
{
    struct world *w = *state;
    char other[96];
    use(w);
    (void)snprintf(other, sizeof other, "%s/other.log", w->folder);
    w->config.access_to = other;
    assert_int_equal(access_sink_prepare(w->sink, &w->config, NULL), ERR_OK);
    access_sink_abort(w->sink);
    assert_true(byte_ring_put(&w->ring[0], SPAN_LIT("x")));
    assert_int_equal(access_sink_drain(w->sink), 1);
    assert_file(w, "x\n");
    assert_int_equal(remove(other), 0);
}

static void test_none_drains_nothing(void **state)
{
    struct world *w = *state;
    w->config.access_only = ACCESS_NONE;
    use(w);
    assert_true(byte_ring_put(&w->ring[0], SPAN_LIT("x")));
    assert_int_equal(access_sink_drain(w->sink), 0);
    assert_int_equal(access(w->path, F_OK), -1);
}

/* N37: a reader that does not read costs lines, never a turn of the loop: were it waited for, this
 * would not end. */
static void test_full_pipe_never_blocks_and_counts(void **state)
{
    struct world *w = *state;
    char line[1000];
    memset(line, 'x', sizeof line);
    assert_int_equal(mkfifo(w->path, 0600), 0);
    int reader = open(w->path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    use(w);
    uint64_t put = 0;
    struct access_sink_lost lost = {.ring_full = 0};
    while (lost.ring_full == 0 && put < 100000) {
        (void)byte_ring_put(&w->ring[0], span_of(line, sizeof line));
        put++;
        if (put % 32 == 0) (void)access_sink_drain(w->sink);
        access_sink_lost(w->sink, &lost);
    }
    assert_true(lost.ring_full > 0);
    assert_int_equal(lost.unwritten, 0);

    /* The reader comes back: what waited goes on, in whole lines. */
    char got[65536];
    ssize_t n = read(reader, got, sizeof got);
    assert_true(n > 0);
    assert_true(access_sink_drain(w->sink) > 0);
    assert_int_equal(close(reader), 0);
}

static void test_reader_that_went_away_is_counted_as_loss(void **state)
{
    struct world *w = *state;
    struct access_sink_lost lost;
    assert_int_equal(mkfifo(w->path, 0600), 0);
    int reader = open(w->path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    use(w);
    assert_int_equal(close(reader), 0);
    assert_true(byte_ring_put(&w->ring[0], SPAN_LIT("x")));
    assert_true(byte_ring_put(&w->ring[1], SPAN_LIT("y")));
    assert_int_equal(access_sink_drain(w->sink), 2);
    access_sink_lost(w->sink, &lost);
    assert_int_equal(lost.unwritten, 2);
    assert_int_equal(lost.ring_full, 0);
}

struct watch {
    struct loop_timer look;
    struct world *w;
    bool (*seen)(struct world *w);
};

static void look(struct loop_timer *t)
{
    struct watch *watch = CONTAINER_OF(t, struct watch, look);
    struct loop *loop = watch->w->loop;
    if (watch->seen(watch->w))
        loop_stop(loop);
    else
        loop_timer_set(loop, t, loop_now_ms(loop) + 1);
}

static void run_until(struct world *w, bool (*seen)(struct world *w))
{
    struct watch watch = {.look.on_expire = look, .w = w, .seen = seen};
    loop_timer_set(w->loop, &watch.look, 0);
    loop_run(w->loop);
}

static bool sleeps(struct world *w)
{
    return atomic_load(&w->ring[0].asleep) && atomic_load(&w->ring[1].asleep);
}

static bool has_written(struct world *w)
{
    struct stat st;
    return stat(w->path, &st) == 0 && st.st_size > 0;
}

/* 36 000 requests a second are 15 MB of lines a second; in 25 ms they would be 375 KB. */
static void test_ring_does_not_fill_between_two_drains(void **state)
{
    (void)state;
    for (uint64_t bytes_a_ms = 1; bytes_a_ms < 100000; bytes_a_ms += 7) {
        uint64_t first_ms = access_sink_pause_ms(bytes_a_ms * 25, 25);
        uint64_t next_ms = access_sink_pause_ms(bytes_a_ms * first_ms, first_ms);
        assert_in_range(first_ms, 1, 25);
        assert_int_equal(next_ms, first_ms);
        assert_true(first_ms == 1 || bytes_a_ms * first_ms <= ACCESS_LOG_RING_BYTES / 4);
    }
    assert_int_equal(access_sink_pause_ms(0, 0), 25);
    assert_int_equal(access_sink_pause_ms(400, 1), 25);
    assert_int_equal(access_sink_pause_ms(400, 50), 25);
    assert_int_equal(access_sink_pause_ms(15000 * 25, 25), 2);
}

/* An idle daemon does not wake up to find that nobody asked anything. */
static void test_without_lines_it_sleeps_until_a_worker_wakes_it(void **state)
{
    struct world *w = *state;
    use(w);
    run_until(w, sleeps);
    assert_true(byte_ring_put(&w->ring[1], SPAN_LIT("x")));
    assert_true(byte_ring_wakes(&w->ring[1]));
    access_sink_wake(w->sink);
    run_until(w, has_written);
    assert_file(w, "x\n");
    run_until(w, sleeps);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_lines_of_all_workers_reach_the_file),
        CASE(test_reload_reopens_a_rotated_file),
        CASE(test_file_that_cannot_open_keeps_the_present_one),
        CASE(test_abort_keeps_the_present_file),
        CASE(test_none_drains_nothing),
        CASE(test_full_pipe_never_blocks_and_counts),
        CASE(test_reader_that_went_away_is_counted_as_loss),
        cmocka_unit_test(test_ring_does_not_fill_between_two_drains),
        CASE(test_without_lines_it_sleeps_until_a_worker_wakes_it),
    };
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* as privs_harden does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
