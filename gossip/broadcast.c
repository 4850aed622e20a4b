#include "gossip/broadcast.h"

#include "gossip/catalogue.h"
#include "gossip/packet.h"
#include "gossip/state.h"

#define PACKETS_A_TARGET (TUNING_PACKETS_A_ROUND / TUNING_FANOUT)
#define EAGER_GAP_MS     10u                  /* what comes meanwhile shares the packets */
#define TARGET_TRIES     (TUNING_FANOUT + 2u) /* in a small mesh, chance repeats itself */
#define SENDS_ANY        UINT8_MAX
#define MISSES_MAX       4u /* rumours tried that do not fit any more, an urgency */

void broadcast_init(struct broadcast *b, uint64_t phase_ms)
{
    *b = (struct broadcast){
        .phase_ms = phase_ms, .timer.kind = TIMER_GOSSIP, .eager.kind = TIMER_EAGER};
    for (size_t i = 0; i < BROADCAST_URGENCIES; i++)
        list_init(&b->queue[i]);
}

static void arm(struct gossip *g)
{
    struct broadcast *b = &g->broadcast;
    if (timer_armed(&b->timer)) return;
    uint64_t round = g->tuning.gossip_ms;
    uint64_t into = (g->now_ms + round - b->phase_ms % round) % round;
    state_timer(g, &b->timer, g->now_ms + round - into);
}

/* The rumour while it is being told; else NULL. */
static struct rumour *rumour_of(const struct member *m, enum rumour_kind kind)
{
    struct rumour *r = m->care != NULL ? &m->care->rumour[kind] : NULL;
    return r != NULL && list_linked(&r->link) ? r : NULL;
}

/* NULL: no memory. */
static struct rumour *restart(struct gossip *g, struct member *m, enum rumour_kind kind,
                              enum broadcast_urgency urgency)
{
    struct member_care *c = member_care(&g->members, m);
    if (c == NULL) return NULL;
    struct rumour *r = &c->rumour[kind];
    if (list_linked(&r->link))
        list_remove(&r->link);
    else
        g->broadcast.count++;
    r->sends = r->duplicates = 0;
    list_push_front(&g->broadcast.queue[urgency], &r->link);
    g->counters.rumours_queued++;
    arm(g);
    return r;
}

void broadcast_record(struct gossip *g, struct member *m, enum broadcast_urgency urgency,
                      bool with_admission, bool with_body)
{
    bool queued = rumour_of(m, RUMOUR_RECORD) != NULL;
    struct rumour *r = restart(g, m, RUMOUR_RECORD, urgency);
    if (r == NULL) return; /* no memory: comparing digests mends it */
    /* What the rumour it replaces brought along has not reached everyone. */
    r->with_admission = with_admission || (queued && r->with_admission);
    r->with_body = with_body || (queued && r->with_body);
    if (urgency == BROADCAST_POLICY) broadcast_hurry(g);
}

void broadcast_accusation(struct gossip *g, struct member *m)
{
    (void)restart(g, m, RUMOUR_ACCUSATION, BROADCAST_VERDICT);
}

void broadcast_drop(struct gossip *g, struct member *m, enum rumour_kind kind)
{
    struct rumour *r = rumour_of(m, kind);
    if (r == NULL) return;
    list_remove(&r->link);
    g->broadcast.count--;
    member_settle(&g->members, m);
}

void broadcast_heard(struct gossip *g, struct member *m, enum rumour_kind kind)
{
    struct rumour *r = rumour_of(m, kind);
    if (r == NULL) return;
    if (++r->duplicates >= TUNING_DUPLICATES) broadcast_drop(g, m, kind);
}

static bool add_record(struct packet *p, const struct member *m, const struct rumour *r)
{
    struct message msg = {.kind = MESSAGE_RECORD};
    bool body = r->with_body && member_body(m).len <= BROADCAST_BODY_INLINE_MAX;
    catalogue_offer(m, r->with_admission, body, &msg.offer);
    if (packet_add(p, &msg)) return true;
    if (p->messages > 0) return false;
    /* Not even a packet of its own is enough: the rest is pulled. */
    catalogue_offer(m, false, false, &msg.offer);
    return packet_add(p, &msg);
}

static bool add(struct packet *p, struct member *m, struct rumour *r, enum rumour_kind kind)
{
    if (kind == RUMOUR_RECORD) return add_record(p, m, r);
    struct message msg = {.kind = MESSAGE_ACCUSE, .accusation = *member_votes(m)};
    return packet_add(p, &msg);
}

static enum rumour_kind kind_of(enum broadcast_urgency urgency)
{
    return urgency == BROADCAST_VERDICT ? RUMOUR_ACCUSATION : RUMOUR_RECORD;
}

/* One urgency's queue, front to back. What was sent goes to the back, so that each gets its turn.
 */
static void fill_from(struct gossip *g, struct packet *p, enum broadcast_urgency urgency,
                      size_t bytes_max, uint8_t sends_max)
{
    struct list *queue = &g->broadcast.queue[urgency];
    uint32_t limit = tuning_retransmits(state_live(g));
    uint32_t misses = 0;
    struct list *last = queue->prev; /* behind it is what this call has sent */
    bool more = last != queue;
    struct list *at = queue->next;
    size_t cap = p->writer.cap;
    p->writer.cap = bytes_max; /* the last to fit may not reach into what others own */
    while (more && misses < MISSES_MAX && p->writer.len < bytes_max) {
        struct list *next = at->next;
        enum rumour_kind kind = kind_of(urgency);
        struct rumour *r = LIST_ENTRY(at, struct rumour, link);
        struct member *m = CONTAINER_OF(r - kind, struct member_care, rumour)->member;
        more = at != last;
        at = next;
        if (m == p->to || r->sends >= sends_max) continue; /* it knows, or others do */
        if (!add(p, m, r, kind)) {
            misses++;
            continue;
        }
        p->rumours++;
        g->counters.rumours_sent++;
        list_remove(&r->link);
        list_push_back(queue, &r->link);
        if (++r->sends >= limit) broadcast_drop(g, m, kind);
    }
    p->writer.cap = cap;
}

