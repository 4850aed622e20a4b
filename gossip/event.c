#include "gossip/event.h"

#include "core/base/check.h"

#include <stdlib.h>

#define EVENT_ARENA_CHUNK_BYTES (256u * 1024)
#define EVENT_ARENA_BYTES_MAX   (64u * 1024 * 1024)

enum err event_effects_init(struct gossip_effects *fx)
{
    *fx = (struct gossip_effects){0};
    fx->effect = calloc(GOSSIP_EFFECTS_MAX, sizeof(struct gossip_effect));
    if (fx->effect == NULL) return ERR_NOMEM;
    arena_init(&fx->arena, EVENT_ARENA_CHUNK_BYTES, EVENT_ARENA_BYTES_MAX);
    return ERR_OK;
}

void event_effects_fini(struct gossip_effects *fx)
{
    free(fx->effect);
    arena_fini(&fx->arena);
    *fx = (struct gossip_effects){0};
}

void event_effects_reset(struct gossip_effects *fx)
{
    fx->count = 0;
    arena_reset(&fx->arena);
}

struct gossip_effect *event_push(struct gossip_effects *fx, enum gossip_effect_kind kind)
{
    if (fx->count == GOSSIP_EFFECTS_MAX) return NULL;
    struct gossip_effect *e = &fx->effect[fx->count++];
    *e = (struct gossip_effect){.kind = kind};
    return e;
}
