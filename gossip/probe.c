#include "gossip/probe.h"

#include "gossip/change.h"
#include "gossip/packet.h"
#include "gossip/probe_slot.h"
#include "gossip/quality.h"
#include "gossip/state.h"
#include "gossip/suspicion.h"
#include "gossip/watchers.h"

#include <stdlib.h>

#define RTT_MIN_US      1u
#define PROBE_OTHERWISE UINT32_MAX
#define ACKS_A_PLACE    2u /* every so many acks say where we are */
#define LOST_SMOOTHING  16.0
#define HELPERS_NEED    3u /* times RTO: to be asked, to ask, to answer */

void probe_table_init(struct probe_table *t)
{
    *t = (struct probe_table){.period.kind = TIMER_PROBE_PERIOD};
}

void probe_table_fini(struct probe_table *t)
{
    for (size_t i = 0; i < t->made; i++)
        free(t->slot[i]);
    t->made = 0;
    schedule_fini(&t->schedule);
}

static struct member *target_of(struct gossip *g, uint64_t round)
{
    return schedule_target(&g->probes.schedule, &g->members, g->self.member, &g->mesh, round);
}

/* At the phase of whom the round has for us, as far as can be seen now. */
static void arm_period(struct gossip *g, uint64_t round)
{
    uint64_t period = g->tuning.period_ms;
    const struct member *m = target_of(g, round);
    uint64_t into = rng_below(&g->rng, period);
    if (m != NULL) into = schedule_phase_ms(&g->mesh, &m->head->owner, g->tuning.period_ms);
    uint64_t wall = g->wall_ms > 0 ? (uint64_t)g->wall_ms : 0;
    g->probes.round = round;
    state_timer(g, &g->probes.period, g->now_ms + (round * period + into - wall));
}

static uint64_t round_now(const struct gossip *g)
{
    return g->wall_ms > 0 ? (uint64_t)g->wall_ms / g->tuning.period_ms : 0;
}

void probe_start(struct gossip *g)
{
    arm_period(g, round_now(g) + 2);
}

void probe_period(struct gossip *g)
{
    uint64_t round = g->probes.round, now = round_now(g);
    /* The two clocks may differ by a little when the timer fires; a wall clock that was set counts
     * from where it is. */
    if (now > round || now + 1 < round) round = now;
    struct member *m = target_of(g, round);
    arm_period(g, round + 1 + g->awareness.score);
    if (m == NULL || !member_is_live(m) || awareness_quiet(&g->awareness, g->now_ms)) return;
    if (!probe_slot_running(g, m, PROBE_REGULAR)) (void)probe_slot_start(g, m, PROBE_REGULAR);
}

void probe_hint(struct gossip *g, const struct addr *addr)
{
    if (awareness_quiet(&g->awareness, g->now_ms)) return;
    for (size_t i = 0; i < g->members.count; i++) {
        const struct member *seen = member_peek(&g->members, i);
        if (seen->self || seen->state != MEMBER_ALIVE || !addr_eq(&seen->head->addr, addr))
            continue;
        struct member *m = member_at(&g->members, i);
        if (!probe_slot_running(g, m, PROBE_REGULAR)) (void)probe_slot_start(g, m, PROBE_REGULAR);
        return;
    }
}

static void ask_helpers(struct gossip *g, struct probe *p)
{
    struct member *asked[TUNING_HELPERS] = {NULL};
    struct message m = {.kind = MESSAGE_PING_REQ, .seq = p->seq, .target = p->target->head->owner};
    for (uint32_t i = 0; i < TUNING_HELPERS; i++) {
        struct member *helper = gossip_random_member(g, p->target);
        bool again = false;
        for (uint32_t j = 0; j < p->helpers; j++)
            again = again || asked[j] == helper;
        if (helper == NULL || again) continue;
        asked[p->helpers++] = helper;
        g->counters.indirect_probes_sent++;
        packet_send_one(g, helper, &m);
    }
}

