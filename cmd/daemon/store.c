#include "cmd/daemon/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/crypto/secret.h"
#include "core/io/file.h"
#include "core/io/keyfile.h"

#define STORE_MAGIC        0x73746f31u
#define CHECKED_WORD       "parley-state 1 "
#define CHECKED_HEAD_MAX   64u
#define CHECKSUM_HEX_BYTES 16u
#define PARENT_MODE        0755 /* of var, lib, etc, run when they are missing */

struct entry {
    const char *path;
    mode_t mode;
};
#define STORE_FILE_ENTRY(code, path, mode) {path, mode},
static const struct entry entry[STORE_FILES] = {STORE_FILE_LIST(STORE_FILE_ENTRY)};
#undef STORE_FILE_ENTRY

enum err store_open(const char *root, const char *config_path, struct store *out)
{
    struct store s = {.magic = STORE_MAGIC, .lock_fd = -1};
    struct span r = span_str(root);
    while (r.len > 0 && r.p[r.len - 1] == '/')
        r.len--;
    if (!span_to_cstr(r, s.root, sizeof s.root)) return ERR_TOO_LARGE;
    struct span c = span_str(config_path);
    if (!span_to_cstr(c, s.config_path, sizeof s.config_path)) return ERR_TOO_LARGE;
    *out = s;
    return ERR_OK;
}

void store_close(struct store *s)
{
    CHECK_OBJ(s, STORE_MAGIC);
    if (s->lock_fd >= 0) (void)close(s->lock_fd);
    s->lock_fd = -1;
}

const char *store_path(const struct store *s, enum store_file f, char dst[STORE_PATH_MAX])
{
    CHECK_OBJ(s, STORE_MAGIC);
    if (f == STORE_CONFIG && s->config_path[0] != '\0')
        (void)snprintf(dst, STORE_PATH_MAX, "%s", s->config_path);
    else
        (void)snprintf(dst, STORE_PATH_MAX, "%s/%s", s->root, entry[f].path);
    return dst;
}

const char *store_service_path(const struct store *s, const struct name *service, const char *ext,
                               char dst[STORE_PATH_MAX])
{
    CHECK_OBJ(s, STORE_MAGIC);
    (void)snprintf(dst, STORE_PATH_MAX, "%s/%s/%s.%s", s->root, entry[STORE_SERVICES].path,
                   service->text, ext);
    return dst;
}

static enum err make_folder(const struct store *s, enum store_file f, struct diag *d)
{
    char path[STORE_PATH_MAX];
    if (store_exists(s, f)) return ERR_OK;
    (void)store_path(s, f, path);
    char *last = strrchr(path, '/');
    *last = '\0';
    enum err err = file_make_folders(path, PARENT_MODE);
    *last = '/';
    if (err == ERR_OK) err = file_make_folders(path, entry[f].mode);
    if (err != ERR_OK)
        diag_error(d, NULL, "cannot make the folder %s: %s%s", path, err_text(err),
                   err == ERR_PERM ? "; run it as root, or with --root DIR" : "");
    return err;
}

enum err store_prepare_run(const struct store *s, struct diag *d)
{
    CHECK_OBJ(s, STORE_MAGIC);
    enum err err = make_folder(s, STORE_STATE, d);
    if (err == ERR_OK) err = make_folder(s, STORE_SERVICES, d);
    return err != ERR_OK ? err : make_folder(s, STORE_RUN, d);
}

enum err store_prepare(const struct store *s, bool signer, struct diag *d)
{
    CHECK_OBJ(s, STORE_MAGIC);
    enum err err = make_folder(s, STORE_ETC, d);
    if (err == ERR_OK) err = make_folder(s, STORE_CONF_D, d);
    if (err == ERR_OK) err = store_prepare_run(s, d);
    return err != ERR_OK || !signer ? err : make_folder(s, STORE_CA, d);
}

enum err store_lock(struct store *s, struct diag *d)
{
    char path[STORE_PATH_MAX];
    CHECK_OBJ(s, STORE_MAGIC);
    CHECK(s->lock_fd < 0);
    (void)store_path(s, STORE_LOCK, path);
    enum err err = file_lock(path, &s->lock_fd);
    if (err == ERR_OK) return ERR_OK;
    s->lock_fd = -1;
    if (err == ERR_BUSY)
        diag_error(d, NULL, "another parley runs on this root: it holds %s", path);
    else
        diag_error(d, NULL, "cannot lock %s: %s", path, err_text(err));
    return err;
}

bool store_exists(const struct store *s, enum store_file f)
{
    char path[STORE_PATH_MAX];
    struct stat st;
    return stat(store_path(s, f, path), &st) == 0;
}

