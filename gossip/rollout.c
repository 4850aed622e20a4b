#include "gossip/rollout.h"

#include "gossip/catalogue.h"
#include "gossip/packet.h"
#include "gossip/policy_head.h"
#include "gossip/rollout_vote.h"
#include "gossip/self.h"
#include "gossip/state.h"

#include <stdio.h>

#define SPREAD_FEW_MS  20u /* statuses nobody waits for: one so often, of the whole mesh */
#define SPREAD_MANY_MS 200u
#define MORE_TO_SAY_MS 2000u
#define ASKS_FAST      8u /* then ever more seldom, */
#define ASKS_SLOWER    6u /* down to one in 6 s */
#define ANSWERS_A_SEC  50u

void rollout_init(struct rollout *r)
{
    bucket_init(&r->answers, ANSWERS_A_SEC, ANSWERS_A_SEC, 0);
}

static struct policy_item *target(struct gossip *g)
{
    const struct rollout *r = &g->policy.rollout;
    return r->target.gen != 0 ? policy_find(&g->policy, &r->target.hash) : NULL;
}

static void look_soon(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    if (r->look_due) return;
    r->look_due = true;
    r->look_ms += ROLLOUT_LOOK_MS;
    if (r->look_ms < g->now_ms) r->look_ms = g->now_ms;
    policy_arm(g, r->look_ms);
}

/* --- what we say --- */

static enum status_state own_state(const struct rollout *r, const struct policy_item *i)
{
    switch (r->stage) {
    case ROLLOUT_IDLE:
        return STATUS_NONE;
    case ROLLOUT_VALIDATING:
        return STATUS_WAITING;
    case ROLLOUT_VALID:
    case ROLLOUT_ACTIVATING:
    case ROLLOUT_SOAKING:
        return STATUS_VALID;
    case ROLLOUT_APPLIED:
        return STATUS_APPLIED;
    case ROLLOUT_ENDED:
        break;
    }
    if (i->rejected) return i->activated_ms != 0 ? STATUS_ROLLED_BACK : STATUS_REJECTED;
    return i->stopped ? STATUS_STOPPED : STATUS_REVERTED;
}

/* Ballots are what others wait for. The record, for people and for who joins later, can wait:
 * mostly until there is more to say. Who has no vote has nothing but its record to object with. */
static uint64_t own_delay(struct gossip *g, enum status_state state)
{
    uint32_t live = state_live(g);
    uint64_t spread =
        (uint64_t)live * (live <= ROLLOUT_VOTERS_MAX ? SPREAD_FEW_MS : SPREAD_MANY_MS);
    if (ballot_rank(state) == ballot_rank(STATUS_REJECTED)) return 0;
    uint64_t more = state == STATUS_VALID ? MORE_TO_SAY_MS : 0;
    return more + rng_below(&g->rng, spread);
}

static void say(struct gossip *g, struct span reason)
{
    struct rollout *r = &g->policy.rollout;
    const struct policy_item *i = target(g);
    const struct manifest_ref root = policy_root_ref(&g->policy);
    struct status s = g->self.status;
    s.policy_gen = r->target.gen;
    memcpy(s.policy_hash, r->target.hash.byte, STATUS_HASH_BYTES);
    s.state = i != NULL ? own_state(r, i) : STATUS_NONE;
    if (s.state != g->self.status.state || reason.len > 0) status_set_reason(&s, reason);
    s.active_gen = r->in_force.gen;
    memcpy(s.active_hash, r->in_force.hash.byte, STATUS_HASH_BYTES);
    s.root_gen = root.gen;
    memcpy(s.root_hash, root.hash.byte, STATUS_HASH_BYTES);
    rollout_vote_note(g, g->self.member->head->owner.byte, s.state);
    ballot_cast(g, s.state);
    if (memcmp(&s, &g->self.status, sizeof(s)) == 0) return;
    g->policy.report_due = true;
    self_status(g, &s, own_delay(g, s.state));
}

/* --- what is in force --- */

static bool is_good(const struct policy_item *i)
{
    return i->applied && !i->stopped && !i->reverted && !i->rejected;
}

