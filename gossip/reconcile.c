#include "gossip/reconcile.h"

#include "gossip/catalogue.h"
#include "gossip/state.h"
#include "gossip/suspicion.h"
#include "gossip/sync_chunk.h"

#include <stdlib.h>

#define PACE_MS         10u
#define STANDING_MASK   UINT64_C(3)
#define WANTS_FIRST_CAP 256u
#define TELLS_MAX       (2u * MEMBERS_MAX)

static enum reconcile_result say(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    return stream_send(g, s, m) ? RECONCILE_GOES_ON : RECONCILE_CLOSED;
}

enum reconcile_result reconcile_begin(struct gossip *g, struct stream *s)
{
    uint8_t vector[DIGEST_VECTOR_BYTES];
    digest_vector_now(&g->digest, vector);
    struct sync_message m = {.kind = SYNC_VECTOR, .bytes = span_of(vector, sizeof(vector))};
    s->session.active = true;
    return say(g, s, &m);
}

static bool want(struct stream_session *session, const uint8_t id8[NODE_ID_SHORT_BYTES])
{
    if (session->want_count == session->want_cap) {
        size_t cap = session->want_cap > 0 ? session->want_cap * 2 : WANTS_FIRST_CAP;
        if (session->want_count >= MEMBERS_MAX) return false;
        uint8_t *grown = realloc(session->want, cap * NODE_ID_SHORT_BYTES);
        if (grown == NULL) return false;
        session->want = grown;
        session->want_cap = cap;
    }
    memcpy(session->want + session->want_count++ * NODE_ID_SHORT_BYTES, id8, NODE_ID_SHORT_BYTES);
    return true;
}

enum reconcile_result reconcile_send_wants(struct gossip *g, struct stream *s)
{
    struct stream_session *session = &s->session;
    size_t left = session->want_count - session->want_at;
    size_t n = left < SYNC_WANTS_MAX ? left : SYNC_WANTS_MAX;
    if (n == 0 || session->want_waits) return RECONCILE_GOES_ON;
    struct sync_message m = {.kind = SYNC_WANT,
                             .bytes =
                                 span_of(session->want + session->want_at * NODE_ID_SHORT_BYTES,
                                         n * NODE_ID_SHORT_BYTES)};
    session->want_at += n;
    session->want_waits = true;
    return say(g, s, &m);
}

bool reconcile_note_wants(struct stream *s, const uint8_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!want(&s->session, ids + i * NODE_ID_SHORT_BYTES)) return false;
    return true;
}

bool reconcile_sending(const struct stream *s)
{
    return s->session.listing || s->session.serve_at < s->session.serve_count;
}

/* Says DONE when we have all we wanted; sees whether the other side has, too. */
static enum reconcile_result conclude(struct gossip *g, struct stream *s)
{
    struct stream_session *session = &s->session;
    if (s->purpose == STREAM_PULL)
        return session->want_at == session->want_count && !session->want_waits ? RECONCILE_FINISHED
                                                                               : RECONCILE_GOES_ON;
    bool satisfied = session->listed && session->list_received && !session->want_waits &&
                     session->want_at == session->want_count;
    if (satisfied && !session->done_sent) {
        struct sync_message m = {.kind = SYNC_DONE};
        session->done_sent = true;
        if (!stream_send(g, s, &m)) return RECONCILE_CLOSED;
    }
    bool over = session->done_sent && session->done_received && !reconcile_sending(s);
    return over ? RECONCILE_FINISHED : RECONCILE_GOES_ON;
}

static enum sync_standing standing(const struct member *m)
{
    if (m->state == MEMBER_LEFT || m->state == MEMBER_BANNED) return SYNC_LEFT;
    if (m->state == MEMBER_DEAD) return SYNC_DEAD;
    return member_votes(m) != NULL ? SYNC_ACCUSED_LIVE : SYNC_LIVE;
}

static uint64_t print_of(const struct gossip *g, const struct member *m)
{
    return (digest_print(&g->digest, m->head) & ~STANDING_MASK) | (uint64_t)standing(m);
}

static void put_print(const struct gossip *g, const struct member *m, uint8_t *entry)
{
    head_short_id(m->head, entry);
    head_put_u64(entry + NODE_ID_SHORT_BYTES, print_of(g, m));
}

