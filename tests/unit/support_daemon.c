#include "tests/unit/support_daemon.h"

#include "cmd/daemon/daemon.h"
#include "cmd/daemon/store_identity.h"
#include "cmd/daemon/store_state.h"
#include "core/crypto/x509_check.h"
#include "core/io/clock.h"
#include "tests/unit/support_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define LEAF_TTL_S    86400
#define CA_TTL_S      (2 * LEAF_TTL_S)
#define STATUS_ERR    100
#define LOOK_MS       5u
#define LOG_BYTES_MAX (1u << 20)

void support_daemon_open(struct support_daemon *m)
{
    uint8_t public_key[P256_PUBLIC_BYTES];
    int64_t now_s = clock_wall_s();
    *m = (struct support_daemon){.count = 0};
    support_folder_make(m->folder);
    assert_int_equal(name_set(&m->name, SPAN_LIT("shop")), ERR_OK);
    memset(&m->id, 7, sizeof m->id);
    memset(m->group_key, 9, sizeof m->group_key);
    x509_mint_key(m->ca_secret, public_key);
    assert_int_equal(x509_mint_ca(&m->name, m->ca_secret, now_s - 60, now_s + CA_TTL_S, &m->ca),
                     ERR_OK);
    assert_int_equal(sign_key_new(NULL, &m->issuer), ERR_OK);
}

void support_daemon_close(struct support_daemon *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct support_node *n = &m->node[i];
        if (n->pid > 0) {
            (void)kill(n->pid, SIGKILL);
            (void)waitpid(n->pid, NULL, 0);
        }
        (void)close(n->notify);
    }
    sign_key_free(m->issuer);
    support_folder_remove(m->folder);
}

static struct x509_der mint(struct support_daemon *m, const char *name, enum identity_kind kind,
                            uint8_t secret[P256_SECRET_BYTES])
{
    uint8_t public_key[P256_PUBLIC_BYTES];
    struct x509_der leaf;
    struct x509_leaf_request r = {.ca_der = span_of(m->ca.data, m->ca.len),
                                  .ca_secret = m->ca_secret,
                                  .id = {.mesh = m->name, .kind = kind},
                                  .public_key = public_key,
                                  .not_before_s = clock_wall_s() - 60 - m->leaf_age_s,
                                  .not_after_s = clock_wall_s() + LEAF_TTL_S - m->leaf_age_s};
    assert_int_equal(name_set(&r.id.name, span_str(name)), ERR_OK);
    x509_mint_key(secret, public_key);
    assert_int_equal(x509_mint_leaf(&r, &leaf), ERR_OK);
    return leaf;
}

static void give_leaf(struct support_daemon *m, const struct store *s, const char *service)
{
    uint8_t secret[P256_SECRET_BYTES];
    struct name name;
    struct x509_der leaf = mint(m, service, IDENTITY_SERVICE, secret);
    assert_int_equal(name_set(&name, span_str(service)), ERR_OK);
    assert_int_equal(store_identity_save(s, &name, secret, span_of(leaf.data, leaf.len), NULL),
                     ERR_OK);
}

static void give_admission(struct support_daemon *m, const struct store *s, struct span leaf,
                           const char *name)
{
    struct sign_key *key = NULL;
    struct sign_admission a = {.mesh = m->id,
                               .roles = m->roles,
                               .not_before_s = clock_wall_s() - 60 - m->leaf_age_s,
                               .not_after_s = clock_wall_s() + LEAF_TTL_S - m->leaf_age_s};
    struct x509_leaf parsed;
    uint8_t cert[ADMISSION_BYTES_MAX];
    size_t len = 0;
    assert_int_equal(sign_key_new(NULL, &key), ERR_OK);
    assert_int_equal(x509_check_leaf(leaf, &m->name, X509_SERVER, &parsed), X509_OK);
    assert_int_equal(name_set(&a.name, span_str(name)), ERR_OK);
    memcpy(a.public_key, sign_key_public(key), sizeof a.public_key);
    memcpy(a.spki_sha256, parsed.spki_sha256, sizeof a.spki_sha256);
    a.node = sign_node_id(a.public_key);
    assert_int_equal(sign_admission_make(m->issuer, &a, cert, &len), ERR_OK);
    assert_int_equal(store_state_admission_save(s, span_of(cert, len), NULL), ERR_OK);
    assert_int_equal(store_identity_sign_save(s, STORE_GOSSIP_KEY, key, NULL), ERR_OK);
    sign_key_free(key);
}

