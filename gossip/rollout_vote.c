#include "gossip/rollout_vote.h"

#include "core/base/hash.h"
#include "gossip/state.h"

#include <assert.h>
#include <stdio.h>

static_assert(MANIFEST_WAVES_MAX <= ROLLOUT_VOTERS_MAX, "each wave has voters");

/* Rendezvous: the same for all who judge the same manifest, another order for each. */
static uint64_t rank(const struct rollout *r, const struct member *m)
{
    struct hash_key key;
    memcpy(key.byte, r->target.hash.byte, sizeof(key.byte));
    return hash_bytes(&key, m->head->owner.byte, NODE_ID_BYTES);
}

static uint8_t wave_of(const struct manifest_plan *plan, uint64_t rank)
{
    uint8_t wave = 0;
    while (wave + 1u < plan->wave_count && rank % MANIFEST_WHOLE >= plan->wave[wave])
        wave++;
    return wave;
}

struct candidates {
    uint64_t rank[ROLLOUT_VOTERS_MAX];
    uint32_t count[MANIFEST_WAVES_MAX];
    uint32_t places; /* for each wave */
};

/* Keeps the lowest of each wave. */
static void consider(struct rollout *r, struct candidates *c, const struct member *m, uint64_t rank,
                     uint8_t wave)
{
    uint32_t first = wave * c->places, at = c->count[wave];
    while (at > 0 && c->rank[first + at - 1] > rank)
        at--;
    if (at == c->places) return;
    uint32_t moved = c->count[wave] < c->places ? c->count[wave]++ - at : c->places - 1 - at;
    memmove(&c->rank[first + at + 1], &c->rank[first + at], moved * sizeof(c->rank[0]));
    memmove(&r->voter_of[first + at + 1], &r->voter_of[first + at], moved * sizeof(r->voter_of[0]));
    c->rank[first + at] = rank;
    r->voter_of[first + at] = (struct rollout_voter){.wave = wave};
    head_short_id(m->head, r->voter_of[first + at].id);
}

static const struct member *find_canary(const struct gossip *g)
{
    const struct member *canary = NULL;
    uint64_t lowest = 0;
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        if (!member_is_live(m)) continue;
        uint64_t at = rank(&g->policy.rollout, m);
        if (canary == NULL || at < lowest) {
            canary = m;
            lowest = at;
        }
    }
    return canary;
}

/* Closes the gaps between the waves' places. */
static void pack(struct rollout *r, const struct candidates *c)
{
    r->voter_count = 0;
    for (uint32_t wave = 0; wave < r->plan.wave_count; wave++)
        for (uint32_t i = 0; i < c->count[wave]; i++)
            r->voter_of[r->voter_count++] = r->voter_of[wave * c->places + i];
}

static enum status_state said(const struct gossip *g, const struct member *m)
{
    struct status s;
    if (status_decode(member_status(m), &s) != ERR_OK) return STATUS_NONE;
    return rollout_vote_is_about(&g->policy.rollout, &s) ? s.state : STATUS_NONE;
}

static void ask_voters(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    const uint8_t *own = g->self.member->head->owner.byte;
    r->voter = false;
    for (uint32_t i = 0; i < r->voter_count; i++) {
        struct rollout_voter *v = &r->voter_of[i];
        const struct member *m = member_find_short(&g->members, v->id);
        if (m != NULL && !m->self) v->state = (uint8_t)said(g, m);
        v->since_ms = g->now_ms;
        r->voter = r->voter || memcmp(v->id, own, sizeof(v->id)) == 0;
    }
}

/* Few members: all vote, in whatever waves they are. */
static void choose_all(struct gossip *g, const struct member *canary)
{
    struct rollout *r = &g->policy.rollout;
    r->voter_count = 0;
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        if (!member_is_live(m) || r->voter_count == ROLLOUT_VOTERS_MAX) continue;
        struct rollout_voter *v = &r->voter_of[r->voter_count++];
        uint8_t wave = m == canary ? 0 : wave_of(&r->plan, rank(r, m));
        *v = (struct rollout_voter){.wave = wave};
        head_short_id(m->head, v->id);
    }
}

