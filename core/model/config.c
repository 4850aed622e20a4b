#include "core/model/config.h"

#include <stdlib.h>

void config_free(struct config *c)
{
    if (c == NULL) return;
    arena_fini(&c->arena);
    free(c);
}

const struct config_service *config_service(const struct config *c, struct span name)
{
    size_t low = 0, high = c->service_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = span_cmp(name, span_str(c->service[mid].name.text));
        if (order == 0) return &c->service[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const struct config_upstream *config_upstream(const struct config *c, struct span name)
{
    size_t low = 0, high = c->upstream_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = span_cmp(name, span_str(c->upstream[mid].name.text));
        if (order == 0) return &c->upstream[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

static void add_key(const struct config *next, const char *key, struct strbuf *out)
{
    strbuf_str(out, key);
    for (size_t i = 0; i < next->value_count; i++) {
        const struct config_value *v = &next->value[i];
        if (strcmp(v->key, key) != 0 || v->file == NULL) continue;
        strbuf_fmt(out, " (%s:%u)", v->file, v->line);
        strbuf_char(out, '\n');
        return;
    }
    strbuf_str(out, " (default)\n");
}

static bool follows_addr(const struct config_node *n)
{
    return addr_same_ip(&n->bind, &n->addr);
}

/* Identity, mesh sockets, worker threads and the gossip clock are made once at start. */
size_t config_restart_needed(const struct config *running, const struct config *next,
                             struct strbuf *out)
{
    const struct config_node *a = &running->node, *b = &next->node;
    const struct {
        const char *key;
        bool differs;
    } row[] = {
        {"node.name", !name_eq(&a->name, &b->name)},
        {"node.mesh", !name_eq(&a->mesh, &b->mesh)},
        {"node.addr", !addr_same_ip(&a->addr, &b->addr)},
        {"node.bind", !addr_same_ip(&a->bind, &b->bind) && !(follows_addr(a) && follows_addr(b))},
        {"node.port", a->addr.port != b->addr.port},
        {"node.threads", a->threads != b->threads},
        {"gossip.profile", running->gossip_period_ms != next->gossip_period_ms},
        {"gossip.datagram_bytes", running->datagram_bytes != next->datagram_bytes},
        {"gossip.key_hold", running->key_hold_ms != next->key_hold_ms},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        if (!row[i].differs) continue;
        add_key(next, row[i].key, out);
        count++;
    }
    return count;
}
