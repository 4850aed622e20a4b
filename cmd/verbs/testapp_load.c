#include "cmd/verbs/verbs.h"

#include "cmd/verbs/testapp_pace.h"
#include "cmd/verbs/testapp_tally.h"

#include <signal.h>
#include <stdlib.h>

#define RATE_DEFAULT        100u
#define FOR_MS_DEFAULT      10000u
#define CONNECTIONS_DEFAULT 8u
#define DOCUMENT_BYTES_MAX  65536u

struct load {
    struct loop *loop;
    struct testapp_url url;
    const char *method;
    struct testapp_pace_options pace_options;
    struct testapp_pace *pace;
    struct testapp_tally *tally;
    struct loop_signal interrupt, terminate;
    int signal; /* that ended it early; 0: none */
};

static void on_result(void *owner, const struct testapp_client_result *result, uint64_t latency_us)
{
    struct load *load = owner;
    testapp_tally_add(load->tally, result, latency_us);
}

static void on_done(void *owner)
{
    struct load *load = owner;
    loop_stop(load->loop);
}

/* What was sent is still counted; a second signal ends the wait for it. */
static void stop_early(struct load *load, int signum)
{
    if (load->signal != 0) loop_stop(load->loop);
    load->signal = signum;
    testapp_pace_stop(load->pace);
}

static void on_interrupt(struct loop_signal *s, int signum)
{
    stop_early(CONTAINER_OF(s, struct load, interrupt), signum);
}

static void on_terminate(struct loop_signal *s, int signum)
{
    stop_early(CONTAINER_OF(s, struct load, terminate), signum);
}

static enum verb_exit read_flags(const struct verb_ctx *ctx, struct load *load)
{
    struct testapp_pace_options *o = &load->pace_options;
    const char *url = verb_text(ctx, "url"), *why;
    if (!url) return verb_fail(EXIT_USAGE, "--url is required, such as http://127.0.0.1:8080/");
    if (testapp_url_parse(url, &load->url, &why) != ERR_OK)
        return verb_fail(EXIT_USAGE, "--url \"%s\": %s", url, why);
    if (load->url.scheme != TESTAPP_URL_HTTP)
        return verb_fail(EXIT_USAGE, "--url \"%s\": the load is HTTP", url);
    load->method = verb_has(ctx, "method") ? verb_text(ctx, "method") : "GET";
    if (strcmp(load->method, "GET") != 0 && strcmp(load->method, "POST") != 0)
        return verb_fail(EXIT_USAGE, "--method \"%s\": give GET or POST", load->method);
    o->url = &load->url;
    o->method = load->method;
    o->body_bytes = verb_number(ctx, "body-bytes", 0);
    o->rate = verb_number(ctx, "rate", RATE_DEFAULT);
    o->for_ms = verb_number(ctx, "for", FOR_MS_DEFAULT);
    uint64_t connections = verb_number(ctx, "connections", CONNECTIONS_DEFAULT);
    if (o->rate == 0 || o->rate > TESTAPP_PACE_RATE_MAX)
        return verb_fail(EXIT_USAGE, "--rate must be 1 to %u", TESTAPP_PACE_RATE_MAX);
    if (connections == 0 || connections > TESTAPP_PACE_CONNECTIONS_MAX)
        return verb_fail(EXIT_USAGE, "--connections must be 1 to %u", TESTAPP_PACE_CONNECTIONS_MAX);
    if (o->for_ms == 0) return verb_fail(EXIT_USAGE, "--for must be longer than 0s");
    o->connections = (size_t)connections;
    return EXIT_DONE;
}

static void report_json(const struct load *load)
{
    const struct testapp_pace_options *o = &load->pace_options;
    struct strbuf text;
    struct json j;
    strbuf_init(&text, DOCUMENT_BYTES_MAX);
    json_init(&j, &text);
    json_object(&j);
    json_member_cstr(&j, "schema", "parley.load.v1");
    json_key(&j, "data");
    json_object(&j);
    json_member_u64(&j, "rate", o->rate);
    json_member_u64(&j, "for_ms", o->for_ms);
    json_member_u64(&j, "connections", o->connections);
    testapp_tally_json(load->tally, &j);
    json_object_end(&j);
    json_object_end(&j);
    printf("%.*s\n", SPAN_ARG(strbuf_view(&text)));
    strbuf_fini(&text);
}

static enum verb_exit run(const struct verb_ctx *ctx, struct load *load)
{
    struct testapp_pace_options *o = &load->pace_options;
    o->loop = load->loop;
    o->on_result = on_result;
    o->on_done = on_done;
    o->owner = load;
    enum err err = testapp_pace_new(o, &load->pace);
    if (err != ERR_OK) return verb_fail(EXIT_FAILED, "the load cannot start: %s", err_text(err));
    loop_signal_start(load->loop, &load->interrupt, SIGINT, on_interrupt);
    loop_signal_start(load->loop, &load->terminate, SIGTERM, on_terminate);
    loop_run(load->loop);
    loop_signal_stop(load->loop, &load->interrupt);
    loop_signal_stop(load->loop, &load->terminate);
    testapp_pace_free(load->pace);
    if (ctx->json)
        report_json(load);
    else
        testapp_tally_print(load->tally, stdout);
    if (load->signal != 0) return (enum verb_exit)(128 + load->signal);
    return load->tally->failed == 0 ? EXIT_DONE : EXIT_NO;
}

enum verb_exit testapp_load_run(struct verb_ctx *ctx)
{
    struct load load = {.signal = 0};
    enum verb_exit code = read_flags(ctx, &load);
    if (code != EXIT_DONE) return code;
    load.tally = calloc(1, sizeof *load.tally);
    enum err err = load.tally ? loop_new(&load.loop) : ERR_NOMEM;
    if (err == ERR_OK)
        code = run(ctx, &load);
    else
        code = verb_fail(EXIT_FAILED, "the load cannot start: %s", err_text(err));
    loop_free(load.loop);
    free(load.tally);
    return code;
}
