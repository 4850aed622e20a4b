#include "cmd/operator_key.h"

#include "cmd/client.h"
#include "core/crypto/secret.h"
#include "core/io/keyfile.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_TYPE          "operator"
#define TEXT_PREFIX       "po1_"
#define TEXT_HEX_BYTES    (2u * SIGN_PUBLIC_BYTES)
#define SUM_BYTES         4u
#define PATH_BYTES_MAX    OPERATOR_KEY_PATH_MAX
#define BOUND_BYTES       (SIGN_SEED_BYTES + MESH_ID_BYTES)
#define MESH_HEX_MAX      (2u * MESH_ID_BYTES + 1u)
#define SOCKET_UNDER_ROOT "/run/parley/parley.sock"

static enum err store(const char *path, const struct sign_key *key, const struct mesh_id *mesh)
{
    uint8_t *bytes = secret_new(BOUND_BYTES);
    if (bytes == NULL) return ERR_NOMEM;
    memcpy(bytes, sign_key_seed(key), SIGN_SEED_BYTES);
    if (mesh != NULL) memcpy(bytes + SIGN_SEED_BYTES, mesh->byte, MESH_ID_BYTES);
    enum err err =
        keyfile_store(path, KEY_TYPE, bytes, mesh != NULL ? BOUND_BYTES : SIGN_SEED_BYTES);
    secret_free(bytes);
    return err;
}

enum err operator_key_save(const char *path, const struct sign_key *key, const struct mesh_id *mesh,
                           struct diag *d)
{
    struct stat st;
    if (lstat(path, &st) == 0) {
        diag_error(d, NULL, "%s is there already; an operator key is never overwritten", path);
        return ERR_EXISTS;
    }
    enum err err = store(path, key, mesh);
    if (err != ERR_OK) diag_error(d, NULL, "cannot write %s: %s", path, err_text(err));
    return err;
}

static enum err load_file(const char *path, struct operator_key *out)
{
    *out = (struct operator_key){.key = NULL};
    if (snprintf(out->path, sizeof out->path, "%s", path) >= (int)sizeof out->path)
        return ERR_TOO_LARGE;
    uint8_t *bytes = secret_new(BOUND_BYTES);
    if (bytes == NULL) return ERR_NOMEM;
    enum err err = keyfile_load(path, KEY_TYPE, bytes, BOUND_BYTES);
    out->bound = err == ERR_OK;
    if (out->bound) memcpy(out->mesh.byte, bytes + SIGN_SEED_BYTES, MESH_ID_BYTES);
    if (err == ERR_MISMATCH) err = keyfile_load(path, KEY_TYPE, bytes, SIGN_SEED_BYTES);
    if (err == ERR_OK) err = sign_key_new(bytes, &out->key);
    secret_free(bytes);
    return err;
}

void operator_key_fini(struct operator_key *k)
{
    sign_key_free(k->key);
    *k = (struct operator_key){.key = NULL};
}

/* A new file would be this user's, and its owner could use it no more. */
static bool is_ours(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && st.st_uid == geteuid();
}

static const char *mesh_text(const struct mesh_id *mesh, char dst[MESH_HEX_MAX])
{
    struct strbuf sb;
    strbuf_init_fixed(&sb, dst, MESH_HEX_MAX);
    strbuf_hex(&sb, mesh->byte, MESH_ID_BYTES);
    return dst;
}

enum verb_exit operator_key_bind(struct operator_key *k, const struct mesh_id *mesh)
{
    char said[MESH_HEX_MAX], own[MESH_HEX_MAX];
    if (k->bound && memcmp(k->mesh.byte, mesh->byte, MESH_ID_BYTES) == 0) return EXIT_DONE;
    if (k->bound)
        return verb_fail(EXIT_NOT_PERMITTED,
                         "the agent speaks for mesh %s, and %s signs for mesh %s alone",
                         mesh_text(mesh, said), k->path, mesh_text(&k->mesh, own));
    if (!is_ours(k->path) || store(k->path, k->key, mesh) != ERR_OK) {
        fprintf(stderr, "warning: %s cannot be bound to mesh %s: it signs for any\n", k->path,
                mesh_text(mesh, said));
        return EXIT_DONE;
    }
    k->bound = true;
    k->mesh = *mesh;
    fprintf(stderr, "(%s signs for mesh %s alone from now on)\n", k->path, mesh_text(mesh, said));
    return EXIT_DONE;
}

/* etc/parley/operator.key beside the socket's run/parley. */
static void beside_agent(const struct verb_ctx *ctx, char out[PATH_BYTES_MAX])
{
    char path[PATH_BYTES_MAX];
    client_socket_path(ctx, path, sizeof path);
    size_t len = strlen(path), tail = sizeof SOCKET_UNDER_ROOT - 1;
    if (len >= tail && strcmp(path + len - tail, SOCKET_UNDER_ROOT) == 0)
        path[len - tail] = '\0';
    else
        path[0] = '\0'; /* a socket somewhere else: the host's own folder */
    if (snprintf(out, PATH_BYTES_MAX, "%s/etc/parley/operator.key", path) >= (int)PATH_BYTES_MAX)
        out[0] = '\0';
}

