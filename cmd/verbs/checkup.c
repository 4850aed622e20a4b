#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "core/base/check.h"

#include <stdio.h>

struct tally {
    unsigned ok, warnings, failed;
};

static struct tally count(const struct json_value *list)
{
    struct tally n = {0};
    for (const struct json_value *f = list ? list->child : NULL; f; f = f->next) {
        struct span level = json_read_str(f, "level", (struct span){0});
        if (span_eq_str(level, "ok"))
            n.ok++;
        else if (span_eq_str(level, "warning"))
            n.warnings++;
        else
            n.failed++;
    }
    return n;
}

static enum verb_exit verdict(const struct verb_ctx *ctx, const struct json_value *doc)
{
    struct tally n = count(json_read_get(doc, "data"));
    if (n.failed > 0) return EXIT_NO;
    return n.warnings > 0 && verb_has(ctx, "strict") ? EXIT_WARNINGS : EXIT_DONE;
}

static enum verb_exit render(const struct verb_ctx *ctx, const struct json_value *doc)
{
    const struct json_value *list = json_read_get(doc, "data");
    struct tally n = count(list);
    for (const struct json_value *f = list ? list->child : NULL; f; f = f->next) {
        struct span level = json_read_str(f, "level", SPAN_LIT("failed"));
        struct span hint = json_read_str(f, "hint", (struct span){0});
        bool ok = span_eq_str(level, "ok"), warning = span_eq_str(level, "warning");
        if (ok && ctx->quiet) continue;
        printf("%-2s %.*s %-9.*s %.*s\n",
               ok        ? "ok"
               : warning ? "!"
                         : "x",
               SPAN_ARG(json_read_str(f, "id", SPAN_LIT("-"))),
               SPAN_ARG(json_read_str(f, "group", SPAN_LIT("-"))),
               SPAN_ARG(json_read_str(f, "text", SPAN_LIT("-"))));
        if (hint.len > 0) printf("      try: %.*s\n", SPAN_ARG(hint));
    }
    printf("%u failed, %u warnings, %u ok\n", n.failed, n.warnings, n.ok);
    return verdict(ctx, doc);
}

static enum verb_exit print_list(const struct verb_ctx *ctx)
{
    static const struct {
        const char *id, *group, *text;
    } rows[] = {
        {"P012", "node", "the host file is in use"},
        {"P013", "node", "workers use the newest state"},
        {"P021", "gossip", "members are alive"},
        {"P022", "gossip", "the views agree"},
        {"P031", "identity", "the node's certificate lives"},
        {"P032", "identity", "certificates are issued"},
        {"P033", "identity", "somebody holds the CA key"},
        {"P041", "policy", "every service has a rule"},
        {"P042", "policy", "nothing is open to everybody"},
        {"P043", "policy", "applications listen on loopback"},
        {"P044", "policy", "the newest mesh policy is in force"},
        {"P045", "policy", "no mesh policy lost against another"},
        {"P046", "policy", "rules look at requests only where there are any"},
        {"P051", "traffic", "local services are up"},
        {"P053", "traffic", "upstreams have endpoints"},
        {"P054", "traffic", "endpoints of an upstream speak alike"},
    };
    if (ctx->json) fputs("{\"schema\":\"parley.checks.v1\",\"data\":[", stdout);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        printf(ctx->json ? "%s{\"id\":\"%s\",\"group\":\"%s\",\"text\":\"%s\"}" : "%s%s %-9s %s\n",
               ctx->json && i > 0 ? "," : "", rows[i].id, rows[i].group, rows[i].text);
    if (ctx->json) puts("]}");
    return EXIT_DONE;
}

enum verb_exit checkup_run(struct verb_ctx *ctx)
{
    if (verb_has(ctx, "list")) return print_list(ctx);
    if (!ctx->json) return client_show(ctx, "/v1/check", render);
    struct client_answer a;
    enum verb_exit code = client_call(ctx, "GET", "/v1/check", (struct span){0}, &a);
    if (code == EXIT_DONE) {
        printf("%.*s", SPAN_ARG(strbuf_view(&a.body)));
        code = verdict(ctx, a.doc);
    }
    client_answer_fini(&a);
    return code;
}