static enum err cannot(const char *verb, const char *path, enum err err, struct diag *d)
{
    if (err == ERR_PERM)
        diag_error(d, NULL,
                   "cannot %s %s: permission denied to uid %u; its owner, group and mode must let "
                   "the user that parley runs as %s it",
                   verb, path, (unsigned)geteuid(), verb);
    else
        diag_error(d, NULL, "cannot %s %s: %s", verb, path, err_text(err));
    return err;
}

enum err store_read_path(const char *path, struct diag *d, struct strbuf *out)
{
    enum err err = file_read(path, out);
    return err == ERR_OK || err == ERR_NOT_FOUND ? err : cannot("read", path, err, d);
}

enum err store_write_path(const char *path, mode_t mode, struct span data, struct diag *d)
{
    enum err err = file_write(path, mode, data);
    return err == ERR_OK ? ERR_OK : cannot("write", path, err, d);
}

enum err store_read(const struct store *s, enum store_file f, struct diag *d, struct strbuf *out)
{
    char path[STORE_PATH_MAX];
    (void)store_path(s, f, path);
    if (f != STORE_KEYRING) return store_read_path(path, d, out);
    enum err err = keyfile_read(path, out);
    if (err == ERR_PERM)
        diag_error(d, NULL, "cannot use %s: it must be owned by this user with mode 0600", path);
    else if (err != ERR_OK && err != ERR_NOT_FOUND)
        return cannot("read", path, err, d);
    return err;
}

enum err store_write(const struct store *s, enum store_file f, struct span data, struct diag *d)
{
    char path[STORE_PATH_MAX];
    return store_write_path(store_path(s, f, path), entry[f].mode, data, d);
}

/* Not against an attacker, who could write any checksum: against torn and rotten bytes. */
static uint64_t checksum(struct span data)
{
    static const struct hash_key key = {.byte = "parley-state-1"};
    return hash_bytes(&key, data.p, data.len);
}

static enum err damaged(const char *path, const char *how, const char *advice, struct diag *d)
{
    diag_error(d, NULL, "%s is damaged (%s): %s", path, how, advice);
    return ERR_CORRUPT;
}

enum err store_read_checked(const struct store *s, enum store_file f, const char *advice,
                            struct diag *d, struct strbuf *out)
{
    char path[STORE_PATH_MAX];
    (void)store_path(s, f, path);
    size_t before = out->len;
    enum err err = store_read(s, f, d, out);
    if (err != ERR_OK) return err;
    struct span all = span_skip(strbuf_view(out), before), body;
    struct span head = span_cut(all, '\n', &body);
    struct span sum;
    if (body.p == NULL || !span_starts(head, SPAN_LIT(CHECKED_WORD)))
        return damaged(path, "its first line is not that of a parley state file", advice, d);
    struct span length = span_cut(span_skip(head, sizeof CHECKED_WORD - 1), ' ', &sum);
    uint64_t len = 0;
    if (!span_u64(length, &len) || len != body.len)
        return damaged(path, "its length is wrong", advice, d);
    char want[CHECKSUM_HEX_BYTES + 1];
    (void)snprintf(want, sizeof want, "%016llx", (unsigned long long)checksum(body));
    if (!span_eq_str(sum, want)) return damaged(path, "its checksum is wrong", advice, d);
    size_t head_bytes = head.len + 1;
    memmove(out->p + before, out->p + before + head_bytes, body.len);
    out->len -= head_bytes;
    out->p[out->len] = '\0';
    return ERR_OK;
}

enum err store_write_checked(const struct store *s, enum store_file f, struct span data,
                             struct diag *d)
{
    size_t cap = data.len + CHECKED_HEAD_MAX + 1;
    char *storage = f == STORE_KEYRING ? secret_new(cap) : calloc(1, cap);
    if (storage == NULL) return ERR_NOMEM;
    struct strbuf sb;
    strbuf_init_fixed(&sb, storage, cap);
    strbuf_fmt(&sb, CHECKED_WORD "%zu %016llx\n", data.len, (unsigned long long)checksum(data));
    strbuf_span(&sb, data);
    enum err err = store_write(s, f, strbuf_view(&sb), d);
    if (f == STORE_KEYRING)
        secret_free(storage);
    else
        free(storage);
    return err;
}

enum err store_remove(const struct store *s, enum store_file f, struct diag *d)
{
    char path[STORE_PATH_MAX];
    enum err err = file_remove(store_path(s, f, path));
    return err == ERR_OK ? ERR_OK : cannot("remove", path, err, d);
}
