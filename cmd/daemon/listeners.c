#include "cmd/daemon/listeners.h"

#include <stdlib.h>
#include <unistd.h>

#include "cmd/daemon/fd_store.h"
#include "core/base/list.h"
#include "core/crypto/secret.h"
#include "core/io/file.h"
#include "core/io/keyfile.h"
#include "core/io/sock.h"

#define LISTENERS_MAGIC  0x6c736e31u
#define LISTEN_PATH_MODE 0666 /* the folder says who may connect */

struct open_listener {
    struct list node;
    enum listener_kind kind;
    struct target at;
    bool prepared;       /* part of the prepared set */
    bool in_use;         /* part of the running set */
    bool kept;           /* by the store */
    bool closed;         /* retired and closed; the array waits for old snapshots */
    uint64_t retired_at; /* generation that no longer names it */
    unsigned count;
    int fd[];
};

struct listeners {
    uint32_t magic;
    unsigned worker_count;
    struct fd_store *store; /* borrowed */
    struct list open;
    struct build_listener *row; /* owned: of the prepared, else of the running set */
    size_t row_count;
    struct build_listener *row_old; /* owned: the running set while another is prepared */
    size_t row_old_count;
    uint64_t drops_closed; /* at what is closed now */
    bool preparing;
};

enum err listeners_new(unsigned worker_count, struct fd_store *store, struct listeners **out)
{
    struct listeners *l = calloc(1, sizeof *l);
    if (l == NULL) return ERR_NOMEM;
    l->magic = LISTENERS_MAGIC;
    l->worker_count = worker_count;
    l->store = store;
    list_init(&l->open);
    *out = l;
    return ERR_OK;
}

/* `row` itself goes too. */
static void rows_free(struct build_listener *row, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tls_cert_unref(row[i].tls);
    free(row);
}

/* The open listener of another kind at the same place; NULL: none. */
static struct open_listener *twin(struct listeners *l, const struct open_listener *of)
{
    LIST_EACH(pos, tmp, &l->open)
    {
        struct open_listener *o = LIST_ENTRY(pos, struct open_listener, node);
        if (o != of && !o->closed && addr_target_eq(&o->at, &of->at)) return o;
    }
    return NULL;
}

static void keep(struct listeners *l, struct open_listener *o)
{
    fd_store_keep(l->store, &o->at, o->fd, o->count);
    o->kept = true;
}

static uint64_t drops(const struct open_listener *o)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < o->count; i++)
        n += sock_listen_drops(o->fd[i]);
    return n;
}

static void listener_close(struct open_listener *o)
{
    for (unsigned i = 0; i < o->count; i++)
        (void)close(o->fd[i]);
    o->count = 0;
    o->closed = true;
}

/* Nobody shall find anything there any more, but for a listener of another kind. */
static void listener_retire(struct listeners *l, struct open_listener *o)
{
    struct open_listener *other = twin(l, o);
    if (o->kept) fd_store_drop(l->store, &o->at);
    if (other != NULL && other->kept)
        keep(l, other);
    else if (other == NULL && o->count > 0 && o->at.path[0] != '\0')
        sock_unlink(o->at.path);
    l->drops_closed += drops(o);
    listener_close(o);
}

static void listener_free(struct open_listener *o)
{
    listener_close(o);
    list_remove(&o->node);
    free(o);
}

void listeners_free(struct listeners *l)
{
    if (l == NULL) return;
    CHECK_OBJ(l, LISTENERS_MAGIC);
    LIST_EACH(pos, tmp, &l->open)
    {
        struct open_listener *o = LIST_ENTRY(pos, struct open_listener, node);
        bool path = o->count > 0 && o->at.path[0] != '\0';
        if (path && !fd_store_keeps(l->store)) sock_unlink(o->at.path);
        listener_free(o);
    }
    rows_free(l->row, l->row_count);
    rows_free(l->row_old, l->row_old_count);
    l->magic = MAGIC_POISON;
    free(l);
}

static void say_busy_path(struct diag *diag, const struct diag_at *at, const char *path,
                          enum err err, const char *what)
{
    const char *why = err == ERR_IN_USE      ? "another process listens there"
                      : err == ERR_EXISTS    ? "something else is there, which is no socket"
                      : err == ERR_NOT_FOUND ? "its folder does not exist"
                      : err == ERR_PERM      ? "this user may not write its folder"
                                             : err_text(err);
    diag_error(diag, at, "cannot listen on unix:%s (%s): %s", path, what, why);
}

