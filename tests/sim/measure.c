#include "tests/sim/measure.h"

#include "core/base/check.h"
#include "tests/sim/world.h"

#include <math.h>
#include <stdlib.h>

#define FIRST_CAP 64u

bool measure_init(struct measure *m, uint32_t nodes)
{
    *m = (struct measure){.nodes = nodes};
    m->target = calloc(nodes > 0 ? nodes : 1, sizeof(m->target[0]));
    return m->target != NULL;
}

void measure_fini(struct measure *m)
{
    for (size_t i = 0; i < MEASURE_WHATS; i++)
        free(m->series[i].ms);
    for (uint32_t i = 0; m->target != NULL && i < m->nodes; i++)
        free(m->target[i].gone);
    free(m->target);
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

static double ms_since(const struct world *w, uint64_t at_us)
{
    return (double)(w->now_us - at_us) / 1000.0;
}

static void sample(struct measure *m, enum measure_what what, double ms)
{
    measure_add(&m->series[what], ms);
}

static bool bit(const uint8_t *bits, uint32_t i)
{
    return (bits[i / 8] >> (i % 8) & 1) != 0;
}

static void set_bit(uint8_t *bits, uint32_t i, bool on)
{
    uint8_t mask = (uint8_t)(1u << (i % 8));
    bits[i / 8] = (uint8_t)(on ? bits[i / 8] | mask : bits[i / 8] & ~mask);
}

static uint32_t count_up(const struct world *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->options.nodes; i++)
        n += world_is_up(w, i);
    return n;
}

static void end_incident(struct measure *m, struct measure_target *t)
{
    if (t->incident == MEASURE_NONE) return;
    if (!t->had_all && !(t->incident == MEASURE_LEFT && t->had_p99)) m->unnoticed++;
    t->incident = MEASURE_NONE;
    m->open--;
}

/* What so many of so many have heard; whether that is news. */
static void check_seen(struct measure *m, const struct world *w, struct measure_target *t)
{
    double ms = ms_since(w, t->at_us);
    if (t->incident == MEASURE_LEFT) {
        if (t->had_p99 || (uint64_t)t->seen * 100 < (uint64_t)t->expected * 99) return;
        t->had_p99 = true;
        sample(m, MEASURE_LEFT_P99, ms);
        return;
    }
    if (t->had_all || t->seen < t->expected || !t->had_unreachable) return;
    t->had_all = true;
    sample(m, MEASURE_ALL_KNOW, ms);
    sample(m, MEASURE_SPREAD, ms_since(w, t->first_us));
}

/* One observer fewer, or one more that knows nothing yet. */
static void count_observer(struct measure *m, const struct world *w, uint32_t i, bool came)
{
    for (uint32_t k = 0; k < m->nodes; k++) {
        struct measure_target *t = &m->target[k];
        if (t->gone == NULL || k == i) continue;
        if (t->incident == MEASURE_NONE) {
            set_bit(t->gone, i, false);
            continue;
        }
        if (came) {
            t->expected++;
            t->came_us = w->now_us;
        } else {
            if (bit(t->gone, i)) t->seen--;
            t->expected--;
            check_seen(m, w, t);
        }
        set_bit(t->gone, i, false);
    }
}

static uint8_t *bits_of(struct measure *m, struct measure_target *t)
{
    if (t->gone == NULL) t->gone = calloc((m->nodes + 7u) / 8u, 1);
    CHECK(t->gone != NULL);
    return t->gone;
}

/* Who holds it to be gone already, from a life that ended before, has nothing to notice. */
static void begin_incident(struct measure *m, const struct world *w, uint32_t i,
                           enum measure_incident what)
{
    struct measure_target *t = &m->target[i];
    uint8_t *gone = bits_of(m, t);
    end_incident(m, t);
    t->incident = what;
    t->had_unreachable = t->had_dead = t->had_p99 = false;
    t->at_us = t->first_us = w->now_us;
    t->seen = 0;
    t->expected = count_up(w) - world_is_up(w, i);
    for (uint32_t k = 0; k < m->nodes; k++) {
        if (what == MEASURE_LEFT) set_bit(gone, k, false);
        t->seen += k != i && world_is_up(w, k) && bit(gone, k);
    }
    t->had_all = t->seen == t->expected && t->expected > 0;
    m->incidents++;
    m->open++;
}

void measure_went(struct measure *m, const struct world *w, uint32_t i, bool left)
{
    struct measure_target *t = &m->target[i];
    if (!left) count_observer(m, w, i, false);
    t->news_us = 0;
    /* One that had said good-bye goes down as it had said. */
    if (t->incident != MEASURE_LEFT) begin_incident(m, w, i, left ? MEASURE_LEFT : MEASURE_DOWN);
}

