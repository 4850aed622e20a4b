#include "cmd/verbs/verbs.h"

#include "cmd/client.h"
#include "core/io/clock.h"

#include <poll.h>

#define GONE_POLL_MS  100
#define GONE_GRACE_MS 5000u /* past the drain's own limit: LEFT is told, threads end */

static enum verb_exit change(struct verb_ctx *ctx, const char *what)
{
    struct client_answer a;
    char path[128];
    struct verb_ctx patient = *ctx;
    snprintf(path, sizeof path, "/v1/%s?timeout_ms=%llu", what,
             (unsigned long long)ctx->timeout_ms);
    /* The agent keeps the limit; the socket waits a little longer for its answer. */
    patient.timeout_ms = ctx->timeout_ms + 5000;
    enum verb_exit code = client_call(&patient, "POST", path, (struct span){0}, &a);
    if (code == EXIT_DONE && ctx->json) {
        printf("%.*s", SPAN_ARG(strbuf_view(&a.body)));
    } else if (code == EXIT_DONE && !ctx->quiet) {
        const struct json_value *d = json_read_get(a.doc, "data");
        printf("%.*s  in flight %llu%s\n", SPAN_ARG(json_read_str(d, "state", SPAN_LIT("?"))),
               (unsigned long long)json_read_u64(d, "in_flight", 0),
               json_read_bool(d, "timed_out", false) ? "  (the time was over before they ended)"
                                                     : "");
    }
    if (code == EXIT_DONE && json_read_bool(json_read_get(a.doc, "data"), "timed_out", false))
        code = EXIT_TIMED_OUT;
    client_answer_fini(&a);
    return code;
}

enum verb_exit drain_verb_run(struct verb_ctx *ctx)
{
    enum verb_exit code = change(ctx, "drain");
    if (code == EXIT_DONE && !ctx->json && !ctx->quiet) puts("stays so until: parley undrain");
    return code;
}

enum verb_exit drain_verb_undo_run(struct verb_ctx *ctx)
{
    return change(ctx, "undrain");
}

/* The agent answers before it goes, so that the answer arrives; it is gone when its socket is. */
static bool wait_gone(const struct verb_ctx *ctx)
{
    uint64_t end_ms = clock_mono_ms() + ctx->timeout_ms + GONE_GRACE_MS;
    for (;;) {
        struct client_answer a;
        enum verb_exit code = client_try(ctx, "GET", "/v1/status", (struct span){0}, &a);
        client_answer_fini(&a);
        if (code == EXIT_NO_AGENT) return true;
        if (clock_mono_ms() >= end_ms) return false;
        (void)poll(NULL, 0, GONE_POLL_MS);
    }
}

enum verb_exit drain_verb_leave_run(struct verb_ctx *ctx)
{
    enum verb_exit code = change(ctx, "leave");
    if (code != EXIT_DONE) return code;
    if (!wait_gone(ctx)) return verb_fail(EXIT_TIMED_OUT, "the agent is still leaving");
    if (!ctx->json && !ctx->quiet)
        puts("left  the agent has stopped; it joins again when it is started");
    return EXIT_DONE;
}
