#include "cmd/daemon/health_run.h"

#include "core/base/check.h"
#include "core/io/clock.h"
#include "core/io/sock.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define GIVE_UP_MS  30000u
#define INTERVAL_MS 10u
#define CLIENTS_MAX 256u

enum app { APP_GONE, APP_ANSWERS, APP_SILENT, APP_CLOSES, APP_H2 };

/* A local application in the test's own loop. */
struct world {
    struct loop *loop;
    struct log log;
    struct rng rng;
    struct health_run *run;
    struct loop_timer guard;
    bool gave_up;
    enum app app;
    const char *answer;
    struct addr addr;
    int fd;
    struct loop_io io;
    int client[CLIENTS_MAX];
    size_t client_count;
    struct config_service service;
    struct config config;
    unsigned changes; /* stop after this many */
    unsigned changes_seen;
    enum service_health last;
};

static void guard_expired(struct loop_timer *t)
{
    struct world *w = CONTAINER_OF(t, struct world, guard);
    w->gave_up = true;
    loop_stop(w->loop);
}

static void on_change(void *owner, const struct name *service, enum service_health health)
{
    struct world *w = owner;
    assert_string_equal(service->text, "web");
    w->last = health;
    if (++w->changes_seen >= w->changes) loop_stop(w->loop);
}

static void serve(struct world *w, int fd)
{
    assert_true(w->client_count < CLIENTS_MAX);
    w->client[w->client_count++] = fd;
    /* SETTINGS, and HEADERS of stream 1 that end it: 8 is ":status: 200" (RFC 7541 A). */
    static const char h2[] = "\0\0\0\4\0\0\0\0\0"
                             "\0\0\1\1\5\0\0\0\1\x88";
    if (w->app == APP_H2) assert_int_equal(write(fd, h2, sizeof h2 - 1), sizeof h2 - 1);
    if (w->app == APP_CLOSES) assert_int_equal(shutdown(fd, SHUT_WR), 0);
    if (w->app == APP_ANSWERS)
        assert_int_equal(write(fd, w->answer, strlen(w->answer)), (ssize_t)strlen(w->answer));
}

static void on_ready(struct loop_io *io, bool readable, bool writable)
{
    struct world *w = CONTAINER_OF(io, struct world, io);
    struct sock_accepted in[8];
    size_t count = 0;
    (void)writable;
    if (!readable) return;
    assert_true(sock_accept(w->fd, in, 8, &count) == ERR_AGAIN || count == 8);
    for (size_t i = 0; i < count; i++)
        serve(w, in[i].fd);
}

static void app_start(struct world *w, enum app app, const char *answer)
{
    w->app = app;
    w->answer = answer;
    if (w->fd >= 0) return;
    assert_int_equal(sock_listen(&w->addr, 0, &w->fd), ERR_OK);
    w->addr = sock_local(w->fd);
    loop_io_init(&w->io, w->fd, on_ready);
    loop_io_set(w->loop, &w->io, true, false);
}

