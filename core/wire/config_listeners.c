#include "core/wire/config_listeners.h"

struct listener {
    struct target at;
    const struct config_upstream *shares; /* tls-passthrough: others may listen there too */
    struct config_read_item item;
    const char *kind; /* "upstream" */
    const char *name; /* "" when the kind says it all */
};

struct list {
    struct config_read *read;
    struct listener *entry;
    size_t count;
};

static bool clash(const struct target *at, const struct target *other)
{
    const struct addr *a = &at->addr, *b = &other->addr;
    if (at->path[0] != '\0' || other->path[0] != '\0') return addr_target_eq(at, other);
    if (a->port != b->port) return false;
    return addr_same_ip(a, b) || (a->family == b->family && (addr_is_any(a) || addr_is_any(b)));
}

/* Two upstreams of the same address whose connections SNI tells apart; says what it cannot. */
static bool may_share(struct list *l, const struct listener *next, const struct listener *old)
{
    const struct config_upstream *a = next->shares, *b = old->shares;
    if (a == NULL || b == NULL || !addr_target_eq(&next->at, &old->at)) return false;
    if (a->proxy_protocol != b->proxy_protocol)
        config_read_bad(l->read, &next->item,
                        "upstreams \"%s\" and \"%s\" share an address: proxy_protocol is for both "
                        "or none",
                        b->name.text, a->name.text);
    for (uint32_t i = 0; i < a->sni_count; i++)
        for (uint32_t j = 0; j < b->sni_count; j++)
            if (strcmp(a->sni[i], b->sni[j]) == 0)
                config_read_bad(l->read, &next->item,
                                "upstreams \"%s\" and \"%s\" share an address and the sni \"%s\"",
                                b->name.text, a->name.text, a->sni[i]);
    return true;
}

static void add(struct list *l, const struct listener *next)
{
    char text[ADDR_TEXT_MAX];
    if (next->item.v == NULL) return;
    if (next->at.addr.family == ADDR_NONE && next->at.path[0] == '\0') return;
    for (size_t i = 0; i < l->count; i++) {
        const struct listener *old = &l->entry[i];
        if (!clash(&old->at, &next->at) || may_share(l, next, old)) continue;
        config_read_bad(l->read, &next->item, "%s is taken by %s%s%s%s at %s:%u",
                        addr_target_format(&next->at, text), old->kind, old->name[0] ? " \"" : "",
                        old->name, old->name[0] ? "\"" : "", old->item.src->file,
                        (unsigned)old->item.v->at.line);
        return;
    }
    l->entry[l->count++] = *next;
}

static void add_services(struct list *l, const struct config_merge *m)
{
    const struct config *c = l->read->config;
    for (size_t i = 0; i < c->service_count; i++) {
        struct listener app = {.at = c->service[i].local,
                               .item = config_read_find(&m->service.entry[i].table, "local"),
                               .kind = "the application of service",
                               .name = c->service[i].name.text};
        /* Two services may share an application; none of ours may stand in its place. */
        bool shared = false;
        for (size_t j = 0; j < i; j++)
            shared = shared || addr_target_eq(&c->service[i].local, &c->service[j].local);
        if (!shared) add(l, &app);
    }
}

void config_listeners_check(const struct config_merge *m)
{
    struct config_read *r = m->read;
    const struct config *c = r->config;
    size_t most = c->service_count + c->upstream_count + 2;
    struct list l = {.read = r, .entry = config_read_alloc(r, false, most, sizeof(*l.entry))};
    if (l.entry == NULL) return;
    const struct config_read_table *node = &m->section[CONFIG_MERGE_NODE];
    struct config_read_item bind = config_read_find(node, "bind");
    struct listener mesh = {.at.addr = c->node.bind,
                            .item = bind.v != NULL ? bind : config_read_find(node, "addr"),
                            .kind = "the mesh port",
                            .name = ""};
    struct listener metrics = {.at.addr = c->metrics_listen,
                               .item =
                                   config_read_find(&m->section[CONFIG_MERGE_METRICS], "listen"),
                               .kind = "[metrics]",
                               .name = ""};
    add(&l, &mesh);
    add(&l, &metrics);
    add_services(&l, m);
    for (size_t i = 0; i < c->upstream_count; i++) {
        struct listener upstream = {.at = c->upstream[i].listen,
                                    .shares = c->upstream[i].sni != NULL ? &c->upstream[i] : NULL,
                                    .item = config_read_find(&m->upstream.entry[i].table, "listen"),
                                    .kind = "upstream",
                                    .name = c->upstream[i].name.text};
        add(&l, &upstream);
    }
}