static void give_identity(struct support_daemon *m, const struct store *s, const char *name)
{
    uint8_t secret[P256_SECRET_BYTES];
    struct x509_der leaf = mint(m, name, IDENTITY_NODE, secret);
    struct span der = span_of(leaf.data, leaf.len), ca = span_of(m->ca.data, m->ca.len);
    struct store_mesh info = {.name = m->name, .id = m->id};
    struct seal_ring *ring = NULL;
    memcpy(info.issuer_pk, sign_key_public(m->issuer), sizeof info.issuer_pk);
    assert_int_equal(store_identity_save(s, NULL, secret, der, NULL), ERR_OK);
    assert_int_equal(store_identity_ca_save(s, &ca, 1, NULL), ERR_OK);
    assert_int_equal(store_state_mesh_save(s, &info, NULL), ERR_OK);
    give_admission(m, s, der, name);
    assert_int_equal(seal_ring_new(&ring), ERR_OK);
    assert_int_equal(seal_ring_add(ring, m->group_key), ERR_OK);
    assert_int_equal(store_state_keyring_save(s, ring, NULL), ERR_OK);
    seal_ring_free(ring);
}

void support_daemon_signer(struct support_daemon *m, const struct support_node *n)
{
    struct store s;
    assert_int_equal(store_open(n->root, NULL, &s), ERR_OK);
    assert_int_equal(store_prepare(&s, true, NULL), ERR_OK);
    assert_int_equal(store_identity_ca_key_save(&s, m->ca_secret, NULL), ERR_OK);
    assert_int_equal(store_identity_sign_save(&s, STORE_ISSUER_KEY, m->issuer, NULL), ERR_OK);
}

void support_daemon_config(struct support_daemon *m, struct support_node *n, const char *toml)
{
    struct store s;
    struct strbuf sb;
    strbuf_init(&sb, 65536);
    strbuf_fmt(&sb, "[node]\nname = \"%s\"\nmesh = \"%s\"\naddr = \"%s\"\nthreads = 1\npeers = [",
               n->name, m->name.text, n->addr);
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->node[i].addr, n->addr) != 0) strbuf_fmt(&sb, "\"%s\", ", m->node[i].addr);
    strbuf_str(&sb, "]\n[gossip]\nprofile = \"fast\"\n");
    for (; *toml != '\0'; toml++) {
        if (*toml == '@')
            strbuf_str(&sb, n->addr);
        else
            strbuf_char(&sb, *toml);
    }
    assert_true(strbuf_ok(&sb));
    assert_int_equal(store_open(n->root, NULL, &s), ERR_OK);
    assert_int_equal(store_write(&s, STORE_CONFIG, strbuf_view(&sb), NULL), ERR_OK);
    strbuf_fini(&sb);
}

static int notify_socket(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    assert_true(span_to_cstr(span_str(path), at.sun_path, sizeof at.sun_path));
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void join(char *dst, size_t cap, const char *a, const char *b, const char *c)
{
    struct strbuf sb;
    strbuf_init_fixed(&sb, dst, cap);
    strbuf_str(&sb, a);
    strbuf_str(&sb, b);
    strbuf_str(&sb, c);
    assert_true(strbuf_ok(&sb));
}

struct support_node *support_daemon_node(struct support_daemon *m, const char *const *service,
                                         const char *toml)
{
    assert_true(m->count < SUPPORT_DAEMON_NODES);
    struct support_node *n = &m->node[m->count++];
    struct store s;
    (void)snprintf(n->name, sizeof n->name, "h%zu", m->count);
    unsigned own = (unsigned)getpid();
    (void)snprintf(n->addr, sizeof n->addr, "127.%u.%u.%zu", 64u + (own >> 14) % 128u,
                   (own >> 6) % 256u, (own % 64u) * SUPPORT_DAEMON_NODES + m->count - 1);
    join(n->root, sizeof n->root, m->folder, "/", n->name);
    join(n->notify_path, sizeof n->notify_path, n->root, ".", "sock");
    join(n->log_path, sizeof n->log_path, n->root, ".", "log");
    assert_int_equal(store_open(n->root, NULL, &s), ERR_OK);
    assert_int_equal(store_prepare(&s, false, NULL), ERR_OK);
    give_identity(m, &s, n->name);
    for (; service != NULL && *service != NULL; service++)
        give_leaf(m, &s, *service);
    support_daemon_config(m, n, toml);
    n->notify = notify_socket(n->notify_path);
    return n;
}

static _Noreturn void child(const struct support_node *n, bool strict)
{
    struct daemon_options o = {.root = n->root,
                               .strict = strict,
                               .notify_socket = n->notify_path,
                               .watchdog_ms = n->watchdog_ms};
    struct diag diag;
    struct strbuf text;
    int code = 0;
    int fd = open(n->log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0) _exit(STATUS_ERR);
    diag_init(&diag);
    enum err err = daemon_run(&o, &diag, &code);
    strbuf_init(&text, LOG_BYTES_MAX);
    diag_print(&diag, &text);
    (void)!write(STDERR_FILENO, text.p != NULL ? text.p : "", text.len);
    strbuf_fini(&text);
    diag_fini(&diag);
    exit(err == ERR_OK ? code : STATUS_ERR + (int)err);
}

void support_daemon_up(struct support_node *n, bool strict)
{
    assert_int_equal(n->pid, 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* A test that is killed takes its daemons with it. */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) _exit(STATUS_ERR);
        child(n, strict);
    }
    n->pid = pid;
}