static bool in_home(char out[PATH_BYTES_MAX])
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n = 0;
    if (config != NULL && config[0] == '/')
        n = snprintf(out, PATH_BYTES_MAX, "%s/parley/operator.key", config);
    else if (home != NULL && home[0] == '/')
        n = snprintf(out, PATH_BYTES_MAX, "%s/.config/parley/operator.key", home);
    return n > 0 && n < (int)PATH_BYTES_MAX;
}

static enum verb_exit refused(const char *path, enum err err)
{
    switch ((int)err) {
    case ERR_NOT_FOUND:
        return verb_fail(EXIT_NOT_PERMITTED, "no operator key at %s", path);
    case ERR_PERM:
        return verb_fail(EXIT_NOT_PERMITTED,
                         "cannot use the operator key %s: it must be owned by this user with mode "
                         "0600",
                         path);
    case ERR_CORRUPT:
    case ERR_MISMATCH:
        return verb_fail(EXIT_FAILED, "%s is damaged or no operator key", path);
    default:
        return verb_fail(EXIT_FAILED, "cannot read %s: %s", path, err_text(err));
    }
}

enum verb_exit operator_key_open(const char *path, struct operator_key *out)
{
    enum err err = load_file(path, out);
    return err == ERR_OK ? EXIT_DONE : refused(path, err);
}

enum verb_exit operator_key_load(const struct verb_ctx *ctx, struct operator_key *out)
{
    char agent[PATH_BYTES_MAX], home[PATH_BYTES_MAX];
    const char *given = verb_text(ctx, "key");
    if (given == NULL) given = getenv("PARLEY_OPERATOR_KEY");
    if (given != NULL && given[0] != '\0') return operator_key_open(given, out);
    beside_agent(ctx, agent);
    enum err err = load_file(agent, out);
    if (err == ERR_OK) return EXIT_DONE;
    if (err != ERR_NOT_FOUND && err != ERR_PERM) return refused(agent, err);
    bool has_home = in_home(home);
    enum err in = has_home ? load_file(home, out) : ERR_NOT_FOUND;
    if (in == ERR_OK) return EXIT_DONE;
    if (in != ERR_NOT_FOUND) return refused(home, in);
    if (err == ERR_PERM) return refused(agent, err);
    return verb_fail(EXIT_NOT_PERMITTED,
                     "this needs an operator key: give one with --key FILE or "
                     "$PARLEY_OPERATOR_KEY (none at %s%s%s)",
                     agent, has_home ? " or " : "", has_home ? home : "");
}

static void sum_of(const uint8_t public_key[SIGN_PUBLIC_BYTES], struct strbuf *out)
{
    uint8_t digest[SIGN_DIGEST_BYTES];
    sign_digest(span_of(public_key, SIGN_PUBLIC_BYTES), digest);
    strbuf_hex(out, digest, SUM_BYTES);
}

const char *operator_key_format(const uint8_t public_key[SIGN_PUBLIC_BYTES],
                                char dst[OPERATOR_KEY_TEXT_MAX])
{
    struct strbuf sb;
    strbuf_init_fixed(&sb, dst, OPERATOR_KEY_TEXT_MAX);
    strbuf_str(&sb, TEXT_PREFIX);
    strbuf_hex(&sb, public_key, SIGN_PUBLIC_BYTES);
    strbuf_char(&sb, '_');
    sum_of(public_key, &sb);
    return dst;
}

enum err operator_key_parse(struct span text, uint8_t public_key[SIGN_PUBLIC_BYTES])
{
    uint8_t bytes[SIGN_PUBLIC_BYTES];
    char want[2 * SUM_BYTES + 1];
    struct strbuf sum;
    if (!span_starts(text, SPAN_LIT(TEXT_PREFIX))) return ERR_INVALID;
    if (text.len + 1 < OPERATOR_KEY_TEXT_MAX) return ERR_MORE;
    if (text.len + 1 > OPERATOR_KEY_TEXT_MAX) return ERR_TOO_LARGE;
    const char *hex = text.p + sizeof TEXT_PREFIX - 1;
    if (hex[TEXT_HEX_BYTES] != '_' || !span_hex(span_of(hex, TEXT_HEX_BYTES), bytes, sizeof bytes))
        return ERR_INVALID;
    strbuf_init_fixed(&sum, want, sizeof want);
    sum_of(bytes, &sum);
    if (!span_eq_str(span_skip(text, sizeof TEXT_PREFIX + TEXT_HEX_BYTES), want))
        return ERR_CORRUPT;
    memcpy(public_key, bytes, sizeof bytes);
    return ERR_OK;
}

struct name operator_key_login(void)
{
    static const char *const from[] = {"SUDO_USER", "LOGNAME", "USER"};
    struct name out = {{0}};
    for (size_t i = geteuid() == 0 ? 0 : 1; i < sizeof from / sizeof *from; i++) {
        const char *value = getenv(from[i]);
        if (value != NULL && name_set(&out, span_str(value)) == ERR_OK) return out;
    }
    return name_set(&out, SPAN_LIT("admin")) == ERR_OK ? out : (struct name){{0}};
}