/* What voters say is in force, where we have nothing of our own to go by: half of them or more. */
static bool is_followed(const struct gossip *g, const struct policy_item *i)
{
    const struct rollout *r = &g->policy.rollout;
    uint32_t others = 0, same = 0;
    for (uint32_t v = 0; v < r->voter_count; v++) {
        const struct member *m = member_find_short(&g->members, r->voter_of[v].id);
        struct status s;
        if (m == NULL || m->self || !member_is_live(m)) continue;
        others++;
        if (status_decode(member_status(m), &s) != ERR_OK) continue;
        same += s.active_gen == i->ref.gen &&
                memcmp(s.active_hash, i->ref.hash.byte, STATUS_HASH_BYTES) == 0;
    }
    return same > 0 && same * 2 >= others;
}

/* The newest ancestor of the head, or it, that has proved itself here. */
static struct manifest_ref resting(const struct gossip *g)
{
    const struct policy *p = &g->policy;
    for (size_t i = 0; i < p->held_count; i++)
        if (p->held[i]->main && is_good(p->held[i])) return p->held[i]->ref;
    for (size_t i = 0; i < p->held_count; i++) {
        const struct policy_item *item = p->held[i];
        if (item != p->head && item->main && item->complete && !item->rejected &&
            is_followed(g, item))
            return item->ref;
    }
    return (struct manifest_ref){0};
}

static struct manifest_ref desired(const struct gossip *g)
{
    const struct rollout *r = &g->policy.rollout;
    const struct policy_item *running = policy_find(&g->policy, &r->running.hash);
    switch (r->stage) {
    case ROLLOUT_ACTIVATING:
    case ROLLOUT_SOAKING:
    case ROLLOUT_APPLIED:
        return r->target;
    case ROLLOUT_VALIDATING:
    case ROLLOUT_VALID:
        /* What lost against the target stays until that has proved itself. */
        if (running != NULL && is_good(running)) return r->running;
        break;
    case ROLLOUT_IDLE:
    case ROLLOUT_ENDED:
        break;
    }
    return resting(g);
}

static void steer(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    const struct manifest_ref want = desired(g);
    if (manifest_ref_eq(&want, &r->running)) return;
    r->running = want;
    r->activate_due = true;
}

/* --- evidence --- */

static void name_of(const struct gossip *g, const uint8_t id[NODE_ID_SHORT_BYTES], char *out,
                    size_t cap)
{
    const struct member *m = member_find_short(&g->members, id);
    (void)snprintf(out, cap, "stopped by %s", m != NULL ? member_name(m)->text : "one who is gone");
}

static void latch(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    struct policy_item *i = target(g);
    if (i == NULL || r->complete || r->evidence_count <= r->plan.max_rejected) return;
    if (r->stage == ROLLOUT_ENDED) return;
    char why[STATUS_REASON_BYTES_MAX];
    name_of(g, r->evidence[r->evidence_count - 1], why, sizeof(why));
    i->stopped = true;
    r->stage = ROLLOUT_ENDED;
    r->validate_due = false;
    (void)snprintf(r->waits, sizeof(r->waits), "%s", why);
    policy_store_soon(g);
    steer(g);
    say(g, span_str(why));
}

static void add_evidence(struct gossip *g, const uint8_t id[NODE_ID_SHORT_BYTES])
{
    struct rollout *r = &g->policy.rollout;
    for (uint32_t i = 0; i < r->evidence_count; i++)
        if (memcmp(r->evidence[i], id, sizeof(r->evidence[i])) == 0) return;
    if (r->evidence_count == ROLLOUT_EVIDENCE_MAX) return; /* more than any plan can spare */
    memcpy(r->evidence[r->evidence_count++], id, sizeof(r->evidence[0]));
    latch(g);
}

void rollout_cast(struct gossip *g, const struct member *m, enum status_state state)
{
    rollout_vote_note(g, m->head->owner.byte, state);
    if (ballot_rank(state) == ballot_rank(STATUS_REJECTED)) add_evidence(g, m->head->owner.byte);
    look_soon(g);
}

static void remember_early(struct rollout *r, const uint8_t id[NODE_ID_SHORT_BYTES],
                           const struct status *s)
{
    struct rollout_early *e = &r->early[r->early_at++ % ROLLOUT_EARLY_MAX];
    memcpy(e->id, id, sizeof(e->id));
    memcpy(e->hash, s->policy_hash, sizeof(e->hash));
}