static enum reconcile_result say_list(struct gossip *g, struct stream *s, struct sync_message *m,
                                      struct span prints)
{
    m->bytes = prints;
    memcpy(m->bitmap, s->session.bitmap, sizeof(m->bitmap));
    s->session.listing = !m->last;
    s->session.listed = m->last;
    return say(g, s, m);
}

/* Who began has seen the other's list, and got what it wanted of it: of what it has itself, it
 * lists what the other lacks or still has otherwise. */
static enum reconcile_result send_differences(struct gossip *g, struct stream *s)
{
    struct stream_session *session = &s->session;
    struct sync_message m = {.kind = SYNC_LIST};
    uint8_t *prints = arena_alloc(&g->fx->arena, SYNC_CHUNK_BYTES);
    if (prints == NULL) return RECONCILE_BROKEN;
    size_t n = 0;
    for (; session->tell_at < session->tell_count && n < SYNC_PRINTS_MAX; session->tell_at++) {
        const uint8_t *theirs = session->tell + session->tell_at * SYNC_PRINT_BYTES;
        const struct member *ours = member_find_short(&g->members, theirs);
        if (ours == NULL || print_of(g, ours) == head_get_u64(theirs + NODE_ID_SHORT_BYTES))
            continue;
        put_print(g, ours, prints + n++ * SYNC_PRINT_BYTES);
    }
    m.last = session->tell_at == session->tell_count;
    return say_list(g, s, &m, span_of(prints, n * SYNC_PRINT_BYTES));
}

static enum reconcile_result send_list(struct gossip *g, struct stream *s)
{
    struct stream_session *session = &s->session;
    struct sync_message m = {.kind = SYNC_LIST, .last = true};
    if (!s->inbound) return send_differences(g, s);
    size_t at = member_lower_bound(&g->members, &session->list_next);
    uint8_t *prints = arena_alloc(&g->fx->arena, SYNC_CHUNK_BYTES);
    if (prints == NULL) return RECONCILE_BROKEN;
    size_t n = 0;
    for (; at < g->members.count; at++) {
        const struct member *member = member_peek(&g->members, at);
        if (!digest_marked(session->bitmap, member->head->owner.byte[0])) continue;
        if (n == SYNC_PRINTS_MAX) {
            m.last = false;
            session->list_next = member->head->owner;
            break;
        }
        put_print(g, member, prints + n++ * SYNC_PRINT_BYTES);
    }
    return say_list(g, s, &m, span_of(prints, n * SYNC_PRINT_BYTES));
}

static enum reconcile_result send_records(struct gossip *g, struct stream *s)
{
    struct stream_session *session = &s->session;
    struct sync_chunk chunk;
    uint8_t *bytes = arena_alloc(&g->fx->arena, SYNC_CHUNK_ROOM);
    if (bytes == NULL) return RECONCILE_BROKEN;
    sync_chunk_init(&chunk, bytes);
    while (session->serve_at < session->serve_count && !sync_chunk_full(&chunk)) {
        const uint8_t *id8 = session->serve + session->serve_at++ * NODE_ID_SHORT_BYTES;
        const struct member *m = member_find_short(&g->members, id8);
        struct offer o;
        if (m == NULL) continue;
        catalogue_offer(m, true, true, &o);
        if (member_votes(m) != NULL) {
            o.accused = true;
            o.accusation = *member_votes(m);
        }
        sync_chunk_add(&chunk, &o);
    }
    struct span message = sync_chunk_finish(&chunk, session->serve_at == session->serve_count);
    /* The rate is kept by what goes first having paid when the next wants to go. */
    (void)bucket_take(&g->sync.bytes, g->now_ms, message.len, 0);
    return stream_send_raw(g, s, message) ? RECONCILE_GOES_ON : RECONCILE_CLOSED;
}

enum reconcile_result reconcile_pump(struct gossip *g, struct stream *s)
{
    enum reconcile_result result = RECONCILE_GOES_ON;
    uint64_t ready = bucket_ready_ms(&g->sync.bytes, g->now_ms, SYNC_CHUNK_BYTES);
    if (ready > g->now_ms) {
        state_timer(g, &s->timer, ready);
        return result;
    }
    if (s->session.serve_at < s->session.serve_count)
        result = send_records(g, s);
    else if (s->session.listing)
        result = send_list(g, s);
    if (result == RECONCILE_GOES_ON) result = conclude(g, s);
    if (result == RECONCILE_GOES_ON && reconcile_sending(s))
        state_timer(g, &s->timer, g->now_ms + PACE_MS);
    return result;
}