void measure_unfit(struct measure *m, const struct world *w, uint32_t i)
{
    if (world_is_up(w, i)) begin_incident(m, w, i, MEASURE_UNFIT);
}

void measure_came(struct measure *m, const struct world *w, uint32_t i)
{
    bool was_up = m->target[i].incident == MEASURE_UNFIT;
    end_incident(m, &m->target[i]);
    if (!was_up) count_observer(m, w, i, true);
}

void measure_cut(struct measure *m, const struct world *w)
{
    measure_uncut(m);
    m->cut = true;
    m->incidents++;
    m->cut_us = w->now_us;
    m->cut_expected = m->cut_seen = 0;
    m->cut_had_unreachable = m->cut_had_dead = m->cut_had_all = false;
    for (uint32_t i = 0; i < w->options.nodes; i++)
        for (uint32_t k = 0; k < w->options.nodes; k++)
            m->cut_expected +=
                world_is_up(w, i) && world_is_up(w, k) && network_is_split(&w->network, i, k);
}

void measure_uncut(struct measure *m)
{
    if (m->cut && !m->cut_had_all) m->unnoticed++;
    m->cut = false;
}

void measure_end(struct measure *m)
{
    for (uint32_t i = 0; i < m->nodes; i++)
        end_incident(m, &m->target[i]);
    measure_uncut(m);
}

/* Whether anyone holds it to be there. Who never knew it, or never saw it come back from an earlier
 * fall, tells nothing, and has nothing to find out. */
static bool is_believed_in(const struct world *w, uint32_t target)
{
    for (uint32_t i = 0; i < w->options.nodes; i++) {
        struct gossip_member m;
        const struct gossip *g = w->node[i].gossip;
        if (i == target || !world_is_up(w, i)) continue;
        if (g == NULL) return true;
        enum err err = gossip_member_get(g, &w->node[target].persona.id, &m);
        if (err == ERR_OK && m.state < MEMBER_UNREACHABLE) return true;
    }
    return false;
}

uint32_t measure_overdue(const struct measure *m, const struct world *w, uint64_t bound_us)
{
    for (uint32_t i = 0; i < m->nodes && m->open > 0; i++) {
        const struct measure_target *t = &m->target[i];
        uint64_t since_us = t->came_us > t->at_us ? t->came_us : t->at_us;
        if (t->incident != MEASURE_DOWN || t->had_all || w->now_us <= since_us + bound_us) continue;
        if (is_believed_in(w, i)) return i;
    }
    return m->nodes;
}

enum truth { TRUTH_RIGHT, TRUTH_FAULTY, TRUTH_FALSE };

/* What an event about `target` at node i is worth. */
static enum truth truth_of(const struct world *w, uint32_t i, uint32_t target)
{
    const struct world_node *n = &w->node[target];
    const struct world_node *me = &w->node[i];
    uint64_t now = w->now_us, healed = w->network.healed_us;
    if (!world_is_up(w, target) || network_is_split(&w->network, i, target)) return TRUTH_RIGHT;
    if (healed > 0 && now < healed + MEASURE_GRACE_US) return TRUTH_RIGHT;
    if (n->faults > 0 || now < n->touched_us + MEASURE_GRACE_US) return TRUTH_FAULTY;
    if (me->faults > 0 || now < me->touched_us + MEASURE_GRACE_US) return TRUTH_FAULTY;
    if (network_blocked(&w->network, now, i, target) ||
        network_blocked(&w->network, now, target, i))
        return TRUTH_RIGHT;
    return TRUTH_FALSE;
}

/* Whether nothing but a pause or a start was lately done to it. */
static bool pauses_at_most(const struct world *w, const struct world_node *n)
{
    bool well = n->faults == 0 && w->now_us >= n->touched_us + MEASURE_GRACE_US;
    bool started = n->faults == 0 && n->touched_us == n->up_us;
    return well || started || (n->faults <= 1 && n->touched_us == n->paused_us);
}

/* Declared dead during a pause shorter than a death, by one who could hear that it is not. */
static bool was_only_paused(const struct world *w, uint32_t i, uint32_t target)
{
    const struct world_node *n = &w->node[target];
    return n->pause_us > 0 && n->pause_us <= MEASURE_PAUSE_US &&
           w->now_us < n->paused_us + MEASURE_GRACE_US && w->now_us > n->up_us + MEASURE_GRACE_US &&
           pauses_at_most(w, n) && pauses_at_most(w, &w->node[i]);
}

