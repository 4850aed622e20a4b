#include "core/wire/link_window.h"

#include <assert.h>

#include "core/base/limits.h"
#include "core/wire/link_send.h"

/* More than a kernel takes for a client that reads nothing (SOCK_UNSENT_BYTES, and what is on its
 * way): such a one does not look as if it kept up. */
#define LINK_GROWTH_BYTES (256u * 1024)

static_assert(LINK_WINDOW_BYTES > LINK_STREAMS_MAX * LINK_STREAM_WINDOW_BYTES,
              "no stream waits because others are not read");

void link_window_init(struct link *l, const struct mux_options *o)
{
    uint64_t all = (uint64_t)o->streams_max * o->stream_window_bytes;
    l->stream_window = o->stream_window_bytes;
    l->window = l->receive_left = o->connection_window_bytes;
    uint32_t spare = all < l->window ? l->window - (uint32_t)all : 0;
    l->growth_left = spare / 2;
    l->credit_bytes = spare > 0 ? spare / 2 : l->window / 2;
    l->narrow = !l->server;
}

void link_window_begin(struct link *l, struct mux_stream *s, bool narrow)
{
    uint32_t theirs = l->peer_stream_window;
    s->send_window = narrow && l->server ? theirs / LINK_NARROW_PART : theirs;
    s->window = s->receive_left =
        narrow && !l->server ? l->stream_window / LINK_NARROW_PART : l->stream_window;
    s->owed = s->taken = 0;
    s->unconsumed_bytes = 0;
}

bool link_window_narrow(const struct link *l)
{
    return l->narrow;
}

bool link_window_take(struct link *l, struct mux_stream *s, uint32_t bytes)
{
    if (bytes > l->receive_left || (s != NULL && bytes > s->receive_left)) return false;
    l->receive_left -= bytes;
    if (s != NULL) s->receive_left -= bytes;
    return true;
}

void link_window_unread(struct link *l, struct mux_stream *s, size_t bytes)
{
    s->unconsumed_bytes += bytes;
    if (s->unconsumed_bytes > s->window / 2) l->narrow = !l->server;
}

static void credit(struct link *l, uint32_t id, uint32_t *owed, uint32_t *left)
{
    char payload[LINK_CREDIT_BYTES];
    link_put_u32(payload, *owed);
    *left += *owed;
    *owed = 0;
    link_send_frame(l, LINK_CREDIT, id, span_of(payload, sizeof payload));
}

static void grow(struct link *l, struct mux_stream *s)
{
    uint32_t need = s->window < LINK_GROWTH_BYTES / 4 ? LINK_GROWTH_BYTES : 4 * s->window;
    uint32_t extra = s->window < l->stream_window ? l->stream_window - s->window : s->window;
    if (s->taken < need || s->unconsumed_bytes > s->window / 4) return;
    if (s->window + extra > LINK_STREAM_WINDOW_BYTES_MAX) return;
    if (s->window >= l->stream_window) {
        if (extra > l->growth_left) return;
        l->growth_left -= extra;
    }
    s->owed += extra;
    s->window += extra;
    s->taken = 0;
}

void link_window_give(struct link *l, struct mux_stream *s, size_t bytes)
{
    l->owed += (uint32_t)bytes;
    if (l->owed >= l->credit_bytes) credit(l, 0, &l->owed, &l->receive_left);
    if (s == NULL) return;
    s->taken = s->taken + bytes < UINT32_MAX ? s->taken + (uint32_t)bytes : UINT32_MAX;
    if (s->peer_ended) return;
    s->owed += (uint32_t)bytes;
    if (s->owed < s->window / 2) return;
    grow(l, s);
    credit(l, (uint32_t)s->id, &s->owed, &s->receive_left);
}

void link_window_ended(struct link *l, const struct mux_stream *s)
{
    bool many = s->taken > l->stream_window / LINK_NARROW_PART || s->window > l->stream_window;
    if (many && s->unconsumed_bytes == 0) l->narrow = false;
}

void link_window_leave(struct link *l, struct mux_stream *s)
{
    size_t unconsumed = s->unconsumed_bytes;
    s->unconsumed_bytes = 0;
    if (s->window > l->stream_window) l->growth_left += s->window - l->stream_window;
    if (unconsumed > 0) link_window_give(l, NULL, unconsumed);
}
