#include "cmd/verbs/verbs.h"

#include "cmd/manifest_draft.h"
#include "cmd/table.h"
#include "cmd/verbs/policy_diff.h"
#include "cmd/verbs/policy_files.h"
#include "cmd/verbs/policy_wait.h"

#include <unistd.h>

#define OUT_BYTES_MAX (16u * 1024 * 1024)

/* --- What has become of it --- */

static const char *end_word(enum policy_wait_end end)
{
    static const char *const word[] = {[POLICY_WAIT_ACTIVE] = "active",
                                       [POLICY_WAIT_STOPPED] = "stopped",
                                       [POLICY_WAIT_LOST] = "lost",
                                       [POLICY_WAIT_LATE] = "waiting"};
    return word[end];
}

static void nodes_json(struct json *j, const struct policy_wait *w)
{
    json_key(j, "nodes");
    json_array(j);
    for (size_t i = 0; i < w->count; i++) {
        const struct policy_wait_node *n = &w->node[i];
        if (!n->live) continue;
        json_object(j);
        json_member_cstr(j, "node", n->name);
        json_member_cstr(j, "state", n->state);
        json_member_cstr(j, "reason", n->reason[0] ? n->reason : NULL);
        json_key(j, "ms");
        if (n->applied)
            json_u64(j, n->ms);
        else
            json_null(j);
        json_object_end(j);
    }
    json_array_end(j);
}

/* `w` NULL: nobody waited. */
static void document(const struct manifest *m, const struct manifest_ref *ref,
                     const struct policy_wait *w)
{
    struct strbuf sb;
    struct json j;
    strbuf_init(&sb, OUT_BYTES_MAX);
    json_init(&j, &sb);
    json_object(&j);
    json_member_cstr(&j, "schema", "parley.config-apply.v1");
    json_key(&j, "data");
    json_object(&j);
    json_member_u64(&j, "gen", ref->gen);
    json_member_hex(&j, "hash", ref->hash.byte, sizeof ref->hash.byte);
    json_member_cstr(&j, "author", m->author.text);
    json_member_u64(&j, "confirm_within_ms", m->confirm_within_ms);
    json_member_cstr(&j, "result", w != NULL ? end_word(w->end) : "submitted");
    if (w != NULL) nodes_json(&j, w);
    json_object_end(&j);
    json_object_end(&j);
    if (strbuf_ok(&sb)) puts(sb.p);
    strbuf_fini(&sb);
}

static void say_active(const struct manifest_draft *d, const struct manifest *m,
                       const struct policy_wait *w)
{
    char left[32];
    size_t live = 0, applied = 0;
    for (size_t i = 0; i < w->count; i++) {
        live += w->node[i].live;
        applied += w->node[i].live && w->node[i].applied;
    }
    printf("active on %zu/%zu live nodes", applied, live);
    if (m->confirm_within_ms == 0) {
        puts(".");
        return;
    }
    if (d->active.gen > 0)
        printf(". Reverts to %llu", (unsigned long long)d->active.gen);
    else
        printf(". Is taken back");
    printf(" in %s unless: parley config confirm %llu\n",
           table_duration((uint64_t)m->confirm_within_ms * 1000, left, sizeof left),
           (unsigned long long)m->gen);
}

/* Signs, hands in and follows it. */
static enum verb_exit submit(const struct verb_ctx *ctx, const struct manifest_draft *d,
                             const struct manifest *m, const struct span *text, size_t count)
{
    struct manifest_ref ref;
    struct policy_wait w;
    char hash[MANIFEST_HASH_SHORT_MAX];
    bool talk = !ctx->json && !ctx->quiet;
    enum verb_exit code = manifest_draft_send(ctx, d, m, text, count, &ref);
    if (code != EXIT_DONE) return code;
    if (talk)
        printf("generation %llu (%s) by %s\n", (unsigned long long)ref.gen,
               manifest_hash_short(&ref.hash, hash), m->author.text);
    if (verb_has(ctx, "no-wait")) {
        if (ctx->json) document(m, &ref, NULL);
        return EXIT_DONE;
    }
    code = policy_wait_run(ctx, &ref, talk, &w);
    if (ctx->json)
        document(m, &ref, &w);
    else if (code == EXIT_DONE && talk)
        say_active(d, m, &w);
    policy_wait_fini(&w);
    return code;
}

/* --- apply --- */

/* All hosts at once: it is for when waiting costs more than what a canary could show. */
static enum verb_exit make_immediate(const struct verb_ctx *ctx, struct manifest_draft *d,
                                     struct manifest *m)
{
    if (verb_has(ctx, "soak"))
        return verb_fail(EXIT_USAGE, "--immediate has no waves that could soak: leave --soak out");
    m->plan.immediate = true;
    m->plan.wave_count = 0;
    memset(m->plan.wave, 0, sizeof m->plan.wave);
    return manifest_draft_cosign(ctx, d, MANIFEST_ROLE_POLICY, m);
}

