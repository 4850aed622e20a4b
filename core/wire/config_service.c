#include "core/wire/config_service.h"

#include "core/base/check.h"
#include "core/wire/config_health.h"
#include "core/wire/config_rule.h"
#include "core/wire/config_tags.h"

#define WEIGHT_MAX 1000u
#define LIMIT_MAX  1000000u

#define SECOND UINT32_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (3600 * SECOND)

static void read_local(const struct config_read_table *t, const struct config_read_item *place,
                       struct config_service *s)
{
    struct config_read *r = t->read;
    struct config_read_item item = config_read_find(t, "local");
    char text[ADDR_TEXT_MAX];
    if (item.v == NULL) {
        config_read_bad(r, place, "[%s] needs local, as in local = \"127.0.0.1:8080\"", t->path);
        return;
    }
    config_read_note(t, "local", &item, "");
    if (!config_read_is(r, &item, "local", TOML_STRING)) return;
    if (addr_target_parse(item.v->u.text, &s->local) != ERR_OK) {
        config_read_bad(r, &item,
                        "\"%.*s\" is neither an address and port nor a socket, as in "
                        "\"127.0.0.1:8080\" or \"unix:/run/web.sock\"",
                        SPAN_ARG(item.v->u.text));
        return;
    }
    if (s->local.path[0] != '\0') return;
    if (addr_is_forbidden(&s->local.addr))
        config_read_bad(r, &item, "%s is no address to connect to",
                        addr_format(&s->local.addr, text));
    else if (!addr_is_loopback(&s->local.addr))
        config_read_warning(r, &item, "L08",
                            "local is not a loopback address: other hosts may reach \"%s\" around "
                            "the mesh and its rules",
                            s->name.text);
}

static void read_limits(const struct config_read_table *t, struct config_limits *limits)
{
    static const char *const known[] = {"in_flight", "queue", "rps", "wait"};
    static const char *const later[] = {"body"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), later, ARRAY_LEN(later)};
    static const struct config_read_range count = {.least = 0, .most = LIMIT_MAX};
    static const struct config_read_range wait = {.least = 1, .most = HOUR, .none = SECOND};
    struct config_read *r = t->read;
    struct config_read_item item = config_read_find(t, "limits");
    struct config_read_table sub = {.read = r,
                                    .path = arena_fmt(&r->scratch, "%s.limits", t->path)};
    if (sub.path == NULL) {
        r->nomem = true;
        return;
    }
    if (item.v != NULL && config_read_is(r, &item, "limits", TOML_TABLE))
        sub = config_read_sub(t, &item, "limits");
    config_read_keys(&sub, &keys);
    config_read_integer(&sub, "in_flight", count, &limits->in_flight);
    config_read_integer(&sub, "queue", count, &limits->queue);
    config_read_integer(&sub, "rps", count, &limits->rps);
    config_read_duration(&sub, "wait", wait, &limits->wait_ms);
    struct config_read_item queue = config_read_find(&sub, "queue");
    if (queue.v != NULL && limits->queue > 0 && limits->in_flight == 0)
        config_read_bad(r, &queue, "a queue needs in_flight: without it nobody waits");
}

void config_service_load(const struct config_read_table *t, const struct config_read_item *place,
                         struct config_service *out)
{
    static const char *const known[] = {
        "local",  "protocol",       "health", "allow",           "rule",   "tags",
        "weight", "proxy_protocol", "limits", "connect_timeout", "connect"};
    static const char *const later[] = {"mode", "users", "drain", "faults"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), later, ARRAY_LEN(later)};
    static const char *const proxy[] = {"none", "v1", "v2"}; /* enum proxy_proto_version */
    static const struct config_read_words proxies = {proxy, ARRAY_LEN(proxy), NULL, 0};
    static const struct config_read_range weight = {
        .least = 1, .most = WEIGHT_MAX, .none = CONFIG_WEIGHT};
    const struct config_read_defaults *d = &t->read->defaults;
    struct config_read_range connect = {1, MINUTE, d->connect_timeout_ms, d->connect_at};
    config_read_keys(t, &keys);
    read_local(t, place, out);
    /* For the one who carries it TLS is bytes like others. */
    bool tls;
    out->learn = !config_read_protocol(t, &out->protocol, &tls);
    out->proxy_protocol =
        (enum proxy_proto_version)config_read_word(t, "proxy_protocol", &proxies, PROXY_PROTO_NONE);
    out->connect = config_read_connect(t, out->protocol);
    config_health_load(t, &out->health);
    /* Who is asked in HTTP/1.1 how they are speaks it. */
    if (out->health.kind == CONFIG_HEALTH_HTTP) out->learn = false;
    config_rule_load(t, span_str(out->name.text), out->protocol, &out->policy);
    struct config_tags tags = config_tags_read(t, "tags");
    out->tag = tags.tag;
    out->tag_count = tags.count;
    config_read_integer(t, "weight", weight, &out->weight);
    read_limits(t, &out->limits);
    config_read_duration(t, "connect_timeout", connect, &out->connect_timeout_ms);
    out->file = config_read_copy(t->read, span_str(place->src->file));
    out->line = place->v->at.line;
}
