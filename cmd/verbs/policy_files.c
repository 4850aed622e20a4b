#include "cmd/verbs/policy_files.h"

#include "core/base/check.h"
#include "core/io/file.h"

#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define SERVICES_MAX    4096u

static void files_init(struct policy_files *p)
{
    *p = (struct policy_files){.count = 0};
    arena_init(&p->arena, 65536, ARENA_BYTES_MAX);
}

void policy_files_fini(struct policy_files *p)
{
    policy_mesh_free(p->mesh);
    arena_fini(&p->arena);
    p->mesh = NULL;
}

static enum verb_exit name_of(const char *path, struct name *out)
{
    const char *slash = strrchr(path, '/');
    struct span base = span_str(slash != NULL ? slash + 1 : path);
    char text[NAME_BYTES_MAX + 1];
    if (base.len > 5 && memcmp(base.p + base.len - 5, ".toml", 5) == 0) base.len -= 5;
    size_t len = base.len < NAME_BYTES_MAX ? base.len : NAME_BYTES_MAX;
    for (size_t i = 0; i < len; i++) {
        char c = base.p[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        text[i] = fits ? c : '-';
    }
    if (base.len <= NAME_BYTES_MAX && name_set(out, span_of(text, len)) == ERR_OK) return EXIT_DONE;
    return verb_fail(EXIT_USAGE, "%s: a policy file's name begins and ends with a letter or digit",
                     path);
}

static enum verb_exit add_text(struct policy_files *p, const char *file, const struct name *name,
                               struct span text)
{
    for (size_t i = 0; i < p->count; i++)
        if (name_eq(&p->name[i], name))
            return verb_fail(EXIT_USAGE, "%s and %s would both be called \"%s\"", p->text[i].file,
                             file, name->text);
    CHECK(p->count < MANIFEST_TEXTS_MAX);
    const char *copy = arena_dup(&p->arena, file, strlen(file));
    struct span kept = arena_span(&p->arena, text);
    if (copy == NULL || kept.p == NULL)
        return verb_fail(EXIT_FAILED, "%s: %s", file, err_text(ERR_NOMEM));
    p->name[p->count] = *name;
    p->text[p->count++] = (struct config_text){.file = copy, .text = kept};
    return EXIT_DONE;
}

static enum verb_exit add_file(struct policy_files *p, const char *path)
{
    struct name name;
    struct strbuf sb;
    enum verb_exit code = name_of(path, &name);
    if (code != EXIT_DONE) return code;
    strbuf_init(&sb, MANIFEST_TEXT_BYTES_MAX + 1);
    enum err err = file_read(path, &sb);
    if (err == ERR_OK)
        code = add_text(p, path, &name, strbuf_view(&sb));
    else
        code = verb_fail(err == ERR_PERM ? EXIT_NOT_PERMITTED : EXIT_FAILED, "cannot read %s: %s",
                         path, err_text(err));
    strbuf_fini(&sb);
    return code;
}

static enum verb_exit check(struct policy_files *p)
{
    struct diag diag;
    struct strbuf said;
    diag_init(&diag);
    strbuf_init(&said, 1u << 20);
    enum err err = config_policy_load(p->text, p->count, &diag, &p->mesh);
    diag_print(&diag, &said);
    if (said.len > 0) fputs(said.p, stderr);
    if (err != ERR_OK && diag.errors == 0) verb_fail(EXIT_FAILED, "%s", err_text(err));
    strbuf_fini(&said);
    bool invalid = diag.errors > 0;
    diag_fini(&diag);
    if (err == ERR_OK) return EXIT_DONE;
    return invalid ? EXIT_CONFIG : EXIT_FAILED;
}

/* --- Services as members announce them: what does not fit is no error --- */

struct known {
    const char *name[SERVICES_MAX];
    uint64_t learned_tcp[SERVICES_MAX]; /* instances */
    size_t count;
};

/* SIZE_MAX: nobody announces it. */
static size_t find(const struct known *k, const struct name *service)
{
    for (size_t i = 0; i < k->count; i++)
        if (strcmp(k->name[i], service->text) == 0) return i;
    return SIZE_MAX;
}

/* A typing error more often than not. */
static void warn_unknown(const struct known *k, const struct policy_rule *rule, const char *field,
                         const struct name *service)
{
    if (find(k, service) != SIZE_MAX) return;
    const char *near = diag_did_you_mean(span_str(service->text), k->name, k->count);
    fprintf(stderr,
            "%s:%u: warning: no member announces a service \"%s\" (%s of rule \"%s\")%s%s%s\n",
            rule->file, rule->line, service->text, field, rule->name,
            near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static void warn_bytes(const struct known *k, const struct policy_rule *rule,
                       const struct name *service)
{
    size_t i = find(k, service);
    if (i == SIZE_MAX || k->learned_tcp[i] == 0 || !policy_reads_requests(rule)) return;
    fprintf(stderr,
            "%s:%u: warning: rule \"%s\" looks at the method or path of requests to \"%s\", which "
            "was found to speak tcp on %llu hosts: what is no request is refused there\n",
            rule->file, rule->line, rule->name, service->text,
            (unsigned long long)k->learned_tcp[i]);
}

static void warn_services(const struct verb_ctx *ctx, const struct policy_mesh *mesh)
{
    struct client_answer a;
    struct known *k = NULL;
    if (client_try(ctx, "GET", "/v1/services", (struct span){0}, &a) == EXIT_DONE)
        k = arena_alloc(&a.arena, sizeof *k);
    const struct json_value *list = json_read_get(a.doc, "data");
    for (const struct json_value *v = k && list ? list->child : NULL; v; v = v->next) {
        struct span name = json_read_str(v, "service", (struct span){0});
        if (name.p == NULL || k->count == SERVICES_MAX) continue;
        k->learned_tcp[k->count] = json_read_u64(v, "learned_tcp", 0);
        k->name[k->count++] = name.p;
    }
    for (size_t i = 0; k != NULL && i < mesh->rule_count; i++) {
        const struct policy_rule *rule = &mesh->rule[i];
        for (size_t n = 0; n < rule->from_count; n++)
            if (rule->from[n].kind == CALLER_SERVICE)
                warn_unknown(k, rule, "from", &rule->from[n].name);
        for (size_t n = 0; n < rule->to_count; n++) {
            warn_unknown(k, rule, "to", &rule->to[n]);
            warn_bytes(k, rule, &rule->to[n]);
        }
    }
    client_answer_fini(&a);
}

enum verb_exit policy_files_load(const struct verb_ctx *ctx, struct policy_files *out)
{
    enum verb_exit code = EXIT_DONE;
    files_init(out);
    for (unsigned i = 0; i < ctx->arg_count && code == EXIT_DONE; i++)
        code = add_file(out, ctx->arg[i]);
    if (code == EXIT_DONE) code = check(out);
    if (code == EXIT_DONE) warn_services(ctx, out->mesh);
    return code;
}

enum verb_exit policy_files_from(const struct json_value *texts, struct policy_files *out)
{
    files_init(out);
    for (const struct json_value *v = texts ? texts->child : NULL; v; v = v->next) {
        struct name name;
        struct span text = json_read_str(v, "text", (struct span){0});
        char file[NAME_BYTES_MAX + sizeof ".toml"];
        if (name_set(&name, json_read_str(v, "name", SPAN_LIT(""))) != ERR_OK || text.p == NULL ||
            out->count == MANIFEST_TEXTS_MAX)
            return verb_fail(EXIT_FAILED, "the agent does not have all texts of that generation");
        (void)snprintf(file, sizeof file, "%s.toml", name.text);
        enum verb_exit code = add_text(out, file, &name, text);
        if (code != EXIT_DONE) return code;
    }
    enum err err = config_policy_load(out->text, out->count, NULL, &out->mesh);
    return err == ERR_OK
               ? EXIT_DONE
               : verb_fail(EXIT_FAILED, "a text of that generation does not load here: %s",
                           err_text(err));
}
