#include "gossip/stream.h"

#include "gossip/catalogue.h"
#include "gossip/state.h"

#include <stdlib.h>

void stream_table_init(struct stream_table *t)
{
    *t = (struct stream_table){.id_next = 1};
}

static void free_session(struct stream_session *session)
{
    free(session->want);
    free(session->serve);
    free(session->tell);
    free(session->ask);
    *session = (struct stream_session){0};
}

void stream_table_fini(struct stream_table *t)
{
    for (size_t i = 0; i < t->made; i++) {
        free_session(&t->slot[i]->session);
        free(t->slot[i]);
    }
    t->made = 0;
}

struct stream *stream_find(struct stream_table *t, uint32_t id)
{
    for (size_t i = 0; i < t->made && t->used > 0; i++)
        if (t->slot[i]->used && t->slot[i]->id == id) return t->slot[i];
    return NULL;
}

/* NULL: all are taken, or no memory for one more. */
static struct stream *free_slot(struct stream_table *t)
{
    for (size_t i = 0; i < t->made; i++)
        if (!t->slot[i]->used) return t->slot[i];
    struct stream *s = t->made < STREAM_SLOTS ? malloc(sizeof(*s)) : NULL;
    if (s != NULL) t->slot[t->made++] = s;
    return s;
}

static struct stream *take_slot(struct gossip *g)
{
    struct stream *s = free_slot(&g->streams);
    if (s == NULL) {
        g->counters.syncs_refused++;
        return NULL;
    }
    *s = (struct stream){.used = true, .timer.kind = TIMER_STREAM, .started_ms = g->now_ms};
    g->streams.used++;
    return s;
}

static uint32_t fresh_id(struct stream_table *t)
{
    do
        t->id_next = (t->id_next + 1) & ~STREAM_INBOUND_BIT;
    while (t->id_next == 0 || stream_find(t, t->id_next) != NULL);
    return t->id_next;
}

struct stream *stream_dial(struct gossip *g, struct member *m, const struct addr *to,
                           enum stream_purpose purpose)
{
    struct stream *s = take_slot(g);
    if (s == NULL) return NULL;
    struct gossip_effect *e = event_push(g->fx, GOSSIP_STREAM_OPEN);
    if (e == NULL) {
        stream_drop(g, s);
        return NULL;
    }
    s->id = fresh_id(&g->streams);
    s->purpose = purpose;
    s->peer = m;
    s->to = m != NULL ? m->head->addr : *to;
    if (m != NULL) s->peer_name = *member_name(m);
    e->stream = s->id;
    e->to = s->to;
    e->peer_name = s->peer_name;
    if (m != NULL) e->node = m->head->owner;
    state_timer(g, &s->timer, g->now_ms + STREAM_OPEN_MS);
    return s;
}

static void refuse(struct gossip *g, uint32_t id)
{
    struct gossip_effect *e = event_push(g->fx, GOSSIP_STREAM_CLOSE);
    if (e != NULL) e->stream = id;
}

struct stream *stream_opened(struct gossip *g, const struct gossip_event *e)
{
    struct stream *s = stream_find(&g->streams, e->stream);
    if (e->inbound) {
        s = s == NULL ? take_slot(g) : NULL;
        if (s != NULL) {
            s->id = e->stream;
            s->inbound = true;
            s->purpose = STREAM_INBOUND;
        }
    }
    if (s == NULL || s->opened) {
        refuse(g, e->stream);
        return NULL;
    }
    s->opened = true;
    s->peer_name = e->peer_name;
    memcpy(s->peer_spki, e->peer_spki, sizeof(s->peer_spki));
    stream_touch(g, s);
    return s;
}

static bool push(struct gossip *g, struct stream *s, struct span message)
{
    struct gossip_effect *e = event_push(g->fx, GOSSIP_STREAM_SEND);
    if (e == NULL) {
        stream_close(g, s);
        return false;
    }
    e->stream = s->id;
    e->data = message;
    stream_touch(g, s);
    return true;
}

