#include "cmd/manifest_draft.h"

#include "cmd/daemon/store_identity.h"
#include "cmd/daemon/store_state.h"
#include "core/base/check.h"
#include "core/io/clock.h"

#include <sodium.h>

#define BODY_BYTES_MAX (64u * 1024 * 1024)

enum err manifest_draft_read(const struct json_value *v, const char *key, struct manifest_ref *ref,
                             struct manifest *m)
{
    const struct json_value *o = json_read_get(v, key);
    uint8_t wire[MANIFEST_BYTES_MAX];
    size_t len = 0;
    *ref = (struct manifest_ref){.gen = json_read_u64(o, "gen", 0)};
    if (ref->gen == 0) return ERR_OK;
    struct span hash = json_read_str(o, "hash", SPAN_LIT(""));
    if (!span_hex(hash, ref->hash.byte, sizeof ref->hash.byte)) return ERR_INVALID;
    if (m == NULL) return ERR_OK;
    struct span text = json_read_str(o, "manifest", SPAN_LIT(""));
    if (sodium_base642bin(wire, sizeof wire, text.p, text.len, NULL, &len, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0)
        return ERR_INVALID;
    return pack_manifest_decode(span_of(wire, len), m);
}

enum verb_exit manifest_draft_open(const struct verb_ctx *ctx, struct manifest_draft *d)
{
    struct client_answer a;
    *d = (struct manifest_draft){.self = NULL};
    enum verb_exit code = client_call(ctx, "GET", "/v1/policy", (struct span){0}, &a);
    if (code == EXIT_DONE) {
        const struct json_value *data = json_read_get(a.doc, "data");
        struct span mesh = json_read_str(data, "mesh_id", SPAN_LIT(""));
        enum err err = span_hex(mesh, d->mesh.byte, sizeof d->mesh.byte) ? ERR_OK : ERR_INVALID;
        if (err == ERR_OK)
            err =
                manifest_draft_read(data, "root", &d->ref[MANIFEST_ROOT], &d->head[MANIFEST_ROOT]);
        if (err == ERR_OK)
            err = manifest_draft_read(data, "head", &d->ref[MANIFEST_POLICY],
                                      &d->head[MANIFEST_POLICY]);
        if (err == ERR_OK) err = manifest_draft_read(data, "active", &d->active, NULL);
        if (err == ERR_OK) err = manifest_draft_read(data, "settled", &d->settled, NULL);
        if (err == ERR_OK) err = manifest_draft_read(data, "issued", &d->issued, NULL);
        if (err != ERR_OK)
            code = verb_fail(EXIT_FAILED, "the agent's answer is of another version of parley");
        else if (d->ref[MANIFEST_ROOT].gen == 0)
            code = verb_fail(EXIT_FAILED,
                             "this node does not know yet who the operators of the mesh are; see: "
                             "parley members");
    }
    client_answer_fini(&a);
    return code;
}

static const struct manifest_operator *owner_of(const struct manifest_draft *d,
                                                const struct operator_key *k)
{
    const struct manifest *root = &d->head[MANIFEST_ROOT];
    for (uint32_t i = 0; i < root->operator_count; i++)
        if (memcmp(root->op[i].public_key, sign_key_public(k->key), SIGN_PUBLIC_BYTES) == 0)
            return &root->op[i];
    return NULL;
}

/* Whose it is; said when it is nobody's, or may not do that, or not here. */
static enum verb_exit check_key(const struct manifest_draft *d, struct operator_key *k,
                                enum manifest_role role, const struct manifest_operator **who)
{
    char text[OPERATOR_KEY_TEXT_MAX];
    *who = owner_of(d, k);
    if (*who == NULL)
        return verb_fail(EXIT_NOT_PERMITTED,
                         "this key is no operator's; an admin adds it: parley operator add NAME "
                         "--public-key %s",
                         operator_key_format(sign_key_public(k->key), text));
    if ((*who)->role < role)
        return verb_fail(EXIT_NOT_PERMITTED,
                         "this needs an operator with the role admin; %s has policy",
                         (*who)->name.text);
    return operator_key_bind(k, &d->mesh);
}

enum verb_exit manifest_draft_key(const struct verb_ctx *ctx, struct manifest_draft *d,
                                  enum manifest_role role)
{
    enum verb_exit code = operator_key_load(ctx, &d->key);
    return code == EXIT_DONE ? check_key(d, &d->key, role, &d->self) : code;
}

enum verb_exit manifest_draft_cosign(const struct verb_ctx *ctx, struct manifest_draft *d,
                                     enum manifest_role role, struct manifest *m)
{
    const struct manifest_operator *other;
    const char *path = verb_text(ctx, "cosign");
    if (path == NULL)
        return verb_fail(EXIT_USAGE, "this needs a second operator's signature: --cosign FILE");
    enum verb_exit code = operator_key_open(path, &d->second);
    if (code == EXIT_DONE) code = check_key(d, &d->second, role, &other);
    if (code != EXIT_DONE) return code;
    if (other == d->self)
        return verb_fail(EXIT_USAGE, "--cosign is the key of %s again; it has to be another's",
                         other->name.text);
    m->signer[m->signer_count++] = sign_manifest_key_id(sign_key_public(d->second.key));
    return EXIT_DONE;
}

static enum verb_exit refuse(enum err err, struct diag *diag)
{
    enum verb_exit code = EXIT_FAILED;
    if (err == ERR_NOT_FOUND)
        code = verb_fail(EXIT_NOT_PERMITTED, "this host has no issuer key; hosts with the role "
                                             "signer have: parley members -o wide");
    else if (err == ERR_PERM)
        code = verb_fail(EXIT_NOT_PERMITTED, "only root may use the issuer key of this host");
    else
        verb_fail(code, "%s", diag->count > 0 ? diag->entry[0].message : err_text(err));
    diag_fini(diag);
    return code;
}

enum verb_exit manifest_draft_issuer(const struct verb_ctx *ctx, struct manifest_draft *d)
{
    struct store s;
    struct store_mesh mesh;
    struct diag diag;
    diag_init(&diag);
    enum err err = store_open(ctx->root, NULL, &s);
    if (err == ERR_OK) err = store_identity_sign_key(&s, STORE_ISSUER_KEY, &diag, &d->key.key);
    if (err == ERR_OK) err = store_state_mesh(&s, &diag, &mesh);
    if (err != ERR_OK) return refuse(err, &diag);
    diag_fini(&diag);
    if (memcmp(mesh.id.byte, d->mesh.byte, sizeof mesh.id.byte) != 0)
        return verb_fail(EXIT_NOT_PERMITTED, "the agent speaks for another mesh than this host's");
    return EXIT_DONE;
}

void manifest_draft_fini(struct manifest_draft *d)
{
    operator_key_fini(&d->key);
    operator_key_fini(&d->second);
}

/* After everything it follows from, also where this host's clock is behind (gossip.md 3.8). */
static uint64_t next_hlc(const struct manifest_draft *d)
{
    uint64_t hlc = clock_wall_us() / 1000u << 16;
    for (unsigned s = 0; s < MANIFEST_SCOPES; s++)
        if (d->ref[s].gen > 0 && d->head[s].hlc >= hlc) hlc = d->head[s].hlc + 1;
    return hlc;
}

void manifest_draft_next(const struct manifest_draft *d, enum manifest_scope scope,
                         struct manifest *out)
{
    bool by_issuer = d->self == NULL;
    const struct manifest_ref *after = by_issuer ? &d->issued : &d->ref[scope];
    CHECK(d->key.key != NULL && (!by_issuer || scope == MANIFEST_ROOT));
    *out = (struct manifest){.scope = scope};
    if (scope == MANIFEST_ROOT) {
        *out = d->head[MANIFEST_ROOT];
        out->pinned = d->settled;
    } else {
        out->plan = manifest_plan_default();
    }
    out->gen = after->gen + 1;
    out->parent = after->hash;
    out->hlc = next_hlc(d);
    out->root_gen = by_issuer ? after->gen : d->ref[MANIFEST_ROOT].gen;
    out->author = by_issuer ? (struct name){"issuer"} : d->self->name;
    out->signer_count = 1;
    out->signer[0] = sign_manifest_key_id(sign_key_public(d->key.key));
    out->message[0] = '\0';
    out->confirm_within_ms = 0;
}

enum verb_exit manifest_draft_message(const struct verb_ctx *ctx, struct manifest *m)
{
    struct span text = span_str(verb_text(ctx, "message"));
    if (text.len > MANIFEST_MESSAGE_BYTES_MAX)
        return verb_fail(EXIT_USAGE, "--message is over %u bytes", MANIFEST_MESSAGE_BYTES_MAX);
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
            return verb_fail(EXIT_USAGE, "--message is one line, without control characters");
    (void)span_to_cstr(text, m->message, sizeof m->message);
    return EXIT_DONE;
}

static enum verb_exit post(const struct verb_ctx *ctx, const struct strbuf *body)
{
    struct client_answer a;
    if (!strbuf_ok(body)) return verb_fail(EXIT_FAILED, "%s", err_text(ERR_NOMEM));
    enum verb_exit code = client_call(ctx, "POST", "/v1/policy", strbuf_view(body), &a);
    client_answer_fini(&a);
    return code;
}

enum verb_exit manifest_draft_send(const struct verb_ctx *ctx, const struct manifest_draft *d,
                                   const struct manifest *m, const struct span *text,
                                   size_t text_count, struct manifest_ref *ref)
{
    const struct sign_key *const keys[MANIFEST_SIGNERS_MAX] = {d->key.key, d->second.key};
    uint8_t wire[MANIFEST_BYTES_MAX];
    struct strbuf body;
    struct json j;
    size_t len = 0;
    enum err err = sign_manifest_make(&d->mesh, m, keys, wire, &len);
    if (err != ERR_OK)
        return verb_fail(EXIT_FAILED, "this generation cannot be signed: %s", err_text(err));
    strbuf_init(&body, BODY_BYTES_MAX);
    json_init(&j, &body);
    json_object(&j);
    json_member_base64(&j, "manifest", wire, len);
    json_key(&j, "texts");
    json_array(&j);
    for (size_t i = 0; i < text_count; i++)
        json_str(&j, text[i]);
    json_array_end(&j);
    json_object_end(&j);
    enum verb_exit code = post(ctx, &body);
    strbuf_fini(&body);
    *ref = (struct manifest_ref){.gen = m->gen, .hash = sign_manifest_hash(span_of(wire, len))};
    return code;
}

enum verb_exit manifest_draft_confirm(const struct verb_ctx *ctx, const struct manifest_draft *d,
                                      const struct manifest_ref *ref)
{
    struct manifest_confirm c = {.scope = MANIFEST_POLICY, .ref = *ref, .hlc = next_hlc(d)};
    uint8_t wire[PACK_MANIFEST_CONFIRM_BYTES];
    char storage[512];
    struct strbuf body;
    struct json j;
    sign_manifest_confirm(&d->mesh, d->key.key, &c, wire);
    strbuf_init_fixed(&body, storage, sizeof storage);
    json_init(&j, &body);
    json_object(&j);
    json_member_base64(&j, "confirm", wire, sizeof wire);
    json_object_end(&j);
    return post(ctx, &body);
}