static void ask_by_stream(struct gossip *g, struct probe *p)
{
    struct stream *s = stream_dial(g, p->target, NULL, STREAM_PROBE);
    if (s == NULL) return;
    s->probe_seq = p->seq;
    p->stream = s->id;
    g->counters.stream_probes_sent++;
}

static void end_stream(struct gossip *g, struct probe *p)
{
    struct stream *s = p->stream != 0 ? stream_find(&g->streams, p->stream) : NULL;
    p->stream = 0;
    if (s != NULL) stream_close(g, s);
}

static void note_result(struct gossip *g, struct member *m, bool lost)
{
    struct member_contact *c = member_contact(&g->members, m);
    if (c == NULL) return;
    c->probes = c->probes << 1 | (lost ? 1u : 0u);
    if (c->probe_count < 32) c->probe_count++;
}

/* gossip.md 3.2 item 1: chance probes of others would confirm only one by one, each second. */
static void ask_to_confirm(struct gossip *g, const struct member *m, const struct accusation *mine)
{
    struct member *asked[WATCHERS];
    struct message msg = {.kind = MESSAGE_CONFIRM, .accusation = *mine};
    size_t count = watchers_pick(&g->members, m, &g->rng, TUNING_CONFIRMERS, asked);
    for (size_t i = 0; i < count; i++)
        packet_send_one(g, asked[i], &msg);
}

static enum accusation_kind finding(const struct probe *p)
{
    return p->refused ? ACCUSATION_REFUSED : ACCUSATION_SILENT;
}

static void failed_regular(struct gossip *g, struct probe *p)
{
    struct member *m = p->target;
    struct accusation mine;
    g->counters.probes_failed++;
    note_result(g, m, true);
    /* If all helpers are silent too, the fault may be here. One answer is enough to clear us: in a
     * cut of the mesh some helpers are always on the other side. */
    if (p->helpers > 0 && p->nacks == 0) awareness_bad(&g->awareness);
    if (awareness_quiet(&g->awareness, g->now_ms)) return;
    /* The verdict is there: we only look if it comes back, and our pings tell it that it is
     * accused. To have that confirmed each second, until it is dead, would be most of what a crash
     * costs. */
    if (m->state == MEMBER_UNREACHABLE) return;
    if (suspicion_vote(g, m, finding(p), &mine)) ask_to_confirm(g, m, &mine);
}

static void failed_confirm(struct gossip *g, const struct probe *p)
{
    struct member *m = p->target;
    struct accusation a;
    if (awareness_quiet(&g->awareness, g->now_ms)) return;
    if (!suspicion_vote(g, m, finding(p), &a) || p->origin == NULL) return;
    struct message msg = {.kind = MESSAGE_ACCUSE, .accusation = a};
    packet_send_one(g, p->origin, &msg);
    a.count = 0;
    (void)accusation_add(&a, &p->vote);
    suspicion_hear(g, &a, p->origin, SUSPICION_GOSSIP);
}

/* Whether we are in a state to say that it is the other who loses packets. */
static bool is_fit(const struct gossip *g)
{
    return g->lost < QUALITY_OWN_MAX && g->awareness.score == 0 &&
           !awareness_quiet(&g->awareness, g->now_ms);
}

/* Of our pings of everyone, one more was answered or was not. One that makes us measure is put down
 * to its target until that is found to be well. */
static void note_own(struct gossip *g, bool lost)
{
    g->lost += ((lost ? 1.0 : 0.0) - g->lost) / LOST_SMOOTHING;
}

/* NULL: not now. */
static struct probe *start_quality(struct gossip *g, struct member *m)
{
    if (!is_fit(g) || probe_slot_running(g, m, PROBE_QUALITY)) return NULL;
    struct probe *p = probe_slot_start(g, m, PROBE_QUALITY);
    if (p == NULL) return NULL;
    p->again_ms = QUALITY_EVERY_MS;
    p->verdict_ms =
        g->now_ms + (QUALITY_PINGS - 1) * QUALITY_EVERY_MS + 2 * probe_slot_rto_ms(g, m);
    probe_slot_arm(g, p);
    return p;
}

