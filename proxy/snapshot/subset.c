#include "proxy/snapshot/subset.h"

#include "core/base/check.h"
#include "core/base/hash.h"

#include <stdlib.h>

#define PERMILLE 1000u

struct candidate {
    uint64_t score;
    uint32_t at;
};

struct subset { /* one build */
    struct snapshot_upstream *to;
    struct arena *arena;
    uint64_t self;
    uint32_t aperture;
    struct candidate *candidate; /* scratch, one an endpoint */
};

bool subset_tagged(const struct service_tag *want, uint32_t want_count,
                   const struct service_tag *tag, uint32_t tag_count)
{
    for (uint32_t w = 0; w < want_count; w++) {
        bool found = false;
        for (uint32_t i = 0; i < tag_count && !found; i++)
            found =
                strcmp(want[w].key, tag[i].key) == 0 && strcmp(want[w].value, tag[i].value) == 0;
        if (!found) return false;
    }
    return true;
}

uint32_t subset_group(const struct config_upstream *u, const struct service_tag *tag,
                      uint32_t tag_count)
{
    for (uint32_t i = 0; i < u->split_count; i++)
        if (subset_tagged(u->split[i].tag, u->split[i].tag_count, tag, tag_count)) return i + 1;
    return 0;
}

static bool usable(const struct snapshot_upstream *u, const struct snapshot_endpoint *e)
{
    return e->status == ENDPOINT_UP || (u->panic && e->status != ENDPOINT_DRAINING);
}

static int by_score(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static enum err fill(struct subset *s, uint32_t group, bool near, struct snapshot_pool *pool)
{
    const struct snapshot_endpoint *e = s->to->endpoint;
    uint32_t count = 0;
    bool cut = false;
    for (uint32_t i = 0; i < s->to->endpoint_count; i++) {
        if (e[i].group != group || e[i].near != near || !usable(s->to, &e[i])) continue;
        s->candidate[count++] = (struct candidate){hash_mix(s->self ^ hash_mix(e[i].id)), i};
    }
    if (s->aperture > 0 && count > s->aperture) {
        qsort(s->candidate, count, sizeof(*s->candidate), by_score);
        count = s->aperture;
        cut = true;
    }
    uint32_t *at = arena_array(s->arena, count, sizeof(*at));
    if (at == NULL) return ERR_NOMEM;
    *pool = (struct snapshot_pool){.at = at, .count = count, .cut = cut};
    for (uint32_t i = 0; i < count; i++) {
        at[i] = s->candidate[i].at;
        if (e[at[i]].weight > pool->weight_max) pool->weight_max = e[at[i]].weight;
    }
    return ERR_OK;
}

/* How much of a group's requests its near endpoints get, from how many of them are up. */
static uint32_t near_share(const struct snapshot_upstream *u, uint32_t group)
{
    uint64_t up = 0, all = 0;
    for (size_t i = 0; i < u->endpoint_count; i++) {
        const struct snapshot_endpoint *e = &u->endpoint[i];
        if (e->group != group || !e->near || e->status == ENDPOINT_DRAINING) continue;
        all++;
        up += usable(u, e);
    }
    if (up == 0) return 0;
    uint64_t share = up * PERMILLE * 100 / (all * SUBSET_HEALTHY_PERCENT);
    return share < PERMILLE ? (uint32_t)share : PERMILLE;
}

static bool too_few_up(const struct snapshot_upstream *u, uint32_t percent)
{
    uint64_t up = 0, all = 0;
    for (size_t i = 0; i < u->endpoint_count; i++) {
        if (u->endpoint[i].status == ENDPOINT_DRAINING) continue;
        all++;
        up += u->endpoint[i].status == ENDPOINT_UP;
    }
    return up * 100 < all * percent;
}

/* Everything is one pool when nothing tells endpoints apart and all may be linked to. */
static bool is_plain(const struct snapshot_upstream *u, uint32_t groups, uint32_t aperture)
{
    size_t near = 0;
    for (size_t i = 0; i < u->endpoint_count; i++)
        near += u->endpoint[i].near;
    bool one_zone = near == 0 || near == u->endpoint_count;
    return groups == 1 && one_zone && (aperture == 0 || u->endpoint_count <= aperture);
}

enum err subset_build(const struct config_upstream *from, uint64_t self, struct arena *arena,
                      struct snapshot_upstream *to)
{
    uint32_t groups = from->split_count + 1;
    struct subset s = {.to = to, .arena = arena, .self = self, .aperture = from->aperture};
    to->panic = too_few_up(to, from->panic_percent);
    if (is_plain(to, groups, from->aperture)) return ERR_OK;
    struct snapshot_group *group = arena_array(arena, groups, sizeof(*group));
    s.candidate = calloc(to->endpoint_count + 1, sizeof(*s.candidate));
    enum err err = group != NULL && s.candidate != NULL ? ERR_OK : ERR_NOMEM;
    for (uint32_t g = 0; g < groups && err == ERR_OK; g++) {
        group[g].percent = g > 0 ? from->split[g - 1].percent : 0;
        err = fill(&s, g, true, &group[g].near);
        if (err == ERR_OK) err = fill(&s, g, false, &group[g].far);
        group[g].near_permille = group[g].far.count > 0 ? near_share(to, g) : PERMILLE;
    }
    free(s.candidate);
    if (err != ERR_OK) return err;
    to->group = group;
    to->group_count = groups;
    return ERR_OK;
}
