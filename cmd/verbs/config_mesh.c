#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/manifest_draft.h"
#include "cmd/table.h"
#include "cmd/verbs/policy_diff.h"
#include "cmd/verbs/policy_files.h"
#include "core/io/clock.h"

#define OUT_BYTES_MAX (16u * 1024 * 1024)

/* --- diff --- */

static void diff_json(const struct policy_diff *diff, const struct manifest_ref *active)
{
    struct strbuf sb;
    struct json j;
    strbuf_init(&sb, OUT_BYTES_MAX);
    json_init(&j, &sb);
    json_object(&j);
    json_member_cstr(&j, "schema", "parley.config-diff.v1");
    json_member_u64(&j, "against", active->gen);
    json_key(&j, "data");
    policy_diff_json(diff, &j);
    json_object_end(&j);
    if (strbuf_ok(&sb)) puts(sb.p);
    strbuf_fini(&sb);
}

static enum verb_exit diff_texts(const struct verb_ctx *ctx, const struct policy_files *old,
                                 const struct policy_files *next, const struct manifest_ref *active)
{
    struct policy_diff diff;
    enum verb_exit code = EXIT_DONE;
    if (policy_diff_make(old->mesh, next->mesh, &diff) != ERR_OK) {
        code = verb_fail(EXIT_FAILED, "%s", err_text(ERR_NOMEM));
    } else {
        if (ctx->json)
            diff_json(&diff, active);
        else
            policy_diff_print(&diff, stdout);
        if (!ctx->json && !ctx->quiet && diff.count == 0)
            printf("no rule differs from %s\n",
                   active->gen > 0 ? "what is in force" : "having no mesh policy at all");
        if (diff.count > 0 && verb_has(ctx, "exit-code")) code = EXIT_NO;
    }
    policy_diff_fini(&diff);
    return code;
}

enum verb_exit config_mesh_diff_run(struct verb_ctx *ctx)
{
    struct policy_files next, old;
    struct client_answer a;
    struct manifest_ref active;
    enum verb_exit code = policy_files_load(ctx, &next);
    if (code != EXIT_DONE) {
        policy_files_fini(&next);
        return code;
    }
    code = client_call(ctx, "GET", "/v1/policy/texts", (struct span){0}, &a);
    const struct json_value *d = json_read_get(a.doc, "data");
    if (code == EXIT_DONE && manifest_draft_read(d, "active", &active, NULL) != ERR_OK)
        code = verb_fail(EXIT_FAILED, "the agent's answer is of another version of parley");
    if (code == EXIT_DONE) {
        code = policy_files_from(json_read_get(d, "texts"), &old);
        if (code == EXIT_DONE) code = diff_texts(ctx, &old, &next, &active);
        policy_files_fini(&old);
    }
    client_answer_fini(&a);
    policy_files_fini(&next);
    return code;
}

/* --- show --mesh --- */

static enum verb_exit show(const struct verb_ctx *ctx, const struct json_value *doc)
{
    const struct json_value *d = json_read_get(doc, "data"), *texts = json_read_get(d, "texts");
    struct manifest_ref active;
    char hash[MANIFEST_HASH_SHORT_MAX];
    if (manifest_draft_read(d, "active", &active, NULL) != ERR_OK)
        return verb_fail(EXIT_FAILED, "the agent's answer is of another version of parley");
    if (active.gen == 0) {
        if (!ctx->quiet) fputs("(no mesh policy is in force)\n", stderr);
        return EXIT_DONE;
    }
    for (const struct json_value *v = texts ? texts->child : NULL; v; v = v->next) {
        struct span text = json_read_str(v, "text", SPAN_LIT(""));
        if (!ctx->quiet)
            printf("# %.*s.toml of generation %llu (%s)\n",
                   SPAN_ARG(json_read_str(v, "name", SPAN_LIT("-"))),
                   (unsigned long long)active.gen, manifest_hash_short(&active.hash, hash));
        fwrite(text.p, 1, text.len, stdout);
        if (text.len > 0 && text.p[text.len - 1] != '\n') putchar('\n');
    }
    return EXIT_DONE;
}

enum verb_exit config_mesh_show_run(struct verb_ctx *ctx)
{
    return client_show(ctx, "/v1/policy/texts", show);
}

/* --- history --- */

static enum verb_exit history(const struct verb_ctx *ctx, const struct json_value *doc)
{
    static const char *const header[] = {"GEN", "HASH", "WHEN", "BY", "STATE", "MESSAGE"};
    const struct json_value *list = json_read_get(doc, "data");
    uint64_t now = (uint64_t)clock_wall_s();
    struct table t;
    (void)ctx;
    table_init(&t, header, 6);
    for (const struct json_value *v = list ? list->child : NULL; v; v = v->next) {
        char ago[32];
        struct span hash = json_read_str(v, "hash", SPAN_LIT("-"));
        uint64_t at = json_read_u64(v, "signed_at_s", 0);
        if (hash.len > MANIFEST_HASH_SHORT_MAX - 1) hash.len = MANIFEST_HASH_SHORT_MAX - 1;
        table_cellf(&t, "%llu", (unsigned long long)json_read_u64(v, "gen", 0));
        table_cellf(&t, "%.*s", SPAN_ARG(hash));
        if (now > at)
            table_cellf(&t, "%s ago", table_duration((now - at) * 1000000, ago, sizeof ago));
        else
            table_cell(&t, "now");
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "author", SPAN_LIT("-"))));
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "state", SPAN_LIT("-"))));
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "message", SPAN_LIT(""))));
    }
    table_print(&t, stdout);
    table_fini(&t);
    return EXIT_DONE;
}

enum verb_exit config_mesh_history_run(struct verb_ctx *ctx)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/policy/history?n=%llu",
                   (unsigned long long)verb_number(ctx, "number", 10));
    return client_show(ctx, path, history);
}
