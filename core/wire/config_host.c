#include "core/wire/config_host.h"

#include "core/base/check.h"

#define HOST_NAME_BYTES_MAX 253u /* RFC 1035 2.3.4, without the root's dot */
#define LABEL_BYTES_MAX     63u
#define ACCESS_PATH_MAX     4095u

#define SECOND UINT32_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

/* The ranges of timeouts that [defaults] and [upstream.X] share. */
static const struct config_read_range connect_range = {
    .least = 1, .most = MINUTE, .none = CONFIG_CONNECT_TIMEOUT_MS};
static const struct config_read_range request_range = {
    .least = 1, .most = HOUR, .none = CONFIG_REQUEST_TIMEOUT_MS};
static const struct config_read_range idle_range = {
    .least = SECOND, .most = 24 * HOUR, .none = CONFIG_IDLE_TIMEOUT_MS};

static void read_ip(const struct config_read_table *t, const char *key, uint16_t port,
                    struct config_read_item *item, struct addr *out)
{
    struct addr a;
    if (!config_read_member(t, key, TOML_STRING, item)) return;
    struct span text = item->v->u.text;
    /* Some port is needed to parse; whether one was written is seen below. */
    if (addr_parse(text, 1, &a) != ERR_OK) {
        config_read_bad(t->read, item, "\"%.*s\" is not an IP address", SPAN_ARG(text));
        return;
    }
    if (text.p[text.len - 1] != ']' && (memchr(text.p, '[', text.len) != NULL ||
                                        (a.family == ADDR_IP4 && memchr(text.p, ':', text.len)))) {
        config_read_bad(t->read, item, "%s is an IP address alone; its port goes into node.port",
                        key);
        return;
    }
    a.port = port;
    *out = a;
}

static const char *why_forbidden(const struct addr *a)
{
    if (addr_is_any(a))
        return "stands for every address: write the one that peers dial, and this as bind";
    if (a->family == ADDR_IP4 && a->ip[0] == 169)
        return "is link-local: other hosts cannot dial it";
    if (a->family == ADDR_IP6 && a->ip[0] == 0xfe)
        return "is link-local: other hosts cannot dial it";
    return "is not the address of one host";
}

/* security.md M11. */
static void check_dialable(struct config_read *r, const struct config_read_item *item,
                           const struct addr *a)
{
    if (addr_is_forbidden(a))
        config_read_bad(r, item, "%.*s %s", SPAN_ARG(item->v->u.text), why_forbidden(a));
}

static void read_addresses(const struct config_read_table *t, struct config_node *n)
{
    static const struct config_read_range ports = {
        .least = 1, .most = UINT16_MAX, .none = CONFIG_PORT_DEFAULT};
    struct config_read_item item = {.v = NULL}, bind = {.v = NULL};
    uint32_t port;
    config_read_integer(t, "port", ports, &port);
    read_ip(t, "addr", (uint16_t)port, &item, &n->addr);
    config_read_note(t, "addr", &item, "");
    if (n->addr.family != ADDR_NONE) check_dialable(t->read, &item, &n->addr);
    n->bind = n->addr;
    read_ip(t, "bind", (uint16_t)port, &bind, &n->bind);
    config_read_note(t, "bind", bind.v != NULL ? &bind : &item, "");
    if (bind.v != NULL && addr_is_forbidden(&n->bind) && !addr_is_any(&n->bind))
        check_dialable(t->read, &bind, &n->bind);
}

/* RFC 1123 2.1. A last label of digits alone would be a mistyped address. */
static bool host_name_valid(struct span s)
{
    bool digits = true;
    if (s.len == 0 || s.len > HOST_NAME_BYTES_MAX) return false;
    for (struct span rest = s; rest.p != NULL;) {
        struct span label = span_cut(rest, '.', &rest);
        if (label.len == 0 || label.len > LABEL_BYTES_MAX) return false;
        if (label.p[0] == '-' || label.p[label.len - 1] == '-') return false;
        digits = true;
        for (size_t i = 0; i < label.len; i++) {
            char c = label.p[i];
            bool digit = c >= '0' && c <= '9';
            if (!digit && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '-')
                return false;
            digits = digits && digit;
        }
    }
    return !digits;
}