static enum verb_exit plan_flags(const struct verb_ctx *ctx, struct manifest_draft *d,
                                 struct manifest *m)
{
    uint64_t rejected = verb_number(ctx, "max-rejected", 0);
    uint64_t confirm_ms = verb_number(ctx, "confirm-within", 0);
    uint64_t soak_ms = verb_number(ctx, "soak", MANIFEST_SOAK_MS_DEFAULT);
    if (confirm_ms > MANIFEST_CONFIRM_MS_MAX || soak_ms > MANIFEST_SOAK_MS_MAX)
        return verb_fail(EXIT_USAGE, "--confirm-within and --soak are at most a day");
    if (verb_has(ctx, "confirm-within") && confirm_ms < 1000)
        return verb_fail(EXIT_USAGE, "--confirm-within is at least 1s");
    if (rejected > UINT32_MAX) return verb_fail(EXIT_USAGE, "--max-rejected is too large");
    m->confirm_within_ms = (uint32_t)confirm_ms;
    m->plan.soak_ms = (uint32_t)soak_ms;
    m->plan.max_rejected = (uint32_t)rejected;
    m->plan.force = verb_has(ctx, "force");
    return verb_has(ctx, "immediate") ? make_immediate(ctx, d, m) : EXIT_DONE;
}

static void take_texts(const struct policy_files *files, struct manifest *m,
                       struct span text[MANIFEST_TEXTS_MAX])
{
    for (size_t i = 0; i < files->count; i++) {
        text[i] = files->text[i].text;
        m->text[i] = (struct manifest_text){.name = files->name[i],
                                            .hash = sign_manifest_hash(text[i]),
                                            .bytes = (uint32_t)text[i].len};
    }
    m->text_count = (uint32_t)files->count;
}

static bool same_texts(const struct manifest *a, const struct manifest *b)
{
    if (a->text_count != b->text_count) return false;
    for (uint32_t i = 0; i < a->text_count; i++)
        if (!name_eq(&a->text[i].name, &b->text[i].name) ||
            !manifest_hash_eq(&a->text[i].hash, &b->text[i].hash))
            return false;
    return true;
}

/* Shows what would change and asks, on a terminal; elsewhere --yes says it. */
static enum verb_exit ask(const struct verb_ctx *ctx, const struct policy_files *next)
{
    struct client_answer a;
    struct policy_files old;
    struct policy_diff diff;
    char line[16];
    if (ctx->yes) return EXIT_DONE;
    if (!isatty(STDIN_FILENO) || ctx->json)
        return verb_fail(EXIT_USAGE,
                         "this changes what every host of the mesh allows; say --yes to do it "
                         "(parley config diff shows what)");
    enum verb_exit code = client_call(ctx, "GET", "/v1/policy/texts", (struct span){0}, &a);
    if (code == EXIT_DONE) {
        code = policy_files_from(json_read_get(json_read_get(a.doc, "data"), "texts"), &old);
        if (code == EXIT_DONE && policy_diff_make(old.mesh, next->mesh, &diff) == ERR_OK)
            policy_diff_print(&diff, stderr);
        if (code == EXIT_DONE) policy_diff_fini(&diff);
        policy_files_fini(&old);
    }
    client_answer_fini(&a);
    if (code != EXIT_DONE) return code;
    fputs("apply on every host? [y/N] ", stderr);
    bool yes = fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
    return yes ? EXIT_DONE : verb_fail(EXIT_USAGE, "nothing was applied");
}

static enum verb_exit apply(const struct verb_ctx *ctx, struct manifest_draft *d,
                            const struct policy_files *files)
{
    struct span text[MANIFEST_TEXTS_MAX];
    struct manifest m;
    enum verb_exit code = manifest_draft_open(ctx, d);
    if (code == EXIT_DONE) code = manifest_draft_key(ctx, d, MANIFEST_ROLE_POLICY);
    if (code != EXIT_DONE) return code;
    manifest_draft_next(d, MANIFEST_POLICY, &m);
    take_texts(files, &m, text);
    code = manifest_draft_message(ctx, &m);
    if (code == EXIT_DONE) code = plan_flags(ctx, d, &m);
    if (code != EXIT_DONE) return code;
    bool in_force = manifest_ref_eq(&d->active, &d->ref[MANIFEST_POLICY]) && d->active.gen > 0;
    if (in_force && same_texts(&m, &d->head[MANIFEST_POLICY])) {
        if (!ctx->quiet && !ctx->json)
            printf("nothing to do: generation %llu has these texts\n",
                   (unsigned long long)d->active.gen);
        if (ctx->json) document(&d->head[MANIFEST_POLICY], &d->active, NULL);
        return EXIT_DONE;
    }
    code = ask(ctx, files);
    return code == EXIT_DONE ? submit(ctx, d, &m, text, files->count) : code;
}

