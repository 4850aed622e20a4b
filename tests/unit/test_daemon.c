#include "tests/unit/support_daemon.h"

#include "cmd/daemon/store_identity.h"
#include "cmd/daemon/store_state.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/io/clock.h"
#include "core/io/sock.h"
#include "core/io/udp.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define SOON_MS    30000u
#define STATUS_ERR 100

static int setup(void **state)
{
    struct support_daemon *m = calloc(1, sizeof *m);
    assert_non_null(m);
    support_daemon_open(m);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    support_daemon_close(*state);
    free(*state);
    return 0;
}

static void stop(struct support_node *n)
{
    assert_int_equal(kill(n->pid, SIGTERM), 0);
    assert_int_equal(support_daemon_wait(n, SOON_MS), 0);
}

static void test_two_daemons_find_each_other_and_leave(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    struct support_node *b = support_daemon_node(m, NULL, "");
    support_daemon_up(a, false);
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    assert_true(support_daemon_hears(a, "ready, 1 member,", SOON_MS));
    support_daemon_up(b, false);
    assert_true(support_daemon_hears(b, "READY=1", SOON_MS));
    assert_true(support_daemon_hears(a, "ready, 2 members", SOON_MS));
    assert_true(support_daemon_hears(b, "ready, 2 members", SOON_MS));
    assert_int_equal(kill(b->pid, SIGTERM), 0);
    assert_true(support_daemon_hears(b, "STOPPING=1", SOON_MS));
    assert_int_equal(support_daemon_wait(b, SOON_MS), 0);
    assert_true(support_daemon_hears(a, "ready, 1 member,", SOON_MS));
    assert_true(support_daemon_logged(a, "node=h2"));
    stop(a);
}

/* N12: a restart of all with the peers of the last run, no seed alive first. */
static void test_whole_mesh_comes_back_without_its_seed_first(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    struct support_node *b = support_daemon_node(m, NULL, "");
    support_daemon_up(b, false); /* its only peer is not there yet */
    assert_true(support_daemon_hears(b, "READY=1", SOON_MS));
    support_daemon_up(a, false);
    assert_true(support_daemon_hears(b, "ready, 2 members", SOON_MS));
    assert_true(support_daemon_hears(a, "ready, 2 members", SOON_MS));
}

static void test_killed_daemon_is_missed_and_welcomed_back(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    struct support_node *b = support_daemon_node(m, NULL, "");
    support_daemon_up(a, false);
    support_daemon_up(b, false);
    assert_true(support_daemon_hears(a, "ready, 2 members", SOON_MS));
    /* What it says is heard, and with it go the sockets that it hands over: nobody keeps them. */
    assert_true(support_daemon_hears(b, "ready, 2 members", SOON_MS));
    assert_int_equal(kill(b->pid, SIGKILL), 0);
    assert_int_equal(support_daemon_wait(b, SOON_MS), -1);
    assert_true(support_daemon_hears(a, "ready, 1 member,", SOON_MS));
    /* Its port refuses: that is proof, no suspicion has to run out. */
    assert_true(support_daemon_logged(a, "was=alive now=dead"));
    support_daemon_up(b, false);
    assert_true(support_daemon_hears(a, "ready, 2 members", SOON_MS));
}

static void test_second_parley_on_a_root_is_refused(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    struct support_node twin;
    support_daemon_up(a, false);
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    twin = *a;
    twin.pid = 0;
    (void)snprintf(twin.log_path, sizeof twin.log_path, "%s.twin", a->root);
    support_daemon_up(&twin, false);
    assert_int_equal(support_daemon_wait(&twin, SOON_MS), STATUS_ERR + ERR_BUSY);
    assert_true(support_daemon_logged(&twin, "another parley runs on this root"));
    stop(a);
}

static void test_missing_identity_says_init_or_join(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    struct store s;
    assert_int_equal(store_open(a->root, NULL, &s), ERR_OK);
    assert_int_equal(store_remove(&s, STORE_NODE_CRT, NULL), ERR_OK);
    support_daemon_up(a, false);
    assert_int_equal(support_daemon_wait(a, SOON_MS), STATUS_ERR + ERR_NOT_FOUND);
    assert_true(support_daemon_logged(a, "parley join TOKEN"));
}

