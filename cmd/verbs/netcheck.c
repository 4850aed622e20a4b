#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/table.h"
#include "core/model/name.h"

#define NEEDS_MS           60000u /* many silent peers, some at a time */
#define FINDINGS_BYTES_MAX (8u * 1024 * 1024)

static void time_cell(struct table *t, const struct json_value *p, const char *works,
                      const char *rtt)
{
    char text[32];
    if (json_read_bool(p, works, false))
        table_cellf(t, "ok %s", table_duration(json_read_u64(p, rtt, 0), text, sizeof text));
    else
        table_cell(t, "x");
}

static void row(struct table *t, const struct json_value *p)
{
    const struct json_value *skew = json_read_get(p, "skew_ms");
    uint64_t bytes = json_read_u64(p, "datagram_bytes_max", 0);
    table_cellf(t, "%.*s", SPAN_ARG(json_read_str(p, "node", SPAN_LIT("-"))));
    table_cellf(t, "%.*s", SPAN_ARG(json_read_str(p, "address", SPAN_LIT("-"))));
    table_cellf(t, "%.*s", SPAN_ARG(json_read_str(p, "status", SPAN_LIT("-"))));
    time_cell(t, p, "udp", "udp_rtt_us");
    time_cell(t, p, "tcp", "tcp_rtt_us");
    if (bytes > 0)
        table_cellf(t, "%llu", (unsigned long long)bytes);
    else
        table_cell(t, "-");
    if (skew != NULL && skew->text.len > 0 && !span_eq_str(skew->text, "null"))
        table_cellf(t, "%.*sms", SPAN_ARG(skew->text));
    else
        table_cell(t, "-");
    table_cellf(t, "%.*s", SPAN_ARG(json_read_str(p, "version", SPAN_LIT("-"))));
}

static size_t take_findings(const struct json_value *list, struct strbuf *out)
{
    size_t n = 0;
    for (const struct json_value *p = list ? list->child : NULL; p; p = p->next) {
        const struct json_value *all = json_read_get(p, "findings");
        for (const struct json_value *f = all ? all->child : NULL; f; f = f->next) {
            n++;
            strbuf_fmt(out, "x %.*s %.*s\n      try: %.*s\n",
                       SPAN_ARG(json_read_str(f, "id", SPAN_LIT("-"))),
                       SPAN_ARG(json_read_str(f, "text", SPAN_LIT("-"))),
                       SPAN_ARG(json_read_str(f, "hint", SPAN_LIT("-"))));
        }
    }
    return n;
}

/* What the pages together say. */
struct netcheck {
    struct table table;
    struct strbuf findings;
    size_t found;
    char after[NAME_BYTES_MAX + 1]; /* the last name so far; "": no more pages */
};

static enum verb_exit ask_page(const struct verb_ctx *ctx, const char *only, struct netcheck *n)
{
    char path[2 * NAME_BYTES_MAX + 64];
    struct client_answer a;
    const struct json_value *last = NULL;
    (void)snprintf(path, sizeof path, "/v1/netcheck?node=%s&after=%s", only, n->after);
    n->after[0] = '\0';
    enum verb_exit code = client_call(ctx, "GET", path, (struct span){0}, &a);
    const struct json_value *list = json_read_get(a.doc, "data");
    const struct json_value *warned = json_read_get(a.doc, "warnings");
    for (const struct json_value *p = list && code == EXIT_DONE ? list->child : NULL; p;
         p = p->next) {
        row(&n->table, p);
        last = p;
    }
    if (code == EXIT_DONE) n->found += take_findings(list, &n->findings);
    if (code == EXIT_DONE && ctx->json) printf("%.*s", SPAN_ARG(strbuf_view(&a.body)));
    if (last != NULL && only[0] == '\0' && !ctx->json)
        (void)span_to_cstr(json_read_str(last, "node", SPAN_LIT("")), n->after, sizeof n->after);
    for (const struct json_value *w = ctx->json && warned ? warned->child : NULL; w; w = w->next)
        fprintf(stderr, "warning: %.*s\n", SPAN_ARG(w->text));
    client_answer_fini(&a);
    return code;
}

static bool take_name(struct span text, char out[NAME_BYTES_MAX + 1])
{
    return text.len == 0 || (name_valid(text) && span_to_cstr(text, out, NAME_BYTES_MAX + 1));
}

enum verb_exit netcheck_run(struct verb_ctx *ctx)
{
    static const char *const header[] = {"NODE", "ADDRESS",  "STATUS", "UDP",
                                         "TCP",  "DATAGRAM", "CLOCK",  "VERSION"};
    char only[NAME_BYTES_MAX + 1] = "";
    struct netcheck n = {.found = 0};
    enum verb_exit code;
    if (!take_name(span_str(ctx->arg_count > 0 ? ctx->arg[0] : NULL), only) ||
        !take_name(span_str(verb_text(ctx, "after")), n.after))
        return verb_fail(EXIT_USAGE, "that is no name of a node");
    if (ctx->timeout_ms < NEEDS_MS) ctx->timeout_ms = NEEDS_MS;
    table_init(&n.table, header, 8);
    strbuf_init(&n.findings, FINDINGS_BYTES_MAX);
    do
        code = ask_page(ctx, only, &n);
    while (code == EXIT_DONE && n.after[0] != '\0');
    if (!ctx->json && !ctx->quiet) {
        table_print(&n.table, stdout);
        printf("%.*s", SPAN_ARG(strbuf_view(&n.findings)));
    }
    if (code == EXIT_DONE && n.found > 0) code = EXIT_NO;
    strbuf_fini(&n.findings);
    table_fini(&n.table);
    return code;
}
