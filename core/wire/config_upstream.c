#include "core/wire/config_upstream.h"

#include "core/base/check.h"
#include "core/wire/config_balance.h"
#include "core/wire/config_retry.h"

#define SNI_NAME_MAX 253u /* RFC 1035 2.3.4, without the root's dot */

#define SECOND UINT32_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

static void read_listen(const struct config_read_table *t, const struct config_read_item *place,
                        struct config_upstream *u)
{
    struct config_read *r = t->read;
    struct config_read_item item = config_read_find(t, "listen");
    char text[ADDR_TEXT_MAX];
    if (item.v == NULL) {
        config_read_bad(r, place, "[%s] needs listen, as in listen = \"127.0.0.1:9001\"", t->path);
        return;
    }
    config_read_note(t, "listen", &item, "");
    if (!config_read_is(r, &item, "listen", TOML_STRING)) return;
    if (addr_target_parse(item.v->u.text, &u->listen) != ERR_OK) {
        config_read_bad(r, &item,
                        "\"%.*s\" is neither an address and port nor a socket, as in "
                        "\"127.0.0.1:9001\", \"[::1]:9001\" or \"unix:/run/api.sock\"",
                        SPAN_ARG(item.v->u.text));
        return;
    }
    /* Who may connect to a socket is said by the folder that it is in. */
    if (u->listen.path[0] != '\0') return;
    if (addr_is_forbidden(&u->listen.addr))
        config_read_bad(r, &item,
                        "%s would let everyone who reaches this host call as one of its services: "
                        "listen on a loopback address",
                        addr_format(&u->listen.addr, text));
    else if (!addr_is_loopback(&u->listen.addr))
        config_read_warning(
            r, &item, "L09",
            "listen is not a loopback address: whoever reaches it calls \"%s\" with "
            "an identity of this host",
            u->name.text);
}

/* RFC 6066 3: a DNS name; we compare in lower case. */
static bool sni_good(struct span s)
{
    if (span_starts(s, SPAN_LIT("*."))) s = span_skip(s, 2);
    if (s.len == 0 || s.len > SNI_NAME_MAX || s.p[0] == '.' || s.p[s.len - 1] == '.') return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                    (c == '.' && s.p[i - 1] != '.');
        if (!good) return false;
    }
    return true;
}

static void read_sni_list(const struct config_read_table *t, const struct config_read_item *list,
                          struct config_upstream *u)
{
    struct config_read *r = t->read;
    if (!config_read_is(r, list, "sni", TOML_ARRAY)) return;
    if (list->v->u.node.count == 0 || list->v->u.node.count > CONFIG_SNI_MAX) {
        config_read_bad(r, list, "sni is a list of 1 to %u names", CONFIG_SNI_MAX);
        return;
    }
    u->sni = config_read_alloc(r, true, list->v->u.node.count, sizeof(*u->sni));
    for (const struct toml_value *v = list->v->u.node.child; u->sni != NULL && v; v = v->next) {
        struct config_read_item item = {.src = list->src, .v = v};
        if (!config_read_is(r, &item, "a name", TOML_STRING)) continue;
        if (sni_good(v->u.text))
            u->sni[u->sni_count++] = config_read_copy(r, v->u.text);
        else
            config_read_bad(r, &item,
                            "\"%.*s\" is no name in lower case, as in \"api.example\" or "
                            "\"*.example\"",
                            SPAN_ARG(v->u.text));
    }
}

/* Without a list: the service's own name, alone and as a name of the mesh. */
static void read_sni(const struct config_read_table *t, bool passthrough, struct config_upstream *u)
{
    struct config_read *r = t->read;
    struct config_read_item list = config_read_find(t, "sni");
    const char *name = u->name.text, *mesh = r->config->node.mesh.text;
    if (!passthrough) {
        if (list.v != NULL)
            config_read_bad(r, &list, "sni is for protocol = \"tls-passthrough\" alone");
        return;
    }
    const char *none = arena_fmt(&r->scratch, "[\"%s\", \"%s.%s\"]", name, name, mesh);
    if (none == NULL) r->nomem = true;
    config_read_note(t, "sni", &list, none != NULL ? none : "");
    if (list.v != NULL) {
        read_sni_list(t, &list, u);
        return;
    }
    const char *whole = arena_fmt(&r->scratch, "%s.%s", name, mesh);
    u->sni = config_read_alloc(r, true, 2, sizeof(*u->sni));
    if (u->sni == NULL || whole == NULL) {
        r->nomem = true;
        return;
    }
    u->sni[u->sni_count++] = config_read_copy(r, span_str(name));
    u->sni[u->sni_count++] = config_read_copy(r, span_str(whole));
}

