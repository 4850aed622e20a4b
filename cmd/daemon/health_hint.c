#include "cmd/daemon/health_hint.h"

#include "core/base/strbuf.h"

static void by_http(const struct config_service *s, const char *at, struct strbuf *sb)
{
    bool h2 = s->protocol == PROTOCOL_H2 || s->protocol == PROTOCOL_GRPC;
    bool local = s->local.path[0] != '\0';
    strbuf_fmt(sb, "curl -i%s", h2 ? " --http2-prior-knowledge" : "");
    if (local) strbuf_fmt(sb, " --unix-socket %s", s->local.path);
    strbuf_fmt(sb, " 'http://%s%s'", local ? "localhost" : at, s->health.text);
}

static void by_exec(const struct config_service *s, struct strbuf *sb)
{
    strbuf_str(sb, "as parley's user: env -i");
    for (uint32_t i = 0; i < s->health.argc; i++)
        strbuf_fmt(sb, " %s", s->health.argv[i]);
}

const char *health_hint(const struct config_service *s, char out[HEALTH_HINT_BYTES])
{
    char at[ADDR_TEXT_MAX];
    struct strbuf sb;
    strbuf_init_fixed(&sb, out, HEALTH_HINT_BYTES);
    out[0] = '\0';
    addr_target_format(&s->local, at);
    switch (s->health.kind) {
    case CONFIG_HEALTH_HTTP:
        by_http(s, at, &sb);
        break;
    case CONFIG_HEALTH_EXEC:
        by_exec(s, &sb);
        break;
    case CONFIG_HEALTH_GRPC:
        strbuf_fmt(&sb, "does grpc.health.v1.Health answer at %s, without TLS?", at);
        break;
    case CONFIG_HEALTH_TCP:
    case CONFIG_HEALTH_NONE:
        strbuf_fmt(&sb, "is the application running, and does it listen on %s?", at);
        break;
    }
    return out;
}