static void test_busy_mesh_port_ends_the_start_in_words(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    struct addr at;
    int fd = -1;
    assert_int_equal(addr_parse(span_str(a->addr), 7400, &at), ERR_OK);
    assert_int_equal(sock_listen(&at, 0, &fd), ERR_OK);
    support_daemon_up(a, false);
    assert_int_equal(support_daemon_wait(a, SOON_MS), STATUS_ERR + ERR_IN_USE);
    assert_true(support_daemon_logged(a, ":7400 (mesh port): another process uses it"));
    assert_int_equal(close(fd), 0);
    assert_int_equal(udp_bind(&at, &fd), ERR_OK);
    support_daemon_up(a, false);
    assert_int_equal(support_daemon_wait(a, SOON_MS), STATUS_ERR + ERR_IN_USE);
    assert_int_equal(close(fd), 0);
}

static void test_bad_file_at_start_runs_the_last_good_one(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    support_daemon_up(a, false);
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    stop(a);
    support_daemon_config(m, a, "[upstrem.api]\n");
    support_daemon_up(a, true);
    assert_int_equal(support_daemon_wait(a, SOON_MS), STATUS_ERR + ERR_INVALID);
    support_daemon_up(a, false);
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    assert_true(support_daemon_hears(a, "on last-good.toml", SOON_MS));
    assert_true(support_daemon_logged(a, "upstrem"));
    stop(a);
}

static void test_reload_takes_a_good_file_and_refuses_a_bad_one(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    struct addr at;
    struct target to = {.path = ""};
    int fd = -1;
    bool done = false;
    assert_int_equal(addr_parse(span_str(a->addr), 9301, &at), ERR_OK);
    to.addr = at;
    support_daemon_up(a, false);
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));

    support_daemon_config(m, a, "[upstream.api]\nlisten = \"@:9301\"\n");
    assert_int_equal(kill(a->pid, SIGHUP), 0);
    assert_true(support_daemon_hears(a, "RELOADING=1", SOON_MS));
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    assert_int_equal(sock_connect(&to, &fd, &done), ERR_OK);
    assert_int_equal(close(fd), 0);

    /* X04: a bad file, then a busy port: nothing changes. */
    support_daemon_config(m, a, "[upstream.api]\nlisten = 9301\n");
    assert_int_equal(kill(a->pid, SIGHUP), 0);
    assert_true(support_daemon_hears(a, "RELOADING=1", SOON_MS));
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    assert_true(support_daemon_logged(a, "the running configuration is unchanged"));
    assert_int_equal(sock_connect(&to, &fd, &done), ERR_OK);
    assert_int_equal(close(fd), 0);

    at.port = 9302;
    assert_int_equal(sock_listen(&at, 0, &fd), ERR_OK);
    support_daemon_config(m, a, "[upstream.api]\nlisten = \"@:9302\"\n");
    assert_int_equal(kill(a->pid, SIGHUP), 0);
    assert_true(support_daemon_hears(a, "RELOADING=1", SOON_MS));
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    assert_true(support_daemon_logged(a, "another process uses it"));
    assert_int_equal(close(fd), 0);
    assert_int_equal(sock_connect(&to, &fd, &done), ERR_OK);
    assert_int_equal(close(fd), 0);
    stop(a);
}

static void test_watchdog_is_fed_while_the_workers_turn(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    a->watchdog_ms = 2000;
    support_daemon_up(a, false);
    assert_true(support_daemon_hears(a, "WATCHDOG=1", SOON_MS));
    assert_true(support_daemon_hears(a, "WATCHDOG=1", SOON_MS));
    stop(a);
}

/* N50: a second signal does not wait for the drain of the first. */
static void test_second_signal_ends_at_once(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    struct support_node *b = support_daemon_node(m, NULL, "");
    support_daemon_up(a, false);
    support_daemon_up(b, false);
    assert_true(support_daemon_hears(a, "ready, 2 members", SOON_MS));
    assert_int_equal(kill(a->pid, SIGTERM), 0);
    assert_true(support_daemon_hears(a, "STOPPING=1", SOON_MS));
    assert_int_equal(kill(a->pid, SIGINT), 0);
    assert_int_equal(support_daemon_wait(a, SOON_MS), 0);
    assert_true(support_daemon_logged(a, "second signal"));
}

