#include "tests/sim/memberlist/ml_roster.h"

#include "core/base/check.h"

#include <stdlib.h>

#define GOSSIP_TO_THE_DEAD_MS 30000u
#define RANDOM_TRIES          3u /* for each listed node */

enum err ml_roster_init(struct ml_roster *r, uint32_t nodes)
{
    *r = (struct ml_roster){.nodes = nodes};
    CHECK(nodes <= UINT16_MAX);
    r->entry = calloc(nodes, sizeof(r->entry[0]));
    r->order = calloc(nodes, sizeof(r->order[0]));
    r->count[ML_UNKNOWN] = nodes;
    if (r->entry != NULL && r->order != NULL) return ERR_OK;
    ml_roster_fini(r);
    return ERR_NOMEM;
}

void ml_roster_fini(struct ml_roster *r)
{
    free(r->entry);
    free(r->order);
    r->entry = NULL;
    r->order = NULL;
}

void ml_roster_set(struct ml_roster *r, uint32_t i, enum ml_status status, uint32_t aux)
{
    struct ml_entry *e = &r->entry[i];
    r->count[e->status]--;
    r->count[status]++;
    e->status = (uint32_t)status & 7;
    e->aux = aux;
}

void ml_roster_list(struct ml_roster *r, struct rng *rng, uint32_t i)
{
    uint32_t at = (uint32_t)rng_below(rng, r->listed + 1);
    r->order[r->listed] = r->order[at];
    r->order[at] = (uint16_t)i;
    r->listed++;
}

static void shuffle(struct ml_roster *r, struct rng *rng)
{
    for (uint32_t i = r->listed; i > 1; i--) {
        uint32_t k = (uint32_t)rng_below(rng, i);
        uint16_t swap = r->order[i - 1];
        r->order[i - 1] = r->order[k];
        r->order[k] = swap;
    }
}

void ml_roster_fill(struct ml_roster *r, struct rng *rng)
{
    for (uint32_t i = 0; i < r->nodes; i++) {
        r->order[i] = (uint16_t)i;
        r->entry[i].inc = 1;
        ml_roster_set(r, i, ML_ALIVE, 0);
    }
    r->listed = r->nodes;
    shuffle(r, rng);
    r->probe_at = (uint32_t)rng_below(rng, r->listed);
}

static bool long_dead(const struct ml_entry *e, uint32_t now_ms)
{
    return e->status == ML_DEAD && now_ms - e->aux > GOSSIP_TO_THE_DEAD_MS;
}

static void wrap(struct ml_roster *r, struct rng *rng, uint32_t now_ms)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->listed; i++) {
        uint16_t who = r->order[i];
        struct ml_entry *e = &r->entry[who];
        if (long_dead(e, now_ms)) {
            e->inc = 0;
            ml_roster_set(r, who, ML_FORGOTTEN, e->aux);
        } else {
            r->order[kept++] = who;
        }
    }
    r->listed = kept;
    r->probe_at = 0;
    shuffle(r, rng);
}

uint32_t ml_roster_next(struct ml_roster *r, struct rng *rng, uint32_t self, uint32_t now_ms)
{
    for (uint32_t checked = 0; checked < r->listed; checked++) {
        if (r->probe_at >= r->listed) {
            wrap(r, rng, now_ms);
            continue;
        }
        uint32_t i = r->order[r->probe_at++];
        enum ml_status status = r->entry[i].status;
        if (i != self && (status == ML_ALIVE || status == ML_SUSPECT)) return i;
    }
    return r->nodes;
}

static bool among(const uint32_t *list, uint32_t count, uint32_t i)
{
    bool found = false;
    for (uint32_t k = 0; k < count; k++)
        found = found || list[k] == i;
    return found;
}

uint32_t ml_roster_random(const struct ml_roster *r, struct rng *rng, const struct ml_draw *d,
                          uint32_t *out)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < RANDOM_TRIES * r->listed && count < d->want; i++) {
        uint32_t who = r->order[rng_below(rng, r->listed)];
        const struct ml_entry *e = &r->entry[who];
        bool fits = e->status == ML_ALIVE;
        if (d->gossip) fits = e->status != ML_LEFT && !long_dead(e, d->now_ms);
        if (fits && who != d->self && who != d->except && !among(out, count, who))
            out[count++] = who;
    }
    return count;
}
