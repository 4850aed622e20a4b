/* What a codec of mux.h is made of, and what all have in common. One thread, that of the
 * connection; of core/wire/mux.c and the codecs alone.
 */
#ifndef CORE_WIRE_MUX_IMPL_H
#define CORE_WIRE_MUX_IMPL_H

#include "core/wire/mux.h"
#include "core/wire/mux_quit.h"

/* What a codec is: each member is the function of its name below. */
struct mux_ops {
    void (*free)(struct mux *m);
    enum err (*feed)(struct mux *m, struct span in, uint64_t now_ms);
    enum err (*pull)(struct mux *m, size_t room);
    bool (*wants_write)(const struct mux *m);
    bool (*done)(const struct mux *m);
    enum err (*request)(struct mux *m, struct mux_stream *s, const struct mux_head *head,
                        bool has_body);
    enum err (*respond)(struct mux *m, struct mux_stream *s, const struct mux_head *head,
                        bool has_body);
    enum err (*interim)(struct mux *m, struct mux_stream *s, const struct mux_head *head);
    void (*resume)(struct mux *m, struct mux_stream *s);
    void (*consume)(struct mux *m, struct mux_stream *s, size_t bytes);
    void (*reset)(struct mux *m, struct mux_stream *s, enum mux_close how);
    void (*detach)(struct mux *m, struct mux_stream *s);
    void (*cancel)(struct mux *m, struct mux_stream *s);
    void (*tell)(struct mux *m, int32_t id); /* resets a stream that was cancelled, if it is open */
    void (*lost)(struct mux *m);
    void (*ping)(struct mux *m); /* counted in `quit`, unless it had no memory */
    void (*shutdown_notice)(struct mux *m);
    void (*goaway)(struct mux *m);
    bool (*may_open)(const struct mux *m);
    bool (*may_upgrade)(const struct mux *m);
};

/* First of every codec's object. */
struct mux {
    const struct mux_ops *ops;
    size_t streams;
    struct list open; /* the streams */
    struct mux_quit quit;
    struct mux_purse purse; /* all that the codec holds, but for `quit` */
};

/* For codecs: an object of `size` bytes, which begins with a struct mux; all but that is to be
 * initialised. NULL: out of memory. */
void *mux_new(const struct mux_ops *ops, const struct mux_options *o, size_t size);
/* It ends, and is freed; what it had from its purse must have been put back. */
void mux_fini(struct mux *m);
/* A stream is on the connection; it is not. */
void mux_join(struct mux *m, struct mux_stream *s);
void mux_part(struct mux *m, struct mux_stream *s);

#endif
