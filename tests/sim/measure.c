#include "tests/sim/measure.h"

#include "core/base/check.h"
#include "tests/sim/world.h"

#include <math.h>
#include <stdlib.h>

#define FIRST_CAP 64u

void measure_init(struct measure *m)
{
    *m = (struct measure){0};
}

void measure_fini(struct measure *m)
{
    free(m->first_unreachable.ms);
    free(m->first_dead.ms);
    free(m->all_know.ms);
    free(m->heal.ms);
    *m = (struct measure){0};
}

void measure_add(struct measure_series *s, double ms)
{
    if (s->count == MEASURE_SAMPLES_MAX) return;
    if (s->count == s->cap) {
        s->cap = s->cap > 0 ? s->cap * 2 : FIRST_CAP;
        s->ms = realloc(s->ms, s->cap * sizeof(s->ms[0]));
        CHECK(s->ms != NULL);
    }
    s->ms[s->count++] = ms;
}

double measure_mean(const struct measure_series *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->count; i++)
        sum += s->ms[i];
    return s->count > 0 ? sum / (double)s->count : NAN;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double measure_quantile(struct measure_series *s, double share)
{
    if (s->count == 0) return NAN;
    qsort(s->ms, s->count, sizeof(s->ms[0]), by_size);
    size_t rank = (size_t)ceil(share * (double)s->count);
    return s->ms[rank > 0 ? rank - 1 : 0];
}

static void begin(struct measure *m, const struct world *w)
{
    measure_end(m);
    m->active = true;
    m->incidents++;
    m->at_us = w->now_us;
    m->seen = m->expected = 0;
    m->had_unreachable = m->had_dead = m->had_all = false;
}

void measure_crash(struct measure *m, const struct world *w, uint32_t target)
{
    begin(m, w);
    m->cut = false;
    m->target = target;
    for (uint32_t i = 0; i < w->options.nodes; i++)
        m->expected += world_is_up(w, i);
}

void measure_cut(struct measure *m, const struct world *w)
{
    uint64_t side[2] = {0, 0};
    begin(m, w);
    m->cut = true;
    for (uint32_t i = 0; i < w->options.nodes; i++)
        if (world_is_up(w, i)) side[w->network.group[i] & 1]++;
    m->expected = 2 * side[0] * side[1];
}

void measure_end(struct measure *m)
{
    if (m->active && !m->had_all) m->unnoticed++;
    m->active = false;
}

static bool concerns(const struct measure *m, const struct world *w, uint32_t i, uint32_t target)
{
    if (!m->active) return false;
    return m->cut ? network_blocked(&w->network, i, target) : target == m->target;
}

static bool is_false(const struct world *w, uint32_t i, uint32_t target)
{
    const struct world_node *n = &w->node[target];
    const struct world_node *me = &w->node[i];
    if (!world_is_up(w, target) || network_blocked(&w->network, i, target) ||
        network_blocked(&w->network, target, i))
        return false;
    if (w->now_us < n->touched_us + MEASURE_GRACE_US) return false;
    if (w->now_us < me->touched_us + MEASURE_GRACE_US) return false;
    uint64_t healed = w->network.healed_us;
    return healed == 0 || w->now_us >= healed + MEASURE_GRACE_US;
}

void measure_effect(struct measure *m, const struct world *w, uint32_t i,
                    const struct gossip_effect *e)
{
    if (e->kind != GOSSIP_MEMBER_CHANGED || e->old_state == e->new_state) return;
    uint32_t target = world_by_id(w, &e->node);
    bool was_gone = e->old_state >= MEMBER_UNREACHABLE;
    bool gone = e->new_state >= MEMBER_UNREACHABLE && e->new_state != MEMBER_LEFT;
    bool dead = e->new_state == MEMBER_DEAD;
    double ms = (double)(w->now_us - m->at_us) / 1000.0;
    if (concerns(m, w, i, target)) {
        if (gone && !m->had_unreachable) measure_add(&m->first_unreachable, ms);
        if (dead && !m->had_dead) measure_add(&m->first_dead, ms);
        m->had_unreachable = m->had_unreachable || gone;
        m->had_dead = m->had_dead || dead;
        if (gone && !was_gone) m->seen++;
        if (!gone && was_gone && m->seen > 0) m->seen--;
        if (m->seen == m->expected && !m->had_all) {
            m->had_all = true;
            measure_add(&m->all_know, ms);
        }
    }
    if (!is_false(w, i, target)) return;
    m->false_unreachable += gone && !was_gone;
    m->false_dead += dead;
}