static void next_quality(struct gossip *g, struct probe *p)
{
    probe_slot_ping(g, p);
    if (p->pings == QUALITY_PINGS)
        state_timer(g, &p->timer, p->verdict_ms);
    else
        probe_slot_arm(g, p);
}

static void say_reached(struct gossip *g, const struct probe *p)
{
    struct message reached = {.kind = MESSAGE_REACHED,
                              .target = p->target->head->owner,
                              .epoch = p->target->head->epoch,
                              .inc = p->target->head->inc};
    if (p->origin == NULL) return;
    packet_send_one(g, p->origin, &reached);
    (void)distrust_note(&g->distrust, &p->origin->head->owner, g->now_ms);
}

/* Our own finding is put to the watchers; as one of those, we vote. */
static void done_quality(struct gossip *g, const struct probe *p)
{
    struct message msg = {.kind = MESSAGE_ACCUSE};
    bool lossy = quality_is_lossy(p->answered);
    if (p->answered != 0 && !lossy) say_reached(g, p);
    if (p->origin == NULL && !lossy) note_own(g, true);
    if (!lossy || !is_fit(g) || !member_is_live(p->target)) return;
    suspicion_statement(g, p->target, ACCUSATION_LOSSY, &msg.accusation);
    if (p->origin == NULL) {
        ask_to_confirm(g, p->target, &msg.accusation);
        return;
    }
    packet_send_one(g, p->origin, &msg);
    (void)suspicion_vote(g, p->target, ACCUSATION_LOSSY, &msg.accusation);
}

static void verdict(struct gossip *g, struct probe *p)
{
    struct message nack = {.kind = MESSAGE_NACK, .seq = p->origin_seq};
    struct probe done = *p;
    end_stream(g, p);
    probe_slot_release(g, p);
    switch (done.kind) {
    case PROBE_REGULAR:
        failed_regular(g, &done);
        break;
    case PROBE_CONFIRM:
        failed_confirm(g, &done);
        break;
    case PROBE_RELAY:
        if (done.origin != NULL) packet_send_one(g, done.origin, &nack);
        break;
    case PROBE_CLONE: {
        struct accusation mine;
        if (suspicion_vote(g, done.target, finding(&done), &mine))
            ask_to_confirm(g, done.target, &mine);
        break;
    }
    case PROBE_QUALITY:
        done_quality(g, &done);
        break;
    case PROBE_FREE:
        break;
    }
}

/* Helpers and the stream cost a dozen packets, and most answers that are late come soon after.
 * Where the verdict leaves others time to try, the second ping is given its own first. */
static bool can_wait(const struct gossip *g, const struct probe *p)
{
    return p->pings == 2 && g->now_ms + (1 + HELPERS_NEED) * p->again_ms <= p->verdict_ms;
}

void probe_timer(struct gossip *g, struct probe *p)
{
    if (g->now_ms >= p->verdict_ms) {
        verdict(g, p);
        return;
    }
    if (p->kind == PROBE_QUALITY) {
        if (quality_is_well(p->pings, p->answered))
            verdict(g, p);
        else
            next_quality(g, p);
        return;
    }
    probe_slot_arm(g, p);
    probe_slot_ping(g, p);
    if (p->kind != PROBE_REGULAR || p->asked || can_wait(g, p)) return;
    p->asked = true;
    ask_helpers(g, p);
    ask_by_stream(g, p);
}

static void sample_rtt(struct gossip *g, const struct probe *p)
{
    uint64_t us = g->now_us - p->started_us;
    uint32_t rtt = us > RTT_MIN_US ? (uint32_t)us : RTT_MIN_US;
    struct member_contact *c = member_contact(&g->members, p->target);
    tuning_rtt_sample(&g->rtt, rtt);
    if (c == NULL) return;
    tuning_rtt_sample(&c->rtt, rtt);
    uint32_t median = tuning_median_us(c->rtt_us, rtt);
    c->rtt_us[1] = c->rtt_us[0];
    c->rtt_us[0] = rtt;
    struct coordinate peer;
    coordinate_decode(c->place, &peer);
    if (c->placed && p->pings == 1) (void)coordinate_sample(&g->space, &g->rng, &peer, median);
}

