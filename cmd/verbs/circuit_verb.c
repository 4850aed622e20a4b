#include "cmd/verbs/verbs.h"

#include "cmd/client.h"

enum verb_exit circuit_verb_reset_run(struct verb_ctx *ctx)
{
    struct client_answer a;
    char name[256], path[320];
    if (!client_segment(ctx->arg[0], name, sizeof name))
        return verb_fail(EXIT_USAGE, "that is no service name");
    snprintf(path, sizeof path, "/v1/circuits/reset/%s", name);
    enum verb_exit code = client_call(ctx, "POST", path, (struct span){0}, &a);
    if (code == EXIT_DONE && ctx->json)
        printf("%.*s", SPAN_ARG(strbuf_view(&a.body)));
    else if (code == EXIT_DONE && !ctx->quiet)
        printf("circuits of %s are closed\n", ctx->arg[0]);
    client_answer_fini(&a);
    return code;
}