void broadcast_fill(struct gossip *g, struct packet *p)
{
    if (g->broadcast.count == 0) return;
    size_t cap = p->writer.cap;
    bool floor = !list_empty(&g->broadcast.queue[BROADCAST_POLICY]) ||
                 !list_empty(&g->broadcast.queue[BROADCAST_SERVICE]);
    for (unsigned u = 0; u < BROADCAST_URGENCIES; u++) {
        bool urgent = u <= BROADCAST_MEMBERSHIP;
        fill_from(g, p, (enum broadcast_urgency)u, urgent && floor ? cap - cap / 4 : cap,
                  SENDS_ANY);
    }
}

static size_t to_tell(const struct gossip *g)
{
    return g->broadcast.count + ballot_count(g) + policy_news_active(g);
}

static void tell(struct gossip *g, struct member *to)
{
    size_t sent = 0;
    size_t total = to_tell(g);
    for (uint32_t i = 0; i < PACKETS_A_TARGET && sent < total; i++) {
        struct packet p;
        packet_begin(g, &p, to);
        if (i == 0) policy_news_fill(g, &p, false); /* few and long: in front, or they never fit */
        if (i == 0) ballot_fill(g, &p, false);
        broadcast_fill(g, &p);
        sent += p.rumours;
        if (p.rumours == 0 || !packet_send_plain(g, &p, PACKET_RUMOUR, &to->head->addr)) return;
    }
}

void broadcast_hurry(struct gossip *g)
{
    struct broadcast *b = &g->broadcast;
    arm(g);
    if (timer_armed(&b->eager)) return;
    uint64_t at = b->eager_ms == 0 ? g->now_ms : b->eager_ms + EAGER_GAP_MS;
    state_timer(g, &b->eager, at > g->now_ms ? at : g->now_ms);
}

static bool is_fresh(const struct gossip *g)
{
    const struct list *queue = &g->broadcast.queue[BROADCAST_POLICY];
    if (policy_news_fresh(g) || ballot_fresh(g)) return true;
    return !list_empty(queue) &&
           LIST_ENTRY(queue->next, struct rumour, link)->sends < TUNING_FANOUT;
}

static void tell_fresh(struct gossip *g, struct member *to)
{
    for (uint32_t i = 0; i < PACKETS_A_TARGET; i++) {
        struct packet p;
        packet_begin(g, &p, to);
        if (i == 0) policy_news_fill(g, &p, true);
        ballot_fill(g, &p, true);
        fill_from(g, &p, BROADCAST_POLICY, p.writer.cap, TUNING_FANOUT);
        if (p.rumours == 0 || !packet_send_plain(g, &p, PACKET_RUMOUR, &to->head->addr)) return;
    }
}

/* Distinct members, as far as chance allows. */
static void each_target(struct gossip *g, void (*say)(struct gossip *, struct member *))
{
    struct member *told[TUNING_FANOUT] = {NULL};
    uint32_t count = 0;
    for (uint32_t i = 0; i < TARGET_TRIES && count < TUNING_FANOUT && to_tell(g) > 0; i++) {
        struct member *to = gossip_random_listener(g);
        bool again = false;
        for (uint32_t j = 0; j < count; j++)
            again = again || told[j] == to;
        if (to == NULL || again) continue;
        told[count++] = to;
        say(g, to);
    }
}

void broadcast_eager(struct gossip *g)
{
    g->broadcast.eager_ms = g->now_ms;
    each_target(g, tell_fresh);
    if (state_live(g) > 1 && is_fresh(g)) broadcast_hurry(g);
}

static void drop_all(struct gossip *g, enum broadcast_urgency urgency)
{
    enum rumour_kind kind = kind_of(urgency);
    LIST_EACH(link, next, &g->broadcast.queue[urgency])
    {
        struct rumour *r = LIST_ENTRY(link, struct rumour, link);
        broadcast_drop(g, CONTAINER_OF(r - kind, struct member_care, rumour)->member, kind);
    }
}

void broadcast_round(struct gossip *g)
{
    each_target(g, tell);
    if (to_tell(g) == 0) return;
    if (state_live(g) > 1) {
        arm(g);
        return;
    }
    for (unsigned k = 0; k < NEWS_KINDS; k++)
        policy_news_drop(g, (enum policy_news_kind)k);
    ballot_drop(g);
    /* Nobody to tell: whoever comes gets everything by synchronising. */
    for (unsigned u = 0; u < BROADCAST_URGENCIES; u++)
        drop_all(g, (enum broadcast_urgency)u);
}

void broadcast_burst(struct gossip *g, uint32_t targets)
{
    for (uint32_t i = 0; i < targets; i++) {
        struct member *to = gossip_random_member(g, g->self.member);
        struct packet p;
        if (to == NULL) return;
        packet_begin(g, &p, to);
        (void)packet_send(g, &p, PACKET_PROBE);
    }
}
