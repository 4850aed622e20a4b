#include "cmd/verbs/verbs.h"

#include "cmd/client.h"

enum verb_exit ready_run(struct verb_ctx *ctx)
{
    struct client_answer a;
    enum verb_exit code = client_try(ctx, "GET", "/v1/ready", (struct span){0}, &a);
    if (code == EXIT_DONE) {
        if (ctx->json)
            printf("%.*s", SPAN_ARG(strbuf_view(&a.body)));
        else if (!ctx->quiet)
            puts("ready");
    } else if (code == EXIT_NO_AGENT) {
        if (!ctx->quiet) verb_fail(code, "no agent is running; see: parley status");
    } else if (code == EXIT_FAILED && a.status == 503) {
        code = EXIT_NO;
        if (!ctx->quiet)
            verb_fail(code, "not ready: %.*s",
                      SPAN_ARG(json_read_str(a.doc, "error", SPAN_LIT("starting"))));
    }
    client_answer_fini(&a);
    return code;
}