static void note_place(struct gossip *g, struct member *from, const struct message *m)
{
    struct member_contact *c = m->placed ? member_contact(&g->members, from) : NULL;
    if (c == NULL) return;
    c->placed = true;
    memcpy(c->place, m->place, sizeof(c->place));
}

/* The clone's record is shown to the one who is there, so that both know. */
static void clone_found(struct gossip *g, const struct probe *p)
{
    struct message m = {.kind = MESSAGE_CONFLICT};
    struct packet packet;
    change_conflict(g, p->target);
    packet_send_one(g, p->target, &m);
    packet_begin(g, &packet, p->target);
    packet.to_epoch = p->clone_epoch;
    if (packet_add(&packet, &m)) (void)packet_send_plain(g, &packet, PACKET_PROBE, &p->clone);
}

/* `which` of its pings, or PROBE_OTHERWISE: by a helper, a stream, traffic. */
static void answered(struct gossip *g, struct probe *p, uint32_t which)
{
    struct probe done = *p;
    bool direct = which != PROBE_OTHERWISE, late = which == 0 && p->pings > 1;
    bool lost = p->pings > 1 && !late;
    uint32_t missed = direct ? which : p->pings;
    end_stream(g, p);
    probe_slot_release(g, p);
    if (which == 0) {
        sample_rtt(g, &done);
        tuning_rto_adapt(&g->tuning, late);
    }
    if (direct && done.target->contact != NULL) done.target->contact->by_stream = 0;
    suspicion_answered(g, done.target);
    struct message ack = {.kind = MESSAGE_ACK, .seq = done.origin_seq};
    switch (done.kind) {
    case PROBE_REGULAR:
        note_result(g, done.target, false);
        awareness_good(&g->awareness);
        break;
    case PROBE_CONFIRM:
        say_reached(g, &done);
        break;
    case PROBE_RELAY:
        if (done.origin != NULL) packet_send_one(g, done.origin, &ack);
        break;
    case PROBE_CLONE:
        clone_found(g, &done);
        break;
    case PROBE_QUALITY:
    case PROBE_FREE:
        break;
    }
    bool measured = done.kind == PROBE_REGULAR && quality_startles(g->lost, missed) &&
                    suspicion_measures(g, done.target) && start_quality(g, done.target) != NULL;
    if (!measured) note_own(g, lost);
}

const struct probe *probe_asking(const struct probe_table *t, size_t *pos)
{
    while (*pos < t->high) {
        const struct probe *p = t->slot[(*pos)++];
        if (p->kind == PROBE_REGULAR || p->kind == PROBE_CONFIRM) return p;
    }
    return NULL;
}

void probe_evidence(struct gossip *g, const struct addr *addr)
{
    for (size_t i = 0; i < g->probes.high; i++) {
        struct probe *p = g->probes.slot[i];
        if (p->kind != PROBE_REGULAR && p->kind != PROBE_CONFIRM) continue;
        if (addr_eq(&p->target->head->addr, addr)) answered(g, p, PROBE_OTHERWISE);
    }
}

void probe_on_ping(struct gossip *g, struct member *from, uint32_t seq)
{
    struct message m = {.kind = MESSAGE_ACK, .seq = seq};
    m.placed = g->acks++ % ACKS_A_PLACE == 0;
    if (m.placed) coordinate_encode(&g->space.own, m.place);
    packet_send_one(g, from, &m);
}

void probe_on_ack(struct gossip *g, struct member *from, const struct message *m)
{
    struct probe *p = probe_slot_find(g, m->seq);
    if (p == NULL) {
        /* Later than the verdict, but there. */
        if (from->state == MEMBER_SUSPECT) suspicion_answered(g, from);
        return;
    }
    if (from == p->target) note_place(g, from, m);
    if (p->kind == PROBE_QUALITY) {
        if (from == p->target) p->answered |= 1u << (m->seq - p->seq);
        return;
    }
    /* Seqs are random: who knows one was pinged or asked to help. */
    answered(g, p, from == p->target ? m->seq - p->seq : PROBE_OTHERWISE);
}

