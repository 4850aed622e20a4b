#include "cmd/verbs/verbs.h"

#include "cmd/daemon/daemon.h"
#include "core/io/notify.h"

#include <stdlib.h>
#include <unistd.h>

static enum verb_exit exit_of(enum err err)
{
    switch ((int)err) {
    case ERR_INVALID:
    case ERR_TOO_LARGE:
    case ERR_NOT_FOUND: /* no host file, no identity: starting again does not help */
        return EXIT_CONFIG;
    case ERR_PERM:
        return EXIT_NOT_PERMITTED;
    default:
        return EXIT_FAILED;
    }
}

enum verb_exit up_run(struct verb_ctx *ctx)
{
    struct daemon_options o = {
        .root = ctx->root,
        .config_path = verb_text(ctx, "config"),
        .strict = verb_has(ctx, "strict"),
        .program = "/proc/self/exe",
        .notify_socket = getenv("NOTIFY_SOCKET"),
        .watchdog_ms =
            notify_watchdog_ms(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), getpid()),
        .listen_fds = notify_listen_fds(getenv("LISTEN_FDS"), getenv("LISTEN_PID"), getpid()),
        .journal = getenv("JOURNAL_STREAM") != NULL};
    struct diag diag;
    struct strbuf text;
    int code = EXIT_FAILED;
    diag_init(&diag);
    enum err err = daemon_run(&o, &diag, &code);
    strbuf_init(&text, 1u << 20);
    diag_print(&diag, &text);
    if (text.len > 0) fprintf(stderr, "%.*s", SPAN_ARG(strbuf_view(&text)));
    if (err != ERR_OK) {
        code = (int)exit_of(err);
        if (diag.errors == 0) verb_fail(EXIT_FAILED, "%s", err_text(err));
    }
    strbuf_fini(&text);
    diag_fini(&diag);
    return (enum verb_exit)code;
}
