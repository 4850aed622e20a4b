#include "cmd/verbs/verbs.h"

#include "cmd/manifest_draft.h"
#include "cmd/operator_key.h"
#include "cmd/table.h"

#include <unistd.h>

static const char *const role_word[MANIFEST_ROLES] = {
    [MANIFEST_ROLE_POLICY] = "policy", [MANIFEST_ROLE_ADMIN] = "admin"};

static enum verb_exit render(const struct verb_ctx *ctx, const struct json_value *doc)
{
    static const char *const header[] = {"NAME", "ROLE", "PUBLIC KEY"};
    const struct json_value *list = json_read_get(doc, "data");
    struct table t;
    (void)ctx;
    table_init(&t, header, 3);
    for (const struct json_value *v = list ? list->child : NULL; v; v = v->next) {
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "name", SPAN_LIT("-"))));
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "role", SPAN_LIT("-"))));
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "public_key", SPAN_LIT("-"))));
    }
    table_print(&t, stdout);
    table_fini(&t);
    return EXIT_DONE;
}

enum verb_exit operator_verb_list_run(struct verb_ctx *ctx)
{
    return client_show(ctx, "/v1/operators", render);
}

/* --- key --- */

static enum verb_exit refuse(enum err err, struct diag *d)
{
    enum verb_exit code = err == ERR_PERM ? EXIT_NOT_PERMITTED : EXIT_FAILED;
    code = verb_fail(code, "%s", d->count > 0 ? d->entry[0].message : err_text(err));
    diag_fini(d);
    return code;
}

/* `mesh` NULL: for whichever it will be an operator's of. */
static enum verb_exit make_key(const char *path, const struct mesh_id *mesh, struct sign_key **out)
{
    struct diag d;
    diag_init(&d);
    enum err err = sign_key_new(NULL, out);
    if (err == ERR_OK) err = operator_key_save(path, *out, mesh, &d);
    if (err != ERR_OK) return refuse(err, &d);
    diag_fini(&d);
    return EXIT_DONE;
}

static void key_document(const char *path, const char *text)
{
    char storage[2048];
    struct strbuf sb;
    struct json j;
    strbuf_init_fixed(&sb, storage, sizeof storage);
    json_init(&j, &sb);
    json_object(&j);
    json_member_cstr(&j, "schema", "parley.operator-key.v1");
    json_key(&j, "data");
    json_object(&j);
    json_member_cstr(&j, "public_key", text);
    json_member_cstr(&j, "file", path);
    json_object_end(&j);
    json_object_end(&j);
    puts(strbuf_ok(&sb) ? storage : "{}");
}

enum verb_exit operator_verb_key_run(struct verb_ctx *ctx)
{
    const char *path = ctx->arg_count > 0 ? ctx->arg[0] : NULL;
    char text[OPERATOR_KEY_TEXT_MAX];
    struct operator_key key = {.key = NULL};
    enum verb_exit code =
        path != NULL ? make_key(path, NULL, &key.key) : operator_key_load(ctx, &key);
    if (code == EXIT_DONE) {
        operator_key_format(sign_key_public(key.key), text);
        if (ctx->json)
            key_document(path, text);
        else
            puts(text);
        if (path != NULL && !ctx->quiet && !ctx->json)
            fprintf(stderr,
                    "(wrote %s; an admin adds it: parley operator add NAME --public-key "
                    "KEY)\n",
                    path);
    }
    operator_key_fini(&key);
    return code;
}

/* --- add, remove --- */

static enum verb_exit send_root(const struct verb_ctx *ctx, const struct manifest_draft *d,
                                struct manifest *m, const char *verb, const char *name)
{
    struct manifest_ref ref;
    char hash[MANIFEST_HASH_SHORT_MAX];
    enum verb_exit code = manifest_draft_message(ctx, m);
    if (code == EXIT_DONE) code = manifest_draft_send(ctx, d, m, NULL, 0, &ref);
    if (code != EXIT_DONE) return code;
    manifest_hash_short(&ref.hash, hash);
    if (ctx->json)
        printf(
            "{\"schema\":\"parley.operator.v1\",\"data\":{\"%s\":\"%s\",\"root_generation\":%llu,"
            "\"hash\":\"%s\"}}\n",
            verb, name, (unsigned long long)ref.gen, hash);
    else if (!ctx->quiet)
        printf("%s %s   operators generation %llu (%s) by %s\n", verb, name,
               (unsigned long long)ref.gen, hash, m->author.text);
    return EXIT_DONE;
}