static void take_early(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    for (uint32_t i = 0; i < ROLLOUT_EARLY_MAX; i++)
        if (memcmp(r->early[i].hash, r->target.hash.byte, sizeof(r->early[i].hash)) == 0)
            add_evidence(g, r->early[i].id);
}

void rollout_heard(struct gossip *g, const struct member *m, const struct status *s)
{
    struct rollout *r = &g->policy.rollout;
    const uint8_t *id = m->head->owner.byte;
    bool bad = s->state == STATUS_REJECTED || s->state == STATUS_ROLLED_BACK;
    if (m->state >= MEMBER_LEFT) return; /* who has left has no say, nor has a thief of its keys */
    if (!rollout_vote_is_about(r, s)) {
        if (bad) remember_early(r, id, s);
        return;
    }
    rollout_vote_note(g, id, s->state);
    if (bad) add_evidence(g, id);
    look_soon(g);
}

void rollout_moved(struct gossip *g)
{
    const struct rollout *r = &g->policy.rollout;
    if (r->stage == ROLLOUT_VALID || (r->stage == ROLLOUT_APPLIED && !r->complete)) look_soon(g);
}

/* --- the target --- */

static enum rollout_stage first_stage(const struct policy_item *i)
{
    if (i->stopped || i->rejected || i->reverted) return ROLLOUT_ENDED;
    return i->applied ? ROLLOUT_APPLIED : ROLLOUT_VALIDATING;
}

/* All at once, but no more than that: everyone finds it valid first. */
static struct manifest_plan plan_of(const struct manifest *m)
{
    struct manifest_plan plan = m->plan;
    if (!plan.immediate) return plan;
    plan.wave_count = 1;
    plan.wave[0] = MANIFEST_WHOLE;
    plan.min_ok = MANIFEST_WHOLE;
    return plan;
}

static void aim(struct gossip *g, const struct policy_item *head)
{
    struct rollout *r = &g->policy.rollout;
    struct manifest m;
    r->target = head != NULL ? head->ref : (struct manifest_ref){0};
    r->stage = head != NULL ? first_stage(head) : ROLLOUT_IDLE;
    r->complete = head != NULL && head->settled;
    r->settle_ms = 0;
    r->spoke_ms = g->now_ms;
    r->asks = 0;
    r->ask_ms = g->now_ms + ROLLOUT_ASK_MS + rng_below(&g->rng, ROLLOUT_ASK_MS / 2);
    r->voter_count = r->evidence_count = 0;
    r->waits[0] = '\0';
    r->validate_due = r->stage == ROLLOUT_VALIDATING;
    if (head == NULL || pack_manifest_decode(span_of(head->bytes, head->len), &m) != ERR_OK) return;
    r->plan = plan_of(&m);
    rollout_vote_choose(g);
    take_early(g);
    look_soon(g);
}

void rollout_retarget(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    const struct policy_item *head = g->policy.head;
    const struct manifest_ref ref = policy_head_ref(&g->policy);
    if (!manifest_ref_eq(&ref, &r->target)) aim(g, head);
    /* Confirmed in time, heard of too late: it was good, and is put in force again. */
    if (head != NULL && r->stage == ROLLOUT_ENDED && is_good(head)) {
        r->stage = ROLLOUT_APPLIED;
        look_soon(g);
    }
    steer(g);
    say(g, span_of(NULL, 0));
}

/* --- the driver's answers --- */

static void end_rejected(struct gossip *g, struct policy_item *i, struct span reason)
{
    i->rejected = true;
    g->policy.rollout.stage = ROLLOUT_ENDED;
    policy_store_soon(g);
    say(g, reason.len > 0 ? reason : SPAN_LIT("refused"));
    add_evidence(g, g->self.member->head->owner.byte);
    steer(g);
}

void rollout_verdict(struct gossip *g, const struct gossip_event *e)
{
    struct rollout *r = &g->policy.rollout;
    struct policy_item *i = target(g);
    if (i == NULL || r->stage != ROLLOUT_VALIDATING || !manifest_ref_eq(&e->ref, &r->target))
        return;
    if (e->err != ERR_OK) {
        end_rejected(g, i, e->data);
        return;
    }
    r->stage = ROLLOUT_VALID;
    say(g, span_of(NULL, 0));
    look_soon(g);
}

