#include "cmd/daemon/fd_store.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/io/notify.h"
#include "core/io/sock.h"

#define FD_STORE_MAGIC 0x66647374u

struct inherited {
    struct target at;
    int fd; /* owned; -1 once taken */
};

struct fd_store {
    uint32_t magic;
    const char *notify_socket; /* borrowed; NULL: nobody asked */
    struct log *log;           /* borrowed */
    unsigned kept;             /* addresses */
    unsigned inherited_count;
    struct inherited inherited[];
};

enum err fd_store_new(const char *notify_socket, unsigned inherited, struct log *log,
                      struct fd_store **out)
{
    if (inherited > FD_STORE_TAKEN_MAX) inherited = FD_STORE_TAKEN_MAX;
    struct fd_store *s = calloc(1, sizeof *s + inherited * sizeof s->inherited[0]);
    if (s == NULL) return ERR_NOMEM;
    s->magic = FD_STORE_MAGIC;
    s->notify_socket = notify_socket;
    s->log = log;
    for (unsigned i = 0; i < inherited; i++) {
        struct inherited *in = &s->inherited[s->inherited_count];
        in->fd = FD_STORE_FIRST + (int)i;
        if (sock_adopt(in->fd, &in->at) == ERR_OK)
            s->inherited_count++;
        else
            (void)close(in->fd);
    }
    if (inherited > 0)
        log_info(log, "fd_store", "inherited=%u listening=%u", inherited, s->inherited_count);
    *out = s;
    return ERR_OK;
}

void fd_store_free(struct fd_store *s)
{
    if (s == NULL) return;
    CHECK_OBJ(s, FD_STORE_MAGIC);
    for (unsigned i = 0; i < s->inherited_count; i++)
        if (s->inherited[i].fd >= 0) (void)close(s->inherited[i].fd);
    s->magic = MAGIC_POISON;
    free(s);
}

int fd_store_take(struct fd_store *s, const struct target *at)
{
    CHECK_OBJ(s, FD_STORE_MAGIC);
    for (unsigned i = 0; i < s->inherited_count; i++) {
        struct inherited *in = &s->inherited[i];
        if (in->fd < 0 || !addr_target_eq(&in->at, at)) continue;
        int fd = in->fd;
        in->fd = -1;
        return fd;
    }
    return -1;
}

/* The address as a name: FDNAME may hold no ':'. */
static const char *name_of(const struct target *at, char out[ADDR_TEXT_MAX])
{
    addr_target_format(at, out);
    for (char *c = out; *c != '\0'; c++)
        if (*c == ':') *c = '_';
    return out;
}

static void report(struct fd_store *s, enum err err)
{
    if (err == ERR_OK) return;
    log_limited(s->log, LOG_LEVEL_WARN, FD_STORE_MAGIC, "fd_store", "%s: %s", s->notify_socket,
                err_text(err));
}

static void forget(struct fd_store *s, const struct target *at)
{
    char name[ADDR_TEXT_MAX];
    report(s, notify_unstore(s->notify_socket, name_of(at, name)));
}

void fd_store_settle(struct fd_store *s)
{
    CHECK_OBJ(s, FD_STORE_MAGIC);
    for (unsigned i = 0; i < s->inherited_count; i++) {
        struct inherited *in = &s->inherited[i];
        if (in->fd < 0) continue;
        forget(s, &in->at);
        (void)close(in->fd);
        in->fd = -1;
    }
}

void fd_store_keep(struct fd_store *s, const struct target *at, const int *fd, unsigned count)
{
    char name[ADDR_TEXT_MAX];
    CHECK_OBJ(s, FD_STORE_MAGIC);
    if (s->notify_socket == NULL) return;
    enum err err = notify_store(s->notify_socket, name_of(at, name), fd, count);
    report(s, err);
    if (err == ERR_OK) s->kept++;
}

void fd_store_drop(struct fd_store *s, const struct target *at)
{
    CHECK_OBJ(s, FD_STORE_MAGIC);
    if (s->notify_socket == NULL) return;
    forget(s, at);
}

bool fd_store_keeps(const struct fd_store *s)
{
    CHECK_OBJ(s, FD_STORE_MAGIC);
    return s->kept > 0;
}
