#include "cmd/daemon/listeners.h"

#include "cmd/daemon/fd_store.h"
#include "core/base/check.h"
#include "core/io/file.h"
#include "core/io/sock.h"
#include "tests/unit/support_folder.h"
#include "tests/unit/support_pem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define WORKERS 2u

/* A port of this test's own address that nobody has. */
static struct addr free_addr(void)
{
    struct addr a;
    int fd = -1;
    assert_int_equal(addr_parse(SPAN_LIT("127.0.0.31"), 1, &a), ERR_OK);
    a.port = 0;
    assert_int_equal(sock_listen(&a, 0, &fd), ERR_OK);
    a = sock_local(fd);
    assert_int_equal(close(fd), 0);
    return a;
}

static struct config config_of(struct config_upstream *u, size_t count)
{
    struct config c = {.upstream_count = count, .upstream = u};
    c.node.bind = free_addr();
    return c;
}

static struct config_upstream upstream_on(const char *name, struct addr at)
{
    struct config_upstream u = {
        .listen.addr = at, .protocol = PROTOCOL_HTTP, .file = "p.toml", .line = 7};
    assert_int_equal(name_set(&u.name, span_str(name)), ERR_OK);
    return u;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* One that keeps nothing and has nothing. */
static struct fd_store *no_store(void)
{
    static struct fd_store *store;
    static struct log log;
    if (store == NULL) {
        log_init(&log, STDERR_FILENO, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
        assert_int_equal(fd_store_new(NULL, 0, &log, &store), ERR_OK);
    }
    return store;
}

static struct listeners *listeners_with(const struct config *c)
{
    struct listeners *l = NULL;
    assert_int_equal(listeners_new(WORKERS, no_store(), &l), ERR_OK);
    assert_int_equal(listeners_prepare(l, c, NULL), ERR_OK);
    listeners_commit(l, 1);
    return l;
}

static const struct build_listener *row_of(const struct listeners *l, const struct addr *at)
{
    size_t count = 0;
    const struct build_listener *row = listeners_rows(l, &count);
    for (size_t i = 0; i < count; i++)
        if (addr_eq(&row[i].at.addr, at)) return &row[i];
    return NULL;
}

static void test_every_worker_gets_a_descriptor_of_its_own(void **state)
{
    (void)state;
    struct config_upstream u = upstream_on("api", free_addr());
    struct config c = config_of(&u, 1);
    struct listeners *l = listeners_with(&c);
    const struct build_listener *mesh = row_of(l, &c.node.bind), *api = row_of(l, &u.listen.addr);
    assert_non_null(mesh);
    assert_non_null(api);
    assert_int_equal(mesh->kind, LISTENER_MESH);
    assert_null(mesh->upstream);
    assert_int_equal(api->kind, LISTENER_HTTP);
    assert_string_equal(api->upstream->text, "api");
    assert_int_not_equal(api->fd[0], api->fd[1]);
    assert_true(is_open(api->fd[0]) && is_open(api->fd[1]));
    listeners_free(l);
}

static void write_text(const char *path, mode_t mode, const char *text)
{
    assert_int_equal(file_write(path, mode, span_str(text)), ERR_OK);
}

static void test_callers_over_tls_are_shown_the_certificate_of_the_newest_files(void **state)
{
    (void)state;
    char folder[SUPPORT_FOLDER_MAX], cert[128], key[128];
    support_folder_make(folder);
    snprintf(cert, sizeof cert, "%s/cert", folder);
    snprintf(key, sizeof key, "%s/key", folder);
    write_text(cert, 0644, support_pem_cert);
    write_text(key, 0600, support_pem_key_sec1);
    struct config_upstream u = upstream_on("api", free_addr());
    u.tls_cert = cert;
    u.tls_key = key;
    struct config c = config_of(&u, 1);
    struct listeners *l = listeners_with(&c);
    struct tls_cert *before = row_of(l, &u.listen.addr)->tls;
    assert_non_null(before);
    assert_null(row_of(l, &c.node.bind)->tls);
    /* A key that others may read, and then one of another certificate, change nothing. */
    struct diag diag;
    diag_init(&diag);
    write_text(key, 0644, support_pem_key_sec1);
    assert_int_equal(listeners_prepare(l, &c, &diag), ERR_PERM);
    write_text(key, 0600, support_pem_key_other);
    assert_int_equal(listeners_prepare(l, &c, &diag), ERR_MISMATCH);
    assert_int_equal(diag.errors, 2);
    assert_string_equal(diag.entry[1].file, "p.toml");
    assert_string_equal(diag.entry[1].message,
                        "upstream \"api\": tls: key is not the key of cert's first certificate");
    assert_ptr_equal(row_of(l, &u.listen.addr)->tls, before);
    write_text(key, 0600, support_pem_key_pkcs8);
    assert_int_equal(listeners_prepare(l, &c, &diag), ERR_OK);
    listeners_commit(l, 2);
    assert_non_null(row_of(l, &u.listen.addr)->tls);
    diag_fini(&diag);
    listeners_free(l);
    support_folder_remove(folder);
}

static void test_busy_port_refuses_the_whole_set_and_names_the_place(void **state)
{
    (void)state;
    struct config_upstream u[2] = {upstream_on("api", free_addr()), upstream_on("db", free_addr())};
    struct config c = config_of(u, 1);
    struct listeners *l = listeners_with(&c);
    const struct build_listener *before = row_of(l, &u[0].listen.addr);
    int other = -1;
    assert_int_equal(sock_listen(&u[1].listen.addr, SOCK_LISTEN_SHARED, &other), ERR_OK);

    struct diag diag;
    diag_init(&diag);
    c.upstream_count = 2;
    assert_int_equal(listeners_prepare(l, &c, &diag), ERR_IN_USE);
    assert_int_equal(diag.errors, 1);
    assert_string_equal(diag.entry[0].file, "p.toml");
    assert_int_equal(diag.entry[0].line, 7);
    assert_non_null(strstr(diag.entry[0].message, "(db): another process uses it"));
    diag_fini(&diag);

    size_t count = 0;
    (void)listeners_rows(l, &count);
    assert_int_equal(count, 2);
    assert_ptr_equal(row_of(l, &u[0].listen.addr), before);
    assert_true(is_open(before->fd[0]));

    /* Free again, the same configuration is taken. */
    assert_int_equal(close(other), 0);
    assert_int_equal(listeners_prepare(l, &c, NULL), ERR_OK);
    listeners_commit(l, 2);
    assert_non_null(row_of(l, &u[1].listen.addr));
    listeners_free(l);
}

static void test_what_stays_keeps_its_descriptors(void **state)
{
    (void)state;
    struct config_upstream u[2] = {upstream_on("api", free_addr()), upstream_on("db", free_addr())};
    struct config c = config_of(u, 1);
    struct listeners *l = listeners_with(&c);
    const int *fd = row_of(l, &u[0].listen.addr)->fd;
    c.upstream_count = 2;
    assert_int_equal(listeners_prepare(l, &c, NULL), ERR_OK);
    listeners_commit(l, 2);
    assert_ptr_equal(row_of(l, &u[0].listen.addr)->fd, fd);
    listeners_free(l);
}

static void test_retired_listener_closes_once_every_worker_has_moved_on(void **state)
{
    (void)state;
    struct config_upstream u = upstream_on("api", free_addr());
    struct config c = config_of(&u, 1);
    struct listeners *l = listeners_with(&c);
    int fd = row_of(l, &u.listen.addr)->fd[0];
    c.upstream_count = 0;
    assert_int_equal(listeners_prepare(l, &c, NULL), ERR_OK);
    listeners_commit(l, 2);
    assert_null(row_of(l, &u.listen.addr));
    listeners_collect(l, 1, 1);
    assert_true(is_open(fd));
    listeners_collect(l, 2, 1); /* an old snapshot still names its descriptors */
    assert_false(is_open(fd));
    listeners_collect(l, 2, 2); /* frees them: the leak check sees it */
    listeners_free(l);
}

static void test_listener_that_comes_back_before_it_closed_is_kept(void **state)
{
    (void)state;
    struct config_upstream u = upstream_on("api", free_addr());
    struct config c = config_of(&u, 1);
    struct listeners *l = listeners_with(&c);
    const int *fd = row_of(l, &u.listen.addr)->fd;
    c.upstream_count = 0;
    assert_int_equal(listeners_prepare(l, &c, NULL), ERR_OK);
    listeners_commit(l, 2);
    c.upstream_count = 1;
    assert_int_equal(listeners_prepare(l, &c, NULL), ERR_OK);
    listeners_commit(l, 3);
    listeners_collect(l, 3, 3);
    assert_ptr_equal(row_of(l, &u.listen.addr)->fd, fd);
    assert_true(is_open(fd[0]));
    listeners_free(l);
}

static void test_one_address_may_change_its_protocol(void **state)
{
    (void)state;
    struct config_upstream u = upstream_on("db", free_addr());
    struct config c = config_of(&u, 1);
    struct listeners *l = listeners_with(&c);
    int http = row_of(l, &u.listen.addr)->fd[0];
    u.protocol = PROTOCOL_TCP;
    assert_int_equal(listeners_prepare(l, &c, NULL), ERR_OK);
    listeners_commit(l, 2);
    assert_int_equal(row_of(l, &u.listen.addr)->kind, LISTENER_TCP);
    listeners_collect(l, 2, 1);
    assert_false(is_open(http));
    assert_true(is_open(row_of(l, &u.listen.addr)->fd[0]));
    listeners_free(l);
}

static void test_socket_of_a_path_is_shared_and_goes_with_its_last_listener(void **state)
{
    (void)state;
    char folder[] = "/tmp/parley-listeners-XXXXXX";
    assert_non_null(mkdtemp(folder));
    struct config_upstream u = upstream_on("api", (struct addr){.family = ADDR_NONE});
    snprintf(u.listen.path, sizeof u.listen.path, "%s/api.sock", folder);
    struct config c = config_of(&u, 1);
    struct listeners *l = listeners_with(&c);
    size_t count = 0;
    const struct build_listener *row = listeners_rows(l, &count);
    assert_int_equal(count, 2);
    assert_string_equal(row[1].at.path, u.listen.path);
    struct stat one, two, file;
    assert_int_equal(fstat(row[1].fd[0], &one), 0);
    assert_int_equal(fstat(row[1].fd[1], &two), 0);
    assert_true(one.st_ino == two.st_ino && row[1].fd[0] != row[1].fd[1]);

    /* Of another kind: the file stays for it when the first has gone. */
    u.protocol = PROTOCOL_TCP;
    assert_int_equal(listeners_prepare(l, &c, NULL), ERR_OK);
    listeners_commit(l, 2);
    listeners_collect(l, 2, 2);
    assert_int_equal(stat(u.listen.path, &file), 0);
    c.upstream_count = 0;
    assert_int_equal(listeners_prepare(l, &c, NULL), ERR_OK);
    listeners_commit(l, 3);
    listeners_collect(l, 3, 3);
    assert_int_not_equal(stat(u.listen.path, &file), 0);
    listeners_free(l);
    assert_int_equal(rmdir(folder), 0);
}

static void test_upstreams_with_sni_have_one_listener_together(void **state)
{
    (void)state;
    const char *a[] = {"a"}, *b[] = {"b"};
    struct addr at = free_addr();
    struct config_upstream u[2] = {upstream_on("api", at), upstream_on("db", at)};
    u[0].sni = a;
    u[1].sni = b;
    struct config c = config_of(u, 2);
    struct listeners *l = listeners_with(&c);
    size_t count = 0;
    const struct build_listener *row = listeners_rows(l, &count);
    assert_int_equal(count, 2);
    assert_int_equal(row[1].kind, LISTENER_TLS);
    /* The next set has it too. */
    assert_int_equal(listeners_prepare(l, &c, NULL), ERR_OK);
    listeners_commit(l, 2);
    (void)listeners_rows(l, &count);
    assert_int_equal(count, 2);
    listeners_free(l);
}

static void test_abort_closes_only_what_was_new(void **state)
{
    (void)state;
    struct config_upstream u[2] = {upstream_on("api", free_addr()), upstream_on("db", free_addr())};
    struct config c = config_of(u, 1);
    struct listeners *l = listeners_with(&c);
    c.upstream_count = 2;
    assert_int_equal(listeners_prepare(l, &c, NULL), ERR_OK);
    int fresh = row_of(l, &u[1].listen.addr)->fd[0];
    listeners_abort(l);
    assert_false(is_open(fresh));
    assert_null(row_of(l, &u[1].listen.addr));
    assert_true(is_open(row_of(l, &u[0].listen.addr)->fd[0]));
    listeners_free(l);
}

static void test_address_of_another_host_is_refused_in_words(void **state)
{
    (void)state;
    struct addr elsewhere;
    assert_int_equal(addr_parse(SPAN_LIT("192.0.2.7:9001"), 0, &elsewhere), ERR_OK);
    struct config_upstream u = upstream_on("api", elsewhere);
    struct config c = config_of(&u, 1);
    struct listeners *l = NULL;
    struct diag diag;
    diag_init(&diag);
    assert_int_equal(listeners_new(WORKERS, no_store(), &l), ERR_OK);
    assert_int_equal(listeners_prepare(l, &c, &diag), ERR_UNREACHABLE);
    assert_non_null(strstr(diag.entry[0].message, "no address of this host"));
    diag_fini(&diag);
    listeners_free(l);
}

/* Fills the queue of this listener, and one more is dropped. */
static void overflow(int listener)
{
    struct target to = {.addr = sock_local(listener)};
    int client[3];
    bool done;
    assert_int_equal(listen(listener, 1), 0);
    for (size_t i = 0; i < ARRAY_LEN(client); i++)
        assert_int_equal(sock_connect(&to, &client[i], &done), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(client); i++)
        assert_int_equal(close(client[i]), 0);
}

static void test_dropped_attempts_count_beyond_their_listener(void **state)
{
    (void)state;
    struct config_upstream u = upstream_on("api", free_addr());
    struct config c = config_of(&u, 1), none = c;
    struct listeners *l = NULL;
    assert_int_equal(listeners_new(1, no_store(), &l), ERR_OK);
    assert_int_equal(listeners_prepare(l, &c, NULL), ERR_OK);
    listeners_commit(l, 1);
    assert_int_equal(listeners_drops(l), 0);
    overflow(row_of(l, &u.listen.addr)->fd[0]);
    assert_int_equal(listeners_drops(l), 1);
    none.upstream_count = 0;
    assert_int_equal(listeners_prepare(l, &none, NULL), ERR_OK);
    listeners_commit(l, 2);
    listeners_collect(l, 2, 2);
    assert_int_equal(listeners_drops(l), 1);
    listeners_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_worker_gets_a_descriptor_of_its_own),
        cmocka_unit_test(test_callers_over_tls_are_shown_the_certificate_of_the_newest_files),
        cmocka_unit_test(test_busy_port_refuses_the_whole_set_and_names_the_place),
        cmocka_unit_test(test_what_stays_keeps_its_descriptors),
        cmocka_unit_test(test_retired_listener_closes_once_every_worker_has_moved_on),
        cmocka_unit_test(test_listener_that_comes_back_before_it_closed_is_kept),
        cmocka_unit_test(test_one_address_may_change_its_protocol),
        cmocka_unit_test(test_socket_of_a_path_is_shared_and_goes_with_its_last_listener),
        cmocka_unit_test(test_upstreams_with_sni_have_one_listener_together),
        cmocka_unit_test(test_dropped_attempts_count_beyond_their_listener),
        cmocka_unit_test(test_abort_closes_only_what_was_new),
        cmocka_unit_test(test_address_of_another_host_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