static bool parse_peer(struct config_read *r, const struct config_read_item *item,
                       struct config_peer *out)
{
    struct span text = item->v->u.text, port;
    struct addr a;
    uint64_t number = out->port;
    if (addr_parse(text, out->port, &a) == ERR_OK) {
        check_dialable(r, item, &a);
        *out = (struct config_peer){.kind = PEER_ADDR, .addr = a, .port = a.port};
        return true;
    }
    struct span host = span_cut(text, ':', &port);
    bool port_good = port.p == NULL || (span_u64(port, &number) && number > 0 &&
                                        number <= UINT16_MAX && port.p[0] != '0');
    if (!port_good || !host_name_valid(host)) {
        config_read_bad(r, item,
                        "\"%.*s\" is neither an address nor a host name, each with an optional "
                        ":port",
                        SPAN_ARG(text));
        return false;
    }
    *out = (struct config_peer){
        .kind = PEER_NAME, .host = config_read_copy(r, host), .port = (uint16_t)number};
    return true;
}

static void read_peers(const struct config_read_table *t, struct config_node *n)
{
    struct config_read *r = t->read;
    struct config_read_item list = config_read_find(t, "peers");
    config_read_note(t, "peers", &list, "[]");
    if (list.v == NULL || !config_read_is(r, &list, "peers", TOML_ARRAY)) return;
    if (list.v->u.node.count > CONFIG_PEERS_MAX) {
        config_read_bad(r, &list, "more than %u peers: any two live members are enough",
                        CONFIG_PEERS_MAX);
        return;
    }
    n->peer = config_read_alloc(r, true, list.v->u.node.count, sizeof(*n->peer));
    if (n->peer == NULL) return;
    for (const struct toml_value *v = list.v->u.node.child; v != NULL; v = v->next) {
        struct config_read_item item = {.src = list.src, .v = v};
        struct config_peer peer = {.port = n->addr.port != 0 ? n->addr.port : CONFIG_PORT_DEFAULT};
        if (!config_read_is(r, &item, "a peer", TOML_STRING)) continue;
        if (parse_peer(r, &item, &peer)) n->peer[n->peer_count++] = peer;
    }
}

static void need(const struct config_read_table *t, const char *key,
                 const struct config_read_item *place, const char *example)
{
    if (config_read_find(t, key).v != NULL) return;
    struct toml_place at = place->v != NULL ? place->v->at : (struct toml_place){.line = 0};
    config_read_error(t->read, place->src, &at, "[node] needs %s, as in %s = \"%s\"", key, key,
                      example);
}

void config_host_node(const struct config_read_table *t, const struct config_read_item *place)
{
    static const char *const known[] = {"name", "mesh", "zone",  "addr",
                                        "bind", "port", "peers", "threads"};
    static const char *const later[] = {"interface"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), later, ARRAY_LEN(later)};
    static const struct config_read_range threads = {.least = 0, .most = WORKERS_MAX, .none = 0};
    struct config_node *n = &t->read->config->node;
    config_read_keys(t, &keys);
    need(t, "name", place, "web-1");
    need(t, "mesh", place, "shop");
    need(t, "addr", place, "10.0.0.1");
    (void)config_read_name(t, "name", &n->name);
    (void)config_read_name(t, "mesh", &n->mesh);
    (void)config_read_name(t, "zone", &n->zone);
    read_addresses(t, n);
    read_peers(t, n);
    config_read_integer(t, "threads", threads, &n->threads);
}

void config_host_defaults(const struct config_read_table *t)
{
    static const char *const known[] = {"policy", "connect_timeout", "request_timeout",
                                        "idle_timeout"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), NULL, 0};
    static const char *const policy[] = {"deny", "allow", "audit"}; /* enum policy_default */
    static const struct config_read_words policies = {policy, ARRAY_LEN(policy), NULL, 0};
    struct config_read_defaults *d = &t->read->defaults;
    config_read_keys(t, &keys);
    d->fallback =
        (enum policy_default)config_read_word(t, "policy", &policies, POLICY_DEFAULT_DENY);
    config_read_duration(t, "connect_timeout", connect_range, &d->connect_timeout_ms);
    config_read_duration(t, "request_timeout", request_range, &d->request_timeout_ms);
    config_read_duration(t, "idle_timeout", idle_range, &d->idle_timeout_ms);
    d->connect_at = config_read_find(t, "connect_timeout");
    d->request_at = config_read_find(t, "request_timeout");
    d->idle_at = config_read_find(t, "idle_timeout");
}

