#include "gossip/event.h"

#include "core/base/check.h"
#include "core/crypto/seal.h"

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

/* Before the arena gives the room to others. */
static void wipe(struct gossip_effects *fx)
{
    for (size_t i = 0; i < fx->secrets; i++)
        seal_wipe((void *)(uintptr_t)fx->secret[i].p, fx->secret[i].len);
    fx->secrets = 0;
}

void event_effects_fini(struct gossip_effects *fx)
{
    free(fx->effect);
    wipe(fx);
    arena_fini(&fx->arena);
    *fx = (struct gossip_effects){0};
}

void event_effects_reset(struct gossip_effects *fx)
{
    fx->count = 0;
    wipe(fx);
    arena_reset(&fx->arena);
}

struct gossip_effect *event_push(struct gossip_effects *fx, enum gossip_effect_kind kind)
{
    if (fx->count == GOSSIP_EFFECTS_MAX) return NULL;
    struct gossip_effect *e = &fx->effect[fx->count++];
    *e = (struct gossip_effect){.kind = kind};
    return e;
}

uint8_t *event_secret_alloc(struct gossip_effects *fx, size_t len)
{
    if (fx->secrets == GOSSIP_SECRETS_MAX) return NULL;
    uint8_t *room = arena_alloc(&fx->arena, len);
    if (room != NULL) fx->secret[fx->secrets++] = span_of(room, len);
    return room;
}

struct span event_secret(struct gossip_effects *fx, struct span bytes)
{
    uint8_t *copy = event_secret_alloc(fx, bytes.len);
    if (copy == NULL) return span_of(NULL, 0);
    memcpy(copy, bytes.p, bytes.len);
    return span_of(copy, bytes.len);
}