static void choose_some(struct gossip *g, const struct member *canary)
{
    struct rollout *r = &g->policy.rollout;
    struct candidates c = {.places = ROLLOUT_VOTERS_MAX / r->plan.wave_count};
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *m = member_peek(&g->members, i);
        if (!member_is_live(m)) continue;
        uint64_t at = rank(r, m);
        consider(r, &c, m, at, m == canary ? 0 : wave_of(&r->plan, at));
    }
    pack(r, &c);
}

void rollout_vote_choose(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    r->voter_count = r->own_wave = 0;
    r->voter = true;
    if (r->plan.wave_count == 0) return;
    const struct member *canary = find_canary(g), *self = g->self.member;
    r->own_wave = self == canary ? 0 : wave_of(&r->plan, rank(r, self));
    if (state_live(g) <= ROLLOUT_VOTERS_MAX)
        choose_all(g, canary);
    else
        choose_some(g, canary);
    ask_voters(g);
}

bool rollout_vote_is_about(const struct rollout *r, const struct status *s)
{
    return r->target.gen != 0 && status_is_about(s, &r->target);
}

/* A record may be older than a ballot. */
static bool counts(const struct rollout_voter *v, enum status_state state)
{
    uint32_t rank = ballot_rank(state), before = ballot_rank((enum status_state)v->state);
    return rank > before || (rank == 0 && state > STATUS_WAITING);
}

void rollout_vote_note(struct gossip *g, const uint8_t id[NODE_ID_SHORT_BYTES],
                       enum status_state state)
{
    struct rollout *r = &g->policy.rollout;
    for (uint32_t i = 0; i < r->voter_count; i++) {
        struct rollout_voter *v = &r->voter_of[i];
        if (memcmp(v->id, id, sizeof(v->id)) != 0 || !counts(v, state)) continue;
        v->state = (uint8_t)state;
        v->mute = false;
        r->spoke_ms = g->now_ms;
    }
}

static bool is_failed(uint8_t state)
{
    return state == STATUS_REJECTED || state == STATUS_ROLLED_BACK;
}

/* --- who says nothing --- */

/* We cannot go on without its word, or those behind us cannot. */
static bool owes(const struct rollout *r, const struct rollout_voter *v)
{
    if (is_failed(v->state) || v->state == STATUS_APPLIED) return false;
    return v->state != STATUS_VALID || (r->stage == ROLLOUT_VALID && v->wave < r->own_wave);
}

/* What it owes after VALID depends on what others said last, and on its soak. */
static uint64_t mute_ms(const struct rollout *r, const struct rollout_voter *v)
{
    uint64_t since = v->since_ms;
    if (v->state != STATUS_VALID) return since + ROLLOUT_MUTE_MS;
    if (r->spoke_ms > since) since = r->spoke_ms;
    return since + r->plan.soak_ms + ROLLOUT_MUTE_MS;
}

static bool listens(const struct rollout *r)
{
    return r->stage == ROLLOUT_VALID || (r->stage == ROLLOUT_APPLIED && !r->complete);
}

uint64_t rollout_vote_mute_ms(const struct gossip *g)
{
    const struct rollout *r = &g->policy.rollout;
    uint64_t due = UINT64_MAX;
    for (uint32_t i = 0; i < r->voter_count && listens(r); i++) {
        const struct rollout_voter *v = &r->voter_of[i];
        bool self = memcmp(v->id, g->self.member->head->owner.byte, sizeof(v->id)) == 0;
        if (self || v->mute || v->since_ms == ROLLOUT_AWAY || !owes(r, v)) continue;
        if (mute_ms(r, v) < due) due = mute_ms(r, v);
    }
    return due;
}

/* Whoever went first is of no use: it will not put it in force, or not within our time. */
static bool is_passed_over(const struct rollout *r, const struct rollout_voter *v)
{
    if (is_failed(v->state)) return true;
    return v->mute && (v->state != STATUS_VALID || r->plan.max_rejected > 0);
}