static bool tell(struct stream_session *session, const uint8_t id8[NODE_ID_SHORT_BYTES],
                 uint64_t print)
{
    if (session->tell_count == session->tell_cap) {
        size_t cap = session->tell_cap > 0 ? session->tell_cap * 2 : WANTS_FIRST_CAP;
        if (session->tell_count >= TELLS_MAX) return false;
        uint8_t *grown = realloc(session->tell, cap * SYNC_PRINT_BYTES);
        if (grown == NULL) return false;
        session->tell = grown;
        session->tell_cap = cap;
    }
    uint8_t *entry = session->tell + session->tell_count++ * SYNC_PRINT_BYTES;
    memcpy(entry, id8, NODE_ID_SHORT_BYTES);
    head_put_u64(entry + NODE_ID_SHORT_BYTES, print);
    return true;
}

/* Those of ours from list_next on, up to the short id `until` (NULL: the end), that stand in the
 * buckets of the other's list and are not in it. */
static bool tell_missing(struct gossip *g, struct stream_session *session, const uint8_t *until)
{
    size_t at = member_lower_bound(&g->members, &session->list_next);
    for (; at < g->members.count; at++) {
        const struct member *m = member_peek(&g->members, at);
        const uint8_t *id = m->head->owner.byte;
        if (until != NULL && memcmp(id, until, NODE_ID_SHORT_BYTES) >= 0) break;
        bool live = digest_marked(session->bitmap, id[0]) && member_is_live(m);
        if (live && !tell(session, id, SYNC_DEAD)) return false;
    }
    if (until == NULL) return true;
    memset(session->list_next.byte, 0xff, sizeof(session->list_next.byte));
    memcpy(session->list_next.byte, until, NODE_ID_SHORT_BYTES);
    return true;
}

/* What of ours the other side must hear of, by its list, which is in id order: each stretch of our
 * table is looked at once. False: it is not in order, or no memory. */
static bool note_differences(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    struct stream_session *session = &s->session;
    for (size_t at = 0; at < m->bytes.len; at += SYNC_PRINT_BYTES) {
        const uint8_t *entry = (const uint8_t *)m->bytes.p + at;
        uint64_t print = head_get_u64(entry + NODE_ID_SHORT_BYTES);
        const struct member *ours = member_find_short(&g->members, entry);
        if (memcmp(entry, session->list_next.byte, NODE_ID_SHORT_BYTES) < 0) return false;
        if (!tell_missing(g, session, entry)) return false;
        if (ours != NULL && print_of(g, ours) != print && !tell(session, entry, print))
            return false;
    }
    return !m->last || tell_missing(g, session, NULL);
}

/* Whether we lack what this entry of the other side's list says. */
static bool lacks(const struct gossip *g, struct member *ours, uint64_t print)
{
    enum sync_standing theirs = (enum sync_standing)(print & STANDING_MASK);
    bool live = theirs == SYNC_LIVE || theirs == SYNC_ACCUSED_LIVE;
    if (ours == NULL) return live;
    if (((digest_print(&g->digest, ours->head) ^ print) & ~STANDING_MASK) != 0) return true;
    ours->vouched = ours->vouched || live;
    return standing(ours) == SYNC_LIVE && theirs != SYNC_LIVE && theirs != SYNC_LEFT;
}

/* Which of the other side's records we lack, by its list. */
static enum reconcile_result compare(struct gossip *g, struct stream *s,
                                     const struct sync_message *m)
{
    if (!s->inbound && !note_differences(g, s, m)) return RECONCILE_BROKEN;
    for (size_t at = 0; at < m->bytes.len; at += SYNC_PRINT_BYTES) {
        const uint8_t *entry = (const uint8_t *)m->bytes.p + at;
        struct member *ours = member_find_short(&g->members, entry);
        if (!lacks(g, ours, head_get_u64(entry + NODE_ID_SHORT_BYTES))) continue;
        if (!want(&s->session, entry)) return RECONCILE_BROKEN;
    }
    if (m->last) sync_vouched(g, s->session.bitmap);
    s->session.list_received = m->last;
    return reconcile_send_wants(g, s);
}

static enum reconcile_result on_vector(struct gossip *g, struct stream *s,
                                       const struct sync_message *m)
{
    struct stream_session *session = &s->session;
    if (!s->inbound || session->listed || session->listing) return RECONCILE_BROKEN;
    uint32_t differing = digest_compare(&g->digest, (const uint8_t *)m->bytes.p, session->bitmap);
    if (differing > 0) {
        session->listing = true;
        return reconcile_pump(g, s);
    }
    struct sync_message done = {.kind = SYNC_DONE};
    session->done_sent = true;
    sync_agree(g, s->peer);
    return say(g, s, &done);
}