void config_host_metrics(const struct config_read_table *t)
{
    static const char *const known[] = {"listen"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), NULL, 0};
    config_read_keys(t, &keys);
    if (!config_read_listen(t, "listen", &t->read->config->metrics_listen))
        t->read->config->metrics_listen = (struct addr){.family = ADDR_NONE};
}

static void read_access(const struct config_read_table *t)
{
    static const char *const known[] = {"to", "only", "query"};
    static const char *const later[] = {"sample"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), later, ARRAY_LEN(later)};
    static const char *const only[] = {"all", "errors", "none"}; /* enum config_access_only */
    static const char *const only_later[] = {"tries"};
    static const struct config_read_words onlys = {only, ARRAY_LEN(only), only_later,
                                                   ARRAY_LEN(only_later)};
    struct config_log *log = &t->read->config->log;
    struct config_read_item to = config_read_find(t, "to");
    config_read_keys(t, &keys);
    config_read_note(t, "to", &to, "\"stdout\"");
    log->access_only = (enum config_access_only)config_read_word(t, "only", &onlys, ACCESS_ALL);
    config_read_bool(t, "query", false, &log->access_query);
    log->access_to = "stdout";
    if (to.v == NULL || !config_read_is(t->read, &to, "to", TOML_STRING)) return;
    struct span text = to.v->u.text;
    bool path = text.len > 1 && text.len <= ACCESS_PATH_MAX && text.p[0] == '/' &&
                memchr(text.p, '\0', text.len) == NULL;
    if (span_eq_str(text, "journal"))
        config_read_bad(t->read, &to,
                        "\"journal\" is not part of this version; under systemd \"stdout\" is kept "
                        "by the journal");
    else if (!path && !span_eq_str(text, "stdout"))
        config_read_bad(t->read, &to, "to must be \"stdout\" or the absolute path of a file");
    else
        log->access_to = config_read_copy(t->read, text);
}

void config_host_log(const struct config_read_table *t)
{
    static const char *const known[] = {"format", "level", "access"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), NULL, 0};
    static const char *const format[] = {"text", "json"}; /* enum config_log_format */
    static const struct config_read_words formats = {format, ARRAY_LEN(format), NULL, 0};
    static const char *const level[] = {"debug", "info", "warn", "error"}; /* config_log_level */
    static const struct config_read_words levels = {level, ARRAY_LEN(level), NULL, 0};
    struct config_log *log = &t->read->config->log;
    config_read_keys(t, &keys);
    log->format = (enum config_log_format)config_read_word(t, "format", &formats, LOG_FORMAT_TEXT);
    log->level = (enum config_log_level)config_read_word(t, "level", &levels, LOG_LEVEL_INFO);
    struct config_read_item item = config_read_find(t, "access");
    struct config_read_table access = {.read = t->read, .path = "log.access"};
    if (item.v != NULL && config_read_is(t->read, &item, "access", TOML_TABLE))
        access = config_read_sub(t, &item, "access");
    read_access(&access);
}

void config_host_gossip(const struct config_read_table *t)
{
    static const char *const known[] = {"profile", "datagram_bytes", "key_hold"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), NULL, 0};
    static const char *const profile[] = {"lan", "fast", "wan"};
    static const uint32_t period_ms[] = {1000, 500, 5000}; /* gossip.md 2.1, 2.3 */
    static const struct config_read_words profiles = {profile, ARRAY_LEN(profile), NULL, 0};
    static const struct config_read_range bytes = {
        .least = DATAGRAM_BYTES_MAX, .most = 1400, .none = DATAGRAM_BYTES_MAX};
    /* Two renewals of a certificate of 24 h (gossip.md 3.4). */
    static const struct config_read_range hold = {
        .least = 1000, .most = 7 * 86400000u, .none = 86400000};
    config_read_keys(t, &keys);
    t->read->config->gossip_period_ms = period_ms[config_read_word(t, "profile", &profiles, 0)];
    config_read_integer(t, "datagram_bytes", bytes, &t->read->config->datagram_bytes);
    config_read_duration(t, "key_hold", hold, &t->read->config->key_hold_ms);
}
