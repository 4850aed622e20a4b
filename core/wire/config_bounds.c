#include "core/wire/config_bounds.h"

#include "core/base/check.h"
#include "core/base/limits.h"

#define SECOND    UINT32_C(1000)
#define MINUTE    (60 * SECOND)
#define HOUR      (60 * MINUTE)
#define KIB       UINT64_C(1024)
#define MIB       (1024 * KIB)
#define COUNT_MAX UINT32_C(1000000)

static void read_counts(const struct config_read_table *t, struct config_bounds *b)
{
    static const struct config_read_range connections = {
        .least = 1, .most = COUNT_MAX, .none = CONFIG_BOUNDS_CONNECTIONS};
    static const struct config_read_range each = {
        .least = 0, .most = COUNT_MAX, .none = CONFIG_BOUNDS_CONNECTIONS_PER_CLIENT};
    static const struct config_read_range handshakes = {
        .least = 1, .most = UINT16_MAX, .none = CONFIG_BOUNDS_HANDSHAKES};
    static const struct config_read_range requests = {
        .least = 1, .most = COUNT_MAX, .none = CONFIG_BOUNDS_REQUESTS};
    static const struct config_read_range in_a_row = {
        .least = 0, .most = COUNT_MAX, .none = CONFIG_BOUNDS_REQUESTS_PER_CONNECTION};
    static const struct config_read_range streams = {
        .least = 1, .most = LINK_STREAMS_MAX, .none = CONFIG_BOUNDS_STREAMS};
    config_read_integer(t, "connections", connections, &b->connections);
    config_read_integer(t, "connections_per_client", each, &b->connections_per_client);
    config_read_integer(t, "handshakes", handshakes, &b->handshakes);
    config_read_integer(t, "requests", requests, &b->requests);
    config_read_integer(t, "requests_per_connection", in_a_row, &b->requests_per_connection);
    config_read_integer(t, "streams", streams, &b->streams);
}

static void read_head(const struct config_read_table *t, struct config_bounds *b)
{
    static const struct config_read_range fields = {
        .least = 16, .most = HEADER_FIELDS_MAX, .none = HEADER_FIELDS_MAX};
    static const struct config_read_sizes bytes = {
        .least = KIB, .most = HEADER_BYTES_MAX, .none = HEADER_BYTES_MAX};
    static const struct config_read_sizes url = {
        .least = 128, .most = TARGET_BYTES_MAX, .none = TARGET_BYTES_MAX};
    uint64_t header_bytes, url_bytes;
    config_read_bytes(t, "header_bytes", bytes, &header_bytes);
    config_read_integer(t, "header_fields", fields, &b->header_fields);
    config_read_bytes(t, "url_bytes", url, &url_bytes);
    b->header_bytes = (uint32_t)header_bytes;
    b->url_bytes = (uint32_t)url_bytes;
}

static void read_times(const struct config_read_table *t, struct config_bounds *b)
{
    static const struct config_read_range header = {
        .least = SECOND, .most = 5 * MINUTE, .none = CONFIG_BOUNDS_HEADER_TIMEOUT_MS};
    static const struct config_read_range keep = {
        .least = SECOND, .most = HOUR, .none = CONFIG_BOUNDS_KEEP_ALIVE_MS};
    /* Peers end a link after a minute without use; the time here is for those that do not. */
    static const struct config_read_range link = {
        .least = SECOND, .most = 24 * HOUR, .none = CONFIG_BOUNDS_LINK_IDLE_MS};
    static const struct config_read_sizes rate = {
        .least = 0, .most = MIB, .none = CONFIG_BOUNDS_MIN_RATE};
    uint64_t min_rate;
    config_read_duration(t, "header_timeout", header, &b->header_timeout_ms);
    config_read_duration(t, "keep_alive", keep, &b->keep_alive_ms);
    config_read_duration(t, "link_idle", link, &b->link_idle_ms);
    config_read_bytes(t, "min_rate", rate, &min_rate);
    b->min_rate = (uint32_t)min_rate;
}

static void read_memory(const struct config_read_table *t, struct config_bounds *b)
{
    static const struct config_read_sizes memory = {.least = 8 * MIB, .most = MIB * MIB};
    struct config_read_item item = config_read_find(t, "memory");
    b->memory_bytes = 0;
    if (item.v == NULL || (item.v->kind == TOML_STRING && span_eq_str(item.v->u.text, "auto")))
        config_read_note(t, "memory", &item, "\"auto\"");
    else
        config_read_bytes(t, "memory", memory, &b->memory_bytes);
}

void config_bounds_load(const struct config_read_table *t)
{
    static const char *const known[] = {"connections",  "connections_per_client",
                                        "handshakes",   "requests",
                                        "streams",      "requests_per_connection",
                                        "header_bytes", "header_fields",
                                        "url_bytes",    "header_timeout",
                                        "keep_alive",   "link_idle",
                                        "min_rate",     "memory"};
    static const struct config_read_words keys = {known, ARRAY_LEN(known), NULL, 0};
    struct config_bounds *b = &t->read->config->bounds;
    config_read_keys(t, &keys);
    read_counts(t, b);
    read_head(t, b);
    read_times(t, b);
    read_memory(t, b);
}