static enum verb_exit role_of(const struct verb_ctx *ctx, enum manifest_role *out)
{
    const char *role = verb_text(ctx, "role");
    *out = MANIFEST_ROLE_POLICY;
    if (role == NULL || strcmp(role, role_word[MANIFEST_ROLE_POLICY]) == 0) return EXIT_DONE;
    *out = MANIFEST_ROLE_ADMIN;
    if (strcmp(role, role_word[MANIFEST_ROLE_ADMIN]) == 0) return EXIT_DONE;
    return verb_fail(EXIT_USAGE, "--role \"%s\": admin (policy and operators) or policy", role);
}

static enum verb_exit given_key(const char *text, uint8_t public_key[SIGN_PUBLIC_BYTES])
{
    switch ((int)operator_key_parse(span_str(text), public_key)) {
    case ERR_OK:
        return EXIT_DONE;
    case ERR_MORE:
        return verb_fail(EXIT_USAGE, "--public-key: a piece of the key is missing");
    case ERR_TOO_LARGE:
        return verb_fail(EXIT_USAGE, "--public-key: there is something behind the key");
    case ERR_CORRUPT:
        return verb_fail(EXIT_USAGE, "--public-key: its checksum is wrong, so it was mistyped");
    default:
        return verb_fail(EXIT_USAGE, "--public-key: a public key looks like po1_...; see: parley "
                                     "operator key FILE");
    }
}

/* Of the new operator: the one that is given, or of a key that is made here. */
static enum verb_exit new_public(const struct verb_ctx *ctx, const struct mesh_id *mesh,
                                 uint8_t public_key[SIGN_PUBLIC_BYTES])
{
    const char *text = verb_text(ctx, "public-key"), *path = verb_text(ctx, "out");
    struct sign_key *key = NULL;
    if ((text == NULL) == (path == NULL))
        return verb_fail(EXIT_USAGE,
                         "give the new operator's --public-key KEY, or --out FILE to make "
                         "a key for them");
    if (text != NULL) return given_key(text, public_key);
    enum verb_exit code = make_key(path, mesh, &key);
    if (code == EXIT_DONE) memcpy(public_key, sign_key_public(key), SIGN_PUBLIC_BYTES);
    sign_key_free(key);
    return code;
}

static enum verb_exit check_new(const struct manifest *root, const struct manifest_operator *op)
{
    for (uint32_t i = 0; i < root->operator_count; i++) {
        if (name_eq(&root->op[i].name, &op->name))
            return verb_fail(EXIT_FAILED, "there is an operator \"%s\" already", op->name.text);
        if (memcmp(root->op[i].public_key, op->public_key, sizeof op->public_key) == 0)
            return verb_fail(EXIT_FAILED, "that key is of operator \"%s\" already",
                             root->op[i].name.text);
    }
    if (root->operator_count == MANIFEST_OPERATORS_MAX)
        return verb_fail(EXIT_FAILED, "there are %u operators, and no more can be",
                         MANIFEST_OPERATORS_MAX);
    return EXIT_DONE;
}

enum verb_exit operator_verb_add_run(struct verb_ctx *ctx)
{
    struct manifest_draft d;
    struct manifest m;
    struct manifest_operator op = {.role = MANIFEST_ROLE_POLICY};
    const char *out = verb_text(ctx, "out");
    if (name_set(&op.name, span_str(ctx->arg[0])) != ERR_OK)
        return verb_fail(EXIT_USAGE, "\"%s\" is not a name (1 to 63 of a-z, 0-9 and -)",
                         ctx->arg[0]);
    enum verb_exit code = role_of(ctx, &op.role);
    if (code != EXIT_DONE) return code;
    code = manifest_draft_open(ctx, &d);
    if (code == EXIT_DONE) code = manifest_draft_key(ctx, &d, MANIFEST_ROLE_ADMIN);
    if (code == EXIT_DONE) code = check_new(&d.head[MANIFEST_ROOT], &op);
    bool made = false;
    if (code == EXIT_DONE) {
        code = new_public(ctx, &d.mesh, op.public_key);
        made = code == EXIT_DONE && out != NULL;
    }
    if (code == EXIT_DONE) code = check_new(&d.head[MANIFEST_ROOT], &op);
    if (code == EXIT_DONE) {
        manifest_draft_next(&d, MANIFEST_ROOT, &m);
        m.op[m.operator_count++] = op;
        code = send_root(ctx, &d, &m, "added", op.name.text);
    }
    if (code != EXIT_DONE && made) (void)unlink(out);
    manifest_draft_fini(&d);
    return code;
}