static void say_busy(struct diag *diag, const struct target *target, enum err err,
                     const struct config_upstream *u)
{
    const struct addr *addr = &target->addr;
    char text[ADDR_TEXT_MAX];
    struct diag_at at = {.file = u != NULL ? u->file : NULL, .line = u != NULL ? u->line : 0};
    (void)addr_format(addr, text);
    const char *what = u != NULL ? u->name.text : "mesh port";
    if (target->path[0] != '\0')
        say_busy_path(diag, &at, target->path, err, what);
    else if (err == ERR_IN_USE)
        diag_error(diag, &at,
                   "cannot listen on %s (%s): another process uses it: ss -ltnp 'sport = :%u'",
                   text, what, addr->port);
    else if (err == ERR_PERM)
        diag_error(diag, &at,
                   "cannot listen on %s (%s): a port under 1024 needs CAP_NET_BIND_SERVICE", text,
                   what);
    else if (err == ERR_UNREACHABLE)
        diag_error(diag, &at, "cannot listen on %s (%s): it is no address of this host%s", text,
                   what,
                   u != NULL ? "" : "; mend addr in [node], or behind NAT add bind = \"0.0.0.0\"");
    else
        diag_error(diag, &at, "cannot listen on %s (%s): %s", text, what, err_text(err));
}

static struct open_listener *find(struct listeners *l, enum listener_kind kind,
                                  const struct target *at)
{
    LIST_EACH(pos, tmp, &l->open)
    {
        struct open_listener *o = LIST_ENTRY(pos, struct open_listener, node);
        if (!o->closed && o->kind == kind && addr_target_eq(&o->at, at)) return o;
    }
    return NULL;
}

/* SO_REUSEPORT is for IP alone: all workers share one socket of a path. */
static enum err open_path(struct listeners *l, struct open_listener *o)
{
    const struct open_listener *other = twin(l, o);
    enum err err = ERR_OK;
    if (other != NULL)
        err = sock_dup(other->fd[0], &o->fd[0]);
    else if ((o->fd[0] = fd_store_take(l->store, &o->at)) < 0)
        err = sock_listen_unix(o->at.path, LISTEN_PATH_MODE, &o->fd[0]);
    if (err != ERR_OK) return err;
    for (o->count = 1; o->count < l->worker_count; o->count++) {
        err = sock_dup(o->fd[0], &o->fd[o->count]);
        if (err != ERR_OK) return err;
    }
    return ERR_OK;
}

/* SO_REUSEPORT lets a second process of the same user share our port unseen, hence the probe; but
 * when one address changes its kind (http becomes tcp) the probe would find ourselves. */
static enum err open_addr(struct listeners *l, struct open_listener *o)
{
    unsigned flags = SOCK_LISTEN_SHARED | (twin(l, o) != NULL ? 0u : SOCK_LISTEN_PROBE);
    for (; o->count < l->worker_count; o->count++) {
        int *fd = &o->fd[o->count];
        *fd = fd_store_take(l->store, &o->at);
        enum err err = *fd < 0 ? sock_listen(&o->at.addr, flags, fd) : ERR_OK;
        if (err != ERR_OK) return err;
        flags = SOCK_LISTEN_SHARED;
    }
    return ERR_OK;
}

static enum err listener_open(struct listeners *l, enum listener_kind kind, const struct target *at,
                              struct open_listener **out)
{
    struct open_listener *o = calloc(1, sizeof *o + l->worker_count * sizeof o->fd[0]);
    if (o == NULL) return ERR_NOMEM;
    o->kind = kind;
    o->at = *at;
    enum err err = at->path[0] != '\0' ? open_path(l, o) : open_addr(l, o);
    if (err != ERR_OK) goto fail;
    list_push_back(&l->open, &o->node);
    *out = o;
    return ERR_OK;

fail:
    listener_retire(l, o);
    free(o);
    return err;
}

static const char *cert_fault(enum err err)
{
    if (err == ERR_INVALID) return "cert holds no certificate in PEM";
    if (err == ERR_UNTRUSTED) return "the certificate's key is no ECDSA key on P-256";
    if (err == ERR_CORRUPT) return "key holds no unencrypted ECDSA key on P-256 in PEM";
    if (err == ERR_MISMATCH) return "key is not the key of cert's first certificate";
    return err_text(err);
}

static enum err load_cert(const struct config_upstream *u, struct diag *diag, struct tls_cert **out)
{
    struct diag_at at = {.file = u->file, .line = u->line};
    struct strbuf chain, key;
    char *secret = secret_new(KEYFILE_BYTES_MAX);
    if (secret == NULL) return ERR_NOMEM;
    strbuf_init(&chain, TLS_CERT_PEM_MAX);
    strbuf_init_fixed(&key, secret, KEYFILE_BYTES_MAX);
    const char *path = u->tls_cert;
    enum err err = file_read(path, &chain);
    if (err == ERR_OK) {
        path = u->tls_key;
        err = keyfile_read(path, &key);
    }
    if (err != ERR_OK) {
        diag_error(
            diag, &at, "upstream \"%s\": cannot read %s: %s%s", u->name.text, path, err_text(err),
            err == ERR_PERM ? " (a key must be its owner's alone, and the owner parley)" : "");
    } else {
        err = tls_cert_new(strbuf_view(&chain), strbuf_view(&key), out);
        if (err != ERR_OK)
            diag_error(diag, &at, "upstream \"%s\": tls: %s", u->name.text, cert_fault(err));
    }
    strbuf_fini(&chain);
    secret_free(secret);
    return err;
}