enum verb_exit config_apply_run(struct verb_ctx *ctx)
{
    struct policy_files files;
    struct manifest_draft d = {.self = NULL};
    enum verb_exit code = policy_files_load(ctx, &files);
    if (code == EXIT_DONE) code = apply(ctx, &d, &files);
    manifest_draft_fini(&d);
    policy_files_fini(&files);
    return code;
}

/* --- rollback, confirm --- */

static enum verb_exit generation_of(const char *text, uint64_t *gen)
{
    if (span_u64(span_str(text), gen) && *gen > 0) return EXIT_DONE;
    return verb_fail(EXIT_USAGE, "\"%s\" is no generation; see: parley config history", text);
}

/* The generation `gen` as it was signed. */
static enum verb_exit fetch(const struct verb_ctx *ctx, uint64_t gen, struct manifest_ref *ref,
                            struct manifest *m)
{
    struct client_answer a;
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/policy/generations/%llu", (unsigned long long)gen);
    enum verb_exit code = client_call(ctx, "GET", path, (struct span){0}, &a);
    if (code == EXIT_DONE &&
        (manifest_draft_read(json_read_get(a.doc, "data"), "generation", ref, m) != ERR_OK ||
         ref->gen != gen))
        code = verb_fail(EXIT_FAILED, "the agent's answer is of another version of parley");
    client_answer_fini(&a);
    return code;
}

static enum verb_exit rollback(const struct verb_ctx *ctx, struct manifest_draft *d, uint64_t gen)
{
    struct manifest old, m;
    struct manifest_ref ref;
    enum verb_exit code = manifest_draft_open(ctx, d);
    if (code == EXIT_DONE) code = manifest_draft_key(ctx, d, MANIFEST_ROLE_POLICY);
    if (code == EXIT_DONE) code = fetch(ctx, gen, &ref, &old);
    if (code != EXIT_DONE) return code;
    manifest_draft_next(d, MANIFEST_POLICY, &m);
    memcpy(m.text, old.text, sizeof m.text);
    m.text_count = old.text_count;
    (void)snprintf(m.message, sizeof m.message, "rollback to %llu", (unsigned long long)gen);
    if (verb_has(ctx, "message")) code = manifest_draft_message(ctx, &m);
    if (code == EXIT_DONE) code = plan_flags(ctx, d, &m);
    return code == EXIT_DONE ? submit(ctx, d, &m, NULL, 0) : code;
}

enum verb_exit config_apply_rollback_run(struct verb_ctx *ctx)
{
    struct manifest_draft d = {.self = NULL};
    uint64_t gen;
    enum verb_exit code = generation_of(ctx->arg[0], &gen);
    if (code == EXIT_DONE) code = rollback(ctx, &d, gen);
    manifest_draft_fini(&d);
    return code;
}

static enum verb_exit confirm(const struct verb_ctx *ctx, struct manifest_draft *d, uint64_t gen)
{
    const struct manifest *head = &d->head[MANIFEST_POLICY];
    struct manifest_ref ref;
    enum verb_exit code = manifest_draft_open(ctx, d);
    if (code == EXIT_DONE) code = manifest_draft_key(ctx, d, MANIFEST_ROLE_POLICY);
    if (code != EXIT_DONE) return code;
    ref = d->ref[MANIFEST_POLICY];
    if (ref.gen == 0) return verb_fail(EXIT_FAILED, "there is no mesh policy to confirm");
    if (gen != 0 && gen != ref.gen)
        return verb_fail(EXIT_FAILED,
                         "generation %llu is not the newest, %llu is; see: parley config "
                         "history",
                         (unsigned long long)gen, (unsigned long long)ref.gen);
    if (head->confirm_within_ms > 0) code = manifest_draft_confirm(ctx, d, &ref);
    if (code != EXIT_DONE) return code;
    if (ctx->json)
        printf("{\"schema\":\"parley.config-confirm.v1\",\"data\":{\"gen\":%llu,\"needed\":%s}}\n",
               (unsigned long long)ref.gen, head->confirm_within_ms > 0 ? "true" : "false");
    else if (!ctx->quiet)
        printf("generation %llu %s\n", (unsigned long long)ref.gen,
               head->confirm_within_ms > 0 ? "confirmed" : "needs no confirmation");
    return EXIT_DONE;
}

enum verb_exit config_apply_confirm_run(struct verb_ctx *ctx)
{
    struct manifest_draft d = {.self = NULL};
    uint64_t gen = 0;
    enum verb_exit code = EXIT_DONE;
    if (ctx->arg_count > 0) code = generation_of(ctx->arg[0], &gen);
    if (code == EXIT_DONE) code = confirm(ctx, &d, gen);
    manifest_draft_fini(&d);
    return code;
}