/* Not the target: what was in force before, or what the others have. */
static void answer_resting(struct gossip *g, const struct gossip_event *e)
{
    struct policy_item *i = policy_find(&g->policy, &e->ref.hash);
    if (i == NULL) return;
    if (e->err != ERR_OK)
        i->rejected = true;
    else if (!i->applied)
        i->applied = true;
    else
        return;
    policy_store_soon(g);
    steer(g);
}

void rollout_answer(struct gossip *g, const struct gossip_event *e)
{
    struct rollout *r = &g->policy.rollout;
    struct policy_item *i = target(g);
    if (!manifest_ref_eq(&e->ref, &r->running)) return;
    if (e->err == ERR_OK) r->in_force = e->ref;
    if (i == NULL || r->stage != ROLLOUT_ACTIVATING || !manifest_ref_eq(&e->ref, &r->target)) {
        answer_resting(g, e);
        say(g, span_of(NULL, 0));
        return;
    }
    i->activated_ms = g->wall_ms > 0 ? g->wall_ms : 1;
    if (e->err != ERR_OK) {
        end_rejected(g, i, e->data);
        return;
    }
    i->trial_ms = g->now_ms + i->confirm_within_ms;
    r->stage = ROLLOUT_SOAKING;
    r->soak_ms = g->now_ms + r->plan.soak_ms;
    policy_arm(g, r->soak_ms);
}

/* --- time --- */

uint64_t rollout_confirm_by_ms(const struct policy_item *i)
{
    bool trial = i->confirm_within_ms > 0 && !i->confirmed && i->activated_ms > 0;
    return trial && !i->reverted ? (uint64_t)i->activated_ms + i->confirm_within_ms : 0;
}

static bool on_trial(const struct policy_item *i)
{
    return i->applied && rollout_confirm_by_ms(i) != 0;
}

/* After a restart, the monotonic end follows from the wall time that was stored. */
static void resume_trial(const struct gossip *g, struct policy_item *i)
{
    int64_t left = (int64_t)rollout_confirm_by_ms(i) - g->wall_ms;
    if (left > (int64_t)i->confirm_within_ms) left = (int64_t)i->confirm_within_ms;
    i->trial_ms = g->now_ms + (left > 0 ? (uint64_t)left : 1);
}

static void end_trials(struct gossip *g)
{
    struct policy *p = &g->policy;
    bool ended = false, head_ended = false;
    for (size_t i = 0; i < p->held_count; i++) {
        struct policy_item *item = p->held[i];
        if (!on_trial(item)) continue;
        if (item->trial_ms == 0) resume_trial(g, item);
        if (item->trial_ms > g->now_ms) continue;
        item->reverted = ended = true;
        if (item != target(g)) continue;
        p->rollout.stage = ROLLOUT_ENDED;
        head_ended = true;
    }
    if (!ended) return;
    policy_store_soon(g);
    steer(g);
    if (head_ended) say(g, SPAN_LIT("nobody confirmed it in time"));
}

static void end_soak(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    struct policy_item *i = target(g);
    if (r->stage != ROLLOUT_SOAKING || g->now_ms < r->soak_ms || i == NULL) return;
    r->stage = ROLLOUT_APPLIED;
    i->applied = true;
    policy_store_soon(g);
    say(g, span_of(NULL, 0));
    look_soon(g);
}

/* Others may fail, or come late, for as long as they like: what was good here by then, for as long
 * as the waves behind us need, stays. */
static void end_settling(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    struct policy_item *i = target(g);
    if (r->stage != ROLLOUT_APPLIED || r->complete || i == NULL) return;
    if (r->settle_ms == 0) {
        uint32_t behind = r->plan.wave_count > 0 ? r->plan.wave_count - 1u - r->own_wave : 0;
        r->settle_ms = g->now_ms + ROLLOUT_SETTLE_MS + (uint64_t)behind * r->plan.soak_ms;
    }
    if (g->now_ms < r->settle_ms && !rollout_vote_complete(g)) return;
    r->complete = i->settled = true;
    policy_store_soon(g);
}

/* A rumour may miss one of many; then a rollout must not wait for anti-entropy: who is asked may
 * not have heard of the generation at all. In a large mesh, where all ask the same few, the first
 * wave tells them that. */