static const char *read_file_name(const struct config_read_table *t, const char *key)
{
    struct config_read_item item;
    if (!config_read_member(t, key, TOML_STRING, &item)) {
        if (config_read_find(t, key).v == NULL)
            config_read_error(t->read, t->part[0].src, &t->part[0].table->at,
                              "%s needs cert and key, as in { cert = \"/etc/parley/tls/api.crt\", "
                              "key = \"/etc/parley/tls/api.key\" }",
                              t->path);
        return NULL;
    }
    config_read_note(t, key, &item, "");
    if (item.v->u.text.len > 0 && item.v->u.text.p[0] == '/')
        return config_read_copy(t->read, item.v->u.text);
    config_read_bad(t->read, &item, "%s.%s must be the whole path of a file", t->path, key);
    return NULL;
}

/* Callers that speak TLS, to us and not to the application. */
static void read_tls(const struct config_read_table *t, struct config_upstream *u)
{
    static const char *const known[] = {"cert", "key"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), NULL, 0};
    struct config_read_item item = config_read_find(t, "tls");
    if (item.v == NULL || !config_read_is(t->read, &item, "tls", TOML_TABLE)) return;
    struct config_read_table sub = config_read_sub(t, &item, "tls");
    if (u->protocol == PROTOCOL_TCP) {
        config_read_bad(t->read, &item,
                        "tls is for http: bytes of tcp pass through as they are, TLS too");
        return;
    }
    config_read_keys(&sub, &keys);
    u->tls_cert = read_file_name(&sub, "cert");
    u->tls_key = read_file_name(&sub, "key");
    /* Who says TLS says HTTP. */
    u->learn = false;
}

/* `"web", "api"`: the services an `as` may name. */
static const char *service_names(struct config_read *r)
{
    const struct config *c = r->config;
    const char *list = "";
    for (size_t i = 0; i < c->service_count && list != NULL; i++)
        list =
            arena_fmt(&r->scratch, "%s%s\"%s\"", list, i > 0 ? ", " : "", c->service[i].name.text);
    if (list == NULL) r->nomem = true;
    return list != NULL ? list : "";
}

static const char **service_list(struct config_read *r)
{
    const struct config *c = r->config;
    const char **list = config_read_alloc(r, false, c->service_count + 1, sizeof(*list));
    if (list == NULL) return NULL;
    for (size_t i = 0; i < c->service_count; i++)
        list[i] = c->service[i].name.text;
    list[c->service_count] = "node";
    return list;
}

static void unknown_identity(struct config_read *r, const struct config_read_item *item)
{
    const struct config *c = r->config;
    const char **list = service_list(r);
    if (list == NULL) return;
    const char *near = diag_did_you_mean(item->v->u.text, list, c->service_count + 1);
    config_read_bad(r, item, "as names no service of this host: \"%.*s\"%s%s%s",
                    SPAN_ARG(item->v->u.text), near != NULL ? "; did you mean \"" : "",
                    near != NULL ? near : "",
                    near != NULL ? "\"?" : "; it may also be \"node\", the host itself");
}

