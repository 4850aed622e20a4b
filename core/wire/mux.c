#include "core/wire/mux.h"

#include <string.h>

#include "core/wire/mux_impl.h"

void *mux_new(const struct mux_ops *ops, const struct mux_options *o, size_t size)
{
    struct mux_purse purse;
    mux_purse_init(&purse, o->alloc, o->peer_steps);
    struct mux *m = mux_purse_get(&purse, size);
    if (m == NULL) {
        mux_purse_fini(&purse);
        return NULL;
    }
    memset(m, 0, size);
    m->ops = ops;
    list_init(&m->open);
    mux_quit_init(&m->quit, o->alloc);
    m->purse = purse;
    return m;
}

void mux_fini(struct mux *m)
{
    struct mux_purse purse = m->purse;
    mux_quit_fini(&m->quit);
    mux_purse_put(&purse, m);
    mux_purse_fini(&purse);
}

void mux_join(struct mux *m, struct mux_stream *s)
{
    m->streams++;
    list_push_back(&m->open, &s->node);
}

void mux_part(struct mux *m, struct mux_stream *s)
{
    s->id = 0;
    m->streams--;
    list_remove(&s->node);
}

void mux_free(struct mux *m)
{
    if (m != NULL) m->ops->free(m);
}

enum err mux_feed(struct mux *m, struct span in, uint64_t now_ms)
{
    return m->ops->feed(m, in, now_ms);
}

enum err mux_pull(struct mux *m, size_t room)
{
    return m->ops->pull(m, room);
}

bool mux_wants_write(const struct mux *m)
{
    return m->ops->wants_write(m);
}

bool mux_starved(const struct mux *m)
{
    return m->purse.refused;
}

bool mux_done(const struct mux *m)
{
    return m->ops->done(m);
}

enum err mux_request(struct mux *m, struct mux_stream *s, const struct mux_head *head,
                     bool has_body)
{
    return m->ops->request(m, s, head, has_body);
}

enum err mux_respond(struct mux *m, struct mux_stream *s, const struct mux_head *head,
                     bool has_body)
{
    return m->ops->respond(m, s, head, has_body);
}

enum err mux_interim(struct mux *m, struct mux_stream *s, const struct mux_head *head)
{
    return m->ops->interim(m, s, head);
}

void mux_resume(struct mux *m, struct mux_stream *s)
{
    m->ops->resume(m, s);
}

void mux_consume(struct mux *m, struct mux_stream *s, size_t bytes)
{
    m->ops->consume(m, s, bytes);
}

void mux_reset(struct mux *m, struct mux_stream *s, enum mux_close how)
{
    m->ops->reset(m, s, how);
}

void mux_detach(struct mux *m, struct mux_stream *s)
{
    m->ops->detach(m, s);
}

void mux_cancel(struct mux *m, struct mux_stream *s)
{
    m->ops->cancel(m, s);
}

bool mux_wants_tick(const struct mux *m)
{
    return m->quit.count > 0;
}

uint64_t mux_tick(struct mux *m, uint64_t now_ms)
{
    struct mux_quit *q = &m->quit;
    if (q->asked > 0 && now_ms >= q->due_ms) {
        for (uint32_t i = 0; i < q->asked; i++)
            m->ops->tell(m, q->id[i]);
        mux_quit_told(q);
    }
    if (q->asked == 0 && q->count > 0) {
        uint32_t pings = q->pings;
        m->ops->ping(m);
        if (q->pings != pings) mux_quit_asked(q);
    }
    return q->asked > 0 ? q->due_ms : UINT64_MAX;
}

void mux_lost(struct mux *m)
{
    m->ops->lost(m);
}

void mux_ping(struct mux *m)
{
    m->ops->ping(m);
}

void mux_shutdown_notice(struct mux *m)
{
    m->ops->shutdown_notice(m);
}

void mux_goaway(struct mux *m)
{
    m->ops->goaway(m);
}

size_t mux_streams(const struct mux *m)
{
    return m->streams;
}

bool mux_may_open(const struct mux *m)
{
    return m->ops->may_open(m);
}

bool mux_may_upgrade(const struct mux *m)
{
    return m->ops->may_upgrade(m);
}
