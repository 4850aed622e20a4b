#include "cmd/verbs/verbs.h"

#include "cmd/verbs/testapp_session.h"
#include "core/base/check.h"
#include "core/io/sock.h"

#include <signal.h>
#include <unistd.h>

#define ACCEPT_PAUSE_MS 100u
#define FAREWELL_MS     5000u

struct echo {
    struct loop *loop;
    struct addr listen;
    struct testapp_url url; /* of --call */
    bool calls;
    int fd;
    struct loop_io io;
    struct loop_timer pause;    /* after running out of descriptors */
    struct loop_timer farewell; /* how long sessions may take to end */
    struct loop_signal interrupt, terminate;
    struct testapp_session_list list;
};

static void on_accept(struct loop_io *io, bool readable, bool writable)
{
    struct echo *e = CONTAINER_OF(io, struct echo, io);
    struct sock_accepted got[ACCEPT_BATCH_MAX];
    size_t count;
    (void)readable;
    (void)writable;
    enum err err = sock_accept(e->fd, got, ACCEPT_BATCH_MAX, &count);
    /* One that cannot be served is closed, which its peer sees. */
    for (size_t i = 0; i < count; i++)
        (void)!testapp_session_new(&e->list, got[i].fd);
    if (err == ERR_OK || err == ERR_AGAIN) return;
    loop_io_set(e->loop, io, false, false);
    loop_timer_set(e->loop, &e->pause, loop_now_ms(e->loop) + ACCEPT_PAUSE_MS);
}

static void on_pause_over(struct loop_timer *t)
{
    struct echo *e = CONTAINER_OF(t, struct echo, pause);
    loop_io_set(e->loop, &e->io, true, false);
}

static void on_farewell_over(struct loop_timer *t)
{
    loop_stop(CONTAINER_OF(t, struct echo, farewell)->loop);
}

static void on_empty(struct testapp_session_list *list)
{
    loop_stop(list->loop);
}

static void end(struct echo *e)
{
    loop_timer_clear(e->loop, &e->pause);
    loop_io_set(e->loop, &e->io, false, false);
    loop_timer_set(e->loop, &e->farewell, loop_now_ms(e->loop) + FAREWELL_MS);
    e->list.on_empty = on_empty;
    testapp_session_end_idle(&e->list);
    if (e->list.count == 0) loop_stop(e->loop);
}

static void on_interrupt(struct loop_signal *s, int signum)
{
    (void)signum;
    end(CONTAINER_OF(s, struct echo, interrupt));
}

static void on_terminate(struct loop_signal *s, int signum)
{
    (void)signum;
    end(CONTAINER_OF(s, struct echo, terminate));
}

static enum verb_exit read_flags(const struct verb_ctx *ctx, struct echo *e)
{
    const char *listen = verb_text(ctx, "listen"), *call = verb_text(ctx, "call"), *why;
    if (!listen) return verb_fail(EXIT_USAGE, "--listen is required, such as 127.0.0.1:8080");
    if (addr_parse(span_str(listen), 0, &e->listen) != ERR_OK)
        return verb_fail(EXIT_USAGE, "--listen \"%s\": give an IP address and a port", listen);
    e->list.tcp = verb_has(ctx, "tcp");
    e->list.name = verb_has(ctx, "name") ? verb_text(ctx, "name") : "testapp";
    if (!call) return EXIT_DONE;
    if (e->list.tcp) return verb_fail(EXIT_USAGE, "--call is for HTTP; leave out --tcp");
    if (testapp_url_parse(call, &e->url, &why) != ERR_OK)
        return verb_fail(EXIT_USAGE, "--call \"%s\": %s", call, why);
    e->calls = true;
    return EXIT_DONE;
}

static void serve(const struct verb_ctx *ctx, struct echo *e)
{
    char text[ADDR_TEXT_MAX];
    struct addr at = sock_local(e->fd);
    loop_io_init(&e->io, e->fd, on_accept);
    loop_io_set(e->loop, &e->io, true, false);
    e->pause.on_expire = on_pause_over;
    e->farewell.on_expire = on_farewell_over;
    loop_signal_start(e->loop, &e->interrupt, SIGINT, on_interrupt);
    loop_signal_start(e->loop, &e->terminate, SIGTERM, on_terminate);
    if (!ctx->quiet) printf("%s listens on %s\n", e->list.name, addr_format(&at, text));
    fflush(stdout);
    loop_run(e->loop);
    e->list.on_empty = NULL;
    testapp_session_abort_all(&e->list);
    loop_signal_stop(e->loop, &e->interrupt);
    loop_signal_stop(e->loop, &e->terminate);
    loop_timer_clear(e->loop, &e->pause);
    loop_timer_clear(e->loop, &e->farewell);
    loop_io_set(e->loop, &e->io, false, false);
}

enum verb_exit testapp_echo_run(struct verb_ctx *ctx)
{
    struct echo e = {.fd = -1};
    char text[ADDR_TEXT_MAX];
    enum verb_exit code = read_flags(ctx, &e);
    if (code != EXIT_DONE) return code;
    list_init(&e.list.sessions);
    enum err err = sock_listen(&e.listen, 0, &e.fd);
    if (err != ERR_OK)
        return verb_fail(EXIT_FAILED, "cannot listen on %s: %s", addr_format(&e.listen, text),
                         err_text(err));
    err = loop_new(&e.loop);
    e.list.loop = e.loop;
    if (err == ERR_OK && e.calls) err = testapp_call_pool_new(e.loop, &e.url, &e.list.call);
    if (err == ERR_OK)
        serve(ctx, &e);
    else
        code = verb_fail(EXIT_FAILED, "the application cannot start: %s", err_text(err));
    testapp_call_pool_free(e.list.call);
    loop_free(e.loop);
    close(e.fd);
    return code;
}