static void test_damaged_state_is_named(void **state)
{
    static const enum store_file file[] = {STORE_MESH,     STORE_KEYRING,    STORE_EPOCH,
                                           STORE_NODE_KEY, STORE_GOSSIP_KEY, STORE_CA_CRT};
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    struct store s;
    assert_int_equal(store_open(a->root, NULL, &s), ERR_OK);
    assert_int_equal(store_write(&s, STORE_PEERS, SPAN_LIT("rot"), NULL), ERR_OK);
    support_daemon_up(a, false); /* peers are rebuilt from the mesh */
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    stop(a);
    for (size_t i = 0; i < sizeof file / sizeof file[0]; i++) {
        struct strbuf keep;
        char path[STORE_PATH_MAX];
        strbuf_init(&keep, 65536);
        assert_int_equal(store_read(&s, file[i], NULL, &keep), ERR_OK);
        assert_int_equal(store_write(&s, file[i], span_of(keep.p, keep.len / 2), NULL), ERR_OK);
        support_daemon_up(a, false);
        assert_int_equal(support_daemon_wait(a, SOON_MS), STATUS_ERR + ERR_CORRUPT);
        assert_true(support_daemon_logged(a, store_path(&s, file[i], path)));
        assert_int_equal(store_write(&s, file[i], strbuf_view(&keep), NULL), ERR_OK);
        strbuf_fini(&keep);
    }
}

/* Whether the admin socket says "HTTP/1.1 200" to GET /v1/status. */
static bool admin_answers(const struct support_node *n)
{
    static const char ask[] = "GET /v1/status HTTP/1.1\r\nHost: parley\r\n\r\n";
    char got[64] = "";
    struct store s;
    struct target to = {.addr = {.family = ADDR_NONE}};
    char path[STORE_PATH_MAX];
    int fd = -1;
    bool done = false;
    assert_int_equal(store_open(n->root, NULL, &s), ERR_OK);
    assert_true(
        span_to_cstr(span_str(store_path(&s, STORE_SOCKET, path)), to.path, sizeof to.path));
    assert_int_equal(sock_connect(&to, &fd, &done), ERR_OK);
    bool sent = send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL) == (ssize_t)sizeof ask - 1;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    bool heard = sent && poll(&p, 1, SOON_MS) == 1 && read(fd, got, sizeof got - 1) > 0;
    assert_int_equal(close(fd), 0);
    return heard && strncmp(got, "HTTP/1.1 200", 12) == 0;
}

/* X02: whoever may only look, over TCP even, must not keep the administrator out. */
static void test_idle_callers_without_a_role_leave_room_for_the_administrator(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "[metrics]\nlisten = \"@:9303\"\n");
    struct target to = {.path = ""};
    int fd[ADMIN_CLIENTS_MAX + 1];
    char byte;
    assert_int_equal(addr_parse(span_str(a->addr), 9303, &to.addr), ERR_OK);
    support_daemon_up(a, false);
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    assert_true(admin_answers(a));
    for (size_t i = 0; i < ARRAY_LEN(fd); i++) {
        bool done = false;
        assert_int_equal(sock_connect(&to, &fd[i], &done), ERR_OK);
    }
    struct pollfd last = {.fd = fd[ADMIN_CLIENTS_MAX], .events = POLLIN};
    assert_int_equal(poll(&last, 1, SOON_MS), 1);
    assert_int_equal(read(last.fd, &byte, 1), 0); /* no place for it */
    assert_true(admin_answers(a));
    for (size_t i = 0; i < ARRAY_LEN(fd); i++)
        assert_int_equal(close(fd[i]), 0);
    stop(a);
}