static bool push_into(struct gossip *g, struct stream *s, const struct sync_message *m,
                      uint8_t *bytes, size_t room)
{
    struct pack_writer w;
    if (bytes == NULL) {
        stream_close(g, s);
        return false;
    }
    pack_writer_init(&w, bytes, room);
    sync_message_write(&w, m);
    CHECK(pack_writer_ok(&w));
    return push(g, s, pack_writer_view(&w));
}

static bool push_encoded(struct gossip *g, struct stream *s, const struct sync_message *m,
                         size_t room)
{
    return push_into(g, s, m, arena_alloc(&g->fx->arena, room), room);
}

/* Our HELLO, if it has not gone yet: the other side listens to nothing before it. */
static bool greet(struct gossip *g, struct stream *s)
{
    struct sync_message hello = {.kind = SYNC_HELLO};
    struct member *self = g->self.member;
    if (s->greeted) return true;
    s->greeted = true;
    catalogue_offer(self, true, true, &hello.offer);
    return push_encoded(g, s, &hello,
                        member_admission(self).len + member_body(self).len + SYNC_SMALL_BYTES_MAX);
}

bool stream_send_raw(struct gossip *g, struct stream *s, struct span message)
{
    return greet(g, s) && push(g, s, message);
}

bool stream_send(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    return greet(g, s) && push_encoded(g, s, m, m->bytes.len + SYNC_SMALL_BYTES_MAX);
}

bool stream_send_secret(struct gossip *g, struct stream *s, const struct sync_message *m)
{
    size_t room = m->bytes.len + SYNC_SMALL_BYTES_MAX;
    if (!greet(g, s)) return false;
    return push_into(g, s, m, event_secret_alloc(g->fx, room), room);
}

/* The admission certificate must name the holder of the TLS key at the other end. */
static bool proven(const struct stream *s, const struct member *m)
{
    return name_eq(member_name(m), &s->peer_name) && m->admission != NULL &&
           memcmp(m->admission->spki_sha256, s->peer_spki, sizeof(s->peer_spki)) == 0;
}

bool stream_bind(struct gossip *g, struct stream *s, const struct offer *hello)
{
    struct member *expected = s->peer;
    enum catalogue_verdict v = catalogue_take(g, hello, NULL, CATALOGUE_HELLO);
    struct member *m = member_find(&g->members, &hello->head.owner);
    if (v == CATALOGUE_CONFLICT) {
        struct sync_message conflict = {.kind = SYNC_CONFLICT};
        if (stream_send(g, s, &conflict)) stream_close(g, s);
        return false;
    }
    bool good = m != NULL && !m->self && v != CATALOGUE_REFUSED && v != CATALOGUE_LACKING &&
                (expected == NULL || expected == m) && proven(s, m);
    if (!good) {
        g->counters.dropped_auth++;
        stream_close(g, s);
        return false;
    }
    struct member_contact *c = member_contact(&g->members, m);
    if (c != NULL) c->heard_ms = g->now_ms;
    m->restored = false;
    s->peer = m;
    s->bound = true;
    return true;
}

void stream_close(struct gossip *g, struct stream *s)
{
    refuse(g, s->id);
    stream_drop(g, s);
}

void stream_drop(struct gossip *g, struct stream *s)
{
    sync_over(g, s);
    timer_clear(&g->timers, &s->timer);
    free_session(&s->session);
    s->used = false;
    s->peer = NULL;
    g->streams.used--;
    if (s->purpose == STREAM_POLICY) policy_news_closed(g, s->id);
}

void stream_touch(struct gossip *g, struct stream *s)
{
    s->heard_ms = g->now_ms;
    uint64_t end = s->started_ms + STREAM_LIFE_MS;
    uint64_t idle = g->now_ms + STREAM_IDLE_MS;
    state_timer(g, &s->timer, idle < end ? idle : end);
}

void stream_forget(struct gossip *g, struct member *m)
{
    for (size_t i = 0; i < g->streams.made && g->streams.used > 0; i++) {
        struct stream *s = g->streams.slot[i];
        if (s->used && s->peer == m) stream_close(g, s);
    }
}
