#include "cmd/daemon/identities.h"

#include <stdlib.h>

#include "cmd/daemon/store_identity.h"

#define IDENTITIES_MAGIC 0x69647331u

struct identities {
    uint32_t magic;
    struct trust *trust; /* one reference */
    size_t count;
    struct identity *id[IDENTITIES_MAX]; /* one reference each; the node's first */
};

enum err identities_new(struct identities **out)
{
    struct identities *ids = calloc(1, sizeof *ids);
    if (ids == NULL) return ERR_NOMEM;
    ids->magic = IDENTITIES_MAGIC;
    *out = ids;
    return ERR_OK;
}

void identities_free(struct identities *ids)
{
    if (ids == NULL) return;
    CHECK_OBJ(ids, IDENTITIES_MAGIC);
    for (size_t i = 0; i < ids->count; i++)
        identity_unref(ids->id[i]);
    if (ids->trust != NULL) identity_trust_unref(ids->trust);
    ids->magic = MAGIC_POISON;
    free(ids);
}

enum err identities_put(struct identities *ids, struct identity *take_id)
{
    CHECK_OBJ(ids, IDENTITIES_MAGIC);
    const struct spiffe_id *id = identity_spiffe(take_id);
    for (size_t i = 0; i < ids->count; i++) {
        if (!name_spiffe_eq(identity_spiffe(ids->id[i]), id)) continue;
        identity_unref(ids->id[i]);
        ids->id[i] = take_id;
        return ERR_OK;
    }
    if (ids->count == IDENTITIES_MAX) return ERR_FULL;
    size_t at = ids->count++;
    ids->id[at] = take_id;
    if (id->kind == IDENTITY_NODE) { /* the node's goes first */
        ids->id[at] = ids->id[0];
        ids->id[0] = take_id;
    }
    return ERR_OK;
}

struct identity *identities_get(const struct identities *ids, const struct spiffe_id *id)
{
    CHECK_OBJ(ids, IDENTITIES_MAGIC);
    for (size_t i = 0; i < ids->count; i++)
        if (name_spiffe_eq(identity_spiffe(ids->id[i]), id)) return ids->id[i];
    return NULL;
}

struct identity *identities_node(const struct identities *ids)
{
    CHECK_OBJ(ids, IDENTITIES_MAGIC);
    bool held = ids->count > 0 && identity_spiffe(ids->id[0])->kind == IDENTITY_NODE;
    return held ? ids->id[0] : NULL;
}

struct trust *identities_trust(const struct identities *ids)
{
    CHECK_OBJ(ids, IDENTITIES_MAGIC);
    return ids->trust;
}

void identities_set_trust(struct identities *ids, struct trust *take_trust)
{
    CHECK_OBJ(ids, IDENTITIES_MAGIC);
    if (ids->trust != NULL) identity_trust_unref(ids->trust);
    ids->trust = take_trust;
}

struct identity *const *identities_all(const struct identities *ids, size_t *count)
{
    CHECK_OBJ(ids, IDENTITIES_MAGIC);
    *count = ids->count;
    return ids->id;
}

static bool wanted_has(const struct spiffe_id *out, size_t n, const struct spiffe_id *id)
{
    for (size_t i = 0; i < n; i++)
        if (name_spiffe_eq(&out[i], id)) return true;
    return false;
}

size_t identities_wanted(const struct config *c, struct spiffe_id *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < c->service_count && n < cap; i++)
        out[n++] = (struct spiffe_id){c->node.mesh, c->service[i].name, IDENTITY_SERVICE};
    for (size_t i = 0; i < c->upstream_count && n < cap; i++) {
        const struct spiffe_id *as = &c->upstream[i].as;
        if (as->kind == IDENTITY_SERVICE && !wanted_has(out, n, as)) out[n++] = *as;
    }
    return n;
}

/* A service leaf that is missing is issued soon; one that is damaged or of another name too, and is
 * worth a warning. */
static void load_service(struct identities *ids, const struct store *s,
                         const struct spiffe_id *want, struct diag *diag)
{
    struct identity *leaf = NULL;
    struct diag own;
    diag_init(&own);
    enum err err = store_identity_service(s, &want->name, &own, &leaf);
    if (err == ERR_OK && !name_spiffe_eq(identity_spiffe(leaf), want)) {
        diag_warning(diag, NULL,
                     "the stored certificate of service \"%s\" is for %s; it will be issued anew",
                     want->name.text, identity_uri(leaf));
        identity_unref(leaf);
    } else if (err == ERR_OK) {
        if (identities_put(ids, leaf) != ERR_OK) identity_unref(leaf);
    } else if (err != ERR_NOT_FOUND) {
        diag_warning(diag, NULL, "%s; it will be issued anew",
                     own.count > 0 ? own.entry[0].message : err_text(err));
    }
    diag_fini(&own);
}

void identities_sync(struct identities *ids, const struct store *s, const struct config *c,
                     struct diag *diag)
{
    CHECK_OBJ(ids, IDENTITIES_MAGIC);
    struct spiffe_id *want = calloc(IDENTITIES_MAX, sizeof *want);
    if (want == NULL) return; /* nothing is lost: what is held stays */
    size_t n = identities_wanted(c, want, IDENTITIES_MAX);
    for (size_t i = 0; i < ids->count;) {
        const struct spiffe_id *id = identity_spiffe(ids->id[i]);
        if (id->kind == IDENTITY_NODE || wanted_has(want, n, id)) {
            i++;
            continue;
        }
        identity_unref(ids->id[i]);
        ids->id[i] = ids->id[--ids->count];
    }
    for (size_t i = 0; i < n; i++)
        if (identities_get(ids, &want[i]) == NULL) load_service(ids, s, &want[i], diag);
    free(want);
}

enum err identities_load(struct identities *ids, const struct store *s, const struct config *c,
                         struct diag *diag)
{
    CHECK_OBJ(ids, IDENTITIES_MAGIC);
    struct trust *trust = NULL;
    enum err err = store_identity_trust(s, &c->node.mesh, diag, &trust);
    if (err != ERR_OK) return err;
    identities_set_trust(ids, trust);
    struct identity *node = NULL;
    err = store_identity_node(s, diag, &node);
    if (err != ERR_OK) return err;
    struct spiffe_id want = {c->node.mesh, c->node.name, IDENTITY_NODE};
    if (!name_spiffe_eq(identity_spiffe(node), &want)) {
        char uri[SPIFFE_ID_BYTES_MAX + 1];
        (void)name_spiffe_format(&want, uri);
        diag_error(diag, NULL, "this host's certificate is for %s, but the configuration says %s",
                   identity_uri(node), uri);
        identity_unref(node);
        return ERR_MISMATCH;
    }
    err = identities_put(ids, node);
    if (err != ERR_OK) {
        identity_unref(node);
        return err;
    }
    identities_sync(ids, s, c, diag);
    return ERR_OK;
}