static void judge(struct measure *m, const struct world *w, uint32_t i, uint32_t target,
                  const struct gossip_effect *e)
{
    bool gone = e->new_state >= MEMBER_UNREACHABLE && e->new_state != MEMBER_LEFT;
    bool news = gone && e->old_state < MEMBER_UNREACHABLE;
    bool dead = e->new_state == MEMBER_DEAD;
    enum truth truth = truth_of(w, i, target);
    if (truth == TRUTH_RIGHT) return;
    bool is_false = truth == TRUTH_FALSE;
    m->false_unreachable += news && is_false;
    m->faulty_unreachable += news && !is_false;
    if (dead && (is_false || was_only_paused(w, i, target)))
        m->false_dead++;
    else
        m->faulty_dead += dead;
}

static void see_cut(struct measure *m, const struct world *w, const struct gossip_effect *e)
{
    bool was_gone = e->old_state >= MEMBER_UNREACHABLE, gone = e->new_state >= MEMBER_UNREACHABLE;
    double ms = ms_since(w, m->cut_us);
    if (gone && !m->cut_had_unreachable) sample(m, MEASURE_FIRST_UNREACHABLE, ms);
    if (e->new_state == MEMBER_DEAD && !m->cut_had_dead) sample(m, MEASURE_FIRST_DEAD, ms);
    m->cut_had_unreachable = m->cut_had_unreachable || gone;
    m->cut_had_dead = m->cut_had_dead || e->new_state == MEMBER_DEAD;
    if (gone && !was_gone) m->cut_seen++;
    if (!gone && was_gone && m->cut_seen > 0) m->cut_seen--;
    if (m->cut_seen != m->cut_expected || m->cut_had_all) return;
    m->cut_had_all = true;
    sample(m, MEASURE_ALL_KNOW, ms);
}

static void see_target(struct measure *m, const struct world *w, uint32_t i,
                       struct measure_target *t, const struct gossip_effect *e)
{
    bool left = t->incident == MEASURE_LEFT, none = t->incident == MEASURE_NONE;
    bool gone = left ? e->new_state == MEMBER_LEFT : e->new_state >= MEMBER_UNREACHABLE;
    if (!none && !left && gone && !t->had_unreachable) {
        sample(m, MEASURE_FIRST_UNREACHABLE, ms_since(w, t->at_us));
        t->had_unreachable = true;
        t->first_us = w->now_us;
    }
    if (!none && !left && e->new_state == MEMBER_DEAD && !t->had_dead) {
        sample(m, MEASURE_FIRST_DEAD, ms_since(w, t->at_us));
        t->had_dead = true;
    }
    if (bit(bits_of(m, t), i) == gone) return;
    set_bit(t->gone, i, gone);
    if (none) return;
    t->seen += gone ? 1u : UINT32_MAX;
    check_seen(m, w, t);
}

static void begin_news(const struct world *w, struct measure_target *t, uint64_t version)
{
    t->news_us = w->now_us;
    t->news_version = version;
    t->news_seen = 0;
    t->news_expected = count_up(w) - 1;
}

static void see_news(struct measure *m, const struct world *w, uint32_t i, uint32_t owner,
                     const struct node_id *id)
{
    struct measure_target *t = &m->target[owner];
    struct gossip_member member;
    const struct gossip *g = w->node[i].gossip;
    if (!m->watch_news || g == NULL || gossip_member_get(g, id, &member) != ERR_OK) return;
    if (member.self) {
        begin_news(w, t, member.version);
        return;
    }
    if (t->news_us == 0 || member.version != t->news_version) return;
    t->news_seen++;
    uint64_t p99 = ((uint64_t)t->news_expected * 99 + 99) / 100;
    if (t->news_seen == p99) sample(m, MEASURE_NEWS_P99, ms_since(w, t->news_us));
    if (t->news_seen == t->news_expected) sample(m, MEASURE_NEWS_ALL, ms_since(w, t->news_us));
}

void measure_effect(struct measure *m, const struct world *w, uint32_t i,
                    const struct gossip_effect *e)
{
    if (e->kind == GOSSIP_CONFLICT) m->conflicts++;
    if (e->kind != GOSSIP_MEMBER_CHANGED && e->kind != GOSSIP_RECORD_CHANGED) return;
    uint32_t target = world_by_id(w, &e->node);
    if (target >= m->nodes) return;
    if (e->kind == GOSSIP_RECORD_CHANGED) {
        see_news(m, w, i, target, &e->node);
        return;
    }
    if (e->old_state == e->new_state || !world_is_up(w, i)) return;
    if (i != target) see_target(m, w, i, &m->target[target], e);
    if (m->target[target].incident == MEASURE_NONE && m->cut &&
        network_is_split(&w->network, i, target))
        see_cut(m, w, e);
    judge(m, w, i, target, e);
}