static enum verb_exit take_out(const struct verb_ctx *ctx, const struct manifest_draft *d,
                               struct manifest *m)
{
    const char *known[MANIFEST_OPERATORS_MAX];
    uint32_t at = 0, admins = 0;
    while (at < m->operator_count && strcmp(m->op[at].name.text, ctx->arg[0]) != 0)
        at++;
    if (at == m->operator_count) {
        for (uint32_t i = 0; i < m->operator_count; i++)
            known[i] = m->op[i].name.text;
        const char *near = diag_did_you_mean(span_str(ctx->arg[0]), known, m->operator_count);
        return verb_fail(EXIT_FAILED, "no operator is called \"%s\"%s%s%s", ctx->arg[0],
                         near ? "; did you mean \"" : "; see: parley operator list",
                         near ? near : "", near ? "\"?" : "");
    }
    for (uint32_t i = 0; i < m->operator_count; i++)
        admins += i != at && m->op[i].role == MANIFEST_ROLE_ADMIN;
    if (admins == 0)
        return verb_fail(EXIT_FAILED,
                         "\"%s\" is the last operator with the role admin; add another one first",
                         ctx->arg[0]);
    if (d->self != NULL && d->self > &d->head[MANIFEST_ROOT].op[at] && !ctx->quiet)
        fprintf(stderr,
                "warning: %s was an operator before %s and can undo this, until on a host with the "
                "role signer: parley operator settle\n",
                ctx->arg[0], d->self->name.text);
    if (d->self == &d->head[MANIFEST_ROOT].op[at] && !ctx->yes)
        return verb_fail(EXIT_USAGE, "that is the operator whose key this is; say --yes to do it");
    memmove(&m->op[at], &m->op[at + 1], (m->operator_count - at - 1) * sizeof m->op[0]);
    m->operator_count--;
    m->op[m->operator_count] = (struct manifest_operator){.role = MANIFEST_ROLE_POLICY};
    return EXIT_DONE;
}

enum verb_exit operator_verb_remove_run(struct verb_ctx *ctx)
{
    struct manifest_draft d;
    struct manifest m;
    enum verb_exit code = manifest_draft_open(ctx, &d);
    if (code == EXIT_DONE)
        code = verb_has(ctx, "issuer") ? manifest_draft_issuer(ctx, &d)
                                       : manifest_draft_key(ctx, &d, MANIFEST_ROLE_ADMIN);
    if (code == EXIT_DONE) {
        manifest_draft_next(&d, MANIFEST_ROOT, &m);
        code = take_out(ctx, &d, &m);
    }
    if (code == EXIT_DONE) code = send_root(ctx, &d, &m, "removed", ctx->arg[0]);
    manifest_draft_fini(&d);
    return code;
}

/* --- settle --- */

enum verb_exit operator_verb_settle_run(struct verb_ctx *ctx)
{
    struct manifest_draft d;
    struct manifest m;
    char count[32];
    enum verb_exit code = manifest_draft_open(ctx, &d);
    if (code == EXIT_DONE) code = manifest_draft_issuer(ctx, &d);
    if (code == EXIT_DONE) {
        manifest_draft_next(&d, MANIFEST_ROOT, &m);
        (void)snprintf(count, sizeof count, "%u operator%s", m.operator_count,
                       m.operator_count == 1 ? "" : "s");
        code = send_root(ctx, &d, &m, "settled", count);
    }
    manifest_draft_fini(&d);
    return code;
}