static bool must_tell(const struct gossip *g)
{
    const struct rollout *r = &g->policy.rollout;
    return r->stage == ROLLOUT_VALID && (r->own_wave == 0 || state_live(g) <= ROLLOUT_VOTERS_MAX);
}

static void ask_silent(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    uint32_t pos = 0;
    struct member *m;
    bool waits = r->stage == ROLLOUT_VALID || (r->stage == ROLLOUT_APPLIED && !r->complete);
    if (!waits || g->now_ms < r->ask_ms) return;
    uint32_t first = (uint32_t)rng_below(&g->rng, r->voter_count + 1u);
    for (uint32_t n = 0; n < ROLLOUT_ASKS && (m = rollout_vote_silent(g, first, &pos)) != NULL;
         n++) {
        struct message ask = {.kind = MESSAGE_STATUS_ASK};
        struct packet p;
        packet_begin(g, &p, m);
        if (must_tell(g)) (void)policy_news_add_head(g, &p);
        if (packet_add(&p, &ask)) (void)packet_send(g, &p, PACKET_RUMOUR);
    }
    uint32_t slower = r->asks > ASKS_FAST ? r->asks - ASKS_FAST : 0;
    if (slower < ASKS_SLOWER) r->asks++;
    r->ask_ms = g->now_ms + ((uint64_t)ROLLOUT_ASK_MS << slower);
}

void rollout_asked(struct gossip *g, struct member *from)
{
    struct message msg = {.kind = MESSAGE_RECORD};
    struct packet p;
    if (!bucket_take(&g->policy.rollout.answers, g->now_ms, 1, 0)) {
        g->counters.dropped_quota++;
        return;
    }
    packet_begin(g, &p, from);
    catalogue_offer(g->self.member, false, true, &msg.offer);
    if (ballot_add_own(g, &p) || packet_add(&p, &msg)) (void)packet_send(g, &p, PACKET_RUMOUR);
}

static void evaluate(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    r->look_due = false;
    r->look_ms = g->now_ms;
    if (r->stage == ROLLOUT_VALID && rollout_vote_gates(g)) {
        r->stage = ROLLOUT_ACTIVATING;
        steer(g);
    }
    if (r->stage == ROLLOUT_ENDED) steer(g); /* whom we follow may have spoken */
}

void rollout_look(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    end_soak(g);
    end_trials(g);
    if (rollout_vote_listen(g)) look_soon(g);
    if (r->look_due && r->look_ms <= g->now_ms) evaluate(g);
    end_settling(g);
    ask_silent(g);
}

uint64_t rollout_due_ms(const struct gossip *g)
{
    const struct policy *p = &g->policy;
    const struct rollout *r = &p->rollout;
    uint64_t due = r->look_due ? r->look_ms : UINT64_MAX, mute = rollout_vote_mute_ms(g);
    if (mute < due) due = mute;
    if (r->stage == ROLLOUT_SOAKING && r->soak_ms < due) due = r->soak_ms;
    bool waits = r->stage == ROLLOUT_VALID || (r->stage == ROLLOUT_APPLIED && !r->complete);
    if (waits && r->ask_ms < due) due = r->ask_ms;
    if (waits && r->settle_ms != 0 && r->settle_ms < due) due = r->settle_ms;
    for (size_t i = 0; i < p->held_count; i++)
        if (on_trial(p->held[i]) && p->held[i]->trial_ms < due) due = p->held[i]->trial_ms;
    return due;
}

bool rollout_flush(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    struct gossip_effect *e;
    if (r->validate_due) {
        if ((e = event_push(g->fx, GOSSIP_POLICY_VALIDATE)) == NULL) return false;
        e->ref = r->target;
        r->validate_due = false;
    }
    if (r->activate_due) {
        if ((e = event_push(g->fx, GOSSIP_POLICY_ACTIVATE)) == NULL) return false;
        e->ref = r->running;
        r->activate_due = false;
    }
    return true;
}

void rollout_restore(struct gossip *g)
{
    struct rollout *r = &g->policy.rollout;
    rollout_retarget(g);
    r->in_force = r->running;
    r->activate_due = false; /* the driver starts with it */
}
