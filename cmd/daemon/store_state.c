#include "cmd/daemon/store_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/crypto/secret.h"
#include "core/crypto/x509_mint.h"

#define MESH_FILE_BYTES    512u
#define KEYRING_FILE_BYTES 2048u
#define EPOCH_FILE_BYTES   128u
#define ADMISSION_TEXT_MAX 4096u
#define ADMISSION_LABEL    "PARLEY ADMISSION"
#define GROUP_KEY_LABEL    "PARLEY GROUP KEY"
#define GROUP_KEY_END      "-----END PARLEY GROUP KEY-----"
#define EPOCH_MAX          ((1ull << 48) - 1) /* what a sealed packet's header carries */
#define REJOIN_ADVICE      "get a new identity with parley join"
#define EPOCH_ADVICE       "delete it if this host's clock is right"
#define PEERS_ADVICE       "it is rebuilt from the mesh"

static enum err damaged(const struct store *s, enum store_file f, const char *advice,
                        struct diag *d)
{
    char path[STORE_PATH_MAX];
    diag_error(d, NULL, "%s is damaged: %s", store_path(s, f, path), advice);
    return ERR_CORRUPT;
}

/* "key = value\n": the value of the line that must come next. */
static bool line_value(struct span *text, const char *key, struct span *value)
{
    struct span rest;
    struct span line = span_cut(*text, '\n', &rest);
    struct span k = span_trim(span_cut(line, '=', value));
    *value = span_trim(*value);
    *text = rest;
    return span_eq_str(k, key);
}

enum err store_state_mesh(const struct store *s, struct diag *d, struct store_mesh *out)
{
    struct strbuf sb;
    struct span mesh, id, issuer;
    struct store_mesh m = {0};
    strbuf_init(&sb, MESH_FILE_BYTES);
    enum err err = store_read_checked(s, STORE_MESH, REJOIN_ADVICE, d, &sb);
    if (err == ERR_OK) {
        struct span text = strbuf_view(&sb);
        bool ok = line_value(&text, "mesh", &mesh) && line_value(&text, "id", &id) &&
                  line_value(&text, "issuer", &issuer) && name_set(&m.name, mesh) == ERR_OK &&
                  span_hex(id, m.id.byte, sizeof m.id.byte) &&
                  span_hex(issuer, m.issuer_pk, sizeof m.issuer_pk);
        err = ok ? ERR_OK : damaged(s, STORE_MESH, REJOIN_ADVICE, d);
    }
    strbuf_fini(&sb);
    if (err == ERR_OK) *out = m;
    return err;
}

enum err store_state_mesh_save(const struct store *s, const struct store_mesh *m, struct diag *d)
{
    struct strbuf sb;
    strbuf_init(&sb, MESH_FILE_BYTES);
    strbuf_fmt(&sb, "mesh = %s\nid = ", m->name.text);
    strbuf_hex(&sb, m->id.byte, sizeof m->id.byte);
    strbuf_str(&sb, "\nissuer = ");
    strbuf_hex(&sb, m->issuer_pk, sizeof m->issuer_pk);
    strbuf_char(&sb, '\n');
    enum err err =
        strbuf_ok(&sb) ? store_write_checked(s, STORE_MESH, strbuf_view(&sb), d) : ERR_NOMEM;
    strbuf_fini(&sb);
    return err;
}

enum err store_state_admission(const struct store *s, struct diag *d,
                               uint8_t out[ADMISSION_BYTES_MAX], size_t *len)
{
    struct strbuf sb;
    strbuf_init(&sb, ADMISSION_TEXT_MAX);
    enum err err = store_read(s, STORE_ADMISSION, d, &sb);
    if (err == ERR_OK &&
        x509_mint_unpem(strbuf_view(&sb), ADMISSION_LABEL, out, ADMISSION_BYTES_MAX, len) != ERR_OK)
        err = damaged(s, STORE_ADMISSION, REJOIN_ADVICE, d);
    strbuf_fini(&sb);
    return err;
}

enum err store_state_admission_save(const struct store *s, struct span cert, struct diag *d)
{
    struct strbuf sb;
    strbuf_init(&sb, ADMISSION_TEXT_MAX);
    x509_mint_pem(ADMISSION_LABEL, cert, &sb);
    enum err err =
        strbuf_ok(&sb) ? store_write(s, STORE_ADMISSION, strbuf_view(&sb), d) : ERR_TOO_LARGE;
    strbuf_fini(&sb);
    return err;
}

