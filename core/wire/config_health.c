#include "core/wire/config_health.h"

#include "core/base/check.h"
#include "core/wire/utf8.h"

#define HEALTH_PATH_MAX 1024u
#define EXEC_WORDS_MAX  32u
#define EXEC_BYTES_MAX  4096u /* of one word */

#define HOUR UINT32_C(3600000)

static bool path_good(struct span s)
{
    if (s.len == 0 || s.len > HEALTH_PATH_MAX || s.p[0] != '/') return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == '#') return false;
    return true;
}

static void read_http(const struct config_read_table *t, const struct config_read_item *item,
                      struct config_health *h)
{
    if (!config_read_is(t->read, item, "http", TOML_STRING)) return;
    if (!path_good(item->v->u.text)) {
        config_read_bad(t->read, item, "http must be a path, as in \"/healthz\"");
        return;
    }
    h->kind = CONFIG_HEALTH_HTTP;
    h->text = config_read_copy(t->read, item->v->u.text);
}

static bool grpc_name_good(struct span s)
{
    if (s.len > CONFIG_HEALTH_GRPC_BYTES_MAX) return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~') return false;
    return true;
}

static void read_grpc(const struct config_read_table *t, const struct config_read_item *item,
                      struct config_health *h)
{
    if (!config_read_is(t->read, item, "grpc", TOML_STRING)) return;
    if (!grpc_name_good(item->v->u.text)) {
        config_read_bad(t->read, item,
                        "grpc must be a service's name of at most %u printable bytes, as in "
                        "\"shop.Orders\", or \"\" for the whole server",
                        CONFIG_HEALTH_GRPC_BYTES_MAX);
        return;
    }
    h->kind = CONFIG_HEALTH_GRPC;
    h->text = config_read_copy(t->read, item->v->u.text);
}

static bool word_good(struct config_read *r, const struct config_read_item *item, bool program)
{
    if (!config_read_is(r, item, "a word of exec", TOML_STRING)) return false;
    struct span word = item->v->u.text;
    if (memchr(word.p, '\0', word.len) != NULL || word.len > EXEC_BYTES_MAX) {
        config_read_bad(r, item, "a word of exec has at most %u bytes and no NUL among them",
                        EXEC_BYTES_MAX);
        return false;
    }
    if (program && (word.len < 2 || word.p[0] != '/')) {
        config_read_bad(r, item,
                        "exec needs the program's whole path, as in [\"/usr/lib/shop/check\", "
                        "\"--quick\"]: there is no shell and no PATH");
        return false;
    }
    return true;
}

static void read_exec(const struct config_read_table *t, const struct config_read_item *list,
                      struct config_health *h)
{
    struct config_read *r = t->read;
    if (!config_read_is(r, list, "exec", TOML_ARRAY)) return;
    uint32_t count = list->v->u.node.count;
    if (count == 0 || count > EXEC_WORDS_MAX) {
        config_read_bad(r, list,
                        "exec has 1 to %u words, as in [\"/usr/lib/shop/check\", \"--quick\"]",
                        EXEC_WORDS_MAX);
        return;
    }
    const char **argv = config_read_alloc(r, true, count + 1, sizeof *argv);
    if (argv == NULL) return;
    size_t i = 0;
    for (const struct toml_value *v = list->v->u.node.child; v != NULL; v = v->next) {
        struct config_read_item item = {.src = list->src, .v = v};
        if (!word_good(r, &item, i == 0)) return;
        argv[i++] = config_read_copy(r, v->u.text);
    }
    h->kind = CONFIG_HEALTH_EXEC;
    h->argv = argv;
    h->argc = count;
}

/* One of tcp, http, grpc and exec; without any, tcp. */
static void read_kind(const struct config_read_table *t, struct config_health *h)
{
    static const struct {
        const char *key;
        void (*read)(const struct config_read_table *, const struct config_read_item *,
                     struct config_health *);
    } kinds[] = {{"http", read_http}, {"grpc", read_grpc}, {"exec", read_exec}};
    struct config_read *r = t->read;
    struct config_read_item tcp = config_read_find(t, "tcp");
    const char *taken = NULL;
    bool by_tcp = false;
    if (tcp.v != NULL) {
        config_read_bool(t, "tcp", true, &by_tcp);
        if (!by_tcp) config_read_bad(r, &tcp, "to switch checks off write health = \"none\"");
        taken = "tcp";
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct config_read_item item = config_read_find(t, kinds[i].key);
        if (item.v == NULL) continue;
        config_read_note(t, kinds[i].key, &item, "");
        if (taken != NULL) {
            config_read_bad(r, &item, "a check is one of http, tcp, grpc and exec: drop %s or %s",
                            taken, kinds[i].key);
            return;
        }
        taken = kinds[i].key;
        kinds[i].read(t, &item, h);
    }
    if (taken == NULL) config_read_bool(t, "tcp", true, &by_tcp);
}

