#include "cmd/verbs/demo_watch.h"

#include "cmd/verbs/demo_node.h"
#include "core/base/check.h"
#include "core/wire/json_read.h"

#define DOCUMENT_BYTES_MAX 65536u
#define ARENA_BYTES_MAX    (1u << 20)
#define TIMEOUT_MS         2000u

bool demo_watch_read(struct span document, unsigned *up)
{
    const struct json_value *doc = NULL;
    struct arena arena;
    unsigned bits = 0;
    arena_init(&arena, 16384, ARENA_BYTES_MAX);
    (void)!json_read(document, &arena, &doc, NULL);
    const struct json_value *rows = json_read_get(doc, "data");
    bool good = rows && rows->kind == JSON_ARRAY;
    for (const struct json_value *row = good ? rows->child : NULL; row; row = row->next) {
        struct span node = json_read_str(row, "node", SPAN_LIT(""));
        if (!span_eq_str(json_read_str(row, "status", SPAN_LIT("")), "up")) continue;
        for (unsigned number = 1; number <= DEMO_NODE_COUNT; number++)
            if (span_eq_str(node, demo_node_name(number))) bits |= 1u << number;
    }
    arena_fini(&arena);
    if (good) *up = bits;
    return good;
}

static void ask(struct demo_watch *w)
{
    static const struct testapp_client_request question = {
        .method = "GET", .path = "/v1/endpoints/api", .timeout_ms = TIMEOUT_MS};
    testapp_client_start(w->client, &question);
}

static void on_again(struct loop_timer *t)
{
    ask(CONTAINER_OF(t, struct demo_watch, again));
}

/* A service that nobody has is 404: nobody is up. */
static void on_result(void *owner, const struct testapp_client_result *result)
{
    struct demo_watch *w = owner;
    bool answered = false;
    if (result->status == 200) answered = demo_watch_read(result->body, &w->up);
    if (result->status == 404) {
        answered = true;
        w->up = 0;
    }
    w->answered |= answered;
    loop_timer_set(w->loop, &w->again, loop_now_ms(w->loop) + DEMO_WATCH_PERIOD_MS);
    if (answered) w->on_answer(w->owner);
}

enum err demo_watch_start(struct demo_watch *w, struct loop *l, const char *socket_path)
{
    struct testapp_client_options o = {.loop = l,
                                       .authority = "parley",
                                       .body_keep = DOCUMENT_BYTES_MAX,
                                       .on_result = on_result,
                                       .owner = w};
    demo_watch_stop(w);
    if (!span_to_cstr(span_str(socket_path), o.to.path, sizeof o.to.path)) return ERR_TOO_LARGE;
    enum err err = testapp_client_new(&o, &w->client);
    if (err != ERR_OK) return err;
    w->loop = l;
    w->again.on_expire = on_again;
    w->running = true;
    w->answered = false;
    w->up = 0;
    ask(w);
    return ERR_OK;
}

void demo_watch_stop(struct demo_watch *w)
{
    if (!w->running) return;
    loop_timer_clear(w->loop, &w->again);
    testapp_client_free(w->client);
    w->client = NULL;
    w->running = false;
}