/* Adds every PEM block of `text` to the ring; ERR_CORRUPT when one is no key or there is none. */
static enum err keys_parse(const char *text, struct seal_ring *ring)
{
    uint8_t *key = secret_new(SEAL_KEY_BYTES);
    if (key == NULL) return ERR_NOMEM;
    enum err err = ERR_OK;
    size_t n = 0;
    for (const char *end; err == ERR_OK && (end = strstr(text, GROUP_KEY_END)) != NULL; n++) {
        size_t len = 0;
        end += sizeof GROUP_KEY_END - 1;
        err = x509_mint_unpem(span_of(text, (size_t)(end - text)), GROUP_KEY_LABEL, key,
                              SEAL_KEY_BYTES, &len);
        if (err == ERR_OK && len != SEAL_KEY_BYTES) err = ERR_INVALID;
        if (err == ERR_OK) err = seal_ring_add(ring, key);
        text = end;
    }
    secret_free(key);
    if (err == ERR_NOMEM) return err;
    return err == ERR_OK && n > 0 ? ERR_OK : ERR_CORRUPT;
}

enum err store_state_keyring(const struct store *s, struct diag *d, struct seal_ring **out)
{
    char *text = secret_new(KEYRING_FILE_BYTES);
    if (text == NULL) return ERR_NOMEM;
    struct seal_ring *ring = NULL;
    struct strbuf sb;
    strbuf_init_fixed(&sb, text, KEYRING_FILE_BYTES);
    enum err err = store_read_checked(s, STORE_KEYRING, REJOIN_ADVICE, d, &sb);
    if (err != ERR_OK) goto done;
    err = seal_ring_new(&ring);
    if (err != ERR_OK) goto done;
    err = keys_parse(text, ring);
    if (err == ERR_CORRUPT) err = damaged(s, STORE_KEYRING, REJOIN_ADVICE, d);
    if (err == ERR_OK)
        *out = ring;
    else
        seal_ring_free(ring);
done:
    secret_free(text);
    return err;
}

enum err store_state_keyring_save(const struct store *s, const struct seal_ring *r, struct diag *d)
{
    char *text = secret_new(KEYRING_FILE_BYTES);
    if (text == NULL) return ERR_NOMEM;
    struct strbuf sb;
    strbuf_init_fixed(&sb, text, KEYRING_FILE_BYTES);
    for (size_t i = 0; i < seal_ring_count(r); i++) {
        uint32_t id = 0;
        const uint8_t *key = seal_ring_key(r, i, &id);
        x509_mint_pem(GROUP_KEY_LABEL, span_of(key, SEAL_KEY_BYTES), &sb);
    }
    enum err err =
        strbuf_ok(&sb) ? store_write_checked(s, STORE_KEYRING, strbuf_view(&sb), d) : ERR_TOO_LARGE;
    secret_free(text);
    return err;
}

enum err store_state_epoch_next(const struct store *s, uint64_t wall_ms, struct diag *d,
                                uint64_t *epoch)
{
    char storage[EPOCH_FILE_BYTES];
    struct strbuf sb;
    uint64_t stored = 0;
    strbuf_init_fixed(&sb, storage, sizeof storage);
    enum err err = store_read_checked(s, STORE_EPOCH, EPOCH_ADVICE, d, &sb);
    if (err == ERR_OK && (!span_u64(span_trim(strbuf_view(&sb)), &stored) || stored >= EPOCH_MAX))
        err = damaged(s, STORE_EPOCH, EPOCH_ADVICE, d);
    if (err != ERR_OK && err != ERR_NOT_FOUND) return err;
    uint64_t next = stored + 1 > wall_ms ? stored + 1 : wall_ms;
    if (next > EPOCH_MAX) return ERR_RANGE;
    strbuf_reset(&sb);
    strbuf_u64(&sb, next);
    err = store_write_checked(s, STORE_EPOCH, strbuf_view(&sb), d);
    if (err == ERR_OK) *epoch = next;
    return err;
}

enum err store_state_peers(const struct store *s, struct diag *d, struct strbuf *out)
{
    return store_read_checked(s, STORE_PEERS, PEERS_ADVICE, d, out);
}

enum err store_state_peers_save(const struct store *s, struct span blob, struct diag *d)
{
    return store_write_checked(s, STORE_PEERS, blob, d);
}
