#include "cmd/daemon/listeners.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/base/list.h"
#include "core/io/sock.h"

#define LISTENERS_MAGIC 0x6c736e31u

struct open_listener {
    struct list node;
    enum listener_kind kind;
    struct addr addr;
    bool prepared;       /* part of the prepared set */
    bool in_use;         /* part of the running set */
    bool closed;         /* retired and closed; the array waits for old snapshots */
    uint64_t retired_at; /* generation that no longer names it */
    unsigned count;
    int fd[];
};

struct listeners {
    uint32_t magic;
    unsigned worker_count;
    struct list open;
    struct build_listener *row; /* owned: of the prepared, else of the running set */
    size_t row_count;
    struct build_listener *row_old; /* owned: the running set while another is prepared */
    size_t row_old_count;
    bool preparing;
};

enum err listeners_new(unsigned worker_count, struct listeners **out)
{
    struct listeners *l = calloc(1, sizeof *l);
    if (l == NULL) return ERR_NOMEM;
    l->magic = LISTENERS_MAGIC;
    l->worker_count = worker_count;
    list_init(&l->open);
    *out = l;
    return ERR_OK;
}

static void listener_close(struct open_listener *o)
{
    for (unsigned i = 0; i < o->count; i++)
        (void)close(o->fd[i]);
    o->count = 0;
    o->closed = true;
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
    listener_free(LIST_ENTRY(pos, struct open_listener, node));
    free(l->row);
    free(l->row_old);
    l->magic = MAGIC_POISON;
    free(l);
}

static void say_busy(struct diag *diag, const struct addr *addr, enum err err,
                     const struct config_upstream *u)
{
    char text[ADDR_TEXT_MAX];
    struct diag_at at = {.file = u != NULL ? u->file : NULL, .line = u != NULL ? u->line : 0};
    (void)addr_format(addr, text);
    const char *what = u != NULL ? u->name.text : "mesh port";
    if (err == ERR_IN_USE)
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
                                  const struct addr *addr)
{
    LIST_EACH(pos, tmp, &l->open)
    {
        struct open_listener *o = LIST_ENTRY(pos, struct open_listener, node);
        if (!o->closed && o->kind == kind && addr_eq(&o->addr, addr)) return o;
    }
    return NULL;
}

/* SO_REUSEPORT lets a second process of the same user share our port unseen, hence the probe; but
 * when one address changes its kind (http becomes tcp) the probe would find ourselves. */
static bool ours(struct listeners *l, const struct addr *addr)
{
    LIST_EACH(pos, tmp, &l->open)
    {
        struct open_listener *o = LIST_ENTRY(pos, struct open_listener, node);
        if (!o->closed && addr_eq(&o->addr, addr)) return true;
    }
    return false;
}

static enum err listener_open(struct listeners *l, enum listener_kind kind, const struct addr *addr,
                              struct open_listener **out)
{
    enum err err = ERR_OK;
    unsigned flags = SOCK_LISTEN_SHARED | (ours(l, addr) ? 0u : SOCK_LISTEN_PROBE);
    struct open_listener *o = calloc(1, sizeof *o + l->worker_count * sizeof o->fd[0]);
    if (o == NULL) return ERR_NOMEM;
    o->kind = kind;
    o->addr = *addr;
    for (; o->count < l->worker_count; o->count++) {
        err = sock_listen(addr, flags, &o->fd[o->count]);
        if (err != ERR_OK) goto fail;
        flags = SOCK_LISTEN_SHARED;
    }
    list_push_back(&l->open, &o->node);
    *out = o;
    return ERR_OK;

fail:
    listener_close(o);
    free(o);
    return err;
}

static enum err prepare_one(struct listeners *l, enum listener_kind kind, const struct addr *addr,
                            const struct config_upstream *u, struct diag *diag)
{
    struct open_listener *o = find(l, kind, addr);
    if (o == NULL) {
        enum err err = listener_open(l, kind, addr, &o);
        if (err != ERR_OK) {
            say_busy(diag, addr, err, u);
            return err;
        }
    }
    o->prepared = true;
    l->row[l->row_count++] = (struct build_listener){
        .kind = kind, .addr = *addr, .upstream = u != NULL ? &u->name : NULL, .fd = o->fd};
    return ERR_OK;
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
    enum err first = prepare_one(l, LISTENER_MESH, &c->node.bind, NULL, diag);
    for (size_t i = 0; i < c->upstream_count; i++) {
        const struct config_upstream *u = &c->upstream[i];
        enum listener_kind kind = u->protocol == PROTOCOL_TCP ? LISTENER_TCP : LISTENER_HTTP;
        enum err err = prepare_one(l, kind, &u->listen, u, diag);
        if (first == ERR_OK) first = err;
    }
    if (first != ERR_OK) listeners_abort(l);
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
        if (fresh) listener_free(o);
    }
    free(l->row);
    l->row = l->row_old;
    l->row_count = l->row_old_count;
    l->row_old = NULL;
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
    }
    free(l->row_old);
    l->row_old = NULL;
    l->preparing = false;
}

void listeners_collect(struct listeners *l, uint64_t reached, uint64_t oldest)
{
    CHECK_OBJ(l, LISTENERS_MAGIC);
    LIST_EACH(pos, tmp, &l->open)
    {
        struct open_listener *o = LIST_ENTRY(pos, struct open_listener, node);
        if (o->retired_at == 0) continue;
        if (!o->closed && reached >= o->retired_at) listener_close(o);
        if (o->closed && oldest >= o->retired_at) listener_free(o);
    }
}