static struct rollout_voter *next_canary(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    struct rollout_voter *next = NULL;
    uint64_t lowest = 0;
    for (uint32_t i = 0; i < r->voter_count; i++) {
        struct rollout_voter *v = &r->voter_of[i];
        const struct member *m = member_find_short(&g->members, v->id);
        if (m == NULL || m->state > MEMBER_SUSPECT || v->mute || is_failed(v->state)) continue;
        uint64_t at = rank(r, m);
        if (next != NULL && at >= lowest) continue;
        next = v;
        lowest = at;
    }
    return next;
}

/* Somebody goes first in any case. Those who put it in force and were not heard of again are no
 * more than may fail: it must not make one host after the other ill. */
static void follow_canary(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    uint32_t ill = 0;
    if (r->plan.wave_count < 2) return;
    for (uint32_t i = 0; i < r->voter_count; i++) {
        const struct rollout_voter *v = &r->voter_of[i];
        const struct member *m = member_find_short(&g->members, v->id);
        bool gone = m == NULL || m->state >= MEMBER_LEFT;
        if (v->wave == 0 && !gone && !is_passed_over(r, v)) return;
        ill += is_failed(v->state) || (v->mute && v->state == STATUS_VALID);
    }
    struct rollout_voter *next = next_canary(g);
    if (next == NULL || ill > r->plan.max_rejected) return;
    next->wave = 0;
    if (memcmp(next->id, g->self.member->head->owner.byte, sizeof(next->id)) == 0) r->own_wave = 0;
    r->spoke_ms = g->now_ms;
}

bool rollout_vote_listen(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    bool any = false;
    for (uint32_t i = 0; i < r->voter_count && listens(r); i++) {
        struct rollout_voter *v = &r->voter_of[i];
        const struct member *m = member_find_short(&g->members, v->id);
        if (m == NULL || m->state > MEMBER_SUSPECT) {
            v->since_ms = ROLLOUT_AWAY;
            v->mute = false;
            continue;
        }
        if (v->since_ms == ROLLOUT_AWAY) v->since_ms = g->now_ms;
        if (m->self || v->mute || !owes(r, v) || mute_ms(r, v) > g->now_ms) continue;
        v->mute = any = true;
    }
    if (any) r->spoke_ms = g->now_ms;
    if (r->stage == ROLLOUT_VALID) follow_canary(g);
    return any;
}

bool rollout_vote_is_mute(const struct rollout *r, const uint8_t id[NODE_ID_SHORT_BYTES])
{
    for (uint32_t i = 0; i < r->voter_count; i++)
        if (memcmp(r->voter_of[i].id, id, sizeof(r->voter_of[i].id)) == 0)
            return r->voter_of[i].mute;
    return false;
}

/* --- gates --- */

struct tally {
    uint32_t count, well, failed, mute;
    const struct member *missing; /* one that is not well */
};

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* How many of those who are not well do not matter. */
static uint32_t spared(const struct rollout *r, const struct tally *t)
{
    uint32_t half = t->count > 0 ? (t->count - 1) / 2 : 0;
    uint32_t share = least((t->count + ROLLOUT_MUTE_SHARE - 1) / ROLLOUT_MUTE_SHARE, half);
    uint32_t may = share > r->plan.max_rejected ? share : r->plan.max_rejected;
    uint32_t failed = least(t->failed, r->plan.max_rejected);
    return failed + least(t->mute, may - failed);
}

static bool enough(const struct rollout *r, const struct tally *t)
{
    uint64_t whole = (uint64_t)(t->count - spared(r, t)) * r->plan.min_ok;
    return (uint64_t)t->well * MANIFEST_WHOLE >= whole;
}

/* Validation: who is there and has not judged it, or thinks nothing of it, holds it up. */
static struct tally count_valid(const struct gossip *g)
{
    const struct rollout *r = &g->policy.rollout;
    struct tally t = {0};
    for (uint32_t i = 0; i < r->voter_count; i++) {
        const struct rollout_voter *v = &r->voter_of[i];
        const struct member *m = member_find_short(&g->members, v->id);
        bool well = v->state == STATUS_VALID || v->state == STATUS_APPLIED;
        if (m == NULL || !member_is_live(m)) continue;
        t.count++;
        t.well += well;
        t.failed += is_failed(v->state);
        t.mute += v->mute && !well;
        if (!well && !is_failed(v->state) && (t.missing == NULL || v->mute)) t.missing = m;
    }
    return t;
}