static void read_times(const struct config_read_table *t, struct config_health *h)
{
    struct config_read_range interval = {
        .least = 100, .most = HOUR, .none = CONFIG_HEALTH_INTERVAL_MS};
    struct config_read_range timeout = {
        .least = 10, .most = HOUR, .none = CONFIG_HEALTH_TIMEOUT_MS};
    struct config_read_range fall = {.least = 1, .most = 100, .none = CONFIG_HEALTH_FALL};
    struct config_read_range rise = {.least = 1, .most = 100, .none = CONFIG_HEALTH_RISE};
    config_read_duration(t, "interval", interval, &h->interval_ms);
    /* A short interval without a timeout of its own has the interval as its timeout. */
    if (timeout.none > h->interval_ms) timeout.none = h->interval_ms;
    config_read_duration(t, "timeout", timeout, &h->timeout_ms);
    config_read_integer(t, "unhealthy_after", fall, &h->unhealthy_after);
    config_read_integer(t, "healthy_after", rise, &h->healthy_after);
    struct config_read_item item = config_read_find(t, "timeout");
    if (item.v != NULL && h->timeout_ms > h->interval_ms)
        config_read_bad(t->read, &item,
                        "timeout is longer than interval (%u ms): shorten it or lengthen interval",
                        (unsigned)h->interval_ms);
}

static void read_table(const struct config_read_table *t, struct config_health *h)
{
    static const char *const known[] = {
        "http", "tcp", "grpc", "exec", "interval", "timeout", "unhealthy_after", "healthy_after"};
    static const char *const later[] = {"status"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), later, ARRAY_LEN(later)};
    config_read_keys(t, &keys);
    read_kind(t, h);
    read_times(t, h);
}

/* Without a table: the word of `kind`, and the times as they are. */
static void read_word(const struct config_read_table *t, enum config_health_kind kind,
                      struct config_health *h)
{
    static const struct config_read_item absent = {.v = NULL};
    h->kind = kind;
    if (kind == CONFIG_HEALTH_NONE) return;
    config_read_note(t, kind == CONFIG_HEALTH_GRPC ? "grpc" : "tcp", &absent,
                     kind == CONFIG_HEALTH_GRPC ? "\"\"" : "true");
    read_times(t, h);
}

void config_health_load(const struct config_read_table *t, struct config_health *out)
{
    static const char *const known[] = {"none", "tcp", "grpc"};
    static const enum config_health_kind kinds[] = {CONFIG_HEALTH_NONE, CONFIG_HEALTH_TCP,
                                                    CONFIG_HEALTH_GRPC};
    static const struct config_read_words words = {known, ARRAY_LEN(known), NULL, 0};
    struct config_read *r = t->read;
    struct config_read_item item = config_read_find(t, "health");
    struct config_read_table empty = {.read = r,
                                      .path = arena_fmt(&r->scratch, "%s.health", t->path)};
    unsigned index = 1;
    *out = (struct config_health){.kind = CONFIG_HEALTH_TCP, .text = ""};
    if (empty.path == NULL) {
        r->nomem = true;
        return;
    }
    if (item.v != NULL && item.v->kind == TOML_TABLE) {
        struct config_read_table sub = config_read_sub(t, &item, "health");
        read_table(&sub, out);
        return;
    }
    if (item.v != NULL && item.v->kind != TOML_STRING) {
        config_read_bad(r, &item,
                        "health must be \"none\", \"tcp\", \"grpc\" or a table, as in "
                        "{ http = \"/healthz\" }");
        return;
    }
    config_read_note(t, "health", &item, "\"tcp\"");
    if (item.v != NULL && !config_read_index(r, &item, &words, "health", &index)) return;
    read_word(&empty, kinds[index], out);
}