static void read_as(const struct config_read_table *t, const struct config_read_item *place,
                    struct config_upstream *u)
{
    struct config_read *r = t->read;
    const struct config *c = r->config;
    struct config_read_item item = config_read_find(t, "as");
    u->as = (struct spiffe_id){.mesh = c->node.mesh, .name = c->node.name, .kind = IDENTITY_NODE};
    if (item.v == NULL && c->service_count > 1) {
        config_read_bad(r, place,
                        "[%s] needs as: this host has several identities to call with, %s and "
                        "\"node\"",
                        t->path, service_names(r));
        return;
    }
    const char *none = c->service_count == 1 ? c->service[0].name.text : "node";
    const char *quoted = arena_fmt(&r->scratch, "\"%s\"", none);
    if (quoted == NULL) r->nomem = true;
    config_read_note(t, "as", &item, quoted != NULL ? quoted : "");
    if (item.v != NULL && !config_read_is(r, &item, "as", TOML_STRING)) return;
    struct span as = item.v != NULL ? item.v->u.text : span_str(none);
    if (span_eq_str(as, "node")) return;
    const struct config_service *s = config_service(c, as);
    if (s == NULL) {
        unknown_identity(r, &item);
        return;
    }
    u->as.kind = IDENTITY_SERVICE;
    u->as.name = s->name;
}

static void read_try_timeout(const struct config_read_table *t, struct config_upstream *u)
{
    static const struct config_read_range one_try = {.least = 0, .most = HOUR};
    struct config_read_item item = config_read_find(t, "try_timeout");
    if (u->protocol != PROTOCOL_TCP)
        config_read_duration(t, "try_timeout", one_try, &u->try_timeout_ms);
    else if (item.v != NULL)
        config_read_error(t->read, item.src, &item.v->key_at,
                          "try_timeout is for http, and upstream \"%s\" is tcp: use "
                          "connect_timeout",
                          u->name.text);
}

static void read_timeouts(const struct config_read_table *t, struct config_upstream *u)
{
    const struct config_read_defaults *d = &t->read->defaults;
    struct config_read_range connect = {1, MINUTE, d->connect_timeout_ms, d->connect_at};
    struct config_read_range request = {1, HOUR, d->request_timeout_ms, d->request_at};
    struct config_read_range idle = {SECOND, 24 * HOUR, d->idle_timeout_ms, d->idle_at};
    struct config_read_item item = config_read_find(t, "request_timeout");
    bool tcp = u->protocol == PROTOCOL_TCP;
    /* Databases keep quiet connections for long; only who says so wants them cut. */
    if (tcp && d->idle_at.v == NULL) idle.none = CONFIG_TCP_IDLE_TIMEOUT_MS;
    config_read_duration(t, "connect_timeout", connect, &u->connect_timeout_ms);
    config_read_duration(t, "idle_timeout", idle, &u->idle_timeout_ms);
    bool said = config_read_find(t, "idle_timeout").v != NULL || d->idle_at.v != NULL;
    u->tcp_idle_timeout_ms = said ? u->idle_timeout_ms : CONFIG_TCP_IDLE_TIMEOUT_MS;
    read_try_timeout(t, u);
    if (!tcp)
        config_read_duration(t, "request_timeout", request, &u->request_timeout_ms);
    else if (item.v != NULL)
        config_read_error(t->read, item.src, &item.v->key_at,
                          "request_timeout is for http, and upstream \"%s\" is tcp: use "
                          "idle_timeout",
                          u->name.text);
}

void config_upstream_load(const struct config_read_table *t, const struct config_read_item *place,
                          struct config_upstream *out)
{
    static const char *const known[] = {
        "listen",      "as",    "protocol", "proxy_protocol",  "sni",         "tls",
        "connect",     "tags",  "balance",  "split",           "aperture",    "slow_start",
        "panic",       "retry", "eject",    "connect_timeout", "try_timeout", "request_timeout",
        "idle_timeout"};
    static const char *const later[] = {"users", "limits", "service", "pool"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), later, ARRAY_LEN(later)};
    config_read_keys(t, &keys);
    read_listen(t, place, out);
    bool passthrough;
    out->learn = !config_read_protocol(t, &out->protocol, &passthrough);
    read_sni(t, passthrough, out);
    config_read_bool(t, "proxy_protocol", false, &out->proxy_protocol);
    read_tls(t, out);
    out->connect = config_read_connect(t, out->protocol);
    read_as(t, place, out);
    config_balance_load(t, out);
    config_retry_load(t, out);
    config_retry_eject(t, out);
    read_timeouts(t, out);
    out->file = config_read_copy(t->read, span_str(place->src->file));
    out->line = place->v->at.line;
}