/* Who was to go before us must have, and be there: it may have died of it. Who said good-bye did
 * not, nor did who never found it valid; with `all`, they are to say so. */
static struct tally count_applied(const struct gossip *g, uint32_t wave, bool all)
{
    const struct rollout *r = &g->policy.rollout;
    struct tally t = {0};
    for (uint32_t i = 0; i < r->voter_count; i++) {
        const struct rollout_voter *v = &r->voter_of[i];
        const struct member *m = member_find_short(&g->members, v->id);
        if (v->wave != wave || m == NULL || m->state >= MEMBER_LEFT) continue;
        if (v->mute && v->state != STATUS_VALID && !all) continue;
        bool well = v->state == STATUS_APPLIED && m->state <= MEMBER_SUSPECT;
        t.count++;
        t.well += well;
        t.failed += is_failed(v->state);
        t.mute += v->mute && !well;
        if (!well && !is_failed(v->state) && (t.missing == NULL || v->mute)) t.missing = m;
    }
    return t;
}

static bool hold(struct rollout *r, const char *why, const struct member *m, const struct tally *t)
{
    char who[NAME_BYTES_MAX + sizeof("not yet  says nothing")];
    const char *name = m != NULL ? member_name(m)->text : "enough";
    (void)snprintf(who, sizeof(who), t->mute > 0 ? "%s says nothing" : "not yet %s", name);
    if (t->mute > 1)
        (void)snprintf(r->waits, sizeof(r->waits), "%s: %u of %u, %u say nothing, as %s", why,
                       t->well, t->count, t->mute, name);
    else
        (void)snprintf(r->waits, sizeof(r->waits), "%s: %u of %u, %s", why, t->well, t->count, who);
    return false;
}

/* Whoever went first had heard every verdict, and has signed since that all is well: those behind
 * need not hear each of them again, which costs members times members. A refusal among them is
 * evidence and stops it by itself. */
static bool vouched(const struct gossip *g)
{
    return g->policy.rollout.own_wave > 0 && count_applied(g, 0, false).well > 0;
}

bool rollout_vote_gates(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    r->waits[0] = '\0';
    if (!r->plan.force && state_live(g) < g->members.dead) {
        (void)snprintf(r->waits, sizeof(r->waits), "only %u of %u known members are in sight",
                       state_live(g), state_live(g) + g->members.dead);
        return false;
    }
    struct tally t = count_valid(g);
    if (!vouched(g) && !enough(r, &t)) return hold(r, "validation", t.missing, &t);
    for (uint32_t wave = 0; wave < r->own_wave; wave++) {
        t = count_applied(g, wave, false);
        bool first = wave > 0 || t.count > 0;
        if (!first || !enough(r, &t)) return hold(r, "an earlier wave", t.missing, &t);
    }
    return true;
}

struct member *rollout_vote_silent(struct gossip *g, uint32_t first, uint32_t *pos)
{
    const struct rollout *r = &g->policy.rollout;
    while (*pos < r->voter_count) {
        const struct rollout_voter *v = &r->voter_of[(first + (*pos)++) % r->voter_count];
        struct member *m = member_find_short(&g->members, v->id);
        bool before = r->stage == ROLLOUT_VALID && v->wave < r->own_wave;
        bool applied = before || r->stage == ROLLOUT_APPLIED;
        bool silent = v->state < STATUS_VALID || (v->state == STATUS_VALID && applied);
        if (silent && m != NULL && !m->self && m->state <= MEMBER_SUSPECT) return m;
    }
    return NULL;
}

bool rollout_vote_complete(struct gossip *g)
{
    const struct rollout *r = &g->policy.rollout;
    for (uint32_t wave = 0; wave < r->plan.wave_count; wave++) {
        struct tally t = count_applied(g, wave, true);
        t.mute = 0; /* it may speak yet */
        if (!enough(r, &t)) return false;
    }
    return true;
}
