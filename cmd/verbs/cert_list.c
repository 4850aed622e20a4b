#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "cmd/table.h"
#include "core/io/clock.h"

static enum verb_exit render(const struct verb_ctx *ctx, const struct json_value *doc)
{
    static const char *const header[] = {"IDENTITY", "STATE", "ENDS IN", "RENEWS IN"};
    const struct json_value *list = json_read_get(doc, "data");
    uint64_t now = (uint64_t)clock_wall_s();
    char text[32];
    struct table t;
    (void)ctx;
    table_init(&t, header, 4);
    for (const struct json_value *v = list ? list->child : NULL; v; v = v->next) {
        uint64_t end = json_read_u64(v, "not_after_s", 0), due = json_read_u64(v, "renew_due_s", 0);
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "identity", SPAN_LIT("-"))));
        table_cellf(&t, "%.*s", SPAN_ARG(json_read_str(v, "state", SPAN_LIT("-"))));
        table_cell(&t, table_duration(end > now ? (end - now) * 1000000 : 0, text, sizeof text));
        table_cell(&t, table_duration(due > now ? (due - now) * 1000000 : 0, text, sizeof text));
    }
    table_print(&t, stdout);
    table_fini(&t);
    return EXIT_DONE;
}

enum verb_exit cert_list_run(struct verb_ctx *ctx)
{
    return client_show(ctx, "/v1/certs", render);
}
