#include "cmd/verbs/verbs.h"

#include "cmd/daemon/reload.h"
#include "cmd/verbs/config_files.h"
#include "core/wire/config_load.h"
#include "core/wire/json.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT_BYTES_MAX (16u * 1024 * 1024)

/* What root reads, the agent may not: it runs as the group that may look into the folder. Files
 * written under a umask of 077 are checked well and then refused by a reload. */
static void warn_unreadable(const struct store *s, const struct host_file *file, struct diag *diag)
{
    char folder[STORE_PATH_MAX];
    struct stat dir, st;
    if (geteuid() != 0 || stat(store_path(s, STORE_ETC, folder), &dir) != 0 || dir.st_gid == 0)
        return;
    for (size_t i = 0; i < file->count; i++) {
        const char *path = file->text[i].file;
        if (stat(path, &st) != 0 || (st.st_mode & S_IROTH) ||
            (st.st_gid == dir.st_gid && (st.st_mode & S_IRGRP)))
            continue;
        diag_warning(diag, NULL,
                     "the agent cannot read %s: chgrp --reference=%s %s && chmod g+r %s", path,
                     folder, path, path);
    }
}

/* Reads and checks the host file, and with `files` those that it names; what is wrong is in `diag`.
 */
static enum err load(const struct verb_ctx *ctx, bool files, struct diag *diag, struct config **out)
{
    struct store store;
    enum err err = store_open(ctx->root, verb_text(ctx, "config"), &store);
    if (err != ERR_OK) return err;
    struct host_file file;
    err = reload_read(&store, false, diag, &file, out);
    if (err == ERR_OK) {
        warn_unreadable(&store, &file, diag);
        if (files) err = config_files_check(*out, &file, diag);
        host_file_fini(&file);
    }
    store_close(&store);
    return err;
}

static void print_json(const char *schema, const struct diag *diag, struct strbuf *out)
{
    struct json j;
    json_init(&j, out);
    json_object(&j);
    json_member_cstr(&j, "schema", schema);
    json_key(&j, "data");
    json_array(&j);
    for (unsigned i = 0; i < diag->count; i++) {
        const struct diag_entry *e = &diag->entry[i];
        json_object(&j);
        json_member_cstr(&j, "level", e->level == DIAG_ERROR ? "error" : "warning");
        json_member_cstr(&j, "file", e->file);
        json_member_u64(&j, "line", e->line);
        json_member_u64(&j, "column", e->column);
        json_member_cstr(&j, "message", e->message);
        json_object_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
}

static enum verb_exit exit_of(enum err err, const struct diag *diag)
{
    if (err == ERR_OK) return EXIT_DONE;
    if (err == ERR_PERM) return EXIT_NOT_PERMITTED;
    return diag->errors > 0 ? EXIT_CONFIG : EXIT_FAILED;
}

enum verb_exit config_verb_check_run(struct verb_ctx *ctx)
{
    struct config *c = NULL;
    struct diag diag;
    struct strbuf text;
    diag_init(&diag);
    strbuf_init(&text, OUT_BYTES_MAX);
    enum err err = load(ctx, true, &diag, &c);
    if (ctx->json)
        print_json("parley.config-check.v1", &diag, &text);
    else
        diag_print(&diag, &text);
    if (text.len > 0) fprintf(ctx->json ? stdout : stderr, "%s%s", text.p, ctx->json ? "\n" : "");
    if (err == ERR_OK && !ctx->json && !ctx->quiet)
        printf("ok: %zu services, %zu upstreams\n", c->service_count, c->upstream_count);
    else if (err != ERR_OK && diag.errors == 0)
        verb_fail(EXIT_FAILED, "%s", err_text(err));
    enum verb_exit code = exit_of(err, &diag);
    config_free(c);
    strbuf_fini(&text);
    diag_fini(&diag);
    return code;
}

static void show_json(const struct config *c, bool effective, struct strbuf *out)
{
    struct json j;
    json_init(&j, out);
    json_object(&j);
    json_member_cstr(&j, "schema", "parley.config.v1");
    json_key(&j, "data");
    json_array(&j);
    for (size_t i = 0; i < c->value_count; i++) {
        const struct config_value *v = &c->value[i];
        if (!v->file && !effective) continue;
        json_object(&j);
        json_member_cstr(&j, "key", v->key);
        json_member_cstr(&j, "value", v->value);
        json_member_cstr(&j, "file", v->file);
        json_member_u64(&j, "line", v->line);
        json_object_end(&j);
    }
    json_array_end(&j);
    json_object_end(&j);
    strbuf_char(out, '\n');
}

enum verb_exit config_verb_show_run(struct verb_ctx *ctx)
{
    struct config *c = NULL;
    struct diag diag;
    struct strbuf text;
    bool effective = verb_has(ctx, "effective");
    if (verb_has(ctx, "mesh")) return config_mesh_show_run(ctx);
    diag_init(&diag);
    strbuf_init(&text, OUT_BYTES_MAX);
    enum err err = load(ctx, false, &diag, &c);
    if (err != ERR_OK) {
        diag_print(&diag, &text);
        if (text.len > 0) fputs(text.p, stderr);
    } else if (ctx->json) {
        show_json(c, effective, &text);
        fputs(text.p, stdout);
    } else if (effective) {
        config_load_show(c, &text);
        fputs(text.p ? text.p : "", stdout);
    } else {
        for (size_t i = 0; i < c->value_count; i++)
            if (c->value[i].file) printf("%s = %s\n", c->value[i].key, c->value[i].value);
    }
    enum verb_exit code = exit_of(err, &diag);
    if (err != ERR_OK && diag.errors == 0) verb_fail(code, "%s", err_text(err));
    config_free(c);
    strbuf_fini(&text);
    diag_fini(&diag);
    return code;
}