struct daemon *support_daemon_here(struct support_node *n)
{
    struct daemon_options o = {.root = n->root};
    struct diag diag;
    struct daemon *d = NULL;
    diag_init(&diag);
    enum err err = daemon_new(&o, &diag, &d);
    if (err != ERR_OK && diag.count > 0) print_message("%s\n", diag.entry[0].message);
    diag_fini(&diag);
    assert_int_equal(err, ERR_OK);
    return d;
}

struct watch {
    struct daemon *d;
    bool (*done)(struct daemon *d);
    struct loop_timer timer;
    uint64_t end_ms;
    bool seen;
};

static void look(struct loop_timer *t)
{
    struct watch *w = CONTAINER_OF(t, struct watch, timer);
    uint64_t now_ms = loop_now_ms(w->d->loop);
    w->seen = w->done(w->d);
    if (w->seen || now_ms >= w->end_ms)
        loop_stop(w->d->loop);
    else
        loop_timer_set(w->d->loop, t, now_ms + LOOK_MS);
}

bool support_daemon_until(struct daemon *d, bool (*done)(struct daemon *d), unsigned limit_ms)
{
    struct watch w = {.d = d, .done = done, .timer.on_expire = look};
    w.end_ms = clock_mono_ms() + limit_ms;
    loop_timer_set(d->loop, &w.timer, clock_mono_ms());
    loop_run(d->loop);
    loop_timer_clear(d->loop, &w.timer);
    return w.seen;
}

bool support_daemon_hears(struct support_node *n, const char *text, unsigned limit_ms)
{
    uint64_t end_ms = clock_mono_ms() + limit_ms;
    for (uint64_t now_ms; (now_ms = clock_mono_ms()) < end_ms;) {
        char got[512];
        struct pollfd p = {.fd = n->notify, .events = POLLIN};
        if (poll(&p, 1, (int)(end_ms - now_ms)) != 1) continue;
        ssize_t len = recv(n->notify, got, sizeof got - 1, 0);
        if (len <= 0) continue;
        got[len] = '\0';
        if (strstr(got, text) != NULL) return true;
    }
    return false;
}

int support_daemon_wait(struct support_node *n, unsigned limit_ms)
{
    uint64_t end_ms = clock_mono_ms() + limit_ms;
    int status = 0;
    pid_t done = 0;
    while (done == 0 && clock_mono_ms() < end_ms) {
        done = waitpid(n->pid, &status, WNOHANG);
        if (done == 0) (void)poll(NULL, 0, 2);
    }
    if (done != n->pid) return -2;
    n->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool support_daemon_logged(const struct support_node *n, const char *text)
{
    char *got = calloc(1, LOG_BYTES_MAX);
    FILE *f = fopen(n->log_path, "r");
    assert_non_null(got);
    if (f != NULL) {
        (void)!fread(got, 1, LOG_BYTES_MAX - 1, f);
        (void)fclose(f);
    }
    bool found = strstr(got, text) != NULL;
    if (!found) print_message("%s\n", got);
    free(got);
    return found;
}