void probe_on_nack(struct gossip *g, uint32_t seq)
{
    struct probe *p = probe_slot_find(g, seq);
    if (p != NULL && p->nacks < p->helpers) p->nacks++;
}

void probe_on_request(struct gossip *g, struct member *from, const struct message *m)
{
    struct member *target = member_find(&g->members, &m->target);
    if (target == NULL || target->self) return;
    struct probe *p = probe_slot_start(g, target, PROBE_RELAY);
    if (p == NULL) return;
    p->origin = from;
    p->origin_seq = m->seq;
}

void probe_on_confirm(struct gossip *g, struct member *from, const struct accusation *a)
{
    struct member *m = member_find(&g->members, &a->target);
    if (m == NULL) return;
    if (m->self || a->epoch != m->head->epoch || a->inc != m->head->inc || a->count != 1) {
        suspicion_hear(g, a, from, SUSPICION_GOSSIP);
        return;
    }
    if (m->state == MEMBER_DEAD) {
        /* Who asks has missed it: it needs our vote, or those that killed it. */
        struct message known = {.kind = MESSAGE_ACCUSE};
        if (suspicion_charge(g, m, &known.accusation)) packet_send_one(g, from, &known);
        return;
    }
    if (!member_is_live(m) || probe_slot_running(g, m, PROBE_CONFIRM)) return;
    if (distrust_muted(&g->distrust, &from->head->owner, g->now_ms)) return;
    bool lossy = a->vote[0].kind == ACCUSATION_LOSSY;
    struct probe *p = lossy ? start_quality(g, m) : probe_slot_start(g, m, PROBE_CONFIRM);
    if (p == NULL) return;
    p->origin = from;
    p->vote = a->vote[0];
    if (p->vote.kind == ACCUSATION_REFUSED) ask_by_stream(g, p);
}

void probe_check(struct gossip *g, struct member *m)
{
    if (member_is_live(m) && !probe_slot_running(g, m, PROBE_CONFIRM))
        (void)probe_slot_start(g, m, PROBE_CONFIRM);
}

/* security.md N18: again and again only by stream, and datagrams are blocked on the way. */
static void note_stream(struct gossip *g, struct member *m)
{
    struct member_contact *c = member_contact(&g->members, m);
    if (c != NULL && c->by_stream < UINT8_MAX) c->by_stream++;
}

void probe_on_stream(struct gossip *g, uint32_t seq, bool refused)
{
    struct probe *p = probe_slot_find(g, seq);
    if (p == NULL) return;
    p->stream = 0;
    p->refused = refused;
    if (refused) {
        verdict(g, p);
        return;
    }
    note_stream(g, p->target);
    answered(g, p, PROBE_OTHERWISE);
}

void probe_clone(struct gossip *g, struct member *m, const struct head *other)
{
    if (probe_slot_running(g, m, PROBE_CLONE)) return;
    struct probe *p = probe_slot_start(g, m, PROBE_CLONE);
    if (p == NULL) return;
    p->clone = other->addr;
    p->clone_epoch = packet_epoch(other);
}

void probe_void(struct gossip *g)
{
    for (size_t i = 0; i < g->probes.high; i++) {
        struct probe *p = g->probes.slot[i];
        if (p->kind == PROBE_FREE) continue;
        end_stream(g, p);
        probe_slot_release(g, p);
    }
}

void probe_forget(struct gossip *g, struct member *m)
{
    for (size_t i = 0; i < g->probes.high; i++) {
        struct probe *p = g->probes.slot[i];
        if (p->kind == PROBE_FREE) continue;
        if (p->origin == m) p->origin = NULL;
        if (p->target != m) continue;
        end_stream(g, p);
        probe_slot_release(g, p);
    }
}
