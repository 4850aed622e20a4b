#include "cmd/daemon/mesh_ask.h"

static struct mesh_ask *find(struct mesh_ask_table *t, uint32_t token)
{
    for (size_t i = 0; i < MESH_ASK_SLOTS && token != 0; i++)
        if (t->slot[i].token == token) return &t->slot[i];
    return NULL;
}

struct gossip_event mesh_ask_event(struct mesh_ask_table *t, const struct mesh_ask_options *o)
{
    struct mesh_ask *a = &t->slot[t->next];
    t->next = (t->next + 1) % MESH_ASK_SLOTS;
    if (++t->token_next == 0) t->token_next = 1;
    *a = (struct mesh_ask){.token = t->token_next};
    return (struct gossip_event){.kind = GOSSIP_PING,
                                 .node = o->node,
                                 .token = a->token,
                                 .by_stream = o->by_stream,
                                 .bytes = o->bytes};
}

void mesh_ask_pong(struct mesh_ask_table *t, const struct gossip_effect *fx)
{
    struct mesh_ask *a = find(t, fx->token);
    if (a == NULL || a->answered) return;
    a->answered = true;
    a->err = fx->err;
    a->rtt_us = fx->rtt_us;
    a->connect_us = fx->connect_us;
    a->has_skew = fx->has_skew;
    a->skew_ms = fx->skew_ms;
}

void mesh_ask_failed(struct mesh_ask_table *t, uint32_t token, enum err err)
{
    struct gossip_effect fx = {.token = token, .err = err};
    mesh_ask_pong(t, &fx);
}

bool mesh_ask_take(struct mesh_ask_table *t, uint32_t token, struct mesh_ask *out)
{
    struct mesh_ask *a = find(t, token);
    if (a == NULL || !a->answered) return false;
    *out = *a;
    a->token = 0;
    return true;
}
