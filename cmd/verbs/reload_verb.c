#include "cmd/verbs/verbs.h"

#include "cmd/client.h"

static void print_list(const char *title, const struct json_value *list)
{
    if (!list || !list->child) return;
    printf("%s", title);
    for (const struct json_value *v = list->child; v; v = v->next)
        printf(" %.*s", SPAN_ARG(v->text));
    putchar('\n');
}

enum verb_exit reload_verb_run(struct verb_ctx *ctx)
{
    struct client_answer a;
    const char *path = verb_has(ctx, "wait") ? "/v1/reload?wait=1" : "/v1/reload";
    enum verb_exit code = client_call(ctx, "POST", path, (struct span){0}, &a);
    if (code == EXIT_DONE && ctx->json) {
        printf("%.*s", SPAN_ARG(strbuf_view(&a.body)));
    } else if (code == EXIT_DONE && !ctx->quiet) {
        const struct json_value *d = json_read_get(a.doc, "data");
        const struct json_value *warnings = json_read_get(a.doc, "warnings");
        const struct json_value *applied = json_read_get(d, "applied");
        for (const struct json_value *w = warnings ? warnings->child : NULL; w; w = w->next)
            fprintf(stderr, "%.*s\n", SPAN_ARG(w->text));
        if (applied && applied->child)
            print_list("applied", applied);
        else
            puts("nothing changed");
        print_list("restart needed:", json_read_get(d, "restart_needed"));
    }
    client_answer_fini(&a);
    return code;
}