/* Who began lists its own when it has seen the other's list and got what it wanted of it. */
static void list_when_due(struct stream *s)
{
    struct stream_session *session = &s->session;
    if (s->inbound || s->purpose == STREAM_PULL || session->listed || !session->list_received)
        return;
    if (!session->want_waits && session->want_at == session->want_count) session->listing = true;
}

static enum reconcile_result on_list(struct gossip *g, struct stream *s,
                                     const struct sync_message *m)
{
    struct stream_session *session = &s->session;
    if (!session->active || session->list_received) return RECONCILE_BROKEN;
    if (!s->inbound && !session->answered)
        memcpy(session->bitmap, m->bitmap, sizeof(session->bitmap));
    session->answered = true;
    enum reconcile_result result = compare(g, s, m);
    list_when_due(s);
    return result == RECONCILE_GOES_ON ? reconcile_pump(g, s) : result;
}

static enum reconcile_result on_want(struct gossip *g, struct stream *s,
                                     const struct sync_message *m)
{
    struct stream_session *session = &s->session;
    if (session->serve_at < session->serve_count) return RECONCILE_BROKEN;
    if (session->serve == NULL) session->serve = malloc(SYNC_WANTS_MAX * NODE_ID_SHORT_BYTES);
    if (session->serve == NULL || m->bytes.len == 0) return RECONCILE_BROKEN;
    memcpy(session->serve, m->bytes.p, m->bytes.len);
    session->serve_count = m->bytes.len / NODE_ID_SHORT_BYTES;
    session->serve_at = 0;
    return reconcile_pump(g, s);
}

static enum reconcile_result on_records(struct gossip *g, struct stream *s, struct sync_message *m)
{
    struct offer o;
    bool joining = s->purpose == STREAM_JOIN;
    if (!s->session.want_waits) return RECONCILE_BROKEN;
    while (sync_message_record(m, &o)) {
        enum catalogue_verdict v =
            catalogue_take(g, &o, s->peer, joining ? CATALOGUE_JOINING : CATALOGUE_SYNC);
        bool known = v == CATALOGUE_NEW || v == CATALOGUE_SAME;
        if (v == CATALOGUE_NEW) {
            s->session.news++;
            g->sync.backoff_ms = 0; /* it was worth it */
        }
        bool heard = o.accused && known && catalogue_may_take(g, s->peer, CATALOGUE_SYNC);
        if (heard) suspicion_hear(g, &o.accusation, NULL, SUSPICION_SYNC);
    }
    if (m->last) s->session.want_waits = false;
    enum reconcile_result result = reconcile_send_wants(g, s);
    if (result != RECONCILE_GOES_ON) return result;
    list_when_due(s);
    return s->session.listing ? reconcile_pump(g, s) : conclude(g, s);
}

static enum reconcile_result on_done(struct gossip *g, struct stream *s)
{
    struct stream_session *session = &s->session;
    session->done_received = true;
    /* DONE in answer to our vector: the digests are equal. */
    if (!s->inbound && !session->answered) {
        sync_agree(g, s->peer);
        return RECONCILE_FINISHED;
    }
    return conclude(g, s);
}

enum reconcile_result reconcile_message(struct gossip *g, struct stream *s, struct sync_message *m)
{
    switch (m->kind) {
    case SYNC_VECTOR:
        return on_vector(g, s, m);
    case SYNC_LIST:
        return on_list(g, s, m);
    case SYNC_WANT:
        return on_want(g, s, m);
    case SYNC_RECORDS:
        return on_records(g, s, m);
    case SYNC_DONE:
        return on_done(g, s);
    case SYNC_UNKNOWN:
    case SYNC_HELLO:
    case SYNC_PROBE:
    case SYNC_PONG:
    case SYNC_BUSY:
    case SYNC_CONFLICT:
    case SYNC_ACCUSED:
    case SYNC_KEY_WANT:
    case SYNC_KEY:
    case SYNC_POLICY_HEADS:
    case SYNC_POLICY_ASK:
    case SYNC_POLICY_HAVE:
    case SYNC_KINDS:
        break;
    }
    return RECONCILE_BROKEN;
}
