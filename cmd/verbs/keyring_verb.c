#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/table.h"
#include "core/io/clock.h"

static void missing_cell(struct table *t, const struct json_value *list)
{
    char text[256];
    struct strbuf sb;
    strbuf_init_fixed(&sb, text, sizeof text);
    for (const struct json_value *s = list ? list->child : NULL; s; s = s->next) {
        if (sb.len > 0) strbuf_char(&sb, ' ');
        strbuf_span(&sb, s->text);
    }
    table_cell(t, text);
}

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
        missing_cell(&t, json_read_get(v, "missing"));
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