static void app_stop(struct world *w)
{
    loop_io_set(w->loop, &w->io, false, false);
    assert_int_equal(close(w->fd), 0);
    w->fd = -1;
    w->app = APP_GONE;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->fd = -1;
    w->guard.on_expire = guard_expired;
    rng_seed(&w->rng, 7);
    log_init(&w->log, -1, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    assert_int_equal(loop_new(&w->loop), ERR_OK);
    struct health_run_options o = {
        .loop = w->loop, .log = &w->log, .rng = &w->rng, .on_change = on_change, .owner = w};
    assert_int_equal(health_run_new(&o, &w->run), ERR_OK);
    assert_int_equal(addr_parse(SPAN_LIT("127.0.0.32"), 1, &w->addr), ERR_OK);
    w->addr.port = 0;
    app_start(w, APP_ANSWERS, "");
    assert_int_equal(name_set(&w->service.name, SPAN_LIT("web")), ERR_OK);
    w->service.local.addr = w->addr;
    w->service.health = (struct config_health){.kind = CONFIG_HEALTH_TCP,
                                               .interval_ms = INTERVAL_MS,
                                               .timeout_ms = 1000,
                                               .unhealthy_after = 3,
                                               .healthy_after = 1};
    w->config = (struct config){.service_count = 1, .service = &w->service};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    health_run_free(w->run);
    if (w->fd >= 0) app_stop(w);
    for (size_t i = 0; i < w->client_count; i++)
        (void)close(w->client[i]);
    loop_free(w->loop);
    free(w);
    return 0;
}

/* Runs until `changes` more judgements have changed. */
static void run_changes(struct world *w, unsigned changes)
{
    w->changes_seen = 0;
    w->changes = changes;
    loop_timer_set(w->loop, &w->guard, clock_mono_ms() + GIVE_UP_MS);
    loop_run(w->loop);
    loop_timer_clear(w->loop, &w->guard);
    assert_false(w->gave_up);
}

static void sync(struct world *w)
{
    assert_int_equal(health_run_sync(w->run, &w->config), ERR_OK);
}

static struct health_run_status status_of(struct world *w)
{
    struct health_run_status st;
    assert_int_equal(health_run_status(w->run, &w->service.name, &st), ERR_OK);
    return st;
}

static void test_service_is_unknown_until_its_first_result(void **state)
{
    struct world *w = *state;
    sync(w);
    assert_int_equal(health_run_of(w->run, &w->service.name), HEALTH_UNKNOWN);
    run_changes(w, 1);
    assert_int_equal(w->last, HEALTH_UP);
    assert_int_equal(health_run_of(w->run, &w->service.name), HEALTH_UP);
    assert_int_equal(status_of(w).checks_total, 1);
}

static void test_check_that_passed_ends_without_a_reset(void **state)
{
    struct world *w = *state;
    struct sock_accepted in;
    size_t count = 0;
    char byte;
    sync(w);
    run_changes(w, 1);
    if (w->client_count == 0) {
        assert_int_equal(sock_accept(w->fd, &in, 1, &count), ERR_OK);
        w->client[w->client_count++] = in.fd;
    }
    struct pollfd end = {.fd = w->client[0], .events = POLLIN};
    assert_int_equal(poll(&end, 1, GIVE_UP_MS), 1);
    assert_int_equal(read(w->client[0], &byte, 1), 0);
}

static void test_refused_connection_makes_it_down_after_three(void **state)
{
    struct world *w = *state;
    sync(w);
    run_changes(w, 1);
    app_stop(w);
    run_changes(w, 1);
    struct health_run_status st = status_of(w);
    assert_int_equal(st.health, HEALTH_DOWN);
    assert_int_equal(st.failures_total, 3);
    assert_int_equal(st.in_row, 3);
    assert_string_equal(st.last_error, err_text(ERR_REFUSED));
}

static void test_first_failure_counts_at_once(void **state)
{
    struct world *w = *state;
    app_stop(w);
    sync(w);
    run_changes(w, 1);
    assert_int_equal(w->last, HEALTH_DOWN);
    assert_int_equal(status_of(w).checks_total, 1);
}

static void test_service_comes_back_with_one_success(void **state)
{
    struct world *w = *state;
    sync(w);
    run_changes(w, 1);
    app_stop(w);
    run_changes(w, 1);
    app_start(w, APP_ANSWERS, "");
    run_changes(w, 1);
    assert_int_equal(w->last, HEALTH_UP);
    assert_string_equal(status_of(w).last_error, "");
}

static void test_http_check_asks_its_path_and_judges_the_status(void **state)
{
    struct world *w = *state;
    char asked[512];
    w->service.health.kind = CONFIG_HEALTH_HTTP;
    w->service.health.text = "/healthz";
    w->answer = "HTTP/1.1 204 No Content\r\n\r\n";
    sync(w);
    run_changes(w, 1);
    assert_int_equal(w->last, HEALTH_UP);
    ssize_t n = read(w->client[0], asked, sizeof asked - 1);
    assert_true(n > 0);
    asked[n] = '\0';
    assert_int_equal(strncmp(asked, "GET /healthz HTTP/1.1\r\nhost: 127.0.0.32:", 40), 0);
    w->answer = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
    run_changes(w, 1);
    assert_int_equal(w->last, HEALTH_DOWN);
    assert_string_equal(status_of(w).last_error, "status 503");
}

static void test_http_check_refuses_what_is_no_response(void **state)
{
    struct world *w = *state;
    w->service.health.kind = CONFIG_HEALTH_HTTP;
    w->service.health.text = "/";
    w->answer = "SSH-2.0-OpenSSH_9.2p1\r\n";
    sync(w);
    run_changes(w, 1);
    assert_int_equal(w->last, HEALTH_DOWN);
    assert_string_equal(status_of(w).last_error, "not an HTTP response");
}

static void test_http_check_names_what_speaks_http_2_only(void **state)
{
    struct world *w = *state;
    w->service.health.kind = CONFIG_HEALTH_HTTP;
    w->service.health.text = "/";
    w->app = APP_H2;
    sync(w);
    run_changes(w, 1);
    assert_int_equal(w->last, HEALTH_DOWN);
    assert_string_equal(status_of(w).last_error, "it speaks HTTP/2: say protocol = \"h2\"");
}

static void test_http_check_of_a_closed_connection_fails(void **state)
{
    struct world *w = *state;
    w->service.health.kind = CONFIG_HEALTH_HTTP;
    w->service.health.text = "/";
    w->app = APP_CLOSES;
    sync(w);
    run_changes(w, 1);
    assert_string_equal(status_of(w).last_error, "closed without a response");
}

static void test_silent_application_runs_into_the_time_limit(void **state)
{
    struct world *w = *state;
    w->service.health.kind = CONFIG_HEALTH_HTTP;
    w->service.health.text = "/";
    w->service.health.timeout_ms = 20;
    w->app = APP_SILENT;
    sync(w);
    run_changes(w, 1);
    assert_int_equal(w->last, HEALTH_DOWN);
    assert_string_equal(status_of(w).last_error, err_text(ERR_TIMEOUT));
}

static void test_flapping_service_is_held_down(void **state)
{
    struct world *w = *state;
    w->service.health.unhealthy_after = 1;
    sync(w);
    run_changes(w, 1); /* first result */
    for (unsigned i = 0; i < 2; i++) {
        app_stop(w);
        run_changes(w, 1);
        if (i > 0) break;
        app_start(w, APP_ANSWERS, "");
        run_changes(w, 1);
    }
    /* Three changes within the window: the next success does not count yet. */
    assert_int_equal(w->last, HEALTH_DOWN);
    app_start(w, APP_ANSWERS, "");
    uint64_t before = status_of(w).checks_total;
    while (status_of(w).checks_total < before + 5) {
        loop_timer_set(w->loop, &w->guard, clock_mono_ms() + INTERVAL_MS);
        loop_run(w->loop); /* ends by the guard: nothing changes */
    }
    assert_int_equal(health_run_of(w->run, &w->service.name), HEALTH_DOWN);
    assert_string_equal(status_of(w).last_error, "");
}

static void test_reload_keeps_the_judgement_of_an_equal_check(void **state)
{
    struct world *w = *state;
    sync(w);
    run_changes(w, 1);
    w->service.health.interval_ms = 1000;
    sync(w);
    assert_int_equal(health_run_of(w->run, &w->service.name), HEALTH_UP);
    w->config.service_count = 0;
    sync(w);
    assert_int_equal(health_run_of(w->run, &w->service.name), HEALTH_UNKNOWN);
    struct health_run_status st;
    assert_int_equal(health_run_status(w->run, &w->service.name, &st), ERR_NOT_FOUND);
}

static void test_service_without_checks_stays_unknown(void **state)
{
    struct world *w = *state;
    w->service.health.kind = CONFIG_HEALTH_NONE;
    sync(w);
    struct health_run_status st;
    assert_int_equal(health_run_status(w->run, &w->service.name, &st), ERR_NOT_FOUND);
    assert_int_equal(health_run_of(w->run, &w->service.name), HEALTH_UNKNOWN);
}

static void test_changed_application_is_checked_at_its_new_address(void **state)
{
    struct world *w = *state;
    sync(w);
    run_changes(w, 1);
    w->service.local.addr.port = 1; /* nobody listens there */
    sync(w);
    run_changes(w, 1);
    assert_int_equal(w->last, HEALTH_DOWN);
}

static void test_its_words_say_where_it_stands(void **state)
{
    (void)state;
    static const struct {
        struct health_run_status st;
        const char *text;
    } cases[] = {
        {{.health = HEALTH_UP, .in_row = 9, .needed = 3}, ""},
        {{.health = HEALTH_UNKNOWN}, ""},
        {{.health = HEALTH_UP, .in_row = 1, .needed = 3, .last_error = "status 503"},
         "1 of 3 checks failed: status 503"},
        {{.health = HEALTH_DOWN, .in_row = 9, .needed = 2, .last_error = "status 503"},
         "status 503 (9 checks in a row)"},
        {{.health = HEALTH_DOWN, .in_row = 1, .needed = 2, .last_failure = "status 503"},
         "1 of 2 checks passed since it was: status 503"},
        {{.health = HEALTH_DOWN, .in_row = 4, .needed = 2, .last_failure = "status 503"},
         "it passes again, but changed too often: held down for 10 s after: status 503"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[HEALTH_RUN_TEXT_BYTES];
        assert_string_equal(health_run_text(&cases[i].st, text), cases[i].text);
    }
}

/* --- more kinds --- */

static void test_http_check_of_an_h2_application_asks_by_prior_knowledge(void **state)
{
    struct world *w = *state;
    char asked[512];
    w->service.protocol = PROTOCOL_GRPC;
    w->service.health.kind = CONFIG_HEALTH_HTTP;
    w->service.health.text = "/healthz";
    w->answer = "HTTP/1.1 200 OK\r\n\r\n";
    sync(w);
    run_changes(w, 1);
    assert_int_equal(w->last, HEALTH_DOWN);
    assert_string_equal(status_of(w).last_error, "not an HTTP/2 answer");
    ssize_t n = read(w->client[0], asked, sizeof asked);
    assert_true(n > 24);
    assert_memory_equal(asked, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
}

static void test_http_check_of_an_h2_application_passes(void **state)
{
    struct world *w = *state;
    w->service.protocol = PROTOCOL_H2;
    w->service.health.kind = CONFIG_HEALTH_HTTP;
    w->service.health.text = "/healthz";
    w->app = APP_H2;
    sync(w);
    run_changes(w, 1);
    assert_int_equal(w->last, HEALTH_UP);
}

/* Runs until the first result of a check by the program. */
static struct health_run_status run_program(struct world *w, const char *const *argv)
{
    w->service.health.kind = CONFIG_HEALTH_EXEC;
    w->service.health.argv = argv;
    for (w->service.health.argc = 0; argv[w->service.health.argc] != NULL;)
        w->service.health.argc++;
    w->service.health.interval_ms = 60000; /* one run */
    w->service.health.timeout_ms = GIVE_UP_MS;
    sync(w);
    run_changes(w, 1);
    return status_of(w);
}

static struct health_run_status run_script(struct world *w, const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    return run_program(w, argv);
}

static void test_program_that_ends_with_0_passes(void **state)
{
    struct health_run_status st = run_script(*state, "echo all is well");
    assert_int_equal(st.health, HEALTH_UP);
    assert_string_equal(st.last_error, "");
}

static void test_program_that_fails_is_told_with_its_first_line(void **state)
{
    struct health_run_status st =
        run_script(*state, "printf 'no room\\033[2J on /var\\nmore\\n' >&2; exit 3");
    assert_int_equal(st.health, HEALTH_DOWN);
    assert_string_equal(st.last_error, "exit code 3: no room?[2J on /var");
}

static void test_program_that_is_killed_is_told_by_its_signal(void **state)
{
    assert_string_equal(run_script(*state, "kill -SEGV $$").last_error,
                        "killed: Segmentation fault");
}

static void test_program_gets_its_words_as_they_are(void **state)
{
    static const char *const test[] = {"/usr/bin/test", "$HOME; false", "=", "$HOME; false", NULL};
    assert_int_equal(run_program(*state, test).health, HEALTH_UP);
}

static void test_program_has_no_environment_and_no_descriptor_of_ours(void **state)
{
    assert_int_equal(setenv("SECRET_OF_OURS", "1", 1), 0);
    const char *script = "test -z \"$SECRET_OF_OURS\" && test \"$(pwd)\" = / && "
                         "for fd in /proc/self/fd/*; do test ${fd##*/} -le 3 || exit 9; done";
    assert_int_equal(run_script(*state, script).health, HEALTH_UP);
    assert_int_equal(unsetenv("SECRET_OF_OURS"), 0);
}

static void test_program_that_is_not_there_fails(void **state)
{
    static const char *const argv[] = {"/nowhere/check", NULL};
    assert_string_equal(run_program(*state, argv).last_error,
                        "its program cannot be started: no such thing");
}

static void test_program_that_says_too_much_fails_and_ends(void **state)
{
    static const char *const argv[] = {"/usr/bin/yes", "flood", NULL};
    assert_string_equal(run_program(*state, argv).last_error, "it says more than 64 KiB: flood");
}

/* Its own child holds its output open and hears no SIGTERM: the result comes all the same, and the
 * end of the pipe that only the two of them hold tells that both are gone. */
static void test_program_that_leaves_a_child_behind_is_judged_by_its_own_end(void **state)
{
    int held[2];
    char script[256], byte;
    assert_int_equal(pipe(held), 0);
    (void)snprintf(script, sizeof script,
                   "exec 3>/proc/%d/fd/%d; (trap '' TERM HUP; while :; do sleep 60; done) & exit 0",
                   (int)getpid(), held[1]);
    struct health_run_status st = run_script(*state, script);
    assert_string_equal(st.last_error, "");
    assert_int_equal(st.health, HEALTH_UP);
    close(held[1]);
    assert_int_equal(read(held[0], &byte, 1), 0);
    close(held[0]);
}

static void test_program_that_does_not_end_is_killed_with_its_children(void **state)
{
    struct world *w = *state;
    int held[2];
    char script[256], byte;
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    assert_int_equal(pipe(held), 0);
    (void)snprintf(script, sizeof script,
                   "exec 3>/proc/%d/fd/%d; trap '' TERM HUP; (while :; do sleep 60; done) & wait",
                   (int)getpid(), held[1]);
    w->service.health.kind = CONFIG_HEALTH_EXEC;
    w->service.health.argv = argv;
    w->service.health.argc = 3;
    w->service.health.timeout_ms = 500;
    w->service.health.interval_ms = 60000;
    sync(w);
    run_changes(w, 1);
    assert_string_equal(status_of(w).last_error, err_text(ERR_TIMEOUT));
    close(held[1]);
    assert_int_equal(read(held[0], &byte, 1), 0);
    close(held[0]);
}

/* Freed in the middle of a run: the program goes with it, and nothing waits for that. */
static void test_running_program_is_forgotten_with_its_check(void **state)
{
    struct world *w = *state;
    static const char *const argv[] = {"/bin/sleep", "600", NULL};
    w->service.health.kind = CONFIG_HEALTH_EXEC;
    w->service.health.argv = argv;
    w->service.health.argc = 2;
    w->service.health.timeout_ms = w->service.health.interval_ms = 60000;
    sync(w);
    loop_timer_set(w->loop, &w->guard, clock_mono_ms() + INTERVAL_MS);
    loop_run(w->loop); /* it starts; ends by the guard */
    assert_int_equal(status_of(w).checks_total, 0);
    w->config.service_count = 0;
    sync(w);
    struct health_run_status st;
    assert_int_equal(health_run_status(w->run, &w->service.name, &st), ERR_NOT_FOUND);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_service_is_unknown_until_its_first_result),
        CASE(test_check_that_passed_ends_without_a_reset),
        CASE(test_refused_connection_makes_it_down_after_three),
        CASE(test_first_failure_counts_at_once),
        CASE(test_service_comes_back_with_one_success),
        CASE(test_http_check_asks_its_path_and_judges_the_status),
        CASE(test_http_check_refuses_what_is_no_response),
        CASE(test_http_check_names_what_speaks_http_2_only),
        CASE(test_http_check_of_a_closed_connection_fails),
        CASE(test_silent_application_runs_into_the_time_limit),
        CASE(test_flapping_service_is_held_down),
        CASE(test_reload_keeps_the_judgement_of_an_equal_check),
        CASE(test_service_without_checks_stays_unknown),
        CASE(test_changed_application_is_checked_at_its_new_address),
        CASE(test_its_words_say_where_it_stands),
        CASE(test_http_check_of_an_h2_application_asks_by_prior_knowledge),
        CASE(test_http_check_of_an_h2_application_passes),
        CASE(test_program_that_ends_with_0_passes),
        CASE(test_program_that_fails_is_told_with_its_first_line),
        CASE(test_program_that_is_killed_is_told_by_its_signal),
        CASE(test_program_gets_its_words_as_they_are),
        CASE(test_program_has_no_environment_and_no_descriptor_of_ours),
        CASE(test_program_that_is_not_there_fails),
        CASE(test_program_that_says_too_much_fails_and_ends),
        CASE(test_program_that_leaves_a_child_behind_is_judged_by_its_own_end),
        CASE(test_program_that_does_not_end_is_killed_with_its_children),
        CASE(test_running_program_is_forgotten_with_its_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