static enum err prepare_one(struct listeners *l, enum listener_kind kind, const struct target *at,
                            const struct config_upstream *u, struct diag *diag)
{
    struct open_listener *o = find(l, kind, at);
    /* Another upstream's, told apart by SNI. */
    if (o != NULL && o->prepared) return ERR_OK;
    if (o == NULL) {
        enum err err = listener_open(l, kind, at, &o);
        if (err != ERR_OK) {
            say_busy(diag, at, err, u);
            return err;
        }
    }
    o->prepared = true;
    struct tls_cert *cert = NULL;
    if (u != NULL && u->tls_cert != NULL && u->tls_key != NULL) {
        enum err err = load_cert(u, diag, &cert);
        if (err != ERR_OK) return err;
    }
    l->row[l->row_count++] =
        (struct build_listener){.kind = kind,
                                .at = *at,
                                .upstream = u != NULL ? &u->name : NULL,
                                .proxy_protocol = u != NULL && u->proxy_protocol,
                                .tls = cert,
                                .fd = o->fd};
    return ERR_OK;
}

static enum listener_kind kind_of(const struct config_upstream *u)
{
    if (u->sni != NULL) return LISTENER_TLS;
    return u->protocol == PROTOCOL_TCP ? LISTENER_TCP : LISTENER_HTTP;
}

enum err listeners_prepare(struct listeners *l, const struct config *c, struct diag *diag)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    CHECK(!l->preparing);
    struct build_listener *row = calloc(c->upstream_count + 1, sizeof *row);
    if (row == NULL) return ERR_NOMEM;
    l->row_old = l->row;
    l->row_old_count = l->row_count;
    l->row = row;
    l->row_count = 0;
    l->preparing = true;
    const struct target mesh = {.addr = c->node.bind};
    enum err first = prepare_one(l, LISTENER_MESH, &mesh, NULL, diag);
    for (size_t i = 0; i < c->upstream_count; i++) {
        const struct config_upstream *u = &c->upstream[i];
        enum err err = prepare_one(l, kind_of(u), &u->listen, u, diag);
        if (first == ERR_OK) first = err;
    }
    if (first != ERR_OK)
        listeners_abort(l);
    else
        fd_store_settle(l->store);
    return first;
}

const struct build_listener *listeners_rows(const struct listeners *l, size_t *count)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    *count = l->row_count;
    return l->row;
}

void listeners_abort(struct listeners *l)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    CHECK(l->preparing);
    LIST_EACH(pos, tmp, &l->open)
    {
        struct open_listener *o = LIST_ENTRY(pos, struct open_listener, node);
        bool fresh = o->prepared && !o->in_use && o->retired_at == 0;
        o->prepared = false;
        if (!fresh) continue;
        listener_retire(l, o);
        listener_free(o);
    }
    rows_free(l->row, l->row_count);
    l->row = l->row_old;
    l->row_count = l->row_old_count;
    l->row_old = NULL;
    l->row_old_count = 0;
    l->preparing = false;
}

void listeners_commit(struct listeners *l, uint64_t generation)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    CHECK(l->preparing);
    LIST_EACH(pos, tmp, &l->open)
    {
        struct open_listener *o = LIST_ENTRY(pos, struct open_listener, node);
        if (o->in_use && !o->prepared) o->retired_at = generation;
        if (o->prepared) o->retired_at = 0;
        o->in_use = o->prepared;
        o->prepared = false;
        if (o->in_use && !o->kept) keep(l, o);
    }
    rows_free(l->row_old, l->row_old_count);
    l->row_old = NULL;
    l->row_old_count = 0;
    l->preparing = false;
}

void listeners_collect(struct listeners *l, uint64_t reached, uint64_t oldest)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    LIST_EACH(pos, tmp, &l->open)
    {
        struct open_listener *o = LIST_ENTRY(pos, struct open_listener, node);
        if (o->retired_at == 0) continue;
        if (!o->closed && reached >= o->retired_at) listener_retire(l, o);
        if (o->closed && oldest >= o->retired_at) listener_free(o);
    }
}

uint64_t listeners_drops(const struct listeners *l)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    uint64_t n = l->drops_closed;
    LIST_EACH(pos, tmp, &l->open)
    {
        n += drops(LIST_ENTRY(pos, struct open_listener, node));
    }
    return n;
}