/* How often the node's log has `text`. */
static unsigned log_count(const struct support_node *n, const char *text)
{
    char line[1024];
    unsigned count = 0;
    FILE *f = fopen(n->log_path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        count += strstr(line, text) != NULL;
    (void)fclose(f);
    return count;
}

/* N38: a start whose clock was days ahead has left its epoch behind. */
static void test_an_epoch_ahead_of_the_clock_does_not_stop_the_start(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    struct store s;
    uint64_t epoch = 0, ahead_ms = clock_wall_us() / 1000u + 3u * 86400 * 1000;
    assert_int_equal(store_open(a->root, NULL, &s), ERR_OK);
    assert_int_equal(store_state_epoch_next(&s, ahead_ms, NULL, &epoch), ERR_OK);
    support_daemon_up(a, false);
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    assert_true(support_daemon_logged(a, "ahead of this host's clock"));
    stop(a);
}

/* The other way to such an epoch: that start is refused, and leaves none. */
static void test_a_start_outside_the_admissions_dates_stores_no_epoch(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a = support_daemon_node(m, NULL, "");
    uint8_t cert[ADMISSION_BYTES_MAX];
    size_t len = 0;
    struct sign_admission ad;
    struct store s;
    assert_int_equal(store_open(a->root, NULL, &s), ERR_OK);
    assert_int_equal(store_state_admission(&s, NULL, cert, &len), ERR_OK);
    assert_int_equal(sign_admission_read(span_of(cert, len), &ad), ERR_OK);
    ad.not_before_s = clock_wall_s() - 7200;
    ad.not_after_s = clock_wall_s() - 3600;
    assert_int_equal(sign_admission_make(m->issuer, &ad, cert, &len), ERR_OK);
    assert_int_equal(store_state_admission_save(&s, span_of(cert, len), NULL), ERR_OK);
    support_daemon_up(a, false);
    assert_int_equal(support_daemon_wait(a, SOON_MS), STATUS_ERR + ERR_EXPIRED);
    assert_true(support_daemon_logged(a, "set the clock if it is wrong"));
    assert_false(store_exists(&s, STORE_EPOCH));
}

static void make_signer(const struct support_daemon *m, const struct support_node *n, int64_t end_s)
{
    struct store s;
    struct x509_der ca;
    assert_int_equal(x509_mint_ca(&m->name, m->ca_secret, end_s - 3600, end_s, &ca), ERR_OK);
    struct span der = span_of(ca.data, ca.len);
    assert_int_equal(store_open(n->root, NULL, &s), ERR_OK);
    assert_int_equal(store_prepare(&s, true, NULL), ERR_OK);
    assert_int_equal(store_identity_ca_save(&s, &der, 1, NULL), ERR_OK);
    assert_int_equal(store_identity_ca_key_save(&s, m->ca_secret, NULL), ERR_OK);
    assert_int_equal(store_identity_sign_save(&s, STORE_ISSUER_KEY, m->issuer, NULL), ERR_OK);
}

/* A leaf that ends in two seconds, with the CA, is due again in the second it is signed; so is one
 * that a signer with a clock hours behind signs. */
static void test_a_leaf_that_is_due_at_once_is_not_renewed_without_pause(void **state)
{
    struct support_daemon *m = *state;
    struct support_node *a =
        support_daemon_node(m, NULL, "[service.web]\nlocal = \"127.0.0.1:9304\"\n");
    make_signer(m, a, clock_wall_s() + 2);
    support_daemon_up(a, false);
    assert_true(support_daemon_hears(a, "READY=1", SOON_MS));
    uint64_t give_up_ms = clock_mono_ms() + SOON_MS;
    while (log_count(a, "not renewed") == 0 && clock_mono_ms() < give_up_ms)
        (void)poll(NULL, 0, 20);
    assert_in_range(log_count(a, "valid_s="), 1, 4);
    assert_in_range(log_count(a, "not renewed"), 1, 4);
    stop(a);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_two_daemons_find_each_other_and_leave),
        CASE(test_whole_mesh_comes_back_without_its_seed_first),
        CASE(test_killed_daemon_is_missed_and_welcomed_back),
        CASE(test_second_parley_on_a_root_is_refused),
        CASE(test_missing_identity_says_init_or_join),
        CASE(test_busy_mesh_port_ends_the_start_in_words),
        CASE(test_bad_file_at_start_runs_the_last_good_one),
        CASE(test_reload_takes_a_good_file_and_refuses_a_bad_one),
        CASE(test_watchdog_is_fed_while_the_workers_turn),
        CASE(test_second_signal_ends_at_once),
        CASE(test_damaged_state_is_named),
        CASE(test_an_epoch_ahead_of_the_clock_does_not_stop_the_start),
        CASE(test_a_start_outside_the_admissions_dates_stores_no_epoch),
        CASE(test_a_leaf_that_is_due_at_once_is_not_renewed_without_pause),
        CASE(test_idle_callers_without_a_role_leave_room_for_the_administrator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
