#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/table.h"
#include "core/io/clock.h"

#include <sodium.h>

static const char *until(uint64_t expires, char *out, size_t cap)
{
    uint64_t now = (uint64_t)clock_wall_s();
    return expires > now ? table_duration((expires - now) * 1000000, out, cap) : "expired";
}

static void request_body(const struct verb_ctx *ctx, struct strbuf *body)
{
    struct json j;
    json_init(&j, body);
    json_object(&j);
    json_member_u64(&j, "ttl_s", verb_number(ctx, "ttl", 3600000) / 1000);
    json_member_u64(&j, "uses", verb_number(ctx, "uses", 1));
    static const char *const texts[][2] = {
        {"node", "node"}, {"role", "role"}, {"allow-services", "services"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!verb_has(ctx, texts[i][0])) continue;
        json_key(&j, texts[i][1]);
        json_cstr(&j, verb_text(ctx, texts[i][0]));
    }
    json_object_end(&j);
}

enum verb_exit token_verb_create_run(struct verb_ctx *ctx)
{
    struct client_answer a;
    char storage[4096], left[32];
    struct strbuf body;
    strbuf_init_fixed(&body, storage, sizeof storage);
    request_body(ctx, &body);
    enum verb_exit code = client_call(ctx, "POST", "/v1/tokens", strbuf_view(&body), &a);
    const struct json_value *d = json_read_get(a.doc, "data");
    if (code == EXIT_DONE && ctx->json) {
        printf("%.*s", SPAN_ARG(strbuf_view(&a.body)));
    } else if (code == EXIT_DONE) {
        uint64_t uses = json_read_u64(d, "uses", 1);
        printf("%.*s\n", SPAN_ARG(json_read_str(d, "token", SPAN_LIT(""))));
        if (!ctx->quiet)
            fprintf(stderr, "(%s, expires in %s, id %.*s) on the new host: parley join TOKEN\n",
                    uses == 1 ? "single use" : "several uses",
                    until(json_read_u64(d, "expires_s", 0), left, sizeof left),
                    SPAN_ARG(json_read_str(d, "id", SPAN_LIT("-"))));
    }
    if (a.body.p) sodium_memzero(a.body.p, a.body.len);
    client_answer_fini(&a);
    return code;
}

static enum verb_exit render(const struct verb_ctx *ctx, const struct json_value *doc)
{
    static const char *const header[] = {"ID", "EXPIRES IN", "USES LEFT", "NODE", "ROLE"};
    const struct json_value *list = json_read_get(doc, "data");
    char left[32];
    struct table t;
    (void)ctx;
    table_init(&t, header, 5);
    for (const struct json_value *v = list ? list->child : NULL; v; v = v->next) {
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "id", SPAN_LIT("-"))));
        table_cell(&t, until(json_read_u64(v, "expires_s", 0), left, sizeof left));
        table_cellf(&t, "%llu", (unsigned long long)json_read_u64(v, "uses_left", 0));
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "node", SPAN_LIT("*"))));
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "role", SPAN_LIT("host"))));
    }
    table_print(&t, stdout);
    table_fini(&t);
    return EXIT_DONE;
}

enum verb_exit token_verb_list_run(struct verb_ctx *ctx)
{
    return client_show(ctx, "/v1/tokens", render);
}

enum verb_exit token_verb_revoke_run(struct verb_ctx *ctx)
{
    struct client_answer a;
    char id[256], path[320];
    if (!client_segment(ctx->arg[0], id, sizeof id))
        return verb_fail(EXIT_USAGE, "that is no token id; see: parley token list");
    snprintf(path, sizeof path, "/v1/tokens/%s", id);
    enum verb_exit code = client_call(ctx, "DELETE", path, (struct span){0}, &a);
    if (code == EXIT_DONE && ctx->json)
        printf("%.*s", SPAN_ARG(strbuf_view(&a.body)));
    else if (code == EXIT_DONE && !ctx->quiet)
        printf("revoked %s\n", ctx->arg[0]);
    client_answer_fini(&a);
    return code;
}
