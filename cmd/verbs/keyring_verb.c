#include "cmd/verbs/verbs.h"

#include "cmd/manifest_draft.h"
#include "cmd/table.h"
#include "core/io/clock.h"

/* --- status --- */

static void until_cell(struct table *t, uint64_t until)
{
    char text[64];
    uint64_t now = (uint64_t)clock_wall_s();
    if (until == 0)
        table_cell(t, "-");
    else
        table_cell(t, until > now ? table_duration((until - now) * 1000000, text, sizeof text)
                                  : "now");
}

static enum verb_exit render(const struct verb_ctx *ctx, const struct json_value *doc)
{
    static const char *const header[] = {"KEY", "PHASE", "HELD BY", "MISSING ON", "DROPPED IN"};
    const struct json_value *data = json_read_get(doc, "data");
    const struct json_value *list = json_read_get(data, "keys");
    struct table t;
    table_init(&t, header, 5);
    for (const struct json_value *v = list ? list->child : NULL; v; v = v->next) {
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "id", SPAN_LIT("-"))));
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "phase", SPAN_LIT("-"))));
        table_cellf(&t, "%llu/%llu", (unsigned long long)json_read_u64(v, "holders", 0),
                    (unsigned long long)json_read_u64(v, "alive", 0));
        table_cell_list(&t, json_read_get(v, "missing"));
        until_cell(&t, json_read_u64(v, "until_s", 0));
    }
    table_print(&t, stdout);
    table_fini(&t);
    if (!ctx->quiet) printf("next: %.*s\n", SPAN_ARG(json_read_str(data, "next", SPAN_LIT("-"))));
    return EXIT_DONE;
}

enum verb_exit keyring_verb_status_run(struct verb_ctx *ctx)
{
    return client_show(ctx, "/v1/keyring", render);
}

/* --- rotate --- */

/* What the agent says the next root is to list. */
static bool read_keys(const struct json_value *data, struct manifest *m)
{
    const struct json_value *list = json_read_get(data, "keys");
    m->key_count = 0;
    for (const struct json_value *v = list ? list->child : NULL; v; v = v->next) {
        struct manifest_key *k = &m->key[m->key_count];
        struct span hash = json_read_str(v, "hash", SPAN_LIT(""));
        struct span stage = json_read_str(v, "stage", SPAN_LIT(""));
        if (m->key_count == MANIFEST_KEYS_MAX) return false;
        if (!span_hex(hash, k->hash.byte, sizeof k->hash.byte)) return false;
        memcpy(k->id, k->hash.byte, sizeof k->id);
        k->stage = span_eq_str(stage, "use") ? MANIFEST_KEY_USE : MANIFEST_KEY_INSTALL;
        m->key_count++;
    }
    return m->key_count > 0;
}

static enum verb_exit draft_keys(const struct verb_ctx *ctx, struct manifest *m)
{
    struct client_answer a;
    enum verb_exit code = client_call(ctx, "POST", "/v1/keyring", (struct span){0}, &a);
    if (code == EXIT_DONE && !read_keys(json_read_get(a.doc, "data"), m))
        code = verb_fail(EXIT_FAILED, "the agent's answer is not understood");
    client_answer_fini(&a);
    return code;
}

static void say_rotated(const struct verb_ctx *ctx, const struct manifest_draft *d,
                        const struct manifest *m, const struct manifest_ref *ref)
{
    char key[MANIFEST_HASH_SHORT_MAX];
    manifest_hash_short(&m->key[m->key_count - 1].hash, key);
    if (ctx->json)
        printf("{\"schema\":\"parley.keyring-rotate.v1\",\"data\":{\"key\":\"%s\","
               "\"root_generation\":%llu}}\n",
               key, (unsigned long long)ref->gen);
    else if (!ctx->quiet)
        printf("key %s   root generation %llu by %s; it seals when 99 %% of the alive nodes have "
               "it: parley keyring status\n",
               key, (unsigned long long)ref->gen, d->self->name.text);
}

enum verb_exit keyring_verb_rotate_run(struct verb_ctx *ctx)
{
    struct manifest_draft d;
    struct manifest_ref ref;
    struct manifest m;
    enum verb_exit code = manifest_draft_open(ctx, &d);
    if (code == EXIT_DONE) code = manifest_draft_key(ctx, &d, MANIFEST_ROLE_ADMIN);
    if (code == EXIT_DONE) {
        manifest_draft_next(&d, MANIFEST_ROOT, &m);
        code = manifest_draft_message(ctx, &m);
    }
    /* Last, for the agent makes the key: without a root it would be dropped again. */
    if (code == EXIT_DONE) code = draft_keys(ctx, &m);
    if (code == EXIT_DONE) code = manifest_draft_send(ctx, &d, &m, NULL, 0, &ref);
    if (code == EXIT_DONE) say_rotated(ctx, &d, &m, &ref);
    manifest_draft_fini(&d);
    return code;
}
